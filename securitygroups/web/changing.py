"""The one way from an edit to a commit: base, conflict, preview, question, commit, message with Undo.

An edit is a function from a list to a new list that names rules by identity, so that it can be applied to the list
that somebody else left behind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from json import dumps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from securitygroups import operations
from securitygroups.access import Access, find_group
from securitygroups.answers.preview import Preview, preview_rules
from securitygroups.firewall import lists
from securitygroups.firewall.changes import Rebased, list_change, rebase
from securitygroups.firewall.formats.documents import stored_rules
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.firewall.values import RuleList
from securitygroups.models import GroupRevision, SecurityGroup, values
from securitygroups.operations import By
from securitygroups.web.pages import CONFLICT, address_of, into_dialog, number_in, reason_of, sent_fields
from securitygroups.web.rulepage import group_context, kept, page_url, rows_of

Edit = Callable[[RuleList], RuleList]
REFUSALS = 5
"""So many reasons why a list cannot be stored are told at once."""
# What the question page puts into its form itself.
_OWN_FIELDS = frozenset({"csrfmiddlewaretoken", "seen", "sure", "onto", "preview"})


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new list that could be committed on top of the group's newest revision."""

    old: tuple[RuleValue, ...]
    new: tuple[RuleValue, ...]
    token: str
    notes: tuple[str, ...] = ()


class Stale(Exception):
    """The list that the edit was made from is not the newest. `mine` is what the edit made of it, None if unknown."""

    def __init__(self, base: RuleList | None, mine: RuleList | None) -> None:
        super().__init__("The rules have been changed in the meantime.")
        self.base, self.mine = base, mine


def propose(request: HttpRequest, group: SecurityGroup, edit: Edit) -> Proposal:
    """The list that the edit leads to. Raises Stale, lists.NoSuchPlace, ValidationError where it cannot be stored."""
    now = values(rows_of(group))
    base = number_in(request, "base") if request.method == "POST" else group.revision
    notes: tuple[str, ...] = ()
    if base == group.revision:
        new = tuple(edit(now))
    else:
        rebased = _rebased(request, group, edit, now, base)
        new, notes = rebased.rules, rebased.notes
    operations.check_rules(group.project, new, had=len(now))
    # New rules have no identity yet, so the token speaks of content; the revision makes it good for one time only.
    # What a rule is called changes no traffic, so typing on in a description asks for no second look.
    rules = [{**rule, "description": ""} for rule in stored_rules(new)]
    text = dumps([group.public_id, group.revision, rules])
    return Proposal(now, new, sha256(text.encode()).hexdigest()[:32], notes)


def _rebased(request: HttpRequest, group: SecurityGroup, edit: Edit, now: RuleList, base: int) -> Rebased:
    try:
        start = operations.rules_at(group, base)
    except GroupRevision.DoesNotExist:
        raise Stale(None, None) from None
    mine = tuple(edit(start))
    if number_in(request, "onto") != group.revision:
        raise Stale(start, mine)
    return rebase(start, mine, now)


def change_rules(
    request: HttpRequest, access: Access, group: SecurityGroup, edit: Edit, done: str = "", *, at: str = ""
) -> HttpResponse:
    """Commit an edit, after a question where it changes what passes and that has not been looked at yet.

    `done` is the message afterwards (the change in words where empty), `at` the identity of the rule to come back to.
    Raises ValidationError where the new list cannot be stored, for the caller's form to show beside what was typed.
    """
    try:
        proposal = propose(request, group, edit)
    except (Stale, lists.NoSuchPlace) as stale:
        return conflict(request, access, group, stale if isinstance(stale, Stale) else None)
    if request.POST.get("sure") != proposal.token:
        preview = preview_rules(group, proposal.old, proposal.new, address=address_of(request))
        seen = request.POST.get("seen") == proposal.token
        if preview.alarms or proposal.notes or (preview.worth_a_look and not seen):
            return question(request, group, proposal, preview)
    return _commit(request, access, group, proposal, done, at)


def change_or_tell(
    request: HttpRequest, access: Access, group: SecurityGroup, edit: Edit, done: str = "", *, at: str = ""
) -> HttpResponse:
    """change_rules for a click, which has no form that a refusal could stand in: it is a message."""
    try:
        return change_rules(request, access, group, edit, done, at=at)
    except ValidationError as refusal:
        return _refused(request, group, refusal)


