"""What a new list newly allows and newly denies, exactly."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from securitygroups.firewall.analysis.painting import paint
from securitygroups.firewall.analysis.products import Product, fold, hull, merge, product
from securitygroups.firewall.analysis.traffic import CLASSES, Box, Budget, Layer, Owners, Piece, Ranks, boxes, pieces
from securitygroups.firewall.orders import kept_in_order
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import Packet, Rule, RuleList

MAX_CHANGES = 500
"""Products that are listed on either side; what lies beyond is counted as omitted."""
_MAX_FOUND = 2000
"""Products that are looked for on either side before they are folded over classes and pieces."""
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

    Only where a rule that was added, removed, edited or moved can match is anything compared.
    """
    changed_old, changed_new = changed_places(old_rules, new_rules)
    if not changed_old and not changed_new:
        return Difference((), (), True)
    old, new = boxes(old_rules), boxes(new_rules)
    budget = Budget()
    search = _Search(_verdicts(old_rules), _verdicts(new_rules))
    for kind in CLASSES:
        layers = [old.get(kind, []), new.get(kind, [])]
        clip = _hull(layers[0], changed_old, layers[1], changed_new)
        if clip is not None:
            for piece in pieces(kind, layers, budget, clip=clip, changed=[changed_old, changed_new]):
                search.look(piece)
    return search.result()


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


def _hull(old: Layer, changed_old: frozenset[int], new: Layer, changed_new: frozenset[int]) -> Box | None:
    """The smallest box around the changed rules of one class, None where it has none."""
    touched = [box for place, box in old if place in changed_old] + [box for place, box in new if place in changed_new]
    if not touched:
        return None
    p0, p1, d0, d1, s0, s1 = zip(*touched, strict=True)
    return min(p0), max(p1), min(d0), max(d1), min(s0), max(s1)


def _verdicts(rules: RuleList) -> Owners:
    """By place: whether the rule there accepts. Place 0 is the implicit deny."""
    return np.array([False] + [rule.action is Action.ACCEPT for rule in rules])


def _deciders(owners: Owners, places: Ranks) -> tuple[int | None, ...]:
    """Places of the rules that own any of these cells, None last for cells that no rule owns."""
    seen = np.zeros(len(places) + 1, np.bool_)
    seen[owners.ravel()] = True
    found: list[int | None] = places[np.flatnonzero(seen[1:])].tolist()
    return (*found, None) if seen[0] else tuple(found)


def _joined(one: Change, other: Change) -> Change:
    return replace(one, before=_places(one.before, other.before), after=_places(one.after, other.after))


def _places(one: tuple[int | None, ...], other: tuple[int | None, ...]) -> tuple[int | None, ...]:
    both = {*one, *other}
    return (*sorted(place for place in both if place is not None), *([None] if None in both else []))


class _Search:
    """Collects what the pieces of one comparison say."""

    def __init__(self, old: Owners, new: Owners) -> None:
        self.verdicts = (old, new)
        self.found: tuple[list[tuple[Product, Change]], list[tuple[Product, Change]]] = ([], [])
        self.omitted = [0, 0]
        self.unknown: list[tuple[Product, None]] = []

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
            groups, total = fold(mask, max(_MAX_FOUND - len(self.found[side]), 0))
            self.omitted[side] += total - len(groups)
            for cells in groups:
                inside = np.ix_(*cells)
                before, after = (
                    _deciders(owner[inside], places) for owner, (places, _) in zip(owners, piece.layers, strict=True)
                )
                p = product(piece, cells)
                sample = piece.sample([chosen[0] for chosen in cells])
                self.found[side].append((p, Change(p, before, after, sample)))

    def result(self) -> Difference:
        """What was found, folded."""
        sides = [[replace(change, product=p) for p, change in merge(side, _joined)] for side in self.found]
        # Products that are found and not listed are counted too: what is listed must not look like all.
        omitted = [more + max(len(side) - MAX_CHANGES, 0) for side, more in zip(sides, self.omitted, strict=True)]
        newly_allowed, newly_denied = (tuple(side[:MAX_CHANGES]) for side in sides)
        unknown = tuple(p for p, _ in merge(self.unknown, lambda one, _: one))
        same = not (newly_allowed or newly_denied or unknown or any(omitted))
        return Difference(newly_allowed, newly_denied, same, unknown, *omitted)
