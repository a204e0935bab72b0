"""What every request and answer gets."""

import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import structlog
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from karenpanel import errors

Next = Callable[[HttpRequest], HttpResponse]


def health(get_response: Next) -> Next:
    """/healthz for load balancers, which name a machine's address as the host and speak plain HTTP: this process answers.

    Says nothing of the database, or one outage would take every process out.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path_info == "/healthz" and request.method in ("GET", "HEAD"):
            return HttpResponse("ok\n", content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})
        return get_response(request)

    return middleware


def request_id(get_response: Next) -> Next:
    """A short id for each request: in its log lines, on error pages and in the X-Request-ID header.

    Lines from behind the sign-in say who sent the request too (see SignInFirst).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        request.request_id = secrets.token_hex(6)  # type: ignore[attr-defined]
        # A thread serves one person after another.
        structlog.contextvars.unbind_contextvars("by")
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
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


def page_to_return_to(request: HttpRequest) -> str:
    """Where a person who is asked for something first comes back to: the page that the request was sent from, not an
    address that only takes forms."""
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    known = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    # A part that htmx asks for is no page to come back to.
    asks_for_page = request.method in ("GET", "HEAD") and request.headers.get("HX-Request") != "true"
    if asks_for_page or not known:
        return request.get_full_path()
    parts = urlsplit(page)
    return urlunsplit(("", "", parts.path, parts.query, ""))


class SignInFirst(LoginRequiredMiddleware):
    """Who is not signed in is sent to do so, and comes back."""

    def process_view(self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any) -> Any:
        if request.user.is_authenticated:
            structlog.contextvars.bind_contextvars(by=request.user.get_username())
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        return redirect_to_login(page_to_return_to(request))


def not_allowed(get_response: Next) -> Next:
    """An address that only takes forms, opened by hand, gets a page in words."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code == 405 and not response.content:
            words = errors.page(request, 405)
            words["Allow"] = response["Allow"]
            return words
        return response

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
