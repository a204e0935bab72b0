"""What a new list newly allows and newly denies, exactly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from securitygroups.firewall.analysis.painting import paint
from securitygroups.firewall.analysis.products import Chosen, Product, fold, hull, merge, product
from securitygroups.firewall.analysis.traffic import (
    CLASSES,
    Box,
    Budget,
    Layer,
    Owners,
    Piece,
    Ranks,
    TrafficClass,
    boxes,
    pieces,
)
from securitygroups.firewall.orders import kept_in_order
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import Packet, Rule, RuleList

MAX_CHANGES = 500
"""Products that are listed on either side; what lies beyond is counted as omitted."""
_MAX_FOUND = 2000
"""Products that are looked for on either side before they are folded over classes and pieces."""
_REMEMBERED = 100_000
"""Rules of compared classes that are held on to while many lists are compared: some 20 MB."""
_BATCH = 256
"""Rules that are compared with the changed ones at once."""
_Keyed = list[tuple[int, Any]]
"""Places of rules, and what of each decides packets."""


@dataclass(frozen=True, slots=True)
class Change:
    """Traffic whose verdict differs between two lists.

    `before` and `after` are the places (from 1, in the old and the new list) of the rules that decide its packets, in
    order, None where no rule matches and the packet is denied by default. `sample` is one of its packets.
    """

    product: Product
    before: tuple[int | None, ...]
    after: tuple[int | None, ...]
    sample: Packet


@dataclass(frozen=True, slots=True)
class Difference:
    """Two lists compared in terms of traffic.

    `decides_same` is proven: every packet gets the same verdict. `unknown` are parts of the traffic that were too fine
    to compare, `omitted_allowed` and `omitted_denied` how many more products there are at least than those listed;
    where any of them is set (`too_fine`), what is listed is true and not all.
    """

    newly_allowed: tuple[Change, ...]
    newly_denied: tuple[Change, ...]
    decides_same: bool
    unknown: tuple[Product, ...] = ()
    omitted_allowed: int = 0
    omitted_denied: int = 0

    @property
    def too_fine(self) -> bool:
        """Whether there is, or may be, more than what is listed."""
        return bool(self.unknown or self.omitted_allowed or self.omitted_denied)


def difference(old_rules: RuleList, new_rules: RuleList) -> Difference:
    """What changes when `new_rules` take the place of `old_rules`: exact, both families, in bounded work.

    Only where a rule that was added, removed, edited or moved can match is anything compared, and only rules that can
    match there are looked at.
    """
    return difference_of_parts([old_rules], [new_rules], Shared())


def difference_of_parts(old: Sequence[RuleList], new: Sequence[RuleList], shared: "Shared") -> Difference:
    """The same of lists that are made of others, one after the other, as many in both; one that is the same object in
    both has not changed. `shared` is for comparisons of many lists that change alike.
    """
    pairs = list(zip(old, new, strict=True))
    if not any(any(shared.changed(*pair)) for pair in pairs):
        return Difference((), (), True)
    budget = Budget()
    found = _Found()
    for kind in CLASSES:
        meeting = shared.meeting(kind, pairs)
        if meeting is not None:
            around = [shared.around(kind, pairs, side, meeting) for side in (0, 1)]
            found.add(_compared(kind, around, found, budget, shared))
    return found.result()


_Row = tuple[Box, bool, bool]
"""A rule of one class: its box, whether it accepts, whether it is among the changed."""


class _Around(NamedTuple):
    """The rules of one list and class that share packets with changed ones, and their places."""

    rows: tuple[_Row, ...]
    places: tuple[int, ...]


class _Meeting:
    """Which boxes share packets with some of these; now and then one that shares none is said to."""

    def __init__(self, touched: Iterable[Box]) -> None:
        # Rounding keeps the order, so what meets exactly meets here too.
        self.touched = np.array(sorted(set(touched)), float)
        self.known: dict[Box, bool] = {}

    def learn(self, asked: Iterable[Box]) -> dict[Box, bool]:
        """What is known of these boxes, and others."""
        new = [box for box in dict.fromkeys(asked) if box not in self.known]
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            these, those = np.array(batch, float)[:, None, :], self.touched[None, :, :]
            met = np.logical_and.reduce(
                (these[..., 0::2] <= those[..., 1::2]) & (those[..., 0::2] <= these[..., 1::2]), axis=2
            )
            self.known.update(zip(batch, np.logical_or.reduce(met, axis=1).tolist(), strict=True))
        return self.known


_Pair = tuple[RuleList, RuleList]


class Shared:
    """What comparisons have in common whose lists change alike, as those of all VMs do that have the changed group:
    where the other rules leave the same of one class of traffic, its comparison is the same.

    Lists are known by identity, and held, so that nothing else can have it.
    """

    def __init__(self) -> None:
        self.held: dict[int, RuleList] = {}
        self.layers: dict[int, dict[TrafficClass, Layer]] = {}
        self.changes: dict[tuple[int, int], tuple[frozenset[int], frozenset[int]]] = {}
        self.meetings: dict[tuple[TrafficClass, tuple[tuple[int, int], ...]], _Meeting | None] = {}
        self.parts: dict[tuple[TrafficClass, int, int, int], _Around] = {}
        self.found: dict[tuple[TrafficClass, tuple[_Row, ...], tuple[_Row, ...]], _Search] = {}
        self.room = _REMEMBERED

    def remember(self, key: tuple[TrafficClass, tuple[_Row, ...], tuple[_Row, ...]], search: "_Search") -> None:
        """Keep what was found, as long as there is room."""
        self.room -= 1 + len(key[1]) + len(key[2])
        if self.room > 0:
            self.found[key] = search

    def changed(self, old: RuleList, new: RuleList) -> tuple[frozenset[int], frozenset[int]]:
        """The changed places of two lists."""
        if old is new:
            return frozenset(), frozenset()
        key = id(old), id(new)
        if key not in self.changes:
            self.held |= {id(old): old, id(new): new}
            self.changes[key] = changed_places(old, new)
        return self.changes[key]

    def layer(self, kind: TrafficClass, rules: RuleList) -> Layer:
        """The list's boxes of a class."""
        if id(rules) not in self.layers:
            self.held[id(rules)] = rules
            self.layers[id(rules)] = boxes(rules)
        return self.layers[id(rules)].get(kind, [])

    def meeting(self, kind: TrafficClass, pairs: Sequence[_Pair]) -> "_Meeting | None":
        """What shares packets with changed rules; None where no changed rule is of this class."""
        differing = [pair for pair in pairs if pair[0] is not pair[1]]
        key = kind, tuple((id(old), id(new)) for old, new in differing)
        if key not in self.meetings:
            touched = [
                box
                for pair in differing
                for rules, changed in zip(pair, self.changed(*pair), strict=True)
                for place, box in self.layer(kind, rules)
                if place in changed
            ]
            self.meetings[key] = _Meeting(touched) if touched else None
        return self.meetings[key]

    def around(self, kind: TrafficClass, pairs: Sequence[_Pair], side: int, meeting: "_Meeting") -> "_Around":
        """The rules of one side that share packets with changed ones, and those themselves."""
        rows: list[_Row] = []
        places: list[int] = []
        start = 0
        for pair in pairs:
            key = kind, id(pair[side]), id(pair[1 - side]), id(meeting)
            if key not in self.parts:
                self.parts[key] = self._part(kind, pair, side, meeting)
            its = self.parts[key]
            rows += its.rows
            places += [start + place for place in its.places]
            start += len(pair[side])
        return _Around(tuple(rows), tuple(places))

    def _part(self, kind: TrafficClass, pair: _Pair, side: int, meeting: "_Meeting") -> "_Around":
        rules, changed = pair[side], self.changed(*pair)[side]
        layer = self.layer(kind, rules)
        met = meeting.learn(box for place, box in layer if place not in changed)
        kept = [(place, box) for place, box in layer if place in changed or met[box]]
        rows = tuple((box, rules[place - 1].action is Action.ACCEPT, place in changed) for place, box in kept)
        return _Around(rows, tuple(place for place, _ in kept))


