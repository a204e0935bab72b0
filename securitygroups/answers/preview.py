"""What a change would do, in words: newly allowed, newly denied, on which VMs, which rules become dead, what to ask about."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import thread_time
from typing import Any

from django.db.models import Count, QuerySet

from securitygroups.answers.alarms import denials, lockout, openings
from securitygroups.answers.dead import MAX_LINES, DeadSearch
from securitygroups.effective import Fleet, Limits, Name, Placed, Vm, fleet, fleet_of, placed
from securitygroups.firewall.analysis.difference import (
    Difference,
    Shared,
    changed_places,
    difference,
    difference_of_parts,
)
from securitygroups.firewall.deeds import Order
from securitygroups.firewall.values import RuleList
from securitygroups.models import Attachment, Rule, SecurityGroup, VirtualMachine
from securitygroups.words.traffic import change_sentence

MAX_COMPARED = 300_000
"""Rules in the different lists of VMs that one change is compared on: most VMs first."""
SECONDS = 2.0
"""How long one preview goes on with new lists once they are read, in processor time of its own: what a person is asked
must not hang on who else is busy.
"""
MANY_CHANGED, MAX_CROSSED = 100, 8_000_000
"""Where more rules change, each of them takes longer the more others it may meet: changed rules by other rules."""
MAX_EFFECTS = 50
"""Different effects that are shown, those on most VMs first."""
LAID_OPEN = 3
"""Of these, so many at once and the others folded: each takes up to a screen."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes on some VMs (or in the list itself where `machines` is empty), in sentences."""

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    more: int
    too_fine: bool
    machines: tuple[Vm, ...] = ()

    @property
    def count(self) -> int:
        return len(self.machines)


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything a person is told before a change. `alarms` are asked about once more, in words.

    `newly_dead` is about the list itself and about the VMs' effective lists; on `dead_unseen` VMs nobody looked for
    those, and on `unseen` VMs for nothing. `differences` is what the effects say, as data.
    """

    effects: tuple[Effect, ...]
    machine_count: int
    unaffected: int
    unseen: int = 0
    newly_dead: tuple[str, ...] = ()
    dead_unseen: int = 0
    alarms: tuple[str, ...] = ()
    decides_same: bool = False
    attached: bool = True
    differences: Sequence[tuple[Difference, Sequence[Vm]]] = ()

    @property
    def shown(self) -> tuple[Effect, ...]:
        return self.effects[: min(LAID_OPEN, MAX_EFFECTS)]

    @property
    def folded(self) -> tuple[Effect, ...]:
        return self.effects[LAID_OPEN:MAX_EFFECTS]

    @property
    def folded_machines(self) -> int:
        return sum(effect.count for effect in self.folded)

    @property
    def unshown(self) -> int:
        """On how many VMs something changes that is not shown."""
        return sum(effect.count for effect in self.effects[MAX_EFFECTS:])

    @property
    def means(self) -> frozenset[Any]:
        """The traffic of the effects, without rules and places, to compare: dear, and seldom asked for."""
        return frozenset(_meaning(change, machines) for change, machines in self.differences)

    @property
    def changes_traffic(self) -> bool:
        return not self.decides_same or bool(self.unseen)

    def says_nothing_new(self, shown: "Preview") -> bool:
        """Whether who was shown the other one has been told all of this one, whatever places rules have by now."""
        return (
            (self.means, self.newly_dead, self.unseen) == (shown.means, shown.newly_dead, shown.unseen)
            and self.dead_unseen == shown.dead_unseen
            and set(self.alarms) <= set(shown.alarms)
        )

    @property
    def worth_a_look(self) -> bool:
        """Whether to show it before the change is made: what passes changes, or a rule never acts."""
        return self.changes_traffic or bool(self.newly_dead)


def _effect(change: Difference, before: Name | None = None, after: Name | None = None) -> Effect:
    allowed = [change_sentence(line, True, before, after) for line in change.newly_allowed[:MAX_LINES]]
    denied = [change_sentence(line, False, before, after) for line in change.newly_denied[:MAX_LINES]]
    hidden = max(0, len(change.newly_allowed) - MAX_LINES) + max(0, len(change.newly_denied) - MAX_LINES)
    return Effect(
        allowed=tuple(allowed),
        denied=tuple(denied),
        more=hidden + change.omitted_allowed + change.omitted_denied,
        too_fine=bool(change.unknown),
    )


def preview_rules(
    group: SecurityGroup, old: RuleList, new: RuleList, *, address: str = "", clock: Clock = thread_time
) -> Preview:
    """What it means to replace the group's list `old` by `new`, on each VM that has the group.

    `address` is where the person asking is connected from, for the lockout warning. By the `clock` nothing new is begun
    once the time for it has passed.
    """
    machines = VirtualMachine.objects.live().filter(attachments__group=group).order_by("name")
    changed = sum(map(len, changed_places(old, new)))
    most = MAX_COMPARED if changed <= MANY_CHANGED else min(MAX_COMPARED, MAX_CROSSED // changed)
    before = fleet(machines, Limits(most, most, trim=True), {group.pk: old})
    end = clock() + SECONDS
    # Searched before anything else, because it can be said of a group that is on no VM too.
    dying = DeadSearch()
    if changed:
        dying.of_group(placed(group, old), placed(group, new))
    if not before.machines:
        return _on_no_vm(old, new, dying)
    compared = _compared(before, before.with_rules(group, new), late=lambda: clock() > end)
    if changed:
        # The combinations that most VMs have come first. On a VM with this group alone its own list is the answer.
        for one in compared:
            if one.groups == 1:
                continue
            if clock() > end:
                dying.pass_over(one.machines)
            else:
                dying.of_machines(one.before(), one.after(), one.machines)
    return _preview(before, compared, dying, address)


def preview_new(group: SecurityGroup, rules: RuleList) -> Preview:
    """What a group that is still to be made lets through (no query)."""
    dying = DeadSearch()
    dying.of_group([], placed(group, rules))
    return _on_no_vm((), rules, dying)


def _on_no_vm(old: RuleList, new: RuleList, dying: DeadSearch) -> Preview:
    """What it would mean on a VM that has this group alone."""
    own = difference(old, new)
    return replace(_alone(own), newly_dead=dying.sentences(), alarms=tuple(openings([own])), attached=False)


@dataclass(frozen=True, slots=True)
class _Compared:
    """One distinct list before and after the change, and the VMs that have it."""

    change: Difference
    machines: list[Vm]
    groups: int
    before: Callable[[], list[Placed]]
    after: Callable[[], list[Placed]]
    names: tuple[Name, Name]

    @property
    def effect(self) -> Effect:
        return _effect(self.change, *self.names)


def _compared(before: Fleet, after: Fleet, late: Callable[[], bool] = lambda: False) -> list[_Compared]:
    """Each VM's list now and then, once for all VMs that have the same groups.

    Once `late` says so, no further ones; the list that most VMs have is always compared.
    """
    shared = Shared()
    compared: list[_Compared] = []
    for its, machines in enumerate(before.members()):
        if compared and late():
            break
        one = _Compared(
            change=_changed(before, after, its, shared),
            machines=machines,
            groups=len(before.sequences[its]),
            before=partial(before.listed, its),
            after=partial(after.listed, its),
            names=(before.names(its), after.names(its)),
        )
        compared.append(one)
    return compared


def _changed(before: Fleet, after: Fleet, its: int, shared: Shared) -> Difference:
    if before.sequences[its] != after.sequences[its]:
        return difference(before.rules(its), after.rules(its))
    groups = before.sequences[its]
    return difference_of_parts(
        [before.groups[pk].rules for pk in groups], [after.groups[pk].rules for pk in groups], shared
    )


def _preview(before: Fleet, compared: Sequence[_Compared], dying: DeadSearch, address: str) -> Preview:
    effects = [(one.effect, one.machines) for one in compared if not one.change.decides_same]
    touched = sum(len(machines) for _, machines in effects)
    looked_at = sum(len(one.machines) for one in compared)
    machine_count = len(before.machines) + before.unseen
    alarms = [alarm for one in compared for alarm in lockout(one.change, one.machines, address)]
    alarms += openings([one.change for one in compared])
    alarms += denials(sum(len(one.machines) for one in compared if one.change.newly_denied))
    return Preview(
        effects=_merged(effects),
        machine_count=machine_count,
        unaffected=looked_at - touched,
        unseen=machine_count - looked_at,
        newly_dead=dying.sentences(),
        dead_unseen=dying.unseen,
        alarms=tuple(dict.fromkeys(alarms)),
        decides_same=not effects,
        differences=[(one.change, one.machines) for one in compared if not one.change.decides_same],
    )


def preview_lists(old: RuleList, new: RuleList) -> Preview:
    """Two lists compared by themselves, whatever VMs they are on."""
    return _alone(difference(old, new))


def _alone(change: Difference) -> Preview:
    effects = () if change.decides_same else (_effect(change),)
    return Preview(
        effects=effects, machine_count=0, unaffected=0, decides_same=change.decides_same, differences=[(change, ())]
    )


def _meaning(change: Difference, machines: Sequence[Vm]) -> tuple[Any, ...]:
    """What a difference says of traffic, to compare."""
    sides = (frozenset(line.product for line in lines) for lines in (change.newly_allowed, change.newly_denied))
    omitted = change.omitted_allowed, change.omitted_denied
    return (*sides, change.unknown, omitted, frozenset(machine.pk for machine in machines))


@dataclass(frozen=True, slots=True)
class Planned:
    """A group that is still to be made, with the key 0 and the rules that it will have."""

    group: SecurityGroup
    rules: RuleList

    def among(self, its: Fleet) -> Fleet:
        return its.with_rules(self.group, self.rules)


def preview_groups(
    machine: VirtualMachine,
    before: Sequence[SecurityGroup],
    after: Sequence[SecurityGroup],
    *,
    planned: Planned | None = None,
    address: str = "",
) -> Preview:
    """What it means to replace the VM's ordered groups; one of those after may be only planned."""
    # Read once: groups that are on it before and after have one list.
    stored = [group for group in dict.fromkeys((*before, *after)) if group.pk]
    known = fleet_of(machine, stored)
    known = planned.among(known) if planned else known
    now, then = known.with_groups(before), known.with_groups(after)
    dying = DeadSearch()
    if now.sequences != then.sequences:
        dying.of_machine(now.listed(0), then.listed(0))
    return _preview(now, _compared(now, then), dying, address)


