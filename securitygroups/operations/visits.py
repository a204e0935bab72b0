"""Visits of support and its cases."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.models import (
    CaseNote,
    Project,
    Rule,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
)
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, record

VISIT_MINUTES = 30


@transaction.atomic
def open_visit(*, project: Project, staff: User, reason: str, ticket: str) -> SupportVisit:
    """Let a staff member look into the project for VISIT_MINUTES. Raises ValidationError."""
    visit = SupportVisit(
        project=project,
        staff=staff,
        reason=reason,
        ticket=ticket,
        until=timezone.now() + timedelta(minutes=VISIT_MINUTES),
    )
    visit.full_clean()
    visit.save()
    words = f"Support came to look, for {VISIT_MINUTES} minutes: {reason} (ticket {ticket})"
    record(project, Verb.SUPPORT_LOOK, words, by=By(staff, staff=True), detail={"reason": reason, "ticket": ticket})
    return visit


def record_look(*, visit: SupportVisit, page: str) -> None:
    """One page that support looked at, for the customer to read."""
    record(
        visit.project,
        Verb.SUPPORT_LOOK,
        f"Support looked at {page}",
        by=By(visit.staff, staff=True),
        detail={"ticket": visit.ticket, "page": page},
    )


@transaction.atomic
def open_case(
    *,
    project: Project,
    packet: dict[str, Any],
    rows: Sequence[Rule],
    verdict: str,
    rule: int | None,
    staff: User,
    ticket: str = "",
    note: str = "",
    machine: VirtualMachine | None = None,
    group: SecurityGroup | None = None,
) -> SupportCase:
    """Freeze a packet test with the list it was made against. `rows` are the list's rows in order, with their groups."""
    case = SupportCase.objects.create(
        project=project,
        machine=machine,
        group=group,
        packet=packet,
        rules=[
            {
                **rule_to_json(row.as_value()),
                "group": {"id": row.group.public_id, "name": row.group.name, "place": row.position},
            }
            for row in rows
        ],
        verdict=verdict,
        rule=rule,
        ticket=ticket,
        opened_by=staff,
    )
    if note:
        add_note(case=case, text=note, by=By(staff, staff=True))
    record(
        project,
        Verb.CASE_OPENED,
        f"Support opened {case.public_id}.",
        by=By(staff, staff=True),
        machine=machine,
        group=group,
        detail={"case": case.public_id},
    )
    return case


@transaction.atomic
def add_note(*, case: SupportCase, text: str, by: By) -> CaseNote:
    """Write a note to a case. Raises ValidationError."""
    note = CaseNote(case=case, author=by.user, author_name=by.name, by_staff=by.staff, text=text)
    note.full_clean()
    note.save()
    return note
