"""The packets that hosts told of in the last 30 days, and what becomes of them by rules: those of now, or others.

Samples, not everything: of a flood the kernel tells a part. The newest are read, so many of each VM that all of them
together are bounded.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from securitygroups.effective import Fleet, Limits, TooLarge, fleet
from securitygroups.firewall.flows.batch import of_packets
from securitygroups.firewall.flows.compiled import CompiledList
from securitygroups.firewall.networks import address_text
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import BITS, Network, Packet
from securitygroups.models import Attachment, SecurityGroup, Traffic, VirtualMachine
from securitygroups.models.traffic import kept_since

MOST_ROWS, MOST_MACHINES = 20_000, 500
"""Rows that are read at once, and VMs whose rows they are."""
JUDGED = ("accept", "rule", "none")
"""Why a packet was told of, where rules had decided; of others it is the connection or the sender."""
LIMITS = Limits(stored=100_000, effective=200_000)
NETWORKS = 4
"""So many networks the senders are put together in."""


class Row(NamedTuple):
    """Equal packets of a VM in an hour."""

    machine: int
    direction: str
    verdict: str
    version: int
    protocol: int
    peer: str
    own: str
    port: int | None
    packets: int
    last_at: datetime

    @property
    def packet(self) -> Packet:
        peer, own = (int(ipaddress.ip_address(text)) for text in (self.peer, self.own))
        source, destination = (peer, own) if self.direction == Direction.IN else (own, peer)
        return Packet(Direction(self.direction), self.version, self.protocol, source, destination, self.port)


@dataclass(frozen=True, slots=True)
class Samples:
    """Of the newest first of each VM. `is_cut`: there are older ones that were not read."""

    rows: tuple[Row, ...]
    is_cut: bool = False


_ROWS = f"""
SELECT vm.id, t.direction, t.verdict, t.reason, t.version, t.protocol, host(t.peer), host(t.own), t.port, t.packets, t.last_at
FROM unnest(%s::bigint[]) AS vm (id) CROSS JOIN LATERAL (
    SELECT * FROM {Traffic._meta.db_table} t WHERE t.machine_id = vm.id AND t.last_at >= %s
    ORDER BY t.last_at DESC, t.id DESC LIMIT %s
) t WHERE t.project_id = %s
"""  # noqa: S608 – a name of our own tables


def samples_of(project: int, machines: Sequence[int], most: int = MOST_ROWS) -> Samples:
    """What was told of these VMs while they were the project's (one query)."""
    if not machines:
        return Samples(())
    each = max(1, most // len(machines))
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, [list(machines), kept_since(timezone.now()), each, project])
        rows = cursor.fetchall()
    counts: dict[int, int] = {}
    found = []
    for machine, direction, verdict, reason, version, protocol, peer, own, *rest in rows:
        counts[machine] = counts.get(machine, 0) + 1
        if reason in JUDGED and version and protocol is not None and peer and own:
            found.append(Row(machine, direction, verdict, version, protocol, peer, own, *rest))
    return Samples(tuple(found), any(number >= each for number in counts.values()))


def fleet_seen(machines: QuerySet[VirtualMachine]) -> Fleet | None:
    """The VMs with their lists; None where these are too many, or too long, to be gone through beside something else."""
    if len(machines[: MOST_MACHINES + 1]) > MOST_MACHINES:
        return None
    try:
        return fleet(machines, LIMITS)
    except TooLarge:
        return None


def decided(now: Fleet, rows: Sequence[Row]) -> list[tuple[bool, tuple[int, int] | None]]:
    """Of each row whether it passes, and the rule that decides it: its group, by key, and its place there."""
    sequences = {vm.pk: sequence for vm, sequence in zip(now.machines, now.sequence_of, strict=True)}
    by_sequence: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        by_sequence.setdefault(sequences[row.machine], []).append(number)
    answers: list[tuple[bool, tuple[int, int] | None]] = [(False, None)] * len(rows)
    for sequence, numbers in by_sequence.items():
        batch = of_packets([rows[number].packet for number in numbers])
        passed, places = CompiledList(now.rules(sequence)).judge(batch)
        for number, passes, place in zip(numbers, passed.tolist(), places.tolist(), strict=True):
            answers[number] = passes, now.spot(sequence, place) if place > 0 else None
    return answers


# ── From where a rule was met ─────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Peers:
    """The other ends of what a rule accepted, as far as it was told: how many, in few networks, and at which ports."""

    number: int
    networks: tuple[str, ...]
    ports: tuple[int, ...]
    is_cut: bool = False


def peers_of(group: SecurityGroup, uid: str) -> Peers | None:
    """Of one rule of the group; None where its VMs are too many to look at (a few queries)."""
    found = peers_in(group.project_id, [group.pk])
    return None if found is None else found.get(uid, Peers(0, (), ()))


def peers_in(project: int, groups: Sequence[int]) -> dict[str, Peers] | None:
    """Of all rules of these groups that accepted something, by identity; None where their VMs are too many to look at (a few
    queries, however many groups)."""
    having = Attachment.objects.filter(group__in=groups).values("machine")
    now = fleet_seen(VirtualMachine.objects.live().filter(pk__in=having).order_by("name", "pk"))
    if now is None:
        return None
    samples = samples_of(project, [vm.pk for vm in now.machines])
    rows = [row for row in samples.rows if row.verdict == "accept"]
    by_rule: dict[str, list[Row]] = {}
    for row, (passes, rule) in zip(rows, decided(now, rows), strict=True):
        if passes and rule and rule[0] in groups:
            by_rule.setdefault(now.groups[rule[0]].rules[rule[1] - 1].uid, []).append(row)
    return {uid: _peers(its, is_cut=samples.is_cut) for uid, its in by_rule.items()}


def _peers(rows: Iterable[Row], *, is_cut: bool) -> Peers:
    rows = list(rows)
    peers = {row.peer for row in rows}
    ports = sorted({row.port for row in rows if row.port is not None})
    return Peers(len(peers), tuple(networks_of(peers)), tuple(ports), is_cut)


def networks_of(addresses: Iterable[str], most: int = NETWORKS) -> list[str]:
    """The addresses in at most so many networks; two next to each other are joined where that is the least wide."""
    plain = sorted({ipaddress.ip_address(text) for text in addresses}, key=lambda one: (one.version, int(one)))
    found = [Network(one.version, int(one), one.max_prefixlen) for one in plain]
    while len(found) > most:
        # Of both families there is always a pair of one, while there may be more than two.
        pairs = [_joined(one, other) for one, other in pairwise(found) if one.version == other.version]
        least = min(pairs, key=lambda one: BITS[one.version] - one.prefix)
        outside = [
            one for one in found if not (one.version == least.version and least.first <= one.first <= least.last)
        ]
        found = sorted([*outside, least], key=lambda one: (one.version, one.first))
    # 0 alone would be read as all of its family.
    return [address_text(one.version, one.first) if 0 < one.first == one.last else str(one) for one in found]


def _joined(one: Network, other: Network) -> Network:
    """The smallest network that holds both."""
    prefix = min(one.prefix, other.prefix, BITS[one.version] - (one.first ^ other.first).bit_length())
    first = one.first >> (BITS[one.version] - prefix) << (BITS[one.version] - prefix)
    return Network(one.version, first, prefix)
