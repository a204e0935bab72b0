"""Clients of a web server that are measured, and clients that are slow."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import quantiles

HOST = "127.0.0.1"
SLOW = 64


def get(path: str, cookie: str = "", *, keep: bool = True) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Cookie: {cookie}", "Accept-Encoding: identity"]
    lines += [] if keep else ["Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode()


def post(path: str, length: int, kind: str = "application/x-www-form-urlencoded") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {length}"]
    # With it the form's token is looked for in the body, without it nothing is read.
    lines += [f"Cookie: csrftoken={'a' * 32}"]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(line: socket.socket) -> bytes:
    """One answer with a length, or in pieces as some servers send it. Raises OSError where there is none."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        more(line, data)
    head = bytes(data[:end]).lower()
    if b"content-length:" in head:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(data) < end + 4 + length:
            more(line, data)
    elif b"transfer-encoding: chunked" in head:
        while not data.endswith(b"0\r\n\r\n"):
            more(line, data)
    return bytes(data)


def more(line: socket.socket, data: bytearray) -> None:
    if not (piece := line.recv(262_144)):
        raise ConnectionError("It ended.")
    data += piece


def connect(port: int, seconds: float = 10.0) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=seconds)


def took(port: int, request: bytes, seconds: float = 10.0) -> float:
    """Seconds until a fresh connection has its answer; `seconds` where it has none by then."""
    start = time.monotonic()
    try:
        with connect(port, seconds) as line:
            line.sendall(request)
            assert answer(line).startswith(b"HTTP/1.1 200"), "not the page"
    except OSError:
        return seconds
    return time.monotonic() - start


def under_load(port: int, request: bytes, connections: int, seconds: float) -> tuple[float, float, float]:
    """Answers a second, and the milliseconds of the middle one and of 99 in 100."""
    until = time.monotonic() + seconds
    times: list[float] = []

    def ask() -> None:
        with connect(port, 30) as line:
            while (start := time.monotonic()) < until:
                line.sendall(request)
                assert answer(line).startswith(b"HTTP/1.1 200")
                times.append(time.monotonic() - start)

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = quantiles(times, n=100)
    return len(times) / seconds, cuts[49] * 1000, cuts[98] * 1000


# ── Slow ones ─────────────────────────────────────────────────────────────────


def half_head(line: socket.socket) -> None:
    line.sendall(b"GET /sign-in/ HTTP/1.1\r\nHost: loc")


def half_body(line: socket.socket) -> None:
    line.sendall(post("/sign-in/", 1000) + b"username=")


def half_long_body(line: socket.socket) -> None:
    line.sendall(post("/sign-in/", 20 * 2**20) + b"username=")


def idle(line: socket.socket) -> None:
    line.sendall(get("/healthz"))
    answer(line)


def drip(line: socket.socket) -> None:
    """A byte a second of a form. Who calls it again sends the next byte."""
    line.sendall(b"x")


def unread(path: str) -> Callable[[socket.socket], None]:
    """Ask for something large, and take nothing of it."""

    def begin(line: socket.socket) -> None:
        line.sendall(get(path))

    return begin


@contextmanager
def slow(port: int, begin: Callable[[socket.socket], None], *, dripping: bool = False) -> Iterator[list[socket.socket]]:
    """So many clients that began like this and go no further."""
    lines: list[socket.socket] = []
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(1.0):
            for line in lines:
                try:
                    drip(line)
                except OSError:
                    continue

    thread = threading.Thread(target=go_on)
    try:
        for _ in range(SLOW):
            line = socket.socket()
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.settimeout(3)
            lines.append(line)
            try:
                line.connect((HOST, port))
                begin(line)
            except OSError:
                continue
        if dripping:
            thread.start()
        yield lines
    finally:
        ended.set()
        if dripping:
            thread.join()
        for line in lines:
            line.close()
