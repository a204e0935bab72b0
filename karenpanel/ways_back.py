"""Where a person goes back to who was stopped on the way."""

from urllib.parse import urlsplit, urlunsplit

from django.http import HttpRequest
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme


def page_to_return_to(request: HttpRequest) -> str:
    """Where a person who is asked for something first comes back to: the page that the request was sent from, not an
    address that only takes forms."""
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    known = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    # A part that htmx asks for is no page to come back to.
    asks_for_page = request.method in ("GET", "HEAD") and request.headers.get("HX-Request") != "true"
    parts = urlsplit(page if known and not asks_for_page else "")
    # No browser sends anything but a whole address, with a path in it.
    if not parts.path.startswith("/"):
        return escape_leading_slashes(request.get_full_path())
    return escape_leading_slashes(urlunsplit(("", "", parts.path, parts.query, "")))
