"""The gate of agents, before everything that is about browsers, and before compression: what is signed is sent as it is.

Whatever comes of a request, its answer is signed: an agent believes nothing else.
"""

from collections.abc import Callable

import structlog
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import resolve

from karenpanel import outage
from karenpanel.client_address import address_of
from karenpanel.logs import redacted
from karenpanel.middleware import body_length
from securitygroups.api.agent.answers import Refused, not_yours, problem
from securitygroups.api.agent.signed import NotYours, Said, sign

ROOT = "/agent/"
LARGEST = 4 * 2**20
"""Bytes of a body that an agent sends."""

logger = structlog.get_logger()
Next = Callable[[HttpRequest], HttpResponse]


def agents(get_response: Next) -> Next:
    """Takes what is below /agent/ out of the way of browsers."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(ROOT):
            return get_response(request)
        request.user = AnonymousUser()
        request.said = said = Said.of(request)  # type: ignore[attr-defined]
        response = _answer(request, said)
        sign(response, said)
        if response.status_code != 304:
            # Who would say it otherwise stands behind this gate; without it the answer goes in pieces.
            response["Content-Length"] = str(len(response.content))
        return response

    return middleware


def _answer(request: HttpRequest, said: Said) -> HttpResponse:
    if outage.watch.away():
        return problem(request, _unavailable(outage.Trouble.AWAY))
    try:
        response = _behind(request)
    except NotYours as refused:
        # Each time: whoever tries keys, or sends again what was overheard, is to be found in the log.
        logger.warning("agent.refused", code=refused.code, host=refused.host, address=address_of(request))
        return problem(request, not_yours(refused.code))
    except Exception as error:
        return problem(request, _refused(request, error))
    if response.status_code == 405:
        told = problem(request, Refused("method", f"{request.method} is not done here, but {response['Allow']}."))
        told["Allow"] = response["Allow"]
        return told
    return response


def _behind(request: HttpRequest) -> HttpResponse:
    """The answer of the view that the address names."""
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise Refused("length", "Send a Content-Length: what comes in pieces is not read.")
    if body_length(request) > LARGEST:
        raise Refused("too-large", f"Send {LARGEST // 2**20} MiB at most.")
    request.resolver_match = match = resolve(request.path_info)
    return match.func(request, *match.args, **match.kwargs)  # type: ignore[no-any-return]


def _refused(request: HttpRequest, error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    if trouble := outage.trouble(error):
        if trouble is outage.Trouble.AWAY:
            outage.watch.look()
        return _unavailable(trouble)
    if isinstance(error, Http404):
        return Refused("not-found", "Agents ask for enrol, state and report.")
    if isinstance(error, RequestDataTooBig):
        return Refused("too-large", f"Send {LARGEST // 2**20} MiB at most.")
    if isinstance(error, BadRequest):
        return Refused("unreadable", str(error))
    logger.exception("agent", path=redacted(request.path_info))
    return Refused("fault", "Something is broken here. It is in the log, by this request's id.")


def _unavailable(trouble: outage.Trouble) -> Refused:
    return Refused("unavailable", f"The database cannot be asked: {trouble.value}. Try again in a moment.")
