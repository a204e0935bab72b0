"""All groups of a project in one file, for another project or installation."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from karenpanel.turns import weigh
from securitygroups.answers.group_filter import GroupFilter
from securitygroups.effective import TooLarge, rules_of_groups
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, GroupDocument
from securitygroups.firewall.formats.many import write_groups
from securitygroups.models import Rule
from securitygroups.web.doors import enter
from securitygroups.web.views.spreadsheets import too_large

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
        return HttpResponse(TOO_LONG, status=422, content_type="text/plain; charset=utf-8")
    lists = rules_of_groups(group.pk for group in groups)
    text = write_groups(GroupDocument(group.name, group.description, lists[group.pk]) for group in groups)
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        return HttpResponse(TOO_LONG, status=422, content_type="text/plain; charset=utf-8")
    headers = {"Content-Disposition": 'attachment; filename="security-groups.json"'}
    return HttpResponse(text, content_type="application/json", headers=headers)
