"""From a commit to the rules in force, as the panel knows it: a real web server, a real agent that asks every five seconds, a
real kernel.

    .venv/bin/python -m tests.load.in_force [--commits 60] [--target inet] [--machines 20]

As root, or where anybody may make namespaces. Each commit comes at a random moment of the agent's pause. Prints the seconds
from the commit until the panel has heard that all VMs have it, and until the kernel judges by it.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.load import servers, shop

PORTS = 53, 54
PATIENCE = 60.0


def measured(real: Any, group: Any, commits: int, random: Random) -> tuple[list[float], list[float]]:
    """Seconds of each commit: until it was told, and until it was in the kernel."""
    from securitygroups.enforcement import applied
    from tests.hosts_for_real.real import commit

    told, held = [], []
    for number in range(commits):
        time.sleep(random.uniform(0, 5))
        port = PORTS[number % 2]
        commit(group, f"accept in udp {port}")
        begun = time.monotonic()
        in_kernel = 0.0
        while applied.of_group(group).others:
            if not in_kernel and real.opens(port) == [True]:
                in_kernel = time.monotonic() - begun
            assert time.monotonic() - begun < PATIENCE, "it never came into force"
            time.sleep(0.02)
        told.append(time.monotonic() - begun)
        held.append(in_kernel or told[-1])
    return told, held


def line(what: str, seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20)
    return f"{what}: median {statistics.median(seconds):.2f} s, p95 {cuts[18]:.2f} s, most {max(seconds):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=60)
    parser.add_argument("--target", default="inet")
    parser.add_argument("--machines", type=int, default=20)
    asked = parser.parse_args()
    with shop.opened(), servers.running("panel") as (port, _), tempfile.TemporaryDirectory() as folder:
        from securitygroups import operations
        from securitygroups.firewall.platform import Target
        from securitygroups.models import Project
        from securitygroups.operations import By
        from tests.factories import make_group, make_machine, place
        from tests.hosts_for_real.real import real_host

        project = operations.create_project(name=f"Force {time.time():.0f}", slug=f"force-{time.time():.0f}", by=By())
        assert isinstance(project, Project)
        group = make_group(project, "web", ["accept in udp 53"])
        machines = [make_machine(project, f"vm-{at}", [group], ipv4=f"10.0.0.{5 + at}") for at in range(asked.machines)]
        with real_host(Target(asked.target), Path(folder), port, f"force-{time.time():.0f}") as real:
            real.enrol()
            for at, machine in enumerate(machines):
                place(machine, real.row, f"tap{at}", held=False)
            real.start()
            told, held = measured(real, group, asked.commits, Random())
        print(f"{asked.target}, {asked.machines} VMs, {asked.commits} commits")
        print(line("in force, as the panel knows it", told))
        print(line("judged by the kernel", held))


if __name__ == "__main__":
    main()
