"""Security groups: list, edit, delete, and where one is attached.

They are created in new_groups.py; their rules are in rules.py.
"""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import find_deleted, find_group
from securitygroups.answers.group_filter import GroupFilter, counted
from securitygroups.fields import begins_focused
from securitygroups.forms import GroupForm, as_typed, take_refusal
from securitygroups.models import Attachment, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from securitygroups.proposals import propose_end
from securitygroups.web.doors import by, enter, said
from securitygroups.web.lists import found, list_page
from securitygroups.web.pages import (
    CONFLICT,
    FORM_INVALID,
    address_of,
    numbered,
    page_or_form,
    reason_of,
    sent,
)
from securitygroups.web.samples import seen_by


@require_safe
def groups(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    rows, told = found(access, "groups", GroupFilter.from_query(request.GET))
    page = numbered(request, rows.values_list("pk", flat=True))
    # Rules and VMs are counted for these alone.
    by_key = {group.pk: group for group in counted(SecurityGroup.objects.filter(pk__in=list(page.object_list)))}
    page.object_list = [by_key[pk] for pk in page.object_list]
    context = {"page": page, "quota": access.project.group_quota, **told}
    return list_page(request, "securitygroups/groups/list.html", "securitygroups/groups/_list.html", context)


@draws_again
@page_or_form
def group_edit(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    form = GroupForm(request.POST if request.method == "POST" else None, instance=find_group(access, group_id))
    if not sent(request):
        form = as_typed(form) if goes_back(request) else form
        begins_focused(form)
    elif form.is_valid():
        try:
            done = operations.update_group(group=group, **form.cleaned_data, by=by(request))
            undo = f"undo:{reverse('group_edit_undo', args=[slug, group.public_id, done.pk])}" if done else ""
            messages.success(request, "Name and description were saved.", extra_tags=undo)
            return redirect(group)
        except ValidationError as refusal:
            take_refusal(form, refusal)
        except operations.Conflict:
            return redirect("groups", slug)
    context = {"form": form, "group": group, "editing": True, "reason": reason_of(request)}
    return render(request, "securitygroups/groups/form.html", context, status=FORM_INVALID if sent(request) else 200)


@require_POST
def group_edit_undo(request: HttpRequest, slug: str, group_id: str, event: int) -> HttpResponse:
    """Take the newest change of name and description back; `event` is its record."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    try:
        operations.undo_update(group=group, event=event, by=By(access.user))
        messages.success(request, "Undone: name and description are as they were before.")
    except operations.Conflict:
        messages.error(request, "Not undone: name or description have been changed again since.")
    except ValidationError as refusal:
        messages.error(request, f"Not undone: {refusal.messages[0]}")
    return redirect(group)


@page_or_form
def group_delete(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Shows what passes on each VM without the group, and asks. The answer is good for what was shown alone."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    refused, changed = "", False
    if request.method == "POST":
        try:
            count = operations.delete_group(
                group=group,
                base=said(request).base,
                seen=said(request).seen,
                by=by(request),
            )
            words = f" and taken off {count} VM{'' if count == 1 else 's'}" if count else ""
            undo = reverse("group_bring_back", args=[slug, group.public_id])
            messages.success(request, f"{group.name} was deleted{words}.", extra_tags=f"undo:{undo}")
            return redirect("groups", slug)
        except operations.Conflict:
            group = find_group(access, group_id)
            changed = True
        except ValidationError as refusal:
            refused = refusal.messages[0]
    proposal = propose_end(group)
    context = {
        "group": group,
        "page": numbered(request, _machines_with(group)),
        "seen": proposal.token,
        "preview": proposal.preview(address_of(request)) if proposal.token else None,
        "seen_again": seen_by(access, proposal) if proposal.token else None,
        "changed": changed,
        "refused": refused,
        "reason": reason_of(request),
    }
    status = CONFLICT if changed else FORM_INVALID if refused else 200
    return render(request, "securitygroups/groups/delete.html", context, status=status)


@require_POST
def group_bring_back(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Undo a deletion."""
    access = enter(request, slug, write=True)
    group = find_deleted(access, SecurityGroup, group_id)
    try:
        count = operations.restore_group(group=group, by=by(request))
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect("groups", slug)
    except operations.Conflict:
        return redirect(group)
    messages.success(
        request, f"{group.name} is back" + (f", on {count} VM{'' if count == 1 else 's'}." if count else ".")
    )
    return redirect(group)


def _machines_with(group: SecurityGroup) -> QuerySet[VirtualMachine]:
    """The VMs that have the group, each with how many groups it has besides."""
    attached = Attachment.objects.filter(machine=OuterRef("pk")).order_by().values("machine")
    others = Subquery(attached.annotate(n=Count("pk") - 1).values("n"))
    machines: QuerySet[VirtualMachine] = VirtualMachine.objects.live().filter(attachments__group=group)
    return machines.annotate(group_count=others).order_by("name")


@require_safe
def group_machines(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    group = find_group(access, group_id)
    page = numbered(request, _machines_with(group))
    context = {"group": group, "page": page, "machine_count": page.paginator.count, "tab": "machines"}
    return render(request, "securitygroups/groups/machines.html", context)
