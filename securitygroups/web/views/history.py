"""History: the revisions of a group and of a VM's groups, what each changed, compare, restore."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from securitygroups import operations
from securitygroups.access import find_group, find_machine
from securitygroups.answers.order import Named, group_change
from securitygroups.answers.preview import preview_groups, preview_lists
from securitygroups.effective import groups_of_revision
from securitygroups.firewall.changes import list_change
from securitygroups.firewall.values import Rule, whole_number
from securitygroups.models import GroupRevision, MachineRevision, SecurityGroup, VirtualMachine
from securitygroups.proposals import Whole, propose_groups
from securitygroups.web.attaching import attach, attached_groups, question
from securitygroups.web.changing import ask, change_or_tell
from securitygroups.web.doors import enter, enter_group
from securitygroups.web.pages import MOST_REVISIONS, NO_REVISION, address_of, numbered, page_or_form

Stored = list[dict[str, str]]
"""Groups as a revision keeps them: id and name, in order."""
REVISIONS = 200
"""So many can be chosen to compare with; the others by their number."""


@require_safe
def group_history(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    group = find_group(access, group_id)
    # Whole lists of a thousand rules each would be read to show a line of them.
    page = numbered(request, group.revisions.without_lists().order_by("-number"))
    context = {"group": group, "page": page, "tab": "history", "machine_count": group.attachments.count()}
    return render(request, "securitygroups/history/group.html", context)


def _rules(group: SecurityGroup, number: int) -> tuple[Rule, ...]:
    """The list of a revision; before the first one there was none. 404 for a number that is none."""
    if number == 0:
        return ()
    try:
        return operations.rules_at(group, number)
    except GroupRevision.DoesNotExist:
        raise Http404 from None


def _number(text: str, otherwise: int) -> int:
    found = whole_number(text, MOST_REVISIONS)
    return otherwise if found is None else found


@require_safe
def group_revision(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """What changed up to this revision: since the one before it, or since ?from=N."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    revision = group.revisions.without_lists().filter(number=number).first()
    if revision is None:
        raise Http404
    since = min(_number(request.GET.get("from", ""), number - 1), group.revision)
    old, new = _rules(group, since), _rules(group, number)
    context = {
        "group": group,
        "revision": revision,
        "since": since,
        "change": list_change(old, new),
        "preview": preview_lists(old, new),
        "rules": new,
        # Of more, the number of one is typed.
        "numbers": range(group.revision, -1, -1) if group.revision < REVISIONS else None,
        "tab": "history",
        "machine_count": group.attachments.count(),
    }
    return render(request, "securitygroups/history/group_revision.html", context)


@page_or_form
def group_restore(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """Commit the list of an earlier revision again."""
    on = enter_group(request, slug, group_id)
    rules = _rules(on.group, number)
    if request.method == "POST":
        return change_or_tell(on, Whole(lambda _: rules), f"Restored the rules of revision {number}.")
    return ask(on, lambda _: rules)


def _live(machine: VirtualMachine, revisions: Iterable[MachineRevision]) -> set[str]:
    """Which of the revisions' groups are still there (one query)."""
    ids = {group["id"] for revision in revisions for group in revision.groups}
    groups = SecurityGroup.objects.live().filter(project=machine.project_id, public_id__in=ids)
    return set(groups.values_list("public_id", flat=True))


def _gone(revision: MachineRevision, live: set[str]) -> list[str]:
    """Names of the revision's groups that have been deleted since: it cannot be restored without them."""
    return [group["name"] for group in revision.groups if group["id"] not in live]


@require_safe
def machine_history(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    page = numbered(request, machine.own_revisions().select_related("together").order_by("-number"))
    live = _live(machine, page.object_list)
    context = {
        "machine": machine,
        "page": page,
        "rows": [(revision, _gone(revision, live)) for revision in page.object_list],
        "tab": "history",
    }
    return render(request, "securitygroups/history/machine.html", context)


@require_safe
def machine_revision(request: HttpRequest, slug: str, machine_id: str, number: int) -> HttpResponse:
    """What changed up to this revision of the VM's groups: since the one before it, or against ?with=N."""
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    numbers, since = _compared(request, machine, number)
    found = {one.number: one for one in machine.own_revisions().filter(number__in=(since, number))}
    revision = found[number]
    old = found[since].groups if since in found else []
    before, after = _groups_of(machine, old, revision.groups)
    context = {
        "machine": machine,
        "revision": revision,
        "since": since,
        "numbers": numbers[:REVISIONS],
        "change": group_change(_as_named(old), _as_named(revision.groups)),
        "groups": revision.groups,
        # No questions to be asked: it was made long ago.
        "preview": replace(preview_groups(machine, before, after), alarms=()),
        "gone": [group.name for group in after if group.deleted_at],
        "newest": number == machine.revision,
        # The whole second after it, for a field that knows no smaller ones.
        "then": revision.at.replace(microsecond=0) + timedelta(seconds=1),
        "tab": "history",
    }
    return render(request, "securitygroups/history/machine_revision.html", context)


def _compared(request: HttpRequest, machine: VirtualMachine, number: int) -> tuple[list[int], int]:
    """The VM's revisions, newest first, and the one to compare with: ?with=N, else the one before. 404 for none."""
    numbers = list(machine.own_revisions().order_by("-number").values_list("number", flat=True))
    if number not in numbers:
        raise Http404
    numbers.append(0)  # before the first one it had no groups
    since = _number(request.GET.get("with", ""), NO_REVISION)
    return numbers, since if since in numbers else next(one for one in numbers if one < number)


def _as_named(stored: Stored) -> Named:
    return [(group["id"], group["name"]) for group in stored]


def _groups_of(machine: VirtualMachine, *revisions: Stored) -> list[list[SecurityGroup]]:
    """The groups of some revisions, deleted ones too: they let through what they were deleted with (one query)."""
    ids = {group["id"] for stored in revisions for group in stored}
    rows = SecurityGroup.objects.filter(project=machine.project_id, public_id__in=ids)
    there = rows.in_bulk(field_name="public_id")
    return [[there[group["id"]] for group in stored] for stored in revisions]


@page_or_form
def machine_restore(request: HttpRequest, slug: str, machine_id: str, number: int) -> HttpResponse:
    """Attach the groups of an earlier revision again, after a look at what that changes."""
    access = enter(request, slug, write=True)
    machine = find_machine(access, machine_id)
    if not machine.own_revisions().filter(number=number).exists():
        raise Http404
    groups = groups_of_revision(machine, number)
    back = reverse("machine_revision", args=[slug, machine.public_id, number])
    if groups is None:
        messages.error(request, f"Revision {number} cannot be restored: one of its groups has been deleted.")
        return redirect(back)
    proposal = propose_groups(machine, attached_groups(machine), groups)
    if request.method == "POST":
        done = f"{machine.name} has the groups of revision {number} again."
        return attach(request, proposal, done, why=f"Restored revision {number}.", back=back)
    return question(request, proposal, proposal.preview(address_of(request)), cancel=back)
