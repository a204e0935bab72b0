"""Import: a file of rules, ours or another system's, over a group or as new groups, after a dry run with a report."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from karenpanel.sent_again import draws_again, goes_back
from karenpanel.turns import NoTurn
from securitygroups import operations
from securitygroups.brought import Brought, make, propose_import
from securitygroups.firewall.changes import recognised
from securitygroups.firewall.formats.documents import write_group
from securitygroups.firewall.formats.reading import ReadGroup, Reading
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import RuleList, whole_number
from securitygroups.forms import ImportForm, PickForm, as_typed, take_refusal
from securitygroups.models import Event, SecurityGroup
from securitygroups.proposals import Edit, Whole, agreed
from securitygroups.web.brought import (
    FIELD,
    File,
    alarms_of,
    alike,
    brought,
    group_report,
    is_plain,
    origin,
    read,
    read_as,
    report,
    rows_of,
    sent_again_as_field,
    whole_report,
    with_text,
)
from securitygroups.web.changing import (
    REFUSALS,
    Source,
    change_rules,
    preview_later,
    preview_part,
    preview_shown,
    preview_waits,
)
from securitygroups.web.doors import OnGroup, by, enter, enter_group, said, takes_files
from securitygroups.web.pages import FORM_INVALID, address_of, page_or_form, resend
from securitygroups.words.imports import imported_sentence, lines_sentence, read_words


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The form; 422 where what was sent has to be mended."""
    form, page = context["form"], "securitygroups/files/import.html"
    if goes_back(request):
        as_typed(form)
    wrong = form.errors if form.is_bound else {}
    return render(request, page, context, status=FORM_INVALID if wrong or "faults" in context else 200)


def _refused(request: HttpRequest, context: dict[str, Any], refusal: BadDocument | ValidationError) -> HttpResponse:
    """The form with what is wrong with the file: its faults by place, or what would not fit into the group."""
    if isinstance(refusal, BadDocument):
        context |= {
            "faults": alike(refusal.faults),
            "fault_count": refusal.total,
            "more_faults": refusal.total - len(refusal.faults),
        }
    else:
        context["form"].is_valid()
        context["form"].add_error(None, refusal.messages[:REFUSALS])
    return _page(request, context)


def _peek(
    request: HttpRequest, sent: File, group: SecurityGroup | None, show: Callable[[Reading], HttpResponse]
) -> HttpResponse:
    """The preview below the form while a file is pasted. It is no yes: the question shows each rule and each line."""
    try:
        reading = read(sent)
        if len(reading.groups) == 1:
            return show(reading)
        context = {
            "group": group,
            "waits": f"{origin(sent)}Read as {read_as(reading)}. The next page shows each of them.",
        }
        return render(request, "securitygroups/changes/_form_preview.html", context)
    except BadDocument as error:
        return preview_waits(request, group, str(error.faults[0]) if sent.data.strip() else "")
    except ValidationError as refusal:
        return preview_waits(request, group, refusal.messages[0])
    except NoTurn as none:
        return preview_later(request, none)


def _told(sent: File, reading: Reading) -> list[str]:
    """Above a preview: what the file was read as, and what was lost of it."""
    if is_plain(reading):
        return [_read_plainly(sent, reading)] if read_as(reading) else []
    lost = lines_sentence(reading.all_notes())
    return [
        f"{origin(sent)}Read as {read_as(reading)}{': ' if lost else ''}{lost}. The next page says of each line how it was taken."
    ]


def _read_plainly(sent: File, reading: Reading) -> str:
    """Of a list that says what it says: where it came from; empty where there is nothing to tell of a pasted document."""
    words = read_as(reading)
    return f"{origin(sent)}{f'Read as {words}.' if words else ''}".strip()


# ── Over a group ──────────────────────────────────────────────────────────────


