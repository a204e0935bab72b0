"""What agent and panel sign, and who an agent's request is from.

A request is an agent's where the host that it names has that key, in the last minutes, and once. Each answer is signed by the
panel's key over the request's nonce, so that it is the answer to this question and to no other.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from securitygroups.enforcement import keys
from securitygroups.models import Host
from securitygroups.signing.keys import verifies
from securitygroups.signing.wire import (
    HOST_HEADER,
    NONCE_BYTES,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    Malformed,
    answer_bytes,
    decoded,
    request_bytes,
)

CLOCKS_DIFFER = timedelta(minutes=5)
"""By which an agent's time may differ from ours. A nonce is remembered for longer than the time with it is believed."""
_HOST_ID = re.compile(r"host-[0-9a-f]{10}")
_TIME = re.compile(r"[0-9]{1,12}")


class NotYours(Exception):
    """The request is not taken for the host's; `code` is the word for why that agents know, `host` the one that is meant."""

    def __init__(self, code: str, host: str) -> None:
        super().__init__(f"{code}: {host}")
        self.code, self.host = code, host


@dataclass(frozen=True, slots=True)
class Said:
    """What a request says of itself; what is not well formed is empty, or no time."""

    host: str
    time: int | None
    nonce: str
    signature: str

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        headers = request.headers
        host, time, nonce = (headers.get(name, "") for name in (HOST_HEADER, TIME_HEADER, NONCE_HEADER))
        return cls(
            host if _HOST_ID.fullmatch(host) else "",
            int(time) if _TIME.fullmatch(time) else None,
            nonce if _is(nonce, NONCE_BYTES) else "",
            headers.get(SIGNATURE_HEADER, ""),
        )

    @property
    def is_whole(self) -> bool:
        return bool(self.host and self.nonce and self.time is not None)

    def is_in_time(self) -> bool:
        return self.time is not None and abs(self.time - timezone.now().timestamp()) <= CLOCKS_DIFFER.total_seconds()

    def bytes(self, request: HttpRequest) -> bytes:
        """What the agent has signed. Reads the body."""
        stamp = (self.time or 0, self.nonce)
        return request_bytes(request.method or "", request.get_full_path(), request.body, stamp, self.host)


def _is(text: str, size: int) -> bool:
    try:
        decoded(text, size)
    except Malformed:
        return False
    return True


def host_of(request: HttpRequest, said: Said) -> Host:
    """The host whose agent has signed the request; whether it was sent before is not looked at here (one query).

    Raises NotYours. What is said in the headers is looked at before the body is read, which may be long.
    """
    host = _found(said.host) if said.is_whole else None
    if host is None or not host.key:
        raise NotYours("unknown-key", said.host)
    if not verifies(host.key, said.bytes(request), said.signature):
        raise NotYours("unknown-key", said.host)
    if host.revoked_at is not None:
        raise NotYours("revoked", said.host)
    if not said.is_in_time():
        raise NotYours("clock", said.host)
    return host


def _found(public_id: str) -> Host | None:
    # What is asked by every host every few seconds: only what is looked at, in no order.
    rows = Host.objects.only("public_id", "name", "key", "revoked_at").order_by()
    return next(iter(rows.filter(public_id=public_id)), None)


def sign(response: HttpResponse, said: Said) -> None:
    """Put the panel's signature onto the answer, where the request has a nonce to answer to."""
    if not said.nonce:
        return
    signed = answer_bytes(response.status_code, response.content, response.get("ETag", ""), said.nonce, said.host)
    response[SIGNATURE_HEADER] = keys.signed(signed)
