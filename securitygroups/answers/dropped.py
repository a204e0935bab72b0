"""Packets that hosts told of: which there were, and each with its way down the list that was in force then."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import QuerySet, Sum
from django.utils import timezone

from securitygroups.answers.packet_test import Traced, trace
from securitygroups.effective import Listed, of_machine
from securitygroups.firewall.networks import Network, address_text, parse_address
from securitygroups.firewall.platform import Asked, PlatformLine
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import Placement, Project, Rule, SecurityGroup, Traffic, TrafficHour, VirtualMachine
from securitygroups.past import listed_then
from securitygroups.words.drops import ACCEPT, BY_RULES, reason_sentence

LOOKED_THROUGH = 20_000
"""The newest rows, among which is looked for what is asked: a page costs the same however many there are."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which packets are asked for; "" and None leave it open. `reason` is the agent's word, `rule` a uid."""

    since: datetime
    verdict: str = ""
    direction: str = ""
    reason: str = ""
    rule: str = ""
    peer: Network | None = None
    port: int | None = None


def packets(project: Project, machine: VirtualMachine | None, wanted: Wanted) -> QuerySet[Traffic]:
    """Those of the VM, or of all of the project, the newest first. Of a VM that came from another project only those of here."""
    rows = Traffic.objects.filter(project=project, last_at__gte=wanted.since)
    rows = rows.filter(machine=machine) if machine else rows
    fields = {name: getattr(wanted, name) for name in ("verdict", "direction", "reason", "rule")}
    fields = {name: value for name, value in fields.items() if value}
    if wanted.port is not None:
        fields["port"] = wanted.port
    if wanted.peer:
        ends = (address_text(wanted.peer.version, end) for end in (wanted.peer.first, wanted.peer.last))
        # Addresses of both families stand in one order.
        fields |= dict(zip(("peer__gte", "peer__lte"), ends, strict=True))
        fields["version"] = wanted.peer.version
    if fields:
        # Where the newest end, by the index: what comes before is not looked at.
        end = rows.order_by("-last_at", "-pk").values_list("last_at", flat=True)[LOOKED_THROUGH:].first()
        rows = rows.filter(last_at__gt=end, **fields) if end else rows.filter(**fields)
    return rows.order_by("-last_at", "-pk").select_related("machine", "made_of")


def beyond(project: Project, machine: VirtualMachine | None, since: datetime) -> int:
    """How many packets more hosts told of since then than are kept."""
    rows = TrafficHour.objects.filter(project=project, hour__gte=since - timedelta(hours=1), beyond__gt=0)
    rows = rows.filter(machine=machine) if machine else rows
    return rows.aggregate(all=Sum("beyond"))["all"] or 0


def packet_of(row: Traffic) -> Packet | None:
    """The packet as rules are asked about it; None where too little of it was told."""
    direction = Direction(row.direction)
    if row.version is None:
        return Packet(direction)
    if row.peer is None or row.own is None or row.protocol is None:
        return None
    source, destination = (row.peer, row.own) if direction is Direction.IN else (row.own, row.peer)
    return Packet(
        direction, row.version, row.protocol, parse_address(source)[1], parse_address(destination)[1], row.port
    )


@dataclass(frozen=True, slots=True)
class Page:
    """What the rows of a page name, by uid and by public ID; a rule or group that is gone is in neither."""

    rules: dict[str, Rule]
    groups: dict[str, SecurityGroup]


def named(project: Project, rows: Sequence[Traffic]) -> Page:
    """Two queries, however many rows there are."""
    uids = {row.rule for row in rows if row.rule}
    ids = {public_id for row in rows if row.made_of for public_id, _ in row.made_of.groups}
    rules = Rule.objects.filter(uid__in=uids, group__project=project, group__deleted_at=None).select_related("group")
    groups = SecurityGroup.objects.filter(project=project, public_id__in=ids)
    return Page({rule.uid: rule for rule in rules}, {group.public_id: group for group in groups})


@dataclass(frozen=True)
class Explained:
    """A row with its way down the list that was in force then, and down the list of now.

    `then` is None where the host did not say over which list, or too little of the packet was told; `now` where the VM is
    gone, or the customer's no more. `made_of` are the groups then, each with its revision.
    """

    row: Traffic
    packet: Packet | None
    made_of: Sequence[tuple[SecurityGroup, int]]
    then: Traced | None
    now: Traced | None

    @cached_property
    def changed(self) -> bool:
        """Whether the list is another by now, as far as it is known."""
        return bool(self.then and self.now) and _rules(self.then.listed) != _rules(self.now.listed)  # type: ignore[union-attr]

    @property
    def by_rules(self) -> bool:
        """Whether the list decided, and not the platform before it."""
        return self.row.reason in BY_RULES

    @property
    def agrees(self) -> bool:
        """Whether the evaluator says what the host did."""
        return self.then is None or not self.by_rules or self.then.passes == (self.row.reason == ACCEPT)


def _rules(listed: Listed) -> list[tuple[int, object]]:
    return [(one.group.pk, one.rule) for one in listed]


def explain(row: Traffic) -> Explained:
    """A handful of queries: the lists of then and of now."""
    packet, made_of = packet_of(row), list(row.made_of.groups) if row.made_of else []
    here = row.machine.project_id == row.project_id and row.machine.deleted_at is None
    then = listed_then(row.project_id, made_of) if row.made_of and packet else None
    found = SecurityGroup.objects.filter(project=row.project_id, public_id__in=[public_id for public_id, _ in made_of])
    groups = {group.public_id: group for group in found}
    return Explained(
        row,
        packet,
        [(groups[public_id], number) for public_id, number in made_of if public_id in groups],
        _traced(row, packet, then, "Then") if packet and then is not None else None,
        _traced(row, packet, of_machine(row.machine), "Now") if packet and here else None,
    )


def _traced(row: Traffic, packet: Packet, listed: Listed, title: str) -> Traced:
    """What the list says; where the platform dropped it before, that too."""
    found = trace(listed, packet, title)
    if row.reason in BY_RULES:
        return found
    line = PlatformLine(packet.direction, row.reason, Asked(), Action.DROP, reason_sentence(row.reason))
    return replace(found, barred=line, need=None)


def placement(machine: VirtualMachine) -> Placement | None:
    """Where the VM stands, with its host; None where it is on none."""
    return Placement.objects.filter(machine=machine, host__isnull=False).select_related("host").first()


def since_hours(hours: int) -> datetime:
    return timezone.now() - timedelta(hours=hours)
