"""The platform's own lines in words."""

from securitygroups.firewall.networks import Network, address_text
from securitygroups.firewall.platform import PlatformLine
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.words.drops import LET_A_ROUTER
from securitygroups.words.rules import packet_sentence

NAMED = 8
"""Addresses that are said of all that a VM may send from."""
# What a tested packet does not say, and the platform's lines ask for.
_IF = {
    "arp": dict.fromkeys(Direction, "the frame is ARP"),
    "vlan": dict.fromkeys(Direction, "the frame has a VLAN tag"),
    "nd": {
        Direction.IN: "it is a router's advertisement or asks for or tells a neighbour's address, with hop limit 255",
        Direction.OUT: "it asks for routers or asks for or tells a neighbour's address, with hop limit 255",
    },
    "mld": dict.fromkeys(Direction, "it is about who listens to an IPv6 group, with hop limit 1"),
    "spoofed": dict.fromkeys(Direction, "it is sent in another's name"),
    "server": dict.fromkeys(Direction, "it is what only a router or a DHCP server says"),
    "dhcp4": {Direction.IN: "it comes from port 67", Direction.OUT: "it comes from port 68"},
    "dhcp6": {Direction.IN: "it comes from port 547", Direction.OUT: "it comes from port 546"},
}


def platform_condition(line: PlatformLine) -> str:
    """When a line that a packet may meet decides it: "it comes from port 67", to stand behind an "if"."""
    return _IF[line.what][line.direction]


def barred_sentence(line: PlatformLine, packet: Packet) -> str:
    """The answer of the packet test where the platform drops the packet whatever the rules say."""
    return f"{packet_sentence(packet)} is dropped before any rule is asked. {barred_why(line)}"


def barred_why(line: PlatformLine) -> str:
    """Why the platform drops the packet; of one in another's name, what the VM may send from."""
    if line.asked.strangers is None or line.asked.version is None:
        return line.why
    # The first is not an address, but what stands for none.
    own = [_network(network) for network in line.asked.strangers[1:]]
    family = f"IPv{line.asked.version}"
    more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
    may = f"over {family} it may send only from {', '.join(own[:NAMED])}{more}" if own else f"it has none of {family}"
    return f"The VM sends it from an address that is none of its own: {may}. {LET_A_ROUTER}"


def _network(network: Network) -> str:
    return address_text(network.version, network.first) if network.first == network.last else str(network)
