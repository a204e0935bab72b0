"""A group made together with what it is for: on a VM, with a new VM, or on many; one transaction, and one way back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from securitygroups.firewall.values import RuleList
from securitygroups.models import Event, Project, SecurityGroup, VirtualMachine
from securitygroups.operations.by import By
from securitygroups.operations.fleet import Lot, regroup_machines
from securitygroups.operations.groups import create_group, delete_group
from securitygroups.operations.machines import attach_groups, create_machine
from securitygroups.operations.records import Conflict, Verb, lock_project

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


def _make(project: Project, made: Made, by: By, on: Mapping[int, int] | None = None) -> SecurityGroup:
    """The group, under the project's lock. What is wrong with its name is told at `group_name`."""
    locked = lock_project(project)
    name = free_name(locked, made.name) if made.proposed else made.name
    try:
        return create_group(
            project=locked,
            name=name,
            description=made.description,
            rules=made.rules,
            by=by,
            summary=made.summary,
            on=on,
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
    group = _make(machine.project, made, by, {machine.pk: base + 1})
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
        on={change.machine: change.base + 1 for change in lot.changes},
    )
    changes = tuple(replace(change, after=tuple(pk or group.pk for pk in change.after)) for change in lot.changes)
    if changes:
        groups = {**lot.groups, group.pk: group.revision}
        regroup_machines(lot=replace(lot, changes=changes, groups=groups, group=group.pk), by=by)
    return group


@transaction.atomic
def unmake_group(*, group: SecurityGroup, by: By) -> int:
    """Take a group back that was made and put on VMs by one click. Returns on how many VMs it was.

    Raises Conflict where it would not be as it was before that click: somebody has changed its rules since, or put it on
    other VMs, or changed the groups of a VM that has it, or the rules of a group there.
    """
    beside = SecurityGroup.objects.filter(attachments__machine__attachments__group=group).values("pk")
    rows = SecurityGroup.objects.live().filter(Q(pk=group.pk) | Q(pk__in=beside)).order_by("pk")
    held = list(rows.select_related("project").select_for_update(no_key=True, of=("self",)))
    locked = next((one for one in held if one.pk == group.pk), None)
    made = Event.objects.filter(group=group, verb=Verb.GROUP_CREATED).first()
    if locked is None or locked.revision != 1 or made is None or "on" not in made.detail:
        raise Conflict(locked and locked.revision)
    machines = VirtualMachine.objects.live().filter(attachments__group=locked).order_by("pk")
    newest = {str(vm.pk): vm.revision for vm in machines.select_for_update(no_key=True, of=("self",))}
    later = [one for one in held if one.changed_at > made.at and one != locked]
    if later or not newest.items() <= made.detail["on"].items():
        raise Conflict(locked.revision)
    return delete_group(group=locked, base=1, by=by.because(by.reason or "Undone."))
