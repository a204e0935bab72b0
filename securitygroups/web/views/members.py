"""Who may do what in a project."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from securitygroups import operations
from securitygroups.access import Right, find_member
from securitygroups.forms import MemberForm, RoleForm, take_refusal
from securitygroups.models import Role
from securitygroups.web.doors import by, enter
from securitygroups.web.pages import FORM_INVALID, numbered, page_or_form


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
        access.require(Right.MANAGE)
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
