"""Where a VM's rules stand: in force on its host, on their way, refused, changed by hand, or nowhere.

It is found by comparing what its rules are made of now with what the host said last, in one query for any number of VMs.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from securitygroups.enforcement.desired import VECTOR
from securitygroups.firewall.texts import visible
from securitygroups.models import (
    Attachment,
    GroupRevision,
    Host,
    InForce,
    MachineRevision,
    Placement,
    Project,
    SecurityGroup,
    VirtualMachine,
)
from securitygroups.words import hosts as words

SILENT = timedelta(seconds=60)
"""After which a host that says nothing is told to be silent: agents ask every few seconds, which is written every 15."""
FOLLOWED = 60
"""Seconds for which a change is followed after it was made."""
NAMED = 20
"""VMs of a group that are named because the newest rules are not in force there."""

Clock = Callable[[datetime], str]
"""Writes a moment as the page shows it."""


class Kind(StrEnum):
    """In the order in which they are asked: what is more is told by the host's own words."""

    NOWHERE = "nowhere"
    NO_AGENT = "no agent"
    REVOKED = "revoked"
    SILENT = "silent"
    REFUSED = "refused"
    DRIFTED = "drifted"
    IN_FORCE = "in force"
    APPLYING = "applying"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the rules of one VM stand.

    `loaded` is when the list was loaded that is there, None where none is known to be. `since` is when the host was heard of
    last, for a silent one, and otherwise when the newest change was made. `reported` is when the host said something else of
    it than before. `outdated` says that another version of the compiler made it than the panel has, and `in_use` whether
    any host of the panel has ever had an agent: where none has, that there is none is nothing to be told of every VM.
    """

    kind: Kind
    machine: int
    public_id: str
    name: str
    host: str = ""
    host_id: str = ""
    loaded: datetime | None = None
    since: datetime | None = None
    error: str = ""
    drift: tuple[str, ...] = ()
    outdated: bool = False
    in_use: bool = True
    reported: datetime | None = None

    @property
    def short(self) -> str:
        """In two or three words, for lists."""
        return words.SHORT[self.kind]

    @property
    def is_in_force(self) -> bool:
        """Whether the host has said that the newest rules are loaded as they should be, and can still be believed."""
        return self.kind is Kind.IN_FORCE

    def seconds(self, now: datetime) -> int:
        """For how long the newest change has been on its way."""
        return max(0, int((now - self.since).total_seconds())) if self.since else 0

    def sentence(self, clock: Clock, now: datetime | None = None) -> str:
        """In words, with moments as `clock` writes them."""
        loaded = clock(self.loaded) if self.loaded else ""
        since = clock(self.since) if self.since else "it was enrolled"
        said = {
            Kind.NOWHERE: words.on_no_host(),
            Kind.NO_AGENT: words.without_agent(self.host),
            Kind.REVOKED: words.revoked(self.host, loaded),
            Kind.SILENT: words.silent(self.host, since, loaded),
            Kind.REFUSED: words.refused(self.host, self.error),
            Kind.DRIFTED: words.changed_by_hand(self.host, len(self.drift)),
            Kind.IN_FORCE: words.in_force(self.host, loaded),
            Kind.APPLYING: words.being_applied(self.host, self.seconds(now or timezone.now())),
        }
        return said[self.kind]


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """On how many of the VMs that have a group their newest rules are in force, and the first of the others.

    `kinds` is how many VMs stand in each way, and `newest` when the last host said that it has the rules.
    """

    total: int
    in_force: int
    others: tuple[Standing, ...]
    kinds: Mapping[Kind, int] = field(default_factory=dict)
    newest: datetime | None = None

    @property
    def missing(self) -> int:
        return self.total - self.in_force

    @property
    def sentence(self) -> str:
        return words.group_in_force(self.in_force, self.total)


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a change has come on the VMs that it is about: `pending` of them wait for it, `seconds` is for how long, or
    after how long the last one had it."""

    total: int
    in_force: int
    pending: int
    seconds: int | None
    others: Mapping[Kind, int]
    host: str = ""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for, or it was waited for long enough."""
        return not self.pending or (self.seconds or 0) >= FOLLOWED

    @property
    def is_good(self) -> bool:
        return self.in_force == self.total

    @property
    def pause(self) -> int:
        """After so many seconds it is worth looking again."""
        return 2 if (self.seconds or 0) < 10 else 4 if (self.seconds or 0) < 30 else 8

    @property
    def sentence(self) -> str:
        seconds = self.seconds or 0
        if self.pending and not self.is_over:
            return words.applied_on(self.pending, self.total, seconds, self.host)
        if self.pending:
            return words.not_yet(self.pending, self.total, seconds, self.host)
        others = {kind.value: number for kind, number in self.others.items()}
        return words.in_force_after(self.in_force, self.total, self.seconds, others, self.host)


@dataclass(frozen=True, slots=True)
class HostStanding:
    """How many VMs stand on a host, and of how many the newest rules are in force, were refused, or are changed by hand."""

    total: int
    in_force: int
    refused: int
    drifted: int


_STANDINGS = f"""
SELECT m.id, m.public_id, m.name, h.name, h.public_id, h.key <> '', h.revoked_at, coalesce(h.seen_at, h.enrolled_at),
    CASE WHEN f.vector IS NOT NULL THEN f.since END, f.error, f.drift::text,
    -- The compiler's version is the agent's own matter: it has taken the lists that it was given.
    coalesce(f.vector - 'text' = made.vector - 'text', false), coalesce(f.vector->'text' <> made.vector->'text', false),
    CASE WHEN f.vector - 'text' = made.vector - 'text' THEN NULL ELSE greatest(p.since,
        (SELECT r.at FROM {{machine_revisions}} r WHERE r.machine_id = m.id AND r.number = m.revision),
        (SELECT max(r.at) FROM {{attachments}} a JOIN {{groups}} g ON g.id = a.group_id
         JOIN {{group_revisions}} r ON r.group_id = g.id AND r.number = g.revision WHERE a.machine_id = m.id)) END,
    {{in_use}}, f.reported_at
