"""Who may do what in a project."""

from allauth.core import ratelimit
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import Access, Right, find_invitation, find_member
from securitygroups.forms import InviteForm, RoleForm, as_typed, take_refusal
from securitygroups.models import Role
from securitygroups.web.doors import by, enter, shown_again
from securitygroups.web.pages import FORM_INVALID, numbered, page_or_form, sent


@draws_again
@page_or_form
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """The members, and for owners the invitations that wait and the form that sends one."""
    access = enter(request, slug, own=request.method == "POST")
    form = InviteForm(request.POST if request.method == "POST" else None)
    if goes_back(request):
        form = as_typed(form)
    elif request.method == "POST":
        shown_again(request)
        if form.is_valid() and _invite(request, access, form):
            return redirect("members", slug)
    rows = access.project.memberships.select_related("user").order_by("user__username")
    context = {
        "form": form,
        "page": numbered(request, rows),
        "roles": Role.choices,
        # Addresses of people who are no members are for owners alone.
        "invitations": access.project.invitations.order_by("email") if access.is_owner else [],
        "now": timezone.now(),
    }
    status = FORM_INVALID if sent(request) else 200
    return render(request, "securitygroups/projects/members.html", context, status=status)


def _invite(request: HttpRequest, access: Access, form: InviteForm) -> bool:
    """Send one. The answer is the same whoever the address belongs to."""
    if not ratelimit.consume(request, action="invite", user=access.user):
        form.add_error(None, "You sent many invitations within an hour: wait a while before the next one.")
        return False
    try:
        invitation, secret = operations.invite(project=access.project, **form.cleaned_data, by=by(request))
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return False
    operations.send_invitation(invitation, request.build_absolute_uri(reverse("invitation", args=[secret])))
    messages.success(request, f"An invitation was sent to {invitation.email}.")
    return True


@require_POST
def invitation_end(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Withdraw an invitation that waits."""
    access = enter(request, slug, own=True)
    invitation = find_invitation(access, pk)
    operations.withdraw_invitation(invitation=invitation, by=by(request))
    messages.success(request, f"The invitation of {invitation.email} leads nowhere any more.")
    return redirect("members", slug)


@require_POST
def second_factor(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask a second factor of all members, or of nobody. Who turns it on has one."""
    access = enter(request, slug, own=True)
    shown_again(request)
    required = request.POST.get("required") == "yes"
    if required and not request.strong:  # type: ignore[attr-defined]
        messages.error(request, "Sign in with a second factor yourself first, or you would shut yourself out.")
        return redirect("mfa_index")
    operations.require_second_factor(project=access.project, required=required, by=by(request))
    messages.success(
        request, "Members need a second factor now." if required else "No second factor is needed any more."
    )
    return redirect("members", slug)


@require_POST
def traffic(request: HttpRequest, slug: str) -> HttpResponse:
    """Let viewers see dropped packets, or owners and editors alone."""
    access = enter(request, slug, own=True)
    let = request.POST.get("let") == "yes"
    operations.let_viewers_see_traffic(project=access.project, let=let, by=by(request))
    messages.success(
        request, "Viewers see dropped packets now." if let else "Viewers do not see dropped packets any more."
    )
    return redirect("members", slug)


@require_POST
def member_role(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    access = enter(request, slug, own=True)
    shown_again(request)
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
    shown_again(request)
    try:
        operations.remove_member(member=member, by=by(request))
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect("members", slug)
    except operations.Conflict:
        pass  # somebody else was quicker; the person is out either way
    messages.success(request, f"You left {access.project}." if leaving else f"{member.user} was removed.")
    return redirect("home") if leaving else redirect("members", slug)
