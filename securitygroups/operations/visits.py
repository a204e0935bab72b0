"""Visits of support: a reason, half an hour, and every look on record, in the panel and in the admin."""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from securitygroups.models import Project, SupportVisit, User, VisitEnd
from securitygroups.operations.by import By
from securitygroups.operations.records import Verb, count, event, lock_project, record, record_all

VISIT_MINUTES = 30
LONGEST_ADDRESS = 300
"""Of a page in the line that people read; a longer one stands in the line's detail alone."""


@transaction.atomic
def open_visit(
    *, project: Project, staff: User, reason: str, ticket: str, words: str = "Support came to look"
) -> SupportVisit:
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
    said = f"{words}, for {VISIT_MINUTES} minutes: {visit.reason} (ticket {visit.ticket})"
    detail = {"reason": visit.reason, "ticket": visit.ticket}
    record(project, Verb.SUPPORT_LOOK, said, by=By(staff, staff=True), detail=detail)
    return visit


def extend_visit(*, visit: SupportVisit) -> SupportVisit:
    """Stay for the same reason, VISIT_MINUTES from now: a row of its own, for a visit's cannot be changed."""
    return open_visit(
        project=visit.project,
        staff=visit.staff,
        reason=visit.reason,
        ticket=visit.ticket,
        words="Support stays",
    )


@transaction.atomic
def leave(*, project: Project, staff: User, visits: Sequence[SupportVisit]) -> None:
    """End these visits of a staff member to the project, which are still running; twice is the same."""
    lock_project(project)
    left = set(VisitEnd.objects.filter(visit__in=visits).values_list("visit_id", flat=True))
    still = [visit for visit in visits if visit.pk not in left]
    if not still:
        return
    VisitEnd.objects.bulk_create(VisitEnd(visit=visit) for visit in still)
    detail = {"ticket": still[-1].ticket}
    record(project, Verb.SUPPORT_LOOK, "Support left.", by=By(staff, staff=True), detail=detail)


def record_look(*, visit: SupportVisit, page: str) -> None:
    """One page that support looked at, for the customer to read: its whole address, however long its query is."""
    path, _, query = page.partition("?")
    words = page if len(page) <= LONGEST_ADDRESS else f"{path} with a query of {count(len(query), 'character')}"
    record(
        visit.project,
        Verb.SUPPORT_LOOK,
        f"Support looked at {words}",
        by=By(visit.staff, staff=True),
        detail={"ticket": visit.ticket, "page": page},
    )


def record_staff_looks(*, looks: Sequence[tuple[Project, str]], page: str, by: By) -> None:
    """What staff looked at on a page of the administration, a line for each customer to read."""
    record_all(
        [
            event(
                project,
                Verb.SUPPORT_LOOK,
                f"Staff looked at {what} in the administration.",
                by=by,
                detail={"page": page},
            )
            for project, what in looks
        ]
    )
