"""Files: export of a group as JSON, CSV or text; import into a new group or over one, after a dry run."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from karenpanel.sent_again import draws_again, goes_back
from karenpanel.turns import NoTurn, weigh
from securitygroups import operations
from securitygroups.firewall.changes import recognised
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, GroupDocument, write_group
from securitygroups.firewall.formats.spreadsheet import read_any, write_csv
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import RuleList
from securitygroups.forms import ImportForm, as_typed, take_refusal
from securitygroups.models import SecurityGroup
from securitygroups.proposals import Edit, NewGroup, Whole, agreed, propose_group
from securitygroups.web.changing import (
    REFUSALS,
    change_rules,
    preview_later,
    preview_part,
    preview_shown,
    preview_waits,
)
from securitygroups.web.doors import by, enter, enter_group, said, takes_files
from securitygroups.web.pages import FORM_INVALID, address_of, page_or_form, resend
from securitygroups.words.rules import rule_sentence

SHORTEST_RULE = 100
"""Bytes that a rule has in a document, or more: so a document's length tells how dear it is before it is read."""
LONGEST_TEXT = 100_000
"""Bytes of a refused file that come back as text, to be mended in the form."""
TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "txt": "text/plain; charset=utf-8"}


def _as_text(group: SecurityGroup, rules: RuleList) -> str:
    """For a ticket: one line a rule, in words."""
    head = f"{group.name} ({group.public_id}), revision {group.revision}\n"
    lines = "".join(
        f"{place:4}. {rule_sentence(rule)}{f'  # {rule.description}' if rule.description else ''}\n"
        for place, rule in enumerate(rules, 1)
    )
    return f"{head}{lines}      What no rule matches is denied.\n"


@require_safe
def group_export(request: HttpRequest, slug: str, group_id: str, kind: str) -> HttpResponse:
    on = enter_group(request, slug, group_id, write=False)
    group, rules = on.group, on.rules
    if kind == "json":
        text = write_group(group.name, group.description, rules)
    elif kind == "csv":
        text = write_csv(rules)
    else:
        text = _as_text(group, rules)
    # Header fields are ASCII, and a quote or a line break in a name must not end the field.
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in group.name)[:60]
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return HttpResponse(text, content_type=TYPES[kind], headers=headers)


def _document(request: HttpRequest) -> bytes:
    """What was uploaded or pasted; the file wins."""
    upload = request.FILES.get("file")
    if upload is not None:
        return bytes(upload.read(MAX_DOCUMENT_BYTES + 1))
    return request.POST.get("text", "").replace("\r\n", "\n").encode(errors="surrogatepass")


