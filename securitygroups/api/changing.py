"""From an edit of a group's list to its commit, as a program sends it: preview, confirmation, 412 with both lists."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from securitygroups.answers.preview import Preview, preview_lists
from securitygroups.api.doors import base_of, by, etag, said
from securitygroups.api.previews import preview_json, to_confirm
from securitygroups.api.problems import Refusal
from securitygroups.api.shown import revision_row, rule_json
from securitygroups.effective import rules_of_group
from securitygroups.firewall.values import RuleList
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.proposals import Asks, Edit, Stale, commit, propose_rules, to_ask


class Asked(NamedTuple):
    """What was said with a change: why, the token of the preview that is confirmed, and whether it is only tried."""

    reason: str
    confirm: str
    dry_run: bool


@contextmanager
def tried(*, dry_run: bool) -> Iterator[None]:
    """Where it is a dry run, what is done inside is taken back: it only tells whether it can be done. No mail is sent."""
    with transaction.atomic():
        yield
        if dry_run:
            transaction.set_rollback(True)


def shown(preview: Preview | None = None) -> HttpResponse:
    """The preview of what is done without a confirmation; without one, it is none of traffic."""
    return JsonResponse(preview_json(preview or preview_lists((), ()), ""))


def change_list(request: HttpRequest, group: SecurityGroup, edit: Edit, asked: Asked) -> HttpResponse:
    """Commit an edit made from the revision in If-Match, or where it is a dry run answer its preview. Raises Refusal, and
    whatever says that the list cannot be stored."""
    base = base_of(request)
    try:
        proposal = propose_rules(group, rules_of_group(group), edit, said(request, "", base, asked.confirm))
        words = said(request, proposal.token, base, asked.confirm)
        if asked.dry_run:
            return JsonResponse(preview_json(proposal.preview(words.address), proposal.token, proposal.notes))
        if preview := to_ask(proposal, words):
            raise to_confirm(preview, proposal.token, proposal.notes)
        change, _ = commit(proposal, edit, words, by(request, asked.reason))
    except Stale as old:
        raise stale(group, old.mine) from None
    except Asks as asks:
        raise to_confirm(asks.preview, asks.proposal.token, asks.proposal.notes) from None
    return written(group, changed=bool(change), summary=change.summary)


def stale(group: SecurityGroup, mine: RuleList | None) -> Refusal:
    """Somebody was quicker: their list and, where it is known, the one that was sent."""
    group = SecurityGroup.objects.get(pk=group.pk)
    newest = group.revisions.without_lists().get(number=group.revision)
    theirs = revision_row(newest) | {"rules": [rule_json(rule) for rule in rules_of_group(group)]}
    sent = None if mine is None else {"rules": [rule_json(rule) for rule in mine]}
    return Refusal(
        "stale",
        f"The newest revision is {group.revision}, by {newest.who}: {newest.summary} Make your change on top of it, and send it "
        f"with If-Match: {etag(group.revision)}.",
        theirs=theirs,
        mine=sent,
    )


def written(thing: SecurityGroup | VirtualMachine, *, changed: bool, summary: str) -> HttpResponse:
    """What was done, with the revision that comes next in If-Match."""
    response = JsonResponse({"revision": thing.revision, "changed": changed, "summary": summary})
    response["ETag"] = etag(thing.revision)
    return response