def _commit(
    request: HttpRequest, access: Access, group: SecurityGroup, proposal: Proposal, done: str, at: str
) -> HttpResponse:
    try:
        change = operations.commit_rules(
            group=group,
            rules=proposal.new,
            base=group.revision,
            by=By(access.user, reason=reason_of(request)),
        )
    except operations.Conflict:
        return conflict(request, access, group, Stale(proposal.old, proposal.new))
    if not change:
        messages.info(request, "Nothing was changed.")
    else:
        undo = reverse("group_undo", args=[access.project.slug, group.public_id, group.revision])
        undo += kept(request)
        messages.success(request, done or change.summary, extra_tags=f"undo:{undo}")
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "securitygroups/rules/_table.html", {**group_context(request, group), "is_part": True})
    lines = change.added or change.changed or change.moved
    uid = at or (lines[0].new.uid if lines and lines[0].new else "")
    return redirect(page_url(request, group, uid))


def _refused(request: HttpRequest, group: SecurityGroup, refusal: ValidationError) -> HttpResponse:
    for message in refusal.messages[:REFUSALS]:
        messages.error(request, message)
    return redirect(page_url(request, group))


def ask(request: HttpRequest, group: SecurityGroup, edit: Edit) -> HttpResponse:
    """A GET that leads to an edit (delete, restore): its question at once. Raises lists.NoSuchPlace."""
    try:
        proposal = propose(request, group, edit)
    except ValidationError as refusal:
        return _refused(request, group, refusal)
    preview = preview_rules(group, proposal.old, proposal.new, address=address_of(request))
    return question(request, group, proposal, preview)


def question(request: HttpRequest, group: SecurityGroup, proposal: Proposal, preview: Preview) -> HttpResponse:
    """What the change does, before it is made. Nothing is written yet."""
    context = {
        "group": group,
        "preview": preview,
        "token": proposal.token,
        "notes": proposal.notes,
        "change": list_change(proposal.old, proposal.new),
        "hidden": [pair for pair in sent_fields(request, _OWN_FIELDS) if pair[0] != "reason"]
        or [("base", str(group.revision))],
        "reason": reason_of(request),
        "onto": request.POST.get("onto", ""),
        "action": request.get_full_path(),
        "back": page_url(request, group),
    }
    return into_dialog(request, render(request, "securitygroups/changes/question.html", context))


def preview_part(request: HttpRequest, group: SecurityGroup, edit: Edit, *, counts: bool = True) -> HttpResponse:
    """The preview below a form that is being filled in. Where it `counts`, what it showed is not asked about again."""
    try:
        proposal = propose(request, group, edit)
    except (Stale, lists.NoSuchPlace):
        return render(request, "securitygroups/changes/_form_preview.html", {"group": group, "stale": True})
    except ValidationError as refusal:
        return preview_waits(request, group, refusal.messages[0])
    preview = preview_rules(group, proposal.old, proposal.new, address=address_of(request))
    return preview_shown(request, group, preview, proposal.token if counts else "")


def preview_shown(request: HttpRequest, group: SecurityGroup | None, preview: Preview, token: str = "") -> HttpResponse:
    context = {"group": group, "preview": preview, "token": token}
    return render(request, "securitygroups/changes/_form_preview.html", context)


def preview_waits(request: HttpRequest, group: SecurityGroup | None, refusal: str = "") -> HttpResponse:
    """The place of the preview while what is filled in makes no list yet."""
    return render(request, "securitygroups/changes/_form_preview.html", {"group": group, "refusal": refusal})


def conflict(
    request: HttpRequest,
    access: Access,
    group: SecurityGroup,
    stale: Stale | None = None,
    *,
    undoing: int | None = None,
) -> HttpResponse:
    """Nothing was written: theirs, mine and the base side by side, and the ways on.

    `undoing` is the revision that could not be taken back, because it is not the newest.
    """
    group = find_group(access, group.public_id)
    now = values(rows_of(group))
    context: dict[str, Any] = {
        "group": group,
        "newest": group.revisions.filter(number=group.revision).first(),
        "hidden": sent_fields(request, _OWN_FIELDS),
        "action": request.get_full_path(),
        "back": page_url(request, group),
        "machine_count": group.attachments.count(),
        "undoing": undoing,
    }
    if stale and stale.base is not None and stale.mine is not None:
        context |= {
            "theirs": list_change(stale.base, now),
            "mine": list_change(stale.base, stale.mine),
            "base_rules": stale.base,
            "now_rules": now,
            "mine_rules": stale.mine,
            "base": number_in(request, "base"),
        }
    return into_dialog(request, render(request, "securitygroups/changes/conflict.html", context, status=CONFLICT))
