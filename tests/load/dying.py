"""Agent, panel and PostgreSQL, each killed at random moments of a change, while packets pass.

    .venv/bin/python -m tests.load.dying [--rounds 70] [--target inet] [--seed 1]

As root, or where anybody may make namespaces, on the embedded database. In each round a group gets another list, and three
times something is killed and started again: the agent alone or with the nft that it runs, the web server with its workers,
PostgreSQL with all its processes, sometimes while the list is being committed. What neither the old nor the new list accepts
must never pass, what both accept always; and the newest list has to hold after the first question that the panel answers.
"""

import argparse
import os
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from tests.load import servers, shop

OPEN, FIRST, SECOND, SHUT = 53, 54, 55, 56
KILLS = 3
PATIENCE = 90.0
FILLER = [f"drop in tcp {port} from 192.0.2.0/25" for port in range(2000, 2040)]
LISTS = (
    [*FILLER, f"accept in udp {OPEN}", f"accept in udp {FIRST}"],
    [f"drop in udp {SHUT}", f"accept in udp {SECOND}", *FILLER, f"accept in udp {OPEN}"],
)


@dataclass
class Seen:
    """What came of it. `after` are seconds until the newest list was in force once all was up again, `answers` how many states
    the agent took in a round."""

    killed: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    lost: int = 0
    leaked: int = 0
    wrong: int = 0
    unfinished: int = 0
    after: list[float] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)


