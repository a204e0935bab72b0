"""VMs and their ordered groups."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from securitygroups.effective import groups_of_revision
from securitygroups.firewall.texts import clean
from securitygroups.models import (
    Attachment,
    Event,
    MachineRevision,
    Project,
    SecurityGroup,
    VirtualMachine,
)
from securitygroups.operations.by import By
from securitygroups.operations.placements import readdressed, take_off
from securitygroups.operations.records import (
    Conflict,
    Verb,
    event,
    lock_machine,
    lock_project,
    one_more,
    record,
    record_all,
    save_checked,
)
from securitygroups.operations.rules import NotWhatItWas


def revised(machine: VirtualMachine, after: Sequence[SecurityGroup], by: By) -> MachineRevision:
    """The revision, not saved yet, of a VM whose `revision` is the new one already."""
    return MachineRevision(
        project=machine.project,
        machine=machine,
        number=machine.revision,
        groups=[{"id": group.public_id, "name": group.name} for group in after],
        summary=_summary(machine, after)[:300],
        reason=by.reason,
        **by.columns,
    )


def _summary(machine: VirtualMachine, groups: Sequence[SecurityGroup]) -> str:
    names = ", then ".join(group.name for group in groups) or "no group: everything is denied"
    return f"Groups of {machine.name}: {names}."


def regrouped(
    machine: VirtualMachine,
    before: Sequence[SecurityGroup],
    after: Sequence[SecurityGroup],
    by: By,
) -> tuple[MachineRevision, Event]:
    """The same with its line of the project's activity."""
    said = event(
        machine.project,
        Verb.GROUPS_ATTACHED,
        _summary(machine, after),
        machine=machine,
        detail={
            "revision": machine.revision,
            "reason": by.reason,
            "before": [group.name for group in before],
            "after": [group.name for group in after],
        },
        by=by,
    )
    return revised(machine, after, by), said


def write_attachments(
    machine: VirtualMachine,
    groups: Sequence[SecurityGroup],
    by: By,
    *,
    always: bool = False,
) -> None:
    """Replace a locked VM's ordered groups and append the revision.

    Equal groups write nothing, but for the first revision and where `always` is asked for.
    """
    now = {row.group_id: row for row in machine.attachments.select_related("group").order_by("position")}
    before = [row.group for row in now.values()]
    if before == list(groups) and machine.revision and not always:
        return
    by.check()
    # Only what differs: most changes move or add one group of several.
    machine.attachments.exclude(group__in=groups).delete()
    fresh, moved = [], []
    for position, group in enumerate(groups, 1):
        row = now.get(group.pk)
        if row is None:
            fresh.append(Attachment(machine=machine, group=group, position=position))
        elif row.position != position:
            row.position = position
            moved.append(row)
    Attachment.objects.bulk_create(fresh)
    Attachment.objects.bulk_update(moved, ["position"])
    machine.revision += 1
    machine.changed_at = timezone.now() if machine.revision > 1 else None
    VirtualMachine.objects.filter(pk=machine.pk).update(revision=machine.revision, changed_at=machine.changed_at)
    # The first revision is told by "VM created"; two lines for one click would be noise.
    revision, said = regrouped(machine, before, groups, by)
    revision.save()
    if machine.revision > 1:
        record_all([said])


def lock_groups(project: Project, groups: Sequence[SecurityGroup]) -> list[SecurityGroup]:
    """The groups, locked, live and of the project, in the order given. Raises ValidationError."""
    if len({group.pk for group in groups}) != len(groups):
        raise ValidationError("A group stands twice in the list: choose each once.", code="twice")
    if len(groups) > settings.MAX_GROUPS_PER_MACHINE:
        raise ValidationError(
            f"A VM can have {settings.MAX_GROUPS_PER_MACHINE} groups, these are {len(groups)}: choose fewer.",
            code="quota",
        )
    held = {
        group.pk: group
        for group in SecurityGroup.objects.live()
        .filter(pk__in=[group.pk for group in groups], project=project)
        # By key, whatever order was asked for: whoever locks the same two the other way round would wait for ever.
        .order_by("pk")
        .select_for_update(no_key=True)
    }
    if len(held) != len(groups):
        raise ValidationError("One of the groups has been deleted in the meantime: choose again.", code="gone")
    return [held[group.pk] for group in groups]


def one_more_machine(locked: Project, of: str = "The project") -> None:
    live = locked.machines.filter(deleted_at=None).count()
    one_more(live, locked.machine_quota, "VM", "delete one first", of=of)


@transaction.atomic
def create_machine(
    *,
    project: Project,
    fields: dict[str, Any],
    groups: Sequence[SecurityGroup] = (),
    by: By,
) -> VirtualMachine:
    """A new VM with its ordered groups. `fields` maps VirtualMachine's editable names. Raises ValidationError."""
    by.check()
    locked = lock_project(project)
    one_more_machine(locked)
    held = lock_groups(locked, groups)
    machine = VirtualMachine(project=locked, **fields)
    save_checked(machine)
    write_attachments(machine, held, by)
    record(locked, Verb.MACHINE_CREATED, f"Created {machine.name}.", by=by, machine=machine)
    return machine


