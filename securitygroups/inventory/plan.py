"""What a list would make of one project."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from securitygroups.answers.preview import Preview, preview_each
from securitygroups.effective import Vm
from securitygroups.firewall.deeds import Order
from securitygroups.inventory.draft import (
    List,
    Reading,
    Refusal,
    Standing,
    check_gone,
    check_looks,
    check_room,
    check_unique,
    differences,
    draft_of,
    read,
    standing,
)
from securitygroups.models import Project, SecurityGroup, VirtualMachine
from securitygroups.operations import Arriving, Changing, InventoryLot, Leaving
from securitygroups.tokens import token_of

MOST_ENTRIES = 10_000
"""VMs in the list of one project."""
MOST_TOLD = 200
"""Refusals that a report has: who has more begins with these."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """What the list would make of the project. `by_hand` counts the VMs without an external ID, which stay as they are."""

    project: Project
    reading: Reading
    allow_gone: int
    lot: InventoryLot
    names: Mapping[int, str]
    unchanged: int
    by_hand: int
    refusals: tuple[Refusal, ...]
    token: str

    def preview(self, address: str = "") -> Preview:
        """What it newly lets through and newly denies, on VMs that are there and on those that are still to be made."""
        lot = self.lot
        after: dict[int, Order] = {one.machine: one.after for one in lot.changed if one.before != one.after}
        after |= {one.machine: () for one in lot.gone}
        made = [(_vm(one), one.order) for one in lot.made]
        used = {pk for order in (*after.values(), *(order for _, order in made)) for pk in order}
        brings = list(SecurityGroup.objects.filter(pk__in=used))
        machines = VirtualMachine.objects.filter(pk__in=after).order_by("name")
        return preview_each(machines, after, brings, made=made, address=address)

    def told(self) -> dict[str, Any]:
        """The report, as plain values."""
        lot = self.lot
        return {
            "created": [{"place": one.place, **_called(one, one.fields["name"])} for one in lot.made],
            "changed": [
                {"place": one.place, "id": one.public_id, **_called(one, one.name), "fields": self._from_to(one)}
                for one in lot.changed
            ],
            "gone": [{"id": one.public_id, **_called(one, one.name)} for one in lot.gone],
            "unchanged": self.unchanged,
            "left_alone": self.by_hand,
            "refused": [
                {"place": one.place, "field": one.field, "message": one.message} for one in self.refusals[:MOST_TOLD]
            ],
            "refused_count": len(self.refusals),
            "token": self.token,
        }

    def _from_to(self, one: Changing) -> dict[str, Any]:
        found = {name: {"from": one.were[name], "to": value} for name, value in one.fields.items()}
        if one.before != one.after:
            before, after = ([self.names[pk] for pk in order] for order in (one.before, one.after))
            found["groups"] = {"from": before, "to": after}
        return found


def _called(one: Arriving | Changing | Leaving, name: str) -> dict[str, str]:
    return {"external_id": one.external_id, "name": name}


def _vm(one: Arriving) -> Vm:
    return Vm(0, "", one.fields["name"], one.fields.get("ipv4"), one.fields.get("ipv6"))


def propose_inventory(project: Project, sent: List, *, allow_gone: int = 0) -> Inventory:
    """What it means that these are the project's VMs with an external ID (at most six queries).

    Raises ValidationError where the list is too long to be looked at; all else that is wrong is told by the plan.
    """
    if len(sent) > MOST_ENTRIES:
        raise ValidationError(f"The list has {len(sent):,} VMs: {MOST_ENTRIES:,} is the most.", code="quota")
    now = standing(project)
    return _planned(project, read(sent, now), now, allow_gone)


def again(plan: Inventory, project: Project) -> Inventory:
    """The same list as it would be brought in now."""
    return _planned(project, plan.reading, standing(project), plan.allow_gone)


def _planned(project: Project, reading: Reading, now: Standing, allow_gone: int) -> Inventory:
    draft = draft_of(project, reading, now)
    made, changed = differences(draft)
    gone = tuple(
        Leaving(one.pk, one.public_id, one.external_id, one.name, one.revision, tuple(one.order))
        for one in draft.known.values()
        if one.external_id not in reading.listed
    )
    check_unique(draft)
    check_looks(draft)
    check_room(draft, len(made), len(gone))
    check_gone(draft, len(gone), allow_gone)
    lot, names = _lot(project, made, changed, gone)
    return Inventory(
        project=project,
        reading=reading,
        allow_gone=allow_gone,
        lot=lot,
        names=names,
        unchanged=sum(one.external_id in now.known for one in reading.entries.values()) - len(changed),
        by_hand=len(draft.by_hand),
        refusals=tuple(sorted(draft.refusals, key=lambda one: one.place)),
        token=_token(lot),
    )


def _lot(
    project: Project, made: tuple[Arriving, ...], changed: tuple[Changing, ...], gone: tuple[Leaving, ...]
) -> tuple[InventoryLot, dict[int, str]]:
    """What is to be written, and what the groups that it is about are called."""
    used = {pk for one in made for pk in one.order}
    used |= {pk for one in changed if one.before != one.after for pk in (*one.before, *one.after)}
    rows = (
        SecurityGroup.objects.filter(pk__in=used).order_by("pk").values_list("pk", "revision", "name") if used else ()
    )
    groups = list(rows)
    lot = InventoryLot(project, made, changed, gone, {pk: revision for pk, revision, _ in groups})
    return lot, {pk: name for pk, _, name in groups}


def _token(lot: InventoryLot) -> str:
    return token_of(
        lot.project.slug,
        [(one.external_id, list(one.fields.items()), one.order) for one in lot.made],
        [
            (one.public_id, one.base, list(one.were.items()), list(one.fields.items()), one.before, one.after)
            for one in lot.changed
        ],
        [(one.public_id, one.base, one.before) for one in lot.gone],
        sorted((lot.groups or {}).items()),
    )
