"""VMs that a platform's programs bring in: one by its external ID, or all of a project at once."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.utils import timezone

from securitygroups.firewall.deeds import Order
from securitygroups.models import Attachment, Event, MachineRevision, Project, SecurityGroup, VirtualMachine
from securitygroups.models.names import new_machine_id
from securitygroups.operations.by import By
from securitygroups.operations.entries import NAMELESS, OWN, groups_called, ordered, read_entry
from securitygroups.operations.fleet import IN_ONE, Regrouping, locked_groups, locked_machines, write_orders
from securitygroups.operations.machines import (
    changed_words,
    create_machine,
    lock_groups,
    regrouped,
    revised,
    update_machine,
    write_attachments,
)
from securitygroups.operations.placements import readdressed, take_off
from securitygroups.operations.records import (
    Conflict,
    Verb,
    event,
    lock_machine,
    lock_project,
    record_all,
)

_ALONE = frozenset({"name", "ipv4", "ipv6"})
"""What no two VMs of a project have in common, and two of them may exchange."""


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one VM that was brought; `changed` has the names of the fields that are others now."""

    machine: VirtualMachine
    outcome: Literal["created", "changed", "unchanged"]
    changed: tuple[str, ...] = ()


@transaction.atomic
def put_machine(
    *,
    project: Project,
    external_id: str,
    fields: Mapping[str, Any],
    groups: Sequence[str] | None = None,
    by: By,
) -> Put:
    """The project's VM with this external ID as it shall be: made where there is none, changed where it differs.

    `fields` are those of its own that are given; `groups` are names or IDs in order, None leaves them as they are. Raises
    ValidationError; Conflict where somebody deletes the VM at the same moment.
    """
    by.check()
    entry = read_entry({**fields, "external_id": external_id, "groups": groups})
    locked = lock_project(project)
    after = None if entry.groups is None else _locked(locked, entry.groups)
    # A deleted VM is not brought back by its external ID. Platforms give an ID that has become free to another VM, and that
    # one must not come with the groups, and so the open ports, of the VM before it: it is a new one, on which all is denied.
    machine = VirtualMachine.objects.live().filter(project=locked, external_id=entry.external_id).first()
    if machine is None:
        if "name" not in entry.fields:
            raise ValidationError({"name": NAMELESS})
        own = {**entry.fields, "external_id": entry.external_id}
        return Put(create_machine(project=locked, fields=own, groups=after or (), by=by), "created")
    machine.project = locked
    changed = update_machine(machine=machine, fields=dict(entry.fields), by=by)
    now = lock_machine(machine)
    if after is not None:
        base = now.revision
        write_attachments(now, after, by)
        changed += ["groups"] if now.revision != base else []
    return Put(now, "changed" if changed else "unchanged", tuple(changed))


def _locked(project: Project, words: Sequence[str]) -> list[SecurityGroup]:
    try:
        return lock_groups(project, ordered(words, groups_called(project, set(words))))
    except ValidationError as refusal:
        raise ValidationError({"groups": refusal.messages}) from None


@dataclass(frozen=True, slots=True)
class Arriving:
    """A VM that is still to be made; `place` is its entry's in the list, from 1."""

    place: int
    external_id: str
    fields: Mapping[str, Any]
    order: Order


@dataclass(frozen=True, slots=True)
class Changing:
    """A VM of whose fields these are others than they `were`, or whose groups are, at its revision `base`."""

    place: int
    machine: int
    public_id: str
    external_id: str
    name: str
    base: int
    were: Mapping[str, Any]
    fields: Mapping[str, Any]
    before: Order
    after: Order


@dataclass(frozen=True, slots=True)
class Leaving:
    """A VM that is not in the list any more."""

    machine: int
    public_id: str
    external_id: str
    name: str
    base: int
    before: Order


@dataclass(frozen=True, slots=True)
class InventoryLot:
    """What is to be written so that the project's VMs with an external ID are those of a list.

    `groups` has every group that one of them is given or that goes from it, with the revision that was looked at.
    """

    project: Project
    made: tuple[Arriving, ...] = ()
    changed: tuple[Changing, ...] = ()
    gone: tuple[Leaving, ...] = ()
    groups: Mapping[int, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.made or self.changed or self.gone)


Plan = Callable[[Sequence[Project]], Iterable[InventoryLot]]


@transaction.atomic
def bring_inventories(*, projects: Sequence[Project], plan: Plan, by: By) -> None:
    """Write what the plan makes of the locked projects: all of it or nothing.

    Under their locks no VM of theirs is made, renamed or brought back. Raises what the plan raises, and Conflict where a VM
    or a group is not as it was planned with any more: then it can be planned once more.
    """
    by.check()
    locked = [lock_project(one) for one in sorted(projects, key=lambda one: one.pk)]
    # Whoever does not lock a project has locks in one only: taken in each by turns, ours keep the order of all.
    for lot in plan(locked):
        if lot:
            _bring(lot, by)


def _bring(lot: InventoryLot, by: By) -> None:
    looked_at = dict(lot.groups or {})
    groups = locked_groups(lot.project, looked_at)
    if {pk: group.revision for pk, group in groups.items()} != looked_at:
        raise Conflict(None)
    bases = {one.machine: one.base for one in lot.changed} | {one.machine: one.base for one in lot.gone}
    machines = locked_machines(lot.project, bases)
    if {pk: machine.revision for pk, machine in machines.items()} != bases:
        raise Conflict(None)
    for machine in machines.values():
        machine.project = lot.project
    _Writing(lot, machines, groups, by, timezone.now()).write()


