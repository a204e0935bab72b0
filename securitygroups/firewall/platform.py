"""What the platform itself does with a VM's frames before its rules are asked: said once, for nft and for people.

Each line says in fields what it asks of a frame. The text that nft loads and the answer which packets may meet the
line both follow from these, so that they cannot come apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import product

from securitygroups.firewall.guests import LINK_LOCAL, SLOTS, Guest, slot
from securitygroups.firewall.guests import Own as Own
from securitygroups.firewall.networks import BITS, Network, address_text, parse_network
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import ICMP, ICMPV6, PACKET_PROTOCOLS, Packet

REPLY_MARK, NEW_MARK, BACK_MARK, UP_MARK = 0x10000000, 0x20000000, 0x40000000, 0x08000000
"""Bits of a packet's mark that tell its state where the bridge family cannot ask for it: it belongs to a connection, it may
be judged, it goes the other way than the packet that opened the connection; and that it leaves the bridge for the host."""
_UDP = PACKET_PROTOCOLS["udp"]
_NFT_NAME = {_UDP: "udp", ICMPV6: "icmpv6"}
_BROADCAST, _AGENTS = parse_network("255.255.255.255"), parse_network("ff02::1:2")
_ASKED, _TOLD = parse_network("ff02::1:ff00:0/104"), parse_network("ff02::1")
_GROUPS, _LISTENERS, _ROUTERS = parse_network("ff00::/8"), parse_network("ff02::16"), parse_network("ff02::2")
_UNSPECIFIED = parse_network("::/128")
_NOT_YET = parse_network("0.0.0.0/32")
"""What a VM sends from that has no IPv4 address yet."""
ARP_BYTES = 46
"""The longest ARP message for IPv4 behind its Ethernet header: 28 bytes (RFC 826), padded to the shortest frame."""
MLD_BYTES = 416
"""Of a report behind the IPv6 header: the router alert, 8 bytes (RFC 3810, 5.2), and 20 groups without sources."""


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

    `version`, `protocol`, the networks, `strangers` (every source but these) and `port` are what a Packet tells; without
    a version the line is about frames that are not IP. `source_port`, and `route` and `rest` in nft's own words, are what
    a Packet does not tell. `state` is set where the line looks at the connection: what opens one, as a Packet does, never
    meets it. `through` looks for the protocol behind IPv6 extension headers too, as who drops must, and multicast
    listeners have one.
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
    strangers: tuple[Network, ...] | None = None
    through: bool = False

    @property
    def nft(self) -> str:
        """The condition as nft reads it."""
        return " ".join(filter(None, (self.route, *self._addresses(), *self._transport(), self.rest)))

    def _addresses(self) -> Iterator[str]:
        for side, network in (("saddr", self.source), ("daddr", self.destination)):
            if network is not None:
                yield f"{_FAMILY[network.version]} {side} {_nft_network(network)}"
        for network in self.strangers or ():
            yield f"{_FAMILY[network.version]} saddr != {_nft_network(network)}"

    def _transport(self) -> Iterator[str]:
        if self.protocol is None:
            return
        name = _NFT_NAME[self.protocol]
        if self.through:
            yield f"meta l4proto {self.protocol}"
        else:
            yield f"ip protocol {name}" if self.version == 4 else f"ip6 nexthdr {name}"
        for side, port in (("sport", self.source_port), ("dport", self.port)):
            if port is not None:
                yield f"{name} {side} {port}"

    def may_be(self, packet: Packet) -> bool:
        """Whether a frame that is asked for can be this packet, as far as the packet tells."""
        return (
            not self.state
            and self.version == packet.version
            and (self.protocol is None or self.protocol == packet.protocol)
            and _may_be_in(self.source, packet.source)
            and _may_be_in(self.destination, packet.destination)
            and self.port in (None, packet.port)
            and not any(_may_be_in(network, packet.source) for network in self.strangers or ())
        )

    @property
    def certain(self) -> bool:
        """Whether a packet that may be asked for always is: nothing is asked that a Packet does not tell."""
        return not (self.route or self.rest or self.state) and self.source_port is None


_FAMILY = {4: "ip", 6: "ip6"}


def _nft_network(network: Network) -> str:
    return address_text(network.version, network.first) if network.first == network.last else str(network)


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


_ANY = Guest()


# No line looks anything up in a set. A set is taken away with the line that asks it, and a packet that is on its way through
# the old lines when new ones take their place finds nothing in it any more: what should be dropped would go on.


def _tag_lines() -> Iterator[PlatformLine]:
    for direction, tag in product(Direction, ("8021q", "8021ad")):
        yield PlatformLine(
            direction,
            "vlan",
            Asked(rest=f"ether type {tag}"),
            Action.DROP,
            "A frame with a VLAN tag: the tag would hide the packet in it from the rules.",
        )


def _arp_lines(guest: Guest) -> Iterator[PlatformLine]:
    if guest.held:
        yield from _arp_claims(guest)
    message = "arp htype 1 arp ptype ip arp hlen 6 arp plen 4 arp operation 1-2"
    for direction in Direction:
        yield PlatformLine(
            direction,
            "arp",
            Asked(rest=f"{message} meta length <= {ARP_BYTES}"),
            Action.ACCEPT,
            "ARP: without it no IPv4 packet finds its way on an Ethernet. Requests and replies of their exact size only.",
        )
    if guest.held:
        asked = Asked(rest="meta protocol arp")
        yield PlatformLine(Direction.OUT, "spoofed", asked, Action.DROP, "ARP that is no plain question or answer.")


def _arp_claims(guest: Guest) -> Iterator[PlatformLine]:
    """What an ARP message of the VM may not say: 0.0.0.0 asks whether an address is free (RFC 5227)."""
    strange = " ".join(f"arp saddr ip != {_nft_network(network)}" for network in (_NOT_YET, *guest.own.networks(4)))
    wrong = [f"arp saddr ether != {guest.own.mac}"] if guest.own.mac else []
    for claim in (*wrong, strange):
        yield PlatformLine(Direction.OUT, "spoofed", Asked(rest=claim), Action.DROP, "ARP in the name of another.")


def _ether_lines(guest: Guest) -> Iterator[PlatformLine]:
    if guest.held and guest.own.mac:
        yield PlatformLine(
            Direction.OUT,
            "spoofed",
            Asked(rest=f"ether saddr != {guest.own.mac}"),
            Action.DROP,
            "A frame in the name of another: the VM has one Ethernet address.",
        )


def _neighbour_lines(target: Target, guest: Guest) -> Iterator[PlatformLine]:
    discovery = "ip6 hoplimit 255 icmpv6 code 0 icmpv6 type"
    yield PlatformLine(
        Direction.IN,
        "nd",
        Asked(6, ICMPV6, rest=f"{discovery} 134-136"),
        Action.ACCEPT,
        "IPv6 neighbour and router discovery, which IPv6 needs to find its neighbours. "
        "The hop limit of 255 shows that no router forwarded it.",
    )
    why = (
        "IPv6 neighbour and router discovery, in its exact sizes and to its own network only: farther, or longer, this would "
        "be a way out for any data. A VM may ask for routers; that it is one, only its rules can let it say."
    )
    # A router forwards what is addressed past it, neighbour discovery too.
    routed = "fib daddr type local" if target is Target.INET else ""
    # To whom it asks or tells: a group, or a neighbour. Where its networks are not known, the size alone keeps data in.
    near: tuple[Network | None, ...] = guest.links or (None,)
    asks = tells = near
    if routed or guest.links:
        asks, tells = (_ASKED, *near), (_TOLD, *near)
    for kind, sizes, ends in ((133, "8-16", (_ROUTERS,)), (135, "24-40", asks), (136, "24-32", tells)):
        for to in ends:
            route = "" if to in (_ROUTERS, _ASKED, _TOLD) else routed
            asked = Asked(6, ICMPV6, destination=to, route=route, rest=f"{discovery} {kind} ip6 length {sizes}")
            yield PlatformLine(Direction.OUT, "nd", asked, Action.ACCEPT, why)


def _listener_lines() -> Iterator[PlatformLine]:
    """A bridge that learns who listens to which group sends neighbour solicitations to nobody who has not told it.

    Sizes, hop limit and sources: RFC 2710 (3) and RFC 3810 (5.2).
    """
    for source in (_UNSPECIFIED, LINK_LOCAL):
        for direction, to, said, why in (
            (Direction.OUT, _LISTENERS, f"143 ip6 length <= {MLD_BYTES}", _TELLS),
            (Direction.OUT, _GROUPS, "131-132 ip6 length 32", _TELLS),
            (Direction.IN, _GROUPS, "130", "Routers and bridges ask to which IPv6 groups the VM listens."),
        ):
            rest = f"ip6 hoplimit 1 icmpv6 code 0 icmpv6 type {said}"
            asked = Asked(6, ICMPV6, source=source, destination=to, rest=rest, through=True)
            yield PlatformLine(direction, "mld", asked, Action.ACCEPT, why)


_TELLS = (
    "The VM tells the bridge to which IPv6 groups it listens: without it, a bridge that learns this sends it no neighbour "
    "solicitation."
)


def _claim_lines(guest: Guest) -> Iterator[PlatformLine]:
    """Before what is let pass: a VM that is held tells its own addresses only, the first behind the header (RFC 4861, 4.4)."""
    if not guest.held:
        return
    strange = " ".join(
        f"@th,64,{network.prefix} != {network.first >> BITS[6] - network.prefix:#0{network.prefix // 4 + 2}x}"
        for network in guest.own.networks(6)
    )
    asked = Asked(6, ICMPV6, rest=f"icmpv6 type 136 {strange}", through=True)
    yield PlatformLine(Direction.OUT, "spoofed", asked, Action.DROP, "It tells the address of another as its own.")


def _server_lines(guest: Guest) -> Iterator[PlatformLine]:
    """What only routers and DHCP servers say: a VM that is held to its own addresses is neither."""
    if not guest.held:
        return
    for asked, why in (
        (Asked(6, ICMPV6, rest="icmpv6 type 134", through=True), "A VM is no router."),
        (Asked(6, ICMPV6, rest="icmpv6 type 136", through=True), "It tells an address where nobody can have asked."),
        (Asked(4, _UDP, source_port=67, port=68), "A VM is no DHCP server."),
        (Asked(6, _UDP, source_port=547, port=546, through=True), "A VM is no DHCPv6 server."),
    ):
        yield PlatformLine(Direction.OUT, "server", asked, Action.DROP, why)


def _source_lines(guest: Guest) -> Iterator[PlatformLine]:
    """What asks for an address is sent from none: 0.0.0.0, or ::."""
    if not guest.held:
        return
    for version, none in ((4, _NOT_YET), (6, _UNSPECIFIED)):
        why = f"An IPv{version} packet in the name of another: the VM may send only as itself."
        asked = Asked(version, strangers=(none, *guest.own.networks(version)))
        yield PlatformLine(Direction.OUT, "spoofed", asked, Action.DROP, why)


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
        Asked(4, _UDP, destination=_BROADCAST, source_port=68, port=67),
        Action.ACCEPT,
        "The VM asks for its address, by broadcast: to one server, this would be a way out for any data.",
    )
    yield PlatformLine(
        Direction.IN,
        "dhcp6",
        Asked(6, _UDP, source=LINK_LOCAL, destination=LINK_LOCAL, source_port=547, port=546),
        Action.ACCEPT,
        "DHCPv6 servers and relays of the VM's own network answer it.",
    )
    yield PlatformLine(
        Direction.OUT,
        "dhcp6",
        Asked(6, _UDP, source=LINK_LOCAL, destination=_AGENTS, source_port=546, port=547),
        Action.ACCEPT,
        "The VM asks for its IPv6 address.",
    )


def _reply_lines(target: Target, guest: Guest) -> Iterator[PlatformLine]:
    """Early, for most packets are these."""
    for direction in Direction:
        for accepted in (direction, direction.other):
            mask, value = SLOTS[accepted], slot(accepted, guest.tag)
            reply = f"ct state established,related ct mark & {mask:#x} == {value:#x}"
            if target is Target.BRIDGE_MARK:
                reply = f"meta mark & {mask | REPLY_MARK:#x} == {value | REPLY_MARK:#x}"
            yield PlatformLine(
                direction,
                "reply",
                Asked(rest=reply, state=True),
                Action.ACCEPT,
                "Replies of a connection that a rule of this VM accepted, and ICMP errors about it. "
                "The rules judge the packet that opens it.",
            )


def _state_lines(target: Target) -> Iterator[PlatformLine]:
    # Without a connection nft calls the state invalid, and a frame that is not IP never has one.
    frames = [""] if target is Target.INET else ["meta protocol ip ", "meta protocol ip6 "]
    invalid = "ct state invalid,related"
    if target is Target.BRIDGE_MARK:
        # A packet that br_netfilter did not show to the state chains has no bit: it is dropped, not judged.
        invalid = f"meta mark & {NEW_MARK:#x} == 0x0"
    for direction in Direction:
        for frame in frames:
            yield PlatformLine(
                direction,
                "invalid",
                Asked(rest=frame + invalid, state=True),
                Action.DROP,
                "Packets that neither open a connection nor belong to one, or have a wrong checksum.",
            )
        yield PlatformLine(
            direction,
            "opens",
            Asked(rest="tcp flags & (fin | syn | rst | ack) != syn", state=True),
            Action.DROP,
            "TCP segments that open no connection and belong to none that was accepted: of one that was cut, for example.",
        )


@lru_cache(maxsize=256)
def platform_lines(target: Target, guest: Guest = _ANY) -> tuple[PlatformLine, ...]:
    """What stands above the rules in every VM's two chains, in order."""
    bridged = target is not Target.INET
    lines = [
        *_ether_lines(guest),
        *_source_lines(guest),
        *_claim_lines(guest),
        # A routed tap has no frames that are not IP, and no bridge that learns.
        *(_tag_lines() if bridged else ()),
        *_reply_lines(target, guest),
        *(_arp_lines(guest) if bridged else ()),
        *_neighbour_lines(target, guest),
        *(_listener_lines() if bridged else ()),
        *_server_lines(guest),
        *_dhcp_lines(target),
        *_state_lines(target),
    ]
    return tuple(sorted(lines, key=lambda line: list(Direction).index(line.direction)))


