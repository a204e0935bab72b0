"""Lists of support cases: of all projects for staff, of one for its members. Only indexes are asked, however many there are."""

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Lookup, Q, QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import IContains, StartsWith

from securitygroups.models import CaseStanding, Project, SecurityGroup, SupportCase, User, VirtualMachine
from securitygroups.paging import MOST

State = CaseStanding.State
SORTS = {"waiting": "Longest waiting first", "newest": "Newest first", "oldest": "Oldest first"}
_ORDER = {"waiting": ("asked_at", "case_id"), "newest": ("-case_id",), "oldest": ("case_id",)}
PROJECTS, CASES = 50, 1_000
"""Projects whose name begins with what was typed, of which the cases are found; cases whose ID or ticket does."""


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
        with_id = SupportCase.objects.filter(public_id__startswith=text).order_by()
        return Q(case__in=list(with_id.values_list("pk", flat=True)[:CASES]))
    tickets = SupportCase.objects.filter(StartsWith(Lower("ticket"), text)).order_by()
    projects = Project.objects.filter(Q(slug__startswith=text) | Q(StartsWith(Lower("name"), text))).order_by()
    # As lists: one index after the other, and none of them joined to all the cases there are.
    in_projects = list(projects.values_list("pk", flat=True)[:PROJECTS])
    with_ticket = list(tickets.values_list("pk", flat=True)[:CASES])
    return Q(project__in=in_projects) | Q(case__in=with_ticket)


def about_named(project: Project, named: Lookup[Any]) -> Q:
    """Cases about a group or VM of the project whose name is so. Of one that was moved away the name is another customer's."""
    # By their keys: joined to the cases, all groups and VMs of the installation would be read.
    groups, machines = (model.objects.filter(named, project=project) for model in (SecurityGroup, VirtualMachine))
    return Q(machine__in=machines.order_by().values("pk")) | Q(group__in=groups.order_by().values("pk"))


def cases_of(project: Project, state: str, text: str) -> QuerySet[SupportCase]:
    """The cases of one project: as many as its quota, so that names are looked for as well."""
    rows = SupportCase.objects.filter(project=project)
    standings = CaseStanding.objects.filter(project=project).values("case")
    if state == State.OPEN:
        # One that a process of before opened meanwhile has no standing yet.
        rows = rows.exclude(pk__in=standings.exclude(state=state))
    elif state:
        rows = rows.filter(pk__in=standings.filter(state=state))
    if text:
        named = about_named(project, IContains(F("name"), text))
        rows = rows.filter(named | Q(public_id=text.lower()) | StartsWith(Lower("ticket"), text.lower()))
    return rows.select_related("machine", "group", "standing__assignee").defer("rules")


def open_cases(project: Project, ticket: str, few: int) -> list[SupportCase]:
    """The newest few cases of the project that another packet may go into, those of the ticket first."""
    rows = SupportCase.objects.filter(project=project).exclude(standing__state=State.CLOSED).defer("rules", "packet")
    found = list(rows[: 10 * few])
    return sorted(found, key=lambda case: case.ticket.lower() != ticket.lower())[:few]


def waiting(staff: User) -> dict[str, int]:
    """How many cases wait for an answer, and how many of them this member of staff takes care of; up to MOST."""
    rows = CaseStanding.objects.filter(state=State.OPEN).order_by()
    return {"open": rows[:MOST].count(), "mine": rows.filter(assignee=staff)[:MOST].count()}
