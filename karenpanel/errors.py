"""Error pages in words."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string


def page(request: HttpRequest, status: int, **context: Any) -> HttpResponse:
    """The page templates/<status>.html with that status."""
    return render(
        request, f"{status}.html", {"request_id": getattr(request, "request_id", ""), **context}, status=status
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return too_large(request) if isinstance(exception, RequestDataTooBig) else page(request, 400)


def too_large(request: HttpRequest) -> HttpResponse:
    # Without request context, which would read the form that is not to be read.
    context = {
        "request_id": getattr(request, "request_id", ""),
        "log_mib": settings.REPLAY_MAX_MB,
        "document_mib": settings.DOCUMENT_MAX_MB,
    }
    return HttpResponse(render_to_string("413.html", context), status=413)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 403, why=str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    # Without request context: whatever is broken may be what a context processor needs.
    return HttpResponse(render_to_string("500.html", {"request_id": getattr(request, "request_id", "")}), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", {"request_id": getattr(request, "request_id", "")}, status=403)
