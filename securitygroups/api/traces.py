"""A packet's way down a list as data: what the packet test page shows, in the same words."""

from datetime import datetime
from typing import Any, Literal

from ninja import Schema

from securitygroups.answers.packet_test import Answer, Traced
from securitygroups.api.schemas import Document, Named
from securitygroups.effective import Home, Placed
from securitygroups.firewall.decide import Step
from securitygroups.firewall.formats.packets import PACKET_KEYS, packet_to_json
from securitygroups.firewall.needs import Need, narrowest
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.words.platform import barred_sentence, barred_why
from securitygroups.words.rules import obstacles, verdict_sentence, why_passed

Verdict = Literal["accept", "drop"]


class RuleAt(Schema):
    """A rule where people find it. `number` is its place in the list that was asked, `place` the one in its group, both
    from 1; `text` says it as the panel does: “web, rule 2”."""

    number: int
    group: Named
    place: int
    id: str
    text: str


class PacketShown(Schema):
    """A packet; a frame that is not IP has no addresses, and only TCP, UDP and SCTP have a port."""

    direction: Literal["in", "out"]
    protocol: str | int
    source: str | None
    destination: str | None
    port: int | None


class Passed(Schema):
    """A rule that the packet came to, or did not reach any more. `differs`: the conditions that it does not meet."""

    rule: RuleAt
    outcome: Literal["matched", "passed by", "switched off", "not reached"]
    why: str
    differs: list[str]


class Gap(Schema):
    """Rules of a long list that are not told one by one."""

    first: int
    last: int
    outcome: Literal["passed by", "not reached"]


class PlatformLine(Schema):
    """A line of the platform that decides the packet before any rule does, if the condition holds."""

    action: Verdict
    condition: str
    why: str


class Proposed(Schema):
    """The narrowest rule that accepts the packet: into this group, at this place, or wherever it is not hidden."""

    group: Named
    place: int | None
    rule: Document


class Needed(Schema):
    """What an accept would need: the nearest accept rule, everything in its way, and a rule that would do."""

    nearest: RuleAt | None
    in_the_way: list[str]
    add: Proposed | None


class Trace(Schema):
    """What one list decides. `of` says whose it is where there are two; `absent` names a VM that was not in the project
    at the time asked about. The rule is null where none matches: then the packet is denied. `barred` says why the platform
    drops the packet before any rule is asked, "" where the rules decide; the rule and the steps are then what they would say."""

    of: str
    packet: PacketShown
    verdict: Verdict
    text: str
    barred: str
    rule: RuleAt | None
    absent: str
    platform: list[PlatformLine]
    needed: Needed | None
    steps: list[Passed | Gap]


class Opener(Schema):
    """A packet that opens no connection: what it is instead, and the packet that opened it, where the line tells that."""

    what: str
    packet: Document | None


class Read(Schema):
    """What was read of a pasted line: as what kind of line, and the verdict that it reports itself."""

    kind: str
    said: Literal["accept", "drop", ""]
    opens_no_connection: Opener | None


class Tested(Schema):
    """What becomes of the packet. Between two VMs of the project it passes where both lists accept: there are two traces then,
    the sender's Out list and the receiver's In list. `notes` are what the panel remarks besides."""

    verdict: Verdict
    text: str
    machine: Named | None
    between_machines: bool
    at: datetime | None
    notes: list[str]
    read: Read | None
    traces: list[Trace]


def rule_at(number: int, one: Placed) -> dict[str, Any]:
    return {
        "number": number,
        "group": {"id": one.group.public_id, "name": one.group.name},
        "place": one.place,
        "id": one.uid,
        "text": one.text,
    }


def packet_json(packet: Packet) -> dict[str, Any]:
    return dict.fromkeys(PACKET_KEYS) | packet_to_json(packet)


def answer_json(answer: Answer, at: datetime | None, otherwise: Home | None = None) -> dict[str, Any]:
    """The answer, without what is known of the VM and of a pasted line. `otherwise` is the group that a rule goes into
    where none decides and the list has none."""
    only = answer.traces[0]
    overall = answer.overall
    passes = only.passes if overall is None else overall.passes
    return {
        "verdict": "accept" if passes else "drop",
        "text": _sentence(only) if overall is None else overall.text,
        "between_machines": overall is not None,
        "at": at,
        "traces": [_trace(one, otherwise, past=at is not None) for one in answer.traces],
    }


def _sentence(one: Traced) -> str:
    return barred_sentence(one.barred, one.packet) if one.barred else verdict_sentence(one.decision, one.packet)


def _trace(one: Traced, otherwise: Home | None, *, past: bool) -> dict[str, Any]:
    decision, packet = one.decision, one.packet
    return {
        "of": one.title,
        "packet": packet_json(packet),
        "verdict": "accept" if one.passes else "drop",
        "text": _sentence(one),
        "barred": barred_why(one.barred) if one.barred else "",
        "rule": rule_at(decision.rule, one.deciding) if decision.rule and one.deciding else None,
        "absent": one.absent,
        "platform": [
            {"action": line.action.value, "condition": condition, "why": line.why} for condition, line in one.before
        ],
        # Nobody adds a rule to a list of the past.
        "needed": None if past or one.need is None else _needed(one, one.need, otherwise),
        "steps": [_step(step, placed, packet) if step else _gap(gap) for step, placed, gap in one.way],
    }


def _step(step: Step, placed: Placed | None, packet: Packet) -> dict[str, Any]:
    return {
        "rule": rule_at(step.place, placed) if placed else None,
        "outcome": step.outcome.value,
        "why": why_passed(step, packet),
        "differs": [condition.value for condition in step.differs],
    }


def _gap(gap: Any) -> dict[str, Any]:
    return {"first": gap.first, "last": gap.last, "outcome": "passed by" if gap.passed else "not reached"}


def _needed(one: Traced, need: Need, otherwise: Home | None) -> dict[str, Any]:
    nearest = one.listed[need.nearest - 1] if need.nearest else None
    return {
        "nearest": rule_at(need.nearest, nearest) if need.nearest and nearest else None,
        "in_the_way": obstacles(need, nearest.rule, one.packet) if nearest else [],
        "add": _proposed(one, otherwise),
    }


def _proposed(one: Traced, otherwise: Home | None) -> dict[str, Any] | None:
    """Above the rule that drops the packet; where none matches, into the group of the list's first rule, if it has one."""
    group = one.deciding.group if one.deciding else one.listed[0].group if one.listed else otherwise
    if group is None:
        return None
    return {
        "group": {"id": group.public_id, "name": group.name},
        "place": one.deciding.place if one.deciding else None,
        "rule": accepting_rule(one.packet),
    }


def accepting_rule(packet: Packet) -> dict[str, Any]:
    """The narrowest rule that accepts the packet, as the document has it."""
    fields: dict[str, Any] = dict(narrowest(packet))
    return fields | {name: int(fields[name]) for name in ("port_start", "port_end") if name in fields}


def other_way(direction: Direction) -> Direction:
    return Direction.OUT if direction is Direction.IN else Direction.IN
