"""The only reader of effective lists: which rules stand where on a VM, and what they would be after a change.

A VM's effective list is its groups' lists, one after the other, in the order in which they are attached. Many VMs share
few lists, so VMs are read as a fleet: the distinct sequences of groups, each with its VMs, and each group's list once.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from karenpanel.turns import weigh
from securitygroups.firewall.deeds import Order
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.steps import followed
from securitygroups.firewall.values import RULE_FIELDS, Rule, RuleList
from securitygroups.models import (
    Asked,
    Attachment,
    Given,
    GroupRevision,
    MachineRevision,
    Project,
    SecurityGroup,
    VirtualMachine,
)
from securitygroups.models import Rule as RuleRow


@dataclass(frozen=True, slots=True)
class Home:
    """The group that a rule of an effective list stands in."""

    pk: int
    public_id: str
    name: str

    @classmethod
    def of(cls, group: SecurityGroup) -> "Home":
        return cls(group.pk, group.public_id, group.name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule where people find it: its group, and its place there, from 1."""

    rule: Rule
    group: Home
    place: int

    @property
    def text(self) -> str:
        """As every page, record and warning says it: "web, rule 2"."""
        return f"{self.group.name}, rule {self.place}"

    @property
    def group_id(self) -> str:
        """The group in addresses."""
        return self.group.public_id

    @property
    def uid(self) -> str:
        return self.rule.uid


Listed = Sequence[Placed]
Name = Callable[[int], str]
"""Says a place of an effective list, from 1, in words."""


def placed(group: SecurityGroup, rules: RuleList) -> list[Placed]:
    """A group's list with every rule's place."""
    home = Home.of(group)
    return [Placed(rule, home, place) for place, rule in enumerate(rules, 1)]


def rules_of(listed: Listed) -> tuple[Rule, ...]:
    """The list as the evaluator takes it."""
    return tuple(one.rule for one in listed)


def names_of(listed: Listed) -> Name:
    """What the places of the list are called."""
    return lambda place: listed[place - 1].text


def _columns(rows: QuerySet[RuleRow], *by: str) -> QuerySet[RuleRow, tuple[Any, ...]]:
    """What `_rules` reads: values without model instances, on which a list of a thousand rules would spend most of its
    time."""
    return rows.values_list(*RULE_FIELDS, "uid", *by)


_OF_GROUP = Asked(lambda: _columns(RuleRow.objects.filter(group=Given("group")).order_by("position")))
_ACTIONS = {one.value: one for one in Action}
_DIRECTIONS = {one.value: one for one in Direction}


def _rules(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Rule]]:
    """The rules of such rows, each with the columns that say where it belongs."""
    # By place, for a hundred thousand of them are read at once.
    own = len(RULE_FIELDS) - 1
    for action, direction, *said in rows:
        yield tuple(said[own:]), Rule(_ACTIONS[action], _DIRECTIONS[direction], *said[:own])


def rules_of_group(group: SecurityGroup) -> tuple[Rule, ...]:
    """The group's own list as it is now (one query)."""
    return tuple(rule for _, rule in _rules(_OF_GROUP(group=group.pk)))


def rules_of_groups(group_ids: Iterable[int], *, dear: bool = False) -> dict[int, tuple[Rule, ...]]:
    """The lists of some groups (one query); `dear` where what they are read for is."""
    lists: dict[int, list[Rule]] = {pk: [] for pk in group_ids}
    if lists:
        rows = RuleRow.objects.filter(group__in=lists).in_order()
        for (pk,), rule in _rules(_columns(rows, "group_id")):
            lists[pk].append(rule)
    if dear:
        weigh(sum(map(len, lists.values())))
    return {pk: tuple(rules) for pk, rules in lists.items()}


def rules_at(group: SecurityGroup, number: int) -> tuple[Rule, ...]:
    """The group's list as revision `number` left it (one query). Raises GroupRevision.DoesNotExist."""
    stored = stored_at(group, group.revisions.filter(number=number))
    if stored is None:
        raise GroupRevision.DoesNotExist
    return rules_from_stored(stored)


