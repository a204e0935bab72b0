"""The list's verdict on millions of packets: the same as `decide` on each, without the trace.

The packets are split into classes (direction, address family, protocol); within a class each condition of a rule is a
range on one axis. The ends of all ranges cut an axis into intervals, and for every interval a bitset says which rules
hold there. A packet's rules are the AND of its intervals' bitsets, and the lowest bit is the rule that decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import DIRECTIONS, Batch
from securitygroups.firewall.protocols import MAX_PORT, NAMES, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import BITS, Rule, RuleList

NO_RULE = 0
"""Stands for a place where no rule matched: places count from 1."""

# A bitset of 64 words of 64 rules has a summary of one word, and memory grows with the rules, not with their square.
_SEGMENT = 64 * 64
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
# Below this part of rows that can still match, dropping the others pays.
_THIN = 0.8
_LOW = (1 << 64) - 1

Words = NDArray[np.uint64]
Ranks = NDArray[np.intp]
Places = NDArray[np.int32]
Range = tuple[int, int]


def _bit_index(words: Words) -> NDArray[np.uint8]:
    """The index of each word's lowest set bit, 64 where none is."""
    return np.bitwise_count(~words & (words - _ONE))


class _Ports:
    """Intervals of the port axis. A packet without a port lies below the first bound, where no range reaches."""

    offset = 1

    def __init__(self, bounds: Sequence[int]) -> None:
        ends = [*bounds, MAX_PORT + 1]
        table = np.repeat(np.arange(len(ends), dtype=np.uint16), np.diff([0, *ends]))
        self._table: NDArray[np.uint16] = np.append(table, np.uint16(0))  # index NO_PORT is the last

    def ranks(self, batch: Batch, rows: Ranks) -> Ranks:
        ranks: Ranks = self._table.take(batch.port.take(rows).astype(np.intp)).astype(np.intp)
        return ranks


class _Bounds:
    """Where a number stands among sorted numbers, the first of which is 0.

    A table of equal slots between the second and the last of them answers at once for all numbers in a slot that none
    of them cuts, which is most; in the others it leaves few to look through.
    """

    _CUT = 1 << 15  # a flag in the table; ranks stay below, see _SEGMENT

    def __init__(self, bounds: Words) -> None:
        self._bounds = bounds
        low, top = int(bounds[min(1, len(bounds) - 1)]), int(bounds[-1])
        self._shift = np.uint64(max(0, (top - low).bit_length() - 16))
        # One slot more on either side, so that clipping what lies outside keeps its rank.
        self._base = np.uint64(max(0, low - (1 << int(self._shift))))
        self._last = np.uint64(((top - int(self._base)) >> int(self._shift)) + 1)
        offsets = bounds[bounds >= self._base] - self._base
        slots, size = (offsets >> self._shift).astype(np.intp), int(self._last) + 1
        ranks = np.cumsum(np.bincount(slots, minlength=size)) + (len(bounds) - len(offsets) - 1)
        inside = offsets & ((_ONE << self._shift) - _ONE) != 0
        self._inside = np.bincount(slots[inside], minlength=size).astype(np.uint16)
        self._table = (ranks | np.where(self._inside > 0, self._CUT, 0)).astype(np.uint16)
        self._step = _first_step(int(self._inside.max()))

    def ranks(self, numbers: Words) -> Ranks:
        """The index of the last bound that is not above each number."""
        slots = (np.maximum(numbers, self._base) - self._base) >> self._shift
        slots = np.minimum(slots, self._last).view(np.int64)
        ranks: Ranks = self._table.take(slots).astype(np.intp)
        cut = np.flatnonzero(ranks >= self._CUT)
        if cut.size:
            last = ranks.take(cut) - self._CUT
            first = last - self._inside.take(slots.take(cut))
            ranks[cut] = _bisected(self._bounds, numbers.take(cut), first, last, self._step)
        return ranks


