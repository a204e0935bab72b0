"""The support desk: search, the door with its reason, cases. Cases are read by customers too."""

import structlog
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from securitygroups import operations
from securitygroups.access import SUPPORT, enter, find_case, find_group, find_machine, is_support, running_visits
from securitygroups.answers.search import Found, projects_of, search
from securitygroups.answers.way import Line, way
from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.documents import packet_from_json, rule_from_json
from securitygroups.forms import CaseForm, NoteForm, PacketForm, VisitForm, take_refusal
from securitygroups.models import Project, SupportCase, SupportVisit, User, effective_rules, values
from securitygroups.operations import By
from securitygroups.packets import packet_json
from securitygroups.web.pages import FORM_INVALID, answer, numbered, page_or_form

logger = structlog.get_logger()


def _staff(request: HttpRequest) -> User:
    """The support member who asks, or 404: the desk does not exist for anybody else."""
    if not is_support(request.user) or not isinstance(request.user, User):
        raise Http404
    return request.user


def _search(request: HttpRequest, staff: User, query: str) -> tuple[list[Found], set[int]]:
    """What is found, and the projects of it that a running visit has opened: of these alone the page shows more than
    names. For those it is a look like any other, and each search is in the log."""
    found = search(query)
    there = {project for kind in found for row in kind.rows for project in projects_of(row)}
    running = running_visits(staff).filter(project__in=there).select_related("project")
    visits = {visit.project_id: visit for visit in running}
    logger.info(
        "support search",
        staff=staff.get_username(),
        query=query[:200],
        found={kind.kind: len(kind.rows) for kind in found},
        projects=sorted(there),
    )
    for visit in visits.values():
        visit.staff = staff
        operations.record_look(visit=visit, page=request.get_full_path()[:300])
    return found, set(visits)


@require_safe
def support(request: HttpRequest) -> HttpResponse:
    staff = _staff(request)
    query = request.GET.get("q", "").strip()
    found, opened = _search(request, staff, query) if query else ([], set())
    visits = SupportVisit.objects.filter(staff=staff).select_related("project")[:10]
    context = {"query": query, "found": found, "opened": opened, "visits": visits}
    return answer(request, "securitygroups/support/desk.html", "securitygroups/support/_found.html", context)


@page_or_form
def support_enter(request: HttpRequest, slug: str) -> HttpResponse:
    """Name a reason and a ticket, and the project's pages open read-only for half an hour."""
    staff = _staff(request)
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise Http404
    form = VisitForm(request.POST if request.method == "POST" else None)
    target = request.POST.get("next") or request.GET.get("next", "")
    if request.method == "POST" and form.is_valid():
        try:
            operations.open_visit(project=project, staff=staff, **form.cleaned_data)
            safe = target.startswith("/p/") and url_has_allowed_host_and_scheme(target, None)
            return redirect(target if safe else project.get_absolute_url())
        except ValidationError as refusal:
            take_refusal(form, refusal)
    context = {"form": form, "door": project, "next": target, "minutes": operations.VISIT_MINUTES}
    status = FORM_INVALID if request.method == "POST" else 200
    return render(request, "securitygroups/support/enter.html", context, status=status)


@require_POST
def case_open(request: HttpRequest, slug: str) -> HttpResponse:
    """Freeze a packet test. Support's own record, so not one of the writes that its read-only view refuses."""
    staff = _staff(request)
    access = enter(request, slug, support_writes=True)
    if access.visit is None:
        raise PermissionDenied("Only support staff open cases.")
    packet, target = PacketForm(request.POST), request.POST.get("target", "")
    machine = find_machine(access, target) if target.startswith("vm-") else None
    group = None if machine else find_group(access, target)
    form = CaseForm(request.POST)
    if not packet.is_valid() or not form.is_valid():
        messages.error(request, "No case was opened: test a packet first, and keep the note under 4,000 characters.")
        return redirect(machine or group or access.project)
    rows = (
        effective_rules(machine) if machine else list(group.rules.in_order().select_related("group")) if group else []
    )
    decision = decide(values(rows), packet.packet)
    case = operations.open_case(
        project=access.project,
        packet=packet_json(packet.packet),
        rows=rows,
        verdict=decision.action.value,
        rule=decision.rule,
        staff=staff,
        ticket=access.visit.ticket,
        note=form.cleaned_data["note"],
        machine=machine,
        group=group,
    )
    messages.success(request, f"{case.public_id} was opened. Its address is good for the customer too.")
    return redirect(case)


@require_safe
def cases(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    rows = SupportCase.objects.filter(project=access.project).select_related("machine", "group").defer("rules")
    return render(request, "securitygroups/support/cases.html", {"page": numbered(request, rows)})


def _frozen(case: SupportCase) -> list[Line]:
    """The case's list, and where each rule stood."""
    lines = []
    for stored in case.rules:
        rule = rule_from_json({key: value for key, value in stored.items() if key != "group"})
        group = stored["group"]
        lines.append(Line(rule, group["name"], group["id"], group["place"]))
    return lines


@require_safe
def case(request: HttpRequest, slug: str, case_id: str) -> HttpResponse:
    """The frozen answer, and beside it the same packet against the list as it is now."""
    access = enter(request, slug)
    frozen = find_case(access, case_id)
    lines = _frozen(frozen)
    packet = packet_from_json(frozen.packet)
    decision = decide([line.rule for line in lines], packet)
    vm = frozen.machine
    # A VM that was moved to another project since is another customer's: neither its name nor its rules are told.
    moved = bool(vm and vm.project_id != access.project.pk)
    gone = moved or bool(vm.deleted_at if vm else frozen.group and frozen.group.deleted_at)
    rows = []
    if not gone:
        rows = (
            effective_rules(frozen.machine)
            if frozen.machine
            else list(frozen.group.rules.in_order())
            if frozen.group
            else []
        )
    now = None if gone else decide(values(rows), packet)
    context = {
        "case": frozen,
        "packet": packet,
        "decision": decision,
        "way": list(way(decision, lines)),
        "now": now,
        "gone": gone,
        "moved": moved,
        "now_rule": rows[now.rule - 1] if now and now.rule else None,
        "notes": frozen.notes.all(),
        "form": NoteForm(),
        "can_note": access.role == SUPPORT or access.can_edit,
    }
    return render(request, "securitygroups/support/case.html", context)


@require_POST
def case_note(request: HttpRequest, slug: str, case_id: str) -> HttpResponse:
    """Staff and the customer's editors write to a case."""
    access = enter(request, slug, support_writes=True)
    if access.role != SUPPORT and not access.can_edit:
        raise PermissionDenied("You can read this case, but not write to it. Ask an owner for the editor role.")
    frozen = find_case(access, case_id)
    form = NoteForm(request.POST)
    if form.is_valid():
        operations.add_note(
            case=frozen, by=By(access.user, staff=access.role == SUPPORT), text=form.cleaned_data["text"]
        )
        messages.success(request, "The note was added.")
    else:
        messages.error(request, "The note was not added: type up to 4,000 characters.")
    return redirect(frozen)
