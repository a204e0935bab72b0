"""Web servers beside each other, on the demo's data: how fast each is, and what slow clients do to it.

    python -m tests.load.servers [NAME …] [--seconds 5] [--page group|sign-in]

NAME is one of SERVERS, or `panel:WORKERSxTHREADS` for the panel's own with other numbers; all of them when none is said.
`pip install granian uvicorn a2wsgi waitress` first; a server that is not installed is left out.

For each: answers a second, milliseconds (median, 99 %) and processor time an answer with 8 connections on a page; MiB of
all its processes; and with 64 slow clients of each kind the longest of three waits for the sign-in page, in seconds, where
TIMEOUT means none in time. Processor time counts the server alone, without the database.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.load import clients, shop

APP = "karenpanel.wsgi:application"
GUNICORN = "-m gunicorn karenpanel.wsgi -b 127.0.0.1:{port} --log-level error --no-control-socket"
SERVERS = {
    "panel": "-m gunicorn -c python:karenpanel.serving karenpanel.wsgi -b 127.0.0.1:{port} --log-level error",
    "gthread 2x4": GUNICORN + " --preload -k gthread --workers 2 --threads 4",
    "gthread 4x8": GUNICORN + " --preload -k gthread --workers 4 --threads 8",
    "granian": "-m granian --interface wsgi --workers 2 --blocking-threads 4 --no-ws --log-level error"
    " --http1-header-read-timeout 15000 --port {port} " + APP,
    "uvicorn+a2wsgi": "-m uvicorn tests.load.asgi:wsgi_in_threads --workers 2 --log-level error --port {port}",
    "uvicorn": "-m uvicorn tests.load.asgi:django_asgi --workers 2 --log-level error --port {port}",
    "waitress": "-m waitress --port={port} --threads=8 " + APP,
}
NEEDS = {"granian": "granian", "uvicorn+a2wsgi": "a2wsgi", "uvicorn": "uvicorn", "waitress": "waitress"}
KINDS = {
    "half heads": (clients.half_head, False),
    "half bodies": (clients.half_body, False),
    "half long bodies": (clients.half_long_body, False),
    "dripping bodies": (clients.half_body, True),
    "unread answers": (clients.unread(shop.LARGE), False),
    "idle": (clients.idle, False),
}
WAIT = 4.0


def command(name: str, port: int) -> tuple[list[str], dict[str, str]]:
    kind, _, numbers = name.partition(":")
    more = {}
    if numbers:
        more["WEB_WORKERS"], _, more["WEB_THREADS"] = numbers.partition("x")
    return [sys.executable, *SERVERS[kind].format(port=port).split()], more


@contextmanager
def running(name: str) -> Iterator[tuple[int, psutil.Process]]:
    with socket.socket() as probe:
        probe.bind((clients.HOST, 0))
        port = probe.getsockname()[1]
    words, more = command(name, port)
    errors = None if os.environ.get("LOUD") else subprocess.DEVNULL
    server = subprocess.Popen(
        words,
        env=os.environ | {"LOG_LEVEL": "CRITICAL"} | more,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while clients.took(port, clients.get("/healthz"), 2) >= 2:
            assert server.poll() is None, f"{name} ended"
            assert time.monotonic() < until, f"{name} does not answer"
            time.sleep(0.1)
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def of_all(server: psutil.Process) -> tuple[float, float]:
    """Seconds of processor time, and MiB, of the server with its workers. What they share is counted once for each."""
    family = [server, *server.children(recursive=True)]
    times = [process.cpu_times() for process in family]
    return sum(one.user + one.system for one in times), sum(p.memory_full_info().pss for p in family) / 2**20


def speed(name: str, page: str, cookie: str, seconds: float) -> None:
    with running(name) as (port, server):
        request = clients.get(page, cookie)
        clients.under_load(port, request, 8, 1)
        before, _ = of_all(server)
        rate, middle, most = clients.under_load(port, request, 8, seconds)
        after, memory = of_all(server)
        cost = (after - before) * 1000 / (rate * seconds)
        print(f"{name:16} {rate:7.1f}/s {middle:7.0f} {most:7.0f} ms {cost:7.1f} ms cpu {memory:7.0f} MiB", flush=True)


def patience(name: str) -> None:
    waits = {}
    for kind, (begin, dripping) in KINDS.items():
        # Each kind meets a fresh server: some do not come back from the one before.
        with running(name) as (port, _), clients.slow(port, begin, dripping=dripping):
            time.sleep(0.5)
            waits[kind] = max(clients.took(port, clients.get("/sign-in/", keep=False), WAIT) for _ in range(3))
    words = "  ".join(f"{kind} {'TIMEOUT' if wait >= WAIT else f'{wait:.2f}'}" for kind, wait in waits.items())
    print(f"{name:16} {words}", flush=True)


def installed(name: str) -> bool:
    import importlib.util

    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--page", choices=("group", "sign-in"), default="group")
    parser.add_argument("--only", choices=("speed", "patience"))
    asked = parser.parse_args()
    with shop.opened() as (group, cookie):
        names = [name for name in asked.names or SERVERS if installed(name)]
        page = group if asked.page == "group" else "/sign-in/"
        if asked.only != "patience":
            for name in names:
                speed(name, page, cookie, asked.seconds)
        if asked.only != "speed":
            for name in names:
                patience(name)


if __name__ == "__main__":
    main()
