"""A thousand agents that ask the panel every five seconds, with real signatures, and what that does to its pages.

    .venv/bin/python -m tests.load.agents [--hosts 1000] [--seconds 180] [--quiet 30] [--shared 64]

They share connections, as those of a proxy are, or with --shared 0 have one each. Each tells all once a minute, and takes what
is new. Every 15 seconds a group is changed that one host in twenty has. Prints errors, how long answers took, how long a page took with and
without the agents, processor time a request, and on how many VMs the newest rules are in force in the end.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from securitygroups.signing.keys import Key, verifies
from securitygroups.signing.wire import answer_bytes, encoded, request_bytes
from tests.load import clients, servers, shop

EVERY, JITTER, WHOLE = 5.0, 0.2, 60.0
GROUPS, COMMIT_EACH = 20, 15.0
PATIENCE = 30.0


@dataclass
class Seen:
    """What came of the questions: seconds of each kind, and what went wrong."""

    took: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    opened: int = 0


@dataclass
class Line:
    """A connection to the panel, opened when it is asked."""

    port: int
    seen: Seen
    ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        # As http.client does it: a connection that the other side has closed meanwhile is opened again.
        if self.ends is not None and self.ends[0].at_eof():
            self.close()
        if self.ends is None:
            self.seen.opened += 1
            self.ends = await asyncio.open_connection(clients.HOST, self.port)
        reader, writer = self.ends
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in head[1:])}
        status = int(head[0].split()[1])
        length = 0 if status == 304 else int(headers.get("content-length", "0"))
        body = await reader.readexactly(length)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers, body

    def close(self) -> None:
        if self.ends is not None:
            self.ends[1].close()
        self.ends = None


@dataclass
class Agent:
    """One host's, without a kernel: it takes what it is told for loaded."""

    host: str
    key: Key
    panel_key: str
    lines: "asyncio.Queue[Line]"
    seen: Seen
    etag: str = ""
    vms: list[dict[str, Any]] = field(default_factory=list)

    async def run(self, until: float) -> None:
        await asyncio.sleep(random.uniform(0, EVERY))
        whole = time.monotonic() - random.uniform(0, WHOLE)
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(PATIENCE):
                    whole = await self.turn(whole)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                self.seen.errors[type(error).__name__] += 1
            await asyncio.sleep(EVERY * random.uniform(1 - JITTER, 1 + JITTER))

    async def turn(self, whole: float) -> float:
        """As the agent's own: a report where one is due, and a question where that did not answer it."""
        newest = ""
        if self.etag and time.monotonic() - whole >= WHOLE:
            whole = time.monotonic()
            hits = [[vm["id"], "in", "none", 3, 180] for vm in self.vms]
            newest = json.loads((await self.ask("POST", "report", self.report(hits)))[1])["state"]
        if newest and newest == self.etag:
            return whole
        status, body, etag = await self.ask("GET", "state")
        if status == 200:
            self.etag = etag
            self.vms = [
                {"id": vm["id"], "vector": vm["vector"], "since": int(time.time()), "hash": "a" * 64}
                for vm in json.loads(body)["vms"]
            ]
            await self.ask("POST", "report", self.report([]))
        return whole

    def report(self, counters: list[Any]) -> bytes:
        said = {"format": "karenpanel-report/1", "agent": "0.1.0", "kernel": "6.1", "time": int(time.time())}
        told = {"state": self.etag, "vms": self.vms, "taps": None, "counters": counters, "samples": [], "missed": 0}
        return json.dumps({**said, **told, "clock": "synchronised"}).encode()

    async def ask(self, method: str, name: str, body: bytes = b"") -> tuple[int, bytes, str]:
        """Status, body and ETag of an answer that the panel has signed."""
        path, stamp = f"/agent/v1/{name}", (int(time.time()), encoded(random.randbytes(16)))
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Karenpanel-Host: {self.host}"]
        lines += [f"Karenpanel-Time: {stamp[0]}", f"Karenpanel-Nonce: {stamp[1]}"]
        lines += [f"Karenpanel-Signature: {self.key.sign(request_bytes(method, path, body, stamp, self.host))}"]
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"] if body else []
        lines += [f"If-None-Match: {self.etag}"] if self.etag and not body else []
        begun = time.monotonic()
        line = await self.lines.get()
        try:
            status, headers, said = await line.send("\r\n".join([*lines, "", ""]).encode() + body)
        except BaseException:
            line.close()
            raise
        finally:
            self.lines.put_nowait(line)
        self.seen.took.setdefault(f"{name} {status}", []).append(time.monotonic() - begun)
        signed = answer_bytes(status, said, headers.get("etag", ""), stamp[1], self.host)
        if not verifies(self.panel_key, signed, headers.get("karenpanel-signature", "")):
            raise ValueError("not signed")
        if status not in (200, 304):
            raise ValueError(f"{status}")
        return status, said, headers.get("etag", "")


@dataclass(frozen=True)
class Order:
    """What the process of the agents is to do. `shared` connections are those of a proxy before the panel; 0: each its own."""

    hosts: Sequence[tuple[str, str]]
    panel_key: str
    port: int
    seconds: float
    shared: int


