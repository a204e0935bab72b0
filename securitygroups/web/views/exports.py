"""Files out: a group as it is imported again, for spreadsheets, for a host or a ticket, and all groups in one."""

import unicodedata
from collections.abc import Callable
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from karenpanel.turns import weigh
from securitygroups.answers.group_filter import GroupFilter
from securitygroups.effective import TooLarge, rules_of_groups
from securitygroups.enforcement.host import group_ruleset
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, GroupDocument, write_group
from securitygroups.firewall.formats.many import write_groups
from securitygroups.firewall.formats.spreadsheet import write_csv, write_xlsx
from securitygroups.firewall.nftables import Unenforceable
from securitygroups.firewall.values import RuleList
from securitygroups.models import Rule, SecurityGroup
from securitygroups.web.doors import enter, enter_group
from securitygroups.web.views.spreadsheets import too_large
from securitygroups.words.tickets import group_as_markdown, group_as_text

LONGEST_NAME = 60
MARK = "\ufeff"
"""Without it spreadsheets take other letters than English ones for something else."""

Written = Callable[[SecurityGroup, RuleList], str | bytes]
KINDS: dict[str, tuple[str, Written]] = {
    "json": ("application/json", lambda group, rules: write_group(group.name, group.description, rules)),
    "csv": ("text/csv; charset=utf-8", lambda _, rules: MARK + write_csv(rules)),
    "xlsx": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        lambda group, rules: write_xlsx(rules, group.changed_at),
    ),
    "nft": ("text/plain; charset=utf-8", lambda group, rules: group_ruleset(group, rules)),
    "md": ("text/markdown; charset=utf-8", lambda group, rules: group_as_markdown(*_told(group), rules)),
    "txt": ("text/plain; charset=utf-8", lambda group, rules: group_as_text(*_told(group), rules)),
}


def _told(group: SecurityGroup) -> tuple[str, str, int]:
    return group.name, group.public_id, group.revision


@require_safe
def group_export(request: HttpRequest, slug: str, group_id: str, kind: str) -> HttpResponse:
    on = enter_group(request, slug, group_id, write=False)
    content_type, write = KINDS[kind]
    try:
        content = write(on.group, on.rules)
    except Unenforceable as error:
        return HttpResponse(str(error), status=422, content_type="text/plain; charset=utf-8")
    headers = {"Content-Disposition": attachment(on.group.name, kind)}
    return HttpResponse(content, content_type=content_type, headers=headers)


def attachment(name: str, kind: str) -> str:
    """The header field that names a file, after RFC 6266: in ASCII, and where that is not all of it, as it is.

    A quote or a line break in a name must not end the field, and a name is no path.
    """
    safe = "".join(sign if _is_word(sign) or sign in "-_." else "-" for sign in name)[:LONGEST_NAME]
    plain = "".join(sign if sign.isascii() else "-" for sign in safe)
    whole = "" if safe == plain else f"; filename*=UTF-8''{quote(f'{safe}.{kind}', safe='')}"
    return f'attachment; filename="{plain}.{kind}"{whole}'


def _is_word(sign: str) -> bool:
    return sign.isalnum() or unicodedata.category(sign) in ("Mn", "Mc")


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
        return HttpResponse(TOO_LONG, status=422, content_type=KINDS["txt"][0])
    lists = rules_of_groups(group.pk for group in groups)
    text = write_groups(GroupDocument(group.name, group.description, lists[group.pk]) for group in groups)
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        return HttpResponse(TOO_LONG, status=422, content_type=KINDS["txt"][0])
    headers = {"Content-Disposition": attachment("security-groups", "json")}
    return HttpResponse(text, content_type=KINDS["json"][0], headers=headers)
