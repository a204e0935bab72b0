"""What a replayed flow log says: which flows would be decided differently, and how often each rule decided."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from securitygroups.firewall.flows.whatif import Changes, Report, what_if
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Network, Packet, Rule, RuleList, address_text
from securitygroups.words.rules import protocol_text, service_name

GROUPS, HITS = 30, 50
"""Lines shown of each kind of change, and of the rules by hits."""


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


def summary(report: Report, old: RuleList, proposed: RuleList | None, name: str) -> dict[str, Any]:
    """The report in rows; `name` says the proposed list, where there is one."""
    tables = [_hits("Flows by deciding rule", old, report.hits_before, own=True)]
    sides = []
    if proposed is not None:
        tables.append(_hits(f"Flows by deciding rule of {name}", proposed, report.hits_after, own=False))
        sides = [
            _side("Newly denied", "removed", report.newly_denied),
            _side("Newly allowed", "added", report.newly_allowed),
        ]
    return {
        "report": report,
        "compared": proposed is not None,
        "proposed_name": name,
        "denied_before": report.rows - report.accepted_before,
        "denied_after": report.rows - report.accepted_after,
        "skipped": sorted(((reason.value, count) for reason, count in report.skipped.items()), key=lambda s: -s[1]),
        "skipped_count": sum(report.skipped.values()),
        "sides": sides,
        "hits": tables,
    }


def replay(log: Any, old: RuleList, proposed: RuleList | None, local: Sequence[Network], seconds: float) -> Report:
    """Judge an uploaded log in so many seconds. Raises BadDocument, OutOfTime."""
    stream = io.BufferedReader(log.file) if isinstance(log.file, io.RawIOBase) else log.file
    stream.seek(0)
    # The engine looks at its clock after each block of flows; the stream's own limit is for logs without any.
    until = monotonic() + seconds * 1.5
    return what_if(
        old,
        old if proposed is None else proposed,
        _Timed(stream, until),
        local=tuple(local),
        limit_seconds=seconds,
        clock=monotonic,
        limit_groups=GROUPS,
    )
