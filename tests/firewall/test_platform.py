"""What the platform does before any rule: the same fields make nft's text and tell which packets may meet a line."""

import re

import pytest
from hypothesis import given

from securitygroups.firewall.guests import TAGS, Guest, Own, slot, tag_of
from securitygroups.firewall.nftables import platform_lines as handed_on
from securitygroups.firewall.platform import Target, barred, may_meet, platform_lines
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, make_packet, parse_address
from tests.firewall.strategies import packets

INVALID = [f"meta protocol {family} ct state invalid,related drop" for family in ("ip", "ip6")]
OPENS = "tcp flags & (fin | syn | rst | ack) != syn drop"
REPLY = "ct state established,related ct mark &"
DISCOVERY = "ip6 nexthdr icmpv6 ip6 hoplimit 255 icmpv6 code 0 icmpv6 type"
ARP = "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation 1-2 meta length <= 46 accept"
LISTENER = "meta l4proto 58 ip6 hoplimit 1 icmpv6 code 0 icmpv6 type"
TAGS_OF_FRAMES = ["ether type 8021q drop", "ether type 8021ad drop"]


def lines_of(direction: Direction, target: Target = Target.BRIDGE, guest: Guest | None = None) -> list[str]:
    return [line.line for line in platform_lines(target, guest or Guest()) if line.direction is direction]


def test_nft_reads_these_lines_on_a_bridge() -> None:
    assert lines_of(Direction.IN) == [
        *TAGS_OF_FRAMES,
        f"{REPLY} 0xfff000 == 0x1000 accept",
        f"{REPLY} 0xfff == 0x1 accept",
        ARP,
        f"{DISCOVERY} 134-136 accept",
        f"ip6 saddr :: ip6 daddr ff00::/8 {LISTENER} 130 accept",
        f"ip6 saddr fe80::/10 ip6 daddr ff00::/8 {LISTENER} 130 accept",
        "ip protocol udp udp sport 67 udp dport 68 accept",
        "ip6 saddr fe80::/10 ip6 daddr fe80::/10 ip6 nexthdr udp udp sport 547 udp dport 546 accept",
        *INVALID,
        OPENS,
    ]
    assert lines_of(Direction.OUT) == [
        *TAGS_OF_FRAMES,
        f"{REPLY} 0xfff == 0x1 accept",
        f"{REPLY} 0xfff000 == 0x1000 accept",
        ARP,
        f"ip6 daddr ff02::2 {DISCOVERY} 133 ip6 length 8-16 accept",
        f"{DISCOVERY} 135 ip6 length 24-40 accept",
        f"{DISCOVERY} 136 ip6 length 24-32 accept",
        f"ip6 saddr :: ip6 daddr ff02::16 {LISTENER} 143 ip6 length <= 416 accept",
        f"ip6 saddr :: ip6 daddr ff00::/8 {LISTENER} 131-132 ip6 length 32 accept",
        f"ip6 saddr fe80::/10 ip6 daddr ff02::16 {LISTENER} 143 ip6 length <= 416 accept",
        f"ip6 saddr fe80::/10 ip6 daddr ff00::/8 {LISTENER} 131-132 ip6 length 32 accept",
        "ip daddr 255.255.255.255 ip protocol udp udp sport 68 udp dport 67 accept",
        "ip6 saddr fe80::/10 ip6 daddr ff02::1:2 ip6 nexthdr udp udp sport 546 udp dport 547 accept",
        *INVALID,
        OPENS,
    ]
    assert handed_on is platform_lines


HELD = Guest(7, Own("52:54:00:12:34:56", ("10.0.0.5", "2001:db8::5")), True)


def test_a_held_vm_has_lines_of_its_own() -> None:
    lines = lines_of(Direction.OUT, guest=HELD)

    assert lines[0] == "ether saddr != 52:54:00:12:34:56 drop"
    assert "ip saddr != 0.0.0.0 ip saddr != 10.0.0.5 drop" in lines
    assert "ip6 saddr != :: ip6 saddr != 2001:db8::5 ip6 saddr != fe80::5054:ff:fe12:3456 drop" in lines
    assert f"{REPLY} 0xfff == 0x7 accept" in lines
    assert f"{REPLY} 0xfff000 == 0x7000 accept" in lines
    told = "@th,64,128 != 0x20010db8000000000000000000000005 @th,64,128 != 0xfe80000000000000505400fffe123456 drop"
    assert f"meta l4proto 58 icmpv6 type 136 {told}" in lines
    assert "arp saddr ip != 0.0.0.0 arp saddr ip != 10.0.0.5 drop" in lines
    # Of what is not known, all are its own.
    unknown = lines_of(Direction.OUT, guest=Guest(7, Own(), True))
    assert "ip6 saddr != :: ip6 saddr != fe80::/10 drop" in unknown
    assert "meta l4proto 58 icmpv6 type 136 @th,64,10 != 0x3fa drop" in unknown
    assert lines_of(Direction.IN, guest=HELD) == [
        line.replace("0x1000 ", "0x7000 ").replace("0x1 ", "0x7 ") for line in lines_of(Direction.IN)
    ]


