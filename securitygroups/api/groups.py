"""Groups and their lists: read, made, changed as a whole, taken back."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import Router
from pydantic import Field

from karenpanel.client_address import address_of
from securitygroups import operations
from securitygroups.access import Right, find_deleted, find_group
from securitygroups.answers.preview import preview_each, preview_lists, preview_new, preview_rules
from securitygroups.api import cursors, documents
from securitygroups.api.changing import Asked, change_list, shown, stale, tried, written
from securitygroups.api.doors import access_of, base_of, by, operation, said
from securitygroups.api.idempotency import once
from securitygroups.api.previews import preview_json, to_confirm
from securitygroups.api.schemas import (
    Change,
    Confirm,
    Cursor,
    Document,
    DryRun,
    Limit,
    Page,
    Preview,
    Reason,
    Revision,
    Sent,
    Words,
)
from securitygroups.api.shown import (
    Group,
    GroupRow,
    Written,
    group_row,
    list_json,
    orders_with,
    revision_row,
    rule_json,
)
from securitygroups.effective import rules_at, rules_of_group
from securitygroups.firewall.changes import recognised
from securitygroups.firewall.formats.documents import (
    FORMAT,
    GROUP_KEYS,
    MAX_NAME,
    GroupDocument,
    group_fields,
    rules_from_json,
)
from securitygroups.firewall.formats.strict import BadDocument, bad, check_keys
from securitygroups.firewall.values import MAX_DESCRIPTION, RuleList
from securitygroups.models import GroupRevision, Scope, SecurityGroup, VirtualMachine
from securitygroups.proposals import Whole, agreed, propose_end

router = Router(tags=["Groups"])
ONE = "/{project}/groups/{group}"
_DOCUMENT = documents.group_schema(needs=("format", "name", "rules"))
_LIST = documents.group_schema(needs=("rules",))


class GroupRevisionShown(Revision):
    """With the list as it was."""

    rules: list[Document]


class Details(Sent):
    """What is left out stays as it is."""

    name: str | None = Field(None, min_length=1, max_length=MAX_NAME)
    description: str | None = Field(None, max_length=MAX_DESCRIPTION)
    reason: Reason = ""


@operation(router, "GET", "/{project}/groups", Scope.READ, gives=Page[GroupRow])
def list_groups(
    request: HttpRequest,
    project: str,
    q: Words = "",
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """The project's groups by name; `q` is a part of a name, a description or an id."""
    rows = SecurityGroup.objects.live().filter(project=access_of(request).project).named_like(q)
    return cursors.by_name(rows, cursor, limit, group_row)


@operation(router, "GET", ONE, Scope.READ, gives=Group)
def read_group(request: HttpRequest, project: str, group: str) -> HttpResponse:
    """A group and its list, as the document. The ETag is its revision."""
    found = find_group(access_of(request), group)
    return list_json(found, rules_of_group(found))


@operation(router, "POST", "/{project}/groups", Scope.WRITE, right=Right.CHANGE,
           gives={200: Preview, 201: Group}, extra=documents.body(_DOCUMENT))  # fmt: skip
@once
def make_group(request: HttpRequest, project: str, dry_run: DryRun = False) -> HttpResponse:
    """Make a group with its list.

    With `dry_run` nothing is made: whether it could be is told, and what the list would let through.
    """
    reason, _, sent = documents.read_change(request)
    document = _document(sent)
    with tried(dry_run=dry_run):
        made = operations.create_group(
            project=access_of(request).project,
            name=document.name,
            description=document.description,
            rules=document.rules,
            by=by(request, reason),
        )
    if dry_run:
        return shown(preview_new(made, document.rules))
    return list_json(made, rules_of_group(made), status=201)


@operation(router, "PUT", f"{ONE}/rules", Scope.WRITE, right=Right.CHANGE, based=True,
           gives={200: Written | Preview}, extra=documents.body(_LIST))  # fmt: skip
def put_rules(request: HttpRequest, project: str, group: str, dry_run: DryRun = False) -> HttpResponse:
    """Replace the whole list of a group, made from the revision in If-Match.

    The order of the rules is the order in the document. A rule that equals one that is there stays that rule, with its
    history. With `dry_run` nothing is written: the preview says what it would do. Where the preview has alarms, the change is
    made with “confirm” alone, the preview's token. 412 tells both lists: the newest one, and the one that was sent.
    """
    reason, confirm, sent = documents.read_change(request)
    rules = _list(sent)
    found = find_group(access_of(request), group)
    return change_list(
        request, found, Whole(lambda now: recognised(now, rules)), Asked(reason, confirm, dry_run=dry_run)
    )


