"""Captures written byte by byte, and read again by the plainest loop: both share nothing with the product."""

import ipaddress
import random
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

UNSAID, INWARDS, OUTWARDS = "", "in", "out"


class Seen(NamedTuple):
    """A packet from its IP header on, when it was captured (nanoseconds), and which way, where that is to be written."""

    packet: bytes
    time: int
    way: str = UNSAID


def ip4(protocol: int, source: str, destination: str, payload: bytes) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    return head + ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed + payload


def ip6(protocol: int, source: str, destination: str, payload: bytes) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64)
    return head + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed + payload


def ip(protocol: int, source: str, destination: str, payload: bytes) -> bytes:
    return (ip6 if ":" in source else ip4)(protocol, source, destination, payload)


def segment(source_port: int, port: int, flags: int = 2) -> bytes:
    return struct.pack(">HHIIBBHHH", source_port, port, 0, 0, 0x50, flags, 0, 0, 0)


def datagram(source_port: int, port: int) -> bytes:
    return struct.pack(">HHHH", source_port, port, 8, 0)


def _kind(packet: bytes) -> bytes:
    return b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"


def _ppp_kind(packet: bytes) -> bytes:
    return b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57"


def ethernet(packet: bytes, way: str = UNSAID) -> bytes:
    return b"\x02\0\0\0\0\1\x02\0\0\0\0\2" + _kind(packet) + packet


def tagged(packet: bytes, way: str = UNSAID) -> bytes:
    return bytes(12) + b"\x88\xa8\0\5\x81\0\0\7" + _kind(packet) + packet


def pppoe(packet: bytes, way: str = UNSAID) -> bytes:
    return bytes(12) + b"\x88\x64\x11\0\0\1" + struct.pack(">H", len(packet) + 2) + _ppp_kind(packet) + packet


def short_pppoe(packet: bytes, way: str = UNSAID) -> bytes:
    return bytes(12) + b"\x88\x64\x11\0\0\1" + struct.pack(">H", len(packet) + 1) + _ppp_kind(packet)[1:] + packet


def mpls(packet: bytes, way: str = UNSAID) -> bytes:
    return bytes(12) + b"\x88\x47\0\1\0\x40\0\2\1\x40" + packet


def _cooked_kind(way: str) -> int:
    return {INWARDS: 0, OUTWARDS: 4, UNSAID: 3}[way]


def cooked(packet: bytes, way: str = UNSAID, hardware: int = 1) -> bytes:
    return struct.pack(">HHH", _cooked_kind(way), hardware, 6) + b"\x02\0\0\0\0\1\0\0" + _kind(packet) + packet


def cooked_again(packet: bytes, way: str = UNSAID, hardware: int = 1) -> bytes:
    head = struct.pack(">HIHBB", 0, 2, hardware, _cooked_kind(way), 6)
    return _kind(packet) + head + b"\x02\0\0\0\0\1\0\0" + packet


def astray(packet: bytes, way: str = UNSAID) -> bytes:
    """As libpcap 1.1 wrote a VLAN's: the tag 12 bytes behind the beginning."""
    frame = cooked(packet, way)
    return frame[:12] + b"\x81\0\0\xc8" + frame[12:]


def astray_again(packet: bytes, way: str = UNSAID) -> bytes:
    """As libpcap 1.10 writes a VLAN's: the tag behind the address's first two bytes."""
    frame = cooked_again(packet, way)
    return frame[:14] + b"\x81\0\0\xfc" + frame[14:]


def pflog(packet: bytes, way: str = UNSAID, action: int = 0, length: int = 61) -> bytes:
    family = 2 if packet[0] >> 4 == 4 else 24
    head = bytes([length, family, action, 0]) + b"em0".ljust(16, b"\0") + bytes(16) + bytes(24)
    head += bytes([{INWARDS: 1, OUTWARDS: 2, UNSAID: 0}[way]])
    return head.ljust(length + -length % 4, b"\0") + packet


def nflog(packet: bytes, way: str = UNSAID) -> bytes:
    hook = {INWARDS: 1, OUTWARDS: 3, UNSAID: 2}[way]
    head = bytes([2 if packet[0] >> 4 == 4 else 10, 0, 0, 5])
    head += struct.pack("<HH", 8, 1) + _kind(packet) + bytes([hook, 0])
    head += struct.pack("<HH", 9, 10) + b"drop\0" + bytes(3)
    return head + struct.pack("<HH", 4 + len(packet), 9) + packet


