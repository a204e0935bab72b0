"""From an edit of a group's rules to its commit: preview beside a form, question, conflict, commit, message with Undo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from karenpanel.turns import NoTurn
from securitygroups import operations
from securitygroups.answers.preview import Preview
from securitygroups.firewall import lists
from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.models import SecurityGroup
from securitygroups.proposals import Asks, Edit, NewRules, Proposal, Stale, commit, propose_rules, to_ask
from securitygroups.web.doors import OnGroup, by, said
from securitygroups.web.following import follows_group
from securitygroups.web.pages import CONFLICT, can_go_back, into_dialog, reason_of, resend, sent_fields
from securitygroups.web.rulepage import group_context, kept, page_url
from securitygroups.web.samples import seen_by

REFUSALS = 5
"""So many reasons why a list cannot be stored are told at once."""
# What the question page puts into its form itself.
_OWN_FIELDS = frozenset({"seen", "sure", "onto", "preview"})


def propose(on: OnGroup, edit: Edit) -> NewRules:
    """The list that the edit leads to. Raises Stale, lists.NoSuchPlace, ValidationError where it cannot be stored."""
    return propose_rules(on.group, on.rules, edit, said(on.request, on.group.revision))


@dataclass(frozen=True, slots=True)
class Source:
    """Where an edit comes from that was not made here: `note` is said with the question, which is asked because of it,
    `told` is what its template shows besides, and `summary` goes on record."""

    note: str
    summary: str
    told: Mapping[str, Any]


def change_rules(
    on: OnGroup, edit: Edit, done: str = "", *, at: str = "", source: Source | None = None
) -> HttpResponse:
    """Commit an edit, after a question where it changes what passes and that has not been looked at yet.

    `done` is the message afterwards (the change in words where empty), `at` the identity of the rule to come back to.
    Raises ValidationError where the new list cannot be stored, for the caller's form to show beside what was typed.
    """
    try:
        proposal = _noted(propose(on, edit), source)
    except (Stale, lists.NoSuchPlace) as stale:
        return conflict(on, stale if isinstance(stale, Stale) else None)
    told, summary = (source.told, source.summary) if source else ({}, "")
    if preview := to_ask(proposal, said(on.request)):
        return question(on.request, proposal, preview, told)
    try:
        change, made = commit(proposal, edit, said(on.request), by(on.request), summary=summary)
    except Asks as asks:
        return question(on.request, _noted(asks.proposal, source), asks.preview, told)
    except (Stale, lists.NoSuchPlace, operations.Conflict) as stale:
        return conflict(on, stale if isinstance(stale, Stale) else None)
    return _made(on, change, _told(change, made, done), at)


def _noted(proposal: NewRules, source: Source | None) -> NewRules:
    return replace(proposal, notes=(*proposal.notes, source.note)) if source and source.note else proposal


def switch_rules(on: OnGroup, edit: Edit, done: str, *, at: str) -> HttpResponse:
    """change_rules for a click that is to be enough: it is asked about only where there is an alarm, and the message says
    what passes now and what does not, beside Undo."""
    try:
        proposal = propose(on, edit)
        preview = proposal.preview(said(on.request).address)
    except (Stale, lists.NoSuchPlace, ValidationError, NoTurn):
        return change_or_tell(on, edit, done, at=at)
    if preview.alarms or proposal.notes or proposal.made:
        return change_or_tell(on, edit, done, at=at)
    resend(on.request, seen=proposal.token)
    return change_or_tell(on, edit, f"{done} {_effect(preview)}".strip(), at=at)


def _effect(preview: Preview) -> str:
    """The first that changes, in words, and how much more there is."""
    lines = [line for effect in preview.shown for line in (*effect.allowed, *effect.denied)]
    if not lines:
        return ""
    more = f" And {len(lines) - 1} more." if len(lines) > 1 else ""
    return f"{lines[0].partition(' – ')[0]}.{more}"


def _told(change: ListChange, made: NewRules, done: str) -> str:
    """The message: places that the words were made with are not those of now where others were quicker."""
    if made.made is None:
        return done or change.summary
    return f"{change.summary} Others have changed the group in the meantime, and that stays too."


def change_or_tell(on: OnGroup, edit: Edit, done: str = "", *, at: str = "") -> HttpResponse:
    """change_rules for a click, which has no form that a refusal could stand in: it is a message."""
    try:
        return change_rules(on, edit, done, at=at)
    except ValidationError as refusal:
        return _refused(on, refusal)


def _made(on: OnGroup, change: ListChange, done: str, at: str) -> HttpResponse:
    request, group = on.request, on.group
    if not change:
        messages.info(request, "Nothing was changed.")
    else:
        undo = reverse("group_undo", args=[on.access.project.slug, group.public_id, group.revision])
        undo += kept(request)
        messages.success(request, done, extra_tags=f"undo:{undo}{follows_group(group)}")
    # To htmx the new table at once; a browser is sent on, so that reloading does not send the form again.
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "securitygroups/rules/_table.html", {**group_context(request, group), "is_part": True})
    lines = change.added or change.changed or change.moved
    uid = at or (lines[0].new.uid if lines and lines[0].new else "")
    return redirect(page_url(request, group, uid))


def _refused(on: OnGroup, refusal: ValidationError) -> HttpResponse:
    for message in refusal.messages[:REFUSALS]:
        messages.error(on.request, message)
    return redirect(page_url(on.request, on.group))


def ask(on: OnGroup, edit: Edit) -> HttpResponse:
    """A GET that leads to an edit (delete, restore): its question at once. Raises lists.NoSuchPlace."""
    try:
        proposal = propose(on, edit)
    except ValidationError as refusal:
        return _refused(on, refusal)
    return question(on.request, proposal, proposal.preview(said(on.request).address))


def question(
    request: HttpRequest, proposal: NewRules, preview: Preview, told: Mapping[str, Any] | None = None
) -> HttpResponse:
    """What the change does, before it is made, and what else is `told` of it. Nothing is written yet."""
    group = proposal.group
    sent = [pair for pair in sent_fields(request, _OWN_FIELDS) if pair[0] != "reason"]
    context = {
        "title": f"Change {group.name}?",
        "button": "Make this change",
        "group": group,
        "preview": preview,
        "seen_again": seen_by(request.access, proposal),  # type: ignore[attr-defined]
        "token": proposal.token,
        "notes": proposal.notes,
        "change": list_change(proposal.old, proposal.new),
        "hidden": sent or [("base", str(group.revision))],
        "reason": reason_of(request),
        "onto": request.POST.get("onto", ""),
        "can_go_back": can_go_back(request),
        "action": request.get_full_path(),
        "back": page_url(request, group),
        **(told or {}),
    }
    return into_dialog(request, render(request, "securitygroups/changes/question.html", context))


def preview_part(on: OnGroup, edit: Edit, *, counts: bool = True, rules: bool = False) -> HttpResponse:
    """The preview below a form that is being filled in. Where it `counts`, what it showed is not asked about again; with
    `rules` it also says which rule becomes what, for a form that does not."""
    try:
        proposal = propose(on, edit)
    # No conflict page below a form that is still being typed into: it comes when the form is sent.
    except (Stale, lists.NoSuchPlace):
        context = {"group": on.group, "stale": True}
        return render(on.request, "securitygroups/changes/_form_preview.html", context)
    except ValidationError as refusal:
        return preview_waits(on.request, on.group, refusal.messages[0])
    return preview_shown(on.request, proposal, counts=counts, change=rules and list_change(proposal.old, proposal.new))


def preview_shown(
    request: HttpRequest,
    proposal: Proposal,
    *,
    counts: bool = True,
    change: ListChange | bool = False,
    told: Sequence[str] = (),
) -> HttpResponse:
    """The preview of a proposal as a part of the page; `told` is said above it."""
    try:
        preview, token = proposal.preview(said(request).address), proposal.token if counts else ""
    except NoTurn as none:
        return preview_later(request, none)
    context = {"group": getattr(proposal, "group", None), "preview": preview, "token": token, "change": change}
    context["told"] = told
    context["seen_again"] = seen_by(request.access, proposal)  # type: ignore[attr-defined]
    return render(request, "securitygroups/changes/_form_preview.html", context)


def preview_waits(request: HttpRequest, group: SecurityGroup | None, refusal: str = "") -> HttpResponse:
    """The place of the preview while what is filled in makes no list yet."""
    return render(request, "securitygroups/changes/_form_preview.html", {"group": group, "refusal": refusal})


def preview_later(request: HttpRequest, none: NoTurn) -> HttpResponse:
    """The place of the preview until there is a turn for it. Nobody asked for it, so it asks again by itself."""
    return render(request, "securitygroups/changes/_form_preview.html", {"no_turn": True, "own": none.own})


def conflict(on: OnGroup, stale: Stale | None = None, *, undoing: int | None = None) -> HttpResponse:
    """Nothing was written: theirs, mine and the base side by side, and the ways on.

    `undoing` is the revision that could not be taken back, because it is not the newest.
    """
    now = on.again()
    request, group = on.request, now.group
    context: dict[str, Any] = {
        "group": group,
        "newest": group.revisions.filter(number=group.revision).without_lists().first(),
        "hidden": sent_fields(request, _OWN_FIELDS),
        "action": request.get_full_path(),
        "back": page_url(request, group),
        "machine_count": group.attachments.count(),
        "undoing": undoing,
        "can_go_back": can_go_back(request),
    }
    if stale and stale.base is not None and stale.mine is not None:
        context |= {
            "theirs": list_change(stale.base, now.rules),
            "mine": list_change(stale.base, stale.mine),
            "base_rules": stale.base,
            "now_rules": now.rules,
            "mine_rules": stale.mine,
            "base": said(request).base,
        }
    return into_dialog(request, render(request, "securitygroups/changes/conflict.html", context, status=CONFLICT))


def gone(on: OnGroup) -> HttpResponse:
    """A rule that has been removed: nothing to look at, and a conflict for one who would change it."""
    if on.request.method == "POST":
        return conflict(on)
    raise Http404
