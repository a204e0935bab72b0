"""The containers of packet captures as stretches of frames with their times: what they share, and classic pcap.

No library reads captures fast enough: dpkt and scapy manage a fifth of what a CSV log is read at, python-pcapng less than
a twentieth, and all of them before anything was looked at.
"""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import IN, OUT
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.formats.strict import BadDocument, Fault
from securitygroups.firewall.protocols import Problem

UNTOLD, FOREIGN, LOOPED = 2, 3, 4
"""Beside IN and OUT: what a frame tells of its direction. FOREIGN was between others, LOOPED never left the machine."""

PCAPNG = b"\x0a\x0d\x0d\x0a"
MAX_PACKET = 1 << 20

_CHUNK = 1 << 22
_TOO_LONG = "It claims to be {} bytes long, it is damaged: {}. Where captures were put together by cat, join them with mergecap."
SAVE = "copy what is whole with “tcpdump -r FILE -w NEW” or capture again"
# First bytes of a classic capture: byte order, nanoseconds in a tick of its times, and the length of a packet's header.
MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),  # “modified”: interface, protocol and kind stand behind each header
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
BILLION = 1_000_000_000

Offsets = NDArray[np.intp]
Times = NDArray[np.int64]
Told = NDArray[np.uint8]


def damaged(where: str, message: str) -> BadDocument:
    """What is wrong at some place of a capture."""
    return BadDocument([Fault(where, Problem(message))])


def is_capture(head: bytes) -> bool:
    """Whether a file that begins with these four bytes is a capture of a kind that is read here."""
    return head[:4] in MAGICS or head[:4] == PCAPNG


_OTHERS = {
    b"snoo": "of Solaris' snoop",
    b"RTSS": "of Microsoft's Network Monitor 1",
    b"GMBU": "of Microsoft's Network Monitor",
    b"TRSN": "of a Sniffer",
    b"iptr": "of AIX' iptrace",
    b"XCP\0": "of NetXRay",
    b"\xac\x01\x00\x1c": "of an Ixia device",
    b"\xab\x01\x00\x1c": "of an Ixia device",
}


def refuse_others(head: bytes) -> None:
    """Raises BadDocument where a file that begins with these four bytes is a capture of a kind that is not read here."""
    if head[:4] in _OTHERS:
        raise damaged("", f"This is a capture {_OTHERS[head[:4]]}: turn it into pcapng with “editcap FILE NEW”.")


class Stretch(NamedTuple):
    """Some bytes of a capture, and the frames in them: where each begins and ends, its link type, its time in nanoseconds
    since 1970, and what is told of its direction."""

    data: bytes
    starts: Offsets
    ends: Offsets
    link: Offsets
    time: Times
    told: Told


def cooked_way(kind: Offsets) -> Told:
    """What Linux' packet types tell: to us, to all, to many, to somebody else, from us."""
    ways = np.array([IN, IN, IN, FOREIGN, OUT, UNTOLD], np.uint8)
    return ways.take(np.minimum(kind, 5))


def filled(read: Callable[[int], bytes], size: int) -> bytes:
    """So many bytes, fewer only at the end: streams may give little at a time, and each stretch has its costs."""
    parts = []
    while size and (more := read(size)):
        parts.append(more)
        size -= len(more)
    return b"".join(parts)


class Container:
    """The frames of a capture in stretches of some MiB. `records` counts the packets so far."""

    link: int | None = None
    """The link type of all frames where that is told at once."""

    def __init__(self, head: bytes, read: Callable[[int], bytes], skipped: Counter[Skip]) -> None:
        self._head, self._read, self._skipped = head, read, skipped
        self.records = 0

    def __iter__(self) -> Iterator[Stretch]:
        data = self._head
        while chunk := filled(self._read, _CHUNK):
            data += chunk
            stretch, rest = self._walked(data)
            if stretch.starts.size:
                self.records += len(stretch.starts)
                yield stretch
            data = data[rest:]
        if data and self._is_packet(data):
            self._skipped[Skip.CUT] += 1
            self.records += 1

    def _walked(self, data: bytes) -> tuple[Stretch, int]:
        """The frames that are whole, and where the first other one's header begins."""
        raise NotImplementedError

    def _is_packet(self, data: bytes) -> bool:
        """Whether what was cut off at the end was a packet."""
        raise NotImplementedError


class Pcap(Container):
    """Classic pcap: one link type, and the packets behind each other."""

    def __init__(self, head: bytes, read: Callable[[int], bytes], skipped: Counter[Skip]) -> None:
        super().__init__(head, read, skipped)
        header = head + filled(read, 20)
        if len(header) < 24:
            raise damaged("", "The capture ends within its header.")
        self._order, self._tick, self._before = MAGICS[head]
        self._head = b""
        # The upper half has other uses, such as the length of a checksum at each frame's end.
        self.link = struct.unpack(self._order + "I", header[20:24])[0] & 0xFFFF

    def _is_packet(self, data: bytes) -> bool:
        return True

    def _walked(self, data: bytes) -> tuple[Stretch, int]:
        headers: list[int] = []
        at, head, end, append = 0, self._before, len(data), headers.append
        stop, size_of = end - head, struct.Struct(self._order + "8xI").unpack_from
        while at <= stop:
            (size,) = size_of(data, at)
            after = at + head + size
            if after > end:
                if size > MAX_PACKET:
                    number = self.records + len(headers) + 1
                    raise damaged(f"packet {number}", _TOO_LONG.format(size, SAVE))
                break
            append(at)
            at = after
        return self._stretch(data, np.array(headers, np.intp)), at

    def _stretch(self, data: bytes, headers: Offsets) -> Stretch:
        link, told = np.full(len(headers), self.link, np.intp), np.full(len(headers), UNTOLD, np.uint8)
        if not headers.size:
            return Stretch(data, headers, headers, link, np.zeros(0, np.int64), told)
        words = np.ndarray((len(data) - 3,), self._order + "u4", data, strides=(1,))
        time = words[headers].astype(np.int64) * BILLION + words[headers + 4].astype(np.int64) * self._tick
        if self._before == 24:
            told = cooked_way(np.frombuffer(data, np.uint8).take(headers + 22).astype(np.intp))
        starts = headers + self._before
        return Stretch(data, starts, starts + words[headers + 8], link, time, told)
