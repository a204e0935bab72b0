"""VMs as a platform's programs bring them in: one by its external ID, all of a project, or those of several projects."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema

from securitygroups import operations
from securitygroups.access import Right, open_by_token
from securitygroups.api import documents
from securitygroups.api.changing import tried
from securitygroups.api.doors import access_of, by, operation, said
from securitygroups.api.inventory_shown import (
    Report,
    Reports,
    faults,
    inventory_schema,
    list_schema,
    refused,
    report_json,
)
from securitygroups.api.machine_fields import BroughtMachine, sent_fields
from securitygroups.api.previews import preview_json, to_confirm
from securitygroups.api.problems import Refusal, pointer
from securitygroups.api.schemas import DryRun, Preview
from securitygroups.api.shown import Machine, groups_on, machine_with
from securitygroups.firewall.formats.strict import BadDocument, bad, check_keys
from securitygroups.inventory import (
    Inventories,
    Inventory,
    NotAsLookedAt,
    RefusedInventory,
    UnknownProjects,
    commit_inventories,
    commit_inventory,
    propose_inventories,
    propose_inventory,
)
from securitygroups.models import Project, Scope, SecurityGroup, VirtualMachine
from securitygroups.operations.entries import groups_called, ordered
from securitygroups.proposals import NewGroups, propose_groups, to_ask

router = Router(tags=["Inventory"])
together = Router(tags=["Inventory"])
"""Below no project."""

MOST_PROJECTS, LONGEST_SLUG = 50, 60
_GONE = {"type": "integer", "minimum": 0, "description": "How many VMs may be deleted, where many are not in the list"}
_ONE = inventory_schema(machines=list_schema(), allow_gone=_GONE)
_SEVERAL = inventory_schema(
    projects={"type": "object", "maxProperties": MOST_PROJECTS, "additionalProperties": list_schema()},
    allow_gone={"type": "object", "additionalProperties": _GONE},
)


class Put(Schema):
    """`outcome` is created, changed or unchanged; `changed` has the names of the fields that are others now."""

    outcome: str
    changed: list[str]
    machine: Machine


@operation(router, "PUT", "/{project}/machines/by-external-id/{path:external_id}", Scope.INVENTORY, right=Right.CHANGE,
           gives={200: Put | Preview, 201: Put})  # fmt: skip
def put_machine(
    request: HttpRequest, project: str, external_id: str, body: BroughtMachine, dry_run: DryRun = False
) -> HttpResponse:
    """The VM with the platform's own ID as it shall be: made where there is none, changed where it differs.

    What is left out stays as it is. Groups are names or IDs. With `dry_run` nothing is written: the preview says what the VM
    would let through. Where that has alarms, it is written with “confirm” alone, the preview's token.
    """
    its, fields = access_of(request).project, sent_fields(body)
    proposal = _groups_of_one(its, external_id, body)
    words = said(request, proposal.token, proposal.machine.revision, body.confirm)
    preview = proposal.preview(words.address) if dry_run else to_ask(proposal, words)
    with tried(dry_run=preview is not None):
        done = operations.put_machine(
            project=its, external_id=external_id, fields=fields, groups=body.groups, by=by(request, body.reason)
        )
        told: dict[str, Any] = {"outcome": done.outcome, "changed": list(done.changed)}
        told["machine"] = machine_with(done.machine, groups_on(done.machine))
    if dry_run and preview:
        return JsonResponse(preview_json(preview, proposal.token))
    if preview:
        raise to_confirm(preview, proposal.token)
    return JsonResponse(told, status=201 if done.outcome == "created" else 200)


def _groups_of_one(project: Project, external_id: str, body: BroughtMachine) -> NewGroups:
    """The groups that the VM has, or gets. Raises ValidationError."""
    live = VirtualMachine.objects.live().filter(project=project)
    machine = live.filter(external_id=external_id).first() if "\0" not in external_id else None
    before: list[SecurityGroup] = []
    if machine is None:
        machine = VirtualMachine(project=project, name=body.name or "the new VM", public_id="")
    else:
        machine.project, before = project, groups_on(machine)
    if body.groups is None:
        return propose_groups(machine, before, before)
    try:
        after = ordered(body.groups, groups_called(project, set(body.groups)))
    except ValidationError as refusal:
        raise ValidationError({"groups": refusal.messages}) from None
    return propose_groups(machine, before, after)


@operation(router, "PUT", "/{project}/inventory", Scope.INVENTORY, right=Right.CHANGE,
           gives=Report, extra=documents.body(_ONE))  # fmt: skip
def put_inventory(request: HttpRequest, project: str, dry_run: DryRun = False) -> HttpResponse:
    """Make the project's VMs with an external ID those of the list: all of it or nothing.

    VMs that are not in the list are deleted; those without an external ID are left alone. A list in which many are missing
    has to say how many may go, as “allow_gone”. With `dry_run` nothing is written, and the report also tells what is wrong.
    Where what VMs let through has alarms, the list is brought in with “confirm” alone, the report's token.
    """
    reason, confirm, sent = _read(request, ("machines", "allow_gone"))
    machines = _list(sent["machines"], "machines")
    plan = propose_inventory(access_of(request).project, machines, allow_gone=_number(sent.get("allow_gone", 0)))
    if dry_run:
        return JsonResponse(report_json(plan, _previewed(request, plan)))
    if plan.refusals:
        raise refused(list(faults(plan)), len(plan.refusals))
    looked = _look(request, plan, plan.token, confirm)
    try:
        # What nobody had to look at may be planned once more where others were quicker.
        done = commit_inventory(plan, by=by(request, reason), token=confirm or (plan.token if looked else ""))
    except RefusedInventory as error:
        raise refused(list(faults(error.plans[0])), len(error.plans[0].refusals)) from None
    except NotAsLookedAt as error:
        raise Refusal("conflict", str(error), report=report_json(error.plans[0], None)) from None
    return JsonResponse(report_json(done, looked))


@operation(together, "PUT", "/inventory", Scope.INVENTORY, gives=Reports, extra=documents.body(_SEVERAL))
def put_inventories(request: HttpRequest, dry_run: DryRun = False) -> HttpResponse:
    """The same for several projects at once, by their slugs: all of it or nothing.

    The token's person must be able to change each of them. Projects that are not named are left alone.
    """
    reason, confirm, sent = _read(request, ("projects", "allow_gone"))
    lists = _projects(request, sent["projects"])
    allowed = sent.get("allow_gone", {})
    if not isinstance(allowed, dict):
        raise bad("allow_gone", "Write an object with a number for each slug.")
    brought = propose_inventories(lists, allow_gone={slug: _number(one) for slug, one in allowed.items()})
    if dry_run:
        return _reports(brought, {slug: _previewed(request, plan) for slug, plan in brought.plans.items()})
    if any(plan.refusals for plan in brought.plans.values()):
        raise _refused_together(brought)
    looked = {slug: _look(request, plan, brought.token, confirm) for slug, plan in brought.plans.items()}
    try:
        token = confirm or (brought.token if any(looked.values()) else "")
        done = commit_inventories(brought, by=by(request, reason), token=token)
    except (RefusedInventory, UnknownProjects, NotAsLookedAt) as error:
        raise Refusal(
            "conflict", "These projects have been changed meanwhile: nothing was written. Look again."
        ) from error
    return _reports(done, looked)


def _refused_together(brought: Inventories) -> Refusal:
    errors = [one for slug, plan in brought.plans.items() for one in faults(plan, _below(slug))]
    return refused(errors, sum(len(plan.refusals) for plan in brought.plans.values()))


def _reports(brought: Inventories, looked: Mapping[str, dict[str, Any] | None]) -> HttpResponse:
    found = {slug: report_json(plan, looked[slug], _below(slug)) for slug, plan in brought.plans.items()}
    return JsonResponse({"projects": found, "token": brought.token})


def _below(slug: str) -> str:
    return f"/projects{pointer(slug)}"


def _previewed(request: HttpRequest, plan: Inventory) -> dict[str, Any] | None:
    """What VMs would let through otherwise; None where none gets other groups."""
    if not _regroups(plan):
        return None
    return preview_json(plan.preview(said(request, "", 0, "").address), plan.token)


def _look(request: HttpRequest, plan: Inventory, token: str, confirm: str) -> dict[str, Any] | None:
    """The preview. Raises Refusal where it has alarms that nobody has said yes to; `token` is that of the whole document."""
    if not _regroups(plan):
        return None
    words = said(request, token, 0, confirm)
    preview = plan.preview(words.address)
    if preview.alarms and words.sure != token:
        raise to_confirm(preview, token, (f"This is about {plan.project.slug}.",))
    return preview_json(preview, plan.token)


def _regroups(plan: Inventory) -> bool:
    lot = plan.lot
    return bool(lot.gone) or any(one.order for one in lot.made) or any(one.before != one.after for one in lot.changed)


def _read(request: HttpRequest, keys: tuple[str, str]) -> documents.Change:
    """The document that was sent, with no other keys. Raises BadDocument, Refusal."""
    sent = documents.read_change(request)
    if problems := list(check_keys(sent.document, keys, keys[:1], "")):
        raise BadDocument(problems)
    return sent


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise bad(where, "Write a list of VMs in brackets: […].")
    if len(value) > settings.MAX_MACHINES_PER_PROJECT:
        raise bad(where, f"The list has {len(value):,} VMs: {settings.MAX_MACHINES_PER_PROJECT:,} is the most.")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise bad("allow_gone", "Write a whole number without quotes: how many VMs may be deleted.")
    return value


def _projects(request: HttpRequest, value: Any) -> dict[str, list[Any]]:
    """The lists by slug, of projects that the token's person may change. Raises BadDocument, Refusal, and as access does."""
    if not isinstance(value, dict) or not 0 < len(value) <= MOST_PROJECTS:
        raise bad("projects", f"Write an object with a list of VMs for each slug, of {MOST_PROJECTS} projects at most.")
    for slug in value:
        _enter(request, slug)
    return {slug: _list(one, f"projects.{slug}") for slug, one in value.items()}


def _enter(request: HttpRequest, slug: str) -> None:
    """Let the program into one of several projects, to change it. Raises Refusal, and as access does."""
    if len(slug) > LONGEST_SLUG or not slug.isprintable():
        raise bad(f"projects.{slug[:LONGEST_SLUG]}", "This is no slug of a project.")
    try:
        open_by_token(request.token, slug).require(Right.CHANGE)  # type: ignore[attr-defined]
    except (Http404, PermissionDenied) as error:
        request.refused_at = slug  # type: ignore[attr-defined]
        stranger = isinstance(error, Http404)
        words = "There is no project of this name for this token." if stranger else str(error)
        fault = {"pointer": _below(slug), "detail": words}
        raise Refusal("not-found" if stranger else "forbidden", words, [fault]) from None
