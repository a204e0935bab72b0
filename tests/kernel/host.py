"""A host under test: a worker in a private network namespace, a VM's tap and the rest of the network as another tap."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from securitygroups.firewall.nftables import TABLE, Tap, skeleton
from securitygroups.firewall.nftables.counters import Counted, Hits, read_counters
from securitygroups.firewall.platform import Target

VM = Tap("vm-1", "tap0", "web", "10.0.0.5", "2001:db8::5")
NETWORK, OTHER_TAP = "peer0", "tap9"
ANSWER_LIMIT = 120.0
_MAC = {VM.tap: "02:00:00:00:00:01", NETWORK: "02:00:00:00:00:02", OTHER_TAP: "02:00:00:00:00:03"}
_GATEWAY = {
    VM.tap: ("192.0.2.1", "fd00:1::1"),
    NETWORK: ("192.0.2.2", "fd00:1::2"),
    OTHER_TAP: ("192.0.2.3", "fd00:1::3"),
}
_TABLE = {VM.tap: 100, NETWORK: 101, OTHER_TAP: 102}
_SAID: set[str] = set()


class NotHere(RuntimeError):
    """The kernel or the container does not offer what is needed; the message is the reason."""


class Failed(RuntimeError):
    """An order that the worker could not carry out."""


class Host:
    """Orders to a worker. `namespace` is how unshare gets a network namespace: -n as root, -Urn as anyone."""

    def __init__(self, namespace: str) -> None:
        worker = Path(__file__).with_name("worker.py")
        self._worker = subprocess.Popen(
            ["unshare", namespace, sys.executable, "-S", str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._worker.communicate(timeout=10)
        finally:
            self._worker.kill()

    def order(self, do: str, *, guest: str = "", **arguments: Any) -> dict[str, Any]:
        """Carry out one order, in a guest when one is named. Raises Failed with the worker's words."""
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        request = {"do": do, **arguments} | ({"guest_name": guest} if guest else {})
        try:
            self._worker.stdin.write(json.dumps(request).encode() + b"\n")
            self._worker.stdin.flush()
        except BrokenPipeError:
            raise Failed(self._last_words()) from None
        ready, _, _ = select.select([self._worker.stdout], [], [], ANSWER_LIMIT)
        if not ready:
            self._worker.kill()
            raise Failed(f"{do}: no answer within {ANSWER_LIMIT:g} s")
        line = self._worker.stdout.readline()
        if not line:
            raise Failed(self._last_words())
        reply: dict[str, Any] = json.loads(line)
        if "failed" in reply:
            raise Failed(f"{do}: {reply['failed']}")
        return reply

    def _last_words(self) -> str:
        assert self._worker.stderr is not None
        return self._worker.stderr.read().decode(errors="replace").strip() or "the worker ended without a word"

    def run(self, command: str, *, guest: str = "", text: str = "") -> str:
        """Run a command in the namespace. Raises Failed unless it succeeds."""
        reply = self.order("run", guest=guest, command=command.split(), text=text)
        if reply["status"]:
            raise Failed(f"{command}: {reply['words']}")
        return str(reply["out"])

    def load(self, ruleset: str) -> None:
        """Load a ruleset. Raises Failed with nft's words."""
        self.run("nft -f -", text=ruleset)

    def refuses(self, ruleset: str) -> str:
        """nft's words about a ruleset that it must not take."""
        reply = self.order("run", command=["nft", "-f", "-"], text=ruleset)
        assert reply["status"] != 0, "nft took the ruleset"
        return str(reply["words"])

    def counters(self, target: Target) -> dict[Counted, Hits]:
        return read_counters(self.run(f"nft -j list counters table {target.family} {TABLE}"))

    def unknown(self, target: Target, direction: str) -> int:
        """Packets dropped on taps that belong to no VM."""
        listed = json.loads(self.run(f"nft -j list counter {target.family} {TABLE} unknown.{direction}"))
        return int(listed["nftables"][1]["counter"]["packets"])

    def send(self, frames: list[tuple[str, str, bytes, bytes]]) -> list[bool]:
        """Send frames, each (tap in, tap out, frame, mark in it); whether each came out."""
        listed = [(way_in, way_out, frame.hex(), mark.hex()) for way_in, way_out, frame, mark in frames]
        return [one == "1" for one in self.order("send", frames=listed)["passed"]]


