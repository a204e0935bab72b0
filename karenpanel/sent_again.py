"""What was typed into a form that could not be taken just now, so that it can be sent again from the page that says so."""

import re

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware

TOKEN = "csrfmiddlewaretoken"  # noqa: S105 (the name of a field)
# Whoever looks at the page's source later must not find these; without them the form would not be the same.
_SECRET = re.compile(r"passw|secret|code|otp|token|credential|key", re.IGNORECASE)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def fields(request: HttpRequest) -> list[tuple[str, str]] | None:
    """The form's fields with what was typed, the token as it came; None where it should not or cannot be sent from here.

    Nobody has been asked who sends it, so no more is read than anybody may send. And only what a page of ours has sent: the
    button below a stranger's form would give it our good name.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    if request.method != "POST" or request.content_type not in _FORMS:
        return None
    if not length.isdecimal() or int(length[:19]) > settings.VISITORS_FORM:
        return None
    try:
        if not _is_ours(request) or request.FILES:
            return None
        sent = [(name, value) for name, values in request.POST.lists() for value in map(str, values)]
    except (BadRequest, SuspiciousOperation, MultiPartParserError, OSError):
        return None
    if any(name != TOKEN and _SECRET.search(name) for name, _ in sent):
        return None
    return sent if not any("\0" in name + value for name, value in sent) else None


class _Look(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        # Django's own shows a page, whose parts ask the database.
        return HttpResponse(status=403)


def _is_ours(request: HttpRequest) -> bool:
    """Whether the form's token is the one of the cookie, and its origin ours: what is asked before any form is taken."""
    look = _Look(lambda request: HttpResponse())
    look.process_request(request)
    return look.process_view(request, lambda request: HttpResponse(), (), {}) is None
