"""A real web server for a test, and raw connections to it: what a test client cannot show."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).parents[1]
START_SECONDS = 60


class Server:
    """gunicorn, started as `manage.py demo` starts it, on the database of the test."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.checked = folder / "checked"
        self.checked.touch()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "gunicorn", "-c", "python:karenpanel.serving", "tests.served"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--log-level", "warning"]
        # A test waits until the server ends a connection. What it says itself in the environment wins.
        options = f"--graceful-timeout 2 --keep-alive 2 {os.environ.get('GUNICORN_CMD_ARGS', '')}"
        more = {
            "GUNICORN_CMD_ARGS": options,
            "TMPDIR": str(self.temporary),
            "CHECKED": str(self.checked),
            "DATABASE": str(connection.settings_dict["NAME"]),
            "SERVER_LIMITS": json.dumps(limits),
        }
        self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | more)

    def wait(self) -> None:
        """Until it answers."""
        until = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            try:
                answer = self.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            except OSError:
                time.sleep(0.05)
            else:
                assert answer.startswith(b"HTTP/1.1 200")
                return
        raise AssertionError("The web server does not start.")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, *pieces: bytes) -> bytes:
        """What is answered to these bytes until the connection ends; a server that has heard enough may end it early."""
        with self.connect() as line:
            try:
                for piece in pieces:
                    line.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass
            return all_of(line)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def all_of(line: socket.socket) -> bytes:
    """What comes until the other side ends the connection."""
    parts = []
    try:
        while part := line.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@contextmanager
def running(folder: Path, **limits: float) -> Iterator[Server]:
    """`limits` are constants of karenpanel/server/worker.py."""
    server = Server(folder, **limits)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


class Watch:
    """The most bytes that lay in a folder at once, looked at all the time."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.folder, self.most, self.files = folder, 0, set[str]()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        while not self.ended.wait(0.002):
            size = 0
            for file in self.folder.iterdir():
                try:
                    size += file.stat().st_size
                except FileNotFoundError:
                    continue
                self.files.add(file.name)
            self.most = max(self.most, size)

    def __enter__(self) -> "Watch":
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self.thread.join()
