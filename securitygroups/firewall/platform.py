"""What the platform itself does with a VM's frames before its rules are asked: said once, for nft and for people.

Each line says in fields what it asks of a frame. The text that nft loads and the answer which packets may meet the
line both follow from these, so that they cannot come apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import ICMPV6, PACKET_PROTOCOLS, Network, Packet, address_text, parse_network

REPLY_MARK, NEW_MARK = 0x10000000, 0x20000000
"""Bits of a packet's mark that tell its state where the bridge family cannot ask for it."""

_UDP = PACKET_PROTOCOLS["udp"]
_NFT_NAME = {_UDP: "udp", ICMPV6: "icmpv6"}
_LINK_LOCAL = parse_network("fe80::/10")


class Target(StrEnum):
    """Where the ruleset is loaded: how the VM's tap is connected, and what the host's kernel can do."""

    BRIDGE = "bridge"
    BRIDGE_MARK = "bridge-mark"
    INET = "inet"

    @property
    def family(self) -> str:
        """The nftables family of the table."""
        return "inet" if self is Target.INET else "bridge"

    @property
    def label(self) -> str:
        return {
            Target.BRIDGE: "Tap on a Linux bridge, kernel with nf_conntrack_bridge (5.3 or newer)",
            Target.BRIDGE_MARK: "Tap on a Linux bridge, kernel without nf_conntrack_bridge (needs br_netfilter)",
            Target.INET: "Routed tap",
        }[self]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a line asks of a frame.

    `version`, `protocol`, the networks and `port` are what a Packet tells; without a version the line is about frames
    that are not IP. `source_port`, and `route` and `rest` in nft's own words, are what a Packet does not tell. `state`
    is set where the line looks at the connection: what opens one, as a Packet does, never meets it.
    """

    version: int | None = None
    protocol: int | None = None
    source: Network | None = None
    destination: Network | None = None
    source_port: int | None = None
    port: int | None = None
    route: str = ""
    rest: str = ""
    state: bool = False

    @property
    def nft(self) -> str:
        """The condition as nft reads it."""
        return " ".join(filter(None, (self.route, *self._addresses(), *self._transport(), self.rest)))

    def _addresses(self) -> Iterator[str]:
        for side, network in (("saddr", self.source), ("daddr", self.destination)):
            if network is not None:
                one = network.first == network.last
                address = address_text(network.version, network.first) if one else network
                yield f"{'ip' if network.version == 4 else 'ip6'} {side} {address}"

    def _transport(self) -> Iterator[str]:
        if self.protocol is None:
            return
        name = _NFT_NAME[self.protocol]
        yield f"ip protocol {name}" if self.version == 4 else f"ip6 nexthdr {name}"
        for side, port in (("sport", self.source_port), ("dport", self.port)):
            if port is not None:
                yield f"{name} {side} {port}"

    def may_be(self, packet: Packet) -> bool:
        """Whether a frame that is asked for can be this packet, as far as the packet tells."""
        return (
            not self.state
            and (self.version, self.protocol) == (packet.version, packet.protocol)
            and _may_be_in(self.source, packet.source)
            and _may_be_in(self.destination, packet.destination)
            and self.port in (None, packet.port)
        )


def _may_be_in(network: Network | None, address: int | None) -> bool:
    return network is None or (address is not None and network.first <= address <= network.last)


@dataclass(frozen=True, slots=True)
class PlatformLine:
    """A line of a VM's chains that no customer wrote. `what` names its counter; `why` is for people."""

    direction: Direction
    what: str
    asked: Asked
    action: Action
    why: str

    @property
    def condition(self) -> str:
        """As nft reads it."""
        return self.asked.nft

    @property
    def line(self) -> str:
        """As nft reads it, without the counter."""
        return f"{self.condition} {self.action}".lstrip()


def _frame_lines() -> Iterator[PlatformLine]:
    """Of a tap on a bridge: a routed one has no frames that are not IP."""
    for direction in Direction:
        yield PlatformLine(
            direction,
            "vlan",
            Asked(rest="ether type { 8021q, 8021ad }"),
            Action.DROP,
            "A frame with a VLAN tag: the tag would hide the packet in it from the rules.",
        )
        yield PlatformLine(
            direction,
            "arp",
            Asked(rest="meta protocol arp"),
            Action.ACCEPT,
            "ARP: without it no IPv4 packet finds its way on an Ethernet.",
        )


