"""Exact sets of traffic: rules as boxes on ranks, split into pieces small enough to paint.

A packet is a point: direction, family, protocol, destination port, destination, source. Direction, family and protocol
class are split off first (22 classes), which also keeps a rule of one family from leaking into the other. What is left
is a box of three axes per rule and class. Each axis is compressed to the values where some rule starts or ends, a piece
of the space is split in half while that makes less work, and the pieces are painted rule by rule: every cell then knows
the first rule that matches and the one behind it. Work is counted in units (never in seconds, so the same lists give
the same answer on every machine); a piece that would exceed the budget is left out and told, never guessed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.protocols import MAX_PORT, NAMES, PROTOCOLS, Direction, Protocol
from securitygroups.firewall.values import BITS, Packet, RuleList, protocol_number

Ranks = NDArray[np.int32]
Owners = NDArray[Any]
Box = tuple[int, int, int, int, int, int]
"""Destination port, destination address, source address; first and last of each, both included."""

NO_PORT = MAX_PORT + 1
"""Where a packet without a port lies on the port axis: behind the last port. A rule without ports reaches up to it."""

UNITS = 24_000_000
"""Work that one question may cost, in about one second. A unit is one cell, painted and looked at."""
GRID_CELLS = 8_000_000
"""The largest piece that is painted at once: about a hundred megabytes for a moment."""
_NODE_UNITS, _RULE_UNITS, _LEAF_UNITS, _SMALL_CELLS = 6_000, 50, 4_000, 4_096


class TrafficClass(NamedTuple):
    """Packets that differ in addresses and port only.

    `version` is 4, 6, or None for frames that are not IP. `protocol` is the rule protocol that asks for their number
    ("tcp", "icmp" …), or None for every number that none asks for, which rules cannot tell apart.
    """

    direction: Direction
    version: int | None
    protocol: str | None

    @property
    def has_ports(self) -> bool:
        """Whether packets of the class carry a destination port."""
        return self.protocol is not None and PROTOCOLS[self.protocol].has_ports

    @property
    def whole(self) -> Box:
        """The box of every packet of the class; the axes that it lacks have one point."""
        top = 0 if self.version is None else (1 << BITS[self.version]) - 1
        ports = (0, NO_PORT) if self.has_ports else (NO_PORT, NO_PORT)
        return (*ports, 0, top, 0, top)


KINDS: tuple[str | None, ...] = (*(name for name, p in PROTOCOLS.items() if p.numbers), None)
"""The protocols that rules tell apart, in the table's order; None for all others."""
CLASSES: tuple[TrafficClass, ...] = tuple(
    TrafficClass(direction, version, kind)
    for direction in Direction
    for version, kinds in ((4, KINDS), (6, KINDS), (None, (None,)))
    for kind in kinds
)
_WHOLE = {kind: kind.whole for kind in CLASSES}


def _fitting(direction: Direction, name: str, version: int | None, ports: bool) -> tuple[TrafficClass, ...]:
    """Classes that a rule can reach, by its protocol, the family of its networks and whether it sets ports."""
    return tuple(
        kind for kind in CLASSES if kind.direction is direction and _fits(kind, PROTOCOLS[name], version, ports)
    )


def _fits(kind: TrafficClass, protocol: Protocol, version: int | None, ports: bool) -> bool:
    if kind.version is None and (protocol.only_ip or version or ports):
        return False
    if ports and not kind.has_ports:
        return False
    return version in (None, kind.version) and (protocol.numbers is None or protocol.name == kind.protocol)


def class_of(direction: Direction, version: int | None, number: int | None) -> TrafficClass:
    """The class of packets of this IP protocol number."""
    kind = None if version is None or number is None else NAMES.get((version, number))
    return TrafficClass(direction, version, kind)


_FITTING = {
    (direction, name, version, ports): _fitting(direction, name, version, ports)
    for direction in Direction
    for name in PROTOCOLS
    for version in (None, 4, 6)
    for ports in (False, True)
}

Layer = list[tuple[int, Box]]
"""One list within one class: (place from 1, box) of its enabled rules, in order."""


