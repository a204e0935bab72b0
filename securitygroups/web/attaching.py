"""From other groups of a VM to their commit: preview beside a form, question, commit, message with Undo."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from securitygroups import operations
from securitygroups.answers.order import group_change, named
from securitygroups.answers.preview import Preview
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.proposals import NewGroupOn, NewGroups, to_ask
from securitygroups.web.doors import by, said
from securitygroups.web.following import follows_machine
from securitygroups.web.pages import address_of, into_dialog, sent_fields
from securitygroups.web.samples import seen_by

# What the question page puts into its form itself.
_OWN_FIELDS = frozenset({"sure", "seen", "reason", "preview", "back"})


def attached_groups(machine: VirtualMachine) -> list[SecurityGroup]:
    """The VM's groups in order, none for one that is still to be created."""
    if machine.pk is None:
        return []
    return [a.group for a in machine.attachments.select_related("group").order_by("position")]


def question(
    request: HttpRequest, proposal: NewGroups | NewGroupOn, preview: Preview, *, cancel: str = "", **words: str
) -> HttpResponse:
    """What other groups, or another order, would change, before it is made. Nothing is written yet.

    `cancel` is where who thinks better of it goes; where it is empty, back to the form with all that was typed. `words`
    may have another title and button.
    """
    machine = proposal.machine
    context = {
        "machine": machine,
        "groups": proposal.after,
        "change": group_change(named(proposal.before), named(proposal.after)),
        "preview": preview,
        "seen_again": seen_by(request.access, proposal),  # type: ignore[attr-defined]
        "token": proposal.token,
        # Everything that was typed goes along, so that Back brings the whole form back.
        "hidden": sent_fields(request, _OWN_FIELDS) or [("base", str(machine.revision))],
        "reason": request.POST.get("reason", ""),
        "action": request.path,
        "cancel": cancel,
        "title": f"Change the groups of {machine.name}?",
        "button": "Save",
        **words,
    }
    return into_dialog(request, render(request, "securitygroups/changes/machine_question.html", context))


def preview_part(
    request: HttpRequest, machine: VirtualMachine, proposal: NewGroups | NewGroupOn | None
) -> HttpResponse:
    """The preview below a form that is being filled in; no proposal while that makes no list of groups."""
    context: dict[str, Any] = {"machine": machine}
    if proposal is not None:
        context |= {"preview": proposal.preview(address_of(request)), "token": proposal.token}
        context["seen_again"] = seen_by(request.access, proposal)  # type: ignore[attr-defined]
    return render(request, "securitygroups/changes/_form_preview.html", context)


def attach(request: HttpRequest, proposal: NewGroups, done: str, *, why: str = "", back: str = "") -> HttpResponse:
    """Attach these groups, after a question where they change something that has not been looked at yet.

    `back` is where it goes on, the VM's page where it is empty; `why` goes on record where the person gave no reason.
    """
    machine = proposal.machine
    back, base = back or machine.get_absolute_url(), said(request).base
    # An old base ends in a conflict anyway: no use in asking about it first.
    if base == machine.revision and (preview := to_ask(proposal, said(request))):
        return question(request, proposal, preview, cancel=back)
    made = by(request)
    made = made if made.reason else made.because(why)
    try:
        operations.attach_groups(machine=machine, groups=proposal.after, base=base, by=made)
    except operations.Conflict:
        words = "were changed by somebody else in the meantime: look at them, and try again."
        messages.error(request, f"Nothing was changed: the groups of {machine.name} {words}")
        return redirect(back)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect(back)
    if machine.revision == base:
        messages.info(request, "Nothing was changed.")
    else:
        undo = reverse("machine_undo", args=[machine.project.slug, machine.public_id, machine.revision])
        messages.success(request, done, extra_tags=f"undo:{undo}{follows_machine(machine)}")
    return redirect(machine)
