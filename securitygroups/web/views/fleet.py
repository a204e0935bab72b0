"""Many VMs at once: what is done with their groups, the question about it, and the way back."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from karenpanel.sent_again import BACK, draws_again
from karenpanel.turns import weigh
from securitygroups import operations
from securitygroups.access import Access, find_group, find_regrouping
from securitygroups.answers.machine_filter import MachineFilter
from securitygroups.firewall.deeds import ATTACH, DETACH, MOVE, REPLACE
from securitygroups.forms import PLACES, FleetForm
from securitygroups.models import Attachment, Event, SecurityGroup, VirtualMachine
from securitygroups.proposals import LotBack, NewOrders, agreed, propose_back, propose_orders
from securitygroups.web.doors import by, enter, said
from securitygroups.web.following import follows_group
from securitygroups.web.pages import (
    CONFLICT,
    FORM_INVALID,
    answer,
    into_dialog,
    numbered,
    page_or_form,
    reason_of,
    sent_fields,
)
from securitygroups.web.samples import seen_by
from securitygroups.words.deeds import asked, done

# What the question page puts into its form itself.
_OWN_FIELDS = frozenset({"sure", "reason", BACK})
NAMED = 5
"""VMs that are named before something is done to them; the others are counted."""


@draws_again
@page_or_form
def machine_groups(request: HttpRequest, slug: str) -> HttpResponse:
    """What to do with the groups of these VMs: the ticked ones, or with a GET all that the filter in the address finds."""
    access = enter(request, slug, write=True)
    sent = _chosen(request.POST) if request.method == "POST" else _all_found(request)
    machines = _meant(access, sent)
    if not machines.exists():
        messages.error(request, "No virtual machine is chosen: tick some in the list first.")
        return redirect(_back(access, sent))
    if "group" not in request.POST or {BACK, "choose"} & request.POST.keys():
        return _choose(request, machines, FleetForm(project=access.project, initial=sent.dict()), sent)
    form = FleetForm(request.POST, project=access.project)
    if not form.is_valid():
        return _choose(request, machines, form, sent)
    proposal = _propose(access, machines, form)
    if not proposal.count and said(request).sure:
        # A second click on yes: the first one has done it.
        return _already(request, access, proposal, form)
    if not proposal.count:
        form.add_error(None, _nothing(proposal, *form.names))
        return _choose(request, machines, form, sent)
    if not agreed(proposal, said(request)):
        return _question(request, proposal, form)
    try:
        weigh(proposal.count)
        made = operations.regroup_machines(lot=proposal.lot, by=by(request))
    except operations.Conflict:
        return _again(request, access, machines, form)
    except ValidationError as refusal:
        return _question(request, proposal, form, told=refusal.messages[0], status=FORM_INVALID)
    # Undo leads to where the VMs were chosen, as the change does.
    place = "" if sent.get("from") else f"?{urlencode({'filter': _one(sent, 'filter')})}"
    undo = reverse("machine_groups_undo", args=[slug, made.pk]) + place
    messages.success(request, made.summary, extra_tags=f"undo:{undo}{_follows(access, form)}")
    return redirect(_back(access, sent))


def _chosen(sent: QueryDict) -> QueryDict:
    """What was sent, by a list's buttons too: one says what to do, and one means all VMs that the group of the page is on."""
    choose = sent.get("choose", "")
    if choose:
        sent = sent.copy()
        sent["having" if choose == "all" else "do"] = choose
    return sent


def _all_found(request: HttpRequest) -> QueryDict:
    """A page that is only opened is about all that its address finds."""
    sent = request.GET.copy()
    sent["all"], sent["filter"] = "1", MachineFilter.from_query(request.GET).query()
    return sent


def _meant(access: Access, sent: QueryDict) -> QuerySet[VirtualMachine]:
    if sent.get("having"):
        group = find_group(access, _one(sent, "from"))
        rows = VirtualMachine.objects.live().filter(attachments__group=group)
    elif sent.get("all"):
        return MachineFilter.from_query(QueryDict(_one(sent, "filter"))).of(access.project)
    else:
        ticked = sent.getlist("machine")
        rows = VirtualMachine.objects.live().filter(project=access.project, public_id__in=ticked)
    return rows.order_by("name", "pk")