@pytest.mark.parametrize(
    ("own", "version", "networks"),
    [
        (Own(), 4, ""),
        (Own(), 6, "fe80::/10"),
        (Own("02:00:00:00:00:01"), 6, "fe80::ff:fe00:1/128"),
        (Own("", ("10.0.0.5", "2001:db8::5", "10.0.0.5")), 4, "10.0.0.5/32"),
        (Own("02:00:00:00:00:01", ("2001:db8::5", "fe80::7")), 6, "2001:db8::5/128 fe80::7/128 fe80::ff:fe00:1/128"),
    ],
)
def test_a_vm_sends_as_what_it_has(own: Own, version: int, networks: str) -> None:
    assert " ".join(map(str, own.networks(version))) == networks
    assert own.problem() == ""


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (Own("52:54:00:12:34"), "not an Ethernet address"),
        (Own("52:54:00:AB:34:56"), "in small letters"),
        (Own('52:54:00:12:34:56" drop'), "not an Ethernet address"),
        (Own(addresses=("10.0.0.5", "10.0.0.0/8")), "“10.0.0.0/8” is not an IP address"),
        (Own(addresses=("10.0.0.5\nflush ruleset",)), "not an IP address"),
    ],
)
def test_what_cannot_be_sent_as_is_said(own: Own, words: str) -> None:
    assert words in own.problem()


def test_tags_are_told_apart_and_never_nothing() -> None:
    tags = {tag_of(f"vm-{number:010x}") for number in range(20_000)}

    assert tags <= set(range(1, 4096))
    assert len(tags) > 4000
    assert tag_of("vm-1") == tag_of("vm-1")
    assert slot(Direction.OUT, 0xFFF) | slot(Direction.IN, 0xFFF) == TAGS == 0xFFFFFF


BARRED = [
    ("out", 17, "10.0.0.6", "10.0.0.9", 53, "spoofed"),
    ("out", 6, "2001:db8::6", "2001:db8::9", 443, "spoofed"),
    ("out", 6, "2001:db8::5", "2001:db8::9", 443, ""),
    ("out", 6, "fe80::5054:ff:fe12:3456", "fe80::9", 443, ""),
    ("in", 17, "10.0.0.6", "10.0.0.9", 53, ""),
    ("in", 1, "2001:db8::6", "2001:db8::9", None, "invalid"),
    ("in", 59, "2001:db8::6", "2001:db8::9", None, "invalid"),
    ("in", 59, "10.0.0.6", "10.0.0.9", None, ""),
    ("in", 58, "10.0.0.6", "10.0.0.9", None, "invalid"),
    ("in", 136, "10.0.0.6", "10.0.0.9", None, "invalid"),
    ("in", 43, "2001:db8::6", "2001:db8::9", None, "invalid"),
    ("in", 43, "10.0.0.6", "10.0.0.9", None, ""),
    ("in", "non-ip", "", "", None, ""),
]


@pytest.mark.parametrize(("way", "protocol", "source", "destination", "port", "what"), BARRED)
def test_a_packet_that_no_rule_is_asked_about_is_told(
    way: str, protocol: str | int, source: str, destination: str, port: int | None, what: str
) -> None:
    ends = [parse_address(end) if end else None for end in (source, destination)]
    packet = make_packet(Direction(way), protocol, ends[0], ends[1], port)

    line = barred(packet, HELD)

    assert (line.what if line else "") == what
    assert line is None or (line.action is Action.DROP and line.direction is packet.direction)
    assert not (what == "spoofed" and barred(packet))


def test_a_routed_tap_asks_for_the_route_first_and_has_no_frames() -> None:
    lines = {(line.direction.value, line.what): line.condition for line in platform_lines(Target.INET)}

    assert lines["in", "dhcp4"] == "fib saddr type local ip protocol udp udp sport 67 udp dport 68"
    assert lines["out", "nd"].startswith("fib daddr type local ip6 nexthdr icmpv6 ")
    assert not {what for _, what in lines} & {"arp", "vlan"}
    assert may_meet(Packet(Direction.IN), Target.INET) == ()


# direction, protocol, source, destination, port, the lines that the packet may meet
MET = [
    ("in", "non-ip", "", "", None, "vlan arp"),
    ("out", "non-ip", "", "", None, "vlan arp"),
    ("in", 58, "2001:db8::1", "2001:db8::2", None, "nd"),
    ("out", 58, "fe80::1", "ff02::2", None, "nd mld"),
    ("out", 58, "fe80::1", "ff02::16", None, "nd mld"),
    ("out", 58, "fe80::1", "fe80::2", None, "nd"),
    ("in", 58, "fe80::1", "ff02::1", None, "nd mld"),
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
        about_connections = bool(re.search("ct state|meta mark|tcp flags", line.condition))
        assert ((line.direction.value, line.what) in met) is not about_connections
        assert line.asked.state is about_connections


@given(packets())
def test_a_packet_without_a_port_meets_no_line_that_asks_for_one(packet: Packet) -> None:
    for line in may_meet(packet):
        assert packet.port is not None or " dport " not in line.condition
