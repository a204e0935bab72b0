"""What a list of VMs makes of projects, as data, and the lists in the schema."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from ninja import Schema

from securitygroups.api.machine_fields import MachineEntry
from securitygroups.api.problems import Refusal, at, pointer
from securitygroups.api.schemas import Fault, Preview
from securitygroups.firewall.texts import Problem
from securitygroups.inventory import Inventory


class Called(Schema):
    external_id: str
    name: str


class Arrived(Called):
    """A VM that is made; `place` is its entry's in the list, from 1."""

    place: int


class FromTo(Schema):
    was: Any
    now: Any


class Changed(Arrived):
    """A VM of which these fields become others; groups are told by their names."""

    id: str
    fields: dict[str, FromTo]


class Gone(Called):
    id: str


class Report(Schema):
    """What the list makes of the project. `left_alone` counts its VMs without an external ID. The `preview` tells what VMs
    let through otherwise than before; it is null where no VM gets other groups."""

    created: list[Arrived]
    changed: list[Changed]
    gone: list[Gone]
    unchanged: int
    left_alone: int
    refused: list[Fault]
    refused_count: int
    token: str
    preview: Preview | None


class Reports(Schema):
    projects: dict[str, Report]
    token: str


def report_json(plan: Inventory, preview: dict[str, Any] | None, below: str = "") -> dict[str, Any]:
    """`below` is the pointer of the project's list where several were sent."""
    told = plan.told()
    changed = [
        one | {"fields": {name: {"was": each["from"], "now": each["to"]} for name, each in one["fields"].items()}}
        for one in told["changed"]
    ]
    return told | {"changed": changed, "refused": list(faults(plan, below)), "preview": preview}


def faults(plan: Inventory, below: str = "") -> Iterator[dict[str, Any]]:
    """What is wrong with the list, each at its entry."""
    for one in plan.told()["refused"]:
        entry = f"/{one['place'] - 1}" if one["place"] else ""
        list_of = below or "/machines"
        where = f"{list_of}{entry}{pointer(one['field'])}"
        if one["field"] == "allow_gone":
            where = below.replace("/projects", "/allow_gone", 1) if below else "/allow_gone"
        yield at(where, Problem(one["message"]))


def refused(errors: list[dict[str, Any]], count: int) -> Refusal:
    told = " ".join(dict.fromkeys(one["detail"] for one in errors[:3]))
    more = f" And {count - 3:,} more." if count > 3 else ""
    return Refusal("invalid", f"Nothing was written. {told}{more}", errors[:200])


def list_schema() -> dict[str, Any]:
    entry = MachineEntry.model_json_schema()
    return {"type": "array", "maxItems": settings.MAX_MACHINES_PER_PROJECT, "items": entry}


def inventory_schema(**lists: Any) -> dict[str, Any]:
    fields = {
        **lists,
        "reason": {"type": "string", "maxLength": 255},
        "confirm": {"type": "string", "maxLength": 64},
    }
    needs = [next(iter(lists))]
    return {"type": "object", "properties": fields, "required": needs, "additionalProperties": False}
