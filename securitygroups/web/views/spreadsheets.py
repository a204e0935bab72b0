"""Lists as files for spreadsheets, CSV and workbooks: what the page's filter finds, with the page's columns and the IDs."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from karenpanel.turns import weigh
from securitygroups.answers.group_filter import GroupFilter, counted
from securitygroups.answers.machine_filter import MachineFilter
from securitygroups.effective import TooLarge
from securitygroups.firewall.formats.documents import RULE_KEYS, rule_to_json
from securitygroups.firewall.formats.sheets import write_workbook
from securitygroups.firewall.formats.spreadsheet import guarded
from securitygroups.models import Attachment, Event
from securitygroups.web.doors import enter
from securitygroups.web.told import said
from securitygroups.web.views.activity import events_found
from securitygroups.web.views.bulk import rules_found
from securitygroups.web.views.exports import WORKBOOK
from securitygroups.words.rules import rule_sentence

MOST_ROWS = {"csv": 50_000, "xlsx": 20_000}
"""An answer is in memory whole: so many rows are some 10 MB as CSV, and 50 MB while a workbook is written. Only rules and
activity can have more."""
TOO_LARGE = "What the internet reaches is too much to be looked at in this project at once: filter by something else."

MOMENTS = frozenset({"Created", "Changed", "Time"})
AT_ONCE = 1_000
"""Rows that are read together."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list: its name, its columns with their widths, its rows, and how they become lines of a file."""

    name: str
    columns: Mapping[str, int]
    rows: QuerySet[Any]
    lines: Callable[[Iterable[Any]], Iterable[Sequence[object]]]


def _file(kind: str, listed: Listed) -> HttpResponse:
    most = MOST_ROWS[kind]
    number = listed.rows.order_by()[: most + 1].count()
    weigh(number)
    lines = _cut(listed.lines(listed.rows[:most].iterator(chunk_size=AT_ONCE)), most if number > most else 0)
    content, content_type = (_as_csv if kind == "csv" else _as_workbook)(listed, lines)
    headers = {"Content-Disposition": f'attachment; filename="{listed.name}.{kind}"'}
    return HttpResponse(content, content_type=content_type, headers=headers)


def _cut(lines: Iterable[Sequence[object]], most: int) -> Iterator[Sequence[object]]:
    """The lines with the safe texts that spreadsheets get, and below them that there are more; `most` is 0 where not."""
    for line in lines:
        yield [guarded(value) if isinstance(value, str) else value for value in line]
    if most:
        yield [f"Only the first {most:,} rows are here: filter the list to get the others."]


def _as_csv(listed: Listed, lines: Iterable[Sequence[object]]) -> tuple[str, str]:
    # With a mark at its start: without it spreadsheets take other letters than English ones for something else.
    text = io.StringIO("\ufeff")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(listed.columns)
    writer.writerows(map(_cell, line) for line in lines)
    return text.getvalue(), "text/csv; charset=utf-8"


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return value


def _as_workbook(listed: Listed, lines: Iterable[Sequence[object]]) -> tuple[bytes, str]:
    # A date of a workbook knows of no time zone: its column says which it is.
    head = [f"{word} (UTC)" if word in MOMENTS else word for word in listed.columns]
    utc = ([value.astimezone(UTC) if isinstance(value, datetime) else value for value in line] for line in lines)
    name = listed.name.replace("-", " ").capitalize()
    return write_workbook(name, head, utc, list(listed.columns.values()), now()), WORKBOOK


def too_large() -> HttpResponse:
    return HttpResponse(TOO_LARGE, status=422, content_type="text/plain; charset=utf-8")