def pktap(packet: bytes, way: str = UNSAID) -> bytes:
    flags = {INWARDS: 1, OUTWARDS: 2, UNSAID: 0}[way]
    return struct.pack("<III24sI", 156, 1, 1, b"en0", flags).ljust(156, b"\0") + ethernet(packet)


def _family(numbers: Sequence[int], order: str) -> Callable[..., bytes]:
    def write(packet: bytes, way: str = UNSAID) -> bytes:
        return struct.pack(order + "I", numbers[packet[0] >> 4 == 6]) + packet

    return write


def _before(head: bytes, kind: Callable[[bytes], bytes] = lambda packet: b"") -> Callable[..., bytes]:
    return lambda packet, way=UNSAID: head + kind(packet) + packet


LINKS: dict[str, tuple[int, Callable[..., bytes]]] = {
    "Ethernet": (1, ethernet),
    "Ethernet with VLAN tags": (1, tagged),
    "Ethernet with PPPoE": (1, pppoe),
    "Ethernet with PPPoE of short protocols": (1, short_pppoe),
    "Ethernet with MPLS": (1, mpls),
    "null of macOS": (0, _family((2, 30), "<")),
    "null of FreeBSD on big endian": (0, _family((2, 28), ">")),
    "null of Windows": (0, _family((2, 23), "<")),
    "PPP": (9, _before(b"\xff\x03", _ppp_kind)),
    "PPP without its first bytes": (9, _before(b"", _ppp_kind)),
    "PPP with a short protocol": (9, _before(b"", lambda packet: _ppp_kind(packet)[1:])),
    "raw 12": (12, _before(b"")),
    "loop as OpenBSD writes it": (12, _family((2, 24), ">")),
    "raw 14": (14, _before(b"")),
    "PPP with HDLC": (50, _before(b"\xff\x03", _ppp_kind)),
    "Cisco HDLC as PPP": (50, _before(b"\x0f\0", _kind)),
    "PPPoE alone": (51, _before(b"\x11\0\0\1\0\0", _ppp_kind)),
    "raw": (101, _before(b"")),
    "Cisco HDLC": (104, _before(b"\x0f\0", _kind)),
    "loop": (108, _family((2, 24), ">")),
    "enc": (109, _before(struct.pack("<III", 2, 7, 0))),
    "cooked": (113, cooked),
    "cooked with a VLAN tag": (
        113,
        lambda packet, way=UNSAID: cooked(packet, way)[:14] + b"\x81\0\0\7" + _kind(packet) + packet,
    ),
    "cooked with a tag astray": (113, astray),
    "pflog": (117, pflog),
    "pflog of FreeBSD": (117, lambda packet, way=UNSAID: pflog(packet, way, 0, 69)),
    "pflog of OpenBSD": (117, lambda packet, way=UNSAID: pflog(packet, way, 0, 100)),
    "FireWire": (138, _before(bytes(16), _kind)),
    "pppd": (166, _before(b"\0\x03", _ppp_kind)),
    "PPI": (192, _before(struct.pack("<BBHI", 0, 0, 12, 1) + bytes(4) + bytes(12), _kind)),
    "PPP with a direction": (204, _before(b"\0\xff\x03", _ppp_kind)),
    "nflog": (239, nflog),
    "PKTAP of macOS": (258, pktap),
    "cooked, second version": (276, cooked_again),
    "cooked, second version, with a tag astray": (276, astray_again),
}
TELLING = [name for name in LINKS if name.startswith(("cooked", "pflog", "nflog", "PKTAP"))]


