"""The groups of many VMs, changed at once: one transaction, one line of the project's activity, one way back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, OuterRef, QuerySet
from django.utils import timezone

from securitygroups.firewall.deeds import Order
from securitygroups.models import Attachment, Event, MachineRevision, Project, SecurityGroup, VirtualMachine
from securitygroups.operations.by import By
from securitygroups.operations.machines import had_before, revised
from securitygroups.operations.records import Conflict, Verb, count, record

NAMED = 3
"""VMs that a line names; the others are counted."""
IN_ONE = 1000
"""Rows that one statement writes."""


@dataclass(frozen=True, slots=True)
class Regrouping:
    """Other groups for one VM, made from its revision `base`, at which it had those `before`."""

    machine: int
    base: int
    before: Order
    after: Order


@dataclass(frozen=True, slots=True)
class Lot:
    """Other groups for many VMs. `done` and `where` are what the record says around the VMs; `group` is what it is about.

    `groups` has every group that any of them has before or after, each with the revision that was looked at.
    """

    project: Project
    changes: tuple[Regrouping, ...]
    groups: Mapping[int, int]
    done: str
    where: str = ""
    group: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A VM as it is before something is done to many."""

    pk: int
    name: str
    revision: int
    order: Order


def standing(machines: QuerySet[VirtualMachine]) -> list[Standing]:
    """How these VMs stand, by key (one query)."""
    groups = Attachment.objects.filter(machine=OuterRef("pk")).order_by("position").values("group")
    rows = machines.order_by("pk").values_list("pk", "name", "revision", ArraySubquery(groups))
    return [Standing(pk, name, revision, tuple(order)) for pk, name, revision, order in rows]


@dataclass(frozen=True, slots=True)
class WayBack:
    """How a lot is taken back. The VMs of the names `left` have been changed since, or what they had is gone: they stay as
    they are. Of those that were `moved` to another project no more is told than how many there are: what they are called is
    that customer's business. `as_before`: what passes then is what passed before, and nobody has to be shown it.
    """

    lot: Lot
    left: tuple[str, ...]
    moved: int
    as_before: bool

    @property
    def stay(self) -> int:
        """VMs that are not among those that are taken back."""
        return len(self.left) + self.moved


def on_vms(names: Sequence[str]) -> str:
    """So many VMs, of which the first are named."""
    shown = list(names[:NAMED])
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return f"{count(len(names), 'VM')} ({', '.join([*shown, *more])})"


@transaction.atomic
def regroup_machines(*, lot: Lot, by: By) -> Event:
    """Give all of them their groups, or none. Returns the line on record, which lot_back takes.

    Raises Conflict where a VM or a group is not as it was looked at any more, or nothing is to be changed; ValidationError.
    """
    by.check()
    if not lot.changes:
        raise Conflict(None)
    _fits(change.after for change in lot.changes)
    groups = locked_groups(lot.project, lot.groups)
    if {pk: group.revision for pk, group in groups.items()} != dict(lot.groups):
        raise Conflict(None)
    machines = locked_machines(lot.project, (change.machine for change in lot.changes))
    if any(change.base != getattr(machines.get(change.machine), "revision", None) for change in lot.changes):
        raise Conflict(None)
    return _write(lot, machines, groups, by)


def _fits(orders: Iterable[Order]) -> None:
    for order in set(orders):
        if len(order) > settings.MAX_GROUPS_PER_MACHINE:
            raise ValidationError(f"A VM can have {settings.MAX_GROUPS_PER_MACHINE} groups.", code="quota")
        if len(set(order)) != len(order):
            raise ValidationError("A VM can have each group once.", code="twice")


def locked_groups(project: Project, pks: Iterable[int]) -> dict[int, SecurityGroup]:
    rows = SecurityGroup.objects.live().filter(project=project, pk__in=list(pks)).order_by("pk")
    return {group.pk: group for group in rows.select_for_update(no_key=True)}


