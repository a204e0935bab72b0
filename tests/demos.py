"""`manage.py demo` for tests: a copy of the checkout with a server of its own, the command in a process, a browser."""

import http.cookiejar
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from karenpanel import database

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = {"DATABASE_URL": ""}


@contextmanager
def copy_of_the_checkout() -> Iterator[Path]:
    """A copy of this checkout in a path with a space, whose embedded server and secrets are its own; all removed after."""
    folder = Path(tempfile.mkdtemp(prefix="karenpanel demo "))
    for name in ("karenpanel", "securitygroups", "templates", "static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", folder)
    try:
        yield folder
    finally:
        here = database.place(folder)
        database.stop(here)
        shutil.rmtree(folder)
        shutil.rmtree(here.state, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """The command in a process of its own, and what it said so far."""

    def __init__(self, checkout: Path, environment: dict[str, str], *arguments: str) -> None:
        self.checkout = checkout
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(checkout / "manage.py"), "demo", *arguments],
            env=os.environ | environment,
            # From somewhere else, as through a shortcut; in the background of a shell, which ignores SIGINT.
            cwd="/",
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN) and None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.end()

    def until(self, start: str) -> str:
        """Read on until a line begins so, and return its rest."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line.startswith(start):
                return line.removeprefix(start).strip()
        raise AssertionError("\n".join(self.said))

    def end(self, number: signal.Signals | None = None) -> int:
        """Send the signal, wait for the end and return its status."""
        if number:
            self.process.send_signal(number)
        assert self.process.stdout
        if not self.process.stdout.closed:
            rest, _ = self.process.communicate(timeout=60)
            self.said += rest.splitlines()
        return self.process.returncode

    def left_running(self) -> list[str]:
        """Living processes of this checkout: the web server's, PostgreSQL's."""
        here = database.place(self.checkout)
        found = []
        for process in psutil.process_iter():
            try:
                line = " ".join(process.cmdline())
                mine = str(self.checkout) in line or str(here.data) in line or here.title in line
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(line)
            except psutil.Error:
                continue
        return found

    def assert_all_gone(self, port: int) -> None:
        assert not self.left_running()
        assert "Traceback" not in "\n".join(self.said)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))


def sign_in(address: str, name: str, password: str) -> str:
    """The page on which somebody lands who signs in; the sign-in page again if refused."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))
    with browser.open(address, timeout=20) as answer:
        page, where = answer.read().decode(), answer.geturl()
    style = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page)
    assert style, "the page's style has no hashed name"
    with browser.open(urllib.parse.urljoin(address, style[1]), timeout=20) as answer:
        assert "immutable" in answer.headers["Cache-Control"]
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page
    form = {"csrfmiddlewaretoken": token[1], "login": name, "password": password}
    request = urllib.request.Request(where, urllib.parse.urlencode(form).encode(), {"Referer": where})
    with browser.open(request, timeout=20) as answer:
        return str(answer.geturl())
