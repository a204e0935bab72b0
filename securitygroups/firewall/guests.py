"""A VM as the platform's own lines see it: what it may send as, and how connections that its rules accepted are known."""

import re
from dataclasses import dataclass
from hashlib import sha256

from securitygroups.firewall.networks import BITS, Network, Refused, parse_address, parse_network
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.texts import shown

SLOTS = {Direction.OUT: 0x00000FFF, Direction.IN: 0x00FFF000}
"""Where a connection's mark says whose Out list and whose In list accepted it: the VM's tag, or 0."""
TAGS = SLOTS[Direction.OUT] | SLOTS[Direction.IN]
LINK_LOCAL = parse_network("fe80::/10")

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def tag_of(uid: str) -> int:
    """The VM's tag, from 1: the same on every host and after every start. Of two VMs in 4,095 it may be the same, so
    that it is told by it that a connection is another's, and not alone by it that it is the VM's own."""
    return int.from_bytes(sha256(uid.encode()).digest()[:4], "big") % (SLOTS[Direction.OUT]) + 1


def slot(direction: Direction, tag: int) -> int:
    """The tag where a connection's mark says whose list of this direction accepted it."""
    mask = SLOTS[direction]
    return tag * (mask & -mask)


@dataclass(frozen=True, slots=True)
class Own:
    """What a VM may send as: its Ethernet address, "" where it is not known, and its IPv4 and IPv6 addresses.

    Of a family of which it has no address, it may send nothing but what asks for one. Its link-local IPv6 address is the
    one that follows from its Ethernet address (RFC 4291, appendix A); without that, every link-local address is.
    """

    mac: str = ""
    addresses: tuple[str, ...] = ()

    def problem(self) -> str:
        """What is wrong with it, or ""."""
        if self.mac and not _MAC.fullmatch(self.mac):
            return f"“{shown(self.mac)}” is not an Ethernet address such as 52:54:00:12:34:56, in small letters."
        for text in self.addresses:
            try:
                parse_address(text)
            except Refused:
                return f"“{shown(text)}” is not an IP address."
        return ""

    def networks(self, version: int) -> tuple[Network, ...]:
        """All that it may send as over the family, in order and each once."""
        parsed = (parse_address(text) for text in self.addresses)
        own = {Network(version, number, BITS[version]) for family, number in parsed if family == version}
        if version == 6:
            own.add(link_local(self.mac) if self.mac else LINK_LOCAL)
        return tuple(sorted(own, key=lambda network: (network.first, network.prefix)))


def link_local(mac: str) -> Network:
    octets = [int(octet, 16) for octet in mac.split(":")]
    octets[0] ^= 2
    identifier = int.from_bytes(bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]]), "big")
    return Network(6, LINK_LOCAL.first | identifier, BITS[6])


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM as the platform's lines see it: its tag in the marks of connections, what it has, and whether it is held to it."""

    tag: int = 1
    own: Own = Own()
    held: bool = False

    @property
    def links(self) -> tuple[Network, ...]:
        """The IPv6 networks that it stands in: link-local, and 64 bits of each of its addresses; () where nobody knows."""
        wide = BITS[6] - 64
        near = {Network(6, network.first >> wide << wide, 64) for network in self.own.networks(6)}
        inner = sorted(network for network in near if not LINK_LOCAL.has(6, network.first))
        return (*inner, LINK_LOCAL) if inner or self.held else ()
