"""Random packets, and the comparison of a cloud's own rule with what was read. The references share no code with the product."""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.reading import Taken
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.values import Action, Direction, Packet

NETS4 = ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "203.0.113.0/24", "203.0.113.7/32")
NETS6 = ("::/0", "2001:db8::/32", "2001:db8::1/128")
NETS = NETS4 + NETS6
POINTS = {
    4: [str(each) for net in map(ip_network, NETS4) for each in (net[0], net[-1])] + ["198.51.100.9"],
    6: [str(each) for net in map(ip_network, NETS6) for each in (net[0], net[-1])] + ["2001:db8:ffff::9"],
}
PORTS = (0, 1, 22, 80, 85, 443, 65535)
NUMBERS = (6, 6, 6, 17, 17, 1, 58, 47, 50, 132)


@dataclass(frozen=True)
class Seen:
    """A packet that opens a connection, and what our rules cannot ask for: who it is, and its other numbers."""

    direction: str
    version: int
    protocol: int
    source: str
    destination: str
    port: int | None
    member: bool
    """Whether the other end is a member of whatever group, tag or list a rule may name."""
    kind: int
    """The ICMP type."""

    @property
    def remote(self) -> str:
        return self.source if self.direction == "in" else self.destination


@cache
def inside(address: str, network: str) -> bool:
    one, many = ip_address(address), ip_network(network)
    return one.version == many.version and one in many


def within(address: str, networks: Iterable[str]) -> bool:
    return any(inside(address, each) for each in networks)


def packets(rng: random.Random, many: int) -> list[Seen]:
    found = []
    for _ in range(many):
        version, protocol = rng.choice((4, 4, 6)), rng.choice(NUMBERS)
        ends = [rng.choice(POINTS[version]) for _ in range(2)]
        port = rng.choice(PORTS) if protocol in (6, 17, 132) else None
        found.append(
            Seen(
                rng.choice(("in", "out")),
                version,
                protocol,
                ends[0],
                ends[1],
                port,
                rng.random() < 0.5,
                rng.choice((0, 8)),
            )
        )
    return found


def ours(seen: Seen) -> Packet:
    return Packet(
        Direction(seen.direction),
        seen.version,
        seen.protocol,
        int(ip_address(seen.source)),
        int(ip_address(seen.destination)),
        seen.port,
    )


@dataclass(frozen=True)
class Case:
    """How a system's files are made at random, and what the system itself does with a packet on a VM of the group."""

    name: str
    anything: Callable[[random.Random], Any]
    passes: Callable[[Any, str, Seen], bool]


@dataclass
class Found:
    packets: int = 0
    passed: int = 0
    theirs: int = 0
    exact: int = 0


def written(source: Any) -> bytes:
    return source.encode() if isinstance(source, str) else json.dumps(source).encode()


def compared(case: Case, rng: random.Random, sources: int, each: int) -> Found:
    """Nothing passes ours that theirs denies, and where every line was taken exactly, both say the same."""
    found = Found()
    for _ in range(sources):
        source = case.anything(rng)
        reading = read_file(written(source))
        for group in reading.groups:
            assert not [problem for rule in group.rules for problem in rule.problems().values()]
            exact = all(note.taken is Taken.EXACT for note in group.notes)
            for seen in packets(rng, each):
                mine = decide(group.rules, ours(seen)).action is Action.ACCEPT
                theirs = case.passes(source, group.name, seen)
                assert theirs or not mine, (source, group, seen)
                assert mine == theirs or not exact, (source, group, seen)
                found.packets += 1
                found.passed += mine
                found.theirs += theirs
                found.exact += exact
    return found


def some(rng: random.Random, values: Iterable[Any], least: int = 0, most: int = 3) -> list[Any]:
    pool = list(values)
    return rng.sample(pool, rng.randint(least, min(most, len(pool))))


def a_range(rng: random.Random) -> tuple[int, int]:
    first, last = sorted(rng.sample(PORTS, 2))
    return (first, first) if rng.random() < 0.5 else (first, last)