def _compared(
    kind: TrafficClass, around: list[_Around], so_far: "_Found", budget: Budget, shared: Shared
) -> tuple["_Search", list[_Around]]:
    """What differs in one class. The rules are numbered by their place among those that are looked at."""
    key = (kind, around[0].rows, around[1].rows)
    if key not in shared.found:
        layers = [[(at, row[0]) for at, row in enumerate(one.rows, 1)] for one in around]
        changed = [frozenset(at for at, row in enumerate(one.rows, 1) if row[2]) for one in around]
        verdicts = [np.array([False, *(row[1] for row in one.rows)]) for one in around]
        search = _Search(verdicts, [max(_MAX_FOUND - len(side), 0) for side in so_far.sides])
        for piece in pieces(kind, layers, budget, clip=_hull(layers, changed), changed=changed):
            search.look(piece)
        # What work or room did not suffice for is not for others.
        if search.whole:
            shared.remember(key, search)
        return search, around
    return shared.found[key], around


def changed_places(old: RuleList, new: RuleList) -> tuple[frozenset[int], frozenset[int]]:
    """Places of the enabled rules that the lists do not have in common in the same order: in the old, in the new list.

    A packet that none of them matches meets the same rules in the same order in both lists. Descriptions do not count.
    """
    ours, theirs = _without_common_ends(_keys(old), _keys(new))
    kept_old, kept_new = _kept(ours, theirs)
    return (
        frozenset(place for at, (place, _) in enumerate(ours) if at not in kept_old),
        frozenset(place for at, (place, _) in enumerate(theirs) if at not in kept_new),
    )