def _namespaces() -> Iterator[str]:
    """The ways into a namespace that work here, the likeliest first. Raises NotHere."""
    for tool in ("nft", "ip", "unshare"):
        if shutil.which(tool) is None:
            raise NotHere(f"{tool} is not installed")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise NotHere("/dev/net/tun cannot be opened")
    words = ""
    for way in ["-n", "-Urn"] if os.geteuid() == 0 else ["-Urn"]:
        tried = subprocess.run(["unshare", way, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            yield way
        words = tried.stderr.strip()
    raise NotHere(f"network namespaces are refused: {words}")


def _bridge(host: Host) -> None:
    """Both taps on one bridge; IPv6 of the host off before they join, for its own packets would be counted."""
    host.order("sysctl", name="ipv6/conf/default/disable_ipv6", value="1")
    host.run("ip link add br0 type bridge forward_delay 0 mcast_snooping 0")
    host.run("ip link set br0 up")
    for tap in _MAC:
        host.order("tap", name=tap)
        host.run(f"ip link set {tap} address {station(tap)} master br0 up")


def _route(host: Host) -> None:
    """What comes in by one tap goes out by the other, whatever its address is; what the host itself says is dropped."""
    host.order("sysctl", name="ipv4/ip_forward", value="1")
    host.order("sysctl", name="ipv6/conf/all/forwarding", value="1")
    for name in ("default", "all"):
        host.order("sysctl", name=f"ipv4/conf/{name}/rp_filter", value="0")
        host.order("sysctl", name=f"ipv4/conf/{name}/accept_local", value="1")
        host.order("sysctl", name=f"ipv6/conf/{name}/accept_dad", value="0")
    host.load("table inet silence { chain silence { type filter hook output priority -400; policy drop; }\n}\n")
    host.run("ip link set lo up")
    for tap in _MAC:
        host.order("tap", name=tap)
        host.run(f"ip link set {tap} address {station(tap)} up")
        for gateway in _GATEWAY[tap]:
            host.run(f"ip neigh replace {gateway} lladdr {_MAC[tap]} dev {tap} nud permanent")
    for tap, table in _TABLE.items():
        out = VM.tap if tap == NETWORK else NETWORK
        for family, gateway in zip(("-4", "-6"), _GATEWAY[out], strict=True):
            host.run(f"ip {family} rule add iif {tap} lookup {table}")
            host.run(f"ip {family} route add default via {gateway} dev {out} onlink table {table}")


@contextmanager
def route_to_other(host: Host, address: str) -> Iterator[None]:
    """On a routed host: what the network sends to this IPv4 address goes to the tap of no VM, and to the VM's again after it."""
    host.run(f"ip route add {address} via {_GATEWAY[OTHER_TAP][0]} dev {OTHER_TAP} onlink table {_TABLE[NETWORK]}")
    try:
        yield
    finally:
        host.run(f"ip route del {address} table {_TABLE[NETWORK]}")


def station(tap: str) -> str:
    """The Ethernet address of the host itself on this tap; a bridge would keep a frame to it."""
    return _MAC[tap][:-1] + "f"


def ether(tap: str, target: Target) -> bytes:
    """Destination and source address of a frame that enters by `tap`."""
    to = station(tap) if target is Target.INET else _MAC[NETWORK if tap == VM.tap else VM.tap]
    return bytes.fromhex((to + _MAC[tap]).replace(":", ""))


def _need_state(host: Host, target: Target) -> None:
    """Raises NotHere where the kernel cannot tell connections from their replies as the target needs it."""
    if target is Target.BRIDGE_MARK:
        for family in ("iptables", "ip6tables"):
            try:
                host.order("sysctl", name=f"bridge/bridge-nf-call-{family}", value="1")
            except Failed as error:
                raise NotHere(f"no br_netfilter: {error}") from None
    if target is Target.BRIDGE:
        probe = "table bridge probe { chain probe { ct state new accept\n}\n}\n"
        try:
            host.load(probe + "delete table bridge probe\n")
        except Failed as error:
            words = str(error).splitlines()[0]
            raise NotHere(f"no connection tracking for bridges (nf_conntrack_bridge): {words}") from None


@contextmanager
def empty_host(target: Target) -> Iterator[Host]:
    """A host without interfaces. Raises NotHere."""
    with Host(next(_namespaces())) as host:
        try:
            host.load("table inet probe { chain probe { ct state new accept\n}\n}\ndelete table inet probe\n")
        except Failed as error:
            raise NotHere(f"nft does not work in a namespace: {error}") from None
        _need_state(host, target)
        yield host


@contextmanager
def host_with_taps(target: Target) -> Iterator[Host]:
    """A host with the skeleton and three taps: the VM's, the network's, and one of no VM. Raises NotHere."""
    with empty_host(target) as host:
        try:
            (_route if target is Target.INET else _bridge)(host)
        except Failed as error:
            raise NotHere(f"taps and bridges are refused: {error}") from None
        host.load(skeleton(target))
        yield host


def missing(reasons: Mapping[Target, str]) -> str:
    """What KERNEL_TESTS=require does not put up with; "" when routed taps and one way to bridge are there."""
    if Target.INET in reasons:
        return f"{Target.INET}: {reasons[Target.INET]}"
    if {Target.BRIDGE, Target.BRIDGE_MARK} <= reasons.keys():
        return "; ".join(f"{target}: {reason}" for target, reason in reasons.items())
    return ""


def say(words: str) -> None:
    """What a test has measured; pytest shows it with -s, and when the test fails."""
    sys.stdout.write(f"{words}\n")


def skip(reason: str, *, needed: bool = False) -> None:
    """Skip, and say why where it is read even when nobody asks for the list of skipped tests.

    What is needed is a failure where KERNEL_TESTS=require asks for it.
    """
    if reason not in _SAID:
        _SAID.add(reason)
        sys.stderr.write(f"kernel tests: {reason}\n")
    if needed and os.environ.get("KERNEL_TESTS") == "require":
        pytest.fail(f"KERNEL_TESTS=require, but {reason}", pytrace=False)
    pytest.skip(reason)
