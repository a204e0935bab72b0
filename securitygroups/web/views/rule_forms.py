"""The form of a rule: pages to add and to edit one, and the same form in the list, in the place of its row or below it."""

import json
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from karenpanel.sent_again import BACK, draws_again
from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.firewall.values import RULE_FIELDS, RuleList, whole_number
from securitygroups.forms import AddRuleForm, RuleForm, preset_values, take_refusal, take_suggestion
from securitygroups.models import GroupRevision, Rule
from securitygroups.proposals import Edit
from securitygroups.web.changing import change_rules, gone, preview_part, preview_waits
from securitygroups.web.doors import OnGroup, enter_group, said
from securitygroups.web.pages import FORM_INVALID, address_of, answer, page_or_form
from securitygroups.web.rulepage import kept, makers, page_url, use_of

NARROWED = ("source", "destination", "port_start", "port_end")
"""What a rule may be offered narrower."""
SAME_AGAIN = ("action", "direction", "protocol")
"""What stays in the form when another rule is added."""


@dataclass(slots=True)
class Task:
    """What a form of a rule is for: how it is made from what was sent, what it does to a list, and its words.

    `row` is the rule that is edited, None for a new one; `waits` is said in place of the preview of an untouched form.
    """

    make: Callable[[Any], RuleForm]
    edit: Callable[[RuleForm], Edit]
    to: str
    waits: str
    row: Rule | None = None
    place: int = 0
    about: dict[str, Any] | None = None

    @property
    def deed(self) -> str:
        return "Save rule" if self.row else "Add Rule"

    def deed_of(self, many: int) -> str:
        return self.deed if many == 1 else f"{'Make' if self.row else 'Add'} {many} rules"


