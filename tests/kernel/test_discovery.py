"""What the platform lets pass without a rule is exactly that: neighbour discovery, ARP and listeners in their sizes, to their
targets, and nothing else in their clothes."""

import struct
import time
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest

from securitygroups.firewall.nftables import TABLE, Own, Tap, skeleton, swap
from securitygroups.firewall.platform import ARP_BYTES, MLD_BYTES, Target
from securitygroups.firewall.values import parse_address
from tests.kernel import frames
from tests.kernel.conftest import KERNEL
from tests.kernel.host import NETWORK, VM, Host, ether, host_with_taps

pytestmark = KERNEL

MARK = b"\x05marked\x01"
IN, OUT = (NETWORK, VM.tap), (VM.tap, NETWORK)
MAC = bytes.fromhex("020000000001")
OWN, PEER, FAR = "2001:db8::5", "2001:db8::9", "2001:db8:ffff::9"
LOCAL = "fe80::ff:fe00:1"
"""The link-local address that follows from MAC."""
ASKED, TOLD = "ff02::1:ff00:9", "ff02::1"
RS, RA, NS, NA, REDIRECT = 133, 134, 135, 136, 137


def number(text: str) -> bytes:
    return parse_address(text)[1].to_bytes(16, "big")


def discovery(
    kind: int, source: str, to: str, about: str = "", *, extra: int = 8, code: int = 0, hops: int = 255
) -> bytes:
    """A message of neighbour discovery: the address that it is about, then `extra` bytes that end with MARK."""
    both = number(source) + number(to)
    body = (number(about) if about else b"") + (bytes(extra - len(MARK)) + MARK if extra else b"")
    return frames.ipv6(both, frames.ICMPV6, frames.icmpv6(both, kind, code, payload=body), hops=hops)


def passes(host: Host, target: Target, way: tuple[str, str], ip: bytes, mark: bytes = MARK) -> bool:
    return host.send([(*way, ether(way[0], target) + struct.pack("!H", frames.IPV6) + ip, mark)])[0]


@pytest.fixture
def bridged(host: Host, target: Target) -> Host:
    """A host whose taps are on a bridge, with the VM's list empty."""
    if target is Target.INET:
        pytest.skip("a router answers neighbour discovery and ARP itself")
    host.load(swap(VM, [], target))
    return host


def test_neighbour_discovery_passes_without_a_rule_and_only_as_a_client(bridged: Host, target: Target) -> None:
    tries = [
        (OUT, discovery(RS, "fe80::5", "ff02::2"), True),
        (OUT, discovery(RS, "fe80::5", TOLD), False),
        (OUT, discovery(NS, OWN, ASKED, PEER), True),
        (OUT, discovery(NS, OWN, PEER, PEER), True),
        (OUT, discovery(NS, OWN, "fe80::9", "fe80::9"), True),
        (OUT, discovery(NA, OWN, PEER, OWN), True),
        (OUT, discovery(NA, OWN, TOLD, OWN), True),
        (OUT, discovery(RA, "fe80::5", TOLD), False),
        (OUT, discovery(REDIRECT, "fe80::5", PEER, PEER), False),
        (OUT, discovery(NS, OWN, ASKED, PEER, code=1), False),
        (OUT, discovery(NS, OWN, ASKED, PEER, hops=254), False),
        (IN, discovery(RS, PEER, "ff02::2"), False),
        (IN, discovery(RA, "fe80::1", TOLD, extra=64), True),
        (IN, discovery(NS, PEER, OWN, OWN), True),
        (IN, discovery(NA, PEER, OWN, PEER), True),
        (IN, discovery(NA, PEER, OWN, PEER, hops=254), False),
    ]
    for way, message, expected in tries:
        assert passes(bridged, target, way, message) == expected, message.hex()


