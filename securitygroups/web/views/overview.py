"""Where a person arrives: the projects, and what is remarkable in one."""

from typing import Any

from django.db.models import Count, Exists, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from securitygroups import operations
from securitygroups.access import Access, is_support
from securitygroups.answers import reviewed
from securitygroups.answers import trend as trends
from securitygroups.answers.first_use import first_steps
from securitygroups.answers.internet import MAX_OVERVIEW_MACHINES, Internet, glance, look
from securitygroups.answers.since import since
from securitygroups.effective import TooLarge
from securitygroups.models import Attachment, Event, Project, SecurityGroup, VirtualMachine
from securitygroups.starters import STARTERS
from securitygroups.web.doors import enter
from securitygroups.web.drawn import columns, flow, rows
from securitygroups.web.pages import answer, numbered


def _live_count(rows: Any) -> Coalesce:
    """A project's number of live rows, as a subquery: two joins would multiply groups by VMs."""
    counted = rows.live().filter(project=OuterRef("pk")).order_by().values("project").annotate(n=Count("pk"))
    return Coalesce(Subquery(counted.values("n")), 0)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The person's projects; straight into the only one."""
    projects = Project.objects.visible_to(request.user).annotate(
        group_count=_live_count(SecurityGroup.objects), machine_count=_live_count(VirtualMachine.objects)
    )
    page = numbered(request, projects)
    if page.paginator.count == 1:
        return redirect("overview", page.object_list[0].slug)
    if not page.paginator.count and is_support(request.user):
        return redirect("support")
    return render(request, "securitygroups/projects/home.html", {"page": page})


@require_safe
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    groups = SecurityGroup.objects.live().filter(project=access.project)
    machines = VirtualMachine.objects.live().filter(project=access.project)
    # Not by joining: the outer join would be made for every attachment there is.
    counts = {
        "groups": groups.count(),
        "unused": groups.filter(~Exists(Attachment.objects.filter(group=OuterRef("pk")))).count(),
        "machines": machines.count(),
        "closed": machines.filter(~Exists(Attachment.objects.filter(machine=OuterRef("pk")))).count(),
    }
    events = Event.objects.filter(project=access.project).select_related("group", "machine")[:8]
    steps = first_steps(access.first_steps, groups=counts["groups"], attached=counts["machines"] - counts["closed"])
    lead = {"steps": steps if access.can_edit else [], "starters": STARTERS}
    context = {**lead, "counts": counts, "events": events, **_news(access)}
    # Whoever has no rules yet, or is led through their first steps, has nothing to review.
    reviews = access.member and counts["groups"] and not lead["steps"]
    context["standing"] = reviewed.standing(access.project) if reviews else None
    if (internet := glance(access.project, counts["machines"])) is not None:
        cheap = counts["machines"] <= MAX_OVERVIEW_MACHINES
        context |= _drawn(internet, trends.glance(_asked(access), internet, cheap=cheap))
    return render(request, "securitygroups/projects/overview.html", context)


@require_safe
def reached(request: HttpRequest, slug: str) -> HttpResponse:
    """What the overview draws, for a project that is too large to be looked at by the way."""
    access = enter(request, slug)
    try:
        internet = look(access.project)
        context = _drawn(internet, trends.trend(_asked(access), internet))
    except TooLarge as error:
        context = {"too_large": error.rules}
    return answer(request, "securitygroups/projects/reached.html", "securitygroups/projects/_reached.html", context)


def _news(access: Access) -> dict[str, Any]:
    """What others did since this member was here; nothing to say to staff, and to who is here for the first time."""
    before = operations.see(access.member, timezone.now()) if access.member else None
    return {"since": since(access.project, access.user, before) if before else None}


def _asked(access: Access) -> trends.Asked:
    """The trend in the days of who reads it."""
    return trends.Asked(access.project, timezone.get_current_timezone(), timezone.now())


def _drawn(internet: Internet, days: list[trends.Day] | None) -> dict[str, Any]:
    ports = rows(internet.drawn)
    alarms = [row for row in ports if row.port.services]
    context = {"internet": internet, "flow": flow(internet.drawn), "rows": ports, "alarms": alarms, "days": days}
    if days:
        context |= {"columns": columns(days, trends.DAYS), "most": max(day.open for day in days)}
        more = internet.open - days[0].open
        context |= {"more": more, "fewer": -more, "unseen": max(day.unseen for day in days)}
    return context
