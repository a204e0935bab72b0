"""A real path: two VMs and a client, each in a namespace, with real sockets; a rule change opens and closes a port."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from securitygroups.firewall.nftables import TABLE, Tap, host_ruleset, swap
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule, parse_network
from tests.kernel.conftest import KERNEL
from tests.kernel.host import Failed, Host, empty_host, skip

pytestmark = KERNEL

SHORT, LONG = 0.4, 3.0
"""Seconds to wait: where silence is due, and where an answer is, which takes a busy machine under a millisecond."""
A, B = Tap("vm-a", "tap-a"), Tap("vm-b", "tap-b")
CABLES = {"a": A.tap, "b": B.tap, "client": "up0"}
NUMBERS = {"a": 5, "b": 6, "client": 9}
WEB = Rule(Action.ACCEPT, Direction.IN, "tcp", None, None, 8080, 8080, uid="web")
ECHO = Rule(Action.ACCEPT, Direction.IN, "udp", None, None, 9000, 9000, uid="echo")
ANY_OUT = Rule(Action.ACCEPT, Direction.OUT, "ip", uid="out")


def address(name: str, version: int) -> str:
    return f"10.0.0.{NUMBERS[name]}" if version == 4 else f"2001:db8::{NUMBERS[name]}"


def _plug(host: Host, name: str, cable: str, target: Target) -> None:
    """A guest with its cable to the host and both its addresses; routed ones reach everybody through the host."""
    pid = host.order("guest", name=name)["pid"]
    host.run(f"ip link add {cable} type veth peer name eth0 netns {pid}")
    prefixes = (24, 64) if target is not Target.INET else (32, 128)
    for version, prefix in zip((4, 6), prefixes, strict=True):
        nodad = " nodad" if version == 6 else ""
        host.run(f"ip addr add {address(name, version)}/{prefix} dev eth0{nodad}", guest=name)
    host.run("ip link set lo up", guest=name)
    host.run("ip link set eth0 up", guest=name)
    if target is not Target.INET:
        host.run(f"ip link set {cable} master br0 up")
        return
    host.run(f"ip link set {cable} up")
    for family, gateway, prefix in (("-4", "10.0.0.1", 32), ("-6", "fe80::1", 64)):
        host.run(f"ip {family} addr add {gateway}/{prefix} dev {cable}{' nodad' if family == '-6' else ''}")
        host.run(f"ip {family} route add {address(name, 4 if family == '-4' else 6)} dev {cable}")
        host.run(f"ip {family} route add default via {gateway} dev eth0 onlink", guest=name)


def _build(host: Host, target: Target) -> None:
    """VMs a and b and a client, on one bridge or behind one router; everybody serves 8080 and 9000."""
    if target is Target.INET:
        host.order("sysctl", name="ipv4/ip_forward", value="1")
        host.order("sysctl", name="ipv6/conf/all/forwarding", value="1")
    else:
        host.run("ip link add br0 type bridge forward_delay 0 mcast_snooping 0")
        host.run("ip link set br0 up")
    for name, cable in CABLES.items():
        _plug(host, name, cable, target)
        for version in (4, 6):
            host.order("serve", guest=name, protocol="tcp", address=address(name, version), port=8080)
            host.order("serve", guest=name, protocol="udp", address=address(name, version), port=9000)


@pytest.fixture(scope="module")
def built() -> Iterator[Callable[[Target], Host]]:
    """Paths by target, each built when it is first asked for."""
    paths: dict[Target, Host] = {}
    with ExitStack() as open_hosts:

        def path_of(target: Target) -> Host:
            if target not in paths:
                host = open_hosts.enter_context(empty_host(target))
                try:
                    _build(host, target)
                except Failed as reason:
                    skip(f"{target}: no path of namespaces: {reason}", needed=True)
                paths[target] = host
            return paths[target]

        yield path_of


@pytest.fixture
def path(built: Callable[[Target], Host], target: Target) -> Host:
    """The path, its two VMs without a rule and no connection remembered."""
    host = built(target)
    host.run(f"nft add table {target.family} {TABLE}")
    host.load(f"delete table {target.family} {TABLE}\n{host_ruleset([(A, []), (B, [])], target)}")
    host.order("forget")
    return host


def heard(host: Host, source: str, to: str, version: int, protocol: str = "tcp", *, hold: str = "", open_: bool) -> str:
    """What a connection hears. Where an answer is due there is time for a busy machine; silence is waited for briefly."""
    port = 8080 if protocol == "tcp" else 9000
    reply = host.order(
        "connect",
        guest=source,
        protocol=protocol,
        address=address(to, version),
        port=port,
        patience=LONG if open_ else SHORT,
        hold=hold,
    )
    return str(reply["heard"])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_rule_change_opens_and_closes_a_port(path: Host, target: Target, protocol: str, version: int) -> None:
    rule = WEB if protocol == "tcp" else ECHO
    assert heard(path, "client", "a", version, protocol, open_=False) == "silence"
    path.load(swap(A, [rule], target))
    assert heard(path, "client", "a", version, protocol, open_=True) == "echo"
    assert heard(path, "client", "b", version, protocol, open_=False) == "silence"
    path.load(swap(A, [], target, before=[rule]))
    assert heard(path, "client", "a", version, protocol, open_=False) == "silence"


@pytest.mark.parametrize("version", [4, 6])
def test_from_vm_to_vm_both_lists_decide(path: Host, target: Target, version: int) -> None:
    for out, into, answer in (([], [WEB], "silence"), ([ANY_OUT], [], "silence"), ([ANY_OUT], [WEB], "echo")):
        path.load(swap(A, out, target))
        path.load(swap(B, into, target))
        assert heard(path, "a", "b", version, open_=answer == "echo") == answer


@pytest.mark.parametrize("version", [4, 6])
def test_a_vm_reaches_the_client_and_not_the_other_way_round(path: Host, target: Target, version: int) -> None:
    path.load(swap(A, [ANY_OUT], target))
    assert heard(path, "a", "client", version, open_=True) == "echo"
    assert heard(path, "client", "a", version, open_=False) == "silence"


def test_sources_are_told_apart(path: Host, target: Target) -> None:
    office = parse_network(address("client", 4))
    path.load(swap(A, [Rule(Action.ACCEPT, Direction.IN, "tcp", office, None, 8080, 8080, uid="office")], target))
    path.load(swap(B, [ANY_OUT], target))
    assert heard(path, "client", "a", 4, open_=True) == "echo"
    assert heard(path, "b", "a", 4, open_=False) == "silence"
    assert heard(path, "client", "a", 6, open_=False) == "silence"


@pytest.mark.parametrize("version", [4, 6])
def test_a_running_connection_goes_on_until_it_is_forgotten(path: Host, target: Target, version: int) -> None:
    path.load(swap(A, [WEB], target))
    assert heard(path, "client", "a", version, hold="old", open_=True) == "echo"
    path.load(swap(A, [], target, before=[WEB]))
    assert path.order("again", guest="client", name="old", patience=LONG) == {"heard": "echo"}
    assert heard(path, "client", "a", version, open_=False) == "silence"
    path.order("forget")
    assert path.order("again", guest="client", name="old", patience=SHORT) == {"heard": "silence"}


def test_the_host_itself_is_answered_by_its_vms(path: Host, target: Target) -> None:
    """Packets that the host sends take another way through the kernel than those that it forwards."""
    if target is not Target.INET:
        path.run("ip addr add 10.0.0.1/24 dev br0")
        path.run("ip addr add 2001:db8::1/64 dev br0 nodad")
    path.load(swap(A, [WEB, ANY_OUT], target))
    for version in (4, 6):
        path.order("serve", protocol="tcp", address="10.0.0.1" if version == 4 else "::", port=8080 + version)
        reply = path.order("connect", protocol="tcp", address=address("a", version), port=8080, patience=LONG)
        assert reply == {"heard": "echo"}
    gateway = {4: "10.0.0.1", 6: "2001:db8::1"}
    for version in (4, 6) if target is not Target.INET else (4,):
        order = {"protocol": "tcp", "address": gateway[version], "port": 8080 + version}
        assert path.order("connect", guest="a", patience=LONG, **order) == {"heard": "echo"}
        assert path.order("connect", guest="b", patience=SHORT, **order) == {"heard": "silence"}