def test_data_finds_no_way_out_in_neighbour_discovery(bridged: Host, target: Target) -> None:
    for kind, to in ((NS, ASKED), (NS, PEER), (NA, PEER), (NA, TOLD)):
        assert not passes(bridged, target, OUT, discovery(kind, OWN, to, PEER, extra=1200))
        assert not passes(bridged, target, OUT, discovery(kind, OWN, to, PEER, extra=24))
    for kind in (NS, NA):
        assert not passes(bridged, target, OUT, discovery(kind, OWN, FAR, FAR))
    assert not passes(bridged, target, OUT, discovery(RS, "fe80::5", "ff02::2", extra=64))
    # Of a VM whose address nobody knows, the size alone is known.
    bridged.load(swap(Tap(VM.uid, VM.tap), [], target))
    assert passes(bridged, target, OUT, discovery(NA, OWN, FAR, OWN))
    assert not passes(bridged, target, OUT, discovery(NS, OWN, FAR, FAR, extra=1200))


def arp(
    operation: int = 1, ether_source: bytes = MAC, source: str = "10.0.0.5", padding: int = 18, kind: int = 1
) -> bytes:
    """An ARP message in a frame, its padding ending with MARK."""
    both = parse_address(source)[1].to_bytes(4, "big"), parse_address("10.0.0.9")[1].to_bytes(4, "big")
    head = struct.pack("!HHBBH", kind, frames.IPV4, 6, 4, operation)
    padded = bytes(padding - len(MARK)) + MARK
    return struct.pack("!H", frames.ARP_TYPE) + head + ether_source + both[0] + bytes(6) + both[1] + padded


def arp_passes(host: Host, target: Target, way: tuple[str, str], message: bytes) -> bool:
    return host.send([(*way, ether(way[0], target) + message, MARK)])[0]


def test_arp_passes_in_its_exact_size_and_no_data_with_it(bridged: Host, target: Target) -> None:
    assert len(arp()) == ARP_BYTES + 2
    for way in (OUT, IN):
        assert arp_passes(bridged, target, way, arp(1))
        assert arp_passes(bridged, target, way, arp(2))
        for strange in (arp(padding=19), arp(padding=1400), arp(3), arp(9), arp(kind=6)):
            assert not arp_passes(bridged, target, way, strange)


GROUP = number("ff02::1:ff00:0")[:8] + MARK
"""A group with MARK in it: seen in no other frame."""


def listener(kind: int, source: str, to: str, records: int = 1, *, hops: int = 1, group: bytes = GROUP) -> bytes:
    """A message of RFC 3810 (143) or RFC 2710 about a group, behind the router alert that they have."""
    both = number(source) + number(to)
    if kind == 143:
        body = (struct.pack("!BBH", 4, 0, 0) + group) * records
        said = frames.icmpv6(both, kind, 0, struct.pack("!HH", 0, records), body)
    else:
        said = frames.icmpv6(both, kind, 0, struct.pack("!HH", 1, 0), group)
    alert = struct.pack("!BBBBHBB", frames.ICMPV6, 0, 5, 2, 0, 1, 0)
    return struct.pack("!IHBB", 6 << 28, len(alert + said), frames.HOP_BY_HOP, hops) + both + alert + said


def test_listeners_are_told_of_in_their_sizes_only(bridged: Host, target: Target) -> None:
    most = (MLD_BYTES - 16) // 20
    tries = [
        (OUT, listener(143, "fe80::5", "ff02::16"), True),
        (OUT, listener(143, "::", "ff02::16"), True),
        (OUT, listener(143, "fe80::5", "ff02::16", most), True),
        (OUT, listener(143, "fe80::5", "ff02::16", most + 1), False),
        (OUT, listener(143, OWN, "ff02::16"), False),
        (OUT, listener(143, "fe80::5", "ff02::16", hops=2), False),
        (OUT, listener(143, "fe80::5", PEER), False),
        (OUT, listener(131, "fe80::5", "ff02::1:ff00:5"), True),
        (OUT, listener(132, "fe80::5", "ff02::2"), True),
        (OUT, listener(130, "fe80::5", "ff02::1"), False),
        (IN, listener(130, "fe80::1", "ff02::1"), True),
        (IN, listener(130, OWN, "ff02::1"), False),
        (IN, listener(143, "fe80::1", "ff02::16"), False),
    ]
    for way, message, expected in tries:
        assert passes(bridged, target, way, message) == expected, message.hex()


@pytest.fixture
def learning(target: Target) -> Iterator[Host]:
    """A host of its own, whose bridge learns who listens to what: it says so by itself too, now and later."""
    if target is Target.INET:
        pytest.skip("a router answers neighbour discovery and ARP itself")
    with host_with_taps(target) as host:
        host.run("ip link set br0 type bridge mcast_snooping 1 mcast_querier 0")
        host.load(swap(VM, [], target))
        yield host


