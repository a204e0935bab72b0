"""A VM speaks in its own name only, and its own rules' connections are the only ones that it answers in."""

import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from securitygroups.firewall.nftables import TABLE, Loaded, Own, Tap, read_loaded, remove, swap
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.notation import rule
from securitygroups.firewall.platform import Target
from securitygroups.firewall.values import Rule, parse_address
from tests.kernel import frames
from tests.kernel.conftest import KERNEL
from tests.kernel.host import NETWORK, OTHER_TAP, VM, Host, ether, host_with_taps

pytestmark = KERNEL

MARK = b"\x05marked\x01"
IN, OUT = (NETWORK, VM.tap), (VM.tap, NETWORK)
MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:03"
OWN = ("10.0.0.5", "2001:db8::5")
HELD = Tap(VM.uid, VM.tap, VM.name, *OWN, own=Own(MAC, OWN))
OTHER = Tap("vm-2", OTHER_TAP)
PEER = {4: "198.51.100.7", 6: "2001:db8:1::7"}
ANY = [rule("accept in all"), rule("accept out all")]


def numbers(*texts: str) -> bytes:
    parsed = [parse_address(text) for text in texts]
    return b"".join(number.to_bytes(4 if version == 4 else 16, "big") for version, number in parsed)


def packet(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    both = numbers(source, destination)
    head = struct.pack("!H", frames.IPV4 if len(both) == 8 else frames.IPV6)
    return head + (frames.ipv4 if len(both) == 8 else frames.ipv6)(both, protocol, body)


def datagram(source: str, destination: str, sport: int = 4000, dport: int = 9000) -> bytes:
    return packet(source, destination, frames.UDP, frames.udp(numbers(source, destination), sport, dport, MARK))


def segment(source: str, destination: str, sport: int, dport: int, flags: int, seq: int = 1, ack: int = 0) -> bytes:
    both = numbers(source, destination)
    return packet(source, destination, frames.TCP, frames.tcp(both, sport, dport, MARK, flags, seq, ack))


def passes(host: Host, target: Target, way: tuple[str, str], inner: bytes, mac: str = "") -> bool:
    link = ether(way[0], target)
    link = link[:6] + bytes.fromhex(mac.replace(":", "")) if mac else link
    return host.send([(*way, link + inner, MARK)])[0]


def count(host: Host, target: Target, kind: str, what: str, uid: str = VM.uid) -> int:
    return host.counters(target)[Counted(uid, kind, what)].packets


def load_all(host: Host, target: Target, machine: Tap, rules: list[Rule]) -> None:
    host.load(swap(machine, rules, target))


@pytest.mark.parametrize("version", [4, 6])
def test_a_held_vm_sends_only_as_itself(host: Host, target: Target, version: int) -> None:
    own, peer = OWN[version == 6], PEER[version]
    load_all(host, target, HELD, ANY)
    assert passes(host, target, OUT, datagram(own, peer))
    strangers = ["10.0.0.6", "10.0.0.4", "203.0.113.9"] if version == 4 else ["2001:db8::6", "2001:db8:9::5"]
    for number, stranger in enumerate(strangers):
        assert not passes(host, target, OUT, datagram(stranger, peer))
        assert count(host, target, "out", "spoofed") == number + 1
    assert not passes(host, target, OUT, datagram(own, peer, 4001), OTHER_MAC)
    assert count(host, target, "out", "spoofed") == len(strangers) + 1
    # Whoever is no router and no server, whatever the rules say; but routers and gateways may be let.
    assert passes(host, target, IN, datagram("203.0.113.9" if version == 4 else "2001:db8:9::5", own))
    host.load(swap(VM, ANY, target, before=listed(host, target)))
    assert passes(host, target, OUT, datagram(strangers[0], peer), OTHER_MAC)


def listed(host: Host, target: Target) -> Loaded:
    return read_loaded(host.run(f"nft -j list table {target.family} {TABLE}"))


def test_a_held_vm_of_one_family_sends_nothing_over_the_other(host: Host, target: Target) -> None:
    load_all(host, target, Tap(VM.uid, VM.tap, own=Own(MAC, OWN[:1])), ANY)
    assert passes(host, target, OUT, datagram(OWN[0], PEER[4]))
    assert not passes(host, target, OUT, datagram(OWN[1], PEER[6]))
    load_all(host, target, Tap(VM.uid, VM.tap, own=Own(MAC, OWN[1:])), ANY)
    assert not passes(host, target, OUT, datagram(OWN[0], PEER[4], 4001))
    assert passes(host, target, OUT, datagram(OWN[1], PEER[6], 4001))


def test_routers_and_servers_are_only_those_that_are_let(host: Host, target: Target) -> None:
    if target is Target.INET:
        pytest.skip("a router forwards nothing link-local")
    offer = datagram("10.0.0.5", "255.255.255.255", 67, 68)
    offer6 = datagram("fe80::ff:fe00:1", "fe80::9", 547, 546)
    both = numbers("fe80::ff:fe00:1", "ff02::1")
    advert = frames.icmpv6(both, 134, 0, b"\x40\0\x07\x08", bytes(8) + MARK)
    head = struct.pack("!H", frames.IPV6)
    plain = head + frames.ipv6(both, frames.ICMPV6, advert, hops=255)
    hidden = head + frames.ipv6(both, frames.ICMPV6, advert, hops=255, extension=frames.DESTINATION_OPTIONS)
    for machine, expected in ((HELD, False), (VM, True)):
        host.load(swap(machine, ANY, target))
        for message in (offer, offer6, plain, hidden):
            assert passes(host, target, OUT, message) == expected, message.hex()
    host.load(swap(HELD, [], target))
    assert passes(host, target, OUT, datagram("0.0.0.0", "255.255.255.255", 68, 67))
    assert passes(host, target, OUT, datagram("fe80::ff:fe00:1", "ff02::1:2", 546, 547))
    assert not passes(host, target, OUT, datagram("fe80::1", "ff02::1:2", 546, 547))


def test_another_vm_cannot_answer_in_a_connection(host: Host, target: Target) -> None:
    """B, whose list is empty, sends in A's name into a connection that A's rules accepted; it need not even be held."""
    host.load(swap(VM, [rule("accept in udp 9000")], target))
    host.load(swap(OTHER, [], target))
    assert passes(host, target, IN, datagram(PEER[4], OWN[0]))
    answer = datagram(OWN[0], PEER[4], 9000, 4000)
    assert not passes(host, target, (OTHER_TAP, NETWORK), answer, MAC)
    assert count(host, target, "out", "none", OTHER.uid) == 1
    assert passes(host, target, OUT, answer)


def test_a_connection_that_was_cut_is_not_taken_up(host: Host, target: Target) -> None:
    host.load(swap(VM, [rule("accept in tcp 443"), rule("accept out all")], target))
    there, back = (PEER[4], OWN[0]), (OWN[0], PEER[4])
    seq = 2 + len(MARK)
    assert passes(host, target, IN, segment(*there, 4000, 443, frames.SYN))
    assert passes(host, target, OUT, segment(*back, 443, 4000, frames.SYN_ACK, 90, seq))
    assert passes(host, target, IN, segment(*there, 4000, 443, frames.ACK, seq, 91 + len(MARK)))
    host.order("forget")
    assert not passes(host, target, OUT, segment(*back, 443, 4000, frames.ACK, 91 + len(MARK), seq + len(MARK)))
    assert not passes(host, target, IN, segment(*there, 4000, 443, frames.ACK, seq + len(MARK), 91 + 2 * len(MARK)))
    assert count(host, target, "out", "opens") == count(host, target, "in", "opens") == 1


def test_a_bare_acknowledgement_opens_no_accepted_port(host: Host, target: Target) -> None:
    host.load(swap(VM, [rule("accept in tcp 443")], target))
    assert not passes(host, target, IN, segment(PEER[4], OWN[0], 4000, 443, frames.ACK))
    assert count(host, target, "in", "opens") == 1


@pytest.fixture
def routed(target: Target) -> Iterator[Host]:
    """A host that routes what comes by `wan0` into the bridge of its VM."""
    if target is Target.INET:
        pytest.skip("everything is routed there")
    with ExitStack() as stack:
        host = stack.enter_context(host_with_taps(target))
        host.order("sysctl", name="ipv4/ip_forward", value="1")
        for name in ("default", "all"):
            host.order("sysctl", name=f"ipv4/conf/{name}/rp_filter", value="0")
        host.run("ip addr add 10.0.0.1/24 dev br0")
        host.run(f"ip neigh replace 10.0.0.5 lladdr {MAC} dev br0 nud permanent")
        host.run(f"bridge fdb replace {MAC} dev {VM.tap} master static")
        host.order("tap", name="wan0")
        host.run("ip link set wan0 address 02:00:00:00:01:0f up")
        host.run("ip addr add 198.51.100.1/24 dev wan0")
        host.run(f"ip neigh replace {PEER[4]} lladdr 02:00:00:00:01:01 dev wan0 nud permanent")
        yield host


WAN_IN, WAN_OUT = ("wan0", VM.tap), (VM.tap, "wan0")


def routed_passes(host: Host, way: tuple[str, str], inner: bytes) -> bool:
    """What is routed has the host's Ethernet address at its destination."""
    to, source = ("02:00:00:00:01:0f", "02:00:00:00:01:01") if way == WAN_IN else ("", MAC)
    if way == WAN_OUT:
        words = host.run("ip link show br0").split()
        to = words[words.index("link/ether") + 1]
    link = bytes.fromhex((to + source).replace(":", ""))
    return host.send([(*way, link + inner, MARK)])[0]


def test_what_was_denied_opens_no_tunnel_where_the_host_routes_into_a_bridge(routed: Host, target: Target) -> None:
    routed.load(swap(VM, [], target))
    there, back = datagram(PEER[4], OWN[0]), datagram(OWN[0], PEER[4], 9000, 4000)
    for _ in range(3):
        assert not routed_passes(routed, WAN_IN, there)
        assert not routed_passes(routed, WAN_OUT, back)


def test_what_was_accepted_is_answered_where_the_host_routes_into_a_bridge(routed: Host, target: Target) -> None:
    there, back = datagram(PEER[4], OWN[0]), datagram(OWN[0], PEER[4], 9000, 4000)
    routed.load(swap(VM, [rule("accept in udp 9000 from 198.51.100.0/24")], target))
    for _ in range(2):
        assert routed_passes(routed, WAN_IN, there)
        assert routed_passes(routed, WAN_OUT, back)
    assert not routed_passes(routed, WAN_OUT, datagram(OWN[0], PEER[4], 9001, 4000))
    # The rule is gone: what it accepted goes on.
    routed.load(swap(VM, [], target, before=[rule("accept in udp 9000 from 198.51.100.0/24")]))
    assert routed_passes(routed, WAN_IN, there)
    assert routed_passes(routed, WAN_OUT, back)
    routed.order("forget")
    assert not routed_passes(routed, WAN_IN, there)
    routed.load(swap(VM, [rule("accept out udp")], target))
    routed.order("forget")
    assert routed_passes(routed, WAN_OUT, back)
    assert routed_passes(routed, WAN_IN, there)


def test_a_vm_that_is_gone_leaves_nothing(host: Host, target: Target) -> None:
    before = host.run("nft -n list ruleset")
    load_all(host, target, HELD, ANY)
    host.load(remove(HELD, listed(host, target), target))
    assert host.run("nft -n list ruleset") == before
