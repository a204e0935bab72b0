"""What a group's page shows. Imports filters, preview and web; called by the views that show or answer with that page."""

from typing import Any

from django.http import HttpRequest

from securitygroups.filters import matching
from securitygroups.models import Rule, SecurityGroup, values
from securitygroups.preview import findings_of
from securitygroups.web import RULES_A_PAGE, numbered


def rows_of(group: SecurityGroup) -> list[Rule]:
    """The group's rows in order, each knowing its group."""
    rows = list(group.rules.in_order())
    for row in rows:
        row.group = group
    return rows


def group_context(request: HttpRequest, group: SecurityGroup) -> dict[str, Any]:
    """What the group's page shows: the rules that the filter leaves, each with its findings."""
    rows = rows_of(group)
    query = request.GET.get("q", "").strip()[:200]
    shown = matching(rows, query) if query else rows
    page = numbered(request, shown, RULES_A_PAGE)
    found = findings_of(values(rows))
    return {
        "group": group,
        "page": page,
        "rules": [(row, found.notes.get(row.position, ())) for row in page.object_list],
        "findings": found,
        "total": len(rows),
        "query": query,
        "quota": group.project.rule_quota,
        "machine_count": group.attachments.count(),
        "newest": group.revisions.filter(number=group.revision).defer("rules").first(),
        "tab": "rules",
    }