def boxes(rules: RuleList, only: Direction | None = None) -> dict[TrafficClass, Layer]:
    """The enabled rules of a list (`only` those of a direction) as boxes, by class; classes that no rule reaches are
    absent."""
    # Not taken apart: it runs for every rule of every list that is looked at, and calls would show.
    found: dict[TrafficClass, Layer] = {}
    for place, rule in enumerate(rules, 1):
        if not rule.enabled or (only is not None and rule.direction is not only):
            continue
        source, destination, start = rule.source, rule.destination, rule.port_start
        version = source.version if source is not None else None
        if destination is not None:
            if version is not None and version != destination.version:
                continue
            version = destination.version
        end = start if rule.port_end is None else rule.port_end
        if start is not None and end is not None and start > end:
            continue
        for kind in _FITTING[rule.direction, rule.protocol, version, start is not None]:
            p0, p1, d0, d1, s0, s1 = _WHOLE[kind]
            if start is not None and end is not None:
                p0, p1 = start, end
            if destination is not None:
                d0, d1 = destination.first, destination.last
            if source is not None:
                s0, s1 = source.first, source.last
            found.setdefault(kind, []).append((place, (p0, p1, d0, d1, s0, s1)))
    return found


@dataclass(slots=True)
class Budget:
    """Work left, in units. `short` is set as soon as a piece had to be left out."""

    units: int = UNITS
    short: bool = False

    def take(self, units: int) -> bool:
        """Whether the work may be done; it is then accounted for."""
        if units > self.units:
            self.short = True
            return False
        self.units -= units
        return True


@dataclass(slots=True)
class Piece:
    """A box of one class whose cells can be painted.

    `cuts` are the values where cells start on the axes port, destination, source; each has one more value, the end.
    Each layer is (places, boxes): shapes (rules,) and (rules, 6), half-open in cells, in the list's order; it ends with
    the rule that takes all that is left. `left_out` marks a piece that is too fine to paint.
    """

    kind: TrafficClass
    cuts: tuple[list[int], list[int], list[int]]
    layers: list[tuple[Ranks, Ranks]]
    left_out: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Cells on each axis."""
        port, destination, source = (len(cuts) - 1 for cuts in self.cuts)
        return port, destination, source

    def sample(self, cell: Sequence[int]) -> Packet:
        """A packet in a cell, at addresses and a port that read well."""
        (p0, p1), (d0, d1), (s0, s1) = ((cuts[at], cuts[at + 1] - 1) for cuts, at in zip(self.cuts, cell, strict=True))
        return sample(self.kind, (p0, p1, d0, d1, s0, s1))


_OTHER = 47
"""GRE: of the protocols that rules do not tell apart, the one that most networks have seen."""
_NICE_PORTS = (443, 22, 80, 53, 8080, 3389, 5432)
_NICE_ADDRESSES = {4: (0xCB007109, 0x0A000005), 6: (0x20010DB8 << 96 | 9, 0x20010DB8 << 96 | 5)}
"""203.0.113.9 and 10.0.0.5; 2001:db8::9 and 2001:db8::5 (documentation and private use, RFC 5737, 3849, 1918)."""


def _nice(first: int, last: int, wanted: Iterable[int]) -> int:
    for value in wanted:
        if first <= value <= last:
            return value
    # The lowest address of a network is its name and hardly anybody's address.
    return first + 1 if last > first + 1 else first


def sample(kind: TrafficClass, box: Box) -> Packet:
    """A packet of the class inside the box."""
    if kind.version is None:
        return Packet(kind.direction)
    p0, p1, d0, d1, s0, s1 = box
    inside, outside = _NICE_ADDRESSES[kind.version][1], _NICE_ADDRESSES[kind.version][0]
    if kind.direction is Direction.OUT:
        inside, outside = outside, inside
    protocol = _OTHER if kind.protocol is None else protocol_number(kind.protocol, kind.version)
    port = _nice(p0, min(p1, MAX_PORT), _NICE_PORTS) if kind.has_ports and p0 <= MAX_PORT else None
    return Packet(kind.direction, kind.version, protocol, _nice(s0, s1, (outside,)), _nice(d0, d1, (inside,)), port)


class _Frame(NamedTuple):
    """What all nodes of a class share: the layers' boxes in ranks, how deep to look, how many layers make cuts."""

    boxes: list[Ranks]
    depth: int
    cutting: int


class _Node(NamedTuple):
    """A box of the space: its cuts on three axes in ranks of the class; per layer its rows, and their boxes in cells."""

    cuts: list[Ranks]
    rows: list[Ranks]
    boxes: list[Ranks]


