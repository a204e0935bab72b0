"""Packets that the kernel told of, through agent and panel: whether each page's way down the list is what the kernel did.

    .venv/bin/python -m tests.load.drops [--packets 100000] [--target inet] [--seed 1]

As root, or where anybody may make namespaces, on the embedded database. A real web server, a real agent and a real kernel; list
after list of random rules is committed for a new VM at the same interface, and packets at the edges of its rules are sent.
The lines that tell of packets lose their limit, for the kernel would tell of twenty. Each row that the panel keeps by then
is explained as its page does it, and what these explanations add up to for each rule is compared with the rule's counter.
"""

import argparse
import json
import os
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.agent.stand import until
from tests.load import servers, shop

AT_ONCE = 480
"""Different packets to one VM: of one more than 500 in an hour the panel keeps no row."""
PATIENCE = 60.0
LIMIT = re.compile(r"limit rate \d+/second burst \d+ packets ")


@dataclass
class Seen:
    """`faults` are rows whose explanation is not what the kernel did, and rules whose counter says otherwise."""

    sent: int = 0
    rows: int = 0
    told: int = 0
    lists: int = 0
    rules: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def opened_limits(real: Any) -> None:
    """Have every packet told."""
    from securitygroups.firewall.nftables import TABLE

    table = f"{real.target.family} {TABLE}"
    loaded = real.host.run(f"nft list table {table}")
    real.host.load(f"delete table {table}\n{LIMIT.sub('', loaded)}")


def send(real: Any, uid: str, rules: Any, random: Random, seen: Seen) -> dict[Any, int]:
    """Packets at the edges of the rules, and how often each line of the VM's list was met by them."""
    from tests.kernel.frames import opening
    from tests.kernel.host import NETWORK, VM, ether
    from tests.kernel.verdicts import random_packets

    frames = []
    for packet, port in random_packets(random, rules, real.target, AT_ONCE).items():
        mark = random.randbytes(7) + b"\1"
        way_in, way_out = (VM.tap, NETWORK) if packet.direction == "out" else (NETWORK, VM.tap)
        frames.append((way_in, way_out, opening(packet, port, ether(way_in, real.target), random, mark), mark))
    real.host.order("forget")
    before = real.host.counters(real.target)
    real.host.send(frames)
    after = real.host.counters(real.target)
    grown = {
        (counted.kind, counted.what): hits.packets - (before[counted].packets if counted in before else 0)
        for counted, hits in after.items()
        if counted.machine == uid
    }
    seen.sent, seen.lists = seen.sent + len(frames), seen.lists + 1
    return {line: number for line, number in grown.items() if number}


def compared(machine: Any, kernel: dict[Any, int], seen: Seen) -> None:
    """Each row of the VM as its page explains it, once all is told, against what the kernel counted."""
    from django.db.models import Sum

    from securitygroups.answers import dropped
    from securitygroups.models import Traffic

    rows, wanted = Traffic.objects.filter(machine=machine), sum(kernel.values())
    until(lambda: (rows.aggregate(all=Sum("packets"))["all"] or 0) >= wanted, PATIENCE)
    pages: Counter[tuple[str, str]] = Counter()
    for row in rows.select_related("machine", "made_of"):
        seen.rows += 1
        seen.told += row.packets
        seen.verdicts[row.reason] += row.packets
        explained = dropped.explain(row)
        if explained.then is None or not explained.agrees:
            seen.faults.append(f"{machine}: {explained.packet} was {row.reason}, and its page says otherwise")
            continue
        if not explained.by_rules:
            continue
        deciding = explained.then.deciding
        uid = deciding.rule.uid if deciding else ""
        if row.verdict == "drop" and uid != row.rule:
            seen.faults.append(f"{machine}: {explained.packet} was dropped by {row.rule!r}, its page says {uid!r}")
        pages[("rule", uid) if uid else (row.direction, "none")] += row.packets
    for line in {*pages, *kernel}:
        # The platform's own lines are before the list, and tell of nothing that a list decided.
        if line[0] == "rule" or line[1] == "none":
            seen.rules += 1
            if pages[line] != kernel.get(line, 0):
                seen.faults.append(f"{machine}: {line} met {kernel.get(line, 0)}, and pages say {pages[line]}")


def placed(real: Any, project: Any, number: int, random: Random) -> tuple[Any, Any]:
    """A new VM at the interface, whose list of random rules is in force; and these."""
    from securitygroups import operations
    from securitygroups.enforcement import applied
    from securitygroups.models import Placement
    from securitygroups.operations import By
    from tests.factories import make_machine, place
    from tests.kernel.host import VM
    from tests.kernel.verdicts import random_list

    rules = random_list(random)
    group = operations.create_group(project=project, name=f"list-{number}", rules=rules, by=By())
    machine = make_machine(project, f"vm-{number}", [group], ipv4=f"10.1.{number >> 8}.{number & 255}")
    Placement.objects.filter(host=real.row).update(host=None, tap="")
    place(machine, real.row, VM.tap, held=False)
    until(lambda: not applied.of_group(group).others, PATIENCE)
    return machine, rules


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--target", default="inet")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.environ["LOG_LEVEL"] = "CRITICAL"
    with shop.opened(), servers.running("panel") as (port, _), tempfile.TemporaryDirectory() as folder:
        from securitygroups import operations
        from securitygroups.firewall.platform import Target
        from securitygroups.operations import By
        from tests.hosts_for_real.real import real_host

        name, begun, seen = f"drops-{time.time():.0f}", time.monotonic(), Seen()
        quotas: dict[str, int | None] = {"max_groups": 10_000, "max_machines": 10_000}
        project = operations.create_project(name=name, slug=name, by=By(), quotas=quotas)
        with real_host(Target(asked.target), Path(folder), port, name) as real:
            real.changed(drift="report")
            real.enrol()
            real.poll()
            real.start()
            until(lambda: " 7 " in real.host.run("cat /proc/net/netfilter/nfnetlink_log"))
            for number in range(-(-asked.packets // AT_ONCE)):
                random = Random(f"{asked.seed}.{number}")
                machine, rules = placed(real, project, number, random)
                opened_limits(real)
                compared(machine, send(real, machine.public_id, rules, random, seen), seen)
                print(".", end="", flush=True)
        print(
            f"\n{asked.target}: {seen.sent:,} packets by {seen.lists} lists, {seen.told:,} told in {seen.rows:,} rows, "
            f"{json.dumps(seen.verdicts)}; {seen.rules:,} counters compared; {len(seen.faults)} faults, "
            f"{time.monotonic() - begun:.0f} s"
        )
        for fault in seen.faults[:20]:
            print(fault)


if __name__ == "__main__":
    main()
