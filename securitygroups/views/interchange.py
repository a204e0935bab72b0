"""Files: export of a group as JSON, CSV or text; import into a new group or over one, after a dry run.

Imports access, changes, forms, web and firewall; called by urls.
"""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from securitygroups import operations, words
from securitygroups.access import enter, find_group
from securitygroups.firewall.changes import recognised
from securitygroups.firewall.documents import MAX_DOCUMENT_BYTES, BadDocument, write_group
from securitygroups.firewall.tables import read_any, write_csv
from securitygroups.firewall.values import RuleList
from securitygroups.forms import ImportForm
from securitygroups.models import SecurityGroup, values
from securitygroups.preview import preview_lists
from securitygroups.views.changes import change_rules
from securitygroups.views.rulepage import rows_of
from securitygroups.web import FORM_INVALID, page_or_form, resend, take_refusal

TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "txt": "text/plain; charset=utf-8"}


def _as_text(group: SecurityGroup, rules: RuleList) -> str:
    """For a ticket: one line a rule, in words."""
    head = f"{group.name} ({group.public_id}), revision {group.revision}\n"
    lines = "".join(
        f"{place:4}. {words.rule_sentence(rule)}{f'  # {rule.description}' if rule.description else ''}\n"
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


def _import(request: HttpRequest, slug: str, group: SecurityGroup | None) -> HttpResponse:
    access = enter(request, slug, write=True)
    form = ImportForm(request.POST if request.method == "POST" else None, new=group is None)
    context: dict[str, Any] = {"form": form, "group": group, "quota": access.project.rule_quota}
    if request.method != "POST":
        return render(request, "securitygroups/import.html", context)
    try:
        document = read_any(_document(request))
        operations.check_rules(access.project, document.rules)
    except BadDocument as error:
        context |= {"faults": error.faults, "fault_count": error.total}
        return render(request, "securitygroups/import.html", context, status=FORM_INVALID)
    except ValidationError as refusal:
        form.is_valid()
        take_refusal(form, refusal)
        return render(request, "securitygroups/import.html", context, status=FORM_INVALID)
    if group is not None:
        # The question page sends the document along as text, so that what was looked at is what is committed.
        resend(request, text=write_group(document.name or group.name, "", document.rules))
        words = f"Imported {len(document.rules)} rules."
        return change_rules(request, access, group, lambda rules: recognised(rules, document.rules), words)
    if form.is_valid():
        # The second time the name stands in its field: empty, it was taken out.
        name = form.cleaned_data["name"] or ("" if "sure" in request.POST else document.name)
        context |= {"document": document, "name": name, "preview": preview_lists((), document.rules)}
        if "sure" not in request.POST:
            context["text"] = write_group(name or "imported", document.description, document.rules)
            return render(request, "securitygroups/import.html", context)
        try:
            made = operations.create_group(
                project=access.project,
                name=name,
                description=document.description,
                rules=document.rules,
                actor=access.user,
                summary=f"Imported with {len(document.rules)} rules.",
            )
            messages.success(request, f"{made.name} was imported.")
            return redirect(made)
        except ValidationError as refusal:
            take_refusal(form, refusal)
    return render(request, "securitygroups/import.html", context, status=FORM_INVALID)
