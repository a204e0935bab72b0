"""Which rules a change leaves dead: no packet reaches them any more, and it reached them before, or they are new."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from securitygroups.effective import Listed, Placed, Vm, names_of, rules_of
from securitygroups.firewall.analysis.difference import changed_places
from securitygroups.firewall.analysis.findings import dead_rules, findings
from securitygroups.firewall.analysis.overlaps import Area, area
from securitygroups.firewall.values import Rule
from securitygroups.words.findings import dead_sentence
from securitygroups.words.traffic import joined

MAX_LINES = 12
"""Sentences shown; the rest is counted."""
DEAD_WORK = 4_000
"""Rules of VMs' lists that are looked through, one combination of groups after the other, for those that become dead."""
MET_ONE_BY_ONE = 40
"""With so many rules all others are compared one by one; with more the whole list is looked at."""
NAMED = 3
"""VMs that a sentence names."""

Identity = tuple[int, str]
"""The group of a rule and what stays the same of it from one list to the other."""


def _identity(one: Placed) -> Identity:
    """A rule that is new has no identity yet: its place in its group then."""
    return one.group.pk, one.rule.uid or f"at {one.place}"


class _Meeting:
    """Which rules of a list share packets with others, as far as their fields alone tell: never too few."""

    def __init__(self) -> None:
        # By identity of the objects: the lists of many VMs are made of the same ones.
        self._areas: dict[int, tuple[Rule, Area]] = {}

    def _area(self, rule: Rule) -> Area:
        held = self._areas.get(id(rule))
        if held is None:
            held = self._areas[id(rule)] = rule, area(rule)
        return held[1]

    def those(self, rules: Sequence[Rule], places: Collection[int], start: int = 1) -> list[int]:
        """The places from `start` on whose rules are on and meet one of these, themselves included."""
        if len(places) > MET_ONE_BY_ONE:
            return [place for place, rule in enumerate(rules, 1) if place >= start and rule.enabled]
        asked = [rules[place - 1] for place in places]
        below = enumerate(rules[start - 1 :], start)
        return [place for place, rule in below if rule.enabled and self._meets(rule, asked)]

    def _meets(self, rule: Rule, others: Sequence[Rule]) -> bool:
        mine = self._area(rule)
        return any(rule.direction is one.direction and _meet(mine, self._area(one)) for one in others)


def _meet(one: Area, other: Area) -> bool:
    return bool(one[0] & other[0]) and all(
        one[at] <= other[at + 1] and other[at] <= one[at + 1]
        for at in (5, 1, 3)  # sources tell most rules apart
    )


def _dead_among(rules: Sequence[Rule], around: Sequence[int], asked: Collection[int]) -> list[int]:
    """Which of the asked places no packet reaches; `around` are the places that meet them."""
    dead = {around[at - 1] for at in dead_rules([rules[place - 1] for place in around])}
    return sorted(dead & set(asked))