def _kept(ours: _Keyed, theirs: _Keyed) -> tuple[set[int], set[int]]:
    """Indexes of rules that both have in the same order. Of equal rules the first are taken for each other."""
    where: dict[Any, list[int]] = {}
    for at in range(len(theirs) - 1, -1, -1):
        where.setdefault(theirs[at][1], []).append(at)
    pairs = [(at, where[key].pop()) for at, (_, key) in enumerate(ours) if where.get(key)]
    kept = [pairs[at] for at in kept_in_order([b for _, b in pairs])]
    return {a for a, _ in kept}, {b for _, b in kept}


def _without_common_ends(ours: _Keyed, theirs: _Keyed) -> tuple[_Keyed, _Keyed]:
    """The lists from the first to the last rule in which they differ: an edit of a long list leaves little of it."""
    start, end = 0, 0
    shorter = min(len(ours), len(theirs))
    while start < shorter and ours[start][1] == theirs[start][1]:
        start += 1
    while end < shorter - start and ours[-1 - end][1] == theirs[-1 - end][1]:
        end += 1
    return ours[start : len(ours) - end], theirs[start : len(theirs) - end]


def _keys(rules: RuleList) -> _Keyed:
    return [(place, _key(rule)) for place, rule in enumerate(rules, 1) if rule.enabled]


def _key(r: Rule) -> tuple[Any, ...]:
    return (r.action, r.direction, r.protocol, r.source, r.destination, r.port_start, r.port_end)


def _hull(layers: Sequence[Layer], changed: Sequence[frozenset[int]]) -> Box:
    """The smallest box around the changed rules of one class."""
    touched = [box for layer, places in zip(layers, changed, strict=True) for place, box in layer if place in places]
    p0, p1, d0, d1, s0, s1 = zip(*touched, strict=True)
    return min(p0), max(p1), min(d0), max(d1), min(s0), max(s1)


def _inside(cells: Chosen) -> Any:
    """The index of these cells, which mostly differ on one axis alone."""
    if sum(len(chosen) > 1 for chosen in cells) > 1:
        return np.ix_(*cells)
    return tuple(chosen if len(chosen) > 1 else chosen[0] for chosen in cells)


