"""What is remarkable about a list, as the panel and the admin say it: a line for the whole, and notes for a rule.

A list is analysed once, however many pages and parts ask about it: what was found is remembered, and of a long list kept
for all processes. Sentences are made for the rules that are shown, when they are.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from threading import Lock

from securitygroups.answers.kept import kept
from securitygroups.effective import Name
from securitygroups.firewall.analysis.findings import (
    Dead,
    Findings,
    Fix,
    Mend,
    Opening,
    RuleFindings,
    findings,
    fixes,
)
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import RULE_FIELDS, Rule, RuleList
from securitygroups.words.findings import findings_summary, fix_sentence, remarks

ROOM = 40_000
"""So much of findings a process remembers: some 40 MB. A rule counts one, and one more for each rule that covers it: those
are what a hostile list has many of.
"""
LONG = 200
"""Longer lists are kept for all processes; others are analysed in less time than it takes to look whether they are kept."""
# What a badge of the row says already, and what is meant more often than not, would only be noise at every rule.
_ORDER = frozenset({"correlated", "generalisation"})
_QUIET = _ORDER | {"open", "behind-all"}
FIX_NAMES = {Mend.REMOVE: "remove", Mend.MOVE_UP: "up"}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to say about a rule. `covers` are the places of the rules that cover it; `fix` is "remove" or "up"."""

    level: str
    kind: str
    text: str
    covers: tuple[int, ...] = ()
    fix: str = ""
    fix_text: str = ""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What there is to say about a list, and what mends a rule of it, by place. No sentence is made yet."""

    found: Findings
    offers: Mapping[int, tuple[Fix, ...]]


def _weight(made: Analysis) -> int:
    return sum(1 + len(one.covered_by) for one in made.found.rules)


class _Remembered:
    """The analyses of the lists that were asked about last, found by what the lists say: equal lists of a project have
    equal findings. By project, so that nobody can tell by the time whether another one has such a list.

    Rules are equal whatever their identity, so what is remembered of one list may name the rules of another: only its
    places are to be used.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._kept: OrderedDict[tuple[int, tuple[Rule, ...]], Analysis] = OrderedDict()
        self._held = 0
        self._lock = Lock()

    def of(self, project: int, rules: tuple[Rule, ...]) -> Analysis:
        key = project, rules
        with self._lock:
            if known := self._kept.get(key):
                self._kept.move_to_end(key)
                return known
        made = _analysis(rules, _analyse(rules) if len(rules) <= LONG else _kept(project, rules))
        if _weight(made) > self.room:
            return made  # it would push everybody else's out
        with self._lock:
            if key not in self._kept:
                self._held += _weight(made)
            self._kept[key] = made
            while self._held > self.room:
                self._held -= _weight(self._kept.popitem(last=False)[1])
        return made


_remembered = _Remembered(ROOM)


_SAID_OF_RULES = attrgetter(*RULE_FIELDS)
_Line = tuple[int, str | None, Sequence[int], bool, tuple[Sequence[int], Sequence[int]] | None, bool, Sequence[int]]
"""What pages say of a rule: its place, why it is dead, what covers it, whether it is removable, the families and
services (as SERVICES numbers them) that it opens, whether it could not be told, and how many rules it is correlated with,
the first of these, and how many it generalises.
"""


def _kept(project: int, rules: tuple[Rule, ...]) -> Sequence[_Line]:
    content = sha256(repr(list(map(_SAID_OF_RULES, rules))).encode()).hexdigest()
    lines: Sequence[_Line] = kept("findings", lambda: f"{project}:{content}", lambda: _analyse(rules), lambda _: True)
    return lines


def _analyse(rules: tuple[Rule, ...]) -> list[_Line]:
    """What there is to say, as JSON can have it; of most rules there is nothing."""
    lines = map(_line, findings(rules).rules)
    return [line for line in lines if any(line[1:-1]) or any(line[-1])]


