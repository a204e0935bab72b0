"""Which rules stood on which VMs at many moments, from the revisions: a whole project's past in a few queries.

VMs that had the same lists at the same moments are one line, and a list that many days share is read once. Addresses are
those that the VMs have now, for of them there are no revisions; VMs that were moved away since are not told of.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby
from json import loads
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Q

from karenpanel.turns import weigh
from securitygroups.effective import Home, Placed, rules_of_groups
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Rule
from securitygroups.models import GroupRevision, MachineRevision, Project, SecurityGroup, VirtualMachine
from securitygroups.models import Rule as RuleRow

State = tuple[int, int]
"""A group's list: its key, and the number of the revision that has it."""
States = tuple[State, ...]
"""A VM's effective list."""
_Had = tuple[str | None, str | None, tuple[States | None, ...]]


@dataclass(frozen=True, slots=True)
class PastLimits:
    """How much is read: VMs, lists of earlier revisions, rules in all different effective lists together. What is looked
    at `aside` needs no turn."""

    machines: int
    lists: int
    rules: int
    aside: bool = False


class Line(NamedTuple):
    """VMs, so many of them, and the list that they had at each moment; None where they were not there."""

    ipv4: str | None
    ipv6: str | None
    lists: tuple[States | None, ...]
    machines: int


@dataclass(frozen=True, slots=True)
class Past:
    """`rules` are the effective lists, each as the lists that it is made of; VMs with others could not be looked at.
    `unseen` VMs were left out altogether."""

    lines: list[Line]
    rules: Mapping[States, list[tuple[Rule, ...]]]
    unseen: int


def past(project: Project, moments: Sequence[datetime], limits: PastLimits) -> Past:
    """The project's VMs as they were just before each of these moments, which are in order."""
    rows = VirtualMachine.objects.filter(project=project, created_at__lt=moments[-1])
    rows = rows.filter(Q(deleted_at=None) | Q(deleted_at__gte=moments[0])).order_by("pk")
    found = list(rows.values_list("pk", "ipv4", "ipv6", "created_at", "deleted_at")[: limits.machines + 1])
    unseen = rows.count() - limits.machines if len(found) > limits.machines else 0
    orders = _orders(project, [pk for pk, *_ in found[: limits.machines]], moments)
    public_ids = {group for its in orders.values() for order in its for group in order or ()}
    groups = SecurityGroup.objects.filter(project=project, public_id__in=public_ids)
    keys = {public_id: (pk, newest) for public_id, pk, newest in groups.values_list("public_id", "pk", "revision")}
    numbers = _numbers([pk for pk, _ in keys.values()], moments)

    def lists(pk: int, created: datetime, deleted: datetime | None) -> Iterator[States | None]:
        for at, (moment, order) in enumerate(zip(moments, orders[pk], strict=True)):
            there = order is not None and created < moment and (deleted is None or deleted >= moment)
            pks = [keys[group][0] for group in order or () if group in keys]
            yield tuple((one, numbers[one][at]) for one in pks) if there else None

    had: list[_Had] = []
    same: dict[Any, tuple[States | None, ...]] = {}
    for pk, ipv4, ipv6, created, deleted in found[: limits.machines]:
        # Most VMs have had the same: their lists are put together once.
        lived = (
            orders[pk],
            tuple(created < one for one in moments),
            deleted and tuple(deleted >= one for one in moments),
        )
        if lived not in same:
            same[lived] = tuple(lists(pk, created, deleted))
        had.append((ipv4, ipv6, same[lived]))
    rules = _rules(had, dict(keys.values()), limits)
    return Past(_lines(had, rules), rules, unseen)


def _lines(had: Iterable[_Had], rules: Mapping[States, list[tuple[Rule, ...]]]) -> list[Line]:
    """Where no rule names a destination, VMs do not differ by their addresses, only by whether they have any."""
    aimed = {states for states, lists in rules.items() if any(map(_is_aimed, chain.from_iterable(lists)))}
    counted: Counter[_Had] = Counter()
    first: dict[Any, tuple[str | None, str | None]] = {}
    for ipv4, ipv6, lists in had:
        addresses = (ipv4, ipv6)
        if not aimed or aimed.isdisjoint(lists):
            addresses = first.setdefault((bool(ipv4), bool(ipv6), lists), addresses)
        counted[(*addresses, lists)] += 1
    return [Line(*one, number) for one, number in counted.items()]


def _is_aimed(rule: Rule) -> bool:
    return rule.destination is not None and rule.direction is Direction.IN


_CHANGES = """
SELECT DISTINCT ON (one.id, step) one.id, width_bucket(r.at, %(moments)s::timestamptz[]) AS step, {columns}
FROM unnest(%(ids)s::bigint[]) AS one (id)
LEFT JOIN LATERAL (
    SELECT b.number FROM {table} b WHERE b.{of} = one.id AND b.at < %(first)s ORDER BY b.number DESC LIMIT 1
) base ON true
JOIN {table} r ON r.{of} = one.id AND r.number >= coalesce(base.number, 0) AND r.at < %(last)s
ORDER BY one.id, step, r.number DESC
"""
_MACHINE = ("machine_id", "r.project_id, ARRAY(SELECT one ->> 'id' FROM jsonb_array_elements(r.groups) one)")
_GROUP = ("group_id", "r.number")


