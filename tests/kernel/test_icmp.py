"""ICMP rules in the kernel: ICMP over IPv4, ICMPv6 over IPv6, and neither over the other family."""

from dataclasses import replace
from itertools import product
from random import Random

import pytest

from securitygroups.firewall.nftables import ruleset as nftables
from securitygroups.firewall.nftables import swap
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.notation import rule
from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import BITS, ICMP, ICMPV6, Packet, Rule, parse_address
from tests.kernel import verdicts
from tests.kernel.conftest import KERNEL
from tests.kernel.frames import opening
from tests.kernel.host import NETWORK, VM, Host, ether

pytestmark = KERNEL

LISTS, PACKETS = 8, 1000
ENDS = {4: ("203.0.113.9", "10.0.0.5"), 6: ("2001:db8:5::9", "2001:db8:1::5")}
SOURCES = (
    "",
    " from 203.0.113.0/24",
    " from 198.51.100.0/24",
    " from 0.0.0.0/0",
    " from 2001:db8:5::/48",
    " from ::/0",
)
FAMILIES = ((4, 6), (4,), (), (4,), (6,), (6,))


def ping(version: int, number: int, direction: Direction = Direction.IN) -> Packet:
    source, destination = (parse_address(text)[1] for text in ENDS[version])
    return Packet(direction, version, number, source, destination)


def passed(host: Host, target: Target, packets: list[Packet]) -> list[bool]:
    random, frames = Random(1), []
    for packet in packets:
        mark = random.randbytes(7) + b"\1"
        ways = (VM.tap, NETWORK) if packet.direction is Direction.OUT else (NETWORK, VM.tap)
        frames.append(
            (*ways, opening(packet, random.randrange(1024, 65536), ether(ways[0], target), random, mark), mark)
        )
    host.order("forget")
    return host.send(frames)


@pytest.mark.parametrize(("source", "families"), [*zip(SOURCES, FAMILIES, strict=True)])
def test_a_rule_lets_ping_in_over_its_families(
    host: Host, target: Target, source: str, families: tuple[int, ...]
) -> None:
    host.load(swap(VM, [replace(rule(f"accept in icmp{source}"), uid="ping")], target))

    packets = [ping(version, number) for version, number in product(BITS, (ICMP, ICMPV6))]

    through = passed(host, target, packets)

    came = [(packet.version, packet.protocol) for packet, out in zip(packets, through, strict=True) if out]
    assert came == [(version, number) for version, number in ((4, ICMP), (6, ICMPV6)) if version in families]
    assert host.counters(target)[Counted(VM.uid, "rule", "ping")].packets == len(families)


def icmp_list(random: Random) -> list[Rule]:
    """A random list in which every other rule is one of ICMP, with an IP rule to take what those must not."""
    some = verdicts.random_list(random)
    pings = [
        replace(
            rule(f"{random.choice(('accept', 'drop'))} {random.choice(('in', 'out'))} icmp{random.choice(SOURCES)}"),
            uid=f"{random.getrandbits(48):012x}",
        )
        for _ in range(len(some) + 2)
    ]
    narrow = [one for one in some if one.protocol != "all"]
    random.shuffle(pings)
    mixed = [one for pair in zip(pings, [*narrow, *pings], strict=False) for one in pair]
    rest = [replace(rule(f"accept {direction} ip"), uid=direction) for direction in ("in", "out")]
    return [*{one.uid: one for one in mixed}.values(), *rest]


def test_the_kernel_agrees_on_the_number_of_the_other_family_too(
    host: Host, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connection tracking calls 1 over IPv6 and 58 over IPv4 invalid, so that no rule sees them. Without that line they do,
    and ICMP rules pass them by.
    """
    lines = tuple(line for line in platform_lines(target, VM.guest) if line.what != "invalid")
    monkeypatch.setattr(nftables, "platform_lines", lambda *_: lines)
    monkeypatch.setattr(verdicts, "NO_PROTOCOL", {4: {136}, 6: verdicts.NO_PROTOCOL[6] - {ICMP}})
    made = verdicts.random_packet

    def often_icmp(random: Random, *args: object) -> Packet:
        packet = made(random, *args)  # type: ignore[arg-type]
        if packet.version is None or random.random() < 0.3:
            return packet
        return replace(packet, protocol=random.choice((ICMP, ICMPV6)), port=None)

    monkeypatch.setattr(verdicts, "random_packet", often_icmp)
    random = Random(58)
    before: list[Rule] = []
    host.load(swap(VM, before, target))
    for number in range(LISTS):
        rules = icmp_list(random)
        faults = verdicts.mismatches(host, target, rules, PACKETS, random, load=verdicts.swapped(host, target, before))
        assert not faults, f"list {number}: {len(faults)} differences: " + "; ".join(faults[:5])
        before = rules