def _first_step(most: int) -> int:
    """The step to begin with where the answer is up to `most` behind the start: a power of two, 0 for none."""
    return 1 << most.bit_length() - 1 if most else 0


def _bisected(bounds: Words, numbers: Words, at: Ranks, last: Ranks, step: int) -> Ranks:
    """The index in at … last of the last bound that is not above each number, `at` where all are; all rows together."""
    while step:
        ahead = at + step
        at = at + ((ahead <= last) & (bounds.take(np.minimum(ahead, last)) <= numbers)) * step
        step >>= 1
    return at


class _Addresses4:
    """Intervals of IPv4 addresses."""

    offset = 0

    def __init__(self, bounds: Sequence[int], column: str) -> None:
        self._column = column
        self._bounds = _Bounds(np.array(bounds, np.uint64))

    def ranks(self, batch: Batch, rows: Ranks) -> Ranks:
        return self._bounds.ranks(getattr(batch, f"{self._column}_low").take(rows))


class _Addresses6:
    """Intervals of IPv6 addresses: by the upper 64 bits, and by the lower ones where a bound has the same upper bits."""

    offset = 0

    def __init__(self, bounds: Sequence[int], column: str) -> None:
        self._column = column
        self._low = np.array([bound & _LOW for bound in bounds], np.uint64)
        high = np.array([bound >> 64 for bound in bounds], np.uint64)
        self._high, self._start = np.unique(high, return_index=True)
        self._bounds = _Bounds(self._high)
        self._last = np.append(self._start[1:], len(bounds)) - 1
        self._step = _first_step(int((self._last - self._start).max()) + 1)

    def ranks(self, batch: Batch, rows: Ranks) -> Ranks:
        high = getattr(batch, f"{self._column}_high").take(rows)
        group = self._bounds.ranks(high)
        ranks: Ranks = self._last.take(group)
        tied = np.flatnonzero(self._high.take(group) == high)
        if tied.size:
            low = getattr(batch, f"{self._column}_low").take(rows.take(tied))
            # One before the group: the address may lie below the first bound of it.
            start = self._start.take(group.take(tied)) - 1
            ranks[tied] = _bisected(self._low, low, start, ranks.take(tied), self._step)
        return ranks


_Axis = _Ports | _Addresses4 | _Addresses6


def _axis(name: str, version: int, bounds: Sequence[int]) -> _Axis:
    if name == "port":
        return _Ports(bounds)
    return _Addresses4(bounds, name) if version == 4 else _Addresses6(bounds, name)


def _ranges(rules: Sequence[Rule], name: str) -> list[Range | None]:
    """What each rule asks of one axis, both ends included; None = anything."""
    if name == "port":
        return [
            None if rule.port_start is None or rule.port_end is None else (rule.port_start, rule.port_end)
            for rule in rules
        ]
    networks = [rule.source if name == "source" else rule.destination for rule in rules]
    return [None if network is None else (network.first, network.last) for network in networks]


def _bounds(ranges: Sequence[Range | None], name: str, version: int) -> list[int]:
    """Where some range begins or has ended, sorted; none where no rule restricts the axis."""
    ends = {r[0] for r in ranges if r} | {r[1] + 1 for r in ranges if r}
    if not ends:
        return []
    # Addresses begin at the bound 0; a port has the place below its first bound for packets without one.
    start, top = (set(), MAX_PORT) if name == "port" else ({0}, (1 << BITS[version]) - 1)
    return sorted(start | {end for end in ends if end <= top})


