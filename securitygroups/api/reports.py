"""The report of a replayed log as data: what the page shows of it."""

from typing import Any

from ninja import Schema

from securitygroups.answers.replayed import Between, Denied, Hit, Hits, Line, Side
from securitygroups.api.schemas import Named
from securitygroups.api.traces import PacketShown, packet_json
from securitygroups.effective import Placed, Vm
from securitygroups.words.rules import rule_sentence


class Flows(Schema):
    """Flows between the same two addresses: one packet of them, and the VMs that have the addresses where they are known."""

    packet: PacketShown
    sender: Named | None
    receiver: Named | None
    flows: int


class InGroup(Schema):
    """A rule by its group and its place there."""

    group: Named
    place: int
    id: str
    text: str


class Alike(Schema):
    """Flows alike, and between whom most of them went. `rule` decides them by the list as it stands, `other` by the one that it
    is compared with: a place there. Null where no rule matches."""

    flows: int
    direction: str
    protocol: str
    port: int | None
    service: str
    rule: InGroup | None
    other: int | None
    pairs: list[Flows]


class Told(Schema):
    """Flows of which the same is to be told. `kind`: “denied”; “only-log-accepts” and “only-log-denies”, where the log itself
    says otherwise; “removed” and “added”, what the other list would newly deny and newly accept. The largest groups stand
    here, `more` are left out; where it is not `exact` the numbers of groups are the least that they can be."""

    kind: str
    title: str
    flows: int
    groups: list[Alike]
    more: int
    exact: bool


class HitShown(Schema):
    """How many flows a rule decided; without a rule those that none matched."""

    flows: int
    number: int | None
    rule: InGroup | None
    text: str


class HitsShown(Schema):
    """The rules of a list by flows. `unused`: enabled rules that decided none, of which the first are named."""

    title: str
    rules: list[HitShown]
    more: int
    unused: int
    first_unused: list[str]


class DeniedOn(Schema):
    """How many flows of a VM were denied, of how many."""

    machine: Named
    denied: int
    flows: int


class Skipped(Schema):
    """Records that were not judged, and why."""

    why: str
    records: int


class Replayed(Schema):
    """What rules do with a log. `kind` is the log's, `records` what was read of it, `flows` what was judged. `cut` where only
    the beginning could be read in time. `guessed` flows are those of which only the ports told which side began. `other` is
    the name of the list that it is compared with."""

    kind: str
    records: int
    flows: int
    cut: bool
    guessed: int
    accepted: int
    denied: int
    other: str | None
    other_accepted: int | None
    other_denied: int | None
    log_says: int
    log_disagrees: int
    told: list[Told]
    denied_machines: list[DeniedOn]
    hits: list[HitsShown]
    skipped: list[Skipped]


def report_json(found: dict[str, Any]) -> dict[str, Any]:
    report, compared = found["report"], found["compared"]
    return {
        "kind": report.kind,
        "records": report.records,
        "flows": report.rows,
        "cut": report.cut is not None,
        "guessed": report.guessed,
        "accepted": report.accepted_before,
        "denied": found["denied_before"],
        "other": found["proposed_name"] if compared else None,
        "other_accepted": report.accepted_after if compared else None,
        "other_denied": found["denied_after"] if compared else None,
        "log_says": found["said"],
        "log_disagrees": found["disagrees"],
        "told": [_told(side) for side in found["sides"]],
        "denied_machines": [_denied(one) for one in found["denied_vms"]],
        "hits": [_hits(table) for table in found["hits"]],
        "skipped": [{"why": why, "records": count} for why, count in found["skipped"]],
    }


def _told(side: Side) -> dict[str, Any]:
    return {
        "kind": side.words.kind,
        "title": side.words.title,
        "flows": side.flows,
        "groups": [_alike(line) for line in side.lines],
        "more": side.more,
        "exact": side.exact,
    }


def _alike(line: Line) -> dict[str, Any]:
    return {
        "flows": line.flows,
        "direction": line.direction.value,
        "protocol": line.protocol,
        "port": int(line.port) if line.port else None,
        "service": line.service,
        "rule": _in_group(line.before),
        "other": line.after,
        "pairs": [_pair(pair) for pair in line.pairs],
    }


def _pair(pair: Between) -> dict[str, Any]:
    ends = {"sender": _vm(pair.sender), "receiver": _vm(pair.receiver)}
    return {"packet": packet_json(pair.packet), "flows": pair.flows} | ends


def _vm(vm: Vm | None) -> dict[str, str] | None:
    return None if vm is None else {"id": vm.public_id, "name": vm.name}


def _in_group(one: Placed | None) -> dict[str, Any] | None:
    if one is None:
        return None
    group = {"id": one.group.public_id, "name": one.group.name}
    return {"group": group, "place": one.place, "id": one.uid, "text": one.text}


def _hits(table: Hits) -> dict[str, Any]:
    return {
        "title": table.title,
        "rules": [_hit(hit) for hit in table.lines],
        "more": table.more,
        "unused": table.unused,
        "first_unused": list(table.first_unused),
    }


def _hit(hit: Hit) -> dict[str, Any]:
    text = rule_sentence(hit.rule) if hit.rule else "No rule matches"
    return {"flows": hit.flows, "number": hit.place, "rule": _in_group(hit.where), "text": text}


def _denied(one: Denied) -> dict[str, Any]:
    return {"machine": _vm(one.vm), "denied": one.denied, "flows": one.flows}
