"""A panel as an agent sees it: a server of HTTP that checks every signature, and signs every answer, with real keys."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from securitygroups.signing.keys import Key, verifies
from securitygroups.signing.wire import (
    HOST_HEADER,
    NONCE_HEADER,
    SIGNATURE_HEADER,
    TIME_HEADER,
    answer_bytes,
    request_bytes,
)

HOST = "host-0123456789"
TOKEN = "a-token-that-works-once"
Changed = tuple[int, bytes, dict[str, str]]


@dataclass
class PanelServer:
    """`state` is what it says, `reports` what it was told. `on_the_way` is whoever sits between it and the agent. Of so many
    requests as `cut` says the connection ends before they are answered; reports are refused as `odd`."""

    key: Key = field(default_factory=Key.new)
    state: dict[str, Any] = field(default_factory=dict)
    known: str = ""
    token: str = TOKEN
    ahead: int = 0
    broken: bool = False
    cut: int = 0
    odd: bool = False
    on_the_way: Callable[[Changed], Changed] | None = None
    reports: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    url: str = ""
    reported: threading.Event = field(default_factory=threading.Event)

    @property
    def etag(self) -> str:
        return '"' + hashlib.sha256(json.dumps(self.state, sort_keys=True).encode()).hexdigest()[:32] + '"'

    def vm(self, uid: str) -> dict[str, Any]:
        """What it was told of a VM last."""
        return next(vm for report in reversed(self.reports) for vm in report["vms"] if vm["id"] == uid)

    def answer(self, method: str, target: str, body: bytes, headers: Any) -> Changed:
        """Status, body and headers, before anybody on the way has had them."""
        nonce, host = headers.get(NONCE_HEADER, ""), headers.get(HOST_HEADER, "")
        status, value, etag = self._decided(method, target, body, headers)
        said = b"" if value is None else json.dumps(value).encode()
        signature = self.key.sign(answer_bytes(status, said, etag, nonce, host))
        self.asked.append((method, target, status))
        return status, said, {"ETag": etag, SIGNATURE_HEADER: signature}

    def _decided(self, method: str, target: str, body: bytes, headers: Any) -> tuple[int, Any, str]:
        value: Any = json.loads(body) if body else None
        enrols = target.endswith("/enrol")
        key = value["key"] if enrols else self.known
        stamp = (int(headers[TIME_HEADER]), headers[NONCE_HEADER])
        host = headers.get(HOST_HEADER, "")
        if not verifies(key, request_bytes(method, target, body, stamp, host), headers[SIGNATURE_HEADER]):
            return self._refused("unknown-key")
        now = int(time.time()) + self.ahead
        if abs(stamp[0] - now) > 300:
            return self._refused("clock", time=now)
        if stamp[1] in self.nonces:
            return self._refused("replayed")
        self.nonces.add(stamp[1])
        if enrols:
            return self._enrolled(value)
        if target.endswith("/report") and self.odd:
            return 422, {"code": "invalid", "detail": "counters[0]: this has to be otherwise."}, ""
        if target.endswith("/report"):
            self.reports.append(value)
            self.reported.set()
            return 200, {"state": self.etag}, ""
        if headers.get("If-None-Match") == self.etag:
            return 304, None, self.etag
        return 200, self.state, self.etag

    def _enrolled(self, value: Any) -> tuple[int, Any, str]:
        if value["token"] != self.token:
            return 403, {"code": "token", "detail": "The token is not good any more."}, ""
        self.known, self.token = value["key"], ""
        return 200, {"host": HOST, "name": "kvm-3"}, ""

    def _refused(self, code: str, **more: Any) -> tuple[int, Any, str]:
        self.refusals.append(code)
        return 401, {"code": code, "detail": f"Refused: {code}.", **more}, ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def _answer(self) -> None:
        panel = self.server.panel
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if panel.broken:
            self.close_connection = True
            return
        answer = panel.answer(self.command, self.path, body, self.headers)
        if panel.cut:
            panel.cut -= 1
            self.close_connection = True
            return
        status, said, headers = panel.on_the_way(answer) if panel.on_the_way else answer
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, panel: PanelServer, listener: socket.socket) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.panel = panel
        self.socket.close()
        self.socket = listener


def listener() -> socket.socket:
    """A socket that listens on this machine alone."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made


@contextmanager
def serving(panel: PanelServer, listener: socket.socket) -> Iterator[PanelServer]:
    """The panel at this socket, which may be in another network namespace."""
    server = _Server(panel, listener)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    host, port = listener.getsockname()[:2]
    panel.url = f"http://{host}:{port}"
    try:
        yield panel
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