def _with_text(data: QueryDict, document: bytes) -> QueryDict:
    """What was sent, an upload as text: a browser forgets the chosen file when its form comes back."""
    if not document or len(document) > LONGEST_TEXT:
        return data
    data = data.copy()
    data["text"] = document.decode(errors="replace")
    return data


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The form; 422 where what was sent has to be mended."""
    form, page = context["form"], "securitygroups/files/import.html"
    if goes_back(request):
        as_typed(form)
    wrong = form.errors if form.is_bound else {}
    return render(request, page, context, status=FORM_INVALID if wrong or "faults" in context else 200)


def _refused(request: HttpRequest, context: dict[str, Any], refusal: BadDocument | ValidationError) -> HttpResponse:
    """The form with what is wrong with the document: its faults by place, or what would not fit into the group."""
    if isinstance(refusal, BadDocument):
        context |= {"faults": refusal.faults, "fault_count": refusal.total}
    else:
        context["form"].is_valid()
        context["form"].add_error(None, refusal.messages[:REFUSALS])
    return _page(request, context)


def _sent_again_as_text(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Where there is no turn for the view, an upload is among what can be sent again: a browser forgets the file."""

    @wraps(view)
    def kept(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NoTurn:
            if upload := request.FILES.get("file"):
                upload.seek(0)
                resend(request, text=_document(request).decode(errors="replace"))
                request.FILES.clear()
            raise

    return kept


def _read(document: bytes) -> GroupDocument:
    """What a document says. Raises BadDocument."""
    weigh(len(document) // SHORTEST_RULE)
    return read_any(document)


@takes_files
@draws_again
@page_or_form
@_sent_again_as_text
def group_import(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The file's rules instead of the group's, as a new revision."""
    on = enter_group(request, slug, group_id)
    sent, posted = _document(request), request.method == "POST"
    if posted and "preview" in request.POST:
        return _peek(request, sent, on.group, lambda rules: preview_part(on, _instead(rules), counts=False))
    form = ImportForm(_with_text(request.POST, sent) if posted else None, new=False)
    context = {
        "form": form,
        "group": on.group,
        "reason": request.POST.get("reason", ""),
        "base": said(request, on.group.revision).base,
    }
    if not posted or goes_back(request):
        return _page(request, context)
    try:
        document = _read(sent)
        # The question page sends the document along as text, so that what was looked at is what is committed.
        resend(request, text=write_group(document.name or on.group.name, "", document.rules))
        return change_rules(on, _instead(document.rules), f"Imported {len(document.rules)} rules.")
    except (BadDocument, ValidationError) as refusal:
        return _refused(request, context, refusal)


def _instead(rules: RuleList) -> Edit:
    """Those rules, each with the identity of the one that it is recognised as."""
    return Whole(lambda now: recognised(now, rules))


def _peek(
    request: HttpRequest, sent: bytes, group: SecurityGroup | None, show: Callable[[RuleList], HttpResponse]
) -> HttpResponse:
    """The preview below the form while a document is pasted. It is no yes: the question shows which rules differ."""
    try:
        return show(_read(sent).rules)
    except BadDocument as error:
        return preview_waits(request, group, str(error.faults[0]) if sent.strip() else "")
    except ValidationError as refusal:
        return preview_waits(request, group, refusal.messages[0])
    except NoTurn as none:
        return preview_later(request, none)


@takes_files
@draws_again
@page_or_form
@_sent_again_as_text
def group_import_new(request: HttpRequest, slug: str) -> HttpResponse:
    """The file as a new group."""
    access = enter(request, slug, write=True)
    sent, posted = _document(request), request.method == "POST"

    def shown(rules: RuleList) -> HttpResponse:
        return preview_shown(request, propose_group(access.project, rules), counts=False)

    if posted and "preview" in request.POST:
        return _peek(request, sent, None, shown)
    form = ImportForm(_with_text(request.POST, sent) if posted else None, new=True)
    context: dict[str, Any] = {"form": form, "group": None, "reason": request.POST.get("reason", "")}
    if not posted or goes_back(request):
        return _page(request, context)
    try:
        document = _read(sent)
        proposal = propose_group(access.project, document.rules)
    except (BadDocument, ValidationError) as refusal:
        return _refused(request, context, refusal)
    return _made(request, form, document, proposal, context) if form.is_valid() else _page(request, context)


def _made(
    request: HttpRequest, form: ImportForm, document: GroupDocument, proposal: NewGroup, context: dict[str, Any]
) -> HttpResponse:
    """The new group, once its rules and what they would let through have been looked at."""
    # The second time the name stands in its field: empty, it was taken out.
    name = form.cleaned_data["name"] or ("" if "sure" in request.POST else document.name)
    if not agreed(proposal, said(request)):
        context |= {
            "document": document,
            "name": name,
            "preview": proposal.preview(address_of(request)),
            "token": proposal.token,
            "text": write_group(name or "imported", document.description, document.rules),
        }
        return _page(request, context)
    try:
        made = operations.create_group(
            project=proposal.project,
            name=name,
            description=document.description,
            rules=document.rules,
            by=by(request).because(""),  # the form has no field for one
            summary=f"Imported with {len(document.rules)} rules.",
        )
    except ValidationError as refusal:
        take_refusal(form, refusal)
        return _page(request, context)
    messages.success(request, f"{made.name} was imported.")
    return redirect(made)