def stored_at(group: SecurityGroup, which: QuerySet[GroupRevision]) -> Sequence[Mapping[str, Any]] | None:
    """The list of the first of these revisions of the group, as it is on record; None where there is none.

    A revision that has no whole list stands on those before it, back to the newest that has one: few, and in one query.
    """
    number, whole_in = (
        which.values("number")[:1],
        which.values(since=Coalesce("whole_in", "number", output_field=IntegerField()))[:1],
    )
    rows = GroupRevision.objects.filter(
        group=group, number__gte=Subquery(whole_in), number__lte=Subquery(number)
    ).order_by("number")
    stored: Sequence[Mapping[str, Any]] | None = None
    for rules, its_steps in rows.values_list("rules", "steps"):
        stored = rules if its_steps is None else followed(stored or (), its_steps)
    return stored


def of_group(group: SecurityGroup, at: datetime | None = None) -> list[Placed]:
    """The group's list, or as it was at a moment: empty before it was made (one query)."""
    if at is None:
        return placed(group, rules_of_group(group))
    stored = stored_at(group, group.revisions.filter(at__lte=at).order_by("-number"))
    return placed(group, rules_from_stored(stored or ()))


def of_machine(machine: VirtualMachine, at: datetime | None = None) -> list[Placed]:
    """The VM's effective list (one query), or as it was at a moment: the groups that it had then, each with its rules of
    then. Empty where it was in another project then: what held there is that customer's business.
    """
    listed = (
        _listed_now(machine) if at is None else [one for group in groups_at(machine, at) for one in of_group(group, at)]
    )
    # Read it is soon; whatever is asked of it takes longer.
    weigh(len(listed))
    return listed


def _listed_now(machine: VirtualMachine) -> list[Placed]:
    rows = RuleRow.objects.filter(group__attachments__machine=machine)
    rows = rows.order_by("group__attachments__position", "position")
    # One Home a group, not one a rule.
    homes: dict[int, Home] = {}
    found = _rules(_columns(rows, "group_id", "group__public_id", "group__name", "position"))
    return [
        Placed(rule, homes.setdefault(pk, Home(pk, public_id, name)), place)
        for (pk, public_id, name, place), rule in found
    ]


def revision_at(machine: VirtualMachine, at: datetime) -> MachineRevision | None:
    """The VM's groups at a moment; None where it was not there yet, or in another project."""
    revision = machine.revisions.filter(at__lte=at).order_by("-number").first()
    return revision if revision and revision.project_id == machine.project_id else None


def groups_at(machine: VirtualMachine, at: datetime) -> list[SecurityGroup]:
    """The groups that the VM had at a moment, in order; deleted ones too."""
    revision = revision_at(machine, at)
    ids = [group["id"] for group in revision.groups] if revision else []
    groups = SecurityGroup.objects.filter(project=machine.project_id, public_id__in=ids)
    found = {group.public_id: group for group in groups}
    return [found[public_id] for public_id in ids]


def groups_of_revision(machine: VirtualMachine, number: int) -> list[SecurityGroup] | None:
    """The VM's groups as revision `number` left them; None where one of them is gone or there is no such revision.

    A revision from before the VM was moved into its project is none: it is another customer's.
    """
    revision = machine.own_revisions().filter(number=number).first()
    if revision is None:
        return None
    ids = [group["id"] for group in revision.groups]
    live = SecurityGroup.objects.live().filter(project=machine.project_id, public_id__in=ids)
    found = {group.public_id: group for group in live}
    return [found[public_id] for public_id in ids] if len(found) == len(ids) else None


class TooLarge(Exception):
    """The VMs asked about have more rules, stored or effective, than are looked at at once."""

    def __init__(self, rules: int) -> None:
        super().__init__(f"{rules} rules are too many")
        self.rules = rules


@dataclass(frozen=True, slots=True)
class Limits:
    """How many rules are read, and how many the distinct lists may have together.

    What is over them raises TooLarge; with `trim` the lists that fewest VMs have are left out and counted instead. What is
    only looked at `aside`, for a part of a page that is bounded otherwise, needs no turn however many rules there are.
    """

    stored: int
    effective: int
    trim: bool = False
    aside: bool = False