def preview_together(
    changes: Sequence[tuple[SecurityGroup, RuleList, RuleList]], *, address: str = "", clock: Clock = thread_time
) -> Preview:
    """What it means that several groups get other lists at once, old and new: what two groups of a VM both let through is
    only denied when it goes from both."""
    if len(changes) == 1:
        return preview_rules(*changes[0], address=address, clock=clock)
    attached = Attachment.objects.filter(group__in=[group for group, _, _ in changes]).values("machine")
    # With the projects: for many groups the database would read the VMs of all of them.
    theirs = VirtualMachine.objects.live().filter(project__in={group.project_id for group, _, _ in changes})
    machines = theirs.filter(pk__in=attached).order_by("name")
    before = fleet(
        machines, Limits(MAX_COMPARED, MAX_COMPARED, trim=True), {group.pk: old for group, old, _ in changes}
    )
    after, end = before, clock() + SECONDS
    for group, _, new in changes:
        after = after.with_rules(group, new)
    compared = _compared(before, after, late=lambda: clock() > end)
    return replace(_preview(before, compared, DeadSearch(), address), attached=bool(before.machines))


def preview_orders(
    machines: QuerySet[VirtualMachine],
    edit: Callable[[Order], Order],
    brings: Sequence[SecurityGroup],
    *,
    planned: Planned | None = None,
    address: str = "",
    clock: Clock = thread_time,
) -> Preview:
    """What it means that each of the VMs has what the edit makes of its groups; `brings`, or one that is only planned, may
    be new among them."""
    before = fleet(machines, Limits(MAX_COMPARED, MAX_COMPARED, trim=True))
    before = planned.among(before) if planned else before
    return _reordered(before, before.with_orders(map(edit, before.sequences), brings), address, clock)


