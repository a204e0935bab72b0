"""What a write of a VM in the admin means, before it is made."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.http import HttpRequest

from karenpanel.client_address import address_of
from securitygroups import operations
from securitygroups.admin.asking import Part, Plan, token
from securitygroups.admin.forms import ChoosesGroups
from securitygroups.answers.order import group_change, named
from securitygroups.answers.preview import preview_regrouped
from securitygroups.models import Attachment, Project, SecurityGroup, VirtualMachine
from securitygroups.operations.records import count
from securitygroups.proposals import propose_groups

WITH_TRAFFIC = ("ipv4", "ipv6")
"""Fields that say what the rules are enforced for; a name and a description decide nothing."""


def machine_name(machine: VirtualMachine) -> str:
    return f"virtual machine {machine} ({machine.public_id})" if machine.pk else f"virtual machine {machine}"


def groups_of(machines: Sequence[VirtualMachine]) -> dict[int, list[SecurityGroup]]:
    """The groups of each VM, in order."""
    found: dict[int, list[SecurityGroup]] = {one.pk: [] for one in machines}
    for row in Attachment.objects.filter(machine__in=found).select_related("group").order_by("machine", "position"):
        found[row.machine_id].append(row.group)
    return found


def _known(groups: Sequence[SecurityGroup]) -> list[tuple[int, int]]:
    return [(group.pk, group.revision) for group in groups]


def _names(groups: Sequence[SecurityGroup]) -> str:
    return ", then ".join(group.name for group in groups) or "no group: everything is denied"


def plan_creation(request: HttpRequest, machine: VirtualMachine, groups: Sequence[SecurityGroup]) -> Plan:
    """A new VM and what its groups let through."""
    proposal = propose_groups(machine, [], groups)
    shown = partial(proposal.preview, address_of(request))
    part = Part(machine.project, machine_name(machine), groups=group_change([], named(groups)))
    return Plan(f"Create {machine}?", "Create", (part,), token("new", proposal.token), shown)


def plan_change(
    request: HttpRequest,
    machine: VirtualMachine,
    fields: Mapping[str, Any],
    groups: Sequence[SecurityGroup],
    *,
    base: int,
) -> Plan | None:
    """Other groups, or other addresses; None where neither is meant."""
    before = groups_of([machine])[machine.pk]
    lines = [
        f"{machine._meta.get_field(name).verbose_name}: {getattr(machine, name) or 'none'} → {fields[name] or 'none'}"  # type: ignore[union-attr]
        for name in WITH_TRAFFIC
        if (getattr(machine, name) or "") != (fields[name] or "")
    ]
    change = group_change(named(before), named(groups))
    if not change and not lines:
        return None
    proposal = propose_groups(machine, before, groups)
    late = base != machine.revision
    newest = machine.own_revisions().filter(number=machine.revision).first() if late else None
    notes = [f"{newest.who} has changed the groups in the meantime. Theirs: {_names(before)}."] if newest else []
    return Plan(
        f"Change {machine}?",
        "Put mine instead of theirs" if newest else "Make this change",
        (Part(machine.project, machine_name(machine), groups=change, lines=tuple(lines)),),
        token(proposal.token, lines),
        partial(proposal.preview, address_of(request)),
        notes=(*notes, f"Yours: {_names(groups)}.") if notes else (),
        hidden=(("base", str(machine.revision)),),
        overtaken=newest is not None,
    )


def plan_end(request: HttpRequest, rows: Sequence[VirtualMachine]) -> Plan:
    """The deletion of VMs: what they accept now ends."""
    machines = sorted(rows, key=lambda machine: machine.pk)
    groups = groups_of(machines)
    parts = [
        Part(one.project, machine_name(one), lines=(f"Its groups stay: {_names(groups[one.pk])}.",))
        if groups[one.pk]
        else Part(one.project, machine_name(one))
        for one in machines
    ]
    live = VirtualMachine.objects.live().filter(pk__in=groups)
    return Plan(
        f"Delete {machines[0] if len(machines) == 1 else count(len(machines), 'VM')}?",
        "Delete",
        tuple(parts),
        token("end", [(one.pk, one.revision, _known(groups[one.pk])) for one in machines]),
        partial(preview_regrouped, live, (), address=address_of(request)),
        notes=("What is deleted keeps its history, and can be brought back.",),
        deletes=True,
    )


def plan_move(request: HttpRequest, machines: Sequence[VirtualMachine], target: Project, there: ChoosesGroups) -> Plan:
    """VMs to another project, with groups of that one. What is in the way is told instead of what it means."""
    obstacles = operations.move_obstacles(machines, target)
    groups = there.chosen() if there.is_valid() else []
    had = groups_of(machines)
    parts = [
        Part(one.project, machine_name(one), lines=(f"Stays behind in {one.project}: {_names(had[one.pk])}.",))
        if had[one.pk]
        else Part(one.project, machine_name(one), lines=("It has no group: everything is denied already.",))
        for one in machines
    ]
    rows = VirtualMachine.objects.live().filter(pk__in=had)
    which = machines[0] if len(machines) == 1 else count(len(machines), "VM")
    known = [(one.pk, one.revision, _known(had[one.pk])) for one in machines]
    return Plan(
        f"Move {which} to {target}?",
        "Move",
        tuple(parts),
        token("move", target.pk, known, _known(groups)),
        None if obstacles else partial(preview_regrouped, rows, groups, address=address_of(request)),
        notes=(
            f"Groups belong to their project. In {target} these VMs have: {_names(groups)}.",
            "Both customers read the reason, and neither reads of the other: name no project in it.",
        ),
        hidden=(("target", str(target.pk)),),
        obstacles=(*obstacles, *there.errors.get("ordered_groups", [])),
        form=there,
        also=((target, ", ".join(f"security group {group} ({group.public_id})" for group in groups)[:300]),)
        if groups
        else (),
    )
