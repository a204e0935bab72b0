"""Replay a flow log against a group's list, and against what the list could become. Nothing is written."""

import io
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from securitygroups import operations
from securitygroups.access import find_group
from securitygroups.effective import rules_of_group
from securitygroups.fields import refusal
from securitygroups.firewall.flows.whatif import Changes, Report, what_if
from securitygroups.firewall.formats.documents import MAX_DOCUMENT_BYTES, BadDocument
from securitygroups.firewall.formats.spreadsheet import read_any
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Network, Packet, Refused, Rule, RuleList, address_text, parse_network
from securitygroups.models import GroupRevision, SecurityGroup, VirtualMachine
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID, page_or_form
from securitygroups.words.rules import WAY, protocol_text, service_name

MAX_LOCAL = 1_000
"""Networks in the field of the VMs' own addresses: each is looked at for every flow."""
GROUPS, HITS = 30, 50
"""Lines shown of each kind of change, and of the rules by hits."""
REVISIONS = 100
BUSY = 503
# A replay keeps a processor and some 150 MB busy: one at a time in each process, and the others answer pages.
_turn = threading.BoundedSemaphore(1)


class OutOfTime(Exception):
    """The log went on past the limit without a flow to judge."""


class _Timed:
    """A stream that ends in OutOfTime: compressed nothing would otherwise be read for hours."""

    def __init__(self, stream: Any, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, size: int, /) -> bytes:
        if monotonic() > self._until:
            raise OutOfTime
        data: bytes = self._stream.read(size)
        return data


