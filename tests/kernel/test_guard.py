"""What bypasses a bridge's own chains reaches the host no more than the rest does; and VLANs, where the bridge makes them."""

import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from securitygroups.firewall.nftables import swap
from securitygroups.firewall.notation import rule
from securitygroups.firewall.platform import Target
from securitygroups.firewall.values import parse_address
from tests.kernel import frames
from tests.kernel.conftest import KERNEL
from tests.kernel.host import NETWORK, OTHER_TAP, VM, Failed, Host, ether, host_with_taps, skip

pytestmark = KERNEL

MARK = b"\x05marked\x01"
HOST = {4: "10.0.0.1", 6: "2001:db8::1"}
OWN = {4: "10.0.0.5", 6: "2001:db8::5"}
PAST_THE_BRIDGE = ("0180c200000e", "0180c2000003")
"""LLDP's and 802.1X' group addresses: a bridge hands up what is sent to them."""


@pytest.fixture
def bridged(target: Target) -> Iterator[Host]:
    """A host with addresses on its bridge, that answers by any interface."""
    if target is Target.INET:
        pytest.skip("a routed tap has no bridge")
    with ExitStack() as stack:
        host = stack.enter_context(host_with_taps(target))
        for name in ("br0", VM.tap, OTHER_TAP, NETWORK):
            host.order("sysctl", name=f"ipv6/conf/{name}/disable_ipv6", value="0")
            host.order("sysctl", name=f"ipv4/conf/{name}/rp_filter", value="0")
        host.order("sysctl", name="ipv4/conf/all/rp_filter", value="0")
        host.run("ip addr add 10.0.0.1/24 dev br0")
        host.run("ip addr add 2001:db8::1/64 dev br0 nodad")
        host.order("listen", protocols=[frames.UDP])
        yield host


def reaches(host: Host, tap: str, version: int, to: str) -> bool:
    """Whether a datagram of the tap's VM arrives at the host itself, in a frame to this Ethernet address."""
    both = b"".join(
        parse_address(text)[1].to_bytes(4 if version == 4 else 16, "big") for text in (OWN[version], HOST[version])
    )
    body = frames.udp(both, 4000, 9000, MARK)
    inner = struct.pack("!H", frames.IPV4 if version == 4 else frames.IPV6)
    inner += (frames.ipv4 if version == 4 else frames.ipv6)(both, frames.UDP, body)
    frame = bytes.fromhex(to) + ether(tap, Target.BRIDGE)[6:] + inner
    passed: str = host.order("arrive", way_in=tap, frames=[[version, frames.UDP, frame.hex(), MARK.hex()]])["passed"]
    return passed == "1"


def bridge_address(host: Host) -> str:
    words = host.run("ip link show br0").split()
    return words[words.index("link/ether") + 1].replace(":", "")


@pytest.mark.parametrize("version", [4, 6])
def test_a_vm_reaches_its_host_only_as_its_rules_say(bridged: Host, target: Target, version: int) -> None:
    bridged.load(swap(VM, [], target))
    for tap in (VM.tap, OTHER_TAP):
        for address in (*PAST_THE_BRIDGE, bridge_address(bridged)):
            assert not reaches(bridged, tap, version, address), f"{tap} by {address}"
    bridged.load(swap(VM, [rule("accept out udp 9000")], target))
    assert reaches(bridged, VM.tap, version, bridge_address(bridged))
    for address in PAST_THE_BRIDGE:
        assert not reaches(bridged, VM.tap, version, address)
    # The network's own interface is none of the pattern.
    assert reaches(bridged, NETWORK, version, PAST_THE_BRIDGE[0])


def test_the_host_answers_no_arp_past_the_bridge(bridged: Host, target: Target) -> None:
    bridged.load(swap(VM, [], target))
    four = parse_address(OWN[4])[1].to_bytes(4, "big") + bytes(6) + parse_address(HOST[4])[1].to_bytes(4, "big")
    source = ether(VM.tap, target)[6:]
    said = struct.pack("!HHHBBH", frames.ARP_TYPE, 1, frames.IPV4, 6, 4, 1) + source + four + bytes(18)
    reply = struct.pack("!HHHBBH", frames.ARP_TYPE, 1, frames.IPV4, 6, 4, 2)
    # The answer to who asks over the bridge is the bridge's; it comes out where the question went in.
    assert bridged.send([(VM.tap, VM.tap, b"\xff" * 6 + source + said, reply)]) == [True]
    for address in PAST_THE_BRIDGE:
        assert bridged.send([(VM.tap, VM.tap, bytes.fromhex(address) + source + said, reply)]) == [False]


def test_the_bridge_puts_a_vm_into_a_vlan(target: Target) -> None:
    """The help's way: tagged towards the network, plain towards the VM."""
    if target is Target.INET:
        pytest.skip("a routed tap has no bridge")
    with host_with_taps(target) as host:
        if target is Target.BRIDGE_MARK:
            host.order("sysctl", name="bridge/bridge-nf-filter-vlan-tagged", value="1")
        try:
            host.run("ip link set br0 type bridge vlan_filtering 1")
        except Failed as reason:
            skip(f"no VLANs on bridges: {reason}")
        host.run(f"bridge vlan add dev {VM.tap} vid 100 pvid untagged")
        host.run(f"bridge vlan del dev {VM.tap} vid 1")
        host.run(f"bridge vlan add dev {NETWORK} vid 100")
        host.load(swap(VM, [rule("accept in udp 9000"), rule("accept out udp 53")], target))
        tag = struct.pack("!HH", frames.VLAN, 100)
        for version in (4, 6):
            own, peer = (parse_address(text)[1] for text in (OWN[version], HOST[version]))
            inbound = _datagram(version, peer, own, 9000)
            outbound = _datagram(version, own, peer, 53)
            link_in, link_out = ether(NETWORK, target), ether(VM.tap, target)
            assert host.send([(NETWORK, VM.tap, link_in + tag + inbound, MARK)]) == [True]
            assert host.send([(VM.tap, NETWORK, link_out + outbound, MARK)]) == [True]
            refused = [_datagram(version, peer, own, 9001), _datagram(version, own, peer, 54)]
            assert host.send([(NETWORK, VM.tap, link_in + tag + refused[0], MARK)]) == [False]
            assert host.send([(VM.tap, NETWORK, link_out + refused[1], MARK)]) == [False]
            # Another VLAN is another network.
            other = struct.pack("!HH", frames.VLAN, 200)
            assert host.send([(NETWORK, VM.tap, link_in + other + inbound, MARK)]) == [False]


def _datagram(version: int, source: int, destination: int, port: int) -> bytes:
    both = frames.addresses(version, source, destination)
    body = frames.udp(both, 4000, port, MARK)
    kind = struct.pack("!H", frames.IPV4 if version == 4 else frames.IPV6)
    return kind + (frames.ipv4 if version == 4 else frames.ipv6)(both, frames.UDP, body)