def _deciders(owners: Owners, places: Ranks) -> tuple[int | None, ...]:
    """Places of the rules that own any of these cells, None last for cells that no rule owns."""
    seen = np.zeros(len(places) + 1, np.bool_)
    seen[owners.ravel()] = True
    found: list[int | None] = places[seen[1:]].tolist()
    return (*found, None) if seen[0] else tuple(found)


def _joined(one: Change, other: Change) -> Change:
    return replace(one, before=_places(one.before, other.before), after=_places(one.after, other.after))


def _places(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> tuple[int | None, ...]:
    both = {*one, *other}
    return (*sorted(place for place in both if place is not None), *([None] if None in both else []))


class _Search:
    """Collects what the pieces of one class say; there is `room` for so many products on either side."""

    def __init__(self, verdicts: list[Owners], room: list[int]) -> None:
        self.verdicts, self.room = verdicts, room
        self.found: tuple[list[tuple[Product, Change]], list[tuple[Product, Change]]] = ([], [])
        self.omitted = [0, 0]
        self.unknown: list[tuple[Product, None]] = []

    @property
    def whole(self) -> bool:
        return not (self.unknown or any(self.omitted))

    def look(self, piece: Piece) -> None:
        """Compare the two layers of a piece."""
        if piece.left_out:
            self.unknown.append((hull(piece), None))
            return
        owners = [paint(piece, layer).first for layer in (0, 1)]
        # The verdict of no rule stands before those of the piece's rules, as owner 0 stands for none.
        was, now = (
            verdicts[np.concatenate([[0], places])][owner]
            for verdicts, (places, _), owner in zip(self.verdicts, piece.layers, owners, strict=True)
        )
        # What both lists decide alike is not looked at further, whoever decides it.
        for side, mask in enumerate((now & ~was, was & ~now)):
            if not mask.any():
                continue
            groups, total = fold(mask, max(self.room[side] - len(self.found[side]), 0))
            self.omitted[side] += total - len(groups)
            for cells in groups:
                inside = _inside(cells)
                before, after = (
                    _deciders(owner[inside], places) for owner, (places, _) in zip(owners, piece.layers, strict=True)
                )
                p = product(piece, cells)
                sample = piece.sample([chosen[0] for chosen in cells])
                self.found[side].append((p, Change(p, before, after, sample)))


class _Found:
    """What the classes say together."""

    def __init__(self) -> None:
        self.sides: tuple[list[tuple[Product, Change]], list[tuple[Product, Change]]] = ([], [])
        self.omitted = [0, 0]
        self.unknown: list[tuple[Product, None]] = []

    def add(self, one: tuple[_Search, list[_Around]]) -> None:
        """What was found in a class, with the places that the rules have in the lists."""
        search, around = one
        old, new = (around[0].places, around[1].places)
        for side, found in zip(self.sides, search.found, strict=True):
            for p, change in found:
                before, after = _named(change.before, old), _named(change.after, new)
                side.append((p, Change(p, before, after, change.sample)))
        self.omitted = [a + b for a, b in zip(self.omitted, search.omitted, strict=True)]
        self.unknown += search.unknown

    def result(self) -> Difference:
        """What was found, folded."""
        sides = [
            [change if change.product is p else replace(change, product=p) for p, change in merge(side, _joined)]
            for side in self.sides
        ]
        # Products that are found and not listed are counted too: what is listed must not look like all.
        omitted = [more + max(len(side) - MAX_CHANGES, 0) for side, more in zip(sides, self.omitted, strict=True)]
        newly_allowed, newly_denied = (tuple(side[:MAX_CHANGES]) for side in sides)
        unknown = tuple(p for p, _ in merge(self.unknown, lambda one, _: one))
        same = not (newly_allowed or newly_denied or unknown or any(omitted))
        return Difference(newly_allowed, newly_denied, same, unknown, *omitted)


def _named(numbers: tuple[int | None, ...], places: tuple[int, ...]) -> tuple[int | None, ...]:
    return tuple(None if number is None else places[number - 1] for number in numbers)