class ReplayForm(forms.Form):
    """A flow log, the VMs' own addresses, and the list to compare with."""

    log = forms.FileField(
        label="Flow log",
        allow_empty_file=True,
        error_messages={"required": "Choose a flow log.", "missing": "Choose a flow log."},
    )
    local = forms.CharField(
        label="The VMs' own addresses",
        required=False,
        max_length=60_000,
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono short", "spellcheck": "false"}),
        help_text="Where the log does not tell the direction, packets to these addresses are In, packets from them Out.",
    )
    revision = forms.TypedChoiceField(label="An earlier revision", coerce=int, empty_value=None, required=False)
    file = forms.FileField(
        label="Or a proposed list", required=False, allow_empty_file=True, help_text="JSON or CSV, as exported here."
    )
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        # No max_length: a browser would cut off what is pasted beyond it without a word. The document's own limit tells.
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono short", "spellcheck": "false"}),
    )

    def __init__(self, group: SecurityGroup, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._group = group
        self.proposed: RuleList | None = None
        self.proposed_name = ""
        self.fields["log"].help_text = (
            f"CSV with a header (direction, protocol, source, destination, port), AWS VPC flow log version 2, or pcap; "
            f"plain or gzip, up to {settings.REPLAY_MAX_MB} MiB."
        )
        earlier = group.revisions.filter(number__lt=group.revision).values_list("number", "at", "summary")[:REVISIONS]
        self.fields["revision"].choices = [  # type: ignore[attr-defined]
            ("", "None"),
            *((number, f"Revision {number}, {at:%-d %b %Y}: {summary}"[:90]) for number, at, summary in earlier),
        ]

    def clean_log(self) -> Any:
        """Refuses what is too large before it is read."""
        log = self.cleaned_data["log"]
        if (log.size or 0) > settings.REPLAY_MAX_MB * 2**20:
            raise ValidationError(
                f"The file has {(log.size or 0) / 2**20:.1f} MiB, up to {settings.REPLAY_MAX_MB} MiB are replayed here: "
                "compress it with gzip, send a part of it, or use manage.py replay where the file is."
            )
        return log

    def clean_local(self) -> tuple[Network, ...]:
        """Networks, separated by commas, spaces or lines."""
        texts = [text for text in re.split(r"[\s,;]+", self.cleaned_data["local"]) if text]
        if len(texts) > MAX_LOCAL:
            raise ValidationError(f"These are {len(texts)}, up to {MAX_LOCAL} are taken: write networks instead.")
        try:
            return tuple(dict.fromkeys(parse_network(text) for text in texts))
        except Refused as error:
            raise refusal(error.problem) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        upload, text, number = cleaned.get("file"), cleaned.get("text", ""), cleaned.get("revision")
        if number and (upload or text.strip()):
            self.add_error("revision", "Choose an earlier revision or give a proposed list, not both.")
        elif number:
            try:
                self.proposed = operations.rules_at(self._group, number)
            except GroupRevision.DoesNotExist:
                self.add_error("revision", "The group has no such revision.")
            self.proposed_name = f"revision {number}"
        elif upload or text.strip():
            data = upload.read(MAX_DOCUMENT_BYTES + 1) if upload else text.replace("\r\n", "\n").encode()
            try:
                document = read_any(data)
            except BadDocument as error:
                name = "file" if upload else "text"
                for fault in error.faults[:10]:
                    self.add_error(name, _escaped(fault))
            else:
                self.proposed, self.proposed_name = document.rules, "the proposed list"
        return cleaned


def _escaped(fault: Any) -> str:
    return f"{fault.where}: {fault.problem}" if fault.where else str(fault.problem)


# ── The report for the page ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Changed:
    """Flows alike that are decided differently: what, which rules, and between whom most of them went."""

    flows: int
    direction: Direction
    protocol: str
    port: str
    service: str
    before: int | None
    after: int | None
    pairs: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One way that verdicts change."""

    title: str
    kind: str
    flows: int
    lines: tuple[Changed, ...]
    more: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """How many flows a rule decided; `place` is None for those that no rule matched."""

    place: int | None
    rule: Rule | None
    flows: int


@dataclass(frozen=True, slots=True)
class Hits:
    """The rules of a list by hits."""

    title: str
    lines: tuple[Hit, ...]
    more: int
    unused: tuple[int, ...]
    own: bool


def _ends(packet: Packet) -> tuple[str, str]:
    if packet.version is None or packet.source is None or packet.destination is None:
        return "", ""
    return address_text(packet.version, packet.source), address_text(packet.version, packet.destination)


def _side(title: str, kind: str, changes: Changes) -> Side:
    lines = tuple(
        Changed(
            group.flows,
            group.direction,
            protocol_text(group.protocol),
            "" if group.port is None else str(group.port),
            service_name(group.protocol, group.port) or "",
            group.before,
            group.after,
            tuple((*_ends(pair.packet), pair.flows) for pair in group.pairs if pair.packet.version)[:3],
        )
        for group in changes.groups
    )
    return Side(title, kind, changes.flows, lines, changes.group_count - len(lines), changes.exact)


def _hits(title: str, rules: RuleList, counts: Sequence[int], *, own: bool) -> Hits:
    busy = sorted((place for place, count in enumerate(counts) if count), key=lambda place: -counts[place])
    lines = tuple(Hit(place or None, rules[place - 1] if place else None, counts[place]) for place in busy[:HITS])
    unused = tuple(place for place, rule in enumerate(rules, 1) if rule.enabled and not counts[place])
    return Hits(title, lines, len(busy) - len(lines), unused, own)


def _result(report: Report, old: RuleList, form: ReplayForm) -> dict[str, Any]:
    compared = form.proposed is not None
    tables = [_hits("Flows by deciding rule", old, report.hits_before, own=True)]
    if form.proposed is not None:
        tables.append(
            _hits(f"Flows by deciding rule of {form.proposed_name}", form.proposed, report.hits_after, own=False)
        )
    return {
        "report": report,
        "compared": compared,
        "proposed_name": form.proposed_name,
        "denied_before": report.rows - report.accepted_before,
        "denied_after": report.rows - report.accepted_after,
        "skipped": sorted(((reason.value, count) for reason, count in report.skipped.items()), key=lambda s: -s[1]),
        "skipped_count": sum(report.skipped.values()),
        "sides": [
            _side("Newly denied", "removed", report.newly_denied),
            _side("Newly allowed", "added", report.newly_allowed),
        ]
        if compared
        else [],
        "hits": tables,
    }


def _own_addresses(group: SecurityGroup) -> str:
    """The addresses of the VMs that have the group, up to the limit of the field."""
    rows = VirtualMachine.objects.live().filter(attachments__group=group).order_by("name")
    pairs = rows.values_list("ipv4", "ipv6")[:MAX_LOCAL]
    return ", ".join([address for pair in pairs for address in pair if address][:MAX_LOCAL])


def _run(form: ReplayForm, old: RuleList) -> Report:
    """Judge the log. Raises BadDocument, OutOfTime."""
    log = form.cleaned_data["log"]
    stream = io.BufferedReader(log.file) if isinstance(log.file, io.RawIOBase) else log.file
    stream.seek(0)
    # The engine looks at its clock after each block of flows; the stream's own limit is for logs without any.
    until = monotonic() + settings.REPLAY_SECONDS * 1.5
    return what_if(
        old,
        old if form.proposed is None else form.proposed,
        _Timed(stream, until),
        local=form.cleaned_data["local"],
        limit_seconds=settings.REPLAY_SECONDS,
        clock=monotonic,
        limit_groups=GROUPS,
    )


@page_or_form
def group_replay(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The form, and to a POST the report. Whoever may look may do this: a log is sent, but nothing is kept of it."""
    access = enter(request, slug, support_writes=True)
    group = find_group(access, group_id)
    old = rules_of_group(group)
    context: dict[str, Any] = {
        "group": group,
        "tab": "replay",
        "machine_count": group.attachments.count(),
        "seconds": settings.REPLAY_SECONDS,
    }
    status, posted = 200, request.method == "POST"
    form = ReplayForm(
        group, *((request.POST, request.FILES) if posted else ()), initial={"local": _own_addresses(group)}
    )
    context["form"] = form
    if posted and not form.is_valid():
        status = FORM_INVALID
    elif posted and not _turn.acquire(blocking=False):
        form.add_error(None, "Another log is being replayed right now: try again in a few seconds.")
        status = BUSY
    elif posted:
        try:
            context |= _result(_run(form, old), old, form)
        except BadDocument as error:
            for fault in error.faults[:10]:
                form.add_error("log", _escaped(fault))
            status = FORM_INVALID
        except OutOfTime:
            form.add_error(
                "log", f"There is no flow to judge in what could be read within {settings.REPLAY_SECONDS:g} s."
            )
            status = FORM_INVALID
        finally:
            _turn.release()
    return render(request, "securitygroups/replay/page.html", {**context, "ways": WAY}, status=status)
