"""VMs: found, made, changed, deleted and brought back."""

from typing import Annotated, Any

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router, Schema

from karenpanel.client_address import address_of
from securitygroups import operations
from securitygroups.access import Right, find_deleted, find_machine
from securitygroups.answers.machine_filter import MachineFilter
from securitygroups.api import cursors
from securitygroups.api.changing import shown, tried
from securitygroups.api.doors import access_of, by, operation, said
from securitygroups.api.idempotency import once
from securitygroups.api.machine_fields import GroupId, MachineDetails, NewMachine, Tag, check, fields_of, groups_of
from securitygroups.api.previews import preview_json, to_confirm
from securitygroups.api.schemas import Cursor, DryRun, Limit, Page, Preview, Reason, Sent, Words
from securitygroups.api.shown import Machine, groups_on, machine_in_force, machine_json, machine_with_groups
from securitygroups.enforcement import applied
from securitygroups.models import Attachment, Scope, VirtualMachine
from securitygroups.proposals import propose_groups, to_ask

router = Router(tags=["VMs"])
ONE = "/{project}/machines/{machine}"

_GROUPS = Attachment.objects.select_related("group").order_by("position")


class Wanted(Schema):
    """`q` are words as in the panel's list: names, descriptions, tags, IDs, addresses and networks."""

    q: Words = ""
    tag: Tag = ""
    group: GroupId = ""
    cursor: Cursor = ""
    limit: Limit = cursors.LIMIT


class Why(Sent):
    reason: Reason = ""


@operation(router, "GET", "/{project}/machines", Scope.READ, gives=Page[Machine])
def list_machines(request: HttpRequest, project: str, wanted: Annotated[Wanted, Query()]) -> Any:
    """The project's VMs by name, with their groups; all that is asked for holds for each."""
    query = {"q": wanted.q, "tag": wanted.tag, "group": wanted.group}
    rows = MachineFilter.from_query(query).of(access_of(request).project)
    rows = rows.select_related("placement").prefetch_related(Prefetch("attachments", _GROUPS))
    keys: dict[str, int] = {}

    def told(row: VirtualMachine) -> dict[str, Any]:
        keys[row.public_id] = row.pk
        return machine_with_groups(row)

    page = cursors.by_name(rows, wanted.cursor, wanted.limit, told)
    standings = applied.of_machines(list(keys.values()))
    for item in page["items"]:
        item["in_force"] = machine_in_force(standings.get(keys[item["id"]]))
    return page


@operation(router, "GET", ONE, Scope.READ, gives=Machine)
def read_machine(request: HttpRequest, project: str, machine: str) -> HttpResponse:
    """A VM with its groups, in their order. The ETag is the revision of these."""
    found = find_machine(access_of(request), machine)
    return machine_json(found, groups_on(found))


@operation(router, "POST", "/{project}/machines", Scope.WRITE, right=Right.CHANGE,
           gives={200: Preview, 201: Machine})  # fmt: skip
@once
def make_machine(request: HttpRequest, project: str, body: NewMachine, dry_run: DryRun = False) -> HttpResponse:
    """Make a VM with its groups.

    With `dry_run` nothing is made: whether it could be is told, and what it would let through. Where that has alarms, it is
    made with “confirm” alone, the preview's token.
    """
    access, errors = access_of(request), list[dict[str, Any]]()
    fields, groups = fields_of(body, errors), groups_of(access.project, body.groups, errors)
    check(errors)
    planned = VirtualMachine(project=access.project, name=body.name, public_id="")
    proposal = propose_groups(planned, (), groups)
    words = said(request, proposal.token, 0, body.confirm)
    # Before the project is locked: it may take seconds.
    preview = proposal.preview(words.address) if dry_run else to_ask(proposal, words)
    with tried(dry_run=preview is not None):
        made = operations.create_machine(
            project=access.project, fields=fields, groups=proposal.after, by=by(request, body.reason)
        )
    if dry_run and preview:
        return JsonResponse(preview_json(preview, proposal.token))
    if preview:
        raise to_confirm(preview, proposal.token)
    return machine_json(made, proposal.after, status=201)


@operation(router, "PATCH", ONE, Scope.WRITE, right=Right.CHANGE, gives=Machine | Preview)
def change_machine(
    request: HttpRequest, project: str, machine: str, body: MachineDetails, dry_run: DryRun = False
) -> Any:
    """Change the VM's own fields; its groups have an operation of their own."""
    found, errors = find_machine(access_of(request), machine), list[dict[str, Any]]()
    fields = fields_of(body, errors)
    check(errors)
    with tried(dry_run=dry_run):
        operations.update_machine(machine=found, fields=fields, by=by(request, body.reason))
    return shown() if dry_run else read_machine(request, project, machine)


@operation(router, "DELETE", ONE, Scope.WRITE, right=Right.CHANGE, gives={200: Preview, 204: None})
def delete_machine(
    request: HttpRequest, project: str, machine: str, dry_run: DryRun = False, reason: Reason = ""
) -> HttpResponse:
    """Delete a VM; its groups stay.

    It can be brought back. With `dry_run` what no longer passes is told.
    """
    found = find_machine(access_of(request), machine)
    if dry_run:
        proposal = propose_groups(found, groups_on(found), ())
        words = said(request, proposal.token, found.revision, "")
        return JsonResponse(preview_json(proposal.preview(words.address), proposal.token))
    operations.delete_machine(machine=found, by=by(request, reason))
    return HttpResponse(status=204)


@operation(router, "POST", f"{ONE}/bring-back", Scope.WRITE, right=Right.CHANGE, gives=Machine | Preview)
def bring_machine_back(request: HttpRequest, project: str, machine: str, body: Why, dry_run: DryRun = False) -> Any:
    """Undo a deletion: the VM has its groups again where all of them are still there, and none otherwise."""
    found = find_deleted(access_of(request), VirtualMachine, machine)
    with tried(dry_run=dry_run):
        operations.restore_machine(machine=found, by=by(request, body.reason))
        groups = groups_on(found)
    if dry_run:
        return shown(propose_groups(found, (), groups).preview(address_of(request)))
    return read_machine(request, project, machine)
