"""The support desk: one search box, and the door with its reason."""

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_safe

from securitygroups import operations
from securitygroups.access import running_visits
from securitygroups.answers.search import Found, projects_of, search
from securitygroups.forms import VisitForm, take_refusal
from securitygroups.models import AccountEvent, Project, SupportVisit, User
from securitygroups.web.doors import client, support_member
from securitygroups.web.pages import FORM_INVALID, answer, page_or_form, typed


def _search(request: HttpRequest, staff: User, query: str) -> tuple[list[Found], set[int]]:
    """What is found, and the projects of it that a running visit has opened: of these alone the page shows more than
    names. For those it is a look like any other, and each search is on record."""
    found = search(query)
    there = {project for kind in found for row in kind.rows for project in projects_of(row)}
    running = running_visits(staff).filter(project__in=there).select_related("project")
    visits = {visit.project_id: visit for visit in running}
    # Names of customers go out, and who looks for whom is itself worth a record, also where nothing is found.
    operations.note(
        AccountEvent.Verb.SEARCHED,
        user=staff,
        client=client(request),
        query=query,
        found={kind.kind: len(kind.rows) for kind in found},
        projects=sorted(there),
    )
    for visit in visits.values():
        visit.staff = staff
        operations.record_look(visit=visit, page=request.get_full_path())
    return found, set(visits)


@require_safe
def support(request: HttpRequest) -> HttpResponse:
    staff = support_member(request)
    query = typed(request, "q")
    found, opened = _search(request, staff, query) if query else ([], set())
    visits = SupportVisit.objects.filter(staff=staff).select_related("project")[:10]
    context = {"query": query, "found": found, "opened": opened, "visits": visits}
    return answer(request, "securitygroups/support/desk.html", "securitygroups/support/_found.html", context)


@page_or_form
def support_enter(request: HttpRequest, slug: str) -> HttpResponse:
    """Name a reason and a ticket, and the project's pages open read-only for half an hour."""
    staff = support_member(request)
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise Http404
    form = VisitForm(request.POST if request.method == "POST" else None)
    target = request.POST.get("next") or request.GET.get("next", "")
    if request.method == "POST" and form.is_valid():
        try:
            operations.open_visit(project=project, staff=staff, **form.cleaned_data)
            # Nobody is sent from here to another site, whatever a link says.
            safe = target.startswith(("/p/", "/typed/?")) and url_has_allowed_host_and_scheme(target, None)
            return redirect(target if safe else project.get_absolute_url())
        except ValidationError as refusal:
            take_refusal(form, refusal)
    context = {"form": form, "door": project, "next": target, "minutes": operations.VISIT_MINUTES}
    status = FORM_INVALID if request.method == "POST" else 200
    return render(request, "securitygroups/support/enter.html", context, status=status)
