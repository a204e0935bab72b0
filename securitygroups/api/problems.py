"""What goes wrong, as problem+json (RFC 9457): the words and fields of the panel's forms, as data.

`type` is urn:karenpanel:problem:NAME, the name one of KINDS. `errors` say each what is wrong at which place of the document
(`pointer`, RFC 6901), and in `suggestions` what would be taken instead.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    ValidationError,
)
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import errors as ninja

from karenpanel import outage
from karenpanel.turns import NoTurn
from securitygroups.access import ReasonNeeded, SecondFactorNeeded
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.texts import Problem
from securitygroups.operations import Conflict, RefusedRules

CONTENT_TYPE = "application/problem+json"
AGAIN_SECONDS = 5

KINDS = {
    "unreadable": (400, "This cannot be read"),
    "no-token": (401, "Show a token that is good"),
    "forbidden": (403, "This token may not do that"),
    "second-factor": (403, "A second factor is needed"),
    "reason-needed": (403, "Name a reason first"),
    "not-found": (404, "There is nothing here"),
    "method": (405, "This is not done here"),
    "conflict": (409, "Somebody else has changed this"),
    "confirm": (409, "Look at this first"),
    "length": (411, "Say how long it is"),
    "stale": (412, "This is not the newest revision"),
    "too-large": (413, "This is too large"),
    "media-type": (415, "This type is not taken here"),
    "invalid": (422, "This cannot be taken as it is"),
    "key-used": (422, "This key was used for something else"),
    "no-base": (428, "Say on which revision it stands"),
    "too-many": (429, "Too many requests"),
    "busy": (503, "There is no turn for this now"),
    "fault": (500, "Something is broken here"),
    "unavailable": (503, "The database cannot be asked now"),
}

Errors = Sequence[Mapping[str, Any]]


class Refusal(Exception):
    """A request that is answered by a problem of this kind; `more` are members of its own."""

    def __init__(self, kind: str, detail: str, errors: Errors = (), **more: Any) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors, self.more = kind, detail, errors, more


def problem(request: HttpRequest, kind: str, detail: str, errors: Errors = (), **more: Any) -> HttpResponse:
    status, title = KINDS[kind]
    said = {"type": f"urn:karenpanel:problem:{kind}", "title": title, "status": status, "detail": detail}
    if errors:
        said["errors"] = list(errors)
    said |= {"request_id": getattr(request, "request_id", "")} | more
    response = JsonResponse(said, status=status, content_type=CONTENT_TYPE)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="karenpanel"'
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        response["Retry-After"] = str(more.get("retry_after", AGAIN_SECONDS))
    # What is refused is no fault of ours, and on a busy day there is much of it.
    response._has_been_logged = status != HTTPStatus.INTERNAL_SERVER_ERROR  # type: ignore[attr-defined]
    return response


def answered(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """The answer to what was raised, None where nobody has words for it."""
    if trouble := outage.trouble(error):
        return unavailable(request, trouble)
    for kind, told in _TOLD.items():
        if isinstance(error, kind):
            refusal = told(error)
            return problem(request, refusal.kind, refusal.detail, refusal.errors, **refusal.more)
    return None


def unavailable(request: HttpRequest, trouble: outage.Trouble) -> HttpResponse:
    if trouble is outage.Trouble.AWAY:
        outage.watch.look()
    return problem(request, "unavailable", f"The database cannot be asked: {trouble.value}. Try again in a moment.")


def at(pointer: str, problem: Problem) -> dict[str, Any]:
    """One thing that is wrong, at its place."""
    said: dict[str, Any] = {"pointer": pointer, "detail": problem.message}
    return said | ({"suggestions": list(problem.suggestions)} if problem.suggestions else {})


def pointer(where: str) -> str:
    """The JSON pointer of a fault's place, such as rules[2].source."""
    if not where or where == "document":
        return ""
    parts = [part for part in re.split(r"[.\[\]]+", where) if part]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _document(error: BadDocument) -> Refusal:
    faults = [at(pointer(fault.where), fault.problem) for fault in error.faults]
    more = f" The first {len(faults)} of {error.total} faults are told." if error.total > len(faults) else ""
    return Refusal("invalid", f"{faults[0]['detail']}{more}" if faults else str(error), faults)


