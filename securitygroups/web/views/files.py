"""Files: export of a group as JSON, CSV or text; import into a new group or over one, after a dry run."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from securitygroups import operations
from securitygroups.access import Access, find_group
from securitygroups.answers.preview import Preview, preview_rules
from securitygroups.firewall.changes import recognised
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, BadDocument, write_group
from securitygroups.firewall.formats.spreadsheet import read_any, write_csv
from securitygroups.firewall.values import RuleList
from securitygroups.forms import ImportForm, take_refusal
from securitygroups.models import SecurityGroup, values
from securitygroups.operations import By
from securitygroups.web.changing import REFUSALS, change_rules, preview_part, preview_shown, preview_waits
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID, address_of, number_in, page_or_form, resend
from securitygroups.web.rulepage import rows_of
from securitygroups.words.rules import rule_sentence

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
    access = enter(request, slug)
    group = find_group(access, group_id)
    rules = values(rows_of(group))
    if kind == "json":
        text = write_group(group.name, group.description, rules)
    elif kind == "csv":
        text = write_csv(rules)
    else:
        text = _as_text(group, rules)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in group.name)[:60]
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"'}
    return HttpResponse(text, content_type=TYPES[kind], headers=headers)


def _document(request: HttpRequest) -> bytes:
    """What was uploaded or pasted; the file wins."""
    upload = request.FILES.get("file")
    if upload is not None:
        return bytes(upload.read(MAX_DOCUMENT_BYTES + 1))
    return request.POST.get("text", "").replace("\r\n", "\n").encode(errors="surrogatepass")


@page_or_form
def group_import(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The file's rules instead of the group's, as a new revision."""
    access = enter(request, slug, write=True)
    group = find_group(access, group_id)
    return _import(request, slug, group)


@page_or_form
def group_import_new(request: HttpRequest, slug: str) -> HttpResponse:
    """The file as a new group."""
    return _import(request, slug, None)


def _with_text(data: QueryDict, document: bytes) -> QueryDict:
    """What was sent, an upload as text: a browser forgets the chosen file when its form comes back."""
    if not document or len(document) > LONGEST_TEXT:
        return data
    data = data.copy()
    data["text"] = document.decode(errors="replace")
    return data


def _let_through(request: HttpRequest, access: Access, rules: RuleList) -> Preview:
    """What the rules of a group that is not there yet, and so on no VM, would let through; with the alarms."""
    return preview_rules(SecurityGroup(pk=0, project=access.project), (), rules, address=address_of(request))


def _peek(request: HttpRequest, access: Access, group: SecurityGroup | None) -> HttpResponse:
    """The preview below the form while a document is pasted. It is no yes: the question shows which rules differ."""
    sent = _document(request)
    try:
        rules = read_any(sent).rules
        if group is None:
            operations.check_rules(access.project, rules)
            return preview_shown(request, group, _let_through(request, access, rules))
        return preview_part(request, group, lambda now: recognised(now, rules), counts=False)
    except BadDocument as error:
        return preview_waits(request, group, str(error.faults[0]) if sent.strip() else "")
    except ValidationError as refusal:
        return preview_waits(request, group, refusal.messages[0])


def _import(request: HttpRequest, slug: str, group: SecurityGroup | None) -> HttpResponse:
    access = enter(request, slug, write=True)
    posted = request.method == "POST"
    if posted and "preview" in request.POST:
        return _peek(request, access, group)
    sent = _document(request)
    form = ImportForm(_with_text(request.POST, sent) if posted else None, new=group is None)
    context: dict[str, Any] = {"form": form, "group": group, "reason": request.POST.get("reason", "")}
    if group is not None:
        context["base"] = number_in(request, "base") if posted else group.revision
    if not posted:
        return render(request, "securitygroups/files/import.html", context)
    try:
        document = read_any(sent)
        if group is not None:
            # The question page sends the document along as text, so that what was looked at is what is committed.
            resend(request, text=write_group(document.name or group.name, "", document.rules))
            words = f"Imported {len(document.rules)} rules."
            return change_rules(request, access, group, lambda rules: recognised(rules, document.rules), words)
        operations.check_rules(access.project, document.rules)
    except BadDocument as error:
        context |= {"faults": error.faults, "fault_count": error.total}
        return render(request, "securitygroups/files/import.html", context, status=FORM_INVALID)
    except ValidationError as refusal:
        form.is_valid()
        form.add_error(None, refusal.messages[:REFUSALS])
        return render(request, "securitygroups/files/import.html", context, status=FORM_INVALID)
    if form.is_valid():
        # The second time the name stands in its field: empty, it was taken out.
        name = form.cleaned_data["name"] or ("" if "sure" in request.POST else document.name)
        context |= {"document": document, "name": name, "preview": _let_through(request, access, document.rules)}
        if "sure" not in request.POST:
            context["text"] = write_group(name or "imported", document.description, document.rules)
            return render(request, "securitygroups/files/import.html", context)
        try:
            made = operations.create_group(
                project=access.project,
                name=name,
                description=document.description,
                rules=document.rules,
                by=By(access.user),
                summary=f"Imported with {len(document.rules)} rules.",
            )
            messages.success(request, f"{made.name} was imported.")
            return redirect(made)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    return render(request, "securitygroups/files/import.html", context, status=FORM_INVALID)
