"""`manage.py replay GROUP.json FLOWS`: what a rule list, or a change of it, does with recorded traffic. No database."""

import json
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from securitygroups.firewall.decide import decide
from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.compiled import NO_RULE, Places
from securitygroups.firewall.flows.compressed import Through
from securitygroups.firewall.flows.tally import Changes, Group
from securitygroups.firewall.flows.whatif import Report, what_if
from securitygroups.firewall.formats.documents import read_group
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import Network, Packet, Refused, Rule, RuleList, address_text, parse_network
from securitygroups.management.programs import Failure, Out
from securitygroups.words.rules import protocol_text, rule_sentence

BASELINE = 10_000


HELP = (
    "Judge the flows of a log by the rule list in GROUP.json and count how many each rule decides. With --against, "
    "show which flows another list would newly deny and newly allow. FLOWS is a packet capture (pcap, "
    "pcapng), a flow log of a cloud or a program, a firewall's log or a table with named columns, packed or plain. Only "
    "what opens a flow is judged. A bad file is refused, with exit status 1."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("group", metavar="GROUP.json", help="a group document: the rule list")
    parser.add_argument("flows", metavar="FLOWS", help='a flow log, "-" for standard input')
    parser.add_argument("--against", metavar="GROUP2.json", help="the new rule list to compare with")
    parser.add_argument(
        "--local",
        metavar="CIDR[,CIDR]",
        default="",
        help="the VMs' own addresses: they give the direction where the log has none",
    )
    parser.add_argument(
        "--top", type=int, default=20, metavar="N", help="changed groups, and rules, to show (default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument(
        "--baseline",
        type=int,
        nargs="?",
        const=BASELINE,
        metavar="N",
        help=f"also decide the first N flows (default: {BASELINE}) one by one and compare; "
        "exit status 1 where they differ",
    )


def handle(options: Mapping[str, Any], out: Out) -> None:
    _check_numbers(options)
    old = _rules(options["group"])
    new = old if options["against"] is None else _rules(options["against"])
    local = _networks(options["local"])
    baseline = None if options["baseline"] is None else _Baseline(old, new, options["baseline"])
    started = time.monotonic()
    with _log(options["flows"]) as stream:
        report = what_if(old, new, stream, local=local, limit_groups=options["top"], observer=baseline)
    seconds = time.monotonic() - started - (baseline.seconds if baseline else 0)
    done = _Replay(report, seconds, baseline, old, None if options["against"] is None else new)
    if options["json"]:
        _write([json.dumps(_as_json(done), ensure_ascii=False)], out)
    else:
        _write(_lines(done, options["top"]), out)
    if baseline and baseline.mismatches:
        raise Failure(f"{baseline.mismatches} flows are decided differently one by one.")


def _write(lines: Iterable[str], out: Out) -> None:
    """The lines, as far as anybody reads them."""
    try:
        for line in lines:
            out.write(line)
        out.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head` does; Python must not complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_numbers(options: Mapping[str, Any]) -> None:
    for name in ("top", "baseline"):
        if options[name] is not None and options[name] < 1:
            raise Failure(f"--{name}: write a number from 1 on.")


class _Baseline:
    """Decides the first flows one by one as well, and counts where that differs."""

    def __init__(self, old: RuleList, new: RuleList, limit: int) -> None:
        self._old, self._new, self._limit = old, new, limit
        self.flows, self.mismatches, self.decided, self.seconds = 0, 0, 0, 0.0

    def __call__(self, batch: Batch, before: Places, after: Places) -> None:
        started = time.monotonic()
        count = min(len(batch), self._limit - self.flows)
        lists = [(self._old, before)] if self._new is self._old else [(self._old, before), (self._new, after)]
        for row in range(count):
            packet = batch.packet(row)
            wrong = any((decide(rules, packet).rule or NO_RULE) != places[row] for rules, places in lists)
            self.mismatches += wrong
        self.flows += count
        self.decided += count * len(lists)
        self.seconds += time.monotonic() - started

    @property
    def rate(self) -> float:
        return self.flows / max(self.seconds, 1e-9)


class _Progress(Through):
    """A stream that draws a bar of how far it was read, on a terminal only."""

    _WIDTH = 40

    def __init__(self, stream: BinaryIO, terminal: TextIO | None) -> None:
        super().__init__(stream)
        self._terminal, self._read, self._drawn, self._size = terminal, 0, 0.0, 0
        if terminal is not None and stream.seekable():
            self._size = stream.seek(0, 2)
            stream.seek(0)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(size)
        self._read += len(data)
        if self._terminal is not None and time.monotonic() - self._drawn > 0.1:
            self._drawn = time.monotonic()
            part = self._read / self._size if self._size else 0.0
            bar = "█" * int(part * self._WIDTH)
            done = f"{bar:░<{self._WIDTH}} {part:4.0%}" if self._size else f"{self._read / 2**20:,.0f} MiB"
            self._terminal.write(f"\r{done}")
            self._terminal.flush()
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        """Go on elsewhere: the bar too."""
        self._read = super().seek(place, whence)
        return self._read

    def end(self) -> None:
        """Wipe the bar away."""
        if self._terminal is not None:
            self._terminal.write("\r\033[K")
            self._terminal.flush()


@contextmanager
def _log(name: str) -> Iterator[_Progress]:
    """The flow log, with a bar while it is read. What is wrong with the file is told by its name."""
    try:
        with _opened(name) as stream:
            counted = _Progress(stream, sys.stderr if sys.stderr.isatty() else None)
            try:
                yield counted
            finally:
                counted.end()
    except BadDocument as error:
        shown = "standard input" if name == "-" else name
        raise Failure("\n".join(f"{shown}: {fault}" for fault in error.faults)) from None


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below; only opening is guarded
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    with stream:
        try:
            yield stream
        except OSError as error:
            raise _unreadable(name, error) from None


def _unreadable(name: str, error: Exception) -> Failure:
    return Failure(f"{name}: this file cannot be read ({getattr(error, 'strerror', None) or error}).")


def _rules(name: str) -> tuple[Rule, ...]:
    try:
        return read_group(Path(name).read_bytes()).rules
    except (OSError, ValueError) as error:
        if isinstance(error, BadDocument):
            raise Failure("\n".join(f"{name}: {fault}" for fault in error.faults)) from None
        raise _unreadable(name, error) from None


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(parse_network(part) for part in text.split(",") if part.strip())
    except Refused as refusal:
        raise Failure(f"--local: {refusal.problem}") from None


def _rate(flows: int, seconds: float) -> str:
    return f"{flows / max(seconds, 1e-9):,.0f} flows/s"


def _place(place: int | None) -> str:
    return "none" if place is None else str(place)


def _pair(packet: Packet, flows: int) -> str:
    if packet.version is None or packet.source is None or packet.destination is None:
        return f"({flows:,})"
    source, destination = (address_text(packet.version, end) for end in (packet.source, packet.destination))
    return f"{source} → {destination} ({flows:,})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> Iterator[str]:
    """Lines of a table whose columns are as wide as their content; numbers stand to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"  {'  '.join(cells)}".rstrip()


def _changes(title: str, changes: Changes, *, new: bool = True) -> Iterator[str]:
    yield ""
    yield f"{title}: {changes.flows:,} flows"
    if not changes.groups:
        return
    rows = [
        (
            f"{group.flows:,}",
            group.direction.label,
            "not IP" if group.protocol is None else protocol_text(group.protocol),
            "" if group.port is None else str(group.port),
            _place(group.before),
            *([_place(group.after)] if new else []),
            ", ".join(_pair(pair.packet, pair.flows) for pair in group.pairs[:2]),
        )
        for group in changes.groups
    ]
    by = ("Rule before", "Rule after") if new else ("Rule",)
    head = ("Flows", "Direction", "Protocol", "Port", *by, "Most between")
    yield from _table(head, rows, left=(1, 2, len(head) - 1))
    if changes.group_count > len(changes.groups):
        yield f"  … and {changes.group_count - len(changes.groups):,} smaller groups"
    if not changes.exact:
        yield "  There were too many groups to count all at once: the numbers of the groups are the least they can be."


@dataclass(frozen=True, slots=True)
class _Replay:
    """What is to be told: the report, what it took, and the lists; `new` is None where there is nothing to compare."""

    report: Report
    seconds: float
    baseline: _Baseline | None
    old: RuleList
    new: RuleList | None


def _lines(done: _Replay, top: int) -> Iterator[str]:
    """The report as tables."""
    report, baseline, new = done.report, done.baseline, done.new
    yield f"{report.rows:,} flows judged of {report.records:,} records ({report.kind}), {_rate(report.rows, done.seconds)}"
    for reason, count in sorted(report.skipped.items(), key=lambda item: -item[1]):
        yield f"  {count:,} not judged: {reason.value}"
    if baseline:
        yield (
            f"One by one: {baseline.flows:,} flows, {_rate(baseline.flows, baseline.seconds)}, "
            f"{baseline.mismatches:,} decided differently"
        )
    if report.guessed:
        yield (
            f"Of {report.guessed:,} flows nothing in the log tells which side began: "
            "the side with the lower port was taken for the one that was called."
        )
    yield f"Accepted: {report.accepted_before:,}, denied: {report.rows - report.accepted_before:,}"
    if new is not None:
        yield f"Accepted by the new list: {report.accepted_after:,}, denied: {report.rows - report.accepted_after:,}"
        yield from _changes("Newly denied", report.newly_denied)
        yield from _changes("Newly allowed", report.newly_allowed)
    if report.said_accepted or report.said_denied:
        yield ""
        yield f"Accepted as the log says: {report.said_accepted:,}, denied: {report.said_denied:,}"
        yield from _changes("The log says accepted, the rules deny", report.only_log_accepts, new=False)
        yield from _changes("The log says denied, the rules accept", report.only_log_denies, new=False)
    for title, rules, hits in (
        ("Flows by deciding rule", done.old, report.hits_before),
        ("Flows by deciding rule of the new list", new, report.hits_after),
    ):
        if rules is not None:
            yield ""
            yield title
            yield from _hits(rules, hits, top)


def _hits(rules: RuleList, hits: Sequence[int], top: int) -> Iterator[str]:
    """The busiest rules, and how many decided nothing."""
    busy = sorted((place for place, count in enumerate(hits) if count), key=lambda place: -hits[place])
    rows = [
        (
            f"{hits[place]:,}",
            _place(place or None),
            rule_sentence(rules[place - 1]) if place else "Denied: no rule matched",
        )
        for place in busy[:top]
    ]
    yield from _table(("Flows", "Rule", ""), rows, left=(2,))
    if len(busy) > top:
        yield f"  … and {len(busy) - top:,} rules that decided fewer"
    if unused := sum(not count for count in hits[1:]):
        yield f"  {unused:,} of {len(rules):,} rules decided no flow"


def _group_json(group: Group) -> dict[str, Any]:
    pairs = [
        {
            "source": address_text(packet.version, packet.source),
            "destination": address_text(packet.version, packet.destination),
            "flows": pair.flows,
        }
        for pair in group.pairs
        if (packet := pair.packet).version and packet.source is not None and packet.destination is not None
    ]
    return {
        "flows": group.flows,
        "direction": group.direction.value,
        "family": group.version,
        "protocol": group.protocol,
        "port": group.port,
        "rule_before": group.before,
        "rule_after": group.after,
        "pairs": pairs,
    }


def _changes_json(changes: Changes) -> dict[str, Any]:
    return {
        "flows": changes.flows,
        "group_count": changes.group_count,
        "exact": changes.exact,
        "groups": [_group_json(group) for group in changes.groups],
    }


def _as_json(done: _Replay) -> dict[str, Any]:
    """The report as one object; `hits` count the flows by deciding rule, those that no rule matched first."""
    report, baseline = done.report, done.baseline
    value: dict[str, Any] = {
        "kind": report.kind,
        "records": report.records,
        "flows": report.rows,
        "seconds": round(done.seconds, 3),
        "skipped": {reason.name.lower(): count for reason, count in report.skipped.items()},
        "accepted": report.accepted_before,
        "hits": report.hits_before,
        "denied": _changes_json(report.denied),
        "guessed": report.guessed,
        "said": {
            "accepted": report.said_accepted,
            "denied": report.said_denied,
            "accepted_but_rules_deny": _changes_json(report.only_log_accepts),
            "denied_but_rules_accept": _changes_json(report.only_log_denies),
        },
    }
    if done.new is not None:
        value |= {"accepted_after": report.accepted_after, "hits_after": report.hits_after}
        value["newly_denied"] = _changes_json(report.newly_denied)
        value["newly_allowed"] = _changes_json(report.newly_allowed)
    if baseline:
        value["baseline"] = {
            "flows": baseline.flows,
            "flows_per_second": round(baseline.rate),
            "mismatches": baseline.mismatches,
        }
    return value