FROM {{machines}} m
LEFT JOIN {{placements}} p ON p.machine_id = m.id
LEFT JOIN {{hosts}} h ON h.id = p.host_id
LEFT JOIN {{in_force}} f ON f.placement_id = p.id AND f.host_id = p.host_id
LEFT JOIN LATERAL (SELECT {VECTOR} AS vector) made ON p.host_id IS NOT NULL
WHERE m.deleted_at IS NULL AND {{which}}
ORDER BY m.name, m.id
"""  # noqa: S608 – names of our own tables
_COUNTED = f"""
SELECT p.host_id, count(*),
    count(*) FILTER (WHERE f.vector - 'text' = made.vector - 'text' AND f.error = '' AND f.drift = '[]'),
    count(*) FILTER (WHERE f.error <> ''), count(*) FILTER (WHERE f.drift <> '[]')
FROM {{placements}} p
JOIN {{machines}} m ON m.id = p.machine_id
CROSS JOIN LATERAL (SELECT {VECTOR} AS vector) made
LEFT JOIN {{in_force}} f ON f.placement_id = p.id AND f.host_id = p.host_id
WHERE m.deleted_at IS NULL AND p.host_id = ANY(%s)
GROUP BY p.host_id
"""  # noqa: S608
_TABLES = {
    "machines": VirtualMachine._meta.db_table,
    "placements": Placement._meta.db_table,
    "hosts": Host._meta.db_table,
    "in_force": InForce._meta.db_table,
    "attachments": Attachment._meta.db_table,
    "groups": SecurityGroup._meta.db_table,
    "group_revisions": GroupRevision._meta.db_table,
    "machine_revisions": MachineRevision._meta.db_table,
}
_IN_USE = f"(SELECT EXISTS (SELECT FROM {Host._meta.db_table} WHERE key <> ''))"  # noqa: S608
_OF_GROUP = f"m.id IN (SELECT machine_id FROM {Attachment._meta.db_table} WHERE group_id = %s) AND {_IN_USE}"  # noqa: S608


def in_use() -> bool:
    """Whether any host of the panel has ever had an agent (one query)."""
    return Host.objects.exclude(key="").exists()


def of_machine(machine: VirtualMachine) -> Standing:
    """Of one VM that is there (one query)."""
    return next(_standings("m.id = %s", machine.pk))


def of_machines(machines: Sequence[int]) -> dict[int, Standing]:
    """Of live VMs, by key; of none where no host has ever had an agent (one query)."""
    if not machines:
        return {}
    return {one.machine: one for one in _standings(f"m.id = ANY(%s) AND {_IN_USE}", list(machines))}


def not_in_force(project: Project) -> set[int]:
    """The keys of the project's VMs on which the newest rules are not in force; none where no host has ever had an agent (one
    query)."""
    found = _standings(f"m.project_id = %s AND {_IN_USE}", project.pk)
    return {one.machine for one in found if not one.is_in_force}


def of_host(host: Host) -> list[Standing]:
    """Of all VMs that stand on the host (one query)."""
    return list(_standings("p.host_id = %s", host.pk))


def of_hosts(hosts: Sequence[Host]) -> dict[int, HostStanding]:
    """Of each of these hosts, by key (one query)."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED.format(**_TABLES), [[host.pk for host in hosts]])
        counted = {key: counts for key, *counts in cursor.fetchall()}
    now = timezone.now()
    found = {}
    for host in hosts:
        total, newest, refused, drifted = counted.get(host.pk, (0, 0, 0, 0))
        believed = host.listens and host.silent_for(now) <= SILENT
        found[host.pk] = HostStanding(total, newest if believed else 0, refused, drifted)
    return found


