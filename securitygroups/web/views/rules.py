"""A group's page: its rules in order, and the edits of single rules.

Edits of many rules at once are in bulk.py.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from securitygroups import operations
from securitygroups.access import Access, find_group
from securitygroups.answers.preview import FIX_NAMES
from securitygroups.firewall import lists
from securitygroups.firewall.analysis.findings import fixes, mended
from securitygroups.firewall.values import RuleList
from securitygroups.forms import AddRuleForm, MoveForm, RuleForm, preset_values, take_refusal, take_suggestion
from securitygroups.models import GroupRevision, Rule, SecurityGroup
from securitygroups.operations import By
from securitygroups.web.changing import (
    Edit,
    ask,
    change_or_tell,
    change_rules,
    conflict,
    preview_part,
    preview_waits,
)
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID, address_of, answer, into_dialog, number_in, page_or_form
from securitygroups.web.rulepage import group_context, kept, page_url, rows_of


@require_safe
def group(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    context = group_context(request, find_group(access, group_id))
    return answer(request, "securitygroups/groups/group.html", "securitygroups/rules/_table.html", context)


def _place(rows: list[Rule], uid: str) -> int | None:
    return next((row.position for row in rows if row.uid == uid), None)


@require_POST
def rule_change(request: HttpRequest, slug: str, group_id: str, do: str, uid: str) -> HttpResponse:
    """The small edits of one rule: up, down, on, off."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = rows_of(group)
    place, last = _place(rows, uid), len(rows)
    if place is None:
        return conflict(request, access, group)
    if do in ("on", "off"):
        words = f"Rule {place} is {do} now."
        return change_or_tell(
            request,
            access,
            group,
            lambda rules: lists.switch(rules, [lists.place_of(rules, uid)], do == "on"),
            words,
            at=uid,
        )
    step = 1 if do == "down" else -1

    def shift(rules: RuleList) -> RuleList:
        now = lists.place_of(rules, uid)
        return lists.move(rules, [now], min(max(now + step, 1), len(rules)))

    return change_or_tell(
        request, access, group, shift, f"Rule {place} moved to {min(max(place + step, 1), last)} of {last}.", at=uid
    )


