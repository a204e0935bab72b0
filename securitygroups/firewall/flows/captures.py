"""Packet captures (classic pcap, Ethernet) as batches of the packets that open a flow."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import NO_PORT, UNSAID, Batch
from securitygroups.firewall.flows.openers import MAYBE, Openers, Skip
from securitygroups.firewall.formats.strict import BadDocument, Fault
from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.values import ICMP, ICMPV6

MAGICS = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\x3c\x4d": ">",
}
"""First bytes of a capture, times in microseconds or nanoseconds, and the byte order of its numbers."""
PCAPNG = b"\x0a\x0d\x0d\x0a"
ETHERNET = 1
MAX_PACKET = 1 << 20

_CHUNK = 1 << 22
_TCP, _UDP, _SCTP = 6, 17, 132
_VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
_HOPOPTS, _ROUTING, _FRAGMENT, _AUTH, _DESTINATION = 0, 43, 44, 51, 60
_SYN, _SYN_ACK, _INIT = 0x02, 0x12, 1
# Replies, and errors that quote a packet of another flow. Neighbour discovery stays: nothing else would judge it.
_ICMP_ANSWERS = {ICMP: (0, 3, 4, 5, 11, 12, 14, 16, 18), ICMPV6: (1, 2, 3, 4, 129)}

Offsets = NDArray[np.intp]
Mask = NDArray[np.bool_]


def _bad(where: str, message: str) -> BadDocument:
    return BadDocument([Fault(where, Problem(message))])


class _Frames:
    """The frames of one stretch of bytes, as offsets into it; `keep` narrows them down, counting what it drops."""

    def __init__(self, data: bytes, starts: Offsets, ends: Offsets, skipped: Counter[Skip]) -> None:
        padded = data + bytes(64)
        self._bytes = np.frombuffer(padded, np.uint8)
        self._words = {
            size: np.ndarray((len(padded) - size + 1,), f">u{size}", padded, strides=(1,)) for size in (2, 4, 8)
        }
        self._skipped = skipped
        self.columns: dict[str, Offsets] = {"l3": starts, "end": ends}

    def __getitem__(self, name: str) -> Offsets:
        return self.columns[name]

    def u8(self, at: Offsets) -> Offsets:
        return self._bytes.take(self._safe(at)).astype(np.intp)

    def number(self, at: Offsets, size: int) -> NDArray[np.uint64]:
        """Unsigned numbers of `size` bytes in network order."""
        return self._words[size][self._safe(at)].astype(np.uint64)

    def _safe(self, at: Offsets) -> Offsets:
        # What lies beyond the frame is dropped by the check of its length; it only must not lead outside the array.
        return np.minimum(at, len(self._bytes) - 8)

    def keep(self, rows: Mask, otherwise: Skip) -> None:
        dropped = len(rows) - int(np.count_nonzero(rows))
        if dropped:
            self._skipped[otherwise] += dropped
            self.columns = {name: column[rows] for name, column in self.columns.items()}


def _network_layer(frames: _Frames) -> None:
    """Past the Ethernet header and VLAN tags: leaves IP packets, with their `version`."""
    frames.keep(frames["end"] - frames["l3"] >= 14, Skip.CUT)
    kind, l3 = frames.number(frames["l3"] + 12, 2), frames["l3"] + 14
    for _ in range(2):
        tagged = np.isin(kind, _VLAN_TAGS)
        if not tagged.any():
            break
        kind = np.where(tagged, frames.number(l3 + 2, 2), kind)
        l3 = l3 + tagged * 4
    frames.columns |= {"l3": l3, "version": np.where(kind == 0x0800, 4, np.where(kind == 0x86DD, 6, 0))}
    frames.keep(frames["version"] > 0, Skip.NOT_IP)
    least = np.where(frames["version"] == 4, 20, 40)
    whole = (frames["end"] - frames["l3"] >= least) & (frames.u8(frames["l3"]) >> 4 == frames["version"])
    frames.keep(whole, Skip.CUT)


def _transport_layer(frames: _Frames) -> None:
    """Past the IP headers: adds `protocol` and `l4`, drops later fragments."""
    l3, four = frames["l3"], frames["version"] == 4
    protocol = np.where(four, frames.u8(l3 + 9), frames.u8(l3 + 6))
    l4 = l3 + np.where(four, np.maximum(frames.u8(l3) & 15, 5) * 4, 40)
    later = four & (frames.number(l3 + 6, 2) & np.uint64(0x1FFF) != 0)
    for _ in range(8):
        extended = ~four & ~later & np.isin(protocol, (_HOPOPTS, _ROUTING, _FRAGMENT, _AUTH, _DESTINATION))
        extended &= l4 + 8 <= frames["end"]
        if not extended.any():
            break
        length = frames.u8(l4 + 1)
        size = np.where(protocol == _AUTH, (length + 2) * 4, (length + 1) * 8)
        fragment = extended & (protocol == _FRAGMENT)
        later |= fragment & (frames.number(l4 + 2, 2) >> np.uint64(3) != 0)
        size = np.where(fragment, 8, size)
        protocol = np.where(extended, frames.u8(l4), protocol)
        l4 = l4 + extended * size
    frames.columns |= {"protocol": protocol, "l4": l4, "later": later.astype(np.intp)}
    frames.keep(frames["later"] == 0, Skip.FRAGMENT)
    # An extension header that is still in front here was cut off or is beyond all use.
    inside = ~np.isin(frames["protocol"], (_HOPOPTS, _ROUTING, _FRAGMENT, _DESTINATION)) | (frames["version"] == 4)
    needed = np.zeros(256, np.intp)
    needed[[_TCP, _UDP, _SCTP, ICMP, ICMPV6]] = (14, 4, 13, 1, 1)
    frames.keep(inside & (frames["l4"] + needed.take(frames["protocol"]) <= frames["end"]), Skip.CUT)


def _drop_answers(frames: _Frames) -> None:
    """What says of itself that it opens no flow: TCP but SYN, SCTP but INIT, ICMP replies and errors."""
    protocol, l4 = frames["protocol"], frames["l4"]
    opens = (protocol != _TCP) | (frames.u8(l4 + 13) & _SYN_ACK == _SYN)
    opens &= (protocol != _SCTP) | (frames.u8(l4 + 12) == _INIT)
    frames.keep(opens, Skip.MIDDLE)
    protocol, kind = frames["protocol"], frames.u8(frames["l4"])
    answers = np.zeros(len(protocol), np.bool_)
    for number, kinds in _ICMP_ANSWERS.items():
        answers |= (protocol == number) & np.isin(kind, kinds)
    frames.keep(~answers, Skip.ICMP_ANSWER)


def _batch(frames: _Frames) -> tuple[Batch, NDArray[np.int32]]:
    """(packets, source port): directions are not known yet, all In."""
    l3, l4, four, protocol = frames["l3"], frames["l4"], frames["version"] == 4, frames["protocol"]
    (source_high, source_low), (high, low) = (
        (
            np.where(four, np.uint64(0), frames.number(l3 + at6, 8)),
            np.where(four, frames.number(l3 + at4, 4), frames.number(l3 + at6 + 8, 8)),
        )
        for at4, at6 in ((12, 8), (16, 24))
    )
    has_port = np.isin(protocol, (_TCP, _UDP, _SCTP))
    port = np.where(has_port, frames.number(l4 + 2, 2), np.uint64(0)).astype(np.int32)
    source_port = np.where(has_port, frames.number(l4, 2), np.uint64(0)).astype(np.int32)
    port[~has_port] = source_port[~has_port] = NO_PORT
    version, number = frames["version"].astype(np.uint8), protocol.astype(np.uint8)
    unknown = np.zeros(len(l3), np.uint8)
    said = np.full(len(l3), UNSAID, np.uint8)
    return Batch(unknown, version, number, source_high, source_low, high, low, port, said), source_port


class Capture:
    """Reads a classic pcap file of Ethernet frames; VLAN tags and IPv6 extension headers are looked through.

    A TCP packet opens a flow when it has SYN without ACK, an SCTP packet when it begins with INIT. Of any other
    protocol, the first packet between two ends does (see Openers); ICMP replies and errors never do. Directions are
    not known: `records` counts the packets read, `skipped` those that were not judged and why.
    """

    def __init__(self, read: Callable[[int], bytes], skipped: Counter[Skip]) -> None:
        """`read(size)` gives the next bytes, b"" at the end. Raises BadDocument."""
        header = b""
        while len(header) < 24 and (more := read(24 - len(header))):
            header += more
        if len(header) < 24:
            raise _bad("", "The capture ends within its header.")
        self._order = MAGICS[header[:4]]
        link = struct.unpack(self._order + "I", header[20:24])[0] & 0xFFFF
        if link != ETHERNET:
            raise _bad("", f"The capture's link type is {link}: capture on one Ethernet interface (link type 1).")
        self._read, self._skipped, self._openers = read, skipped, Openers()
        self.records = 0

    def __iter__(self) -> Iterator[Batch]:
        data = b""
        while chunk := self._read(_CHUNK):
            data += chunk
            starts, ends, rest = self._walk(data)
            if starts.size:
                yield self._judged(_Frames(data, starts, ends, self._skipped))
            data = data[rest:]
        if data:
            self._skipped[Skip.CUT] += 1
            self.records += 1

    def _walk(self, data: bytes) -> tuple[Offsets, Offsets, int]:
        """(starts, ends) of the frames that are in `data` whole, and where the first other one's header begins."""
        starts: list[int] = []
        ends: list[int] = []
        at, stop, size_of = 0, len(data) - 16, struct.Struct(self._order + "I").unpack_from
        while at <= stop:
            size = size_of(data, at + 8)[0]
            after = at + 16 + size
            if after > len(data):
                if size > MAX_PACKET:
                    number = self.records + len(starts) + 1
                    raise _bad(f"packet {number}", f"It claims to be {size} bytes long: the capture is damaged.")
                break
            starts.append(at + 16)
            ends.append(after)
            at = after
        self.records += len(starts)
        return np.array(starts, np.intp), np.array(ends, np.intp), at

    def _judged(self, frames: _Frames) -> Batch:
        _network_layer(frames)
        _transport_layer(frames)
        _drop_answers(frames)
        batch, source_port = _batch(frames)
        # A SYN is an attempt of its own each time, even from the same port.
        certain = np.isin(batch.protocol, (_TCP, _SCTP))
        unsure = np.flatnonzero(~certain)
        role = np.full(len(unsure), MAYBE, np.uint8)
        start = np.zeros(len(unsure), np.int64)
        opens = self._openers.choose(batch.take(unsure), source_port[unsure], role, start, self._skipped, in_order=True)
        certain[unsure] = opens
        return batch.take(certain)
