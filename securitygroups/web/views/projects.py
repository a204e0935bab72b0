"""Overview, activity, members, help: the project's own pages."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from securitygroups import operations
from securitygroups.access import find_member
from securitygroups.answers import exposure as exposures
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.forms import MemberForm, RoleForm, take_refusal
from securitygroups.models import Event, Project, Role, SecurityGroup, VirtualMachine
from securitygroups.web.doors import by, enter
from securitygroups.web.pages import FORM_INVALID, answer, numbered, page_or_form


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
    return render(request, "securitygroups/projects/home.html", {"page": page})


@require_safe
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    groups = SecurityGroup.objects.live().filter(project=access.project)
    machines = VirtualMachine.objects.live().filter(project=access.project)
    counts = {
        "groups": groups.count(),
        "unused": groups.filter(attachments=None).count(),
        "machines": machines.count(),
        "closed": machines.filter(attachments=None).count(),
    }
    events = Event.objects.filter(project=access.project).select_related("group", "machine")[:8]
    context = {"counts": counts, "events": events, "internet": exposures.glance(access.project, counts["machines"])}
    return render(request, "securitygroups/projects/overview.html", context)


@require_safe
def activity(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    events = Event.objects.filter(project=access.project).select_related("group", "machine")
    verb, who = request.GET.get("what", ""), request.GET.get("who", "").strip()
    if verb in Event.Verb.values:
        events = events.filter(verb=verb)
    if who:
        events = events.filter(actor_name__icontains=who)
    context = {"page": numbered(request, events), "verbs": Event.Verb.choices, "verb": verb, "who": who}
    return answer(request, "securitygroups/projects/activity.html", "securitygroups/projects/_activity.html", context)


@page_or_form
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """The members, and for owners the form that adds one."""
    access = enter(request, slug, own=request.method == "POST")
    form = MemberForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        form = MemberForm(request.POST)
        if form.is_valid():
            try:
                user = form.cleaned_data["person"]
                operations.add_member(project=access.project, user=user, role=form.cleaned_data["role"], by=by(request))
                messages.success(request, f"{user} is a member now.")
                return redirect("members", slug)
            except ValidationError as refusal:
                take_refusal(form, refusal)
        status = FORM_INVALID
    rows = access.project.memberships.select_related("user").order_by("user__username")
    context = {"form": form, "page": numbered(request, rows), "roles": Role.choices}
    return render(request, "securitygroups/projects/members.html", context, status=status)


@require_POST
def member_role(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, own=True)
    member = find_member(access, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose owner, editor or viewer.")
        return redirect("members", slug)
    try:
        operations.change_role(member=member, role=form.cleaned_data["role"], by=by(request))
        messages.success(request, f"{member.user} is {Role(form.cleaned_data['role']).label.lower()} now.")
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    except operations.Conflict:
        messages.error(request, f"{member.user} was removed in the meantime.")
    return redirect("members", slug)


@page_or_form
def member_remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Owners remove anybody; everybody may leave."""
    access = enter(request, slug)
    member = find_member(access, pk)
    leaving = member.user_id == access.user.pk
    if not leaving:
        access = enter(request, slug, own=True)
    if request.method != "POST":
        return render(request, "securitygroups/projects/member_remove.html", {"member": member, "leaving": leaving})
    try:
        operations.remove_member(member=member, by=by(request))
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect("members", slug)
    except operations.Conflict:
        pass  # somebody else was quicker; the person is out either way
    messages.success(request, f"You left {access.project}." if leaving else f"{member.user} was removed.")
    return redirect("home") if leaving else redirect("members", slug)


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    return render(request, "securitygroups/help/page.html", {"protocols": PROTOCOLS.values()})
