"""What stands around the rules: replies, errors, invalid packets, the platform's lines, VLAN tags, taps of no VM."""

import struct
from contextlib import nullcontext

import pytest

from securitygroups.firewall.nftables import host_ruleset, remove, swap
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.platform import Target, barred
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule, parse_address, parse_network
from tests.kernel import frames
from tests.kernel.conftest import KERNEL
from tests.kernel.host import NETWORK, OTHER_TAP, VM, Host, ether, route_to_other

pytestmark = KERNEL

MARK = b"\x05marked\x01"
IN, OUT = (NETWORK, VM.tap), (VM.tap, NETWORK)
WEB = Rule(Action.ACCEPT, Direction.IN, "tcp", parse_network("198.51.100.0/24"), None, 443, 443, uid="web")
DNS = Rule(Action.ACCEPT, Direction.OUT, "udp", None, None, 53, 53, uid="dns")
ALL_IN = Rule(Action.ACCEPT, Direction.IN, "all", uid="all-in")
ALL_OUT = Rule(Action.ACCEPT, Direction.OUT, "all", uid="all-out")
PEER = {4: "198.51.100.7", 6: "2001:db8:1::7"}
OWN = {4: "10.0.0.5", 6: "2001:db8::5"}


def ends(version: int, direction: Direction) -> bytes:
    """Source and destination address: the peer's and the VM's, as the direction has them."""
    pair = (PEER[version], OWN[version]) if direction is Direction.IN else (OWN[version], PEER[version])
    return b"".join(parse_address(text)[1].to_bytes(4 if version == 4 else 16, "big") for text in pair)


def packet(both: bytes, protocol: int, body: bytes, hops: int = 64) -> bytes:
    if len(both) == 8:
        return frames.ipv4(both, protocol, body, ttl=hops)
    return frames.ipv6(both, protocol, body, hops=hops)


def passes(host: Host, target: Target, way: tuple[str, str], ip: bytes, mark: bytes = MARK) -> bool:
    """Whether an IP packet comes out on the other side."""
    kind = frames.IPV4 if ip[0] >> 4 == 4 else frames.IPV6
    return host.send([(*way, ether(way[0], target) + struct.pack("!H", kind) + ip, mark)])[0]


def count(host: Host, target: Target, kind: str, what: str) -> int:
    return host.counters(target)[Counted(VM.uid, kind, what)].packets


@pytest.mark.parametrize("version", [4, 6])
def test_replies_of_an_accepted_connection_pass_and_nothing_else_does(host: Host, target: Target, version: int) -> None:
    host.load(swap(VM, [DNS], target))
    out, back = ends(version, Direction.OUT), ends(version, Direction.IN)
    answer = packet(back, frames.UDP, frames.udp(back, 53, 4000, MARK))
    assert not passes(host, target, IN, answer)
    host.order("forget")
    assert passes(host, target, OUT, packet(out, frames.UDP, frames.udp(out, 4000, 53, MARK)))
    assert passes(host, target, IN, answer)
    assert not passes(host, target, IN, packet(back, frames.UDP, frames.udp(back, 53, 4001, MARK)))
    assert count(host, target, "in", "reply") == 1
    assert count(host, target, "in", "none") == 2


@pytest.mark.parametrize("version", [4, 6])
def test_a_tcp_handshake_passes_where_only_its_first_packet_is_accepted(
    host: Host, target: Target, version: int
) -> None:
    host.load(swap(VM, [Rule(Action.ACCEPT, Direction.IN, "tcp", None, None, 443, 443, uid="web")], target))
    there, back = ends(version, Direction.IN), ends(version, Direction.OUT)
    steps = [
        (IN, there, frames.tcp(there, 4000, 443, MARK, frames.SYN, 10)),
        (OUT, back, frames.tcp(back, 443, 4000, MARK, frames.SYN_ACK, 90, 11 + len(MARK))),
        (IN, there, frames.tcp(there, 4000, 443, MARK, frames.ACK, 11 + len(MARK), 91)),
    ]
    for way, both, segment in steps:
        assert passes(host, target, way, packet(both, frames.TCP, segment))
    assert count(host, target, "rule", "web") == 1


