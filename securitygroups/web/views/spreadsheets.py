"""Lists as CSV files for spreadsheets: what the page's filter finds, with the page's columns and the IDs."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from karenpanel.turns import weigh
from securitygroups.answers.group_filter import GroupFilter, counted
from securitygroups.answers.machine_filter import MachineFilter
from securitygroups.effective import TooLarge
from securitygroups.firewall.formats.documents import RULE_KEYS, rule_to_json
from securitygroups.firewall.formats.spreadsheet import guarded
from securitygroups.models import Attachment, Event
from securitygroups.web.doors import enter
from securitygroups.web.told import said
from securitygroups.web.views.activity import events_found
from securitygroups.web.views.bulk import rules_found
from securitygroups.words.rules import rule_sentence

MOST_ROWS = 50_000
"""An answer is in memory whole: so many rows are some 10 MB. Only rules and activity can have more."""
TOO_LARGE = "What the internet reaches is too much to be looked at in this project at once: filter by something else."

AT_ONCE = 1_000
"""Rows that are read together."""

Lines = Callable[[Iterable[Any]], Iterable[Sequence[object]]]


def _file(request: HttpRequest, name: str, header: Sequence[str], rows: QuerySet[Any], lines: Lines) -> HttpResponse:
    number = rows.order_by()[: MOST_ROWS + 1].count()
    weigh(number)
    # With a mark at its start: without it spreadsheets take other letters than English ones for something else.
    text = io.StringIO("\ufeff")
    text.seek(0, io.SEEK_END)
    write = csv.writer(text, lineterminator="\r\n").writerow
    write(header)
    for line in lines(rows[:MOST_ROWS].iterator(chunk_size=AT_ONCE)):
        write([_cell(value) for value in line])
    if number > MOST_ROWS:
        write([f"Only the first {MOST_ROWS:,} rows are here: filter the list to get the others."])
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return guarded(value) if isinstance(value, str) else value


def too_large() -> HttpResponse:
    return HttpResponse(TOO_LARGE, status=422, content_type="text/plain; charset=utf-8")


@require_safe
def machines_csv(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    attached = Attachment.objects.filter(machine=OuterRef("pk")).order_by("position")
    try:
        rows = MachineFilter.from_query(request.GET).of(access.project)
    except TooLarge:
        return too_large()
    rows = rows.annotate(
        names=ArraySubquery(attached.values("group__name")), ids=ArraySubquery(attached.values("group__public_id"))
    )
    header = ("ID", "Name", "Description", "IPv4 address", "IPv6 address", "Tags", "Security Groups", "IDs of groups")
    return _file(request, "virtual-machines", (*header, "Created", "Changed"), rows, partial(map, _machine))


def _machine(vm: Any) -> Sequence[object]:
    known = (vm.public_id, vm.name, vm.description, vm.ipv4, vm.ipv6, ", ".join(vm.tags))
    return (*known, ", then ".join(vm.names), " ".join(vm.ids), vm.created_at, vm.changed_at)


@require_safe
def groups_csv(request: HttpRequest, slug: str) -> HttpResponse:
    access = enter(request, slug)
    try:
        rows = counted(GroupFilter.from_query(request.GET).of(access.project))
    except TooLarge:
        return too_large()
    header = ("ID", "Name", "Description", "Rules", "Virtual Machines", "Created", "Changed")
    return _file(request, "security-groups", header, rows, partial(map, _group))


def _group(group: Any) -> Sequence[object]:
    known = (group.public_id, group.name, group.description, group.rule_count, group.machine_count)
    return (*known, group.created_at, group.changed_at)


@require_safe
def rules_csv(request: HttpRequest, slug: str) -> HttpResponse:
    """The rules that a search through all groups finds."""
    rows, _ = rules_found(request, enter(request, slug))
    header = ("Group", "ID of group", "#", "Rule", "ID", *RULE_KEYS)
    return _file(request, "rules", header, rows, partial(map, _rule))


def _rule(row: Any) -> Sequence[object]:
    rule = row.as_value()
    fields = rule_to_json(rule)
    told = (row.group.name, row.group.public_id, row.position, rule_sentence(rule), row.uid)
    return (*told, *(fields[key] for key in RULE_KEYS))


@require_safe
def activity_csv(request: HttpRequest, slug: str) -> HttpResponse:
    rows, _ = events_found(request, enter(request, slug))
    header = ("Time", "Who", "Platform staff", "What", "In words", "Reason", "Group", "ID of group", "VM", "ID of VM")
    # The address of a page that support looked at is shown on no page: here it is whole.
    return _file(request, "activity", (*header, "Address of the page"), rows, _events)


def _events(rows: Iterable[Event]) -> Iterator[Sequence[object]]:
    rows = iter(rows)
    while events := list(islice(rows, AT_ONCE)):
        words = said(events)
        yield from (_event(event, words[event.pk]) for event in events)


def _event(event: Event, words: str) -> Sequence[object]:
    group, machine = event.group, event.machine
    told = (event.at, event.actor_name, event.by_staff, event.get_verb_display(), words)
    # A VM that was moved away is another customer's: of that nothing is said but its ID, as on the page.
    name = machine.name if machine and machine.project_id == event.project_id else ""
    of_group = (group.name, group.public_id) if group else ("", "")
    of_machine = (name, machine.public_id if machine else "")
    return (*told, event.detail.get("reason", ""), *of_group, *of_machine, event.detail.get("page", ""))
