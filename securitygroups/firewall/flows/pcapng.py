"""pcapng as stretches of frames: sections and interfaces, and the walk from block to block."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import IN, OUT
from securitygroups.firewall.flows.containers import (
    BILLION,
    SAVE,
    UNTOLD,
    Container,
    Offsets,
    Stretch,
    Times,
    Told,
    damaged,
)
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.formats.strict import BadDocument

MAX_BLOCK = 1 << 24
MAX_INTERFACES = 1 << 16

_SECTION, _INTERFACE, _OBSOLETE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
_SAME_ORDER, _OTHER_ORDER = 0x1A2B3C4D, 0x4D3C2B1A
_FLAGS, _RESOLUTION, _OFFSET = 2, 9, 14  # options, of packets and of interfaces
_OPTIONS = 32
_LATEST = 1 << 62

Words = NDArray[np.uint32]


class _Interface(NamedTuple):
    link: int
    snap: int
    resolution: int
    offset: int  # seconds


class PcapNg(Container):
    """pcapng: sections of either byte order, each with interfaces that have link types and clocks of their own."""

    def __init__(self, head: bytes, read: Callable[[int], bytes], skipped: Counter[Skip]) -> None:
        super().__init__(head, read, skipped)
        self._big, self._blocks = False, 0
        self._interfaces: list[_Interface] = []
        self._time = 0

    def _damaged(self, number: int, message: str) -> BadDocument:
        return damaged(f"block {number}", f"{message}: {SAVE}.")

    def _is_packet(self, data: bytes) -> bool:
        kind = int.from_bytes(data[:4], "big" if self._big else "little")
        return len(data) < 8 or kind in (_OBSOLETE, _SIMPLE, _ENHANCED)

    def _walked(self, data: bytes) -> tuple[Stretch, int]:
        walk = _Walk(data, self._interfaces, self._big, self._blocks)
        walk.run()
        stretch = self._stretch(walk)
        self._big, self._interfaces = walk.big, walk.interfaces[walk.base :]
        self._blocks += walk.count
        return stretch, walk.rest

    def _stretch(self, walk: "_Walk") -> Stretch:
        """The packets among the blocks. Raises BadDocument for the first block that contradicts itself."""
        words, at = walk.words, walk.blocks()
        kind, size = words.take(at), words.take(at + 1).astype(np.intp)
        # The walk went on by whole words, so what it took for the block's end is one even where the length is none.
        self._refuse(walk, at, (words.take(at + (size >> 2) - 1) != size) | (size & 3 != 0), "Its two lengths differ")
        packet = np.flatnonzero((kind == _ENHANCED) | (kind == _SIMPLE) | (kind == _OBSOLETE))
        at, kind, size = at[packet], kind[packet], size[packet]
        base, known = walk.marked(packet)
        simple = kind == _SIMPLE
        head = np.where(simple, 12, 28)
        self._refuse(walk, at, size < head + 4, "It is too short for a packet", packet)
        # An obsolete packet block has but two bytes for its interface.
        number = np.where(simple, 0, words.take(np.minimum(at + 2, len(words) - 1))).astype(np.intp)
        number = np.where(kind == _OBSOLETE, np.where(at >= walk.length, number >> 16, number & 0xFFFF), number)
        self._refuse(walk, at, number >= known, "It is of an interface that no block before it describes", packet)
        table = np.array(walk.interfaces or [_Interface(0, 0, 6, 0)], np.int64)[base + number] if len(at) else _NONE
        link, snap = table[:, 0].astype(np.intp), table[:, 1]
        claimed = words.take(np.where(simple, at + 2, np.minimum(at + 5, len(words) - 1))).astype(np.intp)
        cut = np.minimum(np.minimum(claimed, np.where(snap > 0, snap, MAX_BLOCK)), size - 16)
        length = np.where(simple, cut, claimed)
        self._refuse(walk, at, head + (length + 3 & ~3) + 4 > size, "Its packet is longer than itself", packet)
        starts = (at - walk.length * (at >= walk.length)) * 4 + head
        time = self._times(words, at, simple, table)
        return Stretch(walk.data, starts, starts + length, link, time, _told(walk, at, simple, length, size))

    def _refuse(
        self, walk: "_Walk", at: Offsets, wrong: NDArray[np.bool_], message: str, numbers: Offsets | None = None
    ) -> None:
        if wrong.any():
            first = int(np.argmax(wrong))
            number = first if numbers is None else int(numbers[first])
            raise self._damaged(self._blocks + number + 1, message)

    def _times(self, words: Words, at: Offsets, simple: NDArray[np.bool_], table: NDArray[np.int64]) -> Times:
        """Nanoseconds since 1970. A simple packet has no time: it came after the one before it."""
        high, low = (words.take(np.minimum(at + word, len(words) - 1)).astype(np.uint64) for word in (3, 4))
        ticks, resolutions = high << np.uint64(32) | low, table[:, 2]
        time = np.zeros(len(at), np.int64)
        for resolution in np.flatnonzero(np.bincount(resolutions)).tolist():
            rows = resolutions == resolution
            time[rows] = _nanoseconds(ticks[rows], resolution)
        time = np.clip(time + table[:, 3] * BILLION, 0, _LATEST)
        if simple.any():
            latest = np.maximum.accumulate(np.where(simple, -1, np.arange(len(at))))
            time = np.where(latest < 0, self._time, time.take(np.maximum(latest, 0)))
        if len(time):
            self._time = int(time[-1])
        return time


_NONE = np.zeros((0, 4), np.int64)


class _Walk:
    """From block to block through one stretch of a pcapng file, taking sections and interfaces on the way.

    `words` are the bytes as numbers of 32 bits: the first `length` of them read as little endian and, once there is such
    a section, the same again as big endian. So the place of a block says its byte order, and all blocks are read alike.
    """

    def __init__(self, data: bytes, interfaces: list[_Interface], big: bool, before: int) -> None:
        self.data, self.interfaces, self.base = data, list(interfaces), 0
        self._before = before
        self.length = len(data) // 4
        self.words: Words = np.frombuffer(data, "<u4", self.length).astype(np.uint32, copy=False)
        self.big = False
        self.count, self._found = 0, [np.zeros(0, np.intp)]
        self.rest = 0
        # From which block on: where the section's interfaces begin in the list, and how many it has.
        self._marks: list[tuple[int, int, int]] = [(0, 0, len(interfaces))]
        if big:
            self._turn()

    def _turn(self) -> None:
        """Go on in the other byte order."""
        self.big = not self.big
        self.__dict__.pop("_likely", None)
        if self.big and len(self.words) == self.length:
            self.words = np.concatenate([self.words, self.words.byteswap()])

    def _damaged(self, message: str) -> BadDocument:
        return damaged(f"block {self._before + self.count + 1}", f"{message}: {SAVE}.")

    def _take(self, blocks: Offsets) -> None:
        self._found.append(blocks)
        self.count += len(blocks)

    def blocks(self) -> Offsets:
        """Where the blocks begin, in order."""
        return np.concatenate(self._found)

    def run(self) -> None:
        """Until the end, or the first block that is not whole. Raises BadDocument."""
        at: int | None = self.length if self.big else 0
        while at is not None:
            at = self._other(self._packets(at))

    def _packets(self, at: int) -> int:
        """Past packets, the only blocks that there are many of.

        Going from one to the next is what reading pcapng would cost. So all places that look like a packet's block are
        found at once; as far as each of them ends where the next one begins, that is the same.
        """
        if at >= self.length * (1 + self.big) or self.words[at] != _ENHANCED:
            return at
        starts, after, breaks = self._likely
        row = int(np.searchsorted(starts, at))
        if row == len(starts) or starts[row] != at:
            return at
        last = int(breaks[np.searchsorted(breaks, row)])
        self._take(starts[row : last + 1])
        return self._one_by_one(int(after[last]))

    @cached_property
    def _likely(self) -> tuple[Offsets, Offsets, Offsets]:
        """Where packets' blocks seem to begin, which end is behind each, and after which ones no other follows at once."""
        words, end = self.words, self.length * (1 + self.big)
        base = self.length * self.big
        starts = np.flatnonzero(words[base : end - 2] == _ENHANCED) + base
        size = words.take(starts + 1)
        after = starts + (size >> np.uint32(2))
        fits = (after > starts + 2) & (after <= end)
        starts, after, size = starts[fits], after[fits], size[fits]
        alike = words.take(after - 1) == size
        starts, after = starts[alike], after[alike]
        return starts, after, np.flatnonzero(np.append(after[:-1] != starts[1:], True))

    def _one_by_one(self, at: int) -> int:
        """The same where something in a packet looks like a block."""
        blocks: list[int] = []
        view, end, enhanced, append = self.words.data, self.length * (1 + self.big), _ENHANCED, blocks.append
        stop = end - 2
        while at < stop and view[at] == enhanced:
            after = at + (view[at + 1] >> 2)
            if not at + 2 < after <= end:
                break
            append(at)
            at = after
        self._take(np.array(blocks, np.intp))
        return at

    def _other(self, at: int) -> int | None:
        """Past a block of any kind, None where it is not whole."""
        self.rest = (at - self.length * self.big) * 4
        if self.rest + 12 > self.length * 4:
            return None
        kind = int(self.words[at])
        if kind == _SECTION:
            at = self._section(at)
        step = int(self.words[at + 1]) >> 2
        if not 3 <= step <= MAX_BLOCK >> 2:
            raise self._damaged(f"It claims to be {step * 4} bytes long, it is damaged")
        if self.rest + step * 4 > self.length * 4:
            return None
        if kind == _INTERFACE:
            self._interface(at, step)
        elif kind == _SECTION:
            self._begin(step)
        self._take(np.array([at], np.intp))
        return at + step

    def _section(self, at: int) -> int:
        """The place of a section's header in its own byte order."""
        mark = int(self.words[at + 2])
        if mark == _SAME_ORDER:
            return at
        if mark != _OTHER_ORDER:
            raise self._damaged("The section's byte order cannot be told, it is damaged")
        self._turn()
        return at + self.length if self.big else at - self.length

    def _begin(self, step: int) -> None:
        if step < 7:
            raise self._damaged("It is too short for the header of a section, it is damaged")
        self.base = len(self.interfaces)
        self._marks.append((self.count, self.base, 0))

    def _interface(self, at: int, step: int) -> None:
        start = (at - self.length * self.big) * 4
        order = ">" if self.big else "<"
        if step < 5:
            raise self._damaged("It is too short for an interface, it is damaged")
        link, _, snap = struct.unpack_from(order + "HHI", self.data, start + 8)
        resolution, offset = 6, 0
        for code, place, size in _options(self.data, start + 16, start + step * 4 - 4, order):
            if code == _RESOLUTION and size == 1:
                resolution = self.data[place]
            elif code == _OFFSET and size == 8:
                # Beyond some 120 years, a time is no time: it only has to stay a number.
                offset = max(-(1 << 32), min(1 << 32, struct.unpack_from(order + "q", self.data, place)[0]))
        self.interfaces.append(_Interface(link, snap, resolution, offset))
        known = len(self.interfaces) - self.base
        if known > MAX_INTERFACES:
            raise self._damaged(f"The section has more than {MAX_INTERFACES} interfaces")
        self._marks.append((self.count, self.base, known))

    def marked(self, blocks: Offsets) -> tuple[Offsets, Offsets]:
        """Of each of these blocks: where its section's interfaces begin, and how many there are before it."""
        marks = np.array(self._marks, np.intp)
        row = np.searchsorted(marks[:, 0], blocks, "right") - 1
        return marks[row, 1], marks[row, 2]


