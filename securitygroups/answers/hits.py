"""How often the rules of a group were met on the hosts, over which VMs, and since when that is known.

An hour without a row is an hour without a packet, or one in which nobody counted. A VM's lines of the platform are met
whenever its host counts at all, by neighbours that look for it if by nothing else: so it is counted from the last day
before which there was a whole one without any of them (days are those of UTC). Whatever changed its groups begins it anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from securitygroups.answers.kept import kept
from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.models import Attachment, MachineRevision, Rule, RuleHits, SecurityGroup, VirtualMachine
from securitygroups.models.hosts import HITS_KEPT, IN, RULE

_LINES = dict.fromkeys(["none", *(line.what for target in Target for line in platform_lines(target))])
MOST_MACHINES = 100
"""VMs whose hits are added up at once: each may have a row for every hour and rule. Of several groups the smallest come first."""
KEPT_FROM, KEPT_FOR = 20, 600
"""Of a group on so many VMs what was found is kept, for so many seconds: hours pass slower."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """On how many of its VMs the rules of a group are counted, and since when on all of these. `too_many`: nobody looked."""

    machines: int = 0
    counted: int = 0
    since: datetime | None = None
    too_many: bool = False

    @property
    def is_full(self) -> bool:
        return bool(self.counted) and self.counted == self.machines and not self.too_many


@dataclass(frozen=True, slots=True)
class Hit:
    """How often a rule was met, in which hour last, and on how many VMs."""

    packets: int
    last: datetime
    machines: int


@dataclass(frozen=True, slots=True)
class Hits:
    """Of the rules of a group, by identity; those that were not met are not in it."""

    coverage: Coverage = field(default_factory=Coverage)
    of: Mapping[str, Hit] = field(default_factory=dict)

    def never_since(self, uid: str, added: datetime | None) -> datetime | None:
        """Since when it is known of all VMs that the rule was never met; None where it was, or where that is not known."""
        since = self.coverage.since
        if uid in self.of or since is None or added is None or not self.coverage.is_full:
            return None
        return max(since, added)


_TABLES = {
    "hits": RuleHits._meta.db_table,
    "attachments": Attachment._meta.db_table,
    "machines": VirtualMachine._meta.db_table,
    "revisions": MachineRevision._meta.db_table,
    "rules": Rule._meta.db_table,
}
_HITS = """
WITH vms AS (
    SELECT a.group_id, m.id, r.at FROM {attachments} a JOIN {machines} m ON m.id = a.machine_id
    LEFT JOIN {revisions} r ON r.machine_id = m.id AND r.number = m.revision
    WHERE a.group_id = ANY(%(groups)s) AND m.deleted_at IS NULL
), few AS (
    SELECT group_id FROM (
        SELECT group_id, sum(count(*)) OVER (ORDER BY count(*), group_id) AS together FROM vms GROUP BY group_id
    ) sizes WHERE together <= %(most)s
), days AS (
    -- A row is looked for, and not all of them read: each of these is one step down the index.
    SELECT vm.id AS machine_id, day.at FROM (SELECT DISTINCT id FROM vms JOIN few USING (group_id)) vm
    CROSS JOIN unnest(%(days)s::timestamptz[]) AS day (at)
    WHERE EXISTS (SELECT FROM {hits} h WHERE h.machine_id = vm.id AND h.kind = '{platform}' AND h.what = ANY(%(lines)s)
        AND h.hour >= day.at AND h.hour < day.at + interval '1 day')
), met AS (
    SELECT r.group_id, r.uid, vms.id, its.last, its.packets
    FROM {rules} r JOIN few USING (group_id) JOIN vms ON vms.group_id = r.group_id
    CROSS JOIN LATERAL (SELECT max(h.hour) AS last, sum(h.packets) AS packets FROM {hits} h
        WHERE h.machine_id = vms.id AND h.kind = '{rule}' AND h.what = r.uid AND h.hour >= %(since)s) its
    WHERE its.packets > 0
)
SELECT 'vm', group_id, id, '', at, 0, 0 FROM vms WHERE group_id IN (SELECT group_id FROM few)
UNION ALL SELECT 'many', group_id, 0, '', NULL, count(*), 0 FROM vms
    WHERE group_id NOT IN (SELECT group_id FROM few) GROUP BY group_id