@dataclass(slots=True)
class DeadSearch:
    """Looks at one list after the other: first the group's own, then those of VMs, of which most VMs have the first.

    What is dead in a group's own list is dead on every VM, so that is said once. Work on the VMs' lists is bounded;
    `unseen` counts the VMs that it did not suffice for.
    """

    unseen: int = 0
    _work: int = 0
    _lines: dict[tuple[str, str], list[Vm]] = field(default_factory=dict)
    _told: set[Identity] = field(default_factory=set)
    _unsaid: set[Identity] = field(default_factory=set)
    _alone: set[Identity] = field(default_factory=set)
    _meeting: _Meeting = field(default_factory=_Meeting)

    def of_group(self, before: Listed, after: Listed) -> None:
        """The group's own list, whose rules are called by their place alone."""
        asked = self._may_have_died(before, after)
        dead = self._dead(after, asked, self._meeting.those(rules_of(after), asked))
        self._alone = set(dead.values())
        self._tell(after, self._new(before, dead), (), own=True)

    def of_machines(self, before: Listed, after: Listed, machines: Sequence[Vm]) -> None:
        """The effective list of these VMs, as long as the work for it can be afforded."""
        asked = self._may_have_died(before, after)
        if not asked:
            return
        around = self._meeting.those(rules_of(after), asked)
        # Left out and counted: half a search would say of some VMs that nothing is dead there.
        if self._work + len(around) > DEAD_WORK:
            self.pass_over(machines)
            return
        self._work += len(around)
        self._tell(after, self._new(before, self._dead(after, asked, around)), machines)

    def pass_over(self, machines: Sequence[Vm]) -> None:
        """These VMs are not looked at."""
        self.unseen += len(machines)

    def of_machine(self, before: Listed, after: Listed) -> None:
        """The one list that there is: it is looked at however long it is, and its VM needs no name."""
        asked = self._may_have_died(before, after)
        around = self._meeting.those(rules_of(after), asked)
        self._tell(after, self._new(before, self._dead(after, asked, around)), ())

    def _may_have_died(self, before: Listed, after: Listed) -> list[int]:
        """A rule that is the same and stands where it stood loses packets to changed ones before it, and to no others.

        What is dead in the group's own list was so before, or is told there.
        """
        rules = rules_of(after)
        _, changed = changed_places(rules_of(before), rules)
        if not changed:
            return []
        met = self._meeting.those(rules, changed, min(changed))
        return [place for place in met if _identity(after[place - 1]) not in self._alone]

    def _dead(self, listed: Listed, asked: Collection[int], around: Sequence[int]) -> dict[int, Identity]:
        return {place: _identity(listed[place - 1]) for place in _dead_among(rules_of(listed), around, asked)}

    def _new(self, before: Listed, dead: dict[int, Identity]) -> dict[int, Identity]:
        """Those of the dead that were not dead before."""
        ones = set(dead.values())
        was = {one: place for place, each in enumerate(before, 1) if (one := _identity(each)) in ones}
        if not was:
            return dead
        rules, places = rules_of(before), set(was.values())
        around = self._meeting.those(rules, places)
        self._work += len(around)
        gone = {_identity(before[place - 1]) for place in _dead_among(rules, around, places)}
        return {place: one for place, one in dead.items() if one not in gone}

    def _tell(self, listed: Listed, dead: dict[int, Identity], machines: Sequence[Vm], *, own: bool = False) -> None:
        """Make a line of each, as long as there is room; those that have one already get these VMs added to it."""
        # A dead rule of one group on a thousand VMs is one line with a thousand names, not a thousand lines.
        room = MAX_LINES - len(self._lines)
        new = [place for place, one in dead.items() if one not in self._told][: max(0, room)]
        shown = sorted([*new, *(place for place, one in dead.items() if one in self._told)])
        for place, why in self._reasons(listed, shown, own=own):
            line = f"Rule {place}" if own else listed[place - 1].text, why
            self._lines.setdefault(line, []).extend(machines)
            self._told.add(dead[place])
        self._unsaid |= {one for one in dead.values() if one not in self._told}

    def _reasons(self, listed: Listed, places: Sequence[int], *, own: bool) -> Iterator[tuple[int, str]]:
        """Why no packet reaches these."""
        if not places:
            return
        rules = rules_of(listed)
        # Rules further down take no packet from these, nor do those that share none with them.
        kept = [place for place in self._meeting.those(rules, places) if place <= places[-1]]
        found = findings([rules[place - 1] for place in kept]).rules
        for place, one in zip(kept, found, strict=True):
            if place in places:
                here = replace(one, covered_by=tuple(kept[by - 1] for by in one.covered_by))
                yield place, dead_sentence(here, None if own else names_of(listed))

    def sentences(self) -> tuple[str, ...]:
        """As many as can be read, and how many more there are."""
        said = []
        for (name, why), machines in list(self._lines.items())[:MAX_LINES]:
            where = [machine.name for machine in machines[:NAMED]]
            if len(machines) > len(where):
                where.append(f"{len(machines) - len(where)} more")
            said.append(f"{name}{f' on {joined(where)}' if where else ''}: {why}")
        more = len(self._lines) - len(said) + len(self._unsaid - self._told)
        if more:
            said.append(f"No packet reaches {more} more {'rule' if more == 1 else 'rules'}.")
        return tuple(said)
