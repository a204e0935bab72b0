"""Packets that a host told of, written down by the hour: of its own VMs, so many different ones, over lists that they had."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Sum

from securitygroups.firewall.protocols import Direction
from securitygroups.models import (
    GroupRevision,
    Host,
    MachineRevision,
    MadeOf,
    Placement,
    SecurityGroup,
    Traffic,
    TrafficHour,
    VirtualMachine,
)

MOST_AN_HOUR, MOST_A_DAY = 500, 5_000
"""Different rows of a VM; of what is more it is kept how many packets there were."""
MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sample:
    """Equal packets of a VM that a host was told of, `times` times, the last one `at`. None and "" are what a packet does not
    have, or what is not known. `reason` is the agent's word; `vector` what the list was made of that was loaded then."""

    vm: str
    at: datetime
    direction: str
    verdict: str
    reason: str
    rule: str
    vector: Mapping[str, Any] | None
    version: int | None
    protocol: int | None
    source: str
    destination: str
    source_port: int | None
    port: int | None
    kind: int | None
    times: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of Traffic before it is written. `vector` and `digest` are what made_of will be."""

    machine: int
    project: int
    hour: datetime
    key: UUID
    direction: str
    verdict: str
    reason: str
    rule: str
    vector: Mapping[str, Any] | None
    digest: str
    version: int | None
    protocol: int | None
    peer: str | None
    own: str | None
    port: int | None
    kind: int | None
    source_port: int | None
    packets: int
    first_at: datetime
    last_at: datetime

    @property
    def where(self) -> tuple[int, datetime, UUID]:
        return self.machine, self.hour, self.key

    def with_more(self, other: "_Row") -> "_Row":
        newest = max(self, other, key=lambda row: row.last_at)
        return replace(
            newest,
            packets=min(self.packets + other.packets, MOST),
            first_at=min(self.first_at, other.first_at),
        )


def take_samples(host: Host, samples: Sequence[Sample]) -> None:
    """Inside a transaction that has the host's lock. A handful of queries, however many samples there are."""
    if not samples:
        return
    rows = _rows(_there(host, {one.vm for one in samples}), samples)
    known = _add_up(rows)
    fresh = [row for where, row in rows.items() if where not in known]
    if fresh:
        _write(*_chosen(fresh))


# What a VM sent while it was another project's is that customer's: it came here with the revision behind the last of theirs.
_REVISIONS = MachineRevision._meta.db_table
_THERE = f"""
SELECT m.public_id, m.id, m.project_id, (
    SELECT min(r.at) FROM {_REVISIONS} r WHERE r.machine_id = m.id AND r.number > (
        SELECT max(b.number) FROM {_REVISIONS} b WHERE b.machine_id = m.id AND b.project_id <> m.project_id))
FROM {Placement._meta.db_table} p JOIN {VirtualMachine._meta.db_table} m ON m.id = p.machine_id
WHERE p.host_id = %s AND m.deleted_at IS NULL AND m.public_id = ANY(%s)
"""  # noqa: S608 – names of our own tables, as below


def _there(host: Host, vms: Iterable[str]) -> dict[str, tuple[int, int, datetime | None]]:
    """The VMs that stand on the host, each with its key, its project's, and since when it is there, where it came
    from another."""
    with connection.cursor() as cursor:
        cursor.execute(_THERE, [host.pk, sorted(vms)])
        return {public_id: (pk, project, since) for public_id, pk, project, since in cursor.fetchall()}


def _rows(
    there: Mapping[str, tuple[int, int, datetime | None]], samples: Iterable[Sample]
) -> dict[tuple[int, datetime, UUID], _Row]:
    """Equal ones once: a statement writes each row once."""
    rows: dict[tuple[int, datetime, UUID], _Row] = {}
    for one in samples:
        machine, project, since = there.get(one.vm, (0, 0, None))
        if machine and (since is None or one.at >= since):
            row = _row(machine, project, one)
            rows[row.where] = rows[row.where].with_more(row) if row.where in rows else row
    return rows


