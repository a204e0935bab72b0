"""Packets that hosts told of: which were dropped and which accepted, and over which lists."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from pydantic import Field

from securitygroups.access import Right, find_machine
from securitygroups.answers import dropped
from securitygroups.api import cursors
from securitygroups.api.doors import access_of, operation
from securitygroups.api.moments import LEFT_OUT, At, moment_of
from securitygroups.api.problems import Refusal
from securitygroups.api.schemas import Cursor, Limit, Page
from securitygroups.firewall.values import Refused, parse_network
from securitygroups.models import Scope, Traffic, VirtualMachine

router = Router(tags=["Dropped packets"])

Peer = Annotated[str, Field(max_length=100)]
Port = Annotated[int, Field(ge=0, le=65535)]
Verdict = Literal["", "drop", "accept"]
Way = Literal["", "in", "out"]


class ListOf(Schema):
    """A group of a list, and the revision of its rules."""

    id: str
    revision: int


class Told(Schema):
    """Equal packets of a VM in an hour, as its host told of them: of a flood these are samples.

    `peer` is the other end and `own` the VM's; `port` is the destination's. `reason` is none where no rule matched, rule,
    accept, or what of the platform dropped them: invalid, opens, spoofed, server, vlan. `rule` is the id of the rule that
    dropped them. `groups` is what the list was made of then, null where that is not known.
    """

    id: int
    machine: str
    first: datetime
    last: datetime
    packets: int
    direction: Literal["in", "out"]
    verdict: Literal["drop", "accept"]
    reason: str
    rule: str | None
    version: int | None
    protocol: int | None
    peer: str | None
    own: str | None
    port: int | None
    icmp_type: int | None
    source_port: int | None
    groups: list[ListOf] | None


@operation(router, "GET", "/{project}/dropped-packets", Scope.READ, right=Right.TRAFFIC, gives=Page[Told])
def list_dropped_packets(
    request: HttpRequest,
    project: str,
    verdict: Verdict = "",
    direction: Way = "",
    peer: Peer = "",
    port: Port = LEFT_OUT,
    since: At = LEFT_OUT,
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """Packets of all VMs of the project that hosts told of, dropped and accepted, the latest first.

    Without “since” those of the last day. Any other parameter looks among the newest 20,000 rows. Viewers are answered where an
    owner lets them see dropped packets.
    """
    wanted = _wanted(verdict, direction, peer, port, since)
    return _listed(request, None, wanted, cursor, limit)


@operation(
    router, "GET", "/{project}/machines/{machine}/dropped-packets", Scope.READ, right=Right.TRAFFIC, gives=Page[Told]
)
def list_dropped_packets_of_machine(
    request: HttpRequest,
    project: str,
    machine: str,
    verdict: Verdict = "",
    direction: Way = "",
    peer: Peer = "",
    port: Port = LEFT_OUT,
    since: At = LEFT_OUT,
    cursor: Cursor = "",
    limit: Limit = cursors.LIMIT,
) -> Any:
    """Packets of a VM that its host told of, dropped and accepted, the latest first.

    Without “since” those of the last day. Any other parameter looks among the newest 20,000 rows. Viewers are answered where an
    owner lets them see dropped packets.
    """
    found = find_machine(access_of(request), machine)
    wanted = _wanted(verdict, direction, peer, port, since)
    return _listed(request, found, wanted, cursor, limit)


def _wanted(verdict: str, direction: str, peer: str, port: int | None, since: str | None) -> dropped.Wanted:
    """Raises Refusal."""
    now = timezone.now()
    moment = moment_of(since, "since") or now - timedelta(days=1)
    # Before that nothing is kept.
    moment = max(moment, now - timedelta(days=settings.TRAFFIC_DAYS))
    network = None
    if peer:
        try:
            network = parse_network(peer)
        except Refused as refused:
            fault = {"parameter": "peer", "detail": refused.problem.message}
            raise Refusal("invalid", fault["detail"], [fault]) from None
    return dropped.Wanted(moment, verdict, direction, peer=network, port=port)


def _listed(
    request: HttpRequest, machine: VirtualMachine | None, wanted: dropped.Wanted, cursor: str, limit: int
) -> dict[str, Any]:
    rows = dropped.packets(access_of(request).project, machine, wanted)
    return cursors.latest_first(rows, cursor, limit, _told)


def _told(row: Traffic) -> dict[str, Any]:
    made_of = row.made_of
    return {
        "id": row.pk,
        "machine": row.machine.public_id,
        "first": row.first_at,
        "last": row.last_at,
        "packets": row.packets,
        "direction": row.direction,
        "verdict": row.verdict,
        "reason": row.reason,
        "rule": row.rule or None,
        "version": row.version,
        "protocol": row.protocol,
        "peer": row.peer,
        "own": row.own,
        "port": row.port,
        "icmp_type": row.kind,
        "source_port": row.source_port,
        "groups": made_of and [{"id": public_id, "revision": number} for public_id, number in made_of.groups],
    }