class Vm(NamedTuple):
    """A VM as far as analyses and their pages have to know it: ten thousand of them are read at once."""

    pk: int
    public_id: str
    name: str
    ipv4: str | None
    ipv6: str | None

    @classmethod
    def of(cls, machine: VirtualMachine) -> "Vm":
        return cls(machine.pk, machine.public_id, machine.name, machine.ipv4, machine.ipv6)

    def __str__(self) -> str:
        return self.name

    @property
    def addresses(self) -> list[str]:
        return [address for address in (self.ipv4, self.ipv6) if address]


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a fleet with its list."""

    home: Home
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Fleet:
    """VMs with their lists: `sequences` are the distinct orders of groups, by key, and `sequence_of` tells each VM's.

    `unseen` counts the VMs that the limits left out; they are not among `machines`.
    """

    machines: tuple[Vm, ...]
    sequences: tuple[Order, ...]
    sequence_of: Order
    groups: Mapping[int, Group]
    unseen: int = 0
    _ends: dict[int, list[int]] = field(default_factory=dict, compare=False)

    def rules(self, sequence: int) -> tuple[Rule, ...]:
        """The effective list of a sequence."""
        return tuple(rule for pk in self.sequences[sequence] for rule in self.groups[pk].rules)

    def spot(self, sequence: int, place: int) -> tuple[int, int]:
        """The group, by key, that a place of an effective list belongs to, and its place there."""
        ends = self._ends.get(sequence)
        if ends is None:
            lengths = (len(self.groups[pk].rules) for pk in self.sequences[sequence])
            ends = self._ends[sequence] = list(accumulate(lengths))
        index = bisect_left(ends, place)
        return self.sequences[sequence][index], place - (ends[index - 1] if index else 0)

    def at(self, sequence: int, place: int) -> Placed:
        """A place of an effective list, from 1, as people know it."""
        pk, own = self.spot(sequence, place)
        group = self.groups[pk]
        return Placed(group.rules[own - 1], group.home, own)

    def names(self, sequence: int) -> Name:
        """What the places of a sequence's list are called."""
        return lambda place: self.at(sequence, place).text

    def listed(self, sequence: int) -> list[Placed]:
        """The effective list of a sequence, every rule with its place."""
        groups = [self.groups[pk] for pk in self.sequences[sequence]]
        return [Placed(rule, one.home, place) for one in groups for place, rule in enumerate(one.rules, 1)]

    def members(self) -> list[list[Vm]]:
        """The VMs of each sequence, in the fleet's order."""
        found: list[list[Vm]] = [[] for _ in self.sequences]
        for vm, sequence in zip(self.machines, self.sequence_of, strict=True):
            found[sequence].append(vm)
        return found

    def with_rules(self, group: SecurityGroup, rules: RuleList) -> "Fleet":
        """The same VMs when the group has this list: what a proposal of rules means."""
        changed = {**self.groups, group.pk: Group(Home.of(group), tuple(rules))}
        return replace(self, groups=changed, _ends={})

    def with_groups(self, groups: Sequence[SecurityGroup]) -> "Fleet":
        """The same VMs when they have these groups, whose lists are read where they are not here yet."""
        known = self._with(groups)
        return _fleet(self.machines, [tuple(group.pk for group in groups)] * len(self.machines), known, self.unseen)

    def with_orders(self, orders: Iterable[Order], groups: Sequence[SecurityGroup]) -> "Fleet":
        """The same VMs with another order instead of each of `sequences`; `groups` are those that it may bring."""
        return replace(self, sequences=tuple(orders), groups=self._with(groups), _ends={})

    def _with(self, groups: Sequence[SecurityGroup]) -> dict[int, Group]:
        fresh = [group for group in groups if group.pk not in self.groups]
        lists = rules_of_groups((group.pk for group in fresh), dear=True)
        return {**self.groups, **{group.pk: Group(Home.of(group), lists[group.pk]) for group in fresh}}


def _fleet(machines: Sequence[Vm], order: Sequence[Order], groups: Mapping[int, Group], unseen: int = 0) -> Fleet:
    numbers: dict[Order, int] = {}
    sequence_of = tuple(numbers.setdefault(pks, len(numbers)) for pks in order)
    return Fleet(tuple(machines), tuple(numbers), sequence_of, groups, unseen)


def fleet_of(machine: VirtualMachine, groups: Sequence[SecurityGroup]) -> Fleet:
    """One VM with these groups, whatever is attached to it now: it may not be stored yet (one query)."""
    return _fleet([Vm.of(machine)], [()], {}).with_groups(groups)