def locked_machines(project: Project, pks: Iterable[int]) -> dict[int, VirtualMachine]:
    rows = VirtualMachine.objects.live().filter(project=project, pk__in=list(pks)).order_by("pk")
    return {machine.pk: machine for machine in rows.select_for_update(no_key=True)}


def _write(lot: Lot, machines: Mapping[int, VirtualMachine], groups: Mapping[int, SecurityGroup], by: By) -> Event:
    """As few statements for thousands of VMs as for one."""
    names = sorted(machines[change.machine].name for change in lot.changes)
    detail = {"reason": by.reason, "machines": len(names)}
    words = f"{lot.done} {on_vms(names)}{lot.where}"
    words = words if words.endswith(".") else f"{words}."
    said = record(lot.project, Verb.GROUPS_ATTACHED, words, by=by, group_id=lot.group, detail=detail)
    write_orders(lot.changes)
    VirtualMachine.objects.filter(pk__in=list(machines)).update(revision=F("revision") + 1, changed_at=timezone.now())
    revisions = []
    for change in lot.changes:
        machine = machines[change.machine]
        machine.project, machine.revision = lot.project, machine.revision + 1
        revision = revised(machine, [groups[pk] for pk in change.after], by)
        revision.together = said
        revisions.append(revision)
    MachineRevision.objects.bulk_create(revisions, batch_size=IN_ONE)
    return said


def write_orders(changes: Sequence[Regrouping]) -> None:
    """Write only what differs: most lots add or take one group of several."""
    going: dict[int, list[int]] = {}
    coming = []
    for change in changes:
        for pk in set(change.before) - set(change.after):
            going.setdefault(pk, []).append(change.machine)
        was = {pk: place for place, pk in enumerate(change.before, 1)}
        coming += [
            Attachment(machine_id=change.machine, group_id=pk, position=place)
            for place, pk in enumerate(change.after, 1)
            if was.get(pk) != place
        ]
    for pk, machines in going.items():
        Attachment.objects.filter(group=pk, machine__in=machines).delete()
    Attachment.objects.bulk_create(
        coming,
        batch_size=IN_ONE,
        update_conflicts=True,
        unique_fields=["machine", "group"],
        update_fields=["position"],
    )


def lot_back(*, project: Project, event: Event) -> WayBack:
    """What gives the VMs of a lot the groups back that they had before it, where nobody has changed them since."""
    made = {one.machine_id: one for one in MachineRevision.objects.filter(together=event, project=project)}
    had = had_before(project, made)
    there = VirtualMachine.objects.filter(project=project, pk__in=made).order_by("pk").in_bulk()
    after = {
        pk: tuple(group.pk for group in had[pk])
        for pk, machine in there.items()
        if machine.deleted_at is None and machine.revision == made[pk].number and pk in had
    }
    changes = _back(project, made, after)
    held = {pk for change in changes for pk in (*change.before, *change.after)}
    groups = list(SecurityGroup.objects.filter(pk__in=held))
    given = {pk for change in changes for pk in change.after}
    as_before = all(group.changed_at <= event.at for group in groups if group.pk in given)
    left = sorted(machine.name for pk, machine in there.items() if pk not in after)
    lot = Lot(
        project,
        changes,
        {group.pk: group.revision for group in groups},
        "Took back for",
        f": {event.summary}",
        group=event.group_id,
    )
    return WayBack(lot, tuple(left), len(made) - len(there), as_before)


def _back(project: Project, made: Mapping[int, MachineRevision], after: Mapping[int, Order]) -> tuple[Regrouping, ...]:
    """From what the lot made of these VMs, which is still how they stand, to what they had before it."""
    ids = {one["id"] for revision in made.values() for one in revision.groups}
    keys = dict(project.groups.filter(public_id__in=ids).values_list("public_id", "pk"))
    return tuple(
        Regrouping(pk, made[pk].number, tuple(keys[one["id"]] for one in made[pk].groups), order)
        for pk, order in after.items()
    )
