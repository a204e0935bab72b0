"""The support desk: one search box, the door with its reason, the way out, and the cases of all customers."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from securitygroups import operations
from securitygroups.access import ReasonNeeded, running_visits
from securitygroups.answers.desk import SORTS, State, Wanted, cases_of_all, waiting
from securitygroups.answers.search import Found, projects_of, search, search_ends
from securitygroups.answers.services import service_port
from securitygroups.fields import begins_focused
from securitygroups.firewall.lines.pasted import parse_line
from securitygroups.firewall.lines.replies import reply_in
from securitygroups.forms import VisitForm, take_refusal
from securitygroups.models import AccountEvent, Project, SupportVisit, User
from securitygroups.web.doors import client, support_member
from securitygroups.web.pages import FORM_INVALID, answer, bounded, page_or_form, typed

LONGEST_LINE = 2000
LONGEST_NAME = 200
NO_ADDRESS = "A frame that is not IP has no address that tells its VM: test it on the VM's page."


def _search(request: HttpRequest, staff: User, query: str, packet: dict[str, str]) -> tuple[list[Found], set[int]]:
    """What is found, and the projects of it that a running visit has opened: of these alone the page shows more than
    names. For those it is a look like any other, and each search is on record."""
    found = search_ends(packet["source"], packet["destination"]) if packet else search(query)
    there = {project for kind in found for row in kind.rows for project in projects_of(row)}
    running = running_visits(staff).filter(project__in=there).select_related("project")
    visits = {visit.project_id: visit for visit in running}
    _note(request, staff, query, {kind.kind: len(kind.rows) for kind in found}, there)
    for visit in visits.values():
        visit.staff = staff
        operations.record_look(visit=visit, page=request.get_full_path())
    return found, set(visits)


def _note(request: HttpRequest, staff: User, query: str, found: dict[str, int], projects: set[int]) -> None:
    """Names of customers go out, and who looks for whom is itself worth a record, also where nothing is found."""
    operations.note(
        AccountEvent.Verb.SEARCHED,
        user=staff,
        client=client(request),
        query=query,
        found=found,
        projects=sorted(projects),
    )


@require_safe
def support(request: HttpRequest) -> HttpResponse:
    staff = support_member(request)
    query = typed(request, "q", LONGEST_LINE)
    read = parse_line(query, service_port)
    # A frame that is not IP has no address by which its VM is found.
    packet = read.fields if "source" in read.fields else {}
    if packet and reply_in(read, service_port):
        packet = packet | {"line": query}
    if not packet:
        query = query[:LONGEST_NAME].strip()
    found, opened = _search(request, staff, query, packet) if query else ([], set())
    visits = SupportVisit.objects.filter(staff=staff).select_related("project", "ending")[:10]
    context = {
        "query": query,
        "packet": packet,
        "advice": read.advice or (NO_ADDRESS if read.fields else ""),
        "found": found,
        "opened": opened,
        "visits": visits,
        "running": set(running_visits(staff).values_list("pk", flat=True)),
        "waiting": waiting(staff),
        "longest": LONGEST_LINE,
    }
    return answer(request, "securitygroups/support/desk.html", "securitygroups/support/_found.html", context)


@require_safe
def desk_cases(request: HttpRequest) -> HttpResponse:
    """The cases of all customers by their names: what stands in one is shown after naming a reason."""
    staff = support_member(request)
    state, sort = request.GET.get("state", State.OPEN), request.GET.get("sort", "waiting")
    mine, query = "mine" in request.GET, typed(request, "q")
    wanted = Wanted(
        state=state if state in State.values else "",
        text=query,
        mine=staff if mine else None,
        sort=sort if sort in SORTS else "waiting",
    )
    page = bounded(request, cases_of_all(wanted))
    rows = list(page.object_list)
    _note(request, staff, query or "cases", {"Cases": len(rows)}, {row.project_id for row in rows})
    context = {
        "page": page,
        "rows": rows,
        "wanted": wanted,
        "states": State.choices,
        "sorts": SORTS.items(),
        "query": query,
        "mine": mine,
    }
    return answer(request, "securitygroups/support/all_cases.html", "securitygroups/support/_all_cases.html", context)


def _safe(target: str, otherwise: str) -> str:
    """Nobody is sent from here to another site, whatever a link says."""
    return (
        target
        if target.startswith(("/p/", "/typed/?")) and url_has_allowed_host_and_scheme(target, None)
        else otherwise
    )


@page_or_form
def support_enter(request: HttpRequest, slug: str) -> HttpResponse:
    """Name a reason and a ticket, and the project's pages open read-only for half an hour."""
    staff = support_member(request)
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise Http404
    form = VisitForm(request.POST if request.method == "POST" else None)
    begins_focused(form)
    target = request.POST.get("next") or request.GET.get("next", "")
    if request.method == "POST" and form.is_valid():
        try:
            operations.open_visit(project=project, staff=staff, **form.cleaned_data)
            return redirect(_safe(target, project.get_absolute_url()))
        except ValidationError as refusal:
            take_refusal(form, refusal)
    context = {"form": form, "door": project, "next": target, "minutes": operations.VISIT_MINUTES}
    status = FORM_INVALID if request.method == "POST" else 200
    return render(request, "securitygroups/support/enter.html", context, status=status)


def _running(staff: User, slug: str) -> list[SupportVisit]:
    """The visits of this person to the project that are open now. Raises Http404, and ReasonNeeded where there is none."""
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise Http404
    visits = list(running_visits(staff).filter(project=project))
    if not visits:
        raise ReasonNeeded(project)
    for visit in visits:
        visit.project, visit.staff = project, staff
    return visits


@require_POST
def visit_stay(request: HttpRequest, slug: str) -> HttpResponse:
    """Half an hour more, for the reason that was named."""
    visit = operations.extend_visit(visit=_running(support_member(request), slug)[-1])
    messages.success(request, f"Open for {operations.VISIT_MINUTES} minutes from now, for the same reason.")
    return redirect(_safe(request.POST.get("next", ""), visit.project.get_absolute_url()))


@require_POST
def visit_leave(request: HttpRequest, slug: str) -> HttpResponse:
    """The visit ends now, and with it whatever it was extended by."""
    staff = support_member(request)
    visits = _running(staff, slug)
    operations.leave(project=visits[0].project, staff=staff, visits=visits)
    messages.success(request, f"You left {visits[0].project.name}. Its pages ask for a reason again.")
    return redirect(reverse("support"))
