"""A group as a file: as it is imported again, for spreadsheets, for a host, and for a ticket."""

import unicodedata
from collections.abc import Callable
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from securitygroups.enforcement.host import group_ruleset
from securitygroups.firewall.formats.documents import write_group
from securitygroups.firewall.formats.spreadsheet import write_csv, write_xlsx
from securitygroups.firewall.nftables import Unenforceable
from securitygroups.firewall.values import RuleList
from securitygroups.models import SecurityGroup
from securitygroups.web.doors import enter_group
from securitygroups.words.tickets import group_as_markdown, group_as_text

LONGEST_NAME = 60
MARK = "\ufeff"
"""Without it spreadsheets take other letters than English ones for something else."""
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Written = Callable[[SecurityGroup, RuleList], str | bytes]
KINDS: dict[str, tuple[str, Written]] = {
    "json": ("application/json", lambda group, rules: write_group(group.name, group.description, rules)),
    "csv": ("text/csv; charset=utf-8", lambda _, rules: MARK + write_csv(rules)),
    "xlsx": (
        WORKBOOK,
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