def may_meet(packet: Packet, target: Target = Target.BRIDGE, guest: Guest = _ANY) -> tuple[PlatformLine, ...]:
    """The platform's lines that may decide a packet which opens a connection before any rule of a VM does, in order; of
    several of one kind, the first. Behind a line that certainly does, there is none.

    "May", for a packet does not tell all that they ask for: its source port, its hop limit, a frame's type.
    """
    found: dict[tuple[str, Action], PlatformLine] = {}
    for line in platform_lines(target, guest):
        if line.direction is packet.direction and line.asked.may_be(packet):
            found.setdefault((line.what, line.action), line)
            if line.asked.certain:
                break
    return tuple(found.values())


# What connection tracking calls invalid whatever is in it (Linux 6.1 and 6.18): the state of such a packet is never new.
# An extension header is no protocol of its own (RFC 8200, 4); Linux sums UDP-Lite as if it were UDP.
_LIGHT = "Linux takes every UDP-Lite packet for a damaged UDP packet."
_HEADER = "It is an IPv6 extension header: a packet's protocol is what stands behind it."
_NEVER_NEW = {
    4: {ICMPV6: "ICMPv6 belongs to IPv6: over IPv4 it opens nothing.", 136: _LIGHT},
    6: {
        ICMP: "ICMP of IPv4 opens nothing over IPv6, where its place is ICMPv6's.",
        59: "59 says that nothing follows the IPv6 header: there is nothing to open.",
        136: _LIGHT,
        **dict.fromkeys((0, 43, 44, 51, 60, 135, 139, 140), _HEADER),
    },
}


def barred(packet: Packet, guest: Guest = _ANY, target: Target = Target.BRIDGE) -> PlatformLine | None:
    """The platform's line that drops the packet on every host, whatever the VM's rules say; None where the rules decide."""
    for line in may_meet(packet, target, guest):
        if line.action is Action.DROP and line.asked.certain:
            return line
    why = _NEVER_NEW.get(packet.version or 0, {}).get(-1 if packet.protocol is None else packet.protocol)
    if why is None:
        return None
    invalid = next(
        line for line in platform_lines(target) if line.direction is packet.direction and line.what == "invalid"
    )
    return replace(invalid, why=why)