def _node(frame: _Frame, rows: list[Ranks], low: list[int], high: list[int]) -> _Node:
    """The rows that overlap the box low-high, clipped to it; nothing behind the `depth`-th rule that covers it all."""
    kept: list[Ranks] = []
    starts: list[Ranks] = []
    ends: list[Ranks] = []
    for layer, chosen in enumerate(rows):
        box = frame.boxes[layer][chosen]
        start, end = np.maximum(box[:, 0::2], low), np.minimum(box[:, 1::2], high)
        inside: NDArray[np.bool_] = np.asarray((start < end).all(axis=1))
        if layer < frame.cutting:
            covers = np.flatnonzero(((start == low) & (end == high)).all(axis=1))
            if len(covers) >= frame.depth:
                # Behind so many rules that take all of the box, no rule is asked there any more.
                inside[covers[frame.depth - 1] + 1 :] = False
        kept.append(chosen[inside])
        starts.append(start[inside])
        ends.append(end[inside])
    cuts: list[Ranks] = []
    local = [np.empty((len(chosen), 6), np.int32) for chosen in kept]
    for axis in range(3):
        sides = [side[:, axis] for side in (*starts[: frame.cutting], *ends[: frame.cutting])]
        cut = np.unique(np.concatenate([np.array([low[axis], high[axis]], np.int32), *sides]).astype(np.int32))
        for box, start, end in zip(local, starts, ends, strict=True):
            # Where a follower starts or ends within a cell, the cell is its.
            box[:, 2 * axis] = np.searchsorted(cut, start[:, axis], "right") - 1
            box[:, 2 * axis + 1] = np.searchsorted(cut, end[:, axis])
        cuts.append(cut)
    return _Node(cuts, kept, local)


def _cells(node: _Node) -> int:
    port, destination, source = (len(cut) - 1 for cut in node.cuts)
    return port * destination * source


def areas(box: Ranks, shape: tuple[int, int, int]) -> tuple[int, bool]:
    """What painting costs beside the cells, and whether rules with the same addresses have to be settled first."""
    sides = (box[:, 1::2] - box[:, 0::2]).astype(np.int64)
    area = int(sides.prod(axis=1).sum())
    if area <= 8 * shape[0] * shape[1] * shape[2] + 1_000_000:
        return area // 16, False
    distinct = np.unique(box[:, 2:], axis=0)
    across = (distinct[:, 1::2] - distinct[:, 0::2]).astype(np.int64).prod(axis=1)
    return shape[0] * int(across.sum()) // 4, True


def _units(node: _Node, cutting: int) -> int:
    """What painting the node costs: its cells, its rules, and the areas that are painted over and over."""
    port, destination, source = (len(cut) - 1 for cut in node.cuts)
    overlaps = sum(areas(box, (port, destination, source))[0] for box in node.boxes[:cutting])
    return _LEAF_UNITS + _RULE_UNITS * sum(map(len, node.rows)) + port * destination * source + overlaps


def pieces(
    kind: TrafficClass,
    layers: Sequence[Layer],
    budget: Budget,
    *,
    clip: Box | None = None,
    depth: int = 1,
    changed: Sequence[frozenset[int]] | None = None,
    followers: Layer | None = None,
) -> Iterator[Piece]:
    """The space of one class, or its part `clip`, in disjoint pieces to paint.

    `depth` is 1 where only the first match counts, 2 where the rule behind it does too. `changed` holds for each layer
    the places whose rules matter: pieces that none of them touches are not given. `followers` come as one more layer of
    each piece: they cut nothing, their boxes there are all cells that they touch. Pieces that the budget does not cover
    come with `left_out` set and are not to be painted.
    """
    whole = _WHOLE[kind] if clip is None else clip
    held = [_clipped(layer, clip) for layer in (*layers, *([] if followers is None else [followers]))]
    values, ranked = _ranked(whole, held)
    places = [np.array([place for place, _ in layer], np.int32) for layer in held]
    marks = None if changed is None else _marked(places, changed)
    frame = _Frame(ranked, depth, len(layers))
    rows = [np.arange(len(layer), dtype=np.int32) for layer in held]
    top = _node(frame, rows, [0, 0, 0], [len(cuts) - 1 for cuts in values])
    for node, left_out in _split(frame, top, budget, marks):
        found = [(p[chosen], box) for p, chosen, box in zip(places, node.rows, node.boxes, strict=True)]
        yield Piece(kind, _values(node, values), found, left_out)


