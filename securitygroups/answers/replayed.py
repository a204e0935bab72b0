"""What a replayed flow log says, in rows: verdicts, where the log itself said otherwise, what is denied, the rules by hits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from securitygroups.answers.accepting import Accepting, accepting
from securitygroups.answers.replay import OnVms, Places, Target
from securitygroups.effective import Placed, Vm
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.flows.tally import Changes, Pair
from securitygroups.firewall.flows.tally import Group as Alike
from securitygroups.firewall.flows.whatif import Report
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet, Rule, RuleList, address_text
from securitygroups.words.rules import protocol_text, service_name

PAIRS, HITS, VMS, NAMED = 2, 30, 10, 20
"""Lines shown: pairs of addresses of a kind of flows, rules by hits, VMs by denied flows, rules that decided none."""
NO_VM = (
    "flow of none of the project's VMs: of an In flow the destination would be one's address, of an Out flow the source"
)
NOT_ITS = "flow of another: of an In flow the destination would be the VM's address, of an Out flow the source"


@dataclass(frozen=True, slots=True)
class Between:
    """Flows between the same two addresses, with a packet of them; the VMs that have the addresses, where they are known."""

    packet: Packet
    source: str
    destination: str
    sender: Vm | None
    receiver: Vm | None
    flows: int


@dataclass(frozen=True, slots=True)
class Line:
    """Flows alike: what, which rules decide them, between whom most of them went, and the rule that would accept those."""

    flows: int
    direction: Direction
    protocol: str
    port: str
    service: str
    before: Placed | None
    after: int | None
    pairs: tuple[Between, ...]
    add: Accepting | None


class Words(NamedTuple):
    """What is told of some flows, and what where there are none; `kind` is its name in the page."""

    kind: str
    title: str
    lead: str
    nothing: str


SAYS_ACCEPTED = Words(
    "only-log-accepts",
    "The log says accepted, the rules deny",
    "By the rules as they stand now.",
    "Nothing that the log says was accepted would be denied.",
)
SAYS_DENIED = Words(
    "only-log-denies",
    "The log says denied, the rules accept",
    "By the rules as they stand now.",
    "Nothing that the log says was denied would be accepted.",
)
DENIED = Words("denied", "Denied flows", "By the rules as they stand now.", "Nothing that was in the log is denied.")
NOTHING_NEW = "Nothing that was in the log would newly be {}."


@dataclass(frozen=True, slots=True)
class Side:
    """Flows of which the same is to be told, the largest groups first. `denied`: by the rules as they stand."""

    words: Words
    flows: int
    lines: tuple[Line, ...]
    more: int
    exact: bool
    compares: bool
    denied: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """How many flows a rule decided; `rule` is None for those that no rule matched."""

    where: Placed | None
    place: int | None
    rule: Rule | None
    flows: int

    @property
    def name(self) -> str:
        return self.where.text if self.where else f"rule {self.place}"


@dataclass(frozen=True, slots=True)
class Hits:
    """The rules of a list by hits, and the enabled ones that decided nothing: their number, and the first of them."""

    title: str
    lines: tuple[Hit, ...]
    more: int
    unused: int
    first_unused: tuple[str, ...]

    @property
    def unused_text(self) -> str:
        """“1, 3”, “web, rule 2; web, rule 4 and 7 more”."""
        more = self.unused - len(self.first_unused)
        # What has a comma itself is kept apart by another sign.
        names = ("; " if any("," in name for name in self.first_unused) else ", ").join(self.first_unused)
        return f"{names} and {more:,} more" if more else names


@dataclass(frozen=True, slots=True)
class Denied:
    """How many flows of a VM were denied, of how many."""

    vm: Vm
    denied: int
    flows: int


class _Lines:
    """Flows alike as rows."""

    def __init__(self, target: Target) -> None:
        self._target, self._places = target, Places(target.groups)

    def side(self, words: Words, changes: Changes, *, compares: bool = False, denied: bool = False) -> Side:
        lines = tuple(self._line(group, add=denied) for group in changes.groups)
        more = changes.group_count - len(lines)
        return Side(words, changes.flows, lines, more, changes.exact, compares, denied)

    def _line(self, group: Alike, *, add: bool) -> Line:
        before = self._places.at(group.before)
        busiest = group.pairs[0].packet if group.pairs else None
        return Line(
            group.flows,
            group.direction,
            protocol_text(group.protocol),
            "" if group.port is None else str(group.port),
            service_name(group.protocol, group.port) or "",
            before,
            group.after,
            tuple(map(self._between, group.pairs[:PAIRS])),
            accepting(busiest, before, self._target.first_group(busiest)) if add and busiest else None,
        )

    def _between(self, pair: Pair) -> Between:
        packet = pair.packet
        if packet.version is None or packet.source is None or packet.destination is None:
            return Between(packet, "", "", None, None, pair.flows)
        texts = [address_text(packet.version, end) for end in (packet.source, packet.destination)]
        vms = [self._target.vm_at(packet.version, end) for end in (packet.source, packet.destination)]
        return Between(packet, texts[0], texts[1], vms[0], vms[1], pair.flows)


def _busy(hits: Sequence[int]) -> list[int]:
    return sorted((number for number, count in enumerate(hits) if count), key=lambda number: -hits[number])


def _hits(target: Target, hits: Sequence[int]) -> Hits:
    places, busy = Places(target.groups), _busy(hits)
    named = [(places.at(number), hits[number]) for number in busy[:HITS]]
    lines = tuple(Hit(at, at.place if at else None, at.rule if at else None, count) for at, count in named)
    unused = list(places.unused(hits))
    first = [at for number in unused[:NAMED] if (at := places.at(number))]
    texts = tuple(at.text if isinstance(target, OnVms) else str(at.place) for at in first)
    return Hits("Flows by deciding rule", lines, len(busy) - len(lines), len(unused), texts)


def _proposed_hits(name: str, rules: RuleList, hits: Sequence[int]) -> Hits:
    busy = _busy(hits)
    lines = tuple(Hit(None, place or None, rules[place - 1] if place else None, hits[place]) for place in busy[:HITS])
    unused = [place for place, rule in enumerate(rules, 1) if rule.enabled and not hits[place]]
    return Hits(
        f"Flows by deciding rule of {name}", lines, len(busy) - len(lines), len(unused), tuple(map(str, unused[:NAMED]))
    )


def _denied_vms(target: Target) -> list[Denied]:
    """The VMs with the most denied flows, where there are several."""
    if not isinstance(target, OnVms) or len(target.vms.machines) == 1:
        return []
    flows, denied = target.by_vm.flows_of.tolist(), target.by_vm.denied_of.tolist()
    busy = sorted((vm for vm, count in enumerate(denied) if count), key=lambda vm: -denied[vm])[:VMS]
    return [Denied(target.vms.machines[vm], denied[vm], flows[vm]) for vm in busy]


def _skipped(target: Target, report: Report) -> list[tuple[str, int]]:
    """Why records were not judged, the most frequent reason first."""
    texts = {reason: reason.value for reason in report.skipped}
    if isinstance(target, OnVms) and Skip.ELSEWHERE in texts:
        texts[Skip.ELSEWHERE] = NOT_ITS if len(target.vms.machines) == 1 else NO_VM
    return sorted(((texts[reason], count) for reason, count in report.skipped.items()), key=lambda line: -line[1])


def _sides(target: Target, report: Report, name: str) -> list[Side]:
    lines, sides = _Lines(target), list[Side]()
    if name:
        # What was asked for stands first.
        less = Words("removed", "Newly denied", f"Accepted now, denied by {name}.", NOTHING_NEW.format("denied"))
        more = Words("added", "Newly allowed", f"Denied now, accepted by {name}.", NOTHING_NEW.format("allowed"))
        sides += [
            lines.side(less, report.newly_denied, compares=True),
            lines.side(more, report.newly_allowed, compares=True),
        ]
    if report.said_accepted or report.said_denied:
        sides += [
            lines.side(SAYS_ACCEPTED, report.only_log_accepts, denied=True),
            lines.side(SAYS_DENIED, report.only_log_denies),
        ]
    if report.rows:
        sides.append(lines.side(DENIED, report.denied, denied=True))
    return sides


def summary(target: Target, report: Report, proposed: RuleList | None = None, name: str = "") -> dict[str, Any]:
    """The report in rows; `name` says the proposed list, where there is one."""
    tables = [_hits(target, report.hits_before)] if report.rows else []
    if report.rows and proposed is not None:
        tables.append(_proposed_hits(name, proposed, report.hits_after))
    return {
        "report": report,
        "compared": proposed is not None,
        "proposed_name": name,
        "said": report.said_accepted + report.said_denied,
        "disagrees": report.only_log_accepts.flows + report.only_log_denies.flows,
        "denied_before": report.rows - report.accepted_before,
        "denied_after": report.rows - report.accepted_after,
        "elsewhere": report.skipped.get(Skip.ELSEWHERE, 0),
        "homes": [group.home for group in target.groups],
        "skipped": _skipped(target, report),
        "skipped_count": sum(report.skipped.values()),
        "sides": _sides(target, report, name if proposed is not None else ""),
        "denied_vms": _denied_vms(target),
        "hits": tables,
        "by_group": isinstance(target, OnVms),
    }