def _row(machine: int, project: int, one: Sample) -> _Row:
    made_of = {name: one.vector[name] for name in ("attached", "groups")} if one.vector else None
    digest = sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest() if made_of else ""
    ends = (one.source or None, one.destination or None)
    peer, own = ends if one.direction == Direction.IN else ends[::-1]
    packet = (one.direction, one.verdict, one.reason, one.rule, digest, one.version, one.protocol, peer, own)
    equal = (project, *packet, one.port, one.kind)
    return _Row(
        machine,
        project,
        one.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0),
        UUID(bytes=sha256(json.dumps(equal).encode()).digest()[:16]),
        one.direction,
        one.verdict,
        one.reason,
        one.rule,
        made_of,
        digest,
        one.version,
        one.protocol,
        peer,
        own,
        one.port,
        one.kind,
        one.source_port,
        one.times,
        one.at,
        one.at,
    )


_SAID = """jsonb_to_recordset(%s::jsonb) AS said (machine bigint, project bigint, hour timestamptz, key uuid, direction text,
    verdict text, reason text, rule text, vector jsonb, digest text, version int, protocol int, peer inet, own inet, port int,
    kind int, source_port int, packets bigint, first_at timestamptz, last_at timestamptz)"""
_ADD_UP = f"""
UPDATE {Traffic._meta.db_table} AS known
SET packets = least(known.packets::numeric + said.packets, 9223372036854775807)::bigint,
    source_port = CASE WHEN said.last_at >= known.last_at THEN said.source_port ELSE known.source_port END,
    first_at = least(known.first_at, said.first_at), last_at = greatest(known.last_at, said.last_at)
FROM {_SAID} WHERE (known.machine_id, known.hour, known.key) = (said.machine, said.hour, said.key)
RETURNING known.machine_id, known.hour, known.key
"""  # noqa: S608


def _as_json(rows: Iterable[_Row]) -> str:
    return json.dumps([asdict(row) for row in rows], default=str)


def _add_up(rows: Mapping[tuple[int, datetime, UUID], _Row]) -> set[tuple[int, datetime, UUID]]:
    """Add to the rows that are there; which these are."""
    with connection.cursor() as cursor:
        cursor.execute(_ADD_UP, [_as_json(rows.values())])
        return set(cursor.fetchall())


def _chosen(fresh: Sequence[_Row]) -> tuple[list[_Row], list[_Row]]:
    """Those for which there is room, and the others."""
    hours, days = _counted(fresh)
    kept: list[_Row] = []
    beyond: list[_Row] = []
    for row in fresh:
        hour, day = (row.machine, row.hour), (row.machine, row.hour.date())
        if hours[hour] >= MOST_AN_HOUR or days[day] >= MOST_A_DAY:
            beyond.append(row)
            continue
        hours[hour] += 1
        days[day] += 1
        kept.append(row)
    return kept, beyond


def _counted(fresh: Sequence[_Row]) -> tuple[Counter[Any], Counter[Any]]:
    """How many rows these VMs have of each hour, and of each day of UTC."""
    days: Counter[Any] = Counter()
    hours: Counter[Any] = Counter()
    first = min(row.hour for row in fresh).replace(hour=0)
    there = TrafficHour.objects.filter(machine__in={row.machine for row in fresh}, hour__gte=first)
    # A VM that was moved has two rows of that hour.
    for machine, hour, rows in there.values_list("machine", "hour").annotate(Sum("rows")).order_by():
        hours[machine, hour] += rows
        days[machine, hour.date()] += rows
    return hours, days


