"""What is remarkable about the rules of a list: dead, removable, open to the world, overlapping; and what mends it."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall import lists
from securitygroups.firewall.analysis.overlaps import Overlaps, contains, overlaps
from securitygroups.firewall.analysis.painting import paint
from securitygroups.firewall.analysis.traffic import CLASSES, UNITS, Budget, Owners, Piece, Ranks, boxes, pieces
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.services import SERVICES, Service
from securitygroups.firewall.values import Packet, Rule, RuleList

_BLOCK = 1 << 18
"""Cells that are looked at at once, so that they stay in the processor's cache."""


class Dead(Enum):
    """Why no packet reaches a rule: what the rules that take its packets do with them."""

    REDUNDANT = "redundant"
    """All of them get the rule's own action."""
    SHADOWED = "shadowed"
    """All of them get the opposite action."""
    PARTLY_SHADOWED = "partly shadowed"
    """Some get the one, some the other."""
    COVERED = "covered"
    """No packet reaches it; too many rules cover it to tell which."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A rule that accepts from every address of a family.

    `versions` are the families (4, 6). `services` are the management and database services whose port it opens: those
    that no rule before it takes.
    """

    versions: tuple[int, ...]
    services: tuple[Service, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleFindings:
    """What there is to say about one rule; places count from 1.

    `witness` is a packet that the rule decides, None where it decides none (dead, switched off); `unknown` where it
    could not be told in bounded work whether there is one. `covered_by` are the rules that take the packets of a dead
    rule, together where there are several. `removable`: the list without this rule decides every packet the same. `correlated` counts the rules of the
    other action that it partly overlaps, of which `overlaps` is the first (0: none), `generalises` the earlier ones of the other action that lie inside it (usually
    meant: exceptions); None where the list is too long to count. `behind_all` is the place of the first All rule of its
    direction before it.
    """

    place: int
    rule: Rule
    witness: Packet | None = None
    dead: Dead | None = None
    covered_by: tuple[int, ...] = ()
    removable: bool = False
    correlated: int | None = None
    overlaps: int = 0
    generalises: int | None = None
    opening: Opening | None = None
    behind_all: int | None = None
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is to say about a list: one entry per rule, in order, and the number of correlated pairs."""

    rules: tuple[RuleFindings, ...]
    correlated: int | None = None
    generalisations: int | None = None

    @property
    def dead(self) -> tuple[RuleFindings, ...]:
        """The rules that no packet reaches."""
        return tuple(found for found in self.rules if found.dead is not None)

    @property
    def spare(self) -> int:
        """How many rules are reached and yet change nothing, each by itself."""
        return sum(one.removable and one.dead is None for one in self.rules if one.rule.enabled)

    @property
    def too_fine(self) -> bool:
        """Whether some rules could not be settled in bounded work; what is said of the others is true."""
        return any(found.unknown for found in self.rules)


@dataclass(slots=True)
class _Facts:
    """What the painted pieces tell, by place; slot 0 of the arrays is the implicit deny."""

    witness: dict[int, Packet]
    needed: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    services: dict[int, list[Service]] = field(default_factory=dict)

    def opens(self, place: int, service: Service) -> None:
        """The rule lets packets of the service in."""
        found = self.services.setdefault(place, [])
        if service not in found:
            found.append(service)


def dead_rules(rules: RuleList) -> tuple[int, ...]:
    """Places of the enabled rules that no packet reaches, unions of earlier rules taken into account.

    Rules that could not be settled in bounded work are left out.
    """
    settled = np.zeros(len(rules) + 1, np.bool_)
    for piece in _pieces(rules, depth=1):
        if piece.left_out:
            settled[piece.layers[0][0]] = True
        else:
            _mark(settled, piece.layers[0][0], paint(piece, 0).first)
    return tuple(place for place, rule in enumerate(rules, 1) if rule.enabled and not settled[place])


def findings(rules: RuleList) -> Findings:
    """Everything there is to say about a list, exactly, in bounded work. Rules that are off are passed over."""
    facts = _facts(rules)
    dead = {
        place
        for place, rule in enumerate(rules, 1)
        if rule.enabled and place not in facts.witness and not facts.unknown[place]
    }
    told = _Told(rules, facts, _takers(rules, dead), overlaps(rules))
    first_all: dict[Direction, int] = {}
    found: list[RuleFindings] = []
    for place, rule in enumerate(rules, 1):
        if not rule.enabled:
            found.append(RuleFindings(place, rule))
            continue
        found.append(_about(place, told, first_all.get(rule.direction)))
        if not PROTOCOLS[rule.protocol].only_ip:
            first_all.setdefault(rule.direction, place)
    met = told.met
    return Findings(tuple(found), met.correlated_pairs if met else None, met.generalised_pairs if met else None)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of a whole list before anything is said of its rules."""

    rules: RuleList
    facts: _Facts
    takers: dict[int, tuple[int, ...] | None]
    met: Overlaps | None


def _about(place: int, told: _Told, behind_all: int | None) -> RuleFindings:
    rule, facts, met = told.rules[place - 1], told.facts, told.met
    covered_by = told.takers.get(place, ())
    kind = _kind(told.rules, rule, covered_by) if place in told.takers else None
    live = place in facts.witness
    return RuleFindings(
        place,
        rule,
        facts.witness.get(place),
        kind,
        covered_by or (),
        removable=not facts.needed[place] and not facts.unknown[place],
        correlated=met.correlated[place] if met else None,
        overlaps=met.first[place] if met else 0,
        generalises=met.generalises[place] if met else None,
        opening=_opening(rule, facts.services.get(place, [])) if live else None,
        behind_all=behind_all,
        unknown=bool(facts.unknown[place]) and not live,
    )


def _kind(rules: RuleList, rule: Rule, covered_by: tuple[int, ...] | None) -> Dead:
    if covered_by is None:
        return Dead.COVERED
    same = [rules[place - 1].action is rule.action for place in covered_by]
    # A rule that no packet can match at all has nothing that covers it; it changes nothing, as a redundant one.
    if all(same):
        return Dead.REDUNDANT
    return Dead.PARTLY_SHADOWED if any(same) else Dead.SHADOWED


def open_versions(rule: Rule) -> tuple[int, ...]:
    """Families of which an inbound accepting rule lets every source in: (4, 6), (4,), (6,) or ()."""
    if rule.action is not Action.ACCEPT or rule.direction is not Direction.IN:
        return ()
    if rule.source is None:
        return (4, 6) if rule.destination is None else (rule.destination.version,)
    return (rule.source.version,) if rule.source.is_everything else ()


def _opening(rule: Rule, services: list[Service]) -> Opening | None:
    versions = open_versions(rule)
    return Opening(versions, tuple(s for s in SERVICES if s in services)) if versions else None


def _pieces(rules: RuleList, depth: int) -> Iterator[Piece]:
    """The traffic of a list in pieces, some of them perhaps too fine to paint."""
    # A cell costs more here than in a difference: two rules are kept for it.
    budget = Budget(UNITS * 2 // 3)
    by_class = boxes(rules)
    # Classes in their fixed order, not as the rules come to them: it decides what is left out where work runs short.
    for kind in CLASSES:
        if kind in by_class:
            yield from pieces(kind, [by_class[kind]], budget, depth=depth)


def _facts(rules: RuleList) -> _Facts:
    accepts = np.array([False] + [rule.action is Action.ACCEPT for rule in rules])
    openings = np.array([False] + [bool(open_versions(rule)) for rule in rules])
    flags = len(rules) + 1
    facts = _Facts({}, np.zeros(flags, np.bool_), np.zeros(flags, np.bool_))
    for piece in _pieces(rules, depth=2):
        kind, places = piece.kind, piece.layers[0][0]
        if piece.left_out:
            facts.unknown[places] = True
            continue
        painting = paint(piece, 0, second=True)
        first, second = painting.first, painting.second
        _witness(piece, first, facts)
        verdicts = accepts[np.concatenate([[0], places])]
        _mark(facts.needed, places, first[verdicts[first] != verdicts[second]])
        if kind.direction is Direction.IN and kind.has_ports:
            _sensitive(piece, first, openings, facts)
    return facts


def _mark(flags: NDArray[np.bool_], places: Ranks, owners: Owners) -> None:
    """Set the flags of the places of all rules that own any of these cells."""
    seen = np.zeros(len(places) + 1, np.bool_)
    seen[owners.ravel()] = True
    flags[places[seen[1:]]] = True


def _witness(piece: Piece, first: Owners, facts: _Facts) -> None:
    """A packet for each rule that owns a cell and had none yet."""
    places = piece.layers[0][0]
    cells = np.full(len(places) + 1, -1, np.int64)
    flat = first.ravel()
    # Later assignments win, so running backwards leaves the lowest cell of each rule.
    for start in range((flat.size - 1) // _BLOCK * _BLOCK, -1, -_BLOCK):
        block = flat[start : start + _BLOCK]
        cells[block[::-1]] = np.arange(start + block.size - 1, start - 1, -1)
    rows = np.flatnonzero(cells[1:] >= 0)
    # All at once: numpy takes as long for one cell as for a thousand.
    where = np.stack(np.unravel_index(cells[rows + 1], first.shape), axis=1)
    for place, cell in zip(places[rows].tolist(), where.tolist(), strict=True):
        if place not in facts.witness:
            facts.witness[place] = piece.sample(cell)


def _sensitive(piece: Piece, first: Owners, openings: NDArray[np.bool_], facts: _Facts) -> None:
    """Which management and database services the open rules of a piece let in."""
    places, box = piece.layers[0]
    wide = openings[places]
    if not wide.any():
        return
    cuts = piece.cuts[0]
    for service in SERVICES:
        if not service.sensitive or service.port is None or service.protocol != piece.kind.protocol:
            continue
        cell = bisect_right(cuts, service.port) - 1
        if not 0 <= cell < len(cuts) - 1 or not (wide & (box[:, 0] <= cell) & (box[:, 1] > cell)).any():
            continue
        for row in np.unique(first[cell]).tolist():
            if row and wide[row - 1]:
                facts.opens(int(places[row - 1]), service)


def _takers(rules: RuleList, dead: set[int]) -> dict[int, tuple[int, ...] | None]:
    """The rules that decide the packets of each dead rule; None where looking would cost too much.

    Without its dead rules a list decides the same, so only the others are painted.
    """
    taken: dict[int, set[int] | None] = {place: set() for place in dead}
    work = Budget(UNITS // 2)
    for piece in _pieces_below(rules, dead):
        if piece.left_out:
            taken |= dict.fromkeys(piece.layers[1][0].tolist())
        else:
            _take(piece, taken, work)
    return {place: None if known is None else tuple(sorted(known)) for place, known in taken.items()}


def _pieces_below(rules: RuleList, dead: set[int]) -> Iterator[Piece]:
    """The traffic of a list without its dead rules in pieces, where any of those lie; they come as the second layer."""
    budget = Budget(UNITS // 2)
    for kind, layer in boxes(rules).items() if dead else ():
        alive, gone = [item for item in layer if item[0] not in dead], [item for item in layer if item[0] in dead]
        if gone:
            yield from pieces(kind, [alive], budget, followers=gone)


def _take(piece: Piece, taken: dict[int, set[int] | None], work: Budget) -> None:
    """Add who owns the cells of a painted piece that its followers, the dead rules, lie in."""
    covered, box = piece.layers[1]
    first = paint(piece, 0).first
    places = piece.layers[0][0]
    for place, (p0, p1, d0, d1, s0, s1) in zip(covered.tolist(), box.tolist(), strict=True):
        known = taken[place]
        units = (p1 - p0) * (d1 - d0) * (s1 - s0) // 4 + 50
        # No rule may use up what is left for the others.
        if known is None or units > work.units // 50 or not work.take(units):
            taken[place] = None
            continue
        known.update(_owners(first[p0:p1, d0:d1, s0:s1], places))


def _owners(region: Owners, places: Ranks) -> list[int]:
    """Places of the rules that own any of these cells."""
    if region.size <= 32:
        rows = np.array(sorted({*region.ravel().tolist()} - {0}), np.int64)
    else:
        seen = np.zeros(len(places) + 1, np.bool_)
        seen[region.ravel()] = True
        rows = np.flatnonzero(seen[1:]) + 1
    owners: list[int] = places[rows - 1].tolist()
    return owners


class Mend(Enum):
    """What a fix does."""

    REMOVE = "remove"
    MOVE_UP = "move up"


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit that mends a finding: `places` are removed, or moved to place `to`, before what shadows them.

    `decides_same` is proven for removals: no packet's verdict changes. A move changes verdicts, for that is its point.
    """

    mend: Mend
    places: tuple[int, ...]
    to: int | None
    decides_same: bool


def fixes(rules: RuleList, found: Findings | None = None) -> tuple[Fix, ...]:
    """Every fix on offer: all dead rules at once where there are several, then one fix per rule, in order.

    Each holds for the list as it is: after one is applied, ask again. Two removable rules may each be kept up by the
    other, so only dead rules are removed together.
    """
    found = findings(rules) if found is None else found
    dead = tuple(one.place for one in found.dead)
    offers = [Fix(Mend.REMOVE, dead, None, decides_same=True)] if len(dead) > 1 else []
    for one in found.rules:
        if one.rule.enabled and one.removable:
            offers.append(Fix(Mend.REMOVE, (one.place,), None, decides_same=True))
        offers += _moves_up(rules, one)
    return tuple(offers)


def _moves_up(rules: RuleList, one: RuleFindings) -> list[Fix]:
    """The move before what hides a rule, where it is an exception to that."""
    if one.dead not in (Dead.SHADOWED, Dead.PARTLY_SHADOWED):
        return []
    opposite = [place for place in one.covered_by if rules[place - 1].action is not one.rule.action]
    # An exception is narrower than each rule that hides it; above anything else it would hide that in turn.
    if any(contains(one.rule, rules[place - 1]) for place in opposite):
        return []
    return [Fix(Mend.MOVE_UP, (one.place,), opposite[0], decides_same=False)]


def mended(rules: RuleList, fix: Fix) -> lists.Rules:
    """The list after a fix. Raises lists.NoSuchPlace where it was made for another list."""
    if fix.to is None:
        return lists.remove(rules, fix.places)
    return lists.move(rules, fix.places, fix.to)