@transaction.atomic
def update_machine(*, machine: VirtualMachine, fields: dict[str, Any], by: By) -> list[str]:
    """New values of the VM's own fields. Returns the names of those that were others before.

    Raises ValidationError, Conflict when the VM is gone.
    """
    lock_project(machine.project)
    locked = lock_machine(machine)
    fields = {name: clean(value) if isinstance(value, str) else value for name, value in fields.items()}
    changed = [name for name, value in fields.items() if getattr(locked, name) != value]
    if not changed:
        return []
    by.check()
    for name in changed:
        setattr(locked, name, fields[name])
    locked.changed_at = timezone.now()
    save_checked(locked)
    if not {"ipv4", "ipv6"}.isdisjoint(changed):
        readdressed([locked.pk])
    record(locked.project, Verb.MACHINE_CHANGED, changed_words(locked, changed), by=by, machine=locked)
    return changed


def changed_words(machine: VirtualMachine, changed: Sequence[str]) -> str:
    """What the record says of a VM that has other values in these fields now."""
    labels = ", ".join(str(VirtualMachine._meta.get_field(name).verbose_name) for name in changed)  # type: ignore[union-attr]
    tags = f" Its tags are now: {', '.join(machine.tags) or 'none'}." if "tags" in changed else ""
    return f"Changed {labels} of {machine.name}.{tags}"


@transaction.atomic
def attach_groups(
    *,
    machine: VirtualMachine,
    groups: Sequence[SecurityGroup],
    base: int,
    by: By,
) -> None:
    """Make `groups` the VM's ordered groups. Raises Conflict when `base` is not its newest revision, ValidationError."""
    # Locked although they are only referred to: a group that is being deleted must not be attached meanwhile.
    held = lock_groups(machine.project, groups)
    locked = lock_machine(machine)
    if locked.revision != base:
        raise Conflict(locked.revision)
    write_attachments(locked, held, by)
    machine.revision = locked.revision


@transaction.atomic
def save_machine(
    *,
    machine: VirtualMachine,
    fields: dict[str, Any],
    groups: Sequence[SecurityGroup],
    base: int,
    by: By,
) -> None:
    """Instance settings: the VM's own fields and its ordered groups, both or neither."""
    lock_project(machine.project)
    # Groups before the VM, though its own fields are written first: the order of locks is the same everywhere.
    lock_groups(machine.project, groups)
    update_machine(machine=machine, fields=fields, by=by)
    attach_groups(machine=machine, groups=groups, base=base, by=by)


@transaction.atomic
def delete_machine(*, machine: VirtualMachine, by: By) -> None:
    """Take the VM out of every list; its groups stay. Raises Conflict when it is gone already."""
    by.check()
    locked = lock_machine(machine)
    locked.attachments.all().delete()
    take_off([locked.pk])
    VirtualMachine.objects.filter(pk=locked.pk).update(deleted_at=timezone.now())
    record(locked.project, Verb.MACHINE_DELETED, f"Deleted {locked.name}.", by=by, machine=locked)


def had_before(project: Project, machines: Iterable[int]) -> dict[int, list[SecurityGroup]]:
    """The groups that VMs, by key, had before their newest revision, for those of which all these are still there."""
    before = MachineRevision.objects.filter(machine__in=list(machines), number=F("machine__revision") - 1)
    ids = {pk: [one["id"] for one in groups] for pk, groups in before.values_list("machine", "groups")}
    every = {public_id for its in ids.values() for public_id in its}
    rows = SecurityGroup.objects.live().filter(project=project, public_id__in=every)
    live = {one.public_id: one for one in rows}
    return {pk: [live[one] for one in its] for pk, its in ids.items() if live.keys() >= {*its}}


@transaction.atomic
def undo_groups(*, machine: VirtualMachine, number: int, by: By) -> None:
    """Take revision `number` of the VM's groups back, while it is the newest. Raises Conflict, ValidationError;
    NotWhatItWas where one of the groups that it had has other rules by now.
    """
    groups = groups_of_revision(machine, number - 1) if number == machine.revision else None
    if number != machine.revision:
        raise Conflict(machine.revision)
    if groups is None:
        raise ValidationError(
            "What the VM had before is gone, or another project's: choose its groups in Instance settings."
        )
    held, made = lock_groups(machine.project, groups), machine.revisions.get(number=number)
    if others := [group.name for group in held if group.changed_at > made.at]:
        raise NotWhatItWas(f"The rules of {', '.join(others)} have been changed since.")
    attach_groups(machine=machine, groups=groups, base=number, by=by.noting(f"Undid revision {number}."))


@transaction.atomic
def restore_machine(*, machine: VirtualMachine, by: By) -> None:
    """Bring a deleted VM back, with the groups it had where all of them are still there.

    Raises ValidationError where its name or an address has been taken since; Conflict when it is not deleted.
    """
    project = lock_project(machine.project)
    groups = groups_of_revision(machine, machine.revision) or []
    # What it had may be gone by now; then it comes back without, and everything is denied.
    held = lock_groups(project, groups)
    locked = VirtualMachine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    if locked.deleted_at is None:
        raise Conflict(locked.revision)
    one_more_machine(project)
    locked.project, locked.deleted_at = project, None
    save_checked(locked)
    # Always: the newest revision tells the groups it had, and some may be gone.
    write_attachments(locked, held, by.noting("The VM was brought back."), always=True)
    record(project, Verb.MACHINE_RESTORED, f"Brought {locked.name} back.", by=by, machine=locked)