@draws_again
@page_or_form
def rule_add(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """Add Rule. ?place=N inserts there, ?copy=UID below that rule and like it; ?service=ssh or single values fill it in."""
    on = enter_group(request, slug, group_id)
    return _rule_form(on, _adding(on))


@draws_again
@page_or_form
def rule_edit(request: HttpRequest, slug: str, group_id: str, uid: str) -> HttpResponse:
    on = enter_group(request, slug, group_id)
    # One row: the form shows no other rule of the list.
    row = on.group.rules.filter(uid=uid).first() or _removed(on, uid)
    if row is None:
        return gone(on)
    task = _editing(on, row)
    task.about = makers(on.group, row)
    if request.method != "POST":
        task.about |= use_of(on.access, on.group, uid)
    return _rule_form(on, task)


def in_the_list(on: OnGroup) -> dict[str, Any]:
    """What the list shows with a form in it: ?edit=UID in the place of that row, ?copy=UID below it. Empty without one."""
    for name in ("edit", "copy"):
        row = on.group.rules.filter(uid=on.request.GET[name]).first() if name in on.request.GET else None
        if row is not None:
            task = _editing(on, row) if name == "edit" else _adding(on)
            back = f"{on.group.get_absolute_url()}{kept(on.request)}#rule-{row.uid}"
            return {**_context(on, task, task.make(None)), "form_at": row.uid, "form_is": name, "back": back}
    return {}


def _proposed_place(rules: RuleList) -> int:
    """The end, or above the All rules that end the list: below them a new rule would never act."""
    place = len(rules) + 1
    while place > 1 and rules[place - 2].protocol == "all":
        place -= 1
    return place


def _adding(on: OnGroup) -> Task:
    request = on.request
    last, proposed = len(on.rules), _proposed_place(on.rules)
    initial: dict[str, Any] = {"enabled": True, **preset_values(request.GET.get("service", ""))}
    initial |= {name: request.GET[name] for name in RuleForm.Meta.fields if name in request.GET}
    waits = "Type a port, or leave it empty for every port: what the rule lets through is shown here."
    copied = on.place(request.GET.get("copy", ""))
    if copied:
        initial |= {name: getattr(on.rules[copied - 1], name) for name in RULE_FIELDS}
        proposed = copied + 1
        waits = "Change what is to differ: an exact copy would never act."
    initial["place"] = whole_number(request.GET.get("place", ""), last + 1) or proposed

    def make(data: Any) -> AddRuleForm:
        return AddRuleForm(data, places=last + 1, initial=initial, instance=Rule(group=on.group))

    def edit(form: RuleForm) -> Edit:
        return lambda rules: _inserted(rules, min(form.cleaned_data["place"], len(rules) + 1), form)

    above_all = not copied and proposed <= last and initial["place"] == proposed
    to = f"{reverse('rule_add', args=[on.access.project.slug, on.group.public_id])}{kept(request)}"
    if copied:
        to += f"{'&' if '?' in to else '?'}copy={request.GET['copy']}"
    whole = initial.get("protocol") == "all"
    filled = not copied and (whole or {"source", "destination", "port_start"} & initial.keys())
    return Task(
        make,
        edit,
        to,
        "" if filled else waits,
        place=proposed,
        about={"above_all": above_all, "rows": last, "copied": copied},
    )


def _editing(on: OnGroup, row: Rule) -> Task:
    row.group = on.group
    uid = row.uid

    def edit(form: RuleForm) -> Edit:
        def change(rules: RuleList) -> RuleList:
            place = lists.place_of(rules, uid)
            first, *more = form.as_values()
            changed: RuleList = lists.change(rules, place, first)
            for nth, rule in enumerate(more, 1):
                changed = lists.insert(changed, place + nth, rule)
            return changed

        return change

    to = reverse("rule_edit", args=[on.access.project.slug, on.group.public_id, uid]) + kept(on.request)
    # Filled in with something narrower that was offered elsewhere: what that changes is shown at once.
    narrow = {name: on.request.GET[name] for name in NARROWED if name in on.request.GET and "narrow" in on.request.GET}
    to += f"{'&' if '?' in to else '?'}narrow=1" if narrow else ""

    def make(data: Any) -> RuleForm:
        return RuleForm(data, instance=copy(row), initial=dict(narrow))

    waits = "" if "narrow" in on.request.GET else "What this changes is shown here."
    return Task(make, edit, to, waits, row)


def _inserted(rules: RuleList, place: int, form: RuleForm) -> RuleList:
    for nth, rule in enumerate(form.as_values()):
        rules = lists.insert(rules, place + nth, rule)
    return rules


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


def _rule_form(on: OnGroup, task: Task) -> HttpResponse:
    """Show the form; re-draw it when protocol or service were changed; preview it; or commit what it says."""
    request, status = on.request, 200
    if request.method != "POST":
        form = task.make(None)
    elif request.POST.keys() & {"update", "suggest", "fill", BACK}:
        form = _unchecked(task.make, take_suggestion(request.POST))
    else:
        form = task.make(request.POST)
        if done := _sent(on, task, form):
            return done
        status = FORM_INVALID
    page, part = "securitygroups/rules/form.html", "securitygroups/rules/_fields.html"
    response = answer(request, page, part, _context(on, task, form), status=status)
    response["HX-Trigger"] = "fields-changed"  # the preview follows
    # Sent from the list, which stays as it is around the form.
    response["HX-Retarget"], response["HX-Reswap"] = "#rule-fields", "outerHTML"
    return response


def _context(on: OnGroup, task: Task, form: RuleForm) -> dict[str, Any]:
    reason = on.request.POST.get("reason", "")
    if on.request.method != "POST":
        first = next(name for name in ("source", "description") if not form.fields[name].disabled)
        form.fields[first].widget.attrs["autofocus"] = True
    return {
        **(task.about or {}),
        "form": form,
        "group": on.group,
        "rule": task.row,
        "to": task.to,
        "deed": task.deed_of(form.make_several or 1),
        "waits": task.waits,
        "base": said(on.request, on.group.revision).base,
        "reason": reason,
        "more": bool(reason) or _differs(task, form),
        "address": address_of(on.request),
        "back": page_url(on.request, on.group),
    }


def _differs(task: Task, form: RuleForm) -> bool:
    """Whether something stands in what is rarely used, so that it is shown at once."""
    place = "place" in form.fields and str(form["place"].value()) != str(task.place)
    return place or not form["enabled"].value() or bool(form.errors.keys() & {"place", "enabled"})


def _sent(on: OnGroup, task: Task, form: RuleForm) -> HttpResponse | None:
    """What becomes of a form that was sent; None where it has to be mended."""
    if "preview" in on.request.POST:
        return _previewed(on, task, form)
    if not form.is_valid():
        return None
    more = "another" in on.request.POST and task.row is None
    try:
        done = change_rules(on, task.edit(form), _added(form) if more else "", at=task.row.uid if task.row else "")
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return None
    return redirect(_another(on, form)) if more and "location" in done.headers else done


def _previewed(on: OnGroup, task: Task, form: RuleForm) -> HttpResponse:
    """The preview; beside it the button says how many rules there will be."""
    many = 1
    if task.waits and form.untouched:
        response = preview_waits(on.request, on.group, task.waits)
    elif form.is_valid():
        many = len(form.combinations)
        response = preview_part(on, task.edit(form))
    else:
        response = preview_waits(on.request, on.group, str(next(iter(form.errors.values()))[0]))
    response["HX-Trigger"] = json.dumps({"deed": task.deed_of(many)})
    return response


def _added(form: RuleForm) -> str:
    place, many = form.cleaned_data["place"], len(form.combinations)
    return f"Rule {place} was added." if many == 1 else f"{many} rules were added, {place} to {place + many - 1}."


def _another(on: OnGroup, form: RuleForm) -> str:
    """The form for one more rule, below what was added."""
    query = QueryDict(mutable=True)
    query.update({name: str(form.cleaned_data[name]) for name in SAME_AGAIN})
    query["place"] = str(form.cleaned_data["place"] + len(form.combinations))
    end = kept(on.request)
    url = reverse("rule_add", args=[on.access.project.slug, on.group.public_id])
    return f"{url}{end}{'&' if end else '?'}{query.urlencode()}"


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
