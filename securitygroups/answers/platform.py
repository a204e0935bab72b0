"""The platform's own lines for people: what stands before every VM's rules, and which of it a tested packet may meet."""

from dataclasses import dataclass, replace

from securitygroups.firewall.nftables.ruleset import PlatformLine, Target, platform_lines
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import ICMPV6, PACKET_PROTOCOLS, Packet, parse_address

_LINK_LOCAL = parse_address("fe80::")[1] >> 118
_BROADCAST, _DHCP6_SERVERS = parse_address("255.255.255.255")[1], parse_address("ff02::1:2")[1]
# What a tested packet does not say, and the platform's lines ask for.
_IF = {
    "arp": dict.fromkeys(Direction, "the frame is ARP"),
    "vlan": dict.fromkeys(Direction, "the frame has a VLAN tag"),
    "nd": {
        Direction.IN: "it is a router's advertisement or asks for or tells a neighbour's address, with hop limit 255",
        Direction.OUT: "it asks for routers or asks for or tells a neighbour's address, with hop limit 255",
    },
    "dhcp4": {Direction.IN: "it comes from port 67", Direction.OUT: "it comes from port 68"},
    "dhcp6": {Direction.IN: "it comes from port 547", Direction.OUT: "it comes from port 546"},
}
Condition = tuple[str, PlatformLine]
"""What must hold, in words, for a line of the platform to decide a packet."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One thing that the platform does before every VM's rules, in one or both directions; `why` is its first sentence."""

    action: Action
    directions: tuple[Direction, ...]
    why: str


def platform(target: Target = Target.BRIDGE) -> list[Platform]:
    """The platform's own lines for people: both families of DHCP, and both directions of the same, in one."""
    found: dict[str, Platform] = {}
    for line in platform_lines(target):
        what = line.what.rstrip("46")
        one = found.get(what) or Platform(line.action, (), line.why.partition(". ")[0].removesuffix(".") + ".")
        found[what] = replace(one, directions=tuple(dict.fromkeys((*one.directions, line.direction))))
    return list(found.values())


def _platform_s(packet: Packet) -> str:
    """Which of the platform's lines such a packet may meet, by their names."""
    if packet.version is None:
        return "vlan arp"
    if (packet.version, packet.protocol) == (6, ICMPV6):
        return "nd"
    if packet.protocol != PACKET_PROTOCOLS["udp"]:
        return ""
    inbound = packet.direction is Direction.IN
    if packet.version == 4:
        dhcp = packet.port == 68 if inbound else packet.port == 67 and packet.destination == _BROADCAST
        return "dhcp4" if dhcp else ""
    near = [(end or 0) >> 118 == _LINK_LOCAL for end in (packet.source, packet.destination)]
    if inbound:
        return "dhcp6" if packet.port == 546 and all(near) else ""
    return "dhcp6" if packet.port == 547 and near[0] and packet.destination == _DHCP6_SERVERS else ""


def platform_before(packet: Packet) -> list[Condition]:
    """The platform's lines that may decide the packet on a VM before any rule does, each with its condition in words."""
    names = _platform_s(packet).split()
    lines = [one for one in platform_lines(Target.BRIDGE) if one.direction is packet.direction and one.what in names]
    return [(_IF[line.what][line.direction], line) for line in lines]
