"""What every request and answer gets."""

import secrets
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.cache import add_never_cache_headers, patch_cache_control, patch_vary_headers

from karenpanel import errors, kept, outage, ready, turns

Next = Callable[[HttpRequest], HttpResponse]


def health(get_response: Next) -> Next:
    """For load balancers, which name a machine's address as the host and speak plain HTTP.

    /healthz: this process answers. Says nothing of the database, or one outage would take every process out.
    /readyz: it reaches its database now.
    """
    answers = {"/healthz": alive, "/readyz": readiness}

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = answers.get(request.path_info)
        return answer() if answer and request.method in ("GET", "HEAD") else get_response(request)

    return middleware


def plain(words: str, **more: Any) -> HttpResponse:
    headers = {"Cache-Control": "no-store", "Content-Length": str(len(words))}
    return HttpResponse(words, content_type="text/plain; charset=utf-8", headers=headers, **more)


def alive() -> HttpResponse:
    return plain("ok\n")


def readiness() -> HttpResponse:
    if ready.reached():
        return plain("ready\n")
    response = plain("This process does not reach its database.\n", status=503)
    response["Retry-After"] = "5"
    # Whoever asks knows it then, and asks every few seconds: the log has nothing to gain.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def database_away(get_response: Next) -> Next:
    """While the database is known to be away nobody waits for it, and what was typed is kept."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if outage.watch.away():
            return errors.unavailable(request, outage.Trouble.AWAY, untouched=True)
        return get_response(request)

    return middleware


def request_id(get_response: Next) -> Next:
    """A short id for each request: in its log lines, on error pages and in the X-Request-ID header.

    Lines from behind the sign-in say who sent the request too (see SignInFirst).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        request.request_id = secrets.token_hex(6)  # type: ignore[attr-defined]
        # A thread serves one person after another.
        structlog.contextvars.unbind_contextvars("by", "program")
        with structlog.contextvars.bound_contextvars(request_id=request.request_id):  # type: ignore[attr-defined]
            response = get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        response.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware


def body_length(request: HttpRequest) -> int:
    """How many bytes the request brings along, as it says. Raises BadRequest where it is not said in digits alone."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdigit()):
        raise BadRequest("The length of what was sent is not a number.")
    # Leading zeros are allowed, in any number. Cut off is what is too long for every limit anyway.
    return int(text.lstrip("0")[:19] or "0")


def framed_bodies(get_response: Next) -> Next:
    """Whoever sends something says in advance how long it is, and nothing is longer than the largest log and the
    largest form together. What is only a log beyond its limit is told by its form, with all that was typed."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META:
            # In pieces, without a length: Django would take it for nothing at all.
            return errors.length_required(request)
        if body_length(request) > settings.REPLAY_MAX_MB * 2**20 + settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return errors.too_large(request)
        return get_response(request)

    return middleware


class BoundedBodies:
    """Before anybody reads what was sent, to look for the token of the form in it: who is not signed in sends a small
    form, who is signed in a form, and only a view that takes files gets them, from those whom it takes them from.

    Such a view has an attribute `takes_files`: called with the person and the arguments of the address, it says whether
    this person's files are taken.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        length = body_length(request)
        if length <= settings.VISITORS_FORM:
            return None
        if request.user.is_authenticated:
            takes_files = getattr(view, "takes_files", None)
            if length <= settings.MEMBERS_FORM or (takes_files and takes_files(request.user, **kwargs)):
                return None
        return errors.too_large(request)


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


class Turns:
    """Requests of who is signed in may take a turn for what is dear. Without one they are answered by a page
    that says so."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not isinstance(request.user.pk, int):
            return self.get_response(request)
        with turns.may_take(request.user.pk):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, turns.NoTurn):
            return errors.busy(request, exception)
        return None


class PlainText:
    """Text that cannot be kept or shown is refused before a view has it, and so before the database or the answer break
    on it: NUL, and what only other encodings than UTF-8 can bring in, such as halves of characters."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() not in ("utf-8", "utf8"):
            raise BadRequest("Text has to be sent as UTF-8.")
        self.refuse_nul(request.GET)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """What was sent is read here and not earlier: now it is known who sent it, and that it may be so long."""
        self.refuse_nul(request.POST)

    def refuse_nul(self, sent: QueryDict) -> None:
        if any("\0" in value for _, values in sent.lists() for value in values):
            raise BadRequest("Text cannot contain NUL.")


class SignInFirst(LoginRequiredMiddleware):
    """Who is not signed in is sent to do so, and comes back, with what was typed."""

    def process_view(self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any) -> Any:
        if request.user.is_authenticated:
            structlog.contextvars.bind_contextvars(by=request.user.get_username())
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponse:  # type: ignore[override]
        return kept.sign_in_first(request)


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
