"""One request to a receiver, and what came of it: over a socket of our own to an address that was looked at.

Nothing here follows a redirect, takes a proxy from the environment, keeps a connection, or waits longer than ten seconds,
whatever the other side does.
"""

import ssl
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPException, HTTPSConnection
from socket import create_connection
from typing import Any

from django.conf import settings

from securitygroups.webhooks.addresses import NotAllowed, Reach, Resolver, Target, addresses_of, read_target, resolve
from securitygroups.webhooks.answer import Answer, wait_of

CONNECT_SECONDS, SECONDS = 5.0, 10.0
MOST_READ = 64 * 1024
"""Bytes of an answer, its head among them."""
_TOO_MUCH = "It answered with more than is read."
# The system's resolver knows no time limit. A name that hangs holds one of these, and none of the threads that send.
_names = ThreadPoolExecutor(32, thread_name_prefix="names")


class _Watched(ssl.SSLSocket):
    """Has until a moment for all that it does, and reads so many bytes at most: each wait for itself could be drawn out by
    a byte now and then."""

    until = 0.0
    left = MOST_READ

    def _in_time(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        self._in_time()
        if self.left <= 0:
            raise HTTPException(_TOO_MUCH)
        size = min(nbytes or len(buffer), self.left)
        number = super().recv_into(memoryview(buffer)[:size], size, flags)
        self.left -= number
        return number

    def send(self, data: Any, flags: int = 0) -> int:
        self._in_time()
        return super().send(data, flags)


def post(url: str, headers: Mapping[str, str], body: bytes, to: Reach, resolver: Resolver = resolve) -> Answer:
    """Send it once. Whatever goes wrong stands in the answer."""
    begun = time.monotonic()
    until = begun + SECONDS
    status, wait, error = None, 0, ""
    try:
        target = read_target(url, to)
        status, wait = _asked(target, _found(target, to, resolver, until), headers, body, until)
    except NotAllowed as refusal:
        error = str(refusal)
    except (OSError, HTTPException, ValueError) as trouble:
        error = in_words(trouble)
    if status is not None and 300 <= status < 400:
        error = "It answered that it is elsewhere, which is not followed: name the address that it leads to."
    return Answer(status, error, round((time.monotonic() - begun) * 1000), wait)


def _found(target: Target, to: Reach, resolver: Resolver, until: float) -> list[str]:
    asked: Future[list[str]] = _names.submit(addresses_of, target, to, resolver)
    try:
        return asked.result(min(CONNECT_SECONDS, until - time.monotonic()))
    except TimeoutError:
        asked.cancel()
        raise NotAllowed(f"{target.host} stands for no public address.") from None


def _asked(target: Target, ips: list[str], headers: Mapping[str, str], body: bytes, until: float) -> tuple[int, int]:
    """The status of the answer, and for how many seconds it asks to be left alone. Raises OSError, HTTPException."""
    context = _context(settings.WEBHOOK_CA_FILE)
    with _connected(ips, target.port, until) as plain:
        plain.settimeout(max(until - time.monotonic(), 0.001))
        # By the name that was typed: it is what the certificate has to be for, and not the address.
        with context.wrap_socket(plain, server_hostname=target.host) as secure:
            secure.until = until  # type: ignore[attr-defined]
            talk = HTTPSConnection(target.host, target.port, context=context)
            talk.auto_open = 0
            talk.sock = secure
            talk.request("POST", target.path, body, {**headers, "Connection": "close"})
            answer = talk.getresponse()
            # Only so that a short one is not cut off: nothing of it is kept, and the status says all.
            secure.until = min(until, time.monotonic() + 1)  # type: ignore[attr-defined]
            with suppress(OSError, HTTPException, ValueError):
                while answer.read(8192):
                    pass
            return answer.status, wait_of(answer.getheader("Retry-After", ""))


def _connected(ips: list[str], port: int, until: float) -> Any:
    """The first that takes the connection, all within the time for it. Raises OSError."""
    by = min(time.monotonic() + CONNECT_SECONDS, until)
    trouble: OSError = TimeoutError()
    for ip in ips:
        left = by - time.monotonic()
        if left <= 0:
            break
        try:
            return create_connection((ip, port), timeout=left)
        except OSError as error:
            trouble = error
    raise trouble


@lru_cache(maxsize=2)
def _context(authorities: str) -> ssl.SSLContext:
    """The system's authorities, and those of the installation."""
    context = ssl.create_default_context()
    if authorities:
        context.load_verify_locations(authorities)
    context.sslsocket_class = _Watched
    return context


def in_words(trouble: Exception) -> str:
    """What kept an answer from coming, in one sentence without anything that the other side could have written."""
    if isinstance(trouble, TimeoutError):
        return "There was no answer in time."
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return f"Its certificate is not taken: {trouble.verify_message}."
    if isinstance(trouble, ssl.SSLError):
        return "It speaks no TLS that is taken: 1.2 or newer is."
    if isinstance(trouble, ConnectionRefusedError):
        return "It refuses connections at this port."
    if isinstance(trouble, OSError):
        return "The connection broke, or came to nothing."
    return _TOO_MUCH if _TOO_MUCH in str(trouble) else "It answered with something that is no HTTP."