@page_or_form
def rule_move(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    """Move one rule to a place that is typed (or dropped on)."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = rows_of(group)
    place = _place(rows, uid)
    if place is None:
        return _gone(request, access, group)
    form = MoveForm(request.POST if request.method == "POST" else None, places=len(rows), initial={"position": place})
    if request.method == "POST" and form.is_valid():
        to = form.cleaned_data["position"]
        words = f"Rule {place} moved to {to} of {len(rows)}."

        def edit(rules: RuleList) -> RuleList:
            return lists.move(rules, [lists.place_of(rules, uid)], to)

        if "preview" in request.POST:
            return preview_part(request, group, edit)
        try:
            return change_rules(request, access, group, edit, words, at=uid)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    if "preview" in request.POST:
        return preview_waits(request, group)
    context = {
        "form": form,
        "group": group,
        "rule": rows[place - 1],
        "total": len(rows),
        "reason": request.POST.get("reason", ""),
        "back": page_url(request, group),
        # A row that was dropped comes here too, by another address.
        "to": reverse("rule_move", args=[slug, group.public_id, uid]) + kept(request),
    }
    status = FORM_INVALID if request.method == "POST" else 200
    return into_dialog(request, render(request, "securitygroups/rules/move.html", context, status=status))


def _gone(request: HttpRequest, access: Access, group: SecurityGroup) -> HttpResponse:
    """A rule that has been removed: nothing to look at, and a conflict for one who would change it."""
    if request.method == "POST":
        return conflict(request, access, group)
    raise Http404


def _removed(request: HttpRequest, group: SecurityGroup, uid: str) -> Rule | None:
    """A rule that somebody removed while it was being edited, as it was then, so that what was typed is not lost."""
    if request.method != "POST":
        return None
    try:
        base = operations.rules_at(group, number_in(request, "base"))
        place = lists.place_of(base, uid)
    except (GroupRevision.DoesNotExist, lists.NoSuchPlace):
        return None
    row = Rule(group=group, uid=uid, position=place)
    row.set_value(base[place - 1])
    return row


@require_POST
def rule_drop(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """A rule was dragged to another place: `rule` is its identity, `position` where it was let go."""
    return rule_move(request, slug, group_id, request.POST.get("rule", ""))


def _proposed_place(rows: list[Rule]) -> int:
    """The end, or above the All rules that end the list: below them a new rule would never act."""
    place = len(rows) + 1
    while place > 1 and rows[place - 2].protocol == "all":
        place -= 1
    return place


@page_or_form
def rule_add(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Add Rule. ?place=N inserts there, ?service=ssh or single query values fill the form in."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = rows_of(group)
    proposed = _proposed_place(rows)
    initial: dict[str, Any] = {"enabled": True, **preset_values(request.GET.get("service", ""))}
    initial |= {name: request.GET[name] for name in RuleForm.Meta.fields if name in request.GET}
    wanted = request.GET.get("place", "")
    initial["place"] = (
        int(wanted) if wanted.isdecimal() and len(wanted) < 7 and 1 <= int(wanted) <= len(rows) + 1 else proposed
    )

    def make(data: Any) -> AddRuleForm:
        return AddRuleForm(data, places=len(rows) + 1, initial=initial, instance=Rule(group=group))

    def edit(form: RuleForm) -> Edit:
        return lambda rules: lists.insert(rules, min(form.cleaned_data["place"], len(rules) + 1), form.as_value())

    above_all = proposed <= len(rows) and initial["place"] == proposed
    return _rule_form(request, access, group, make, edit, {"rule": None, "above_all": above_all, "rows": len(rows)})


@page_or_form
def rule_edit(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    row = next((row for row in rows_of(group) if row.uid == uid), None) or _removed(request, group, uid)
    if row is None:
        return _gone(request, access, group)

    def make(data: Any) -> RuleForm:
        return RuleForm(data, instance=copy(row))

    def edit(form: RuleForm) -> Edit:
        return lambda rules: lists.change(rules, lists.place_of(rules, uid), form.as_value())

    by = {
        revision.number: revision
        for revision in group.revisions.filter(number__in=[row.added_in, row.changed_in]).defer("rules")
    }
    context = {"rule": row, "added": by.get(row.added_in), "changed": by.get(row.changed_in)}
    return _rule_form(request, access, group, make, edit, context)


def _rule_form(
    request: HttpRequest,
    access: Access,
    group: SecurityGroup,
    make: Callable[[Any], RuleForm],
    edit: Callable[[RuleForm], Edit],
    context: dict[str, Any],
) -> HttpResponse:
    """Show the form; re-draw it when protocol or service were changed; preview it; or commit what it says."""
    base, status = group.revision, 200
    if request.method != "POST":
        form = make(None)
    elif request.POST.keys() & {"update", "suggest", "fill"}:
        base = number_in(request, "base")
        form = _unchecked(make, take_suggestion(request.POST))
    else:
        base = number_in(request, "base")
        form = make(request.POST)
        if "preview" in request.POST:
            if form.is_valid():
                return preview_part(request, group, edit(form))
            return preview_waits(request, group)
        if form.is_valid():
            try:
                return change_rules(
                    request, access, group, edit(form), at=context["rule"].uid if context["rule"] else ""
                )
            except ValidationError as refusal:
                take_refusal(form, refusal)
        status = FORM_INVALID
    context |= {
        "form": form,
        "group": group,
        "base": base,
        "reason": request.POST.get("reason", ""),
        "address": address_of(request),
        "back": page_url(request, group),
    }
    response = answer(
        request, "securitygroups/rules/form.html", "securitygroups/rules/_fields.html", context, status=status
    )
    response["HX-Trigger"] = "fields-changed"  # the preview follows
    return response


def _unchecked(make: Callable[[Any], RuleForm], data: Any) -> RuleForm:
    """The form as it was typed, fields following the protocol, nothing checked and nothing saved."""
    if "fill" in data:
        data.update(preset_values(data.get("service", "")))
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
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = rows_of(group)
    place = _place(rows, uid)
    if place is None:
        return _gone(request, access, group)

    def edit(rules: RuleList) -> RuleList:
        return lists.remove(rules, [lists.place_of(rules, uid)])

    if request.method == "POST":
        return change_or_tell(request, access, group, edit, f"Rule {place} was deleted.")
    return ask(request, group, edit)


@page_or_form
def rule_fix(request: HttpRequest, slug: str, group_id: str, uid: str, mend: str) -> HttpResponse:
    """Do what a finding offers, after showing what it changes."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)

    def edit(rules: RuleList) -> RuleList:
        place = lists.place_of(rules, uid)
        offers = [fix for fix in fixes(rules) if fix.places == (place,) and FIX_NAMES[fix.mend] == mend]
        if not offers:
            raise lists.NoSuchPlace("There is nothing to fix at this rule any more.")
        return mended(rules, offers[0])

    if request.method == "POST":
        return change_or_tell(request, access, group, edit)
    try:
        return ask(request, group, edit)
    except lists.NoSuchPlace as error:
        messages.info(request, str(error))
        return redirect(page_url(request, group))


@require_POST
def group_undo(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """Take the newest revision back."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    try:
        operations.undo(group=group, number=number, by=By(access.user))
    except operations.Conflict:
        return conflict(request, access, group, undoing=number)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    else:
        messages.success(request, "Undone: the rules are as they were before.")
    return redirect(page_url(request, group))
