"""A group's page: its rules in order, and the edits of single rules."""

from collections.abc import Callable
from copy import copy
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import BACK, draws_again
from securitygroups import operations
from securitygroups.access import find_group
from securitygroups.answers.findings import FIX_NAMES
from securitygroups.firewall import lists
from securitygroups.firewall.analysis.findings import fixes, mended
from securitygroups.firewall.values import RuleList, whole_number
from securitygroups.forms import AddRuleForm, MoveForm, RuleForm, as_typed, preset_values, take_refusal, take_suggestion
from securitygroups.models import GroupRevision, Rule, SecurityGroup
from securitygroups.operations import By
from securitygroups.proposals import Edit
from securitygroups.web.changing import ask, change_or_tell, change_rules, conflict, preview_part, preview_waits
from securitygroups.web.doors import OnGroup, enter, enter_group, said
from securitygroups.web.pages import FORM_INVALID, address_of, answer, into_dialog, page_or_form, sent
from securitygroups.web.rulepage import group_context, kept, page_url


@require_safe
def group(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    context = group_context(request, find_group(access, group_id))
    return answer(request, "securitygroups/groups/group.html", "securitygroups/rules/_table.html", context)


@require_safe
def rule_menu(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    """What can be done with one rule, and who made it: the row's menu when it is opened, and a page without script."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    row = group.rules.filter(uid=uid).first()
    if row is None:
        raise Http404
    keep = kept(request)
    context = {
        "group": group,
        "rule": row,
        "place": row.position,
        "keep": keep,
        "and_keep": f"&{keep[1:]}" if keep else "",
        "back": f"{page_url(request, group)}#rule-{uid}",
        **_makers(group, row),
    }
    return answer(request, "securitygroups/rules/menu.html", "securitygroups/rules/_menu.html", context)


def _makers(group: SecurityGroup, row: Rule) -> dict[str, GroupRevision | None]:
    """The revisions that the rule was added and last changed in."""
    made = group.revisions.filter(number__in=[row.added_in, row.changed_in]).without_lists()
    who = {revision.number: revision for revision in made}
    return {"added": who.get(row.added_in), "changed": who.get(row.changed_in)}


@require_POST
def rule_change(request: HttpRequest, slug: str, group_id: str, do: str, uid: str) -> HttpResponse:
    """The small edits of one rule: up, down, on, off."""
    on = enter_group(request, slug, group_id)
    place, last = on.place(uid), len(on.rules)
    if place is None:
        return conflict(on)
    if do in ("on", "off"):

        def switch(rules: RuleList) -> RuleList:
            return lists.switch(rules, [lists.place_of(rules, uid)], do == "on")

        return change_or_tell(on, switch, f"Rule {place} is {do} now.", at=uid)
    step = 1 if do == "down" else -1

    def shift(rules: RuleList) -> RuleList:
        now = lists.place_of(rules, uid)
        return lists.move(rules, [now], min(max(now + step, 1), len(rules)))

    words = f"Rule {place} moved to {min(max(place + step, 1), last)} of {last}."
    return change_or_tell(on, shift, words, at=uid)


@draws_again
@page_or_form
def rule_move(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    """Move one rule to a place that is typed (or dropped on)."""
    on = enter_group(request, slug, group_id)
    place, last = on.place(uid), len(on.rules)
    if place is None:
        return _gone(on)
    form = MoveForm(request.POST if request.method == "POST" else None, places=last, initial={"position": place})
    if not sent(request):
        form = as_typed(form)
    elif form.is_valid():
        to = form.cleaned_data["position"]

        def edit(rules: RuleList) -> RuleList:
            return lists.move(rules, [lists.place_of(rules, uid)], to)

        if "preview" in request.POST:
            return preview_part(on, edit)
        try:
            return change_rules(on, edit, f"Rule {place} moved to {to} of {last}.", at=uid)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    if "preview" in request.POST:
        return preview_waits(request, on.group)
    context = {
        "form": form,
        "group": on.group,
        "rule": on.rules[place - 1],
        "place": place,
        "total": last,
        "reason": request.POST.get("reason", ""),
        "back": page_url(request, on.group),
        # A row that was dropped comes here too, by another address.
        "to": reverse("rule_move", args=[slug, on.group.public_id, uid]) + kept(request),
    }
    status = FORM_INVALID if sent(request) else 200
    return into_dialog(request, render(request, "securitygroups/rules/move.html", context, status=status))


@require_POST
def rule_drop(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """A rule was dragged to another place: `rule` is its identity, `position` where it was let go."""
    return rule_move(request, slug, group_id, request.POST.get("rule", ""))


def _gone(on: OnGroup) -> HttpResponse:
    """A rule that has been removed: nothing to look at, and a conflict for one who would change it."""
    if on.request.method == "POST":
        return conflict(on)
    raise Http404


def _proposed_place(rules: RuleList) -> int:
    """The end, or above the All rules that end the list: below them a new rule would never act."""
    place = len(rules) + 1
    while place > 1 and rules[place - 2].protocol == "all":
        place -= 1
    return place


@draws_again
@page_or_form
def rule_add(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Add Rule. ?place=N inserts there, ?service=ssh or single query values fill the form in."""
    on = enter_group(request, slug, group_id)
    last, proposed = len(on.rules), _proposed_place(on.rules)
    initial: dict[str, Any] = {"enabled": True, **preset_values(request.GET.get("service", ""))}
    initial |= {name: request.GET[name] for name in RuleForm.Meta.fields if name in request.GET}
    initial["place"] = whole_number(request.GET.get("place", ""), last + 1) or proposed

    def make(data: Any) -> AddRuleForm:
        return AddRuleForm(data, places=last + 1, initial=initial, instance=Rule(group=on.group))

    def edit(form: RuleForm) -> Edit:
        return lambda rules: lists.insert(rules, min(form.cleaned_data["place"], len(rules) + 1), form.as_value())

    above_all = proposed <= last and initial["place"] == proposed
    return _rule_form(on, make, edit, {"rule": None, "above_all": above_all, "rows": last})


@draws_again
@page_or_form
def rule_edit(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    on = enter_group(request, slug, group_id)
    # One row: the form shows no other rule of the list.
    row = on.group.rules.filter(uid=uid).first() or _removed(on, uid)
    if row is None:
        return _gone(on)
    row.group = on.group

    def make(data: Any) -> RuleForm:
        return RuleForm(data, instance=copy(row))

    def edit(form: RuleForm) -> Edit:
        return lambda rules: lists.change(rules, lists.place_of(rules, uid), form.as_value())

    return _rule_form(on, make, edit, {"rule": row, **_makers(on.group, row)})


def _removed(on: OnGroup, uid: str) -> Rule | None:
    """A rule that somebody removed while it was being edited, as it was then, so that what was typed is not lost."""
    if on.request.method != "POST":
        return None
    try:
        base = operations.rules_at(on.group, said(on.request).base)
        place = lists.place_of(base, uid)
    except (GroupRevision.DoesNotExist, lists.NoSuchPlace):
        return None
    row = Rule(group=on.group, uid=uid, position=place)
    row.set_value(base[place - 1])
    return row


def _rule_form(
    on: OnGroup, make: Callable[[Any], RuleForm], edit: Callable[[RuleForm], Edit], context: dict[str, Any]
) -> HttpResponse:
    """Show the form; re-draw it when protocol or service were changed; preview it; or commit what it says."""
    request, status = on.request, 200
    if request.method != "POST":
        form = make(None)
    elif request.POST.keys() & {"update", "suggest", "fill", BACK}:
        form = _unchecked(make, take_suggestion(request.POST))
    else:
        form = make(request.POST)
        uid = context["rule"].uid if context["rule"] else ""
        if done := _sent(on, form, edit, uid):
            return done
        status = FORM_INVALID
    context |= {
        "form": form,
        "group": on.group,
        "base": said(request, on.group.revision).base,
        "reason": request.POST.get("reason", ""),
        "address": address_of(request),
        "back": page_url(request, on.group),
    }
    page, part = "securitygroups/rules/form.html", "securitygroups/rules/_fields.html"
    response = answer(request, page, part, context, status=status)
    response["HX-Trigger"] = "fields-changed"  # the preview follows
    return response


def _sent(on: OnGroup, form: RuleForm, edit: Callable[[RuleForm], Edit], uid: str) -> HttpResponse | None:
    """What becomes of a form that was sent; None where it has to be mended."""
    if "preview" in on.request.POST:
        return preview_part(on, edit(form)) if form.is_valid() else preview_waits(on.request, on.group)
    if form.is_valid():
        try:
            return change_rules(on, edit(form), at=uid)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    return None


def _unchecked(make: Callable[[Any], RuleForm], data: Any) -> RuleForm:
    """The form as it was typed, fields following the protocol, nothing checked and nothing saved."""
    if "fill" in data:
        data.update(preset_values(data.get("service", "")))
    # A bound form would show every field that is still empty as an error.
    typed_form = make(data)
    fresh = make(None)
    fresh.initial.update({name: data.get(name, "") for name in fresh.fields if name in data}, enabled="enabled" in data)
    for name, field in fresh.fields.items():
        field.disabled = typed_form.fields[name].disabled
        if field.disabled:
            fresh.initial[name] = None
    fresh.shape = typed_form.shape
    return fresh


@page_or_form
def rule_delete(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    on = enter_group(request, slug, group_id)
    place = on.place(uid)
    if place is None:
        return _gone(on)

    def edit(rules: RuleList) -> RuleList:
        return lists.remove(rules, [lists.place_of(rules, uid)])

    if request.method == "POST":
        return change_or_tell(on, edit, f"Rule {place} was deleted.")
    return ask(on, edit)


@page_or_form
def rule_fix(request: HttpRequest, slug: str, group_id: str, uid: str, mend: str) -> HttpResponse:
    """Do what a finding offers, after showing what it changes."""
    on = enter_group(request, slug, group_id)

    def edit(rules: RuleList) -> RuleList:
        place = lists.place_of(rules, uid)
        offers = [fix for fix in fixes(rules) if fix.places == (place,) and FIX_NAMES[fix.mend] == mend]
        if not offers:
            raise lists.NoSuchPlace("There is nothing to fix at this rule any more.")
        return mended(rules, offers[0])

    if request.method == "POST":
        return change_or_tell(on, edit)
    try:
        return ask(on, edit)
    except lists.NoSuchPlace as error:
        messages.info(request, str(error))
        return redirect(page_url(request, on.group))


@require_POST
def group_undo(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """Take the newest revision back."""
    on = enter_group(request, slug, group_id)
    try:
        operations.undo(group=on.group, number=number, by=By(on.access.user))
    except operations.Conflict:
        return conflict(on, undoing=number)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    else:
        messages.success(request, "Undone: the rules are as they were before.")
    return redirect(page_url(request, on.group))
