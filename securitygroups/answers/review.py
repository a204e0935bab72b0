"""The rules of a project as a review goes through them: which are asked for, on which page, and what to know of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from securitygroups.answers.findings import Note, Notes, findings_of
from securitygroups.effective import rules_of_groups
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Network, parse_network
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import (
    Attachment,
    DecidedRule,
    GroupRevision,
    Membership,
    Project,
    Review,
    ReviewedRule,
    Rule,
    SecurityGroup,
    Verdict,
)
from securitygroups.paging import UnevenPaginator

ROWS = 40
"""Rules on a page: each has a form of its own."""
GROUPS = 20
"""Groups on a page: the whole list of each is looked at for findings."""
FINDINGS_MOST = 20_000
"""Rules that are looked through for findings at once; beyond, a group has to be chosen."""
OLD = timedelta(days=365)
VMS_NAMED = 3
FILTERS = {
    "": "All rules",
    "undecided": "Not decided",
    "findings": "With findings",
    "order": "Overlaps",
    "world": "Open to the world",
    "old": "Older than a year",
    "unreviewed": "Not reviewed since",
    "gone": "Author gone",
}


class TooMany(Exception):
    """The project has so many rules that a group has to be chosen first."""

    def __init__(self, rules: int) -> None:
        super().__init__(f"{rules} rules are too many")
        self.rules = rules


@dataclass(frozen=True, slots=True)
class Line:
    """A rule, and what there is to know of it: since when, by whom, what is remarkable, what was decided now and before."""

    row: Rule
    rule: RuleValue
    notes: tuple[Note, ...]
    added: GroupRevision | None
    changed: GroupRevision | None
    gone: frozenset[int]
    decided: DecidedRule | None
    before: ReviewedRule | None

    @property
    def place(self) -> int:
        return self.row.position

    @property
    def void(self) -> bool:
        """Whether the rule was changed after it was decided about."""
        return self.decided is not None and self.decided.revision < self.row.changed_in

    @property
    def stands(self) -> DecidedRule | None:
        """The decision that still holds."""
        return None if self.void else self.decided

    @property
    def changed_since(self) -> bool:
        """Whether it is another rule now than the one that was reviewed."""
        return self.before is not None and self.before.revision < self.row.changed_in

    @property
    def was_edited(self) -> bool:
        return self.row.changed_in > self.row.added_in

    @property
    def adder_gone(self) -> bool:
        return self.added is not None and self.added.actor_id in self.gone

    @property
    def changer_gone(self) -> bool:
        return self.changed is not None and self.changed.actor_id in self.gone


@dataclass(frozen=True, slots=True)
class Part:
    """A group on a page, with those of its rules that are shown there."""

    group: SecurityGroup
    lines: tuple[Line, ...]
    machines: int
    names: tuple[str, ...]

    @property
    def more(self) -> int:
        return self.machines - len(self.names)


@dataclass(frozen=True, slots=True)
class Slice:
    """What a page has: some groups, and of one with many rules those from `start` to `stop`."""

    groups: tuple[int, ...]
    start: int = 0
    stop: int | None = None


def slices(sizes: Sequence[tuple[int, int]]) -> list[Slice]:
    """The pages for groups with so many rules each: whole groups together, a long one over several pages."""
    pages: list[Slice] = []
    held: list[int] = []
    room = ROWS
    for pk, size in sizes:
        if held and (size > room or len(held) == GROUPS):
            pages.append(Slice(tuple(held)))
            held, room = [], ROWS
        if size > ROWS:
            pages += [Slice((pk,), start, start + ROWS) for start in range(0, size, ROWS)]
        elif size:
            held.append(pk)
            room -= size
    return [*pages, Slice(tuple(held))] if held else pages


def pages(counted: Sequence[tuple[int, int]]) -> UnevenPaginator:
    """The pages of the rules that are asked for, each with one Slice."""
    cut, known = slices(counted), dict(counted)
    lengths = [
        min(known[one.groups[0]], one.stop) - one.start if one.stop else sum(known[pk] for pk in one.groups)
        for one in cut
    ]
    return UnevenPaginator(cut, lengths)


def _live(project: Project, group: SecurityGroup | None) -> QuerySet[SecurityGroup]:
    rows: QuerySet[SecurityGroup] = SecurityGroup.objects.live().filter(project=project)
    return rows.filter(pk=group.pk) if group else rows


def sizes_of(project: Project, group: SecurityGroup | None = None) -> list[tuple[int, int]]:
    """The groups in their order, by key, with the number of rules of each (one query)."""
    last = Rule.objects.filter(group=OuterRef("pk")).order_by("-position").values("position")[:1]
    rows = _live(project, group).order_by("name", "pk")
    return list(rows.values_list("pk", Coalesce(Subquery(last), 0)))


@dataclass(frozen=True, slots=True)
class Look:
    """In which groups of a project rules are looked for, in the light of which review, and when."""

    project: Project
    review: Review | None
    groups: Sequence[int]
    now: datetime


RulesOf = Callable[[Sequence[int]], QuerySet[Rule]]


def asked(
    project: Project, review: Review | None, which: str, sizes: Sequence[tuple[int, int]], now: datetime
) -> tuple[RulesOf, Sequence[tuple[int, int]]]:
    """The rules that are asked for, of whichever groups, and how many each of these has. Raises TooMany."""
    finds = _FINDS.get(which)
    found_in = _found(project, sizes, sum(size for _, size in sizes), finds) if finds else []

    def rules_of(groups: Sequence[int]) -> QuerySet[Rule]:
        rows = Rule.objects.filter(group__in=groups)
        if finds:
            return rows.filter(uid__in=found_in)
        return rows.filter(_CONDITIONS[which](Look(project, review, groups, now))) if which else rows

    if not which:
        return rules_of, sizes
    rows = rules_of([pk for pk, _ in sizes]).order_by()
    found = dict(rows.values_list("group").annotate(Count("pk")))
    return rules_of, [(pk, found.get(pk, 0)) for pk, _ in sizes]


def _found(
    project: Project, sizes: Sequence[tuple[int, int]], total: int, finds: Callable[[Notes, int], Any]
) -> list[str]:
    """The identities of the rules of which the findings say it."""
    if total > FINDINGS_MOST:
        raise TooMany(total)
    found: list[str] = []
    for rules in rules_of_groups(pk for pk, _ in sizes).values():
        notes = findings_of(project.pk, rules).notes
        found += [rule.uid for place, rule in enumerate(rules, 1) if finds(notes, place)]
    return found


_FINDS: dict[str, Callable[[Notes, int], Any]] = {"findings": Notes.has, "order": Notes.overlaps}


# Each names the groups inside too: else all that the installation has is read, to be put beside the rules of a few.
def _undecided(look: Look) -> Q:
    mine = DecidedRule.objects.filter(review=look.review, group=OuterRef("group"), uid=OuterRef("uid"))
    return ~Q(Exists(mine.filter(revision__gte=OuterRef("changed_in")))) if look.review else Q()


def _world(look: Look) -> Q:
    anywhere = Q(source=None) | Q(source__in=[parse_network("0.0.0.0/0"), parse_network("::/0")])
    return anywhere & Q(action=Action.ACCEPT.value, direction=Direction.IN.value, enabled=True)


def _old(look: Look) -> Q:
    return Q(Exists(_changes(look).filter(at__lt=look.now - OLD)))


def _unreviewed(look: Look) -> Q:
    same = ReviewedRule.objects.filter(group=OuterRef("group"), uid=OuterRef("uid"), group__in=look.groups)
    return ~Q(Exists(same.filter(revision__gte=OuterRef("changed_in"))))


def _gone(look: Look) -> Q:
    here = Membership.objects.filter(project=look.project, user=OuterRef("actor"), user__is_active=True)
    return Q(Exists(_changes(look).filter(~Exists(here), by_staff=False, actor__isnull=False)))


def _changes(look: Look) -> QuerySet[GroupRevision]:
    """The revision in which the rule was changed last, or added."""
    return GroupRevision.objects.filter(group=OuterRef("group"), number=OuterRef("changed_in"), group__in=look.groups)


_CONDITIONS: Mapping[str, Callable[[Look], Q]] = {
    "undecided": _undecided,
    "world": _world,
    "old": _old,
    "unreviewed": _unreviewed,
    "gone": _gone,
}


def rows_of(rules_of: RulesOf, page: Slice) -> list[Rule]:
    """The rules of a page, in order (one query)."""
    found = rules_of(page.groups).select_related("group")
    return list(found.order_by("group__name", "group_id", "position")[page.start : page.stop])


def parts(project: Project, review: Review | None, rows: Sequence[Rule]) -> list[Part]:
    """The rules group by group, with what there is to know of each; some queries, however many there are."""
    groups = {row.group_id: row.group for row in rows}
    for group in groups.values():
        group.project = project
    lists = rules_of_groups(groups, dear=True)
    found = {pk: findings_of(project.pk, rules) for pk, rules in lists.items()}
    revisions = _revisions(rows)
    gone = _people_gone(project, revisions.values())
    decided = _decided(review, rows)
    before = _reviewed(rows)
    vms = _machines(groups)

    def line(row: Rule) -> Line:
        key = row.group_id, row.uid
        return Line(
            row=row,
            rule=row.as_value(),
            notes=_notes(found[row.group_id].notes, row.position),
            added=revisions.get((row.group_id, row.added_in)),
            changed=revisions.get((row.group_id, row.changed_in)),
            gone=gone,
            decided=decided.get(key),
            before=before.get(key),
        )

    return [
        Part(groups[pk], tuple(map(line, its)), *vms.get(pk, (0, ())))
        for pk, its in groupby(rows, attrgetter("group_id"))
    ]


def _notes(notes: Notes, place: int) -> tuple[Note, ...]:
    # A list that somebody made shorter between two queries has no such place any more.
    return notes.get(place, order=True) if place <= len(notes.analysis.found.rules) else ()


def _revisions(rows: Sequence[Rule]) -> dict[tuple[int, int], GroupRevision]:
    """The revisions in which the rules were added and changed (one query)."""
    numbers: dict[int, set[int]] = {}
    for row in rows:
        numbers.setdefault(row.group_id, set()).update((row.added_in, row.changed_in))
    wanted = Q(pk__in=[])
    for pk, its in numbers.items():
        wanted |= Q(group=pk, number__in=its)
    found = GroupRevision.objects.without_lists().filter(wanted).order_by()
    return {(one.group_id, one.number): one for one in found}


def _people_gone(project: Project, revisions: Any) -> frozenset[int]:
    """Which of those who made the revisions as members are none any more, or switched off (one query)."""
    actors = {one.actor_id for one in revisions if one.actor_id and not one.by_staff}
    here = Membership.objects.filter(project=project, user__in=actors, user__is_active=True)
    return frozenset(actors - set(here.values_list("user", flat=True)))


def _decided(review: Review | None, rows: Sequence[Rule]) -> dict[tuple[int, str], DecidedRule]:
    if review is None:
        return {}
    wanted = review.decisions.filter(group__in={row.group_id for row in rows}, uid__in={row.uid for row in rows})
    return {(one.group_id, one.uid): one for one in wanted}


def _reviewed(rows: Sequence[Rule]) -> dict[tuple[int, str], ReviewedRule]:
    """What the newest signed review that decided about a rule said of it (one query)."""
    wanted = ReviewedRule.objects.filter(group__in={row.group_id for row in rows}, uid__in={row.uid for row in rows})
    newest = wanted.order_by("group_id", "uid", "-pk").distinct("group_id", "uid").select_related("review")
    return {(one.group_id, one.uid): one for one in newest}


def _machines(groups: Mapping[int, SecurityGroup]) -> dict[int, tuple[int, tuple[str, ...]]]:
    """How many VMs have each group, and the names of a few (one query)."""
    mine = Attachment.objects.filter(group=OuterRef("pk")).order_by()
    number = Subquery(mine.values("group").annotate(n=Count("pk")).values("n"))
    named = ArraySubquery(mine.order_by("pk").values("machine__name")[:VMS_NAMED])
    rows = SecurityGroup.objects.filter(pk__in=groups).values_list("pk", Coalesce(number, 0), named)
    return {pk: (count, tuple(names)) for pk, count, names in rows}


# ── What was decided ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a review is: rules there are, how many were decided about, what for, and which decisions do not hold."""

    rules: int
    decided: Mapping[str, int]
    void: int

    @property
    def done(self) -> int:
        return min(sum(self.decided.values()), self.rules)

    @property
    def left(self) -> int:
        return self.rules - self.done

    @property
    def percent(self) -> int:
        return self.done * 100 // self.rules if self.rules else 0

    @property
    def counts(self) -> list[tuple[str, int]]:
        return [(Verdict(one).label, number) for one in Verdict.values if (number := self.decided.get(one, 0))]


