"""Whoever sits between an agent and its panel: passes on what both say, or does not."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

_HOP = {"connection", "transfer-encoding", "keep-alive", "date", "server", "content-length"}


class Asked(NamedTuple):
    """A request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Said(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


Changes = Callable[[Asked, Said], Said | None]
"""What somebody makes of an answer; None cuts it."""


@dataclass
class Between:
    """`port` is the panel's. Everything that went through is kept."""

    port: int
    url: str = ""
    changes: Changes | None = None
    went: list[tuple[Asked, Said]] = field(default_factory=list)

    def ask(self, asked: Asked) -> Said:
        """The panel's own answer. Raises OSError, HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(asked.method, asked.path, asked.body or None, asked.headers)
            answer = connection.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            return Said(answer.status, headers, answer.read())
        finally:
            connection.close()

    def of(self, path: str, status: int | None = None) -> list[tuple[Asked, Said]]:
        """What went through to and from one of the panel's doors."""
        return [
            (asked, said)
            for asked, said in self.went
            if asked.path.endswith(path) and (status is None or said.status == status)
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def _pass_on(self) -> None:
        between = self.server.between
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        asked = Asked(self.command, self.path, headers, body)
        try:
            said: Said | None = between.ask(asked)
        except (OSError, http.client.HTTPException):
            said = None
        if said is not None:
            between.went.append((asked, said))
            said = between.changes(asked, said) if between.changes else said
        if said is None:
            self.close_connection = True
            return
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        if said.status != 304:
            self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        self.wfile.write(said.body)

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Agents are killed in the midst of what they say."""

    def __init__(self, between: Between, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.between = between
        self.socket.close()
        self.socket = listener


@contextmanager
def between(port: int, listener: socket.socket) -> Iterator[Between]:
    """A way to the panel at this port, from wherever the socket listens, which may be in another network namespace."""
    host, own = listener.getsockname()[:2]
    made = Between(port, f"http://{host}:{own}")
    server = _Server(made, listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