def _line(one: RuleFindings) -> _Line:
    # A drop that only repeats the default is meant: it says so in writing, and another group may come after it.
    removable = one.removable and not (one.dead is None and one.rule.action is Action.DROP)
    opened = one.opening
    opening = (opened.versions, [SERVICES.index(service) for service in opened.services]) if opened else None
    order = one.correlated or 0, one.overlaps, one.generalises or 0
    return one.place, one.dead and one.dead.value, one.covered_by, removable, opening, one.unknown, order


def _analysis(rules: tuple[Rule, ...], lines: Sequence[_Line]) -> Analysis:
    told = [RuleFindings(place, rule) for place, rule in enumerate(rules, 1)]
    for place, dead, covered_by, removable, opening, unknown, (correlated, first, generalises) in lines:
        told[place - 1] = RuleFindings(
            place,
            rules[place - 1],
            dead=Dead(dead) if dead else None,
            covered_by=tuple(covered_by),
            removable=removable,
            opening=Opening(tuple(opening[0]), tuple(SERVICES[number] for number in opening[1])) if opening else None,
            unknown=unknown,
            correlated=correlated,
            overlaps=first,
            generalises=generalises,
        )
    found = Findings(tuple(told))
    offers: dict[int, tuple[Fix, ...]] = {}
    for fix in fixes(rules, found):
        if len(fix.places) == 1:
            offers[fix.places[0]] = (*offers.get(fix.places[0], ()), fix)
    return Analysis(found, offers)


@dataclass(frozen=True, slots=True)
class Notes:
    """What to say about each rule, put into words for the places that are asked for."""

    analysis: Analysis
    name: Name | None = None

    def has(self, place: int) -> bool:
        """Whether there is a note on the rule at a place."""
        return _remarkable(self.analysis.found.rules[place - 1])

    def overlaps(self, place: int) -> bool:
        """Whether it partly overlaps others of the other action: exchanged with them, it would decide otherwise."""
        one = self.analysis.found.rules[place - 1]
        return _ordered(one) and bool(one.correlated)

    def get(self, place: int, *, order: bool = False) -> tuple[Note, ...]:
        """The notes of the rule at a place, from 1; with `order` also what is meant more often than not: that others which
        overlap it stand before or behind it."""
        one = self.analysis.found.rules[place - 1]
        order = order and _ordered(one)
        if not (order or _remarkable(one)):
            return ()
        quiet = _QUIET - _ORDER if order else _QUIET
        told = [
            Note(
                remark.level,
                remark.kind,
                remark.text,
                one.covered_by if one.dead and remark.kind != "open-sensitive" else (),
            )
            for remark in remarks(one, self.name)
            if remark.kind not in quiet
        ]
        mending = [
            Note("info", "fix", "", (), FIX_NAMES[fix.mend], fix_sentence(fix, self.name))
            for fix in self.analysis.offers.get(place, ())
        ]
        return (*told, *mending)


def _ordered(one: RuleFindings) -> bool:
    """Whether it matters which rules stand before it; of one that no packet reaches there is more to say than that."""
    return one.rule.enabled and one.dead is None and bool(one.correlated or one.generalises)


def _remarkable(one: RuleFindings) -> bool:
    """Whether there are notes on the rule."""
    open_services = one.opening is not None and bool(one.opening.services)
    return one.rule.enabled and (one.unknown or one.dead is not None or one.removable or open_services)


@dataclass(frozen=True, slots=True)
class Shown:
    """The findings of a list as pages show them."""

    notes: Notes
    summary: str
    dead: int
    loud: int
    remarkable: bool


def findings_of(project: int, rules: RuleList, name: Name | None = None) -> Shown:
    """The findings of a list of a project, by key. `name` says a place of a VM's effective list as group and rule."""
    analysis = _remembered.of(project, tuple(rules))
    found = analysis.found
    return Shown(
        notes=Notes(analysis, name),
        summary=findings_summary(found),
        dead=len(found.dead),
        loud=sum(bool(one.opening and one.opening.services) for one in found.rules),
        remarkable=any(_remarkable(one) for one in found.rules),
    )
