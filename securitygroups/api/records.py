"""What happened, and what support keeps of it: read alone."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest, JsonResponse
from ninja import Router, Schema
from pydantic import Field

from securitygroups.access import find_case
from securitygroups.answers.desk import cases_of
from securitygroups.api import cursors
from securitygroups.api.doors import access_of, operation
from securitygroups.api.moments import LEFT_OUT, At, moment_of
from securitygroups.api.schemas import Cursor, Document, Limit, Named, Page
from securitygroups.models import CaseNote, CasePacket, Event, Scope, SupportCase

router = Router(tags=["Records"])

Kind = Annotated[str, Field(max_length=20)]
Who = Annotated[str, Field(max_length=254)]


class EventRow(Schema):
    """One line of the activity. `via` says by which token a program did it; `detail` differs from kind to kind."""

    id: int
    at: datetime
    kind: str
    actor: str
    by_staff: bool
    via: str
    group: Named | None
    machine: Named | None
    summary: str
    reason: str
    detail: Document


class CaseRow(Schema):
    """A packet test that support keeps, with its answer: true after the rules have changed."""

    id: str
    at: datetime
    ticket: str
    state: str
    about: Named
    packet: Document
    verdict: str
    rule: int | None


class Note(Schema):
    at: datetime
    author: str
    by_staff: bool
    text: str


class Packet(Schema):
    at: datetime
    packet: Document
    verdict: str
    rule: int | None


class Case(CaseRow):
    """With the list as it was then, what was written, and further packets."""

    rules: list[Document]
    notes: list[Note]
    packets: list[Packet]


@operation(router, "GET", "/{project}/events", Scope.READ, gives=Page[EventRow])
def list_events(
    request: HttpRequest,
    project: str,
    kind: Kind = "",
    actor: Who = "",
    since: At = LEFT_OUT,
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """What was done in the project, the newest first; of one kind, by one person, after a time."""
    rows = Event.objects.filter(project=access_of(request).project).select_related("group", "machine")
    if kind:
        rows = rows.filter(verb=kind)
    if actor:
        rows = rows.filter(actor_name__iexact=actor)
    if moment := moment_of(since, "since"):
        rows = rows.filter(at__gt=moment)
    return cursors.newest_first(rows, cursor, limit, _event)


@operation(router, "GET", "/{project}/cases", Scope.READ, gives=Page[CaseRow])
def list_cases(
    request: HttpRequest,
    project: str,
    state: Literal["", "open", "answered", "closed"] = "",
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """The project's support cases, the newest first."""
    return cursors.newest_first(cases_of(access_of(request).project, state, ""), cursor, limit, _case)


@operation(router, "GET", "/{project}/cases/{case}", Scope.READ, gives=Case)
def read_case(request: HttpRequest, project: str, case: str) -> Any:
    """A support case, with the list as it was."""
    found = find_case(access_of(request), case)
    more = {
        "rules": found.rules,
        "notes": [_note(note) for note in found.notes.all()],
        "packets": [_packet(packet) for packet in found.packets.all()],
    }
    return JsonResponse(_case(found) | more)


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "kind": event.verb,
        "actor": event.actor_name,
        "by_staff": event.by_staff,
        "via": event.via,
        "group": _named(event.group),
        "machine": _named(event.machine),
        "summary": event.summary,
        "reason": str(event.detail.get("reason", "")),
        "detail": event.detail,
    }


def _case(case: SupportCase) -> dict[str, Any]:
    standing = getattr(case, "standing", None)
    return {
        "id": case.public_id,
        "at": case.at,
        "ticket": case.ticket,
        "state": standing.state if standing else "open",
        "about": _named(case.machine or case.group),
        "packet": case.packet,
        "verdict": case.verdict,
        "rule": case.rule,
    }


def _note(note: CaseNote) -> dict[str, Any]:
    return {"at": note.at, "author": note.author_name, "by_staff": note.by_staff, "text": note.text}


def _packet(packet: CasePacket) -> dict[str, Any]:
    return {"at": packet.at, "packet": packet.packet, "verdict": packet.verdict, "rule": packet.rule}


def _named(about: Any) -> dict[str, str] | None:
    return {"id": about.public_id, "name": about.name} if about is not None else None