@pytest.mark.parametrize("version", [4, 6])
def test_an_icmp_error_about_a_connection_passes_and_an_unrelated_one_does_not(
    host: Host, target: Target, version: int
) -> None:
    host.load(swap(VM, [DNS, ALL_IN], target))
    out, back = ends(version, Direction.OUT), ends(version, Direction.IN)
    asked = packet(out, frames.UDP, frames.udp(out, 4000, 53, MARK))
    if version == 4:
        error = packet(back, frames.ICMP, frames.icmp(3, 3, payload=asked))
    else:
        error = packet(back, frames.ICMPV6, frames.icmpv6(back, 1, 4, payload=asked))
    assert not passes(host, target, IN, error)
    assert count(host, target, "in", "invalid") == 1
    assert passes(host, target, OUT, asked)
    assert passes(host, target, IN, error)
    assert count(host, target, "in", "reply") == 1


@pytest.mark.parametrize("version", [4, 6])
def test_invalid_packets_are_dropped_though_every_packet_is_accepted(host: Host, target: Target, version: int) -> None:
    host.load(swap(VM, [ALL_IN, ALL_OUT], target))
    for way, direction in ((IN, Direction.IN), (OUT, Direction.OUT)):
        both = ends(version, direction)
        good = frames.tcp(both, 4000, 80, MARK)
        wrong_sum = good[:16] + bytes([good[16] ^ 1]) + good[17:]
        bad = [
            wrong_sum,
            frames.tcp(both, 4001, 80, MARK, frames.SYN_ACK),
            frames.tcp(both, 4002, 80, MARK, frames.FIN_SYN),
            frames.tcp(both, 4003, 80, MARK, 0),
        ]
        for segment in bad:
            assert not passes(host, target, way, packet(both, frames.TCP, segment))
        assert count(host, target, str(direction), "invalid") == len(bad)
        assert passes(host, target, way, packet(both, frames.TCP, good))


NEVER_NEW = [(4, 58), (4, 136), (6, 1), (6, 59), (6, 136), (4, 59), (4, 47), (6, 47), (4, 253)]


