"""What agents are answered where it is no. `code` is the word that they go by, the rest is for people who read logs."""

import time
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from securitygroups.api.problems import AGAIN_SECONDS, CONTENT_TYPE

CODES = {
    "unreadable": (400, "This cannot be read"),
    "unknown-key": (401, "This is signed by nobody that is known"),
    "clock": (401, "This was signed at another time"),
    "replayed": (401, "This was sent before"),
    "revoked": (401, "The host was revoked"),
    "token": (403, "This does not enrol the host"),
    "not-found": (404, "There is nothing here"),
    "method": (405, "This is not done here"),
    "length": (411, "Say how long it is"),
    "too-large": (413, "This is too large"),
    "invalid": (422, "This cannot be taken as it is"),
    "too-many": (429, "Too many requests"),
    "fault": (500, "Something is broken here"),
    "unavailable": (503, "The database cannot be asked now"),
    "too-long": (507, "The state is too long for an agent"),
}


class Refused(Exception):
    """A request that is answered by a problem of this code; `more` are members of its own."""

    def __init__(self, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.more = code, detail, more


def problem(request: HttpRequest, refused: Refused) -> HttpResponse:
    """As problem+json (RFC 9457)."""
    code = refused.code
    status, title = CODES[code]
    said = {"type": f"urn:karenpanel:problem:{code}", "title": title, "status": status, "code": code}
    said |= {"detail": refused.detail, "request_id": getattr(request, "request_id", "")} | refused.more
    response = JsonResponse(said, status=status, content_type=CONTENT_TYPE)
    if status == 401:
        response["WWW-Authenticate"] = "Karenpanel-Signature"
    if status in (429, 503):
        response["Retry-After"] = str(refused.more.get("retry_after", AGAIN_SECONDS))
    response._has_been_logged = status != 500  # type: ignore[attr-defined]
    return response


def not_yours(code: str) -> Refused:
    """Why a request is not taken for the host's."""
    words = {
        "unknown-key": "No host has this ID and this key: enrol it with a line from the administration.",
        "replayed": "This request was sent before: each one has a nonce of its own.",
        "revoked": "The host was revoked: it is told nothing until it is enrolled anew.",
        "clock": "The time of the request is not the panel's, which stands in “time”, in Unix seconds.",
    }
    return Refused(code, words[code], **({"time": int(time.time())} if code == "clock" else {}))