def test_a_bridge_that_learns_listeners_brings_solicitations_to_the_vm(learning: Host, target: Target) -> None:
    link = ether(NETWORK, target)[6:] + struct.pack("!H", frames.IPV6)
    solicitation = b"\x33\x33" + GROUP[-4:] + link + discovery(NS, PEER, str(IPv6Address(GROUP)), OWN)
    # A router asks who listens, and wants to hear within a millisecond: from then on, only who has told is sent anything.
    query = b"\x33\x33\0\0\0\1" + link + listener(130, "fe80::1", "ff02::1", group=bytes(16))
    for _ in range(2):
        learning.send([(*IN, query, MARK)])
        time.sleep(0.2)
    assert learning.send([(*IN, solicitation, MARK)] * 10) == [False] * 10
    report = b"\x33\x33\0\0\0\x16" + MAC + struct.pack("!H", frames.IPV6) + listener(143, LOCAL, "ff02::16")
    assert learning.send([(*OUT, report, MARK)]) == [True]
    assert learning.send([(*IN, solicitation, MARK)] * 10) == [True] * 10


HELD = Tap(VM.uid, VM.tap, VM.name, VM.ipv4, VM.ipv6, own=Own("02:00:00:00:00:01", ("10.0.0.5", OWN)))


def test_held_vms_tell_only_their_own_addresses(bridged: Host, target: Target) -> None:
    bridged.load(swap(HELD, [], target))
    tries = [
        (discovery(NA, OWN, PEER, OWN), True),
        (discovery(NA, LOCAL, PEER, LOCAL), True),
        (discovery(NA, OWN, TOLD, PEER), False),
        (discovery(NA, OWN, PEER, "fe80::1"), False),
        (discovery(NA, PEER, TOLD, OWN), False),
        (discovery(NS, "::", "ff02::1:ff00:5", OWN), True),
        (discovery(NS, PEER, ASKED, PEER), False),
        (discovery(RS, LOCAL, "ff02::2"), True),
        (discovery(RS, "fe80::1", "ff02::2"), False),
        (listener(143, LOCAL, "ff02::16"), True),
        (listener(143, "fe80::1", "ff02::16"), False),
    ]
    for message, expected in tries:
        assert passes(bridged, target, OUT, message) == expected, message.hex()
    for message, expected in (
        (arp(), True),
        (arp(source="0.0.0.0"), True),
        (arp(source="10.0.0.9"), False),
        (arp(ether_source=bytes(6)), False),
        (arp(2, source="10.0.0.9"), False),
    ):
        assert arp_passes(bridged, target, OUT, message) == expected, message.hex()


def test_of_an_unknown_ethernet_address_every_link_local_one_may_be_told(bridged: Host, target: Target) -> None:
    bridged.load(swap(Tap(VM.uid, VM.tap, own=Own("", (OWN,))), [], target))
    assert passes(bridged, target, OUT, discovery(NA, "fe80::1", TOLD, "fe80::1"))
    assert passes(bridged, target, OUT, discovery(NA, OWN, TOLD, OWN))
    assert not passes(bridged, target, OUT, discovery(NA, OWN, TOLD, PEER))


def test_a_router_takes_neighbour_discovery_for_itself_only(host: Host, target: Target) -> None:
    if target is not Target.INET:
        pytest.skip("of a routed tap")
    host.load(swap(VM, [], target))
    before = host.counters(target)
    for to in (PEER, FAR):
        assert not passes(host, target, OUT, discovery(NA, OWN, to, OWN))
    assert host.counters(target)[next(k for k in before if k[1:] == ("out", "nd"))].packets == 0
    for message in (discovery(RS, "fe80::5", "ff02::2"), discovery(NS, OWN, "ff02::1:ff00:1", PEER)):
        passes(host, target, OUT, message)
    after = host.counters(target)
    assert after[next(k for k in before if k[1:] == ("out", "nd"))].packets == 2
    host.run(f"nft add table {target.family} {TABLE}")
    host.load(f"delete table {target.family} {TABLE}\n{skeleton(target)}")
