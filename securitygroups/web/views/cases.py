"""Support cases: frozen packet tests. Support opens them; customers read them and their editors write to them too."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from karenpanel.sent_again import draws_again, goes_back
from securitygroups import operations
from securitygroups.access import SUPPORT, Access, find_case, find_group, find_machine
from securitygroups.answers.cases import look_again
from securitygroups.forms import CaseForm, NoteForm, PacketForm, as_typed
from securitygroups.models import SupportCase
from securitygroups.operations import By
from securitygroups.web.doors import enter, support_member
from securitygroups.web.pages import FORM_INVALID, numbered


@require_POST
def case_open(request: HttpRequest, slug: str) -> HttpResponse:
    """Freeze a packet test. Support's own record, so not one of the writes that its read-only view refuses."""
    support_member(request)
    access = enter(request, slug, support_writes=True)
    if access.visit is None:
        raise PermissionDenied("Only support staff open cases.")
    packet, target = PacketForm(request.POST), request.POST.get("target", "")
    about = find_machine(access, target) if target.startswith("vm-") else find_group(access, target)
    form = CaseForm(request.POST)
    if not packet.is_valid() or not form.is_valid():
        messages.error(request, "No case was opened: test a packet first, and keep the note under 4,000 characters.")
        return redirect(about)
    try:
        case = operations.open_case(
            about=about,
            packet=packet.packet,
            staff=access.user,
            ticket=access.visit.ticket,
            note=form.cleaned_data["note"],
        )
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect(about)
    messages.success(request, f"{case.public_id} was opened. Its address is good for the customer too.")
    return redirect(case)


@require_safe
def cases(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    rows = SupportCase.objects.filter(project=access.project).select_related("machine", "group").defer("rules")
    return render(request, "securitygroups/support/cases.html", {"page": numbered(request, rows)})


@require_safe
def case(request: HttpRequest, slug: str, case_id: str) -> HttpResponse:
    """The frozen answer, and beside it the same packet against the list as it is now."""
    access = enter(request, slug)
    return _page(request, access, find_case(access, case_id), NoteForm())


def _page(request: HttpRequest, access: Access, frozen: SupportCase, form: NoteForm, status: int = 200) -> HttpResponse:
    found = look_again(frozen)
    context = {
        "case": frozen,
        "packet": found.packet,
        "decision": found.decision,
        "way": found.way,
        "now": found.now,
        "gone": found.now is None,
        "moved": found.moved,
        "notes": frozen.notes.all(),
        "form": form,
        "can_note": access.role == SUPPORT or access.can_edit,
    }
    return render(request, "securitygroups/support/case.html", context, status=status)


@draws_again
@require_POST
def case_note(request: HttpRequest, slug: str, case_id: str) -> HttpResponse:
    """Staff and the customer's editors write to a case."""
    access = enter(request, slug, support_writes=True)
    if access.role != SUPPORT and not access.can_edit:
        raise PermissionDenied("You can read this case, but not write to it. Ask an owner for the editor role.")
    frozen = find_case(access, case_id)
    form = NoteForm(request.POST)
    if goes_back(request):
        return _page(request, access, frozen, as_typed(form))
    if not form.is_valid():
        messages.error(request, "The note was not added: type up to 4,000 characters.")
        return _page(request, access, frozen, form, FORM_INVALID)
    by = By(access.user, staff=access.role == SUPPORT)
    try:
        operations.add_note(case=frozen, by=by, text=form.cleaned_data["text"])
        messages.success(request, "The note was added.")
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    return redirect(frozen)