@require_safe
def machines_list(request: HttpRequest, slug: str, suffix: str) -> HttpResponse:
    access = enter(request, slug)
    attached = Attachment.objects.filter(machine=OuterRef("pk")).order_by("position")
    try:
        rows = MachineFilter.from_query(request.GET).of(access.project)
    except TooLarge:
        return too_large()
    rows = rows.annotate(
        names=ArraySubquery(attached.values("group__name")), ids=ArraySubquery(attached.values("group__public_id"))
    )
    columns = {
        "ID": 18, "Name": 24, "Description": 40, "IPv4 address": 16, "IPv6 address": 26, "Tags": 20, "Security Groups": 40,
        "IDs of groups": 36, "Created": 20, "Changed": 20, "External ID": 24,
    }  # fmt: skip
    return _file(suffix, Listed("virtual-machines", columns, rows, partial(map, _machine)))


def _machine(vm: Any) -> Sequence[object]:
    known = (vm.public_id, vm.name, vm.description, vm.ipv4, vm.ipv6, ", ".join(vm.tags))
    return (*known, ", then ".join(vm.names), " ".join(vm.ids), vm.created_at, vm.changed_at, vm.external_id)


@require_safe
def groups_list(request: HttpRequest, slug: str, suffix: str) -> HttpResponse:
    access = enter(request, slug)
    try:
        rows = counted(GroupFilter.from_query(request.GET).of(access.project))
    except TooLarge:
        return too_large()
    columns = {
        "ID": 18, "Name": 24, "Description": 40, "Rules": 8, "Virtual Machines": 16, "Created": 20, "Changed": 20,
    }  # fmt: skip
    return _file(suffix, Listed("security-groups", columns, rows, partial(map, _group)))


def _group(group: Any) -> Sequence[object]:
    known = (group.public_id, group.name, group.description, group.rule_count, group.machine_count)
    return (*known, group.created_at, group.changed_at)


@require_safe
def rules_list(request: HttpRequest, slug: str, suffix: str) -> HttpResponse:
    """The rules that a search through all groups finds."""
    rows, _ = rules_found(request, enter(request, slug))
    columns = {"Group": 24, "ID of group": 18, "#": 6, "Rule": 60, "ID": 18, **dict.fromkeys(RULE_KEYS, 14)}
    return _file(suffix, Listed("rules", columns, rows, partial(map, _rule)))


def _rule(row: Any) -> Sequence[object]:
    rule = row.as_value()
    fields = rule_to_json(rule)
    told = (row.group.name, row.group.public_id, row.position, rule_sentence(rule), row.uid)
    # Ports as text: what is typed there instead, such as 80-90, stays what it is.
    return (*told, *(str(fields[key]) if type(fields[key]) is int else fields[key] for key in RULE_KEYS))


@require_safe
def activity_list(request: HttpRequest, slug: str, suffix: str) -> HttpResponse:
    rows, _ = events_found(request, enter(request, slug))
    columns = {
        "Time": 20, "Who": 20, "Via": 24, "Platform staff": 14, "What": 26, "In words": 70, "Reason": 40, "Group": 24,
        "ID of group": 18, "VM": 24, "ID of VM": 18,
        # The address of a page that support looked at is shown on no page: here it is whole.
        "Address of the page": 40,
    }  # fmt: skip
    return _file(suffix, Listed("activity", columns, rows, _events))


def _events(rows: Iterable[Event]) -> Iterator[Sequence[object]]:
    rows = iter(rows)
    while events := list(islice(rows, AT_ONCE)):
        words = said(events)
        yield from (_event(event, words[event.pk]) for event in events)


def _event(event: Event, words: str) -> Sequence[object]:
    group, machine = event.group, event.machine
    told = (event.at, event.actor_name, event.via, event.by_staff, event.get_verb_display(), words)
    # A VM that was moved away is another customer's: of that nothing is said but its ID, as on the page.
    name = machine.name if machine and machine.project_id == event.project_id else ""
    of_group = (group.name, group.public_id) if group else ("", "")
    of_machine = (name, machine.public_id if machine else "")
    return (*told, event.detail.get("reason", ""), *of_group, *of_machine, event.detail.get("page", ""))