@pytest.mark.parametrize(("version", "number"), NEVER_NEW)
def test_what_the_packet_test_says_is_never_judged_is_not(
    host: Host, target: Target, version: int, number: int
) -> None:
    host.load(swap(VM, [ALL_IN, ALL_OUT], target))
    for way, direction in ((IN, Direction.IN), (OUT, Direction.OUT)):
        both = ends(version, direction)
        source, destination = (int.from_bytes(half, "big") for half in (both[: len(both) // 2], both[len(both) // 2 :]))
        line = barred(Packet(direction, version, number, source, destination))
        # UDP-Lite with the right sum over all that it says is one that is covered.
        body = struct.pack("!HHHH", 4000, 9000, 16, 0) + MARK if number == 136 else b"\x80\0\0\0" + MARK
        assert passes(host, target, way, packet(both, number, body)) == (line is None)
        assert (count(host, target, str(direction), "invalid") == 1) == (line is not None)


def test_icmp_messages_that_open_nothing_are_dropped(host: Host, target: Target) -> None:
    host.load(swap(VM, [ALL_IN, ALL_OUT], target))
    both = ends(4, Direction.IN)
    for kind in (8, 13, 15, 17):
        assert passes(host, target, IN, packet(both, frames.ICMP, frames.icmp(kind, 0, b"\0\7\0\1", MARK)))
    for kind in (0, 1, 3, 4, 5, 9, 10, 11, 12, 14, 19, 30, 40, 42, 255):
        assert not passes(host, target, IN, packet(both, frames.ICMP, frames.icmp(kind, 0, b"\0\7\0\1", MARK)))
    both = ends(6, Direction.IN)
    for kind in (128,):
        assert passes(host, target, IN, packet(both, frames.ICMPV6, frames.icmpv6(both, kind, 0, b"\0\7\0\1", MARK)))
    for kind in (1, 2, 3, 4, 129, 137, 138, 140, 144, 155, 200):
        said = frames.icmpv6(both, kind, 0, b"\0\7\0\1", MARK)
        assert not passes(host, target, IN, packet(both, frames.ICMPV6, said))


def test_sctp_data_without_an_association_is_dropped(host: Host, target: Target) -> None:
    host.load(swap(VM, [ALL_IN], target))
    for version in (4, 6):
        both = ends(version, Direction.IN)
        chunk = struct.pack("!BBHIHHI", 0, 3, 24, 1, 0, 0, 0) + MARK
        said = struct.pack("!HHII", 4000, 9000, 7, 0) + chunk
        said = said[:8] + struct.pack("<I", frames.crc32c(said)) + said[12:]
        assert not passes(host, target, IN, packet(both, frames.SCTP, said))
        assert passes(host, target, IN, packet(both, frames.SCTP, frames.sctp(both, 4000, 9000, MARK)))
    assert count(host, target, "in", "invalid") == 2


def test_fragments_are_judged_as_the_packet_that_they_make(host: Host, target: Target) -> None:
    host.load(swap(VM, [WEB], target))
    both = ends(4, Direction.IN)
    for port, accepted in ((443, True), (80, False)):
        segment = frames.tcp(both, 4000, port, bytes(20) + MARK)
        first, rest = segment[:24], segment[24:]
        assert not passes(host, target, IN, frames.ipv4(both, frames.TCP, first, fragment=0x2000))
        assert passes(host, target, IN, frames.ipv4(both, frames.TCP, rest, fragment=3)) == accepted
    assert count(host, target, "rule", "web") == 1


def _tagged(host: Host, target: Target, way: tuple[str, str], tag: bytes, inner: bytes) -> bool:
    return host.send([(*way, ether(way[0], target) + tag + inner, MARK)])[0]


def test_frames_with_a_vlan_tag_are_dropped(host: Host, target: Target) -> None:
    host.load(swap(VM, [ALL_IN, ALL_OUT], target))
    tags = [
        struct.pack("!HH", frames.VLAN, 100),
        struct.pack("!HH", frames.PROVIDER_VLAN, 100),
        struct.pack("!HHHH", frames.PROVIDER_VLAN, 100, frames.VLAN, 7),
    ]
    for way, direction in ((IN, Direction.IN), (OUT, Direction.OUT)):
        both = ends(4, direction)
        inner = struct.pack("!H", frames.IPV4) + packet(both, frames.TCP, frames.tcp(both, 4000, 80, MARK))
        for tag in tags:
            assert not _tagged(host, target, way, tag, inner)
        if target is not Target.INET:
            assert not _tagged(host, target, way, struct.pack("!HH", frames.VLAN, 0), inner)
            assert count(host, target, str(direction), "vlan") == len(tags) + 1


def test_on_a_routed_tap_a_priority_tag_hides_nothing_from_the_rules(host: Host, target: Target) -> None:
    if target is not Target.INET:
        pytest.skip("bridges drop every tag")
    host.load(swap(VM, [WEB], target))
    both = ends(4, Direction.IN)
    for port, accepted in ((443, True), (80, False)):
        inner = struct.pack("!H", frames.IPV4) + packet(both, frames.TCP, frames.tcp(both, 4000, port, MARK))
        assert _tagged(host, target, IN, struct.pack("!HH", frames.VLAN, 0), inner) == accepted


def _datagram(source: str, destination: str, sport: int, dport: int) -> bytes:
    size = 16 if ":" in source else 4
    both = b"".join(parse_address(text)[1].to_bytes(size, "big") for text in (source, destination))
    return packet(both, frames.UDP, frames.udp(both, sport, dport, MARK))


def test_dhcp_clients_get_their_address_and_nothing_else(host: Host, target: Target) -> None:
    host.load(swap(VM, [], target))
    local, agents = "fe80::5", "ff02::1:2"
    routed = target is Target.INET
    tries = [
        (OUT, "out", "dhcp4", _datagram("0.0.0.0", "255.255.255.255", 68, 67)),
        (IN, "in", "none" if routed else "dhcp4", _datagram("10.0.0.1", "10.0.0.5", 67, 68)),
        (OUT, "out", "dhcp6", _datagram(local, agents, 546, 547)),
        (IN, "in", "dhcp6", _datagram("fe80::1", local, 547, 546)),
        (OUT, "out", "none", _datagram("10.0.0.5", "203.0.113.9", 68, 67)),
        (OUT, "out", "none", _datagram("10.0.0.5", "255.255.255.255", 68, 69)),
        (OUT, "out", "none", _datagram("10.0.0.5", "255.255.255.255", 67, 68)),
        (OUT, "out", "none", _datagram(local, "2001:db8::9", 546, 547)),
        (IN, "in", "none", _datagram("10.0.0.1", "10.0.0.5", 68, 67)),
        (IN, "in", "none", _datagram("2001:db8::9", local, 547, 546)),
    ]
    for way, direction, what, datagram in tries:
        before = count(host, target, direction, what)
        host.order("forget")
        passed = passes(host, target, way, datagram)
        # A router forwards no broadcast and nothing link-local: there, only what it judged can be seen.
        assert passed == (what != "none") or routed
        judged = not routed or way is OUT or datagram[0] >> 4 == 4
        assert count(host, target, direction, what) == before + judged


def test_arp_passes_without_a_rule_and_other_frames_do_not(host: Host, target: Target) -> None:
    if target is Target.INET:
        pytest.skip("a router forwards IP only")
    host.load(swap(VM, [], target))
    for way in (IN, OUT):
        link = ether(way[0], target)
        assert host.send([(*way, frames.arp(link) + MARK, MARK)])[0]
        assert not host.send([(*way, link + b"\x88\xcc" + MARK, MARK)])[0]
    assert count(host, target, "in", "arp") == count(host, target, "out", "arp") == 1


def test_a_tap_of_no_vm_passes_nothing(host: Host, target: Target) -> None:
    """Three ways to have no VM: never had one, taken off the host, left out when the whole host was loaded."""
    host.load(swap(VM, [ALL_IN, ALL_OUT], target))
    both = ends(4, Direction.OUT)
    syn = packet(both, frames.TCP, frames.tcp(both, 4000, 80, MARK))
    assert passes(host, target, OUT, syn)
    assert not passes(host, target, (OTHER_TAP, NETWORK), syn)
    assert host.unknown(target, "out") == 1
    # A bridge that has not learned yet where the network is has sent the first frame to every tap.
    before = host.unknown(target, "in")
    if target is not Target.INET:
        host.run("ip link set br0 type bridge fdb_flush")
    with route_to_other(host, PEER[4]) if target is Target.INET else nullcontext():
        assert not passes(host, target, (NETWORK, OTHER_TAP), syn)
    assert host.unknown(target, "in") == before + 1
    host.load(remove(VM, [ALL_IN, ALL_OUT], target))
    assert not passes(host, target, OUT, syn)
    assert host.counters(target) == {}
    host.load(swap(VM, [ALL_IN, ALL_OUT], target))
    assert passes(host, target, OUT, syn)
    host.load(host_ruleset([], target))
    assert not passes(host, target, OUT, syn)
    host.load(host_ruleset([(VM, [ALL_OUT])], target))
    assert passes(host, target, OUT, syn)


def test_a_chain_that_was_emptied_by_hand_passes_nothing(host: Host, target: Target) -> None:
    host.load(swap(VM, [ALL_OUT], target))
    host.run(f"nft flush chain {target.family} karenpanel vm.{VM.uid}.out")
    both = ends(4, Direction.OUT)
    assert not passes(host, target, OUT, packet(both, frames.TCP, frames.tcp(both, 4000, 80, MARK)))
