"""What the internet reaches: the ports that a large part of all public addresses gets in by, machine by machine.

Most rules are for few sources, so most ports need no look: where all rules that accept there have fewer public addresses
together than are asked for, nothing can be found. Only the ports of the wide ones are painted, and only with the rules
that can match there. What a group's list contributes is prepared once, however many sequences it is a part of.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.analysis.products import AddressRange, Product, Span, merge, of_ranges
from securitygroups.firewall.analysis.public import all_public, public_below, share
from securitygroups.firewall.analysis.reach import Endpoint
from securitygroups.firewall.analysis.traffic import CLASSES, Budget, TrafficClass, boxes, sample
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import BITS, Packet, RuleList

LARGE = 1 / 8
"""The share of a family's public addresses from which on sources count as a large part of the world."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """Inbound traffic that the same machines accept from the internet, or a large part of it.

    `shares` tells for each family of the product which part of its public addresses gets in, 0 to 1; 1 is everyone.
    `rules` are the places of the accepting rules in the sequence. The product's destinations are whole families and
    mean nothing: the machines are the destination. `sample` goes to the first of them.
    """

    sequence: int
    machines: tuple[int | str, ...]
    product: Product
    shares: tuple[tuple[int, float], ...]
    rules: tuple[int, ...]
    sample: Packet


@dataclass(frozen=True, slots=True)
class Exposures:
    """What the internet reaches in a project. `too_fine` are keys of machines of which not all could be looked at,
    `unseen` those that time did not suffice for.
    """

    exposed: tuple[Exposed, ...]
    too_fine: tuple[int | str, ...] = ()
    unseen: tuple[int | str, ...] = ()


Lists = Sequence[RuleList]
"""The lists that an effective list is made of, one after the other."""


def internet_exposure(
    sequences: Sequence[Lists],
    machines: Sequence[Endpoint],
    least: float = LARGE,
    late: Callable[[], bool] = lambda: False,
) -> Exposures:
    """What all of the internet, or at least the part `least` of it, reaches on which machines, and through which rules.

    Machines of one sequence that no destination of its rules tells apart are looked at once. Once `late` says so, no
    further ones are begun. A list that is part of several sequences is prepared once, if it is the same object.
    """
    found: list[Exposed] = []
    too_fine: list[int | str] = []
    unseen: list[int | str] = []
    asked = _Asked(least)
    for sequence, its in _by_sequence(machines):
        if late():
            unseen += [machine.key for machine in its]
            continue
        search = _Search(sequences[sequence], asked)
        # A rule with a destination may tell VMs with the same list apart, by their addresses.
        for alike in search.alike(its):
            keys = tuple(machine.key for machine in alike)
            if late():
                unseen += keys
                continue
            one = search.exposed(alike[0])
            if one is None:
                too_fine += keys
            else:
                found += [Exposed(sequence, keys, product, *label) for product, label in one]
    return Exposures(tuple(found), tuple(too_fine), tuple(unseen))


def _by_sequence(machines: Sequence[Endpoint]) -> list[tuple[int, list[Endpoint]]]:
    """The machines of each sequence."""
    members: dict[int, list[Endpoint]] = {}
    for machine in machines:
        members.setdefault(machine.sequence, []).append(machine)
    return sorted(members.items())


_CLASSES = tuple(
    (kind, kind.version) for kind in CLASSES if kind.direction is Direction.IN and kind.version is not None
)
_Row = tuple[int, int, int, int, int, int, int, bool]
"""Ports, destination and sources of a rule, first and last; its place, and whether it accepts."""
_NARROW = 64
"""A rule for less than this part of what is asked for counts as narrow before it is known what it stands beside."""


class _Lines(NamedTuple):
    """What a list has of one class: its rows in order; which of those that accept are `wide`, as public addresses and
    ports, and how many the others have together; whether some row has a destination."""

    rows: list[_Row]
    wide: list[tuple[int, int, int]]
    narrow: int
    aimed: bool


class _Part:
    """One list of a sequence, prepared."""

    def __init__(self, rules: RuleList, least: float) -> None:
        self.size = len(rules)
        layers = boxes(rules, Direction.IN)
        self.lines: dict[TrafficClass, _Lines] = {}
        for kind, version in _CLASSES:
            if kind in layers:
                rows = [(*box, place, rules[place - 1].action is Action.ACCEPT) for place, box in layers[kind]]
                self.lines[kind] = _lines(version, rows, least)
        self.edges = {version: self._edges(version) for version in BITS}

    def _edges(self, version: int) -> set[int]:
        """Where destinations start, and what comes behind them."""
        aimed = (lines.rows for kind, lines in self.lines.items() if kind.version == version and lines.aimed)
        return {edge for rows in aimed for row in rows for edge in (row[2], row[3] + 1)}


def _lines(version: int, rows: list[_Row], least: float) -> _Lines:
    whole = (1 << BITS[version]) - 1
    bound = least * all_public(version) / _NARROW
    wide: list[tuple[int, int, int]] = []
    narrow = 0
    for p0, p1, _, _, s0, s1, _, accepts in rows:
        if accepts:
            size = s1 - s0 + 1
            public = size if size < bound else public_below(version, s1 + 1) - public_below(version, s0)
            if public < bound:
                narrow += public
            else:
                wide.append((public, p0, p1))
    return _Lines(rows, wide, narrow, any(row[2] > 0 or row[3] < whole for row in rows))


_Ranges = tuple[AddressRange, ...]
_Open = tuple[TrafficClass, list[Span], _Ranges, float, tuple[int, ...]]
"""Ports of a class that the same sources get in by, those, their share, and the places of the accepting rules."""
_Found = tuple[int, int, tuple[Span, ...], set[int]]
"""First and last port, who gets in there, and the places of the rules that let them."""
_Label = tuple[tuple[tuple[int, float], ...], tuple[int, ...], Packet]
"""The shares, rules and sample of what is exposed."""
_EVERYWHERE = {version: (AddressRange(version, 0, (1 << bits) - 1),) for version, bits in BITS.items()}


class _Asked:
    """What is asked of all sequences, and what many of them have in common."""

    def __init__(self, least: float) -> None:
        self.least = least
        # By identity: to compare lists of a thousand rules would take longer than to prepare them.
        self._parts: dict[int, _Part] = {}
        self._ranges: dict[tuple[int, tuple[Span, ...]], tuple[_Ranges, float]] = {}

    def part(self, rules: RuleList) -> _Part:
        """The list, prepared. It is held by the caller, so nothing else can have its identity."""
        if id(rules) not in self._parts:
            self._parts[id(rules)] = _Part(rules, self.least)
        return self._parts[id(rules)]

    def ranges(self, version: int, spans: tuple[Span, ...]) -> tuple[_Ranges, float]:
        """Sources of a family as ranges, and their share."""
        known = self._ranges.get((version, spans))
        if known is None:
            ranges = tuple(AddressRange(version, *span) for span in spans)
            known = self._ranges[version, spans] = ranges, share(ranges, version)
        return known


class _Search:
    """What one sequence lets in."""

    def __init__(self, lists: Lists, asked: _Asked) -> None:
        self.asked = asked
        self.parts = parts = [asked.part(rules) for rules in lists]
        self.starts = [0, *accumulate(part.size for part in parts)]
        self.edges = {version: sorted(set().union(*(part.edges[version] for part in parts))) for version in BITS}
        # What is found for an address of one family holds whatever the other one's is.
        self.known: dict[tuple[int, int], list[_Open] | None] = {}
        self.budget = Budget()

    def _where(self, machine: Endpoint, version: int) -> int | None:
        address = machine.address(version)
        return None if address is None else bisect_right(self.edges[version], address)

    def alike(self, machines: Sequence[Endpoint]) -> list[list[Endpoint]]:
        """The machines in groups whose addresses lie in the same destinations of all rules."""
        groups: dict[tuple[int | None, int | None], list[Endpoint]] = {}
        for machine in machines:
            groups.setdefault((self._where(machine, 4), self._where(machine, 6)), []).append(machine)
        return list(groups.values())

    def exposed(self, machine: Endpoint) -> list[tuple[Product, _Label]] | None:
        """What one machine accepts from so much of the internet; None where its rules are too fine."""
        items: list[tuple[Product, _Label]] = []
        for version in BITS:
            address, where = machine.address(version), self._where(machine, version)
            if address is None or where is None:
                continue
            if (version, where) not in self.known:
                self.known[version, where] = self._open(version, address)
            found = self.known[version, where]
            if found is None:
                return None
            items += [_item(one, version, address) for one in found]
        return merge(items, _joined)

    def _open(self, version: int, address: int) -> list[_Open] | None:
        """What gets in to an address; None where that would take too long to tell."""
        self.budget = Budget()
        found: list[_Open] = []
        for kind, its in _CLASSES:
            if its == version and (wide := self._wide(kind, version)):
                ports: dict[tuple[Span, ...], tuple[list[Span], set[int]]] = {}
                for first, last in wide:
                    for low, high, sources, places in _painted(
                        self._rows(kind, address, first, last), version, (first, last), self.asked.least, self.budget
                    ):
                        spans, held = ports.setdefault(sources, ([], set()))
                        _append(spans, low, high)
                        held |= places
                if self.budget.short:
                    return None
                for sources, (spans, held) in ports.items():
                    ranges, part = self.asked.ranges(version, sources)
                    if part >= self.asked.least:
                        found.append((kind, spans, ranges, part, tuple(sorted(held))))
        return found

    def _wide(self, kind: TrafficClass, version: int) -> list[Span]:
        """The ports where so many public addresses may get in, were every rule that accepts there the first."""
        lines = [part.lines[kind] for part in self.parts if kind in part.lines]
        wide = sorted(one for some in lines for one in some.wide)
        # A little less than what is asked for: shares are rounded.
        left = self.asked.least * all_public(version) * (1 - 1e-9) - sum(some.narrow for some in lines)
        if left <= 0:
            return [(kind.whole[0], kind.whole[1])] if lines else []
        start = 0
        while start < len(wide) and wide[start][0] < left:
            left -= wide[start][0]
            start += 1
        return _union((p0, p1) for _, p0, p1 in wide[start:])

    def _rows(self, kind: TrafficClass, address: int, first: int, last: int) -> list[_Row]:
        """The rows that may match there, in order; none behind one that takes everything."""
        top = kind.whole[5]
        rows: list[_Row] = []
        for start, part in zip(self.starts, self.parts, strict=False):
            for p0, p1, d0, d1, s0, s1, place, accepts in part.lines[kind].rows if kind in part.lines else ():
                if p0 <= last and p1 >= first and d0 <= address <= d1:
                    rows.append((p0, p1, d0, d1, s0, s1, start + place, accepts))
                    if p0 <= first and p1 >= last and s0 == 0 and s1 == top:
                        return rows
        return rows


def _item(one: _Open, version: int, address: int) -> tuple[Product, _Label]:
    kind, ports, sources, part, places = one
    product = of_ranges(kind, ports, _EVERYWHERE[version], sources)
    first = sources[0]
    return product, (((version, part),), places, sample(kind, (*ports[0], address, address, first.first, first.last)))


def _joined(one: _Label, other: _Label) -> _Label:
    shares = dict(one[0])
    for version, part in other[0]:
        shares[version] = min(shares.get(version, part), part)
    return tuple(sorted(shares.items())), tuple(sorted({*one[1], *other[1]})), one[2]


def _append(spans: list[Span], first: int, last: int) -> None:
    """Add a range behind others, to its neighbour where it has one."""
    if spans and spans[-1][1] + 1 >= first:
        spans[-1] = (spans[-1][0], max(spans[-1][1], last))
    else:
        spans.append((first, last))


def _union(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        _append(found, first, last)
    return found


_CELLS = 4_096
"""So many cells are painted at once; a larger part is halved first, for most rules match on all of its ports or on few."""
_NODE, _ROW, _RANGE = 400, 10, 20
"""What a part costs, a rule that is looked at in it, and a range of sources that is told of it, in cells."""


def _painted(rows: list[_Row], version: int, ports: Span, least: float, budget: Budget) -> Iterator[_Found]:
    """Who gets in by which of the ports, where that may be as much of the internet as is asked for; in order."""
    top = 1 << BITS[version]
    if len(rows) == 1 and rows[0][0] <= ports[0] and rows[0][1] >= ports[1] and rows[0][5] - rows[0][4] + 1 == top:
        if rows[0][7]:
            yield (*ports, ((0, top - 1),), {rows[0][6]})
        return
    sheet = _Sheet(rows, version, least)
    nobody = np.full(sheet.width, len(rows), np.int32)
    stack = [(*ports, list(range(len(rows))), nobody)]
    while stack:
        first, last, near, base = stack.pop()
        everywhere, somewhere = sheet.split(near, first, last)
        if everywhere:
            base = np.minimum(base, sheet.line(everywhere))
        cuts = sheet.cuts(somewhere, first, last)
        cells = (len(cuts) - 1) * sheet.width
        small = len(cuts) == 2 or cells <= _CELLS
        if not budget.take(_NODE + _ROW * len(near) + (cells if small else sheet.width)):
            return
        if small:
            yield from sheet.found(cuts, sheet.grid(somewhere, cuts, base), budget)
        else:
            middle = cuts[len(cuts) // 2]
            stack += [(middle, last, somewhere, base), (first, middle - 1, somewhere, base)]


class _Sheet:
    """Rows of one class along the sources that they tell apart; an owner is the index of a row, and one more for none."""

    def __init__(self, rows: list[_Row], version: int, least: float) -> None:
        top = 1 << BITS[version]
        self.rows = rows
        self.sources = sorted({0, top}.union(*((row[4], row[5] + 1) for row in rows)))
        self.width = len(self.sources) - 1
        rank = dict(zip(self.sources, range(len(self.sources)), strict=True))
        self.sides = [(rank[row[4]], rank[row[5] + 1]) for row in rows]
        below = [float(public_below(version, address)) for address in self.sources]
        self.public = np.diff(np.array(below))
        self.bound = least * below[-1] * (1 - 1e-9)
        self.accepts = np.array([*(row[7] for row in rows), False])
        self.known: dict[bytes, tuple[Span, ...]] = {}

    def split(self, near: Iterable[int], first: int, last: int) -> tuple[list[int], list[int]]:
        """The rows that match on all of the ports, and those that do on some."""
        everywhere: list[int] = []
        somewhere: list[int] = []
        for at in near:
            row = self.rows[at]
            if row[0] <= first and row[1] >= last:
                everywhere.append(at)
                if self.sides[at] == (0, self.width):
                    break  # nothing is left for those behind
            elif row[0] <= last and row[1] >= first:
                somewhere.append(at)
        return everywhere, somewhere

    def line(self, rows: list[int]) -> NDArray[np.int32]:
        """The owner of each source, were these rows for every port."""
        owners = np.full(self.width, len(self.rows), np.int32)
        for at in reversed(rows):
            start, end = self.sides[at]
            owners[start:end] = at
        return owners

    def cuts(self, rows: list[int], first: int, last: int) -> list[int]:
        """The ports where some row starts or has ended, from the first to what comes behind the last."""
        edges = {edge for at in rows for edge in (self.rows[at][0], self.rows[at][1] + 1) if first < edge <= last}
        return sorted({first, last + 1, *edges})

    def grid(self, rows: list[int], cuts: list[int], base: NDArray[np.int32]) -> NDArray[np.int32]:
        """The owners by port and source."""
        if not rows:
            return base[None, :]
        owners = np.full((len(cuts) - 1, self.width), len(self.rows), np.int32)
        rank = dict(zip(cuts, range(len(cuts)), strict=True))
        for at in reversed(rows):
            row, (start, end) = self.rows[at], self.sides[at]
            owners[rank.get(row[0], 0) : rank.get(row[1] + 1, len(cuts) - 1), start:end] = at
        return np.minimum(owners, base)

    def found(self, cuts: list[int], owners: NDArray[np.int32], budget: Budget) -> Iterator[_Found]:
        """What of a grid may be enough, as far as the budget goes."""
        accepted = self.accepts[owners]
        # Numbers of one kind are multiplied a hundred times as fast.
        for line in np.flatnonzero(accepted.astype(float) @ self.public >= self.bound).tolist():
            held = accepted[line]
            key = held.tobytes()
            if not budget.take(self.width // 4 + (0 if key in self.known else _RANGE * int(np.count_nonzero(held)))):
                return
            if key not in self.known:
                self.known[key] = self._ranges(held)
            if self.known[key]:
                places = {self.rows[at][6] for at in np.unique(owners[line][held]).tolist()}
                yield cuts[line], cuts[line + 1] - 1, self.known[key], places

    def _ranges(self, held: NDArray[np.bool_]) -> tuple[Span, ...]:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], held, [False]]))).tolist()
        return tuple((self.sources[a], self.sources[b] - 1) for a, b in pairwise(edges))[::2]
