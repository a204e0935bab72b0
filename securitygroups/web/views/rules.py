"""A group's page: its rules in order, and the small edits of single rules."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import draws_again
from securitygroups import operations
from securitygroups.access import find_group, find_machine
from securitygroups.answers.findings import FIX_NAMES
from securitygroups.answers.reviewed import marks
from securitygroups.firewall import lists
from securitygroups.firewall.analysis.findings import fixes, mended
from securitygroups.firewall.values import RuleList
from securitygroups.forms import MoveForm, as_typed, take_refusal
from securitygroups.operations import By
from securitygroups.web.changing import (
    ask,
    change_or_tell,
    change_rules,
    conflict,
    gone,
    preview_part,
    preview_waits,
    switch_rules,
)
from securitygroups.web.doors import OnGroup, enter, enter_group
from securitygroups.web.following import follows_group
from securitygroups.web.pages import FORM_INVALID, answer, into_dialog, page_or_form, sent
from securitygroups.web.rulepage import group_context, kept, makers, page_url, use_of
from securitygroups.web.views.rule_forms import in_the_list


@require_safe
def group(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    group = find_group(access, group_id)
    form = in_the_list(OnGroup(request, access, group)) if access.can_edit else {}
    context = group_context(request, group) | form
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
        **makers(group, row),
        **use_of(access, group, uid),
        "reviewed": marks(group, [uid]).get(uid),
    }
    return answer(request, "securitygroups/rules/menu.html", "securitygroups/rules/_menu.html", context)


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

        # The button in the row sends the form round the list, and is one click.
        change = switch_rules if do in request.POST else change_or_tell
        return change(on, switch, f"Rule {place} is {do} now.", at=uid)
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
        return gone(on)
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


@page_or_form
def rule_delete(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    on = enter_group(request, slug, group_id)
    place = on.place(uid)
    if place is None:
        return gone(on)

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
    """Take the newest revision back; ?machine= names the VM on whose page it was made."""
    on = enter_group(request, slug, group_id)
    try:
        back = find_machine(on.access, request.GET.get("machine", "")).get_absolute_url()
    except Http404:
        back = page_url(request, on.group)
    try:
        operations.undo(group=on.group, number=number, by=By(on.access.user))
    except operations.Conflict:
        return conflict(on, undoing=number)
    except operations.NotWhatItWas as refusal:
        messages.warning(request, f"Nothing was undone yet. {refusal.messages[0]} This is what it would do now.")
        return redirect("group_restore", slug, on.group.public_id, number - 1)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    else:
        words = "Undone: the rules are as they were before."
        messages.success(request, words, extra_tags=follows_group(on.again().group))
    return redirect(back)