def preview_each(
    machines: QuerySet[VirtualMachine],
    after: Mapping[int, Order],
    brings: Sequence[SecurityGroup],
    *,
    made: Sequence[tuple[Vm, Order]] = (),
    address: str = "",
) -> Preview:
    """What it means that each of the VMs has what `after` says of it, by key, and that others are `made` with groups;
    `brings` may be new among these groups."""
    read = fleet(machines, Limits(MAX_COMPARED, MAX_COMPARED, trim=True))
    # VMs with the same groups may get different ones: a list for each pair of both.
    pairs = [(read.sequences[its], after[vm.pk]) for vm, its in zip(read.machines, read.sequence_of, strict=True)]
    vms, pairs = [*read.machines, *(vm for vm, _ in made)], [*pairs, *(((), order) for _, order in made)]
    fits = _affordable(pairs, {*read.groups, *(group.pk for group in brings)})
    numbers = {pair: number for number, pair in enumerate(fits)}
    kept = [(vm, numbers[pair]) for vm, pair in zip(vms, pairs, strict=True) if pair in numbers]
    before = replace(
        read,
        machines=tuple(vm for vm, _ in kept),
        sequences=tuple(old for old, _ in numbers),
        sequence_of=tuple(number for _, number in kept),
        unseen=read.unseen + len(vms) - len(kept),
    )
    used = {pk for _, new in numbers for pk in new}
    brings = [group for group in brings if group.pk in used]
    return _reordered(before, before.with_orders((new for _, new in numbers), brings), address, thread_time)