@takes_files
@draws_again
@page_or_form
@sent_again_as_field
def group_import(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The file's rules instead of the group's, as a new revision."""
    on = enter_group(request, slug, group_id)
    sent, posted = brought(request), request.method == "POST"
    if posted and "preview" in request.POST:
        return _peek(request, sent, on.group, lambda its: preview_part(on, _instead(its.groups[0].rules), counts=False))
    form = ImportForm(with_text(request, sent) if posted else None, new=False)
    context = {
        "form": form,
        "group": on.group,
        "reason": request.POST.get("reason", ""),
        "base": said(request, on.group.revision).base,
    }
    if not posted or goes_back(request):
        return _page(request, context)
    try:
        reading = read(sent)
        return _over(on, sent, reading, context)
    except (BadDocument, ValidationError) as refusal:
        return _refused(request, context, refusal)


def _over(on: OnGroup, sent: File, reading: Reading, context: dict[str, Any]) -> HttpResponse:
    """The chosen group's rules over the group's own. Raises ValidationError."""
    request = on.request
    if "report" in request.POST:
        return whole_report(reading)
    at = 0 if len(reading.groups) == 1 else whole_number(request.POST.get("which", ""), len(reading.groups) - 1)
    if at is None:
        return _which(request, sent, reading, context)
    one = reading.groups[at]
    done = f"Imported {len(one.rules)} rules."
    if is_plain(reading):
        # The question page sends the document along as text, so that what was looked at is what is committed.
        resend(request, text=write_group(one.name or on.group.name, "", one.rules))
        read_as_what = {"origin": _read_plainly(sent, reading)}
        return change_rules(on, _instead(one.rules), done, source=Source("", "", read_as_what))
    resend(request, text="", **{FIELD: sent.packed(), "which": str(at)})
    return change_rules(on, _instead(one.rules), done, source=_source(sent, reading, one))


def _instead(rules: RuleList) -> Edit:
    """Those rules, each with the identity of the one that it is recognised as."""
    return Whole(lambda now: recognised(now, rules))


def _source(sent: File, reading: Reading, one: ReadGroup) -> Source:
    notes = one.notes if len(reading.groups) > 1 else tuple(reading.all_notes())
    lost = lines_sentence(notes)
    note = f"Read as {reading.system}: {lost or 'every line is taken as it is'}. Each line is listed below."
    if len(reading.groups) > 1:
        note = f"{one.name or 'A group without a name'}, of {read_as(reading)}: {lost or 'every line as it is'}."
    summary = f"Imported {len(one.rules)} rules{read_words(reading.system, notes)}."
    return Source(f"{origin(sent)}{note}", summary, {"report": group_report(reading, one)})


def _which(request: HttpRequest, sent: File, reading: Reading, context: dict[str, Any]) -> HttpResponse:
    """Of a file with several groups one is chosen: on the next page is the question about it."""
    missing = "picked" in request.POST
    context |= {
        "groups": [(at, one, lines_sentence(one.notes)) for at, one in enumerate(reading.groups)],
        "missing": missing,
        "read_as": read_as(reading),
        "origin": origin(sent),
        "along": sent.packed(),
    }
    return render(request, "securitygroups/files/which.html", context, status=FORM_INVALID if missing else 200)


# ── As new groups ─────────────────────────────────────────────────────────────


@takes_files
@draws_again
@page_or_form
@sent_again_as_field
def group_import_new(request: HttpRequest, slug: str) -> HttpResponse:
    """The file's groups as new ones: all that are ticked, or none."""
    access = enter(request, slug, write=True)
    sent, posted = brought(request), request.method == "POST"

    def shown(reading: Reading) -> HttpResponse:
        proposal = _fitting(propose_import(access.project, reading))
        return preview_shown(request, proposal, counts=False, told=_told(sent, reading))

    if posted and "preview" in request.POST:
        return _peek(request, sent, None, shown)
    form = ImportForm(with_text(request, sent) if posted else None, new=True)
    context: dict[str, Any] = {"form": form, "group": None, "reason": request.POST.get("reason", "")}
    if not posted or goes_back(request):
        return _page(request, context)
    try:
        reading = read(sent)
        if "report" in request.POST:
            return whole_report(reading)
        proposal = propose_import(access.project, reading)
        if proposal.several:
            return _several(request, sent, proposal)
        _fitting(proposal)
    except (BadDocument, ValidationError) as refusal:
        return _refused(request, context, refusal)
    return _one(request, sent, proposal, context) if form.is_valid() else _page(request, context)


def _fitting(proposal: Brought) -> Brought:
    """Raises ValidationError where the rules of the file's only group cannot be stored."""
    if proposal.groups[0].refused:
        raise ValidationError(list(proposal.groups[0].refused))
    return proposal


def _one(request: HttpRequest, sent: File, proposal: Brought, context: dict[str, Any]) -> HttpResponse:
    """The new group, once its rules and what they would let through have been looked at."""
    form, one, reading = context["form"], proposal.groups[0], proposal.reading
    # The second time the name stands in its field: empty, it was taken out.
    name = form.cleaned_data["name"] or ("" if "sure" in request.POST else one.read.name)
    if not agreed(proposal, said(request)):
        context |= {
            "one": one,
            "name": name,
            "taken": operations.names_taken(proposal.project, {0: name}).get(0, ""),
            "read_as": read_as(reading),
            "origin": origin(sent),
            "report": group_report(reading, one.read),
            "preview": proposal.preview(address_of(request)),
            "token": proposal.token,
            "along": "" if is_plain(reading) else sent.packed(),
            "text": write_group(name or "imported", one.read.description, one.read.rules),
        }
        return _page(request, context)
    try:
        event, names = make(proposal, {one.at: name}, by(request).because(""))  # the form has no field for one
    except operations.RefusedGroups as refusal:
        take_refusal(form, refusal.problems[one.at])
        return _page(request, context)
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return _page(request, context)
    _tell(request, proposal, event, f"{names[0]} was imported.")
    return redirect(SecurityGroup.objects.select_related("project").get(pk=event.group_id))


def _tell(request: HttpRequest, proposal: Brought, event: Event, words: str) -> None:
    undo = reverse("group_import_undo", args=[proposal.project.slug, event.pk])
    messages.success(request, words, extra_tags=f"undo:{undo}")


def _several(request: HttpRequest, sent: File, proposal: Brought) -> HttpResponse:
    """The groups of the file, each to be named or left out; those that are ticked are made once all were looked at."""
    picked = "picked" in request.POST
    form = PickForm(
        request.POST if picked else None,
        names={one.at: one.read.name for one in proposal.groups},
        fit=frozenset(one.at for one in proposal.groups if one.fits),
    )
    if picked:
        _check(form, proposal)
    if picked and form.is_valid() and agreed(proposal, said(request)) and (made := _make(request, form, proposal)):
        event, names = made
        _tell(request, proposal, event, imported_sentence(names, proposal.reading.system))
        return redirect("groups", proposal.project.slug)
    return _ask(request, sent, proposal, form)


def _make(request: HttpRequest, form: PickForm, proposal: Brought) -> tuple[Event, list[str]] | None:
    """The groups that are ticked; None where one of them cannot be made, which is told at its name."""
    try:
        return make(proposal, form.picked, by(request).because(""))
    except operations.RefusedGroups as refusal:
        for at, problem in refusal.problems.items():
            form.add_error(f"name-{at}", problem.messages)
    except ValidationError as refusal:
        form.add_error(None, refusal.messages)
    return None


def _check(form: PickForm, proposal: Brought) -> None:
    """What is wrong with those that are ticked, all at once."""
    form.full_clean()
    names, project = form.picked, proposal.project
    for at, words in operations.names_taken(project, names).items():
        form.add_error(f"name-{at}", words)
    for one in proposal.groups:
        if one.at in names and one.refused:
            form.add_error(f"name-{one.at}", list(one.refused[:REFUSALS]))
    if len(names) > proposal.room:
        form.add_error(None, operations.no_room(project, proposal.room, len(names)))


def _ask(request: HttpRequest, sent: File, proposal: Brought, form: PickForm) -> HttpResponse:
    reading, rows = proposal.reading, rows_of(proposal, form)
    alarms = alarms_of(rows)
    fits = sum(one.fits for one in proposal.groups)
    context = {
        "form": form,
        "rows": rows,
        "alarms": alarms,
        "alarmed": any(alarm.raised for alarm in alarms),
        "proposal": proposal,
        "read_as": read_as(reading),
        "origin": origin(sent),
        "lost": lines_sentence(reading.all_notes()),
        "file_report": report(reading.notes, (), len(rows)),
        "has_report": any(True for _ in reading.all_notes()),
        "taken": [one for one in proposal.groups if one.taken],
        "no_room": operations.no_room(proposal.project, proposal.room, fits) if fits > proposal.room else "",
        "token": proposal.token,
        "along": sent.packed(),
    }
    status = FORM_INVALID if form.errors else 200
    return render(request, "securitygroups/files/several.html", context, status=status)


@require_POST
def group_import_undo(request: HttpRequest, slug: str, event: int) -> HttpResponse:
    """Take an import back; `event` is its line of the record."""
    access = enter(request, slug, write=True)
    try:
        names = operations.undo_import(project=access.project, event=event, by=by(request))
    except operations.Conflict:
        why = "a group of it was changed, put on a VM or deleted since. Delete what you do not want one by one."
        messages.error(request, f"Not undone: {why}")
    else:
        gone = f"{names[0]} is" if len(names) == 1 else f"{len(names)} groups are"
        messages.success(request, f"Undone: {gone} gone again.")
    return redirect("groups", slug)
