"""A group's page: its rules in order, and every edit of them. An edit makes a new list, and one function commits it.

Imports access, operations, forms, web; called by urls.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from securitygroups import operations
from securitygroups.access import Access, enter, find_group
from securitygroups.firewall import lists
from securitygroups.firewall.values import RuleList
from securitygroups.forms import AddRuleForm, MoveForm, RuleForm, take_suggestion
from securitygroups.models import Rule, SecurityGroup, values
from securitygroups.web import CONFLICT, FORM_INVALID, answer, numbered, page_or_form, take_refusal

RULES_A_PAGE = 100


def _rows(group: SecurityGroup) -> list[Rule]:
    rows = list(group.rules.in_order())
    for row in rows:
        row.group = group
    return rows


def _base(request: HttpRequest) -> int:
    """The revision the page was made from; what is no number is no revision."""
    text = request.POST.get("base", "")
    return int(text) if text.isdecimal() and len(text) < 10 else -1


def _page_url(group: SecurityGroup, uid: str = "", place: int = 1) -> str:
    """The group's page where the rule stands on it."""
    page = (place - 1) // RULES_A_PAGE + 1
    return group.get_absolute_url() + (f"?page={page}" if page > 1 else "") + (f"#rule-{uid}" if uid else "")


def _context(request: HttpRequest, group: SecurityGroup) -> dict[str, Any]:
    total = group.rules.count()
    page = numbered(request, group.rules.in_order(), RULES_A_PAGE)
    for row in page.object_list:
        row.group = group
    machines = group.attachments.count()
    newest = group.revisions.filter(number=group.revision).only("number", "actor_name", "at", "by_staff").first()
    return {
        "group": group,
        "page": page,
        "rules": page.object_list,
        "total": total,
        "quota": group.project.rule_quota,
        "machine_count": machines,
        "newest": newest,
        "tab": "rules",
    }


@require_safe
def group(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    context = _context(request, find_group(access, group_id))
    return answer(request, "securitygroups/group.html", "securitygroups/_rules.html", context)


def _commit(
    request: HttpRequest,
    access: Access,
    group: SecurityGroup,
    edit: Callable[[RuleList], RuleList],
    done: str,
    *,
    at: str = "",
) -> HttpResponse:
    """Commit the edited list and show it; on a conflict say so and show what stands there now.

    `done` is the message; `at` the identity of the rule that the page should show.
    """
    base = _base(request)
    try:
        change = operations.commit_rules(
            group=group,
            rules=edit(values(_rows(group))),
            base=base,
            actor=access.user,
            reason=request.POST.get("reason", "")[:255],
        )
    except (operations.Conflict, lists.NoSuchPlace):
        return conflict(request, access, group.public_id)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect(group)
    if change:
        undo = reverse("group_undo", args=[access.project.slug, group.public_id, group.revision])
        messages.success(request, done, extra_tags=f"undo:{undo}")
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "securitygroups/_rules.html", {**_context(request, group), "is_part": True})
    rows = _rows(group)
    place = next((row.position for row in rows if row.uid == at), 1)
    return redirect(_page_url(group, at, place))


def conflict(request: HttpRequest, access: Access, group_id: str) -> HttpResponse:
    """Nothing was written: what stands there now, and the way back to it."""
    group = find_group(access, group_id)
    newest = group.revisions.filter(number=group.revision).first()
    context = {**_context(request, group), "newest": newest}
    if request.htmx:  # type: ignore[attr-defined]
        messages.error(
            request,
            "The rules were changed by somebody else in the meantime. Nothing was written; this is the list now.",
        )
        return render(request, "securitygroups/_rules.html", {**context, "is_part": True}, status=CONFLICT)
    return render(request, "securitygroups/conflict.html", context, status=CONFLICT)


def _place(rows: list[Rule], uid: str) -> int:
    """The rule's place, or 404. A POST about a rule that has gone is a conflict, and never comes here."""
    place = _find(rows, uid)
    if place is None:
        raise Http404
    return place


def _find(rows: list[Rule], uid: str) -> int | None:
    return next((row.position for row in rows if row.uid == uid), None)


