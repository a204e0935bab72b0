"""A group made together with what it is for: on a VM, with a new VM, or on many; one transaction, and one way back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from securitygroups.firewall.values import RuleList
from securitygroups.models import MachineRevision, Project, SecurityGroup, VirtualMachine
from securitygroups.operations.by import By
from securitygroups.operations.fleet import Lot, regroup_machines
from securitygroups.operations.groups import create_group, delete_group
from securitygroups.operations.machines import attach_groups, create_machine
from securitygroups.operations.records import Conflict, lock_group, lock_project

LONGEST = 100


@dataclass(frozen=True, slots=True)
class Made:
    """The group to be made. Where its name was only `proposed`, one that is taken by then makes way for the next."""

    name: str
    rules: RuleList
    description: str = ""
    summary: str = ""
    proposed: bool = False


def free_name(project: Project, name: str) -> str:
    """The name, or the first of "name 2", "name 3" … that no group of the project has (one query)."""
    name = name[: LONGEST - 6].strip()
    live = SecurityGroup.objects.live().filter(project=project, name__istartswith=name)
    taken = {one.casefold() for one in live.values_list("name", flat=True)}
    names = (name if nth == 1 else f"{name} {nth}" for nth in range(1, len(taken) + 2))
    return next(one for one in names if one.casefold() not in taken)


def _make(project: Project, made: Made, by: By) -> SecurityGroup:
    """The group, under the project's lock. What is wrong with its name is told at `group_name`."""
    locked = lock_project(project)
    name = free_name(locked, made.name) if made.proposed else made.name
    try:
        return create_group(
            project=locked, name=name, description=made.description, rules=made.rules, by=by, summary=made.summary
        )
    except ValidationError as refusal:
        if not hasattr(refusal, "error_dict") or "name" not in refusal.error_dict:
            raise
        raise ValidationError({"group_name": refusal.error_dict["name"]}) from None


def _among(groups: Sequence[SecurityGroup], group: SecurityGroup, at: int) -> list[SecurityGroup]:
    return [*groups[:at], group, *groups[at:]]


@transaction.atomic
def open_on_machine(
    *, machine: VirtualMachine, base: int, groups: Sequence[SecurityGroup], made: Made, at: int, by: By
) -> SecurityGroup:
    """A new group, at this place among the VM's groups, which are those of its revision `base`. Raises Conflict where they
    are not any more, ValidationError.
    """
    by.check()
    group = _make(machine.project, made, by)
    attach_groups(machine=machine, groups=_among(groups, group, at), base=base, by=by)
    return group


@transaction.atomic
def create_machine_open(
    *, project: Project, fields: dict[str, Any], groups: Sequence[SecurityGroup], made: Made, at: int, by: By
) -> VirtualMachine:
    """A new VM with these groups and a new one among them. Raises ValidationError."""
    by.check()
    group = _make(project, made, by)
    return create_machine(project=project, fields=fields, groups=_among(groups, group, at), by=by)


@transaction.atomic
def create_group_on(*, made: Made, lot: Lot, by: By) -> SecurityGroup:
    """A new group, which stands in the lot as 0, on all its VMs. Raises Conflict where one of them is not as it was looked
    at any more, ValidationError.
    """
    by.check()
    group = create_group(
        project=lot.project,
        name=made.name,
        description=made.description,
        rules=made.rules,
        by=by,
        summary=made.summary,
    )
    changes = tuple(replace(change, after=tuple(pk or group.pk for pk in change.after)) for change in lot.changes)
    if changes:
        groups = {**lot.groups, group.pk: group.revision}
        regroup_machines(lot=replace(lot, changes=changes, groups=groups, group=group.pk), by=by)
    return group


@transaction.atomic
def unmake_group(*, group: SecurityGroup, by: By) -> int:
    """Take a group back that was made and attached by one click. Returns on how many VMs it was.

    Raises Conflict where its rules, or the groups of a VM that has it, have been changed since.
    """
    locked = lock_group(group)
    if locked.revision != 1:
        raise Conflict(locked.revision)
    rows = VirtualMachine.objects.live().filter(attachments__group=locked).order_by("pk")
    machines = list(rows.select_for_update(no_key=True, of=("self",)))
    newest = {machine.pk: machine.revision for machine in machines}
    brought = MachineRevision.objects.filter(machine__in=machines, groups__contains=[{"id": locked.public_id}])
    # Brought by its newest revision, and by none before it.
    if sorted(brought.values_list("machine", "number")) != sorted(newest.items()):
        raise Conflict(locked.revision)
    return delete_group(group=locked, base=1, by=by.because(by.reason or "Undone."))