def _bits(ranges: Sequence[Range | None], words: int, rank: dict[int, int], intervals: int) -> Words:
    """Bitsets (intervals × words) of the rules that hold in each interval."""
    # A rule's bit is toggled where its range begins and behind its end; the running XOR sets it in between.
    bits = np.zeros((intervals + 1, words), np.uint64)
    numbers = np.arange(len(ranges))
    masks = _ONE << (numbers % 64).astype(np.uint64)
    first = np.array([0 if r is None else rank[r[0]] for r in ranges], np.intp)
    behind = np.array([intervals if r is None else rank.get(r[1] + 1, intervals) for r in ranges], np.intp)
    np.bitwise_xor.at(bits, (first, numbers // 64), masks)
    np.bitwise_xor.at(bits, (behind, numbers // 64), masks)
    np.bitwise_xor.accumulate(bits, axis=0, out=bits)
    return bits[:-1]


def _summaries(bits: Words) -> Words:
    """For each row of bitsets one word: bit w is set where word w is not 0."""
    shifts = np.arange(bits.shape[1], dtype=np.uint64)
    summaries: Words = np.bitwise_or.reduce((bits != 0).astype(np.uint64) << shifts, axis=1)
    return summaries


class _Segment:
    """Up to _SEGMENT consecutive rules of one class, on the axes that at least one of them restricts."""

    def __init__(self, rules: Sequence[Rule], places: Sequence[int], version: int) -> None:
        self._words = -(-len(rules) // 64)
        self._places = np.full(self._words * 64 + 1, NO_RULE, np.int32)
        self._places[: len(places)] = places
        self._axes: list[tuple[_Axis, Words, Words]] = []
        for name in ("source", "destination", "port"):
            ranges = _ranges(rules, name)
            bounds = _bounds(ranges, name, version)
            if bounds:
                axis = _axis(name, version, bounds)
                rank = {bound: at + axis.offset for at, bound in enumerate(bounds)}
                bits = _bits(ranges, self._words, rank, len(bounds) + axis.offset)
                self._axes.append((axis, bits.ravel(), _summaries(bits) if self._words > 1 else bits.ravel()))

    def first(self, batch: Batch, rows: Ranks) -> Places:
        """The place of the first rule that matches each of the rows, NO_RULE where none does."""
        if not self._axes:
            return np.full(len(rows), self._places[0], np.int32)
        places = np.full(len(rows), NO_RULE, np.int32)
        at, left, ranks = self._possible(batch, rows)
        if self._words == 1:
            places[at] = self._places.take(_bit_index(left))
            return places
        starts = [rank * self._words for rank in ranks]
        while (keep := np.flatnonzero(left != 0)).size:
            at, left, starts = at.take(keep), left.take(keep), [start.take(keep) for start in starts]
            # The summaries leave these words possible: look into the first of each row, then into its next.
            word = _bit_index(left).astype(np.intp)
            words = (bits.take(start + word) for (_, bits, _), start in zip(self._axes, starts, strict=True))
            matches = reduce(np.bitwise_and, words)
            found = np.flatnonzero(matches != 0)
            places[at.take(found)] = self._places.take(word.take(found) * 64 + _bit_index(matches.take(found)))
            left &= left - _ONE
            left[found] = 0
        return places

    def _possible(self, batch: Batch, rows: Ranks) -> tuple[Ranks, Words, list[Ranks]]:
        """Indexes into `rows` that some rule may match, the AND of their summaries, and their rank on each axis."""
        at, left, ranks = np.arange(len(rows)), np.full(1, _ALL), list[Ranks]()
        for axis, _, summary in self._axes:
            ranks.append(axis.ranks(batch, rows))
            left = left & summary.take(ranks[-1])
            keep = np.flatnonzero(left != 0)  # twice as fast as on the numbers themselves
            if len(keep) < _THIN * len(rows):
                at, rows, left = at.take(keep), rows.take(keep), left.take(keep)
                ranks = [rank.take(keep) for rank in ranks]
        return at, left, ranks


_NUMBERS = tuple(sorted({number for _, number in NAMES}))
_OTHER = len(_NUMBERS)
_CLASS_OF = np.full(256, _OTHER, np.uint8)
_CLASS_OF[list(_NUMBERS)] = np.arange(_OTHER)


def _covers(rule: Rule, version: int, number: int | None) -> bool:
    """Whether the rule can match packets of this family (0 = not IP) and protocol, whatever their other fields."""
    protocol = PROTOCOLS[rule.protocol]
    if version == 0:
        return not protocol.only_ip and rule.source is None and rule.destination is None and rule.port_start is None
    families = {network.version for network in (rule.source, rule.destination) if network is not None}
    return protocol.covers_number(version, number) and families <= {version}


@dataclass(frozen=True, slots=True)
class _Class:
    """What a list says about packets of one direction, family and protocol."""

    segments: tuple[_Segment, ...]

    def first(self, batch: Batch, rows: Ranks) -> Places:
        """The place of the first rule that matches each of the rows, NO_RULE where none does."""
        if not self.segments:
            return np.full(len(rows), NO_RULE, np.int32)
        places = self.segments[0].first(batch, rows)
        for segment in self.segments[1:]:
            undecided = np.flatnonzero(places == NO_RULE)
            if not undecided.size:
                break
            places[undecided] = segment.first(batch, rows.take(undecided))
        return places


class CompiledList:
    """A rule list made ready for bulk: tables are built for a class when its first packet comes, then kept.

    The rules must be valid (`Rule.problems()` is empty). Memory is about 1 KiB a rule and class for each address that
    the rules restrict, at most; nothing grows with the packets.
    """

    def __init__(self, rules: RuleList) -> None:
        self.rules = tuple(rules)
        self._classes: dict[int, _Class] = {}
        self._same: dict[tuple[int, tuple[int, ...]], _Class] = {}
        self._accepts = np.array([False, *(rule.action is Action.ACCEPT for rule in self.rules)])

    def _class(self, code: int) -> _Class:
        if code not in self._classes:
            upper, kind = divmod(code, _OTHER + 1)
            direction, version = DIRECTIONS[upper >> 2], (upper & 3) << 1
            chosen = tuple(self._covering(direction, version, None if kind == _OTHER else _NUMBERS[kind]))
            key = (version, chosen)
            if key not in self._same:
                parts = [chosen[at : at + _SEGMENT] for at in range(0, len(chosen), _SEGMENT)]
                segments = (_Segment([self.rules[p - 1] for p in part], part, version) for part in parts)
                self._same[key] = _Class(tuple(segments))
            self._classes[code] = self._same[key]
        return self._classes[code]

    def _covering(self, direction: Direction, version: int, number: int | None) -> Iterator[int]:
        """Places of the rules that packets of a class can reach."""
        for place, rule in enumerate(self.rules, 1):
            if rule.enabled and rule.direction is direction and _covers(rule, version, number):
                yield place
                if rule.source is None and rule.destination is None and rule.port_start is None:
                    return  # It takes every packet of the class: none reaches the rules behind it.

    def judge(self, batch: Batch) -> tuple[NDArray[np.bool_], Places]:
        """(accepted, place) of each row: whether it passes, and the deciding rule from 1, NO_RULE where none matched.

        Work memory is some 100 bytes a row: hand in blocks of 100 to 300 thousand rows.
        """
        kind = np.where(batch.version == 0, np.uint8(_OTHER), _CLASS_OF.take(batch.protocol))
        codes = ((batch.direction << 2) | (batch.version >> 1)) * np.uint8(_OTHER + 1) + kind
        places = np.full(len(batch), NO_RULE, np.int32)
        order, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
        for code, end in zip(np.flatnonzero(counts).tolist(), np.cumsum(counts)[counts > 0].tolist(), strict=True):
            rows = order[end - counts[code] : end]
            places[rows] = self._class(code).first(batch, rows)
        return self._accepts.take(places), places


def hits(rules: RuleList, places: Places) -> NDArray[np.int64]:
    """How many packets each rule decided: index = place, index NO_RULE = those that no rule matched."""
    return np.bincount(places, minlength=len(rules) + 1).astype(np.int64)