def _options(data: bytes, at: int, end: int, order: str) -> Iterator[tuple[int, int, int]]:
    """(code, where its value is, its length) of the first options of a block."""
    for _ in range(_OPTIONS):
        if at + 4 > end:
            return
        code, size = struct.unpack_from(order + "HH", data, at)
        if not code or at + 4 + size > end:
            return
        yield code, at + 4, size
        at += 4 + (size + 3 & ~3)


def _told(walk: _Walk, at: Offsets, simple: NDArray[np.bool_], length: Offsets, size: Offsets) -> Told:
    """The direction of each packet, where an option of its block tells it."""
    words, told = walk.words, np.full(len(at), UNTOLD, np.uint8)
    option, end = at + 7 + ((length + 3) >> 2), at + (size >> 2) - 1
    rows = np.flatnonzero(~simple & (option + 2 <= end))
    for _ in range(_OPTIONS):
        if not rows.size:
            break
        place = option[rows]
        head = words.take(place).astype(np.intp)
        turned = at[rows] >= walk.length
        code, width = np.where(turned, head >> 16, head & 0xFFFF), np.where(turned, head & 0xFFFF, head >> 16)
        flags = (code == _FLAGS) & (width == 4)
        told[rows[flags]] = _WAYS.take(words.take(place[flags] + 1) & 3)
        option[rows] += 1 + ((width + 3) >> 2)
        rows = rows[(code > 0) & ~flags & (option[rows] + 2 <= end[rows])]
    return told


_WAYS = np.array([UNTOLD, IN, OUT, UNTOLD], np.uint8)


def _nanoseconds(ticks: NDArray[np.uint64], resolution: int) -> Times:
    """Times in ticks of 10⁻ⁿ seconds, or of 2⁻ⁿ where the resolution's highest bit is set."""
    power, limit = resolution & 0x7F, np.uint64(_LATEST)
    time: NDArray[np.uint64]
    if resolution & 0x80:
        if power > 34:
            # Finer than a nanosecond anyway, and so the product below fits.
            ticks, power = (ticks >> np.uint64(min(power - 34, 63))), 34
        whole = np.minimum(ticks >> np.uint64(power), limit // np.uint64(BILLION))
        part = (ticks & np.uint64((1 << power) - 1)) * np.uint64(BILLION) >> np.uint64(power)
        time = whole * np.uint64(BILLION) + part
    elif power > 9:
        time = ticks // np.uint64(10 ** min(power - 9, 19))
    else:
        factor = np.uint64(10 ** (9 - power))
        time = np.minimum(ticks, limit // factor) * factor
    return np.minimum(time, limit).astype(np.int64)