def _neighbour_lines(target: Target) -> Iterator[PlatformLine]:
    discovery = "ip6 hoplimit 255 icmpv6 code 0 icmpv6 type"
    yield PlatformLine(
        Direction.IN,
        "nd",
        Asked(6, ICMPV6, rest=f"{discovery} {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }}"),
        Action.ACCEPT,
        "IPv6 neighbour and router discovery, which IPv6 needs to find its neighbours. "
        "The hop limit of 255 shows that no router forwarded it.",
    )
    # A router forwards what is addressed past it, neighbour discovery too.
    near = "fib daddr type { local, anycast, multicast }" if target is Target.INET else ""
    said = f"{discovery} {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }}"
    yield PlatformLine(
        Direction.OUT,
        "nd",
        Asked(6, ICMPV6, route=near, rest=said),
        Action.ACCEPT,
        "IPv6 neighbour and router discovery. A VM may ask for routers; that it is one, only its rules can let it say.",
    )


def _dhcp_lines(target: Target) -> Iterator[PlatformLine]:
    # The server or relay of a routed tap is the host: what comes from farther away is no answer.
    host = "fib saddr type local" if target is Target.INET else ""
    yield PlatformLine(
        Direction.IN,
        "dhcp4",
        Asked(4, _UDP, source_port=67, port=68, route=host),
        Action.ACCEPT,
        "DHCP servers answer the VM, so that it gets its address.",
    )
    yield PlatformLine(
        Direction.OUT,
        "dhcp4",
        Asked(4, _UDP, destination=parse_network("255.255.255.255"), source_port=68, port=67),
        Action.ACCEPT,
        "The VM asks for its address, by broadcast: to one server, this would be a way out for any data.",
    )
    yield PlatformLine(
        Direction.IN,
        "dhcp6",
        Asked(6, _UDP, source=_LINK_LOCAL, destination=_LINK_LOCAL, source_port=547, port=546),
        Action.ACCEPT,
        "DHCPv6 servers and relays of the VM's own network answer it.",
    )
    yield PlatformLine(
        Direction.OUT,
        "dhcp6",
        Asked(6, _UDP, source=_LINK_LOCAL, destination=parse_network("ff02::1:2"), source_port=546, port=547),
        Action.ACCEPT,
        "The VM asks for its IPv6 address.",
    )


def _state_lines(target: Target) -> Iterator[PlatformLine]:
    reply, invalid = "ct state established,related", "ct state invalid"
    if target is Target.BRIDGE:
        # Without a connection nft calls the state invalid, and a frame that is not IP never has one.
        invalid = f"meta protocol {{ ip, ip6 }} {invalid}"
    elif target is Target.BRIDGE_MARK:
        reply = f"meta mark & {REPLY_MARK:#x} == {REPLY_MARK:#x}"
        # A packet that br_netfilter did not show to the state chains has neither bit: it is dropped, not judged.
        invalid = f"meta protocol {{ ip, ip6 }} meta mark & {NEW_MARK:#x} == 0x0"
    for direction in Direction:
        yield PlatformLine(
            direction,
            "reply",
            Asked(rest=reply, state=True),
            Action.ACCEPT,
            "Replies of an accepted connection, and ICMP errors about it. The rules judge the packet that opens it.",
        )
        yield PlatformLine(
            direction,
            "invalid",
            Asked(rest=invalid, state=True),
            Action.DROP,
            "Packets that neither open a connection nor belong to one, or have a wrong checksum.",
        )


def platform_lines(target: Target) -> tuple[PlatformLine, ...]:
    """What stands above the rules in every VM's two chains, in order."""
    frames = () if target is Target.INET else _frame_lines()
    lines = [*frames, *_neighbour_lines(target), *_dhcp_lines(target), *_state_lines(target)]
    return tuple(sorted(lines, key=lambda line: list(Direction).index(line.direction)))


def may_meet(packet: Packet, target: Target = Target.BRIDGE) -> tuple[PlatformLine, ...]:
    """The platform's lines that may decide a packet which opens a connection before any rule of a VM does, in order.

    "May", for a packet does not tell all that they ask for: its source port, its hop limit, a frame's type.
    """
    return tuple(
        line for line in platform_lines(target) if line.direction is packet.direction and line.asked.may_be(packet)
    )