@require_POST
def rule_change(request: HttpRequest, slug: str, group_id: str, do: str, uid: str) -> HttpResponse:
    """The small edits of one rule: up, down, on, off. Each keeps to the base revision that the page was made from."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = _rows(group)
    place, last = _find(rows, uid), len(rows)
    if place is None:
        return conflict(request, access, group_id)
    if do in ("on", "off"):
        words = f"Rule {place} is {do} now."
        return _commit(request, access, group, lambda rules: lists.switch(rules, [place], do == "on"), words, at=uid)
    to = min(max(place + (1 if do == "down" else -1), 1), last)
    words = f"Rule {place} moved to {to} of {last}."
    return _commit(request, access, group, lambda rules: lists.move(rules, [place], to), words, at=uid)


@page_or_form
def rule_move(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    """Move one rule to a place that is typed (or dropped on)."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = _rows(group)
    if request.method == "POST" and _find(rows, uid) is None:
        return conflict(request, access, group_id)
    place = _place(rows, uid)
    form = MoveForm(request.POST or None, places=len(rows), initial={"position": place})
    if request.method == "POST" and form.is_valid():
        to = form.cleaned_data["position"]
        words = f"Rule {place} moved to {to} of {len(rows)}."
        return _commit(request, access, group, lambda rules: lists.move(rules, [place], to), words, at=uid)
    context = {"form": form, "group": group, "rule": rows[place - 1], "total": len(rows)}
    return render(
        request, "securitygroups/rule_move.html", context, status=FORM_INVALID if request.method == "POST" else 200
    )


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
    """Add Rule. ?place=N inserts there; other query values fill the form in."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = _rows(group)
    proposed = _proposed_place(rows)
    initial = {name: request.GET[name] for name in RuleForm.Meta.fields if name in request.GET}
    wanted = request.GET.get("place", "")
    initial["place"] = wanted if wanted.isdecimal() and 1 <= int(wanted[:6]) <= len(rows) + 1 else proposed
    initial.setdefault("enabled", True)

    def make(data: Any) -> AddRuleForm:
        return AddRuleForm(data, places=len(rows) + 1, initial=initial, instance=Rule(group=group))

    def edit(form: RuleForm) -> Callable[[RuleList], RuleList]:
        place = form.cleaned_data["place"]
        return lambda rules: lists.insert(rules, place, form.as_value())

    above_all = proposed <= len(rows) and initial["place"] == proposed
    return _rule_form(request, access, group, make, edit, {"rule": None, "above_all": above_all, "rows": len(rows)})


@page_or_form
def rule_edit(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = _rows(group)
    if request.method == "POST" and _find(rows, uid) is None:
        return conflict(request, access, group_id)
    place = _place(rows, uid)

    def make(data: Any) -> RuleForm:
        return RuleForm(data, instance=group.rules.get(uid=uid))

    def edit(form: RuleForm) -> Callable[[RuleList], RuleList]:
        return lambda rules: lists.change(rules, lists.place_of(rules, uid), form.as_value())

    return _rule_form(request, access, group, make, edit, {"rule": rows[place - 1], "rows": len(rows)})


def _rule_form(
    request: HttpRequest,
    access: Access,
    group: SecurityGroup,
    make: Callable[[Any], RuleForm],
    edit: Callable[[RuleForm], Callable[[RuleList], RuleList]],
    context: dict[str, Any],
) -> HttpResponse:
    """Show the form; re-draw its fields when the protocol was changed; or commit what it says."""
    base: int = group.revision
    status = 200
    if request.method != "POST":
        form = make(None)
    elif "update" in request.POST or "suggest" in request.POST:
        data = take_suggestion(request.POST)
        base = _base(request)
        form = _unchecked(make, data)
    else:
        base = _base(request)
        form = make(request.POST)
        if form.is_valid():
            try:
                return _saved(request, access, group, form, edit, base)
            except operations.Conflict:
                return conflict(request, access, group.public_id)
            except ValidationError as refusal:
                take_refusal(form, refusal)
        status = FORM_INVALID
    context |= {"form": form, "group": group, "base": base}
    return answer(request, "securitygroups/rule_form.html", "securitygroups/_rule_fields.html", context, status=status)


def _unchecked(make: Callable[[Any], RuleForm], data: Any) -> RuleForm:
    """The form as it was typed, fields following the protocol, nothing checked and nothing saved."""
    form = make(data)
    typed = {name: data.get(name, "") for name in form.fields if name in data}
    typed["enabled"] = "enabled" in data
    fresh = make(None)
    fresh.initial |= typed
    for name, field in fresh.fields.items():
        other = form.fields[name]
        field.disabled = other.disabled
        if other.disabled:
            fresh.initial[name] = None
    fresh.shape = form.shape
    return fresh


def _saved(
    request: HttpRequest,
    access: Access,
    group: SecurityGroup,
    form: RuleForm,
    edit: Callable[[RuleForm], Callable[[RuleList], RuleList]],
    base: int,
) -> HttpResponse:
    rules = values(_rows(group))
    try:
        change = operations.commit_rules(
            group=group,
            rules=edit(form)(rules),
            base=base,
            actor=access.user,
            reason=request.POST.get("reason", "")[:255],
        )
    except lists.NoSuchPlace:
        raise operations.Conflict(group.revision) from None
    lines = change.added or change.changed
    undo = reverse("group_undo", args=[access.project.slug, group.public_id, group.revision])
    if not lines:
        messages.info(request, "Nothing was changed.")
        return redirect(group)
    place, rule = lines[0].new_place or 1, lines[0].new
    words = f"Rule {place} was added." if change.added else f"Rule {place} was saved."
    messages.success(request, words, extra_tags=f"undo:{undo}")
    return redirect(_page_url(group, rule.uid if rule else "", place))


@page_or_form
def rule_delete(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rows = _rows(group)
    if request.method == "POST" and _find(rows, uid) is None:
        return conflict(request, access, group_id)
    place = _place(rows, uid)
    if request.method == "POST":
        words = f"Rule {place} was deleted."
        return _commit(request, access, group, lambda rules: lists.remove(rules, [place]), words)
    return render(request, "securitygroups/rule_delete.html", {"group": group, "rule": rows[place - 1]})


@require_POST
def group_undo(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """Take the newest revision back."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    try:
        operations.undo(group=group, number=number, actor=access.user)
    except operations.Conflict:
        return conflict(request, access, group_id)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    else:
        messages.success(request, "Undone: the rules are as they were before.")
    return redirect(group)