def _rules(error: RefusedRules) -> Refusal:
    found = [
        at(f"/rules/{place - 1}/{name}", problem)
        for place, fields in error.problems.items()
        for name, problem in fields.items()
    ]
    return Refusal("invalid", f"{len(error.problems)} of the rules cannot be stored.", found)


def _invalid(error: ValidationError) -> Refusal:
    found = [_error(name, one) for name, ones in _by_field(error) for one in ones]
    return Refusal("invalid", " ".join(one["detail"] for one in found), found)


def _by_field(error: ValidationError) -> Iterator[tuple[str, Sequence[ValidationError]]]:
    if hasattr(error, "error_dict"):
        yield from error.error_dict.items()
    else:
        yield NON_FIELD_ERRORS, error.error_list


def _error(name: str, error: ValidationError) -> dict[str, Any]:
    where = "" if name == NON_FIELD_ERRORS else f"/{name}"
    suggestions = tuple((error.params or {}).get("suggestions", ())) if isinstance(error.params, dict) else ()
    return at(where, Problem(" ".join(error.messages), suggestions))


def _unlike_the_schema(error: ninja.ValidationError) -> Refusal:
    found = []
    for one in error.errors:
        place, *rest = one.get("loc", ())
        where = rest[1:] if place == "body" and len(rest) > 1 else rest
        said: dict[str, Any] = {"detail": str(one.get("msg", ""))}
        said |= {"pointer": pointer(".".join(map(str, where)))} if place == "body" else {"parameter": str(where[-1])}
        found.append(said)
    return Refusal("invalid", "; ".join(f"{_place(one)}: {one['detail']}" for one in found[:5]), found)


def _place(said: Mapping[str, Any]) -> str:
    return said.get("parameter") or said.get("pointer") or "the document"


def _unread(error: ninja.HttpError) -> Refusal:
    """Ninja says of every body that it cannot be parsed; our reader has said why."""
    why = error.__cause__
    if isinstance(why, Refusal):
        return why
    return _document(why) if isinstance(why, BadDocument) else Refusal("unreadable", str(error))


def _turn(error: NoTurn) -> Refusal:
    if error.own:
        return Refusal("too-many", "Another request of this token's person is worked on: send this one after it.")
    return Refusal("busy", "Too much is worked on at the moment: try again in a few seconds.")


_TOLD: Mapping[type[Exception], Callable[[Any], Refusal]] = {
    Refusal: lambda error: error,
    BadDocument: _document,
    RefusedRules: _rules,
    ValidationError: _invalid,
    ninja.ValidationError: _unlike_the_schema,
    ninja.AuthenticationError: lambda _: Refusal(
        "no-token", "Send “Authorization: Bearer kp_…” with a token that is neither revoked nor expired."
    ),
    ninja.HttpError: _unread,
    Http404: lambda _: Refusal("not-found", "Nothing of this name is here for this token."),
    PermissionDenied: lambda error: Refusal("forbidden", str(error) or "This token may not do that."),
    SecondFactorNeeded: lambda error: Refusal(
        "second-factor", f"{error} Make a token while you are signed in with one."
    ),
    ReasonNeeded: lambda error: Refusal(
        "reason-needed", f"{error} It is named in the panel, and is good for half an hour."
    ),
    Conflict: lambda error: Refusal("conflict", str(error), revision=error.revision),
    NoTurn: _turn,
    RequestDataTooBig: lambda _: Refusal("too-large", "What was sent is longer than is taken here."),
    BadRequest: lambda error: Refusal("unreadable", str(error)),
}
"""In the order in which they are tried: what is more special stands first."""