def _one(sent: QueryDict, name: str) -> str:
    return str(sent.get(name, ""))


def _propose(access: Access, machines: QuerySet[VirtualMachine], form: FleetForm) -> NewOrders:
    deed = form.deed()
    return propose_orders(access.project, machines, deed, done(deed, *form.names))


def _back(access: Access, sent: QueryDict) -> str:
    """Where the VMs were chosen: on a group's page, or in the project's list."""
    if sent.get("from"):
        return reverse("group_machines", args=[access.project.slug, find_group(access, _one(sent, "from")).public_id])
    found = MachineFilter.from_query(QueryDict(_one(sent, "filter"))).query()
    return reverse("machines", args=[access.project.slug]) + (f"?{found}" if found else "")


def _follows(access: Access, form: FleetForm) -> str:
    """The message follows the group that the VMs have now."""
    do, group = form.cleaned_data["do"], form.cleaned_data["other" if form.cleaned_data["do"] == REPLACE else "group"]
    if do == DETACH:
        return ""
    group.project = access.project
    return follows_group(group, attached=True)


def _choose(request: HttpRequest, machines: QuerySet[VirtualMachine], form: FleetForm, sent: QueryDict) -> HttpResponse:
    access: Access = request.access  # type: ignore[attr-defined]
    names = ("machine", "all", "having", "filter", "from")
    context = {
        "form": form,
        "names": list(machines.values_list("name", flat=True)[:NAMED]),
        "count": machines.count(),
        "hidden": [(name, text) for name in names for text in sent.getlist(name)],
        "reason": reason_of(request),
        "back": _back(access, sent),
    }
    status = FORM_INVALID if form.errors else 200
    return render(request, "securitygroups/fleet/choose.html", context, status=status)


def _nothing(proposal: NewOrders, name: str, other: str = "") -> str:
    """Why there is nothing to do."""
    full, already = proposal.full, proposal.already
    if full and not already:
        return f"Nothing to change: each of these VMs has {proposal.deed.most} groups already, the most there can be."
    if proposal.deed.do == ATTACH:
        room = f", and {full} more are full with {proposal.deed.most} groups" if full else ""
        return f"Nothing to change: {name} is there already{room}."
    if proposal.deed.do == MOVE:
        return f"Nothing to change: {name} is at that place already, or on none of these VMs."
    return f"Nothing to change: none of these VMs has {name}."


def _question(
    request: HttpRequest, proposal: NewOrders, form: FleetForm, *, told: str = "", status: int = 200
) -> HttpResponse:
    """What it would do on all of them, before it is done. Nothing is written yet."""
    access: Access = request.access  # type: ignore[attr-defined]
    vms = f"{proposal.count:,} virtual machine{'' if proposal.count == 1 else 's'}"
    hiding = SecurityGroup.objects.filter(pk__in=proposal.hidden).values_list("pk", "name")
    names = [change.machine for change in proposal.lot.changes]
    context = {
        "title": asked(proposal.deed, vms, *form.names),
        "button": "Make this change",
        "proposal": proposal,
        "about": form.names[-1],
        "place": dict(PLACES)[proposal.deed.place],
        "names": VirtualMachine.objects.filter(pk__in=names).order_by("name").values_list("name", flat=True)[:NAMED],
        "more": max(0, proposal.count - NAMED),
        "hiding": [(name, proposal.hidden[pk]) for pk, name in hiding],
        "preview": proposal.preview(said(request).address),
        "seen_again": seen_by(access, proposal),
        "told": told,
        "token": proposal.token,
        "hidden": sent_fields(request, _OWN_FIELDS),
        "reason": reason_of(request),
        "action": request.path,
        "cancel": _back(access, request.POST),
    }
    return into_dialog(request, render(request, "securitygroups/fleet/question.html", context, status=status))


def _already(request: HttpRequest, access: Access, proposal: NewOrders, form: FleetForm) -> HttpResponse:
    messages.info(request, _nothing(proposal, *form.names))
    return redirect(_back(access, request.POST))


