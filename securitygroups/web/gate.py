"""The support gate: asks staff for a reason at a customer's door, and writes down every page they look at."""

from collections.abc import Callable
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from karenpanel.kept import keep
from securitygroups import operations
from securitygroups.access import SUPPORT, ReasonNeeded

REFUSED = (403, 404, 429, 503)


class SupportGate:
    """A page goes out to staff only when the look at it is on record."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        access = getattr(request, "access", None)
        # Afterwards: what was refused or is not there was not looked at.
        if access is not None and access.role == SUPPORT and response.status_code not in REFUSED:
            operations.record_look(visit=access.visit, page=request.get_full_path())
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, ReasonNeeded):
            return None
        response = redirect("support_enter", exception.project.slug)
        if request.method == "POST" and (kept := keep(request)):
            response["Location"] += "?" + urlencode({"next": kept})
        if request.method == "GET":
            # With the query: a customer's link to a packet test is of no use without it. A part that htmx asks for is no
            # page to come back to.
            page = request.htmx.current_url_abs_path or request.get_full_path()  # type: ignore[attr-defined]
            response["Location"] += "?" + urlencode({"next": page})
        return response