def fleet(rows: QuerySet[VirtualMachine], limits: Limits, known: Mapping[int, RuleList] | None = None) -> Fleet:
    """The VMs with their lists, in four queries however many there are. `known` lists are not read again.

    Raises TooLarge over the limits, unless they say to trim. Lists that are long together are dear.
    """
    known = known or {}
    machines, order = _attached(rows)
    sizes = _sizes({pk for pks in order for pk in pks} - known.keys())
    unseen = 0
    if limits.trim:
        machines, order, unseen = _affordable(machines, order, sizes, limits.effective)
    else:
        _refuse(sum(sizes.values()), limits.stored)
        _refuse(sum(sizes.get(pk, 0) for pks in set(order) for pk in pks), limits.effective)
    if not limits.aside:
        lengths = sizes | {pk: len(rules) for pk, rules in known.items()}
        weigh(sum(lengths.get(pk, 0) for pks in set(order) for pk in pks))
    return _fleet(machines, order, _groups({pk for pks in order for pk in pks}, known), unseen)


_MARK = """
WITH chosen (id) AS ({chosen})
SELECT encode(sha256(convert_to(concat_ws('/',
    (SELECT string_agg(concat_ws(' ', m.id, m.revision, m.xmin), ',' ORDER BY m.id) FROM {machines} m JOIN chosen USING (id)),
    (SELECT string_agg(concat_ws(' ', g.id, g.revision, g.xmin), ',' ORDER BY g.id) FROM {groups} g
     WHERE g.project_id = %s AND g.deleted_at IS NULL)
), 'UTF8')), 'hex')
"""


def mark(project: Project, rows: QuerySet[VirtualMachine]) -> str:
    """A short text that is another one after whatever changes what `fleet` reads of these VMs (one query).

    Revisions count the changes of a VM's groups and of a group's rules. Names and addresses have none, so each row's
    version in the database counts too: by that, what was changed there and back is told from what was left alone.
    """
    chosen, params = rows.order_by().values("pk").query.sql_with_params()
    tables = {"machines": VirtualMachine._meta.db_table, "groups": SecurityGroup._meta.db_table}
    with connection.cursor() as cursor:
        cursor.execute(_MARK.format(chosen=chosen, **tables), [*params, project.pk])
        found: str = cursor.fetchone()[0]
    return f"{project.pk}:{found}"


def vms(rows: QuerySet[VirtualMachine]) -> list[Vm]:
    """The VMs alone (one query)."""
    return list(map(Vm._make, rows.values_list(*Vm._fields)))


def _attached(rows: QuerySet[VirtualMachine]) -> tuple[list[Vm], list[Order]]:
    """The VMs, and the groups of each, in order (one query)."""
    groups = Attachment.objects.filter(machine=OuterRef("pk")).order_by("position").values("group")
    found = rows.values_list(*Vm._fields, ArraySubquery(groups))
    machines: list[Vm] = []
    order: list[Order] = []
    for *vm, pks in found:
        machines.append(Vm(*vm))
        order.append(tuple(pks))
    return machines, order


def _groups(used: set[int], known: Mapping[int, RuleList]) -> dict[int, Group]:
    """The groups with their lists (two queries)."""
    # Two short queries: names joined to every rule would be sent a thousand times.
    lists = rules_of_groups(used - known.keys())
    homes = SecurityGroup.objects.filter(pk__in=used).only("public_id", "name")
    return {one.pk: Group(Home.of(one), tuple(known.get(one.pk, lists.get(one.pk, ())))) for one in homes}


def _sizes(group_ids: Iterable[int]) -> dict[int, int]:
    """How many rules each group has (one query)."""
    rows = RuleRow.objects.filter(group__in=set(group_ids)).order_by()
    return dict(rows.values_list("group").annotate(Count("pk")))


def _refuse(rules: int, most: int) -> None:
    if rules > most:
        raise TooLarge(rules)


def _affordable(
    machines: Sequence[Vm], order: Sequence[Order], sizes: Mapping[int, int], most: int
) -> tuple[list[Vm], list[Order], int]:
    """The VMs whose lists fit into `most` rules together, those that most VMs have first, and how many are left out."""
    counted: dict[Order, int] = {}
    for pks in order:
        counted[pks] = counted.get(pks, 0) + 1
    kept: set[Order] = set()
    work = 0
    for pks in sorted(counted, key=lambda pks: -counted[pks]):
        work += sum(sizes.get(pk, 0) for pk in pks)
        if kept and work > most:
            break
        kept.add(pks)
    pairs = [(vm, pks) for vm, pks in zip(machines, order, strict=True) if pks in kept]
    # The lists that most VMs have are looked at first, whatever their VMs are called.
    pairs.sort(key=lambda pair: -counted[pair[1]])
    return [vm for vm, _ in pairs], [pks for _, pks in pairs], len(machines) - len(pairs)
