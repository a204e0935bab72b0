"""What the internet reaches of a project."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema

from karenpanel import turns
from securitygroups.answers import internet
from securitygroups.answers.exposure import MAX_RULES
from securitygroups.answers.internet import Opening, Some
from securitygroups.answers.reached import Through
from securitygroups.api import cursors
from securitygroups.api.doors import access_of, operation
from securitygroups.api.problems import Refusal
from securitygroups.api.schemas import Cursor, Limit, Named, Words
from securitygroups.api.traces import PacketShown, packet_json
from securitygroups.effective import TooLarge
from securitygroups.models import Scope

router = Router(tags=["Answers"])


class SomeMachines(Schema):
    """How many VMs there are, of which the first are named."""

    count: int
    first: list[Named]


class RuleThrough(Schema):
    """A rule that lets it in."""

    group: str
    place: int
    id: str
    text: str


class OpeningShown(Schema):
    """Traffic that the internet gets in with on some VMs, in words. `services`: those on these ports that are better not so
    open, "" where there are none. `through` are the first of `rules` many; `sample` is one packet that gets in."""

    what: str
    ports: str
    sources: str
    who: str
    everyone: bool
    services: str
    machines: SomeMachines
    rules: int
    through: list[RuleThrough]
    sample: PacketShown


class Exposure(Schema):
    """What the internet reaches: `open` of `machines` VMs, `loud` of them by a management or database port. It is
    `complete` where nothing was left out: no VM without an address, none too fine to look at whole (`unsettled`), and
    none that there was no time for (`unseen`)."""

    machines: int
    open: int
    loud: int
    complete: bool
    without_address: SomeMachines
    unsettled: SomeMachines
    unseen: int
    items: list[OpeningShown]
    next: str | None


@operation(router, "GET", "/{project}/exposure", Scope.READ, gives=Exposure)
def read_exposure(
    request: HttpRequest, project: str, q: Words = "", cursor: Cursor = "", limit: Limit = cursors.LIMIT
) -> HttpResponse:
    """What the internet, or a large part of it, reaches on the project's VMs: what is gravest first.

    `q` chooses the VMs that have it in their name, description, id, or the name of a group.
    """
    access = access_of(request)
    if internet.is_large(access.project):
        # As on the page: by many at once even what is known already would be dear.
        turns.take()
    try:
        found = internet.look(access.project, q)
    except TooLarge as large:
        detail = f"These VMs have {large.rules:,} rules, and up to {MAX_RULES:,} are looked at: choose some VMs with q."
        raise Refusal("invalid", detail, [{"parameter": "q", "detail": detail}]) from None
    said = {
        "machines": found.machines,
        "open": found.open,
        "loud": found.loud,
        "complete": found.complete,
        "without_address": _some(found.without_address),
        "unsettled": _some(found.unsettled),
        "unseen": found.unseen,
    }
    return JsonResponse(said | cursors.in_order(found.openings, cursor, limit, _opening))


def _opening(one: Opening) -> dict[str, Any]:
    words = {name: getattr(one, name) for name in ("what", "ports", "sources", "who", "everyone", "services", "rules")}
    return words | {
        "machines": _some(one.machines),
        "through": [_through(rule) for rule in one.through],
        "sample": packet_json(one.sample),
    }


def _some(machines: Some) -> dict[str, Any]:
    return {"count": machines.number, "first": [{"id": vm.public_id, "name": vm.name} for vm in machines.first]}


def _through(rule: Through) -> dict[str, Any]:
    return {"group": rule.group_id, "place": rule.place, "id": rule.uid, "text": rule.text}
