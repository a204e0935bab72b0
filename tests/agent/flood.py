"""What a flood of dropped packets costs: `python -m tests.agent.flood [SECONDS] [TARGET]`.

As many packets as one processor can send go to a VM that drops them, three times: with no agent, with one, and with one and
a line that tells every single packet to it, without the limit that the compiler puts before each.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from securitygroups.firewall.platform import Target
from tests.agent.frames import udp_in
from tests.agent.stand import Stand, machine, rules, standing, until
from tests.kernel.host import NETWORK, say

GROUP = 7
_BATCH = 5000


@dataclass(frozen=True)
class Flood:
    """Packets in a second, the agent's share of one processor in %, and what the panel was told."""

    rate: float
    share: float
    told: int
    missed: int


def cpu(agent: subprocess.Popen[str]) -> float:
    """Seconds of a processor that the agent and what it ran have used."""
    fields = Path(f"/proc/{agent.pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / 100


def flood(stand: Stand, seconds: float, agent: subprocess.Popen[str] | None) -> Flood:
    """Send for so long, then wait until the panel has heard of it."""
    frame = udp_in(stand.target, 9)
    batch = [(NETWORK, "tap0", frame[2].hex(), frame[3].hex())] * _BATCH
    before, begun, sent = cpu(agent) if agent else 0.0, time.monotonic(), 0
    stand.panel.reports.clear()
    while time.monotonic() - begun < seconds:
        passed = stand.host.order("send", frames=batch)["passed"]
        assert "1" not in passed
        sent += len(batch)
    took = time.monotonic() - begun
    used = cpu(agent) - before if agent else 0.0
    time.sleep(7 if agent else 0)
    reports = stand.panel.reports
    told = sum(sample["times"] for report in reports for sample in report["samples"])
    return Flood(sent / took, 100 * used / took, told, sum(report["missed"] for report in reports))


def tell_all(stand: Stand) -> None:
    """Every packet, before anything else is asked of it."""
    family, hook = stand.target.family, "type filter hook prerouting priority -300; policy accept;"
    line = f'udp dport 9 log prefix "vm-1.in.none" group {GROUP} snaplen 96'
    stand.host.load(f"table {family} told {{\n chain c {{ {hook} }}\n}}\nadd rule {family} told c {line}\n")


def measured(stand: Stand, seconds: float) -> tuple[Flood, Flood, Flood]:
    """Without an agent, with one, and with one that is told everything."""
    stand.say({("sg-1", 1): rules("dns: accept in udp 53")}, machine("vm-1", "tap0", ("sg-1", 1)), log=GROUP)
    stand.once()
    alone = flood(stand, seconds, None)
    agent = stand.start()
    until(lambda: f" {GROUP} " in stand.host.run("cat /proc/net/netfilter/nfnetlink_log"))
    watched = flood(stand, seconds, agent)
    tell_all(stand)
    return alone, watched, flood(stand, seconds, agent)


def main(seconds: str = "10", target: str = "bridge-mark") -> None:
    with TemporaryDirectory() as folder, standing(Target(target), Path(folder)) as stand:
        for what, seen in zip(
            ("no agent", "an agent", "told everything"), measured(stand, float(seconds)), strict=True
        ):
            say(f"{target}, {what}: {seen}")


if __name__ == "__main__":
    main(*sys.argv[1:])
