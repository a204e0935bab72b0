"""Stored things as the API tells them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse, JsonResponse
from ninja import Schema

from securitygroups.api.schemas import Document, Named
from securitygroups.enforcement import applied
from securitygroups.enforcement.applied import GroupStanding, Standing
from securitygroups.firewall.deeds import Order
from securitygroups.firewall.formats.documents import FORMAT, rule_to_json
from securitygroups.firewall.values import RuleList
from securitygroups.models import Attachment, MachineRevision, SecurityGroup, VirtualMachine, placement_of
from securitygroups.models import Revision as RevisionRow


class GroupRow(Schema):
    id: str
    name: str
    description: str
    revision: int
    created_at: datetime
    changed_at: datetime


class MachineInForce(Schema):
    """Where a VM's rules stand. `state` is “in force”, “applying”, “refused”, “drifted” (changed by hand), “silent” (nothing is
    heard of the host), “revoked”, “no agent” or “nowhere”; `loaded_at` is when the list was loaded that is there; `says` is the
    same in words, with times in UTC."""

    state: str
    host: str | None
    loaded_at: datetime | None
    says: str


class NotInForce(Named):
    """A VM on which a group's newest rules are not in force, and why."""

    state: str
    host: str | None


class GroupInForce(Schema):
    """On how many of the VMs that have the group its newest rules are in force, and the first 20 of the others."""

    machines: int
    in_force: int
    others: list[NotInForce]


class Group(GroupRow):
    """With its list, as the document of a file; each rule has the id by which it is known through edits and moves.

    `in_force` is null where it is on no VM, or where no host takes its rules from the panel.
    """

    format: str
    in_force: GroupInForce | None
    rules: list[Document]


class Written(Schema):
    """What was done: `changed` is false where the list was so already."""

    revision: int
    changed: bool
    summary: str


class MachineRow(Schema):
    """`tap` is the VM's interface on its host, empty where it is not known; hosts and operators say it."""

    id: str
    name: str
    description: str
    ipv4: str | None
    ipv6: str | None
    tags: list[str]
    tap: str
    external_id: str
    revision: int
    created_at: datetime
    changed_at: datetime | None


class Machine(MachineRow):
    """With its groups, in their order; `in_force` is null where no host takes its rules from the panel."""

    groups: list[Named]
    in_force: MachineInForce | None


def group_row(group: SecurityGroup) -> dict[str, Any]:
    return {
        "id": group.public_id,
        "name": group.name,
        "description": group.description,
        "revision": group.revision,
        "created_at": group.created_at,
        "changed_at": group.changed_at,
    }


def list_json(group: SecurityGroup, rules: RuleList, *, status: int = 200) -> HttpResponse:
    """A group with its list. Not by way of the schema, which would look at each of a thousand rules once more."""
    said = {"format": FORMAT} | group_row(group) | {"in_force": group_in_force(applied.of_group(group))}
    said |= {"rules": [rule_json(rule) for rule in rules]}
    response = JsonResponse(said, status=status)
    response["ETag"] = f'"{group.revision}"'
    return response


def rule_json(rule: Any) -> Document:
    return {"id": rule.uid} | rule_to_json(rule)


def machine_row(machine: VirtualMachine) -> dict[str, Any]:
    return {
        "id": machine.public_id,
        "name": machine.name,
        "description": machine.description,
        "ipv4": machine.ipv4,
        "ipv6": machine.ipv6,
        "tags": machine.tags,
        "tap": placement.tap if (placement := placement_of(machine)) else "",
        "external_id": machine.external_id,
        "revision": machine.revision,
        "created_at": machine.created_at,
        "changed_at": machine.changed_at,
    }


def groups_on(machine: VirtualMachine) -> list[SecurityGroup]:
    """The VM's groups, in their order (one query)."""
    return [row.group for row in machine.attachments.select_related("group").order_by("position")]


def orders_with(group: SecurityGroup) -> dict[int, Order]:
    """The keys of the groups, in their order, of each VM that has this one, by the VM's key (one query)."""
    rows = Attachment.objects.filter(machine__deleted_at=None, machine__attachments__group=group)
    orders: dict[int, Order] = {}
    for machine, one in rows.order_by("position").values_list("machine", "group"):
        orders[machine] = (*orders.get(machine, ()), one)
    return orders


def named(rows: Iterable[SecurityGroup]) -> list[dict[str, str]]:
    return [{"id": row.public_id, "name": row.name} for row in rows]


def machine_with_groups(machine: VirtualMachine) -> dict[str, Any]:
    """A VM whose attachments have been read, in their order."""
    return machine_row(machine) | {"groups": named(row.group for row in machine.attachments.all())}


def machine_with(machine: VirtualMachine, groups: Iterable[SecurityGroup]) -> dict[str, Any]:
    """A VM with these groups, and where its rules stand (one query)."""
    standing = machine_in_force(applied.of_machine(machine))
    return machine_row(machine) | {"groups": named(groups), "in_force": standing}


def machine_in_force(standing: Standing | None) -> dict[str, Any] | None:
    if standing is None or not (standing.in_use or standing.host):
        return None
    return {
        "state": standing.kind.value,
        "host": standing.host or None,
        "loaded_at": standing.loaded,
        "says": standing.sentence(lambda moment: f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"),
    }


def group_in_force(standing: GroupStanding) -> dict[str, Any] | None:
    if not standing.total:
        return None
    others = [
        {"id": one.public_id, "name": one.name, "state": one.kind.value, "host": one.host or None}
        for one in standing.others
    ]
    return {"machines": standing.total, "in_force": standing.in_force, "others": others}


def machine_json(machine: VirtualMachine, groups: Iterable[SecurityGroup], *, status: int = 200) -> HttpResponse:
    response = JsonResponse(machine_with(machine, groups), status=status)
    response["ETag"] = f'"{machine.revision}"'
    return response


def revision_row(revision: RevisionRow) -> dict[str, Any]:
    said = {
        "number": revision.number,
        "at": revision.at,
        "actor": revision.actor_name,
        "by_staff": revision.by_staff,
        "via": revision.via,
        "summary": revision.summary,
        "reason": revision.reason,
    }
    return said | ({"groups": revision.groups} if isinstance(revision, MachineRevision) else {})
