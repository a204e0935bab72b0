"""Staff move VMs from one project to another, and back. Neither project's record names the other one: they may be two
customers'."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction

from securitygroups.models import Event, MachineRevision, Project, SecurityGroup, VirtualMachine
from securitygroups.models.names import SameName
from securitygroups.operations.by import By
from securitygroups.operations.machines import lock_groups, one_more_machine, write_attachments
from securitygroups.operations.records import Conflict, Verb, count, lock_machine, lock_project, record, save_checked

logger = structlog.get_logger()

AWAY, HERE = "moved_away", "moved_here"
"""In the detail of the two lines of a move: the number of the revision that has the VM's groups, there and here."""


@dataclass(frozen=True, slots=True)
class Moved:
    """From where a VM came by its newest move, and which revision has the groups that it had there."""

    source: Project
    had: int


def was_moved(machine: VirtualMachine) -> Moved | None:
    """The VM's newest move, while nothing has been changed about its groups since; it can be taken back."""
    lines = Event.objects.filter(machine=machine, verb=Verb.MACHINE_CHANGED).order_by("-pk")
    here = lines.filter(project=machine.project_id, detail__has_key=HERE).first()
    if here is None or here.detail[HERE] != machine.revision:
        return None
    away = lines.filter(pk__lt=here.pk, detail__has_key=AWAY).select_related("project").first()
    return Moved(away.project, away.detail[AWAY]) if away else None


_CALLED = {"same": "name", "ipv4": "address", "ipv6": "address", "external_id": "external ID"}
"""What no two VMs of a project have in common."""


def move_obstacles(machines: Sequence[VirtualMachine], target: Project) -> list[str]:
    """Why the VMs cannot be the target's, each in a sentence, in a few queries; what the operation would refuse."""
    found = [f"{one.name} is in this project already." for one in machines if one.project_id == target.pk]
    live = VirtualMachine.objects.live().filter(project=target).exclude(pk__in=[one.pk for one in machines])
    for name, its in _unique(machines).items():
        rows = live.annotate(same=SameName("name")) if name == "same" else live
        taken = set(rows.filter(**{f"{name}__in": set(its.values())}).values_list(name, flat=True))
        what = "a VM of this name" if name == "same" else f"a VM with its {_CALLED[name]}"
        found += [f"{one.name}: {target} has {what} already." for one in machines if its.get(one.pk) in taken]
        twice = {value for value in its.values() if list(its.values()).count(value) > 1}
        found += [
            f"{one.name}: another of these VMs has the same {_CALLED[name]}."
            for one in machines
            if its.get(one.pk) in twice
        ]
    room = max(0, target.machine_quota - live.count())
    if len(machines) > room:
        found.append(f"{target} has room for {count(room, 'more VM')}, and these are {len(machines)}.")
    return found


def _unique(machines: Sequence[VirtualMachine]) -> dict[str, dict[int, str]]:
    """What no other VM of the project may have: of each VM that has it."""
    rows = VirtualMachine.objects.filter(pk__in=[one.pk for one in machines]).annotate(same=SameName("name"))
    found: dict[str, dict[int, str]] = {name: {} for name in _CALLED}
    for pk, *values in rows.values_list("pk", *found):
        for name, value in zip(found, values, strict=True):
            if value:
                found[name][pk] = value
    return found


@transaction.atomic
def move_machine(*, machine: VirtualMachine, target: Project, by: By, groups: Sequence[SecurityGroup] = ()) -> None:
    """Move a VM. Its groups stay behind; it gets these `groups` of the target, without any everything is denied.

    Raises ValidationError where a name or address is taken there, or the reason names one of the projects; Conflict.
    """
    # Only staff can: a member has no other project to name.
    by = replace(by, staff=True)
    by.check()
    _lock_projects(machine.project, target)
    held = lock_groups(target, groups)
    locked = lock_machine(machine)
    if locked.project_id == target.pk:
        raise ValidationError("The VM is in this project already.")
    _check_reason(by, locked.project, target)
    _move(locked, target, held, by)


def _lock_projects(*projects: Project) -> None:
    for project in sorted(set(projects), key=lambda each: each.pk):
        lock_project(project)


def _check_reason(by: By, *projects: Project) -> None:
    """Raises ValidationError where the reason, which both customers read, names one of them to the other."""
    for project in projects:
        for name in (project.name, project.slug):
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", by.reason, re.IGNORECASE):
                words = f"Both customers read this reason: say it without the name “{name}”."
                raise ValidationError({"reason": words})


def _move(locked: VirtualMachine, target: Project, held: Sequence[SecurityGroup], by: By) -> None:
    """Move a locked VM into a locked project."""
    source, had = locked.project, locked.revision
    one_more_machine(target, of=str(target))
    write_attachments(locked, [], by.noting("Moved to another project."))
    record(
        source,
        Verb.MACHINE_CHANGED,
        f"Moved {locked.name} to another project.",
        by=by,
        machine=locked,
        detail={AWAY: had},
    )
    locked.project = target
    save_checked(locked)
    # Its first revision there: what it had before stays the old project's.
    write_attachments(locked, held, by.noting("Moved here from another project."), always=True)
    record(
        target,
        Verb.MACHINE_CHANGED,
        f"Moved {locked.name} here from another project.",
        by=by,
        machine=locked,
        detail={HERE: locked.revision},
    )
    logger.info("machine moved", machine=locked.public_id, source=source.slug, target=target.slug, by=by.name)


@transaction.atomic
def move_machines(
    *, machines: Sequence[VirtualMachine], target: Project, by: By, groups: Sequence[SecurityGroup] = ()
) -> None:
    """All of them or none, all with the same groups. All projects are locked before the first group and VM."""
    _lock_projects(target, *(machine.project for machine in machines))
    for machine in sorted(machines, key=lambda each: each.pk):
        move_machine(machine=machine, target=target, groups=groups, by=by)


@transaction.atomic
def undo_move(*, machine: VirtualMachine, by: By) -> Project:
    """Bring the VM back to the project that it came from, with the groups that it had there where all of them are still
    there. Returns that project.

    Raises Conflict where its groups have been changed since; ValidationError where its name or an address is taken by now.
    """
    by = replace(by, staff=True)
    by.check()
    moved = was_moved(machine)
    if moved is None:
        raise Conflict(machine.revision)
    _lock_projects(machine.project, moved.source)
    held = lock_groups(moved.source, groups_there(machine, moved))
    locked = lock_machine(machine)
    if was_moved(locked) != moved:
        raise Conflict(locked.revision)
    _check_reason(by, locked.project, moved.source)
    _move(locked, moved.source, held, by)
    return moved.source


def groups_there(machine: VirtualMachine, moved: Moved) -> list[SecurityGroup]:
    """What it had; nothing where one of them is gone by now: then everything is denied."""
    revision = MachineRevision.objects.filter(machine=machine, project=moved.source, number=moved.had).first()
    ids = [group["id"] for group in revision.groups] if revision else []
    live = {one.public_id: one for one in SecurityGroup.objects.live().filter(project=moved.source, public_id__in=ids)}
    return [live[public_id] for public_id in ids] if len(live) == len(ids) else []