def _again(request: HttpRequest, access: Access, machines: QuerySet[VirtualMachine], form: FleetForm) -> HttpResponse:
    """Somebody was quicker: what it means now."""
    proposal = _propose(access, machines, form)
    if not proposal.count:
        return _already(request, access, proposal, form)
    told = (
        "Nothing was changed yet: the VMs or their groups were changed in the meantime. This is what it would do now."
    )
    return _question(request, proposal, form, told=told, status=CONFLICT)


@page_or_form
def machine_groups_undo(request: HttpRequest, slug: str, event: int) -> HttpResponse:
    """Take a change of many VMs back: at once beside the message that it was made, and else after a question; where some of
    the VMs have been changed since, it is about the others."""
    access = enter(request, slug, write=True)
    line = find_regrouping(access, event)
    proposal = propose_back(access.project, line)
    if not proposal.way.lot.changes:
        messages.error(request, "Nothing was undone: the groups of all these VMs have been changed again since.")
        return redirect(_after_undo(request, access, line))
    if request.method != "POST":
        return _ask_back(request, proposal, line)
    if not agreed(proposal, said(request)) and (said(request).sure or proposal.way.stay or not proposal.way.as_before):
        return _ask_back(request, proposal, line, status=CONFLICT)
    made = by(request)
    try:
        weigh(len(proposal.way.lot.changes))
        operations.regroup_machines(lot=proposal.way.lot, by=made.because(made.reason or "Undone."))
        messages.success(request, f"Undone: {line.summary}")
    except operations.Conflict:
        messages.warning(request, "Nothing was undone yet: the VMs were changed just now. Look at it once more.")
        return redirect(request.get_full_path())
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    return redirect(_after_undo(request, access, line))


def _ask_back(request: HttpRequest, proposal: LotBack, line: Event, *, status: int = 200) -> HttpResponse:
    access: Access = request.access  # type: ignore[attr-defined]
    way = proposal.way
    count = len(way.lot.changes)
    machines = VirtualMachine.objects.filter(pk__in=[change.machine for change in way.lot.changes])
    context = {
        "title": f"Undo it on {'the other ' if way.stay else ''}{count:,} virtual machine{'' if count == 1 else 's'}?",
        "button": "Undo",
        "action": request.get_full_path(),
        "line": line,
        "names": machines.order_by("name").values_list("name", flat=True)[:NAMED],
        "more": max(0, count - NAMED),
        "way": way,
        "overtaken": status == CONFLICT,
        "preview": proposal.preview(said(request).address),
        "token": proposal.token,
        "reason": reason_of(request),
        "cancel": _after_undo(request, access, line),
    }
    return into_dialog(request, render(request, "securitygroups/fleet/undo.html", context, status=status))


def _after_undo(request: HttpRequest, access: Access, line: Any) -> str:
    """Where the address tells that the VMs were chosen, or the page of the group that the change was about."""
    if "filter" in request.GET:
        return _back(access, request.GET)
    group = SecurityGroup.objects.live().filter(pk=line.group_id, project=access.project).first()
    if group is None:
        return reverse("machines", args=[access.project.slug])
    return reverse("group_machines", args=[access.project.slug, group.public_id])


@require_safe
def group_attach(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The project's VMs that do not have the group, to be chosen."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    found = MachineFilter.from_query(request.GET)
    having = Attachment.objects.filter(group=group).values("machine")
    attached = Attachment.objects.filter(machine=OuterRef("pk")).order_by().values("machine")
    number = Coalesce(Subquery(attached.annotate(n=Count("pk")).values("n")), 0, output_field=IntegerField())
    rows = found.of(access.project).exclude(pk__in=having)
    page = numbered(request, rows)
    page.object_list = rows.annotate(group_count=number).filter(pk__in=[vm.pk for vm in page.object_list])
    context = {
        "group": group,
        "page": page,
        "query": found.q,
        "filter": found.query(),
        "places": PLACES,
        "machine_count": group.attachments.count(),
        "tab": "machines",
    }
    return answer(request, "securitygroups/fleet/attach.html", "securitygroups/fleet/_attach_list.html", context)
