"""Lists of support cases: of all projects for staff, of one for its members. Only indexes are asked, however many there are."""

from dataclasses import dataclass

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import StartsWith

from securitygroups.models import CaseStanding, Project, SupportCase, User
from securitygroups.paging import MOST

State = CaseStanding.State
SORTS = {"waiting": "Longest waiting first", "newest": "Newest first", "oldest": "Oldest first"}
_ORDER = {"waiting": ("asked_at", "case_id"), "newest": ("-case_id",), "oldest": ("case_id",)}
PROJECTS = 50
"""Projects whose name begins with what was typed, of which the cases are found."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cases of all projects, and in which order; an empty state means all of them."""

    state: str = State.OPEN
    text: str = ""
    mine: User | None = None
    sort: str = "waiting"


def cases_of_all(wanted: Wanted) -> QuerySet[CaseStanding]:
    """Where cases of any project stand, with the case, which has neither its packet nor its rules with it."""
    rows = CaseStanding.objects.select_related("case__project", "assignee").defer("case__rules", "case__packet")
    if wanted.state:
        rows = rows.filter(state=wanted.state)
    if wanted.mine:
        rows = rows.filter(assignee=wanted.mine)
    if wanted.text:
        rows = rows.filter(_found(wanted.text.lower()))
    return rows.order_by(*_ORDER[wanted.sort])


def _found(text: str) -> Q:
    """By the ID, the beginning of the ticket, or that of the project's name: what an index answers over all projects."""
    if text.startswith("case-"):
        return Q(case__in=SupportCase.objects.filter(public_id__startswith=text).values("pk")[:MOST])
    tickets = SupportCase.objects.filter(StartsWith(Lower("ticket"), text)).order_by()
    projects = Project.objects.filter(Q(slug__startswith=text) | Q(StartsWith(Lower("name"), text))).order_by()
    # As lists: one index after the other, and none of them joined to all the cases there are.
    in_projects = list(projects.values_list("pk", flat=True)[:PROJECTS])
    with_ticket = list(tickets.values_list("pk", flat=True)[:1000])
    return Q(project__in=in_projects) | Q(case__in=with_ticket)


def cases_of(project: Project, state: str, text: str) -> QuerySet[SupportCase]:
    """The cases of one project: as many as its quota, so that names are looked for as well."""
    rows = SupportCase.objects.filter(project=project).select_related("machine", "group", "standing__assignee")
    if state == State.OPEN:
        # One that a process of before opened meanwhile has no standing yet.
        rows = rows.filter(Q(standing__state=state) | Q(standing=None))
    elif state:
        rows = rows.filter(standing__state=state)
    if text:
        machine = Q(machine__name__icontains=text, machine__project=F("project"))
        by_name = machine | Q(group__name__icontains=text)
        rows = rows.filter(by_name | Q(public_id=text.lower()) | StartsWith(Lower("ticket"), text.lower()))
    return rows.defer("rules")


def open_cases(project: Project, ticket: str, few: int) -> list[SupportCase]:
    """The newest few cases of the project that another packet may go into, those of the ticket first."""
    rows = SupportCase.objects.filter(project=project).exclude(standing__state=State.CLOSED).defer("rules", "packet")
    found = list(rows[: 10 * few])
    return sorted(found, key=lambda case: case.ticket.lower() != ticket.lower())[:few]


def waiting(staff: User) -> dict[str, int]:
    """How many cases wait for an answer, and how many of them this member of staff takes care of; up to MOST."""
    rows = CaseStanding.objects.filter(state=State.OPEN).order_by()
    return {"open": rows[:MOST].count(), "mine": rows.filter(assignee=staff)[:MOST].count()}