@dataclass(frozen=True, slots=True)
class _Writing:
    """As few statements for thousands of VMs as for one."""

    lot: InventoryLot
    machines: Mapping[int, VirtualMachine]
    groups: Mapping[int, SecurityGroup]
    by: By
    now: datetime

    def write(self) -> None:
        # What goes first leaves its name and its addresses to the others.
        said = self._delete()
        self._step_aside()
        revisions, changes = self._change()
        made, arrivals = self._make()
        orders = [
            Regrouping(one.machine, one.base, one.before, one.after)
            for one in self.lot.changed
            if one.before != one.after
        ]
        write_orders([*orders, *(Regrouping(vm.pk, 0, (), one.order) for vm, one in made)])
        first = [revised(vm, self._named(one.order), self.by) for vm, one in made]
        MachineRevision.objects.bulk_create([*revisions, *first], batch_size=IN_ONE)
        record_all([*said, *changes, *arrivals])

    def _named(self, order: Order) -> list[SecurityGroup]:
        return [self.groups[pk] for pk in order]

    def _event(self, verb: Event.Verb, words: str, machine: VirtualMachine) -> Event:
        return event(self.lot.project, verb, words, by=self.by, machine=machine)

    def _delete(self) -> list[Event]:
        keys = [one.machine for one in self.lot.gone]
        if not keys:
            return []
        Attachment.objects.filter(machine__in=keys).delete()
        take_off(keys)
        VirtualMachine.objects.filter(pk__in=keys).update(deleted_at=self.now)
        gone = [self.machines[pk] for pk in keys]
        return [self._event(Verb.MACHINE_DELETED, f"Deleted {machine.name}.", machine) for machine in gone]

    def _step_aside(self) -> None:
        """Take VMs out of the indexes that let no two have the same name or address, until the next statement puts them back
        with their new ones: two may exchange theirs, and no constraint with a condition waits for a transaction's end."""
        keys = [one.machine for one in self.lot.changed if _ALONE & one.fields.keys()]
        if keys:
            VirtualMachine.objects.filter(pk__in=keys).update(deleted_at=self.now)

    def _change(self) -> tuple[list[MachineRevision], list[Event]]:
        revisions, said, rows = [], [], []
        for one in self.lot.changed:
            machine = self.machines[one.machine]
            for name, value in one.fields.items():
                setattr(machine, name, value)
            machine.changed_at = self.now
            if one.fields:
                said.append(self._event(Verb.MACHINE_CHANGED, changed_words(machine, list(one.fields)), machine))
            if one.before != one.after:
                machine.revision += 1
                before, after = self._named(one.before), self._named(one.after)
                revision, line = regrouped(machine, before, after, self.by)
                revisions.append(revision)
                said.append(line)
            rows.append(machine)
        if moved := [one.machine for one in self.lot.changed if not {"ipv4", "ipv6"}.isdisjoint(one.fields)]:
            readdressed(moved)
        keys = ("id", *OWN, "revision", "changed_at")
        _write(_CHANGED, [{key: getattr(machine, key) for key in keys} for machine in rows])
        return revisions, said

    def _make(self) -> tuple[list[tuple[VirtualMachine, Arriving]], list[Event]]:
        arriving = self.lot.made
        rows = [
            VirtualMachine(
                project=self.lot.project, public_id=public_id, external_id=one.external_id, revision=1, **one.fields
            )
            for public_id, one in zip(_new_ids(len(arriving)), arriving, strict=True)
        ]
        columns = {"project_id": self.lot.project.pk, "created_at": self.now}
        keys = ("public_id", "external_id", "revision", *OWN)
        keys_of = dict(_write(_MADE, [{key: getattr(vm, key) for key in keys} | columns for vm in rows]))
        for machine in rows:
            machine.pk = keys_of[machine.public_id]
        said = [self._event(Verb.MACHINE_CREATED, f"Created {machine.name}.", machine) for machine in rows]
        return list(zip(rows, arriving, strict=True)), said


_TABLE = VirtualMachine._meta.db_table
_OWN = ", ".join(OWN)
_NEW = f"project_id, public_id, external_id, revision, created_at, {_OWN}"
_MADE = f"""
INSERT INTO {_TABLE} ({_NEW}) SELECT {_NEW} FROM json_populate_recordset(NULL::{_TABLE}, %s::json) RETURNING public_id, id
"""  # noqa: S608
_CHANGED = f"""
UPDATE {_TABLE} vm SET (revision, changed_at, deleted_at, {_OWN})
= (its.revision, its.changed_at, its.deleted_at, {", ".join(f"its.{name}" for name in OWN)})
FROM json_populate_recordset(NULL::{_TABLE}, %s::json) its WHERE vm.id = its.id RETURNING vm.public_id, vm.id
"""  # noqa: S608


def _write(statement: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Write the VMs, which go to the database as one text: Django would take six times as long for each."""
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(rows, cls=DjangoJSONEncoder)])
        written: list[tuple[str, int]] = cursor.fetchall()
        return written


def _new_ids(number: int) -> list[str]:
    """IDs that no VM has. One is made without a look at the others; of ten thousand, one may well be taken."""
    found: set[str] = set()
    while len(found) < number:
        fresh = {new_machine_id() for _ in range(number - len(found))}
        found |= fresh - set(VirtualMachine.objects.filter(public_id__in=fresh).values_list("public_id", flat=True))
    return list(found)