def _values(node: _Node, values: list[list[int]]) -> tuple[list[int], list[int], list[int]]:
    """The cuts of a node as values instead of ranks."""
    port, destination, source = ([values[axis][rank] for rank in node.cuts[axis].tolist()] for axis in range(3))
    return port, destination, source


def _marked(places: list[Ranks], changed: Sequence[frozenset[int]]) -> list[NDArray[np.bool_]]:
    """For each layer which of its places are among the changed ones."""
    return [np.isin(p, np.fromiter(c, np.int32, len(c))) for p, c in zip(places, changed, strict=True)]


def _ranked(whole: Box, layers: Sequence[Layer]) -> tuple[list[list[int]], list[Ranks]]:
    """For each axis the sorted values where some box starts or ends; for each layer its boxes in ranks among these."""
    values: list[list[int]] = []
    ranked = [np.empty((len(layer), 6), np.int32) for layer in layers]
    for axis in (0, 2, 4):
        # Ends become half-open here: what starts behind a box starts at the same value.
        sides = [([box[axis] for _, box in layer], [box[axis + 1] + 1 for _, box in layer]) for layer in layers]
        cuts = sorted({whole[axis], whole[axis + 1] + 1}.union(*chain.from_iterable(sides)))
        rank = dict(zip(cuts, range(len(cuts)), strict=True)).__getitem__
        values.append(cuts)
        for boxes_in_ranks, (starts, ends) in zip(ranked, sides, strict=True):
            boxes_in_ranks[:, axis] = list(map(rank, starts))
            boxes_in_ranks[:, axis + 1] = list(map(rank, ends))
    return values, ranked


def _clipped(layer: Layer, clip: Box | None) -> Layer:
    """The boxes that reach into `clip`, cut to it."""
    if clip is None:
        return layer
    p0, p1, d0, d1, s0, s1 = clip
    return [
        (place, (max(a, p0), min(b, p1), max(c, d0), min(d, d1), max(e, s0), min(f, s1)))
        for place, (a, b, c, d, e, f) in layer
        if a <= p1 and b >= p0 and c <= d1 and d >= d0 and e <= s1 and f >= s0
    ]


def _split(
    frame: _Frame, top: _Node, budget: Budget, marks: list[NDArray[np.bool_]] | None
) -> Iterator[tuple[_Node, bool]]:
    """Halve nodes depth-first while two halves cost less than the whole or the whole is too large to paint."""
    stack = [top]
    while stack:
        node = stack.pop()
        if marks is not None and not any(m[chosen].any() for m, chosen in zip(marks, node.rows, strict=True)):
            continue
        units = _units(node, frame.cutting)
        halves = _worth_halving(frame, node, budget, units)
        if halves:
            stack += reversed(halves)
            continue
        painted = _cells(node) <= GRID_CELLS and budget.take(units)
        if not painted:
            budget.short = True
        yield node, not painted


def _worth_halving(frame: _Frame, node: _Node, budget: Budget, units: int) -> list[_Node]:
    """The halves of a node where they cost less than its own `units` or it is too large to paint; else none."""
    cells = _cells(node)
    looking = _NODE_UNITS + 10 * sum(map(len, node.rows))
    # Looking costs too: not for what is small, and not beyond the budget.
    if cells <= _SMALL_CELLS or not budget.take(looking):
        return []
    longest = max(range(3), key=lambda axis: len(node.cuts[axis]))
    halves = _halves(frame, node, longest)
    split_units = sum(_units(half, frame.cutting) for half in halves) + looking
    return halves if cells > GRID_CELLS or split_units < units else []


def _halves(frame: _Frame, node: _Node, axis: int) -> list[_Node]:
    low, high = [int(cut[0]) for cut in node.cuts], [int(cut[-1]) for cut in node.cuts]
    middle = int(node.cuts[axis][len(node.cuts[axis]) // 2])
    upper, lower = high.copy(), low.copy()
    upper[axis] = lower[axis] = middle
    return [_node(frame, node.rows, low, upper), _node(frame, node.rows, lower, high)]
