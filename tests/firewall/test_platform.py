"""What the platform does before any rule: the same fields make nft's text and tell which packets may meet a line."""

import re

import pytest
from hypothesis import given

from securitygroups.firewall.nftables import platform_lines as handed_on
from securitygroups.firewall.platform import Target, may_meet, platform_lines
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet, make_packet, parse_address
from tests.firewall.strategies import packets

ANY_IN = (
    "ct state established,related accept",
    "meta protocol { ip, ip6 } ct state invalid drop",
)
DISCOVERY = "ip6 nexthdr icmpv6 ip6 hoplimit 255 icmpv6 code 0 icmpv6 type"


def test_nft_reads_these_lines_on_a_bridge() -> None:
    lines = [(line.direction, line.line) for line in platform_lines(Target.BRIDGE)]

    assert [text for direction, text in lines if direction is Direction.IN] == [
        "ether type { 8021q, 8021ad } drop",
        "meta protocol arp accept",
        f"{DISCOVERY} {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept",
        "ip protocol udp udp sport 67 udp dport 68 accept",
        "ip6 saddr fe80::/10 ip6 daddr fe80::/10 ip6 nexthdr udp udp sport 547 udp dport 546 accept",
        *ANY_IN,
    ]
    assert [text for direction, text in lines if direction is Direction.OUT] == [
        "ether type { 8021q, 8021ad } drop",
        "meta protocol arp accept",
        f"{DISCOVERY} {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} accept",
        "ip daddr 255.255.255.255 ip protocol udp udp sport 68 udp dport 67 accept",
        "ip6 saddr fe80::/10 ip6 daddr ff02::1:2 ip6 nexthdr udp udp sport 546 udp dport 547 accept",
        *ANY_IN,
    ]
    assert handed_on is platform_lines


def test_a_routed_tap_asks_for_the_route_first_and_has_no_frames() -> None:
    lines = {(line.direction.value, line.what): line.condition for line in platform_lines(Target.INET)}

    assert lines["in", "dhcp4"] == "fib saddr type local ip protocol udp udp sport 67 udp dport 68"
    assert lines["out", "nd"].startswith("fib daddr type { local, anycast, multicast } ip6 nexthdr icmpv6 ")
    assert not {what for _, what in lines} & {"arp", "vlan"}
    assert may_meet(Packet(Direction.IN), Target.INET) == ()


# direction, protocol, source, destination, port, the lines that the packet may meet
MET = [
    ("in", "non-ip", "", "", None, "vlan arp"),
    ("out", "non-ip", "", "", None, "vlan arp"),
    ("in", 58, "2001:db8::1", "2001:db8::2", None, "nd"),
    ("out", 58, "fe80::1", "ff02::2", None, "nd"),
    ("in", 17, "10.0.0.1", "10.0.0.2", 68, "dhcp4"),
    ("out", 17, "0.0.0.0", "255.255.255.255", 67, "dhcp4"),
    ("in", 17, "fe80::1", "febf::2", 546, "dhcp6"),
    ("out", 17, "fe80::1", "ff02::1:2", 547, "dhcp6"),
    ("out", 17, "10.0.0.1", "10.0.0.2", 67, ""),
    ("out", 17, "10.0.0.1", "255.255.255.255", 68, ""),
    ("in", 17, "10.0.0.1", "10.0.0.2", 67, ""),
    ("in", 17, "10.0.0.1", "10.0.0.2", 546, ""),
    ("in", 6, "10.0.0.1", "10.0.0.2", 68, ""),
    ("in", 17, "2001:db8::1", "fe80::2", 546, ""),
    ("in", 17, "fe80::1", "fec0::2", 546, ""),
    ("in", 17, "fe80::1", "fe80::2", 68, ""),
    ("out", 17, "fe80::1", "fe80::2", 547, ""),
    ("out", 17, "2001:db8::1", "ff02::1:2", 547, ""),
    ("in", 58, "10.0.0.1", "10.0.0.2", None, ""),
    ("in", 1, "10.0.0.1", "10.0.0.2", None, ""),
    ("in", 1, "fe80::1", "fe80::2", None, ""),
]


@pytest.mark.parametrize(("way", "protocol", "source", "destination", "port", "names"), MET)
def test_a_packet_may_meet_the_lines_that_ask_for_such_a_one(
    way: str, protocol: str | int, source: str, destination: str, port: int | None, names: str
) -> None:
    ends = [parse_address(end) if end else None for end in (source, destination)]
    packet = make_packet(Direction(way), protocol, ends[0], ends[1], port)

    found = may_meet(packet)

    assert [line.what for line in found] == names.split()
    assert all(line.direction is packet.direction and line in platform_lines(Target.BRIDGE) for line in found)


def test_every_line_is_met_by_some_packet_but_those_about_connections() -> None:
    met = {(way, what) for way, *_, names in MET for what in names.split()}

    for line in platform_lines(Target.BRIDGE):
        about_connections = bool(re.search("ct state|meta mark", line.condition))
        assert ((line.direction.value, line.what) in met) is not about_connections
        assert line.asked.state is about_connections


@given(packets())
def test_a_packet_without_a_port_meets_no_line_that_asks_for_one(packet: Packet) -> None:
    for line in may_meet(packet):
        assert packet.port is not None or " dport " not in line.condition