UNION ALL SELECT 'day', 0, machine_id, '', at, 0, 0 FROM days
UNION ALL SELECT 'rule', group_id, 0, uid, max(last), sum(packets), count(*) FROM met GROUP BY group_id, uid
""".format(platform=IN, rule=RULE, **_TABLES)  # noqa: S608 – names of our own tables


def hits_of(group: SecurityGroup, machines: int) -> Hits:
    """Of the group's rules, over the last 30 days (one query); `machines` is on how many VMs it is."""
    if not KEPT_FROM <= machines <= MOST_MACHINES:
        return hits_of_groups([group.pk])[group.pk]
    mark = f"{group.project_id}:{group.pk}:{group.revision}:{machines}:{int(timezone.now().timestamp()) // KEPT_FOR}"
    return _read(kept("hits", lambda: mark, lambda: _written(hits_of_groups([group.pk])[group.pk]), lambda _: True))


def _written(hits: Hits) -> Any:
    """As JSON has it."""
    its = hits.coverage
    since = its.since and its.since.isoformat()
    rules = {uid: [hit.packets, hit.last.isoformat(), hit.machines] for uid, hit in hits.of.items()}
    return [its.machines, its.counted, since, its.too_many, rules]


def _read(said: Any) -> Hits:
    machines, counted, since, too_many, rules = said
    coverage = Coverage(machines, counted, datetime.fromisoformat(since) if since else None, too_many)
    return Hits(coverage, {uid: Hit(one, datetime.fromisoformat(at), on) for uid, (one, at, on) in rules.items()})


def hits_of_groups(groups: Iterable[int]) -> dict[int, Hits]:
    """The same of several groups, by key (one query)."""
    keys, now = list(groups), timezone.now()
    since = (now - HITS_KEPT).replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        days = [_midnight(now) - timedelta(days=number) for number in range(HITS_KEPT.days + 1)]
        told: dict[str, Any] = {
            "groups": keys,
            "most": MOST_MACHINES,
            "since": since,
            "days": days,
            "lines": list(_LINES),
        }
        cursor.execute(_HITS, told)
        rows = cursor.fetchall()
    vms: dict[int, dict[int, datetime | None]] = {pk: {} for pk in keys}
    counted_on: dict[int, set[datetime]] = {}
    many: dict[int, int] = {}
    met: dict[int, dict[str, Hit]] = {pk: {} for pk in keys}
    for kind, group, machine, uid, at, number, machines in rows:
        if kind == "vm":
            vms[group][machine] = at
        elif kind == "day":
            counted_on.setdefault(machine, set()).add(at)
        elif kind == "many":
            many[group] = number
        else:
            met[group][uid] = Hit(int(number), at, machines)
    counted = {machine: _since(its, now) for machine, its in counted_on.items()}
    return {
        pk: Hits(Coverage(many[pk], too_many=True) if pk in many else _coverage(vms[pk], counted), met[pk])
        for pk in keys
    }


def _coverage(vms: Mapping[int, datetime | None], counted: Mapping[int, datetime | None]) -> Coverage:
    begun = []
    for machine, at in vms.items():
        since = counted.get(machine)
        if since is not None:
            begun.append(max(since, at) if at else since)
    return Coverage(len(vms), len(begun), max(begun, default=None))


def _since(days: set[datetime], now: datetime) -> datetime | None:
    """When counting began that goes on still. Of its first day it is not known in which hour."""
    day = _midnight(now)
    # The day has just begun: nothing may have come yet.
    day = day if day in days else day - timedelta(days=1)
    since = None
    while day in days:
        since, day = day, day - timedelta(days=1)
    return min(since + timedelta(days=1), now.replace(minute=0, second=0, microsecond=0)) if since else None


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
