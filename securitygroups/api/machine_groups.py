"""The ordered groups of a VM: put as a whole, their history, taken back."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from karenpanel.client_address import address_of
from securitygroups import operations
from securitygroups.access import Right, find_machine
from securitygroups.api import cursors
from securitygroups.api.changing import Asked, shown, tried, written
from securitygroups.api.doors import access_of, base_of, by, etag, operation, said
from securitygroups.api.machine_fields import GroupOrder, check, groups_of
from securitygroups.api.previews import preview_json, to_confirm
from securitygroups.api.problems import Refusal
from securitygroups.api.schemas import Change, Cursor, DryRun, Limit, Named, Page, Preview, Revision
from securitygroups.api.shown import Written, groups_on, named, revision_row
from securitygroups.effective import groups_of_revision
from securitygroups.models import Scope, SecurityGroup, VirtualMachine
from securitygroups.proposals import propose_groups, to_ask

router = Router(tags=["VMs"])
ONE = "/{project}/machines/{machine}"


class MachineRevision(Revision):
    """With the groups that the VM had from then on, by their names at that time."""

    groups: list[Named]


@operation(router, "PUT", f"{ONE}/groups", Scope.WRITE, right=Right.CHANGE, based=True, gives={200: Written | Preview})
def put_machine_groups(
    request: HttpRequest, project: str, machine: str, body: GroupOrder, dry_run: DryRun = False
) -> HttpResponse:
    """Give the VM these groups, in this order, instead of those of the revision in If-Match.

    With `dry_run` nothing is written: the preview says what it would do. Where the preview has alarms, the change is made
    with “confirm” alone, the preview's token. 412 tells both: the newest groups, and those that were sent.
    """
    access = access_of(request)
    found, errors = find_machine(access, machine), list[dict[str, Any]]()
    groups = groups_of(access.project, body.groups, errors)
    check(errors)
    return _change(request, found, groups, Asked(body.reason, body.confirm, dry_run=dry_run))


@operation(router, "GET", f"{ONE}/revisions", Scope.READ, gives=Page[MachineRevision])
def list_machine_revisions(
    request: HttpRequest, project: str, machine: str, cursor: Cursor = "", limit: Limit = cursors.LIMIT
) -> Any:
    """The history of the VM's groups, the newest first."""
    rows = find_machine(access_of(request), machine).own_revisions()
    return cursors.newest_first(rows, cursor, limit, revision_row, by="number")


@operation(router, "GET", f"{ONE}/revisions/{{int:number}}", Scope.READ, gives=MachineRevision)
def read_machine_revision(request: HttpRequest, project: str, machine: str, number: int) -> Any:
    """One revision, with the groups as they were."""
    revision = find_machine(access_of(request), machine).own_revisions().filter(number=number).first()
    if revision is None:
        raise Http404
    return revision_row(revision)


@operation(
    router,
    "POST",
    f"{ONE}/revisions/{{int:number}}/restore",
    Scope.WRITE,
    right=Right.CHANGE,
    based=True,
    gives=Written | Preview,
)
def restore_machine_revision(
    request: HttpRequest, project: str, machine: str, number: int, body: Change, dry_run: DryRun = False
) -> HttpResponse:
    """Give the VM the groups of an earlier revision again, on top of the revision in If-Match."""
    found = find_machine(access_of(request), machine)
    groups = groups_of_revision(found, number)
    if groups is None:
        if not found.own_revisions().filter(number=number).exists():
            raise Http404
        raise ValidationError(f"Revision {number} cannot be restored: one of its groups has been deleted.")
    reason = body.reason or f"Restored revision {number}."
    return _change(request, found, groups, Asked(reason, body.confirm, dry_run=dry_run))


@operation(router, "POST", f"{ONE}/undo", Scope.WRITE, right=Right.CHANGE, based=True, gives=Written | Preview)
def undo_machine_revision(
    request: HttpRequest, project: str, machine: str, body: Change, dry_run: DryRun = False
) -> HttpResponse:
    """Take the revision in If-Match back, as long as it is the newest and its groups let through what they did then."""
    found, number = find_machine(access_of(request), machine), base_of(request)
    try:
        with tried(dry_run=dry_run):
            operations.undo_groups(machine=found, number=number, by=by(request, body.reason))
    except operations.Conflict as conflict:
        raise stale(request, found, conflict, None) from None
    if dry_run:
        proposal = propose_groups(found, groups_on(found), groups_of_revision(found, number - 1) or [])
        return shown(proposal.preview(address_of(request)))
    return written(found, changed=True, summary=f"Undid revision {number}.")


def _change(
    request: HttpRequest, machine: VirtualMachine, groups: Sequence[SecurityGroup], asked: Asked
) -> HttpResponse:
    """Attach the groups or, where it is a dry run, answer the preview. Raises Refusal, and what attach_groups raises."""
    base = base_of(request)
    if base != machine.revision:
        raise stale(request, machine, operations.Conflict(machine.revision), groups)
    proposal = propose_groups(machine, groups_on(machine), groups)
    words = said(request, proposal.token, base, asked.confirm)
    if asked.dry_run:
        return JsonResponse(preview_json(proposal.preview(words.address), proposal.token))
    if preview := to_ask(proposal, words):
        raise to_confirm(preview, proposal.token)
    try:
        operations.attach_groups(machine=machine, groups=groups, base=base, by=by(request, asked.reason))
    except operations.Conflict as conflict:
        raise stale(request, machine, conflict, groups) from None
    if machine.revision == base:
        return written(machine, changed=False, summary="No change.")
    return written(machine, changed=True, summary=machine.own_revisions().get(number=machine.revision).summary)


def stale(
    request: HttpRequest,
    machine: VirtualMachine,
    conflict: operations.Conflict,
    mine: Sequence[SecurityGroup] | None,
) -> Exception:
    """Somebody was quicker: the VM's groups now and, where they are known, those that were sent."""
    if conflict.revision is None:
        return conflict
    now = find_machine(access_of(request), machine.public_id)
    newest = now.own_revisions().get(number=now.revision)
    return Refusal(
        "stale",
        f"The newest revision is {now.revision}, by {newest.who}: {newest.summary} Make your change on top of it, and "
        f"send it with If-Match: {etag(now.revision)}.",
        theirs=revision_row(newest) | {"groups": named(groups_on(now))},
        mine=None if mine is None else {"groups": named(mine)},
    )