def _affordable(pairs: Sequence[tuple[Order, Order]], groups: set[int]) -> list[tuple[Order, Order]]:
    """The pairs of lists, before and after, that are compared: those of most VMs first (one query)."""
    sizes = dict(Rule.objects.filter(group__in=groups).order_by().values_list("group").annotate(Count("pk")))
    kept: list[tuple[Order, Order]] = []
    work = 0
    for pair, _ in Counter(pairs).most_common():
        work += sum(sizes.get(pk, 0) for order in pair for pk in order)
        if kept and work > MAX_COMPARED:
            break
        kept.append(pair)
    return kept


def _reordered(before: Fleet, after: Fleet, address: str, clock: Clock) -> Preview:
    end = clock() + SECONDS
    compared = _compared(before, after, late=lambda: clock() > end)
    dying = DeadSearch()
    for one in compared:
        if clock() > end:
            dying.pass_over(one.machines)
        else:
            dying.of_machines(one.before(), one.after(), one.machines)
    return _preview(before, compared, dying, address)


def preview_regrouped(
    machines: QuerySet[VirtualMachine], after: Sequence[SecurityGroup], *, address: str = ""
) -> Preview:
    """What it means that all these VMs have these groups instead of their own; without any, everything is denied."""
    its = tuple(group.pk for group in after)
    return preview_orders(machines, lambda _: its, after, address=address)


def _merged(effects: Sequence[tuple[Effect, list[Vm]]]) -> tuple[Effect, ...]:
    """One effect for all VMs on which the same sentences hold, most VMs first."""
    same: dict[Effect, list[Vm]] = {}
    for effect, machines in effects:
        same.setdefault(effect, []).extend(machines)
    merged = [replace(effect, machines=tuple(machines)) for effect, machines in same.items()]
    return tuple(sorted(merged, key=lambda effect: -effect.count))
