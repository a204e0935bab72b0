"""Open a port on a VM: in one of its groups, or in a new one that is made and attached by the same click."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import Access, find_group, find_machine
from securitygroups.answers.closers import hidden_below
from securitygroups.answers.preview import Preview
from securitygroups.effective import of_machine, rules_of, rules_of_group
from securitygroups.firewall.opening import opened_by, with_opened
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.forms import NEW, OpenForm, as_typed, take_refusal, take_suggestion
from securitygroups.models import Attachment, SecurityGroup, VirtualMachine
from securitygroups.proposals import (
    Asks,
    Edit,
    NewGroupOn,
    NewRules,
    Stale,
    commit,
    propose_group_on,
    propose_rules,
    to_ask,
)
from securitygroups.said import Said
from securitygroups.web import attaching, changing
from securitygroups.web.attaching import attached_groups
from securitygroups.web.doors import by, enter, said
from securitygroups.web.following import follows_group
from securitygroups.web.opening import made_by, planned_by
from securitygroups.web.pages import FORM_INVALID, address_of, page_or_form, reason_of
from securitygroups.words.rules import rule_sentence

NAMED = 2
"""Rules that a message names; the others are counted."""


@dataclass(slots=True)
class Opening:
    """One request to open something on a VM."""

    request: HttpRequest
    access: Access
    machine: VirtualMachine
    groups: list[SecurityGroup]
    form: OpenForm
    base: int

    @property
    def chosen(self) -> SecurityGroup | None:
        """The group that is changed; None for a new one."""
        return next((one for one in self.groups if one.public_id == self.form.cleaned_data["group"]), None)

    def made(self, wanted: RuleList) -> operations.Made:
        return made_by(self.form, self.access.project, self.machine.name, wanted)

    def wanted(self) -> tuple[list[Rule], list[str]]:
        """The rules that are still to be made, and what is said of those by which all passes already."""
        listed = of_machine(self.machine)
        rules, missing, told = rules_of(listed), [], []
        for each in self.form.rules:
            place = opened_by(rules, each)
            if place is None:
                missing.append(each)
            else:
                told.append(f"Already open: {rule_sentence(each)} By {listed[place - 1].text}.")
        return missing, told

    def propose(self, wanted: RuleList) -> NewRules | NewGroupOn:
        """Raises ValidationError."""
        group = self.chosen
        if group is None:
            planned = planned_by(self.made(wanted), self.access.project)
            return propose_group_on(self.machine, self.groups, planned)
        return propose_rules(group, rules_of_group(group), adding(wanted), self.says(group))

    def says(self, group: SecurityGroup) -> Said:
        """What is added hangs on no other rule: it fits whatever list there is by now."""
        return replace(said(self.request), base=group.revision)


def adding(wanted: RuleList) -> Edit:
    return lambda rules: with_opened(rules, wanted)


def _choices(groups: Sequence[SecurityGroup]) -> list[dict[str, Any]]:
    """The VM's groups, each with on how many other VMs it is, and the one below which it would not act (three queries)."""
    rows = Attachment.objects.filter(group__in=groups).order_by().values_list("group").annotate(Count("pk"))
    counts, below = dict(rows), hidden_below([group.pk for group in groups])
    names = {group.pk: group.name for group in groups}
    return [
        {"group": group, "others": counts.get(group.pk, 1) - 1, "below": names.get(below.get(group.pk, 0), "")}
        for group in groups
    ]


def _proposed(choices: Sequence[dict[str, Any]]) -> str:
    """A group that the VM has for itself and that acts there, else a new one: nothing is opened on other VMs unasked."""
    acting = [one for one in choices if not one["below"]]
    own: list[str] = [one["group"].public_id for one in acting if not one["others"]]
    if own or len(choices) < settings.MAX_GROUPS_PER_MACHINE:
        return own[0] if own else NEW
    return str((acting or choices)[0]["group"].public_id)