def run(order: Order, told: Connection) -> None:
    """All agents, in a process of their own. They are other machines' work, and get what the panel leaves of this one."""
    os.nice(5)
    seen = Seen()

    def lines(number: int) -> "asyncio.Queue[Line]":
        made: asyncio.Queue[Line] = asyncio.Queue()
        for _ in range(number):
            made.put_nowait(Line(order.port, seen))
        return made

    async def all_of_them() -> None:
        until = time.monotonic() + order.seconds
        of_proxy = lines(order.shared)
        agents = [
            Agent(host, Key.read(seed), order.panel_key, of_proxy if order.shared else lines(1), seen)
            for host, seed in order.hosts
        ]
        await asyncio.gather(*(agent.run(until) for agent in agents))

    asyncio.run(all_of_them())
    told.send(seen)


def prepared(number: int) -> tuple[list[tuple[str, str]], list[Any]]:
    """Hosts with their keys, each with a VM that has one of a few groups."""
    from django.db import transaction
    from django.utils import timezone

    from securitygroups import operations
    from securitygroups.models import Attachment, Host, Placement, VirtualMachine
    from securitygroups.operations import By
    from tests.factories import make_group

    name = f"Load {time.time():.0f}"
    quotas: dict[str, int | None] = {"max_groups": GROUPS, "max_machines": number}
    project = operations.create_project(name=name, slug=name.lower().replace(" ", "-"), by=By(), quotas=quotas)
    groups = [
        make_group(project, f"group-{at}", [f"accept in tcp {port}" for port in range(80, 100)]) for at in range(GROUPS)
    ]
    keys = [Key.new() for _ in range(number)]
    now = timezone.now()
    # Written as they are: what operations would write beside them is not what is measured.
    with transaction.atomic():
        hosts = Host.objects.bulk_create(
            Host(name=f"{name} {at}", key=key.public, agent="0.1.0", enrolled_at=now) for at, key in enumerate(keys)
        )
        machines = VirtualMachine.objects.bulk_create(
            VirtualMachine(project=project, name=f"vm-{at}", ipv4=f"10.{at >> 8}.{at & 255}.1", revision=1)
            for at in range(number)
        )
        Attachment.objects.bulk_create(
            Attachment(machine=machine, group=groups[at % GROUPS], position=1) for at, machine in enumerate(machines)
        )
        Placement.objects.bulk_create(
            Placement(machine=machine, host=host, tap="tap0") for machine, host in zip(machines, hosts, strict=True)
        )
    return [(host.public_id, key.seed) for host, key in zip(hosts, keys, strict=True)], groups


def pages(port: int, page: str, cookie: str, seconds: float) -> list[float]:
    """How long a page took, asked twice a second."""
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        took.append(clients.took(port, clients.get(page, cookie, keep=False), 20))
        time.sleep(0.5)
    return took


def commits(groups: Sequence[Any], ended: threading.Event) -> None:
    from tests.hosts_for_real.real import commit

    at = 0
    while not ended.wait(COMMIT_EACH):
        commit(groups[at % GROUPS], *(f"accept in tcp {port}" for port in range(100 + at, 120 + at)))
        at += 1


def line(what: str, seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return (
        f"{what:20} {len(seconds):7,}  median {cuts[49] * 1000:6.1f}  p95 {cuts[94] * 1000:6.1f}  "
        f"p99 {cuts[98] * 1000:6.1f}  most {max(seconds) * 1000:7.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--shared", type=int, default=64)
    parser.add_argument("--quiet", type=float, default=30.0)
    asked = parser.parse_args()
    with shop.opened() as (page, cookie):
        from securitygroups.enforcement import applied, keys

        begun = time.monotonic()
        hosts, groups = prepared(asked.hosts)
        print(f"{len(hosts)} hosts made in {time.monotonic() - begun:.0f} s", flush=True)
        with servers.running("panel") as (port, server):
            pages(port, page, cookie, 3)
            print(line("page, alone", pages(port, page, cookie, asked.quiet)), flush=True)
            here, there = multiprocessing.Pipe()
            agents = multiprocessing.get_context("spawn").Process(
                target=run, args=(Order(hosts, keys.public(), port, asked.seconds, asked.shared), there)
            )
            agents.start()
            ended = threading.Event()
            changing = threading.Thread(target=commits, args=(groups, ended))
            changing.start()
            # All of them come for the first time within the first seconds.
            time.sleep(10)
            before, _ = servers.of_all(server)
            middle = time.monotonic()
            seen_pages = pages(port, page, cookie, asked.seconds - 40)
            ended.set()
            after, memory = servers.of_all(server)
            share = 100 * (after - before) / (time.monotonic() - middle)
            changing.join()
            seen: Seen = here.recv()
            agents.join()
            print(line("page, with agents", seen_pages))
            for what, took in sorted(seen.took.items()):
                print(line(what, took))
            total = sum(map(len, seen.took.values()))
            print(f"{total:,} answers, {total / asked.seconds:.0f} a second, errors: {dict(seen.errors) or 0}")
            print(f"{seen.opened:,} connections opened; web {share:.0f} % of a processor, {memory:.0f} MiB")
        standings = [applied.of_group(group) for group in groups]
        print(f"in force: {sum(one.in_force for one in standings)} of {sum(one.total for one in standings)} VMs")


if __name__ == "__main__":
    main()
