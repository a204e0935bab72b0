"""Upgrade while serving: `python -m tests.faults.upgrade COMMIT`, with the commit of the version before.

Two web processes of that version serve somebody who reads and writes in a loop. This version's `migrate` goes by, then the
processes are replaced one after the other, as docs/operations.md says. What is printed is how many requests there were,
which were not answered as they should be, and the longest. Like a load balancer the client takes the other process where
one does not take the connection.
"""

import argparse
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from tests.faults.backup import ROOT, do, make_roles, say, urls
from tests.faults.postgres import Server, folder

PASSWORD = "a-password-of-the-trial"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STEPS = (
    "python manage.py migrate -v0",
    "python manage.py createcachetable",
    "python manage.py collectstatic --noinput -v0",
)
DEMO = (
    "import django; django.setup()\n"
    "from securitygroups import demo\n"
    f"demo.create('{PASSWORD}')\n"
)  # fmt: skip


class Web:
    """A web process of a version, in its folder, on a port of its own."""

    def __init__(self, version: Path, where: Path, database: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "gunicorn", "karenpanel.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--workers", "1", "--threads", "4", "--log-level", "warning"]
        # Early versions have no settings of the web server of their own.
        ours = (version / "karenpanel" / "serving.py").exists()
        command += ["-c", "python:karenpanel.serving"] if ours else ["--worker-class", "gthread", "--no-control-socket"]
        environment = os.environ | environment_of(version, where) | {"DATABASE_URL": database}
        self.process = subprocess.Popen(command, cwd=version, env=environment)
        self.wait()

    def wait(self) -> None:
        until = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < until:
            line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                line.request("GET", "/healthz")
                if line.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError("The web process does not start.")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Person:
    """Signs in, and then reads and writes until told to stop."""

    def __init__(self, webs: list[Web]) -> None:
        self.webs, self.cookies, self.number = webs, dict[str, str](), 0
        self.counts, self.longest, self.stopped = Counter[str](), 0.0, False

    def ask(self, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and page; from the next process that takes the connection."""
        for _ in range(20):
            self.number += 1
            line = http.client.HTTPConnection("127.0.0.1", self.webs[self.number % len(self.webs)].port, timeout=60)
            try:
                line.connect()
            except OSError:
                time.sleep(0.05)
                continue
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            body = urlencode(form) if form else None
            line.request("POST" if form else "GET", path, body, headers | (FORM if form else {}))
            answer = line.getresponse()
            for said in answer.headers.get_all("Set-Cookie") or []:
                name, value = said.split(";")[0].split("=", 1)
                self.cookies[name] = value
            return answer.status, answer.read().decode(errors="replace")
        return 0, ""

    def send(self, path: str, **form: str) -> int:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.ask(path)[1])
        return self.ask(path, {"csrfmiddlewaretoken": token.group(1) if token else "", **form})[0]

    def sign_in(self) -> None:
        status = self.send("/sign-in/", login="owner", password=PASSWORD)
        assert status == 302, status

    def run(self) -> None:
        while not self.stopped:
            began = time.monotonic()
            status, _ = self.ask("/p/shop-production/groups/")
            self.note("read", status == 200, began)
            began = time.monotonic()
            named = f"group {self.number} {time.time()}"
            self.note("written", self.send("/p/shop-production/groups/new/", name=named, description="") == 302, began)

    def note(self, what: str, well: bool, began: float) -> None:
        self.longest = max(self.longest, time.monotonic() - began)
        self.counts[what if well else f"not {what}"] += 1


def environment_of(version: Path, where: Path) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "karenpanel.settings",
        "SECRET_KEY": "only-for-a-trial-" + "0123456789abcdef" * 4,
        "INSECURE_HTTP": "1",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "PYTHONPATH": str(version),
        "KARENPANEL": str(version),
        "STATIC_ROOT": str(where / f"static-{version.name}"),
    }


def upgrade(where: Path, server: Server, commit: str) -> Person:
    before = where / "before"
    before.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(before)], input=archive, check=True)
    lines = "\n".join(STEPS)
    do(lines, before, **urls(server), **environment_of(before, where))
    do(f'command python -c "{DEMO}"', before, **urls(server), **environment_of(before, where))
    web = urls(server)["DATABASE_URL"]
    webs: list[Web] = []
    person = Person(webs)
    try:
        webs += [Web(before, where, web)]
        webs += [Web(before, where, web)]
        person.sign_in()
        thread = threading.Thread(target=person.run)
        thread.start()
        steps: dict[str, Callable[[], object]] = {
            "the version before alone": lambda: time.sleep(3),
            "migrate of this version": lambda: do(lines, ROOT, **urls(server), **environment_of(ROOT, where)),
            "the version before with the new tables": lambda: time.sleep(3),
            "one replaced": lambda: replace(webs, 0, Web(ROOT, where, web)),
            "both replaced": lambda: replace(webs, 1, Web(ROOT, where, web)),
            "this version alone": lambda: time.sleep(3),
        }
        for name, step in steps.items():
            step()
            say(f"{name}: {dict(person.counts)}, the longest {person.longest:.2f} s")
            person.counts.clear()
            person.longest = 0.0
        person.stopped = True
        thread.join()
    finally:
        person.stopped = True
        for running in webs:
            running.end()
    return person


def replace(webs: list[Web], number: int, new: Web) -> None:
    """The new one answers before the old one ends."""
    old, webs[number] = webs[number], new
    old.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    asked = parser.parse_args()
    with folder() as where, Server(where / "data").make() as server:
        make_roles(server)
        upgrade(where, server, asked.commit)


if __name__ == "__main__":
    main()
