"""What is remarkable about a list, as the panel and the admin say it: a line for the whole, and notes for a rule.

A list is analysed once, however many pages, parts and previews ask about it. Sentences are made for the rules that are
shown, when they are.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock

from securitygroups.effective import Name
from securitygroups.firewall.analysis.findings import Findings, Fix, Mend, RuleFindings, findings, fixes
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.words.findings import findings_summary, fix_sentence, remarks

ROOM = 40_000
"""So much of findings a process remembers: some 40 MB. A rule counts one, and one more for each rule that covers it: those
are what a hostile list has many of.
"""
# What a badge of the row says already, and what is meant more often than not, would only be noise at every rule.
_QUIET = frozenset({"open", "correlated", "generalisation", "behind-all"})
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
    """The analyses of the lists that were asked about last, found by what the lists say: equal lists have equal findings.

    Rules are equal whatever their identity, so what is remembered of one list may name the rules of another: only its
    places are to be used.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._kept: OrderedDict[tuple[Rule, ...], Analysis] = OrderedDict()
        self._held = 0
        self._lock = Lock()

    def of(self, rules: tuple[Rule, ...]) -> Analysis:
        with self._lock:
            if known := self._kept.get(rules):
                self._kept.move_to_end(rules)
                return known
        made = _analyse(rules)
        if _weight(made) > self.room:
            return made  # it would push everybody else's out
        with self._lock:
            if rules not in self._kept:
                self._held += _weight(made)
            self._kept[rules] = made
            while self._held > self.room:
                self._held -= _weight(self._kept.popitem(last=False)[1])
        return made


_remembered = _Remembered(ROOM)


def _analyse(rules: tuple[Rule, ...]) -> Analysis:
    found = findings(rules)
    found = replace(found, rules=tuple(_worth_saying(one) for one in found.rules))
    offers: dict[int, tuple[Fix, ...]] = {}
    for fix in fixes(rules, found):
        if len(fix.places) == 1:
            offers[fix.places[0]] = (*offers.get(fix.places[0], ()), fix)
    return Analysis(found, offers)


def _worth_saying(one: RuleFindings) -> RuleFindings:
    """A drop that only repeats the default is meant: it says so in writing, and another group may come after it."""
    if one.removable and one.dead is None and one.rule.action is Action.DROP:
        return replace(one, removable=False)
    return one


@dataclass(frozen=True, slots=True)
class Notes:
    """What to say about each rule, put into words for the places that are asked for."""

    analysis: Analysis
    name: Name | None = None

    def get(self, place: int) -> tuple[Note, ...]:
        """The notes of the rule at a place, from 1."""
        one = self.analysis.found.rules[place - 1]
        if not _remarkable(one):
            return ()
        told = [
            Note(
                remark.level,
                remark.kind,
                remark.text,
                one.covered_by if one.dead and remark.kind != "open-sensitive" else (),
            )
            for remark in remarks(one, self.name)
            if remark.kind not in _QUIET
        ]
        mending = [
            Note("info", "fix", "", (), FIX_NAMES[fix.mend], fix_sentence(fix, self.name))
            for fix in self.analysis.offers.get(place, ())
        ]
        return (*told, *mending)


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


def findings_of(rules: RuleList, name: Name | None = None) -> Shown:
    """The findings of a list. `name` says a place of a VM's effective list as group and rule."""
    analysis = _remembered.of(tuple(rules))
    found = analysis.found
    return Shown(
        notes=Notes(analysis, name),
        summary=findings_summary(found),
        dead=len(found.dead),
        loud=sum(bool(one.opening and one.opening.services) for one in found.rules),
        remarkable=any(_remarkable(one) for one in found.rules),
    )
