"""Asking the panel. What is not signed with its pinned key did not come from it, whoever sent it."""

import http.client
import ipaddress
import json
import secrets
import select
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from securitygroups.agent import VERSION
from securitygroups.firewall.texts import shown
from securitygroups.signing.keys import Key, verifies
from securitygroups.signing.wire import (
    HOST_HEADER,
    MAX_BODY,
    NONCE_BYTES,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    answer_bytes,
    encoded,
    request_bytes,
)

PATIENCE = 10.0
"""Seconds that the panel may keep silent."""
LONGEST = 40.0
"""Seconds that one answer may take in all: who sends a byte now and then is not waited for."""


class NotReached(RuntimeError):
    """No answer came that the panel has signed; the message says what came instead."""


class _Over(NotReached):
    """A connection that was kept for the next request has ended, as all do in the end, and nobody has answered."""


class Refused(RuntimeError):
    """The panel's own no. `code` is its word for why, `status` that of HTTP."""

    def __init__(self, status: int, problem: Any) -> None:
        told = problem if isinstance(problem, dict) else {}
        self.status, self.code = status, shown(told.get("code", ""))
        self.time = told.get("time")
        super().__init__(shown(told.get("detail") or told.get("title") or f"The panel answered {status}."))


class Answer(NamedTuple):
    """What the panel said, and its ETag or an empty text."""

    status: int
    body: bytes
    etag: str

    def value(self) -> Any:
        """The body's JSON, None where there is none. Raises NotReached, for the panel would not say anything else."""
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            raise NotReached("The panel's answer cannot be read.") from None


@dataclass(frozen=True, slots=True)
class Address:
    """The panel's, in parts; `base` is the path before that of its doors."""

    secure: bool
    name: str
    port: int
    base: str


def address(url: str) -> Address:
    """Raises ValueError with what to write instead."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"“{shown(url)}” is not a panel's address: write it as https://panel.example.com.")
    secure = parts.scheme == "https"
    return Address(secure, parts.hostname, port or (443 if secure else 80), parts.path.rstrip("/"))


def is_near(where: Address) -> bool:
    """Whether what is said there never leaves this machine."""
    try:
        return ipaddress.ip_address(where.name).is_loopback
    except ValueError:
        return where.name == "localhost"


@dataclass
class Panel:
    """A host's way to its panel, over one connection while it lasts. One thread at a time.

    `ahead` is how many seconds the panel's clock is before ours, as it said when it did not take our time.
    """

    url: str
    key: str
    own: Key
    host: str = ""
    authorities: str = ""
    ahead: int = field(default=0, init=False)
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def ask(self, method: str, path: str, value: Any = None, etag: str = "") -> Answer:
        """The panel's answer, 200 or 304. `path` is below its doors for agents. Raises NotReached, Refused."""
        body = b"" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_BODY:
            raise NotReached(f"What there is to say has {len(body)} bytes: the panel takes {MAX_BODY}.")
        try:
            return self._ask(method, path, body, etag)
        except _Over:
            # Signed anew: this one may have come. What is counted by it has its own number, and the rest may be said twice.
            return self._ask(method, path, body, etag)
        except Refused as refused:
            if refused.code != "clock" or type(refused.time) is not int:
                raise
            # Nobody but the panel can have said it, and to this very request: its time is as good as any other.
            self.ahead = refused.time - int(time.time())
            return self._ask(method, path, body, etag)

    def _ask(self, method: str, path: str, body: bytes, etag: str) -> Answer:
        target = f"{address(self.url).base}/agent/v1/{path}"
        stamp = (int(time.time()) + self.ahead, encoded(secrets.token_bytes(NONCE_BYTES)))
        headers = {
            HOST_HEADER: self.host,
            TIME_HEADER: f"{stamp[0]}",
            NONCE_HEADER: stamp[1],
            SIGNATURE_HEADER: self.own.sign(request_bytes(method, target, body, stamp, self.host)),
            "User-Agent": f"karenpanel-agent/{VERSION}",
        }
        if body:
            headers["Content-Type"] = "application/json"
        if etag:
            headers["If-None-Match"] = etag
        answer, signature = self._sent(method, target, body, headers)
        if not verifies(
            self.key, answer_bytes(answer.status, answer.body, answer.etag, stamp[1], self.host), signature
        ):
            raise NotReached(f"An answer came ({answer.status}), but the panel did not sign it.")
        if answer.status in (200, 304):
            return answer
        raise Refused(answer.status, _problem(answer.body))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _sent(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[Answer, str]:
        """The answer, and its signature."""
        kept, before = False, self._connection
        try:
            connection = self._open()
            response = _within(connection, lambda: _exchange(connection, method, target, body, headers))
            data, found = response
            if len(data) > MAX_BODY:
                raise NotReached(f"The answer has more than {MAX_BODY // 2**20} MiB.")
            kept = not found.will_close
            etag, signature = found.getheader("ETag", ""), found.getheader(SIGNATURE_HEADER, "")
            if not (etag.isascii() and signature.isascii()):
                raise NotReached("The answer's headers cannot be read.")
            return Answer(found.status, data, etag), signature
        except (OSError, http.client.HTTPException, ValueError) as error:
            over = isinstance(error, ConnectionError) and before is not None and before is self._connection
            raise (_Over if over else NotReached)(f"{self.url} does not answer: {_why(error)}.") from None
        finally:
            if not kept:
                self.close()

    def _open(self) -> http.client.HTTPConnection:
        """The connection that there is, or a new one. Raises OSError, ValueError."""
        if self._connection is not None and _is_over(self._connection):
            self.close()
        if self._connection is None:
            where = address(self.url)
            if where.secure:
                trusted = ssl.create_default_context()
                if self.authorities:
                    trusted.load_verify_locations(self.authorities)
                self._connection = http.client.HTTPSConnection(
                    where.name, where.port, timeout=PATIENCE, context=trusted
                )
            else:
                self._connection = http.client.HTTPConnection(where.name, where.port, timeout=PATIENCE)
            self._connection.connect()
        return self._connection


def _exchange(
    connection: http.client.HTTPConnection, method: str, target: str, body: bytes, headers: dict[str, str]
) -> tuple[bytes, http.client.HTTPResponse]:
    connection.request(method, target, body or None, headers)
    response = connection.getresponse()
    return response.read(MAX_BODY + 1), response


def _within(connection: http.client.HTTPConnection, exchange: Any) -> Any:
    """What the exchange gives, or an OSError once it has taken LONGEST."""

    def end() -> None:
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(LONGEST, end)
    timer.daemon = True
    timer.start()
    try:
        return exchange()
    finally:
        timer.cancel()


def _is_over(connection: http.client.HTTPConnection) -> bool:
    """Whether the other side has closed it, or has said something that nobody asked for."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def _problem(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _why(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(words).rstrip(".")
