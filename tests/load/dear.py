"""Whether 24 people on the dearest page leave others in peace: `python -m tests.load.dear [SECONDS]`.

A production server as the demo starts it, with a project of 100,000 rules on 3,000 VMs. First nobody else is there, then 24
viewers ask for the project's exposure again and again, once as one person and once as 24. Meanwhile another customer opens
a group's page, and a load balancer asks for /healthz. The figures are from the outside, and so with the processor time that
this program and the database take; the machine's load is told beside them.
"""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import psutil

from tests.load.large import PEOPLE, close, large_database

ROOT = Path(__file__).parents[2]
SECONDS = 20.0


@dataclass
class Asked:
    """How long each answer took, in seconds, and with which status it came."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    wait: float = 0.0
    """Seconds that the last answer asked to wait."""

    def ask(self, port: int, path: str, cookie: str = "") -> int:
        began = time.perf_counter()
        status = 0
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            line.request("GET", path, headers={"Cookie": f"session={cookie}"} if cookie else {})
            answer = line.getresponse()
            answer.read()
            status, self.wait = answer.status, float(answer.headers.get("Retry-After", 0))
        except OSError:
            pass
        finally:
            line.close()
        self.times.append(time.perf_counter() - began)
        self.statuses[status] += 1
        return status

    def __str__(self) -> str:
        ranks = quantiles(self.times, n=100) if len(self.times) > 1 else self.times * 100
        said = ", ".join(f"{number} × {status or 'none'}" for status, number in sorted(self.statuses.items()))
        return f"p50 {ranks[49] * 1000:7.0f} ms  p95 {ranks[94] * 1000:7.0f} ms  max {max(self.times) * 1000:7.0f} ms  ({said})"


@contextmanager
def server() -> Iterator[tuple[int, psutil.Process]]:
    """The web server as the demo starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "gunicorn", "-c", "python:karenpanel.serving", "karenpanel.wsgi"]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "4", "--graceful-timeout", "2"]
    command += ["--log-level", "warning"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={key: value for key, value in os.environ.items() if key != "DATABASE_OWNER_URL"}
    )
    try:
        while Asked().ask(port, "/healthz") != 200:
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def sessions() -> tuple[str, str, list[str], str]:
    """The other customer's page and session, the viewers' sessions, and the page that they look at."""
    from django.conf import settings
    from django.test import Client

    from securitygroups.models import SecurityGroup, User
    from tests.factories import sign_in_at

    def session(name: str) -> str:
        browser = Client()
        sign_in_at(browser, User.objects.get(username=name))
        return str(browser.cookies[settings.SESSION_COOKIE_NAME].value)

    page = SecurityGroup.objects.get(project__slug="small").get_absolute_url()
    found = page, session("other"), [session(f"viewer{n}") for n in range(PEOPLE)], "/p/large/exposure/"
    close()
    return found


def asking(
    ended: threading.Event, pause: float, port: int, path: str, cookie: str = ""
) -> tuple[threading.Thread, Asked]:
    """Somebody who asks again and again, and waits as long as a refusal says."""
    asked = Asked()

    def run() -> None:
        while not ended.is_set():
            asked.ask(port, path, cookie)
            ended.wait(max(pause, asked.wait))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, asked


def watched(ended: threading.Event, server: psutil.Process) -> tuple[threading.Thread, dict[int, float]]:
    """The most memory that each worker had, in MiB."""
    most: dict[int, float] = {}

    def run() -> None:
        while not ended.wait(0.1):
            for worker in server.children():
                most[worker.pid] = max(most.get(worker.pid, 0), worker.memory_info().rss / 2**20)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, most


def measure(title: str, seconds: float, viewers: list[str]) -> None:
    page, other, _, dear = found
    with server() as (port, process):
        Asked().ask(port, page, other)
        ended = threading.Event()
        lookers = [asking(ended, 0, port, dear, cookie) for cookie in viewers]
        customer, health = asking(ended, 0.1, port, page, other), asking(ended, 0.05, port, "/healthz")
        watch = watched(ended, process)
        before = {worker.pid: worker.cpu_times() for worker in process.children()}
        time.sleep(seconds)
        ended.set()
        for thread in (*(one[0] for one in lookers), customer[0], health[0], watch[0]):
            thread.join()
        spent = sum(
            after.user + after.system - before[worker.pid].user - before[worker.pid].system
            for worker in process.children()
            if worker.pid in before and (after := worker.cpu_times())
        )
    say(f"\n{title} (load of the machine {os.getloadavg()[0]:.1f}, workers' processor time {spent:.1f} s)")
    if lookers:
        together = Asked()
        for _, asked in lookers:
            together.times += asked.times
            together.statuses += asked.statuses
        say(f"  exposure     {together}")
    say(f"  group page   {customer[1]}")
    say(f"  /healthz     {health[1]}")
    say("  workers      " + ", ".join(f"{mib:.0f} MiB" for mib in watch[1].values()) + " at most")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    how_long = float(sys.argv[1]) if sys.argv[1:] else SECONDS
    with large_database():
        found = sessions()
        measure("Nobody else", how_long / 2, [])
        measure("24 viewers, one person", how_long, found[2][:1] * PEOPLE)
        measure("24 viewers, 24 people", how_long, found[2])
