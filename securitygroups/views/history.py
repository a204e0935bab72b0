"""History: the revisions of a group and of a VM's groups, what each changed, compare, restore.

Imports access, changes, preview, web; called by urls.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from securitygroups import operations
from securitygroups.access import enter, find_group, find_machine
from securitygroups.firewall.changes import list_change
from securitygroups.firewall.values import Rule
from securitygroups.models import GroupRevision, SecurityGroup
from securitygroups.preview import preview_lists
from securitygroups.views.changes import ask, change_or_tell
from securitygroups.web import numbered, page_or_form


@require_safe
def group_history(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    access = enter(request, slug)
    group = find_group(access, group_id)
    page = numbered(request, group.revisions.defer("rules").order_by("-number"))
    context = {"group": group, "page": page, "tab": "history", "machine_count": group.attachments.count()}
    return render(request, "securitygroups/history.html", context)


def _rules(group: SecurityGroup, number: int) -> tuple[Rule, ...]:
    """The list of a revision; before the first one there was none. 404 for a number that is none."""
    if number == 0:
        return ()
    try:
        return operations.rules_at(group, number)
    except GroupRevision.DoesNotExist:
        raise Http404 from None


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else otherwise


@require_safe
def group_revision(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """What changed up to this revision: since the one before it, or since ?from=N."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    revision = group.revisions.filter(number=number).first()
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
        "numbers": range(group.revision, -1, -1)[:200],
        "tab": "history",
        "machine_count": group.attachments.count(),
    }
    return render(request, "securitygroups/revision.html", context)


@page_or_form
def group_restore(request: HttpRequest, slug: str, group_id: str, number: int) -> HttpResponse:
    """Commit the list of an earlier revision again."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    rules = _rules(group, number)
    if request.method == "POST":
        return change_or_tell(request, access, group, lambda _: rules, f"Restored the rules of revision {number}.")
    return ask(request, group, lambda _: rules)


@require_safe
def machine_history(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    page = numbered(request, machine.own_revisions().order_by("-number"))
    return render(request, "securitygroups/machine_history.html", {"machine": machine, "page": page, "tab": "history"})
