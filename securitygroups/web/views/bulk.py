"""Edits of many rules at once, one revision each: switch, delete, set the source, move, copy to another group."""

from collections.abc import Callable
from dataclasses import replace

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import draws_again, goes_back
from securitygroups.access import Access
from securitygroups.answers.filters import matching, of_project
from securitygroups.fields import to_network
from securitygroups.firewall import lists
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.firewall.values import Rule, RuleList
from securitygroups.forms import BulkForm, as_typed
from securitygroups.models import Rule as RuleRow
from securitygroups.proposals import Edit
from securitygroups.web.changing import REFUSALS, change_rules, preview_part, preview_waits
from securitygroups.web.doors import OnGroup, enter, enter_group
from securitygroups.web.pages import FORM_INVALID, answer, bounded, resend, typed
from securitygroups.web.rulepage import page_url
from securitygroups.web.views.rules import rule_change


def _places(rules: RuleList, uids: set[str]) -> list[int]:
    """Where the chosen rules stand now; those that are gone are passed over."""
    places = [place for place, rule in enumerate(rules, 1) if rule.uid in uids]
    if not places:
        raise lists.NoSuchPlace("None of the chosen rules is in the list any more.")
    return places


def _set_source(text: str) -> Callable[[Rule], Rule]:
    network = to_network(text)
    return lambda rule: replace(rule, source=network) if "source" in PROTOCOLS[rule.protocol].columns else rule


def _edit(form: BulkForm, uids: set[str]) -> Edit:
    """The edit that the form asks for, of the rules with these identities."""
    do, data = form.cleaned_data["do"], form.cleaned_data
    if do in ("on", "off"):
        return lambda rules: lists.switch(rules, _places(rules, uids), do == "on")
    if do == "delete":
        return lambda rules: lists.remove(rules, _places(rules, uids))
    if do == "move":
        return lambda rules: lists.move(rules, _places(rules, uids), data["position"])
    change = _set_source(data["source"])

    def with_source(rules: RuleList) -> RuleList:
        _places(rules, uids)
        return tuple(change(rule) if rule.uid in uids else rule for rule in rules)

    return with_source


@draws_again
@require_POST
def rules_bulk(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """`rule` names the chosen ones; with `all` it is every rule that the filter `q` finds.

    The buttons of a row stand in the same form: `up`, `down`, `on` and `off` name the one rule.
    """
    if do := next((do for do in ("up", "down", "on", "off") if do in request.POST), ""):
        return rule_change(request, slug, group_id, do, request.POST[do])
    on = enter_group(request, slug, group_id)
    uids = _chosen(on)
    if not uids:
        messages.error(request, "Nothing was changed: tick the rules first.")
        return redirect(page_url(request, on.group))
    back = goes_back(request)
    sent = not back and ("do" in request.POST or "preview" in request.POST)
    form = BulkForm(request.POST if sent or back else None, group=on.group)
    if back:
        form = as_typed(form)
    if sent and (done := _sent(on, form, uids)):
        return done
    context = {
        "group": on.group,
        "form": form,
        "chosen": [(place, rule) for place, rule in enumerate(on.rules, 1) if rule.uid in uids],
        "uids": sorted(uids),
        "reason": request.POST.get("reason", ""),
        "back": page_url(request, on.group),
    }
    return render(request, "securitygroups/rules/bulk.html", context, status=FORM_INVALID if sent else 200)


def _sent(on: OnGroup, form: BulkForm, uids: set[str]) -> HttpResponse | None:
    """What becomes of a form that was sent; None where it has to be mended."""
    preview = "preview" in on.request.POST
    if not form.is_valid():
        return preview_waits(on.request, on.group) if preview else None
    into, edit, words = _asked(on, form, uids)
    if preview:
        return preview_part(into, edit, rules=True)
    try:
        return change_rules(into, edit, words)
    except ValidationError as refusal:
        # At the field that it comes from: the source that was typed, the group that the copies do not fit into.
        name = {"source": "source", "copy": "target"}.get(form.cleaned_data["do"])
        form.add_error(name, refusal.messages[:REFUSALS])
    return None


def _chosen(on: OnGroup) -> set[str]:
    """Identities of the chosen rules."""
    if "all" in on.request.POST:
        return {rule.uid for rule in matching(on.rules, on.request.POST.get("q", "")[:200])}
    return set(on.request.POST.getlist("rule"))


def _asked(on: OnGroup, form: BulkForm, uids: set[str]) -> tuple[OnGroup, Edit, str]:
    """What the form asks for: an edit of this group, or of the one that copies go to, and the words for it."""
    if form.cleaned_data["do"] != "copy":
        return on, _edit(form, uids), ""
    request, target = on.request, form.cleaned_data["target"]
    copies = [replace(rule, uid="") for rule in on.rules if rule.uid in uids]
    # Known already; the form's query would ask for it row by row.
    target.project = on.access.project
    if request.POST.get("base_of") != target.public_id:
        # The page was made from the source group's revision; the target's newest is what the copy goes on top of.
        resend(request, base=str(target.revision), base_of=target.public_id)
    words = f"{len(copies)} rule{'s were' if len(copies) > 1 else ' was'} copied from {on.group.name}."
    return OnGroup(request, on.access, target), lambda rules: (*rules, *copies), words


@require_safe
def project_rules(request: HttpRequest, slug: str) -> HttpResponse:
    """Find rules across the groups of the project."""
    rows, query = rules_found(request, enter(request, slug))
    context = {"page": bounded(request, rows), "query": query}
    return answer(request, "securitygroups/rules/search.html", "securitygroups/rules/_search.html", context)


def rules_found(request: HttpRequest, access: Access) -> tuple[QuerySet[RuleRow], str]:
    """The project's rules that the address asks for, in order, and what was typed."""
    query = typed(request, "q")
    return of_project(access.project, query).order_by("group__name", "group_id", "position"), query