@operation(router, "GET", f"{ONE}/revisions", Scope.READ, gives=Page[Revision])
def list_group_revisions(
    request: HttpRequest,
    project: str,
    group: str,
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """The group's history, the newest first."""
    rows = find_group(access_of(request), group).revisions.without_lists()
    return cursors.newest_first(rows, cursor, limit, revision_row, by="number")


@operation(router, "GET", f"{ONE}/revisions/{{int:number}}", Scope.READ, gives=GroupRevisionShown)
def read_group_revision(request: HttpRequest, project: str, group: str, number: int) -> Any:
    """One revision, with the list as it was."""
    found = find_group(access_of(request), group)
    rules = _list_of(found, number)
    revision = found.revisions.without_lists().get(number=number)
    return JsonResponse(revision_row(revision) | {"rules": [rule_json(rule) for rule in rules]})


@operation(
    router,
    "POST",
    f"{ONE}/revisions/{{int:number}}/restore",
    Scope.WRITE,
    right=Right.CHANGE,
    based=True,
    gives=Written | Preview,
)
def restore_group_revision(
    request: HttpRequest, project: str, group: str, number: int, body: Change, dry_run: DryRun = False
) -> HttpResponse:
    """Commit the list of an earlier revision again, on top of the revision in If-Match."""
    found = find_group(access_of(request), group)
    rules = _list_of(found, number)
    return change_list(request, found, Whole(lambda _: rules), Asked(body.reason, body.confirm, dry_run=dry_run))


@operation(router, "POST", f"{ONE}/undo", Scope.WRITE, right=Right.CHANGE, based=True, gives=Written | Preview)
def undo_group_revision(
    request: HttpRequest, project: str, group: str, body: Change, dry_run: DryRun = False
) -> HttpResponse:
    """Take the revision in If-Match back, as long as it is the newest and nothing else decides on its VMs by now."""
    found, number = find_group(access_of(request), group), base_of(request)
    try:
        with tried(dry_run=dry_run):
            operations.undo(group=found, number=number, by=by(request, body.reason))
    except operations.Conflict:
        raise stale(find_group(access_of(request), group), None) from None
    if dry_run:
        before = rules_at(found, number - 1)
        return shown(preview_rules(found, rules_of_group(found), before, address=address_of(request)))
    newest = find_group(access_of(request), group)
    return written(newest, changed=True, summary=f"Undid revision {number}.")


@operation(router, "PATCH", ONE, Scope.WRITE, right=Right.CHANGE, gives=GroupRow | Preview)
def rename_group(request: HttpRequest, project: str, group: str, body: Details, dry_run: DryRun = False) -> Any:
    """Change the name or the description."""
    found = find_group(access_of(request), group)
    name = found.name if body.name is None else body.name
    description = found.description if body.description is None else body.description
    with tried(dry_run=dry_run):
        operations.update_group(group=found, name=name, description=description, by=by(request, body.reason))
    return shown() if dry_run else group_row(found)


@operation(router, "DELETE", ONE, Scope.WRITE, right=Right.CHANGE, gives={200: Preview, 204: None})
def delete_group(
    request: HttpRequest,
    project: str,
    group: str,
    dry_run: DryRun = False,
    confirm: Confirm = "",
    reason: Reason = "",
) -> Any:
    """Delete a group, and take it off its VMs.

    A group that is on VMs is deleted with “confirm” alone: the token of the preview, which tells what no longer passes there.
    """
    found = find_group(access_of(request), group)
    proposal = propose_end(found)
    words = said(request, proposal.token, found.revision, confirm)
    if dry_run or (proposal.token and not agreed(proposal, words)):
        preview = proposal.preview(words.address) if proposal.token else preview_lists((), ())
        if not dry_run:
            raise to_confirm(preview, proposal.token, (f"{found.name} is on VMs.",))
        return JsonResponse(preview_json(preview, proposal.token))
    operations.delete_group(group=found, base=found.revision, seen=proposal.token, by=by(request, reason))
    return HttpResponse(status=204)


@operation(router, "POST", f"{ONE}/bring-back", Scope.WRITE, right=Right.CHANGE, gives=GroupRow | Preview)
def bring_group_back(request: HttpRequest, project: str, group: str, body: Change, dry_run: DryRun = False) -> Any:
    """Undo a deletion: the group has its list again, and is on its VMs where that is still possible."""
    found = find_deleted(access_of(request), SecurityGroup, group)
    with tried(dry_run=dry_run):
        operations.restore_group(group=found, by=by(request, body.reason))
        orders = orders_with(found) if dry_run else {}
    if not dry_run:
        return group_row(found)
    machines = VirtualMachine.objects.filter(pk__in=orders)
    return shown(
        preview_each(machines, orders, [found], address=address_of(request))
        if orders
        else preview_new(found, rules_of_group(found))
    )


def _list_of(group: SecurityGroup, number: int) -> RuleList:
    """The list of a revision, or 404."""
    try:
        return rules_at(group, number)
    except GroupRevision.DoesNotExist:
        raise Http404 from None


def _document(sent: dict[str, Any]) -> GroupDocument:
    """The group that was sent. Raises BadDocument with every fault of it."""
    if faults := list(check_keys(sent, GROUP_KEYS, ("format", "name", "rules"), "")):
        raise BadDocument(faults)
    if sent["format"] != FORMAT:
        raise bad("format", f"Write “{FORMAT}”.")
    return group_fields(sent)


def _list(sent: dict[str, Any]) -> RuleList:
    """The list that was sent; the other keys of the document may stand beside it, and are not looked at."""
    if faults := list(check_keys(sent, GROUP_KEYS, ("rules",), "")):
        raise BadDocument(faults)
    return rules_from_json(sent["rules"])