@dataclass
class Everything:
    """The host with its agent, and the panel at a port that is another one after each start."""

    real: Any
    group: Any
    random: Random
    seen: Seen = field(default_factory=Seen)
    agent: Any = None
    web: Any = None
    process: Any = None

    def start_web(self) -> None:
        self.web = servers.running("panel")
        self.real.way.port, self.process = self.web.__enter__()

    def end_web(self) -> None:
        with suppress(ProcessLookupError):
            self.web.__exit__(None, None, None)

    def kill(self, *, first: bool) -> None:
        """One of the three, and start it again. The first of a round is mostly in the midst of a new list."""
        what = self.random.choice(("agent", "panel", "postgresql"))
        if first and self.random.random() < 0.6:
            what = "agent"
            self._await(lambda: self.under_way.exists(), 8)
            time.sleep(self.random.uniform(0, 0.1))
        elif self.random.random() < 0.6:
            heard = len(self.real.way.went)
            self._await(lambda: len(self.real.way.went) > heard, 7)
            time.sleep(self.random.uniform(0, 0.3))
        else:
            time.sleep(self.random.uniform(0, 2))
        self.seen.killed[what] += 1
        if what == "agent":
            shoot(self.agent.pid, alone=self.random.random() < 0.5)
            self.agent.wait()
            self.seen.unfinished += self.under_way.exists()
            self.agent = self.real.start()
        elif what == "panel":
            shoot(self.process.pid)
            self.end_web()
            self.start_web()
        else:
            restart_database()

    @property
    def under_way(self) -> Path:
        """It is there while the agent loads something."""
        return Path(self.real.places.loaded / "under-way.json")

    @staticmethod
    def _await(what: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not what() and time.monotonic() < until:
            time.sleep(0.002)

    def round(self, number: int) -> None:
        """Another list, and something dies on its way."""
        from securitygroups.enforcement import applied

        with self.passing():
            if self.random.random() < 0.3:
                commit_while_killed(self, LISTS[number % 2])
            else:
                commit_at_last(self.group, LISTS[number % 2])
            asked = len(self.real.way.of("/state", 200))
            for nth in range(KILLS):
                self.kill(first=nth == 0)
            begun = time.monotonic()
            while applied.of_group(self.group).others:
                assert time.monotonic() - begun < PATIENCE, "it never came into force"
                time.sleep(0.05)
            self.seen.after.append(time.monotonic() - begun)
        self.seen.answers[len(self.real.way.of("/state", 200)) - asked] += 1
        holds = self.real.opens(OPEN, FIRST, SECOND, SHUT) == [True, number % 2 == 0, number % 2 == 1, False]
        self.seen.wrong += not holds
        self.real.host.order("forget")

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Packets pass all the time."""
        stop = threading.Event()
        thread = threading.Thread(target=self._pass, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _pass(self, stop: threading.Event) -> None:
        while not stop.is_set():
            passed = self.real.opens(*[OPEN] * 50, *[SHUT] * 50)
            self.seen.sent += len(passed)
            self.seen.lost += passed[:50].count(False)
            self.seen.leaked += passed[50:].count(True)
            # What is remembered of these connections would fill the kernel's table.
            self.real.host.order("forget")
            time.sleep(0.02)


def shoot(pid: int, *, alone: bool = False) -> None:
    """Kill a process, and all that it has started, at once."""
    process = psutil.Process(pid)
    family = [process] if alone else [process, *process.children(recursive=True)]
    for one in family:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=10)


def hang_up() -> None:
    """Let go of a connection whose other end may be dead."""
    from django.db import connection

    with suppress(Exception):
        connection.close()


def restart_database() -> None:
    """Kill PostgreSQL, and start what is left on its disk."""
    from karenpanel.embedded import server

    pid = server.status().pid
    assert pid is not None
    shoot(pid)
    server.start()
    hang_up()


def commit_at_last(group: Any, lines: list[str]) -> None:
    """Give the group this list, once."""
    from django.db import Error

    from tests.hosts_for_real.real import commit

    before, until = group.revision, time.monotonic() + PATIENCE
    while True:
        try:
            group.refresh_from_db()
            if group.revision == before:
                commit(group, *lines)
            break
        except Error:
            assert time.monotonic() < until, "the database does not come back"
            hang_up()
            time.sleep(0.05)
    group.refresh_from_db()
    assert group.revision == before + 1, "a commit is there once, or not at all"


def commit_while_killed(everything: Everything, lines: list[str]) -> None:
    """PostgreSQL dies about when the list is committed."""
    from karenpanel.embedded import server

    pid = server.status().pid
    assert pid is not None
    delay = everything.random.uniform(0, 0.08)

    def strike() -> None:
        time.sleep(delay)
        shoot(pid)
        server.start()

    striking = threading.Thread(target=strike)
    striking.start()
    commit_at_last(everything.group, lines)
    striking.join()
    everything.seen.killed["postgresql"] += 1
    # It may have died behind the commit, with the connection that made it.
    hang_up()


def told(target: str, seen: Seen) -> str:
    kills = ", ".join(f"{what} {number}" for what, number in sorted(seen.killed.items()))
    cuts = statistics.quantiles(seen.after, n=20)
    return (
        f"{target}: {sum(seen.killed.values())} killed ({kills}; {seen.unfinished} while a list was being loaded)\n"
        f"{seen.sent:,} packets, {seen.lost} lost, {seen.leaked} leaked; {seen.wrong} wrong in the end\n"
        f"in force after all was up: median {statistics.median(seen.after):.1f} s, p95 {cuts[18]:.1f} s, "
        f"most {max(seen.after):.1f} s; states taken in a round: {dict(sorted(seen.answers.items()))}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=70)
    parser.add_argument("--target", default="inet")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ["LOG_LEVEL"] = "CRITICAL"
    with shop.opened(), tempfile.TemporaryDirectory() as folder:
        from securitygroups import operations
        from securitygroups.firewall.platform import Target
        from securitygroups.operations import By
        from tests.factories import make_group, make_machine, place
        from tests.hosts_for_real.real import real_host

        name = f"dying-{time.time():.0f}"
        project = operations.create_project(name=name, slug=name, by=By())
        group = make_group(project, "web", LISTS[1])
        machine = make_machine(project, "vm-1", [group], ipv4="10.0.0.5")
        with real_host(Target(asked.target), Path(folder), 0, name) as real:
            everything = Everything(real, group, Random(asked.seed))
            everything.start_web()
            try:
                real.enrol()
                place(machine, real.row, "tap0", held=False)
                real.poll()
                everything.agent = real.start()
                for number in range(2, asked.rounds + 2):
                    everything.round(number)
                    print(".", end="", flush=True)
            finally:
                everything.end_web()
            print()
            print(told(asked.target, everything.seen))


if __name__ == "__main__":
    main()