def progress(review: Review | None, rules: int) -> Progress:
    """How far the review is (two queries)."""
    if review is None:
        return Progress(rules, {}, 0)
    held = dict(review.decisions.holding(review.project_id).order_by().values_list("verdict").annotate(Count("pk")))
    return Progress(rules, held, review.decisions.count() - sum(held.values()))


ListsChange = tuple[SecurityGroup, tuple[RuleValue, ...], tuple[RuleValue, ...]]


def lists_after(review: Review) -> list[ListsChange]:
    """The groups that change when the review is applied, each with its list now and then (three queries)."""
    wanted: dict[int, dict[str, DecidedRule]] = {}
    for one in review.decisions.holding(review.project_id).exclude(verdict=Verdict.KEEP):
        wanted.setdefault(one.group_id, {})[one.uid] = one
    groups = SecurityGroup.objects.filter(pk__in=wanted).order_by("name", "pk")
    lists = rules_of_groups(wanted, dear=True)
    found = []
    for group in groups:
        group.project = review.project
        new = tuple(
            rule for old in lists[group.pk] if (rule := decided_rule(old, wanted[group.pk].get(old.uid))) is not None
        )
        if new != lists[group.pk]:
            found.append((group, lists[group.pk], new))
    return found


def decided_rule(rule: RuleValue, one: DecidedRule | None) -> RuleValue | None:
    """What becomes of the rule; None where it goes."""
    if one is None or one.verdict == Verdict.KEEP:
        return rule
    if one.verdict == Verdict.REMOVE:
        return None
    if one.verdict == Verdict.OFF:
        return replace(rule, enabled=False)
    return narrowed_rule(rule, one.narrowed or {})


def narrowed_rule(rule: RuleValue, fields: Mapping[str, Any]) -> RuleValue:
    """The rule with these fields, as documents have them."""
    said: dict[str, Any] = {name: fields[name] for name in ("port_start", "port_end") if name in fields}
    said |= {name: _network(fields[name]) for name in ("source", "destination") if name in fields}
    return replace(rule, **said)


def _network(text: str | None) -> Network | None:
    return parse_network(text) if text else None