def _changes(
    model: type[GroupRevision | MachineRevision],
    said: tuple[str, str],
    ids: Collection[int],
    moments: Sequence[datetime],
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """Of each, what it was at every moment; None before it was anything (one query).

    What is read is what was changed since the first moment, however long the history is.
    """
    of, columns = said
    statement = _CHANGES.format(table=model._meta.db_table, of=of, columns=columns)
    known: dict[str, Any] = {"ids": list(ids), "moments": list(moments), "first": moments[0], "last": moments[-1]}
    with connection.cursor() as cursor:
        cursor.execute(statement, known)
        rows = cursor.fetchall()
    for pk, its in groupby(rows, key=lambda row: row[0]):
        steps = {step: tuple(what) for _, step, *what in its}
        now: Any = None
        yield pk, [now := steps.get(at, now) for at in range(len(moments))]


def _orders(project: Project, ids: Sequence[int], moments: Sequence[datetime]) -> dict[int, tuple[Any, ...]]:
    """The groups of each VM at every moment, by public ID; None while it was in another project."""
    found: dict[int, tuple[Any, ...]] = dict.fromkeys(ids, ((),) * len(moments))
    for pk, its in _changes(MachineRevision, _MACHINE, ids, moments):
        found[pk] = tuple(() if was is None else tuple(was[1]) if was[0] == project.pk else None for was in its)
    return found


def _numbers(ids: Sequence[int], moments: Sequence[datetime]) -> dict[int, list[int]]:
    """The revision of each group at every moment; 0 before the first."""
    found = {pk: [0] * len(moments) for pk in ids}
    for pk, its in _changes(GroupRevision, _GROUP, ids, moments):
        found[pk] = [was[0] if was else 0 for was in its]
    return found


def _rules(had: Iterable[_Had], newest: Mapping[int, int], limits: PastLimits) -> dict[States, list[tuple[Rule, ...]]]:
    """The lists, those that most VMs had for longest first, as far as the limits go."""
    chosen, earlier, work = _chosen(_by_use(had), newest, limits)
    if not limits.aside:
        weigh(work)
    used = {one for states in chosen for one in states}
    now = rules_of_groups(pk for pk, number in used if number == newest[pk])
    lists = _earlier(earlier) | {one: now[one[0]] for one in used if one[1] == newest[one[0]]}
    return {states: [lists.get(one, ()) for one in states] for states in chosen}


def _by_use(had: Iterable[_Had]) -> list[States]:
    """The effective lists, those that most VMs had for longest first."""
    counted = Counter(states for _, _, lists in had for states in lists if states is not None)
    return [states for states, _ in counted.most_common()]


def _chosen(
    by_use: Iterable[States], newest: Mapping[int, int], limits: PastLimits
) -> tuple[list[States], Collection[State], int]:
    """As many as the limits let, the earlier revisions that have to be read for them, and how many rules that is."""
    rows = RuleRow.objects.filter(group__in=newest).order_by()
    # How long a list was is known once it is read; it is mostly as long as now.
    sizes: dict[int, int] = dict(rows.values_list("group").annotate(Count("pk")))
    chosen: list[States] = []
    earlier: dict[State, None] = {}
    work = 0
    for states in by_use:
        work += sum(sizes.get(pk, 1) for pk, _ in states)
        fresh = dict.fromkeys(one for one in states if one[1] and one[1] != newest[one[0]] and one not in earlier)
        if chosen and (work > limits.rules or len(earlier) + len(fresh) > limits.lists):
            break
        chosen.append(states)
        earlier |= fresh
    return chosen, earlier, work


def _earlier(states: Collection[State]) -> dict[State, tuple[Rule, ...]]:
    """The lists as those revisions left them (one query)."""
    if not states:
        return {}
    pks, numbers = zip(*states, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pk, number, securitygroups_rules_at(pk, number)"
            " FROM unnest(%s::bigint[], %s::integer[]) AS one (pk, number)",
            [list(pks), list(numbers)],
        )
        found = cursor.fetchall()
    return {(pk, number): rules_from_stored(loads(rules)) for pk, number, rules in found}


def listed_then(project: int, made_of: Sequence[tuple[str, int]]) -> list[Placed] | None:
    """The list that is made of these groups of the project, each by its public ID and with the rules of that revision; deleted
    groups too. None where one of them is not to be found (two queries)."""
    groups = SecurityGroup.objects.filter(project=project, public_id__in=[public_id for public_id, _ in made_of])
    homes = {group.public_id: Home.of(group) for group in groups}
    if any(public_id not in homes for public_id, _ in made_of):
        return None
    states = [(homes[public_id].pk, number) for public_id, number in made_of]
    rules = _earlier(states)
    parts = zip(made_of, states, strict=True)
    listed = [
        Placed(rule, homes[public_id], place)
        for (public_id, _), state in parts
        for place, rule in enumerate(rules[state], 1)
    ]
    weigh(len(listed))
    return listed
