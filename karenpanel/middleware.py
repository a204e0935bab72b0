"""What every request and answer gets. Imports errors; called by Django through settings.MIDDLEWARE."""

import secrets
from collections.abc import Callable

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers

from karenpanel import errors

Next = Callable[[HttpRequest], HttpResponse]


def request_id(get_response: Next) -> Next:
    """A short id for each request: in its log lines, on error pages and in the X-Request-ID header."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.request_id = secrets.token_hex(6)  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        return response

    return middleware


def bounded_bodies(get_response: Next) -> Next:
    """Nothing is read that is longer than the largest log and the largest form together: Django would keep it in a
    file first. What is only a log beyond its limit is told by its form, with all that was typed."""

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal():
            raise BadRequest("The length of what was sent is not a number.")
        if int(length[:18]) > settings.REPLAY_MAX_MB * 2**20 + settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return errors.too_large(request)
        return get_response(request)

    return middleware


def htmx_answers(get_response: Next) -> Next:
    """One URL gives a page or its part, so caches must tell them apart; a redirect that htmx would follow and swap
    into the page (the sign-in page into a table) becomes a navigation of the whole page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        patch_vary_headers(response, ["HX-Request"])
        if request.headers.get("HX-Request") == "true" and response.status_code in (301, 302, 303, 307, 308):
            moved = HttpResponse(status=204)
            moved["HX-Redirect"] = response["Location"]
            moved.cookies = response.cookies
            patch_vary_headers(moved, ["HX-Request"])
            return moved
        return response

    return middleware


def plain_text(get_response: Next) -> Next:
    """Text that cannot be kept or shown is refused before a view has it, and so before the database or the answer break
    on it: NUL, and what only other encodings than UTF-8 can bring in, such as halves of characters."""

    def middleware(request: HttpRequest) -> HttpResponse:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise BadRequest("Text has to be sent as UTF-8.")
        for sent in (request.GET, request.POST):
            if any("\0" in value for _, values in sent.lists() for value in values):
                raise BadRequest("Text cannot contain NUL.")
        return get_response(request)

    return middleware


def private_pages(get_response: Next) -> Next:
    """Pages of signed-in people, and the forms that sign them in, are kept by no cache and no back button."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
            patch_cache_control(response, no_store=True)
        return response

    return middleware
