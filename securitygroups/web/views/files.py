"""Files out: a group as JSON, CSV or text, and all groups of a project in one file."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from karenpanel.turns import weigh
from securitygroups.answers.group_filter import GroupFilter
from securitygroups.effective import TooLarge, rules_of_groups
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, GroupDocument, write_group
from securitygroups.firewall.formats.many import write_groups
from securitygroups.firewall.formats.spreadsheet import write_csv
from securitygroups.firewall.values import RuleList
from securitygroups.models import Rule, SecurityGroup
from securitygroups.web.doors import enter, enter_group
from securitygroups.web.views.spreadsheets import too_large
from securitygroups.words.rules import rule_sentence

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


TOO_LONG = (
    f"These groups are more than the {MAX_DOCUMENT_BYTES // 2**20} MiB that one file may have, or it could not be imported "
    "again: filter the list, and take them in parts.\n"
)
SHORTEST_RULE = 100
"""Bytes that a rule has in a document, or more."""


@require_safe
def groups_export(request: HttpRequest, slug: str) -> HttpResponse:
    """All groups that the list's filter finds, in one file that Import takes."""
    access = enter(request, slug)
    try:
        groups = list(GroupFilter.from_query(request.GET).of(access.project))
    except TooLarge:
        return too_large()
    number = Rule.objects.filter(group__in=groups).count()
    weigh(number)
    if number * SHORTEST_RULE > MAX_DOCUMENT_BYTES:
        return HttpResponse(TOO_LONG, status=422, content_type=TYPES["txt"])
    lists = rules_of_groups(group.pk for group in groups)
    text = write_groups(GroupDocument(group.name, group.description, lists[group.pk]) for group in groups)
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        return HttpResponse(TOO_LONG, status=422, content_type=TYPES["txt"])
    headers = {"Content-Disposition": 'attachment; filename="security-groups.json"'}
    return HttpResponse(text, content_type=TYPES["json"], headers=headers)
