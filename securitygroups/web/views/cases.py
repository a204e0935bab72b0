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
from securitygroups.answers.desk import State, cases_of
from securitygroups.answers.way import way
from securitygroups.firewall.values import whole_number
from securitygroups.forms import CaseForm, CloseForm, NoteForm, PacketForm, as_typed
from securitygroups.models import CaseNote, CaseStanding, CaseStep, SupportCase
from securitygroups.operations import By
from securitygroups.web.doors import enter, support_member
from securitygroups.web.pages import CONFLICT, FORM_INVALID, answer, bounded, typed

MOST_SEEN = 10**6


@require_POST
def case_open(request: HttpRequest, slug: str) -> HttpResponse:
    """Freeze a packet test, as a case or in the `case` that is named. Support's own record, so not one of the writes that
    its read-only view refuses."""
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
    known, note = request.POST.get("case", ""), form.cleaned_data["note"]
    case = find_case(access, known) if known else None
    asked, staff, ticket = packet.packet, access.user, access.visit.ticket
    try:
        if case:
            operations.add_packet(case=case, about=about, packet=asked, staff=staff, note=note)
        else:
            case = operations.open_case(about=about, packet=asked, staff=staff, ticket=ticket, note=note)
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
        return redirect(about)
    done = f"The packet was added to {case.public_id}." if known else f"{case.public_id} was opened."
    messages.success(request, f"{done} Its address is good for the customer too.")
    return redirect(case)


@require_POST
def case_step(request: HttpRequest, slug: str, case_id: str) -> HttpResponse:
    """Take the case, close it with a word, or open it again: support's own record too."""
    support_member(request)
    access = enter(request, slug, support_writes=True)
    if access.role != SUPPORT:
        raise PermissionDenied("Only support staff take, close and open cases.")
    case, do = find_case(access, case_id), request.POST.get("do", "")
    form = CloseForm(request.POST if do == "close" else None)
    if do == "close" and not form.is_valid():
        return _page(request, access, case, NoteForm(), form)
    seen = whole_number(request.POST.get("seen", ""), MOST_SEEN)
    try:
        if do == "take":
            operations.take_case(case=case, staff=access.user, seen=seen)
            messages.success(request, f"You take care of {case.public_id}.")
        elif do == "reopen":
            operations.reopen_case(case=case, staff=access.user, seen=seen)
            messages.success(request, f"{case.public_id} is open again.")
        elif do == "close":
            operations.close_case(case=case, staff=access.user, text=form.cleaned_data["word"], seen=seen)
            messages.success(request, f"{case.public_id} was closed.")
        else:
            messages.error(request, "Nothing was done: choose what to do with the case.")
    except operations.Conflict:
        words = "somebody has written or done something here since you opened the page. Read it first."
        messages.warning(request, f"Nothing was done: {words}")
        return _page(request, access, find_case(access, case_id), NoteForm(), form, status=CONFLICT)
    return redirect(case)


@require_safe
def cases(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    state, query = request.GET.get("state", ""), typed(request, "q")
    state = state if state in State.values else ""
    page = bounded(request, cases_of(access.project, state, query))
    context = {"page": page, "state": state, "states": State.choices, "query": query}
    return answer(request, "securitygroups/support/cases.html", "securitygroups/support/_cases.html", context)


@require_safe
def case(request: HttpRequest, slug: str, case_id: str) -> HttpResponse:
    """The frozen answers, and beside them the same packets against the lists as they are now."""
    access = enter(request, slug)
    return _page(request, access, find_case(access, case_id), NoteForm(), CloseForm())


def _page(
    request: HttpRequest, access: Access, frozen: SupportCase, form: NoteForm, closing: CloseForm, *, status: int = 200
) -> HttpResponse:
    tested = list(look_again(frozen))
    # One packet's way down the list at a time: a list may be a thousand rules long.
    number = whole_number(request.GET.get("packet", ""), len(tested)) or 1
    shown = tested[number - 1]
    standing: CaseStanding | None = getattr(frozen, "standing", None)
    told: list[CaseNote | CaseStep] = [*frozen.notes.all(), *frozen.steps.all()]
    context = {
        "case": frozen,
        "standing": standing,
        "closed": standing is not None and standing.state == State.CLOSED,
        "tested": tested,
        "number": number,
        "shown": shown,
        "packet": shown.packet,
        "decision": shown.decision,
        "way": list(way(shown.decision, shown.listed)),
        "told": sorted(told, key=lambda one: one.at),
        "seen": len(told),
        "form": form,
        "closing": closing,
        "can_note": access.role == SUPPORT or access.can_edit,
        "is_staff": access.role == SUPPORT,
        "is_mine": standing is not None and standing.assignee_id == access.user.pk,
    }
    status = FORM_INVALID if form.errors or closing.errors else status
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
        return _page(request, access, frozen, as_typed(form), CloseForm())
    if not form.is_valid():
        messages.error(request, "The note was not added: type up to 4,000 characters.")
        return _page(request, access, frozen, form, CloseForm())
    by = By(access.user, staff=access.role == SUPPORT)
    try:
        operations.add_note(case=frozen, by=by, text=form.cleaned_data["text"])
        messages.success(request, "The note was added.")
    except ValidationError as refusal:
        messages.error(request, refusal.messages[0])
    return redirect(frozen)
