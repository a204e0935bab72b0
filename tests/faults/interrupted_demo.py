"""Interrupt the first demo at random moments, and see whether the next one just works.

    .venv/bin/python -m tests.faults.interrupted_demo [MOMENTS] [--seed N]

Each moment has a copy of the checkout of its own, with nothing prepared. By turns the demo is told to stop as Ctrl-C does
(SIGINT to its whole group), killed alone (kill -9), and killed with all its children and its database server. The second
start comes at once, on the same port. It is good when the panel becomes ready, somebody signs in with the password that was
printed, and Ctrl-C ends it with nothing left running. Takes about 15 seconds a moment.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

import psutil

from karenpanel import database
from tests.demos import EMBEDDED, Demo, copy_of_the_checkout, free_port, sign_in

WAYS = ("Ctrl-C", "kill -9", "kill -9 of all")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("moments", type=int, nargs="?", default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    options = parser.parse_args()
    drawn = random.Random(options.seed)
    with copy_of_the_checkout() as checkout:
        started = time.monotonic()
        look(checkout, free_port())
        whole = time.monotonic() - started
    say(f"seed {options.seed}; the demo takes {whole:.1f} s from nothing to its end")
    good = 0
    for number in range(options.moments):
        way, share = WAYS[number % len(WAYS)], drawn.random()
        with copy_of_the_checkout() as checkout:
            said = interrupted(checkout, way, share * whole)
            try:
                look(checkout, said.port)
            except Exception:
                traceback.print_exc()
                verdict = "BAD"
            else:
                good += 1
                verdict = "good"
        say(f"{number + 1:3} {way:15} after {share * whole:5.2f} s, at “{said.last}”: {verdict}")
    say(f"{options.moments} moments, {good} good second starts")
    return 0 if good == options.moments else 1


class Said:
    """The port of a demo that was interrupted, and the last of what it said."""

    def __init__(self, port: int, text: str) -> None:
        self.port = port
        lines = [line for line in text.splitlines() if not line.startswith("{")]
        self.last = lines[-1] if lines else "nothing yet"


def interrupted(checkout: Path, way: str, seconds: float) -> Said:
    """Start the demo, and end it in that way after so many seconds."""
    port = free_port()
    log = checkout / "said"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(checkout / "manage.py"), "demo", "--port", str(port)],
            env=os.environ | EMBEDDED,
            cwd="/",
            start_new_session=True,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        time.sleep(seconds)
        text = log.read_text("utf-8")
        if way == "Ctrl-C":
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
        elif way == "kill -9":
            process.kill()
        else:
            kill_all(checkout, process.pid)
        process.wait(60)
    return Said(port, text)


def kill_all(checkout: Path, pid: int) -> None:
    """The demo with its children and the database server, as when a machine's memory is full or a container is stopped."""
    here = database.place(checkout)
    with suppress(psutil.NoSuchProcess):
        demo = psutil.Process(pid)
        for process in [demo, *demo.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if str(here.data) in line or here.title in line:
                process.kill()


def look(checkout: Path, port: int) -> None:
    """Start the demo, sign in, stop it. Raises AssertionError for whatever is not as it should be."""
    with Demo(checkout, EMBEDDED, "--port", str(port)) as running:
        address = running.until("Ready: ")
        password = running.until("Sign in: ").split(" / ")[1].rpartition(" (")[0]
        assert "sign-in" not in sign_in(address, "owner", password)
        assert running.end(signal.SIGINT) == 0, running.said
        running.assert_all_gone(port)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (a program, which prints)


if __name__ == "__main__":
    sys.exit(main())