def pcap(frames: Sequence[tuple[bytes, int]], link: int = 1, magic: int = 0xA1B2C3D4, order: str = "<") -> bytes:
    """Classic pcap of (frame, nanoseconds)."""
    parts, tick = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)], 1 if magic == 0xA1B23C4D else 1000
    for frame, time in frames:
        parts.append(struct.pack(order + "IIII", time // 10**9, time % 10**9 // tick, len(frame), len(frame)))
        parts.append(struct.pack(order + "IHBB", 2, 0x0800, 4, 0) if magic == 0xA1B2CD34 else b"")
        parts.append(frame)
    return b"".join(parts)


class Ng:
    """Writes the blocks of a pcapng file."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = b""

    def pack(self, kinds: str, *values: object) -> bytes:
        return struct.pack(self.order + kinds, *values)

    def block(self, kind: int, body: bytes) -> "Ng":
        body += bytes(-len(body) % 4)
        size = self.pack("I", len(body) + 12)
        self.data += self.pack("I", kind) + size + body + size
        return self

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self, order: str | None = None) -> "Ng":
        self.order = order or self.order
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1) + self.option(3, b"some system"))

    def interface(self, link: int = 1, snap: int = 0, resolution: int | None = None, offset: int | None = None) -> "Ng":
        options = self.option(2, b"eth0")
        options += b"" if resolution is None else self.option(9, bytes([resolution]))
        options += b"" if offset is None else self.option(14, self.pack("q", offset))
        return self.block(1, self.pack("HHI", link, 0, snap) + options + self.option(0, b""))

    def enhanced(self, frame: bytes, ticks: int = 0, interface: int = 0, flags: int | None = None) -> "Ng":
        head = self.pack("IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        options = b""
        if flags is not None:
            options = self.option(1, b"a remark") + self.option(2, self.pack("I", flags)) + self.option(0, b"")
        return self.block(6, head + frame + bytes(-len(frame) % 4) + options)

    def obsolete(self, frame: bytes, ticks: int = 0, interface: int = 0) -> "Ng":
        head = self.pack("HHIIII", interface, 3, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        return self.block(2, head + frame)

    def simple(self, frame: bytes) -> "Ng":
        return self.block(3, self.pack("I", len(frame)) + frame)


class Read(NamedTuple):
    """One frame as the plain loop reads it."""

    link: int
    time: int
    frame: bytes


def plainly(data: bytes) -> list[Read]:
    """The frames of a capture that is whole, read block by block."""
    magics = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
    for order in "<>":
        (magic,) = struct.unpack(order + "I", data[:4])
        if magic in magics:
            return _plain_pcap(data, order, *magics[magic])
    frames: list[Read] = []
    interfaces: list[tuple[int, int, tuple[int, int], int]] = []
    at, order, last = 0, "<", 0
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order, interfaces = "<" if data[at + 8] == 0x4D else ">", []
        kind, size = struct.unpack(order + "II", data[at : at + 8])
        body = data[at + 8 : at + size - 4]
        at += size
        if kind == 1:
            interfaces.append(_plain_interface(body, order))
        elif kind == 3:
            link, snap, _, _ = interfaces[0]
            (length,) = struct.unpack(order + "I", body[:4])
            frames.append(Read(link, last, body[4 : 4 + min(length, snap or length)]))
        elif kind in (2, 6):
            number, _, high, low, length = struct.unpack(order + "HHIII", body[:16])
            if kind == 6:
                (number,) = struct.unpack(order + "I", body[:4])
            link, _, seconds, offset = interfaces[number]
            top, bottom = seconds
            last = (high << 32 | low) * 10**9 * top // bottom + offset * 10**9
            frames.append(Read(link, last, body[20 : 20 + length]))
    return frames


def _plain_pcap(data: bytes, order: str, tick: int, head: int) -> list[Read]:
    (link,) = struct.unpack(order + "I", data[20:24])
    frames, at = [], 24
    while at < len(data):
        seconds, part, size, _ = struct.unpack(order + "IIII", data[at : at + 16])
        frames.append(Read(link, seconds * 10**9 + part * tick, data[at + head : at + head + size]))
        at += head + size
    return frames


def _plain_interface(body: bytes, order: str) -> tuple[int, int, tuple[int, int], int]:
    """(link type, snap length, a tick as a fraction of a second, seconds to add)."""
    link, _, snap = struct.unpack(order + "HHI", body[:8])
    resolution, offset, at = 6, 0, 8
    while at + 4 <= len(body):
        code, size = struct.unpack(order + "HH", body[at : at + 4])
        if code == 9:
            resolution = body[at + 4]
        if code == 14:
            (offset,) = struct.unpack(order + "q", body[at + 4 : at + 12])
        at += 4 + (size + 3) // 4 * 4
    return link, snap, (1, 2 ** (resolution & 127) if resolution & 128 else 10**resolution), offset


def shuffled(frames: Sequence[Seen], seed: int) -> list[Seen]:
    """The same frames, some of them a little out of the order of their times."""
    rng = random.Random(seed)
    return sorted(frames, key=lambda frame: frame.time + rng.randrange(5_000))