@draws_again
@page_or_form
def machine_open(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """Open a port. ?ports=https fills it in."""
    access = enter(request, slug, write=True)
    vm = find_machine(access, machine_id)
    groups = attached_groups(vm)
    for group in groups:
        group.project = access.project
    choices = _choices(groups)
    ids = [(group.public_id, group.name) for group in groups]
    room = len(groups) < settings.MAX_GROUPS_PER_MACHINE
    posted = request.method == "POST"
    form = OpenForm(
        take_suggestion(request.POST) if posted else None,
        choices=[*ids, (NEW, "A new group")] if room else ids,
        address=address_of(request),
        initial={"ports": request.GET.get("ports", ""), "group": _proposed(choices)},
    )
    form.fields["group_name"].help_text = f"Empty: {operations.free_name(access.project, vm.name)}."
    opening = Opening(request, access, vm, groups, form, said(request, vm.revision).base)
    status = 200
    if posted and ({"suggest"} & request.POST.keys() or goes_back(request)):
        form = as_typed(form)
    elif "preview" in request.POST:
        return _previewed(opening)
    elif posted:
        if done := _sent(opening):
            return done
        status = FORM_INVALID
    context = {
        "machine": vm,
        "form": form,
        "choices": choices,
        "room": room,
        "base": opening.base,
        "reason": reason_of(request),
        "waits": "What this opens is shown here.",
    }
    return render(request, "securitygroups/machines/open.html", context, status=status)


def _previewed(opening: Opening) -> HttpResponse:
    request, form = opening.request, opening.form
    if not form.is_valid():
        typed = request.POST.get("ports", "") or request.POST.get("network", "")
        first = str(next(iter(form.errors.values()))[0]) if typed else "What this opens is shown here."
        return changing.preview_waits(request, None, first)
    wanted, told = opening.wanted()
    if not wanted:
        return changing.preview_waits(request, None, " ".join(told))
    try:
        proposal = opening.propose(wanted)
    except ValidationError as refusal:
        return changing.preview_waits(request, None, refusal.messages[0])
    return changing.preview_shown(request, proposal, told=told)


def _sent(opening: Opening) -> HttpResponse | None:
    """What becomes of the form; None where it has to be mended."""
    request, form, vm = opening.request, opening.form, opening.machine
    if not form.is_valid():
        return None
    wanted, told = opening.wanted()
    if not wanted:
        messages.info(request, f"Nothing was changed. {' '.join(told)}")
        return redirect(vm)
    try:
        proposal = opening.propose(wanted)
        # Before the question: a yes to it would be in vain.
        if isinstance(proposal, NewGroupOn) and opening.base != vm.revision:
            raise operations.Conflict(vm.revision)
        if preview := to_ask(proposal, said(request)):
            return _question(request, proposal, preview)
        return _made(opening, proposal, wanted)
    except ValidationError as refusal:
        take_refusal(form, refusal)
    except (operations.Conflict, Stale):
        form.add_error(None, "The groups of the VM were changed in the meantime: look at them, and send it once more.")
        # They are on the page now: what is sent from it stands on them.
        opening.base = vm.revision
    return None


def _question(request: HttpRequest, proposal: NewRules | NewGroupOn, preview: Preview) -> HttpResponse:
    if isinstance(proposal, NewRules):
        return changing.question(request, proposal, preview)
    words = {"title": f"Open this on {proposal.machine.name}?", "button": "Open"}
    return attaching.question(request, proposal, preview, **words)


def _made(opening: Opening, proposal: NewRules | NewGroupOn, wanted: RuleList) -> HttpResponse:
    """Commit it. Raises ValidationError, Conflict, Stale."""
    request, vm, slug = opening.request, opening.machine, opening.access.project.slug
    what = " ".join(rule_sentence(each) for each in wanted[:NAMED])
    more = f" And {len(wanted) - NAMED} more." if len(wanted) > NAMED else ""
    if isinstance(proposal, NewRules):
        group = proposal.group
        try:
            commit(proposal, adding(wanted), opening.says(group), by(request))
        except Asks as asks:
            return changing.question(request, asks.proposal, asks.preview)
        undo = reverse("group_undo", args=[slug, group.public_id, group.revision]) + f"?machine={vm.public_id}"
        done = f"Opened in {group.name}: {what}{more}"
    else:
        group = operations.open_on_machine(
            machine=vm,
            base=opening.base,
            groups=proposal.before,
            made=opening.made(wanted),
            at=proposal.at,
            by=by(request),
        )
        undo = reverse("group_unmake", args=[slug, group.public_id])
        done = f"{group.name} was created and attached: {what}{more}"
    messages.success(request, done, extra_tags=f"undo:{undo}{follows_group(group, attached=True)}")
    return redirect(vm)


@require_POST
def group_unmake(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Take back a group that was created and attached by one click."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    on = group.attachments.select_related("machine").first()
    try:
        operations.unmake_group(group=group, by=by(request))
    except operations.Conflict:
        words = (
            "or what stands beside it has been changed since. Delete it instead, and you are shown what that changes."
        )
        messages.error(request, f"Nothing was undone: {group.name} {words}")
        return redirect(group)
    messages.success(request, f"Undone: {group.name} is gone again.")
    if on is None:
        return redirect("groups", slug)
    return redirect("machine", slug, on.machine.public_id)