# A list that the VM had: its groups are those of its revision, in order, and each of them has had that list.
_MADE_OF = f"""
WITH said AS (
    SELECT machine, project, digest, vector, (vector->>'attached')::bigint AS attached,
        ARRAY(SELECT one->>0 FROM jsonb_array_elements(vector->'groups') WITH ORDINALITY t (one, place) ORDER BY place) AS ids
    FROM jsonb_to_recordset(%s::jsonb) AS said (machine bigint, project bigint, digest text, vector jsonb)
)
INSERT INTO {MadeOf._meta.db_table} AS known (machine_id, digest, vector)
SELECT said.machine, said.digest, said.vector FROM said
JOIN {MachineRevision._meta.db_table} r
    ON r.machine_id = said.machine AND r.number = said.attached AND r.project_id = said.project
WHERE said.ids = ARRAY(SELECT one->>'id' FROM jsonb_array_elements(r.groups) WITH ORDINALITY t (one, place) ORDER BY place)
    AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(said.vector->'groups') one WHERE NOT EXISTS (
            SELECT FROM {SecurityGroup._meta.db_table} g JOIN {GroupRevision._meta.db_table} gr ON gr.group_id = g.id
            WHERE g.public_id = one->>0 AND g.project_id = said.project AND gr.number = (one->>1)::bigint))
-- Written anew, and so locked: it may just be tidied away.
ON CONFLICT (machine_id, digest) DO UPDATE SET digest = excluded.digest
RETURNING machine_id, digest, id
"""  # noqa: S608
_INSERT = f"""
INSERT INTO {Traffic._meta.db_table} AS known (project_id, machine_id, hour, key, direction, verdict, reason, rule,
    made_of_id, version, protocol, peer, own, port, kind, source_port, packets, first_at, last_at)
SELECT said.project, said.machine, said.hour, said.key, said.direction, said.verdict, said.reason,
    -- A rule of a list that is not known may be another customer's.
    CASE WHEN made.id IS NULL THEN '' ELSE said.rule END,
    made.id, said.version, said.protocol, said.peer, said.own, said.port, said.kind, said.source_port, said.packets,
    said.first_at, said.last_at
FROM {_SAID} LEFT JOIN unnest(%s::bigint[], %s::text[], %s::bigint[]) AS made (machine, digest, id)
    ON (made.machine, made.digest) = (said.machine, said.digest)
ON CONFLICT (machine_id, hour, key) DO UPDATE
SET packets = least(known.packets::numeric + excluded.packets, 9223372036854775807)::bigint,
    first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at)
"""  # noqa: S608
_COUNT = f"""
INSERT INTO {TrafficHour._meta.db_table} AS known (project_id, machine_id, hour, rows, beyond)
SELECT said.project, said.machine, said.hour, said.rows, said.beyond
FROM jsonb_to_recordset(%s::jsonb) AS said (project bigint, machine bigint, hour timestamptz, rows int, beyond bigint)
ON CONFLICT (machine_id, project_id, hour) DO UPDATE SET rows = known.rows + excluded.rows,
    beyond = least(known.beyond::numeric + excluded.beyond, 9223372036854775807)::bigint
"""  # noqa: S608


def _write(kept: Sequence[_Row], beyond: Sequence[_Row]) -> None:
    with connection.cursor() as cursor:
        if kept:
            cursor.execute(_MADE_OF, [json.dumps(list(_lists(kept)))])
            made = cursor.fetchall()
            columns = [list(column) for column in zip(*made, strict=True)] if made else [[], [], []]
            cursor.execute(_INSERT, [_as_json(kept), *columns])
        cursor.execute(_COUNT, [json.dumps(list(_hours(kept, beyond)), default=str)])


def _lists(kept: Iterable[_Row]) -> Iterator[dict[str, Any]]:
    """What the lists were made of, each once: a statement writes each row once."""
    once = {(row.machine, row.digest): row for row in kept if row.vector}
    for row in once.values():
        yield {"machine": row.machine, "project": row.project, "digest": row.digest, "vector": row.vector}


def _hours(kept: Sequence[_Row], beyond: Sequence[_Row]) -> Iterator[dict[str, Any]]:
    rows = Counter((row.project, row.machine, row.hour) for row in kept)
    more: Counter[tuple[int, int, datetime]] = Counter()
    for row in beyond:
        more[row.project, row.machine, row.hour] += row.packets
    for project, machine, hour in sorted({*rows, *more}):
        where = project, machine, hour
        packets = min(more[where], MOST)
        yield {"project": project, "machine": machine, "hour": hour, "rows": rows[where], "beyond": packets}