def of_group(group: SecurityGroup) -> GroupStanding:
    """Of all VMs that have the group; of none where no host has ever had an agent (one query)."""
    return together(_standings(_OF_GROUP, group.pk))


def together(standings: Iterable[Standing]) -> GroupStanding:
    """What is said of many VMs at once."""
    kinds: Counter[Kind] = Counter()
    others: list[Standing] = []
    newest = None
    for one in standings:
        kinds[one.kind] += 1
        if not one.is_in_force:
            others.append(one)
        elif one.reported and (newest is None or one.reported > newest):
            newest = one.reported
    return GroupStanding(kinds.total(), kinds[Kind.IN_FORCE], tuple(others[:NAMED]), kinds, newest)


def follow_machine(machine: VirtualMachine, made: datetime) -> Followed:
    """How far a change that was made then has come on the VM (one query)."""
    standing = of_machine(machine)
    return replace(_followed([standing], made), host=standing.host)


def follow_group(group: SecurityGroup, made: datetime) -> Followed:
    """The same on all VMs that have the group (one query)."""
    return _followed(_standings(_OF_GROUP, group.pk), made)


def _followed(standings: Iterable[Standing], made: datetime) -> Followed:
    now = timezone.now()
    pending, had = 0, list[datetime]()
    kinds: Counter[Kind] = Counter()
    for one in standings:
        # What a host said before the change says nothing of it.
        is_old = one.kind in (Kind.REFUSED, Kind.DRIFTED) and (one.reported is None or one.reported < made)
        if one.kind is Kind.APPLYING or is_old:
            pending += 1
            continue
        kinds[one.kind] += 1
        if one.is_in_force and one.reported and one.reported >= made:
            had.append(one.reported)
    total, in_force = kinds.total() + pending, kinds.pop(Kind.IN_FORCE, 0)
    until = now if pending else max(had, default=None)
    seconds = None if until is None else max(0, int((until - made).total_seconds()))
    return Followed(total, in_force, pending, seconds, kinds)


class _Row(NamedTuple):
    """As the query gives it."""

    machine: int
    public_id: str
    name: str
    host: str | None
    host_id: str | None
    has_agent: bool | None
    revoked_at: datetime | None
    heard: datetime | None
    loaded: datetime | None
    error: str | None
    drift: str | None
    is_newest: bool
    outdated: bool
    changed: datetime | None
    in_use: bool
    reported: datetime | None


def _standings(which: str, value: Any) -> Iterator[Standing]:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_STANDINGS.format(which=which, in_use=_IN_USE, **_TABLES), [value])
        rows = map(_Row._make, cursor.fetchall())
    return (_standing(row, now) for row in rows)


def _standing(row: _Row, now: datetime) -> Standing:
    kind = _kind(row, now)
    return Standing(
        kind,
        row.machine,
        row.public_id,
        visible(row.name),
        visible(row.host or ""),
        row.host_id or "",
        loaded=row.loaded,
        since=row.heard if kind is Kind.SILENT else row.changed,
        error=visible(row.error or ""),
        drift=tuple(visible(line) for line in json.loads(row.drift or "[]")),
        outdated=row.outdated,
        in_use=row.in_use,
        reported=row.reported,
    )


def _kind(row: _Row, now: datetime) -> Kind:
    asked = {
        Kind.NOWHERE: row.host is None,
        Kind.NO_AGENT: not row.has_agent,
        Kind.REVOKED: row.revoked_at is not None,
        Kind.SILENT: row.heard is None or now - row.heard > SILENT,
        Kind.REFUSED: bool(row.error),
        Kind.DRIFTED: row.drift not in (None, "[]"),
        Kind.IN_FORCE: row.is_newest,
    }
    return next((kind for kind, holds in asked.items() if holds), Kind.APPLYING)
