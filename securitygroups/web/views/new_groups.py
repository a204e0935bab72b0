"""A new security group: from nothing, a template or another group, with what it lets in, and on VMs at once."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from karenpanel.sent_again import BACK, draws_again
from securitygroups import operations
from securitygroups.access import Access, find_group
from securitygroups.answers.preview import Preview
from securitygroups.effective import rules_of_group
from securitygroups.fields import begins_focused
from securitygroups.firewall.opening import with_opened
from securitygroups.firewall.values import RuleList
from securitygroups.forms import FirstRulesForm, GroupForm, as_typed, take_refusal, take_suggestion
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.operations import By, Made
from securitygroups.proposals import NewGroupOnMany, planned_group, propose_group_on_many, to_ask
from securitygroups.web.changing import preview_shown, preview_waits
from securitygroups.web.doors import by, enter, said
from securitygroups.web.pages import FORM_INVALID, address_of, into_dialog, page_or_form, reason_of, sent, sent_fields
from securitygroups.web.views.templates import start_choices, start_rules

_OWN_FIELDS = frozenset({"sure", "seen", "reason", "preview", "back"})
WAITS = "What it lets through is shown here."


@draws_again
@page_or_form
def group_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug, write=True)
    posted = request.method == "POST"
    data = take_suggestion(request.POST) if posted else None
    form = GroupForm(data, instance=SecurityGroup(project=access.project))
    form.fields["name"].widget.attrs["autofocus"] = True
    first = FirstRulesForm(
        data,
        project=access.project,
        address=address_of(request),
        initial={"machines": request.GET.get("machines", "")},
    )
    # The form is sent to its own address: a choice of none there is not for the address to overrule.
    chosen = (request.POST if posted else request.GET).get("template", "")
    status = 200
    if {"suggest", BACK} & request.POST.keys():
        form, first = as_typed(form), as_typed(first)
    elif "preview" in request.POST:
        return _previewed(request, access, first, chosen)
    elif posted:
        if done := _sent(request, access, form, first, chosen):
            return done
        status = FORM_INVALID
    context = {"form": form, "first": first, "chosen": chosen, "waits": WAITS, **start_choices(access, chosen)}
    return render(request, "securitygroups/groups/new.html", context, status=status)


def _made(access: Access, first: FirstRulesForm, chosen: str, **own: str) -> Made:
    """The group of valid forms. Raises ValidationError for a template that is gone."""
    rules, start = start_rules(access, chosen)
    summary = f"Started from the template {start}, {len(rules)} rules." if start and not first.rules else ""
    return Made(own.get("name", ""), with_opened(rules, first.rules), own.get("description", ""), summary)


def _propose(access: Access, first: FirstRulesForm, made: Made) -> NewGroupOnMany:
    """Raises ValidationError."""
    keys = [vm.pk for vm in first.cleaned_data["machines"]]
    machines = VirtualMachine.objects.live().filter(pk__in=keys)
    return propose_group_on_many(machines, planned_group(access.project, made.name or "the new group", made.rules))


def _previewed(request: HttpRequest, access: Access, first: FirstRulesForm, chosen: str) -> HttpResponse:
    if not first.is_valid():
        return preview_waits(request, None, str(next(iter(first.errors.values()))[0]))
    try:
        name = " ".join(request.POST.get("name", "").split())[:100]
        made = _made(access, first, chosen, name=name)
        return (
            preview_shown(request, _propose(access, first, made)) if made.rules else preview_waits(request, None, WAITS)
        )
    except ValidationError as refusal:
        return preview_waits(request, None, refusal.messages[0])


def _sent(
    request: HttpRequest, access: Access, form: GroupForm, first: FirstRulesForm, chosen: str
) -> HttpResponse | None:
    """What becomes of the forms; None where they have to be mended."""
    if not (form.is_valid() & first.is_valid()):
        return None
    try:
        made = _made(access, first, chosen, **form.cleaned_data)
        proposal = _propose(access, first, made)
        # On no VM a template changes nothing, and says itself what it is for.
        looks = proposal.lot.changes or first.rules
        if looks and (preview := to_ask(proposal, said(request))):
            return _question(request, proposal, preview)
        group = operations.create_group_on(made=made, lot=proposal.lot, by=by(request))
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return None
    except operations.Conflict:
        form.add_error(
            None, "The VMs or their groups were changed in the meantime: look at them, and send it once more."
        )
        return None
    on = len(proposal.lot.changes)
    words = f"{group.name} was created" + (f" and is on {on} VM{'' if on == 1 else 's'}." if on else ".")
    undo = f"undo:{reverse('group_unmake', args=[access.project.slug, group.public_id])}" if on else ""
    messages.success(request, words, extra_tags=undo)
    return redirect(group)


def _question(request: HttpRequest, proposal: NewGroupOnMany, preview: Preview) -> HttpResponse:
    name = proposal.planned.group.name
    context: dict[str, Any] = {
        "title": f"Create {name}?",
        "button": "Create Security Group",
        "rules": proposal.planned.rules,
        "name": name,
        "count": len(proposal.lot.changes),
        "notes": proposal.notes,
        "preview": preview,
        "token": proposal.token,
        "hidden": sent_fields(request, _OWN_FIELDS),
        "reason": reason_of(request),
    }
    return into_dialog(request, render(request, "securitygroups/groups/new_question.html", context))


@draws_again
@page_or_form
def group_duplicate(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """A new group with the rules of this one."""
    access = enter(request, slug, write=True)
    original = find_group(access, group_id)
    initial = {"name": f"{original.name} copy", "description": original.description}
    data = request.POST if request.method == "POST" else None
    form = GroupForm(data, initial=initial, instance=SecurityGroup(project=access.project))
    if not sent(request):
        form = as_typed(form) if data is not None else form
        begins_focused(form)
    elif form.is_valid():
        try:
            rules: RuleList = rules_of_group(original)
            summary = f"Duplicated from {original.name}, {len(rules)} rules."
            group = operations.create_group(
                project=access.project, **form.cleaned_data, rules=rules, by=By(access.user), summary=summary
            )
            messages.success(request, f"{group.name} was created.")
            return redirect(group)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    context = {"form": form, "original": original, "group": original}
    return render(request, "securitygroups/groups/form.html", context, status=FORM_INVALID if sent(request) else 200)
