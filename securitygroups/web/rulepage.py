"""What a group's page shows."""

from typing import Any

from django.http import HttpRequest, QueryDict

from securitygroups.answers.filters import matching
from securitygroups.answers.preview import findings_of
from securitygroups.models import GroupRevision, Rule, SecurityGroup, values
from securitygroups.web.pages import RULES_A_PAGE, numbered


def rows_of(group: SecurityGroup) -> list[Rule]:
    """The group's rows in order, each knowing its group."""
    rows = list(group.rules.in_order())
    for row in rows:
        row.group = group
    return rows


def filter_of(request: HttpRequest) -> str:
    """What the list of rules is filtered by, which every address of its buttons carries along."""
    return request.GET.get("q", "").strip()[:200]


def kept(request: HttpRequest, page: int | None = None) -> str:
    """The end of an address that leads back to the same filter, and page; "" for the start of the whole list."""
    end = QueryDict(mutable=True)
    if query := filter_of(request):
        end["q"] = query
    text = request.GET.get("page", "")
    number = page or (int(text) if text.isdecimal() and len(text) < 7 else 1)
    if number > 1:
        end["page"] = str(number)
    return f"?{end.urlencode()}" if end else ""


def page_url(request: HttpRequest, group: SecurityGroup, uid: str = "") -> str:
    """The group's page, filtered as it was; with `uid` where that rule stands on it."""
    rows = rows_of(group) if uid else []
    if query := filter_of(request):
        rows = matching(rows, query)
    places = [place for place, row in enumerate(rows) if row.uid == uid]
    if not places:
        return group.get_absolute_url() + kept(request)
    return group.get_absolute_url() + kept(request, places[0] // RULES_A_PAGE + 1) + f"#rule-{uid}"


def group_context(request: HttpRequest, group: SecurityGroup) -> dict[str, Any]:
    """What the group's page shows: the rules that the filter leaves, each with its findings."""
    rows = rows_of(group)
    query = filter_of(request)
    shown = matching(rows, query) if query else rows
    page = numbered(request, shown, RULES_A_PAGE)
    found = findings_of(values(rows))
    numbers = {group.revision} | {number for row in page.object_list for number in (row.added_in, row.changed_in)}
    made: dict[int, GroupRevision] = {
        revision.number: revision for revision in group.revisions.filter(number__in=numbers).defer("rules")
    }
    return {
        "group": group,
        "page": page,
        "rules": [
            (row, found.notes.get(row.position, ()), made.get(row.added_in), made.get(row.changed_in))
            for row in page.object_list
        ],
        "keep": kept(request, page.number),
        "findings": found,
        "total": len(rows),
        "query": query,
        "quota": group.project.rule_quota,
        "machine_count": group.attachments.count(),
        "newest": made.get(group.revision),
        "tab": "rules",
    }
