"""Ethernet frames built by hand, with right checksums: connection tracking calls a packet with a wrong one invalid.

Sources: RFC 791, 768, 9293, 8200, 792, 4443, 9260 (SCTP, with the CRC-32C of its appendix), 2784 (GRE), 4340 (DCCP),
826 (ARP), 4861 (neighbour discovery).
"""

import struct
from collections.abc import Callable
from random import Random

from securitygroups.firewall.values import Packet

TCP, UDP, SCTP, GRE, DCCP, ICMP, ICMPV6 = 6, 17, 132, 47, 33, 1, 58
SYN, SYN_ACK, ACK, FIN_SYN = 0x02, 0x12, 0x10, 0x03
IPV4, IPV6, ARP_TYPE, VLAN, PROVIDER_VLAN = 0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8
OTHER_TYPES = (0x88CC, 0x8847, 0x88B5, 0x88B6, 0x8864, 0x888E, 0x88F7, 0x22F0, 0x9100, 0x0026)
"""LLDP, MPLS, two for experiments, PPPoE, 802.1X, PTP, AVTP, an old VLAN tag, and an 802.3 length instead of a type."""
HOP_BY_HOP, DESTINATION_OPTIONS = 0, 60


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071. Big-endian words sum to the same as one big number modulo 65535."""
    total = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


def addresses(version: int, source: int, destination: int) -> bytes:
    size = 4 if version == 4 else 16
    return source.to_bytes(size, "big") + destination.to_bytes(size, "big")


def _summed(both: bytes, protocol: int, segment: bytes, at: int) -> bytes:
    """The segment with the checksum, pseudo-header included, at offset `at`."""
    if len(both) == 8:
        pseudo = both + struct.pack("!BBH", 0, protocol, len(segment))
    else:
        pseudo = both + struct.pack("!IHBB", len(segment), 0, 0, protocol)
    value = checksum(pseudo + segment) or 0xFFFF
    return segment[:at] + struct.pack("!H", value) + segment[at + 2 :]


def tcp(
    both: bytes, sport: int, dport: int, payload: bytes = b"", flags: int = SYN, seq: int = 1, ack: int = 0
) -> bytes:
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0)
    return _summed(both, TCP, head + payload, 16)


def udp(both: bytes, sport: int, dport: int, payload: bytes = b"") -> bytes:
    return _summed(both, UDP, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, 6)


def sctp(both: bytes, sport: int, dport: int, mark: bytes) -> bytes:
    """An INIT chunk; the eight bytes of `mark` are its tag, which must not be zero, and its window."""
    chunk = struct.pack("!BBH", 1, 0, 20) + mark + struct.pack("!HHI", 1, 1, 1)
    packet = struct.pack("!HHII", sport, dport, 0, 0) + chunk
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


_WITH_PORTS: dict[int, Callable[[bytes, int, int, bytes], bytes]] = {TCP: tcp, UDP: udp, SCTP: sctp}


def icmp(kind: int, code: int = 0, rest: bytes = b"\0\0\0\0", payload: bytes = b"") -> bytes:
    body = struct.pack("!BBH", kind, code, 0) + rest + payload
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def icmpv6(both: bytes, kind: int, code: int = 0, rest: bytes = b"\0\0\0\0", payload: bytes = b"") -> bytes:
    return _summed(both, ICMPV6, struct.pack("!BBH", kind, code, 0) + rest + payload, 2)


def _gre(mark: bytes) -> bytes:
    return struct.pack("!HH", 0, 0x6558) + mark


def _dccp(both: bytes, sport: int, mark: bytes) -> bytes:
    """A request: 20 bytes of header (five words), extended sequence numbers, a service code."""
    head = struct.pack("!HHBBHBBHII", sport, 7, 5, 0, 0, 1, 0, 0, 1, 42)
    return _summed(both, DCCP, head + mark, 6)


def ipv4(both: bytes, protocol: int, body: bytes, *, options: bytes = b"", ttl: int = 64, fragment: int = 0) -> bytes:
    """`fragment` is the flags and offset field: 0x2000 = more fragments follow, the rest in units of 8 bytes."""
    words = 5 + len(options) // 4
    head = (
        struct.pack("!BBHHHBBH", 4 << 4 | words, 0, words * 4 + len(body), 7, fragment, ttl, protocol, 0)
        + both
        + options
    )
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def ipv6(both: bytes, protocol: int, body: bytes, *, extension: int | None = None, hops: int = 64) -> bytes:
    """`extension` is the number of an options header, filled with padding, to stand before the body."""
    if extension is not None:
        body = struct.pack("!BBBB4x", protocol, 0, 1, 4) + body
        protocol = extension
    return struct.pack("!IHBB", 6 << 28, len(body), protocol, hops) + both + body


def _segment(packet: Packet, sport: int, both: bytes, random: Random, mark: bytes) -> bytes:
    """What opens a connection of the packet's protocol."""
    number = packet.protocol
    if number in _WITH_PORTS:
        assert packet.port is not None
        return _WITH_PORTS[number](both, sport, packet.port, mark)
    rest = struct.pack("!HH", sport, 1)
    if number == ICMP:
        return icmp(random.choice((8, 13, 15, 17)), 0, rest, mark)
    if number == ICMPV6:
        return icmpv6(both, 128, 0, rest, mark)
    if number == GRE:
        return _gre(mark)
    return _dccp(both, sport, mark) if number == DCCP else mark


def opening(packet: Packet, sport: int, link: bytes, random: Random, mark: bytes) -> bytes:
    """A frame of the packet: what opens a connection, or one that is not IP. `link` is both Ethernet addresses.

    `sport` is the source port or the ICMP identifier. Some have IPv4 options or an IPv6 extension header. `mark` is eight bytes that are found in no other frame.
    """
    if packet.version is None:
        return link + struct.pack("!H", random.choice(OTHER_TYPES)) + mark + b"\0" * 30
    assert packet.protocol is not None
    assert packet.source is not None
    assert packet.destination is not None
    both = addresses(packet.version, packet.source, packet.destination)
    body = _segment(packet, sport, both, random, mark)
    odd = random.random() < 0.05
    if packet.version == 4:
        return link + struct.pack("!H", IPV4) + ipv4(both, packet.protocol, body, options=b"\1\1\1\0" if odd else b"")
    extension = random.choice((HOP_BY_HOP, DESTINATION_OPTIONS)) if odd else None
    return link + struct.pack("!H", IPV6) + ipv6(both, packet.protocol, body, extension=extension)


def arp(link: bytes) -> bytes:
    return link + struct.pack("!HHHBBH", ARP_TYPE, 1, IPV4, 6, 4, 1) + link[6:] + bytes(4) + bytes(6) + bytes(4)
