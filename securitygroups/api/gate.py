"""The gate of programs, before everything that is about browsers: a token instead of a session, no cookies, no forms, and
every refusal as a problem. What stands before it is the same for all: request id, headers, compression.
"""

import re
from collections.abc import Callable
from typing import cast

import structlog
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from django.utils.cache import add_never_cache_headers

from karenpanel import outage, turns
from karenpanel.client_address import address_of
from karenpanel.counts import KeptCache
from karenpanel.logs import redacted
from karenpanel.middleware import body_length
from securitygroups import operations
from securitygroups.access import SUPPORT, Access, project_of, token_by
from securitygroups.api.problems import Refusal, answered, problem, unavailable
from securitygroups.models import ApiToken
from securitygroups.operations import Client

ROOT = "/api/"
_BEARER = re.compile(r"Bearer +(kp_[A-Za-z0-9]{43})", re.IGNORECASE)
_REFUSED = (403, 404, 429, 503)

logger = structlog.get_logger()
Next = Callable[[HttpRequest], HttpResponse]


def programs(get_response: Next) -> Next:
    """Takes what is below /api/ out of the way of browsers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(ROOT):
            return get_response(request)
        response = _answer(request)
        add_never_cache_headers(response)
        return response

    return middleware


def _answer(request: HttpRequest) -> HttpResponse:
    request.user = AnonymousUser()
    # No cookie lets anybody in here, so no other site can make a browser send something.
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    if outage.watch.away():
        return unavailable(request, outage.Trouble.AWAY)
    try:
        response = _as_told(request, _behind(request))
    except Exception as error:
        told = answered(request, error)
        if told is None:
            logger.exception("api", path=redacted(request.path_info))
            told = problem(request, "fault", "Something is broken here. It is in the log, by this request's id.")
        response = told
    return _on_record(request, response)


def _behind(request: HttpRequest) -> HttpResponse:
    """The answer of the view that the address names."""
    _refuse_unframed(request)
    token = _token_of(request)
    request.token = token  # type: ignore[attr-defined]
    request.resolver_match = match = resolve(request.path_info)
    _refuse_nul(request)
    if token is None:
        return match.func(request, *match.args, **match.kwargs)  # type: ignore[no-any-return]
    with turns.may_take(token.user_id):
        return match.func(request, *match.args, **match.kwargs)  # type: ignore[no-any-return]


def _refuse_unframed(request: HttpRequest) -> None:
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise Refusal("length", "Send a Content-Length: what comes in pieces is not read.")
    most = settings.REPLAY_MAX_MB * 2**20 + settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if body_length(request) > most:
        raise Refusal("too-large", f"Send {most // 2**20} MiB at most.")


def _refuse_nul(request: HttpRequest) -> None:
    """The one character that no text of a database has; in what is sent, its reader refuses it."""
    for name, values in request.GET.lists():
        if any("\0" in value for value in values):
            fault = {"parameter": name, "detail": "Leave the character U+0000 out: no text has it."}
            raise Refusal("invalid", fault["detail"], [fault])


def _token_of(request: HttpRequest) -> ApiToken | None:
    """The token that was shown, good and in time; None where there is none. Raises Refusal, PermissionDenied."""
    found = _BEARER.fullmatch(request.headers.get("Authorization", "").strip())
    token = token_by(operations.digest_of(found[1])) if found else None
    if token is None:
        return None
    address = address_of(request)
    if token.networks and not operations.is_within(address, token.networks):
        # Somebody else may have it.
        logger.warning("api.elsewhere", program=token.pk, by=token.user.get_username(), address=address)
        raise PermissionDenied(
            "This token is not taken from where you are: its allowed networks do not hold your address."
        )
    _check_person(token)
    _count(token)
    structlog.contextvars.bind_contextvars(by=token.user.get_username(), program=token.pk)
    operations.note_use(token, address)
    request.user = token.user
    return token


def _check_person(token: ApiToken) -> None:
    """What a person would be asked for who signs in. A project's own token stands for nobody."""
    if token.project is not None:
        return
    if token.user.must_change_password:
        raise PermissionDenied(
            "Somebody else typed this person's password: they have to sign in and choose another first."
        )
    if token.user.is_staff and settings.STAFF_SECOND_FACTOR and not token.strong:
        raise PermissionDenied("Staff need a token that was made while signed in with a second factor.")


def _count(token: ApiToken) -> None:
    """One request of the token's, over all processes. Raises Refusal."""
    burst, every = settings.API_BURST, 60 / settings.API_PER_MINUTE
    seconds = cast(KeptCache, cache).take(f"token:{token.pk}", burst, every)
    if seconds:
        raise Refusal(
            "too-many",
            f"{settings.API_PER_MINUTE} requests a minute are taken of one token, and {burst} at once.",
            retry_after=max(1, round(seconds)),
        )


def _as_told(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if response.status_code != 405:
        return response
    words = problem(request, "method", f"{request.method} is not done here, but {response['Allow']}.")
    words["Allow"] = response["Allow"]
    return words


def _on_record(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Support's look, before it goes out; and what was refused to somebody."""
    access: Access | None = getattr(request, "access", None)
    looked = access is not None and access.role == SUPPORT and response.status_code not in _REFUSED
    if looked and access is not None and access.visit is not None:
        operations.record_look(visit=access.visit, page=request.get_full_path())
    token: ApiToken | None = getattr(request, "token", None)
    slug = request.resolver_match.kwargs.get("project") if request.resolver_match else None
    # Or in what was sent, where an operation is about several.
    slug = getattr(request, "refused_at", slug)
    if token is not None and slug and (response.status_code == 403 or (response.status_code == 404 and access is None)):
        _note_refusal(request, token, slug, response.status_code)
    return response


def _note_refusal(request: HttpRequest, token: ApiToken, slug: str, status: int) -> None:
    client = Client(address_of(request) or None, request.headers.get("User-Agent", ""))
    detail = {"status": status, "method": request.method, "path": redacted(request.get_full_path()), "token": token.pk}
    operations.note_refusal(user=token.user, project=project_of(slug), client=client, **detail)
