"""What a host's agent sends: that it lives, which rules are in force there, what it counted, which VMs it has.

What it says again is not written again: a row of a VM is written where something differs, that the host lives every few
seconds at most.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.models import Attachment, Host, HostNonce, InForce, Placement, Rule, RuleHits, VirtualMachine
from securitygroups.models.hosts import NONCE_KEPT
from securitygroups.operations.reported import Tap, follow_inventory
from securitygroups.operations.samples import Sample, take_samples

SEEN_EACH = timedelta(seconds=15)
"""That a host lives is not written with each request."""
SWEPT = 3
"""Nonces of long ago that each request takes away, at most. More than one, so that their number falls."""
PLATFORM = frozenset(
    {"none", "spoofed", "server", *(line.what for target in Target for line in platform_lines(target))}
)
"""What beside rules is counted, for VMs too that are held to what they are; of any other name nothing is kept."""


@dataclass(frozen=True, slots=True)
class SaidOfVm:
    """What a host says of a VM: what the loaded list was made of, since when; or why a newer one is not loaded; the lines
    that are not as they should be; how many connections the newest list cut."""

    id: str
    vector: dict[str, Any] | None
    since: datetime | None
    hash: str
    error: str
    drift: tuple[str, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class Counted:
    """How many packets met a rule, or a line of the platform, since the report before."""

    vm: str
    kind: str
    what: str
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """`taps` is the whole inventory, None where it is as it was. `missed` are samples of packets that the agent could not
    take, since the report before. What adds up, `counters`, `samples` and `missed`, is told under a `number` until it is
    answered; an agent that gives none has it added up each time."""

    agent: str
    kernel: str
    state: str
    clock: str
    missed: int
    vms: Sequence[SaidOfVm] = ()
    taps: Sequence[Tap] | None = None
    counters: Sequence[Counted] = ()
    samples: Sequence[Sample] = ()
    number: str = ""


_HOST, _NONCE = Host._meta.db_table, HostNonce._meta.db_table
_HEARD = f"""
WITH fresh AS (
    INSERT INTO {_NONCE} (host_id, nonce, at) VALUES (%s, %s, %s) ON CONFLICT (host_id, nonce) DO NOTHING RETURNING id
), old AS (
    DELETE FROM {_NONCE} WHERE id = ANY(ARRAY(
        SELECT id FROM {_NONCE} WHERE at < %s ORDER BY at LIMIT {SWEPT} FOR UPDATE SKIP LOCKED
    ))
), seen AS (
    UPDATE {_HOST} SET seen_at = %s
    WHERE id = %s AND (seen_at IS NULL OR seen_at < %s) AND EXISTS (SELECT FROM fresh)
)
SELECT EXISTS (SELECT FROM fresh), ({{also}}), set_config('synchronous_commit', 'off', true)
"""  # noqa: S608 – names of our own tables


def heard(host: Host, nonce: str, also: tuple[str, Sequence[Any]] = ("NULL", ())) -> tuple[bool, Any]:
    """Whether the host has never sent this nonce, which is kept from now on; that it lives; and what else is asked in the same
    breath (one statement).

    Nobody waits for the disk for it: what a crash of the server loses of the last moment is a nonce that could be sent again.
    """
    now = timezone.now()
    sql, values = also
    with connection.cursor() as cursor:
        cursor.execute(
            _HEARD.format(also=sql),
            [host.pk, nonce, now, now - NONCE_KEPT, now, host.pk, now - SEEN_EACH, *values],
        )
        fresh, told, _ = cursor.fetchone()
    return fresh, told


@transaction.atomic
def take_report(*, host: Host, report: Report) -> None:
    """Write down what of it is new. Of VMs that do not stand on this host nothing is taken."""
    # Its inventory is long, and mostly not asked for.
    locked = Host.objects.select_for_update(no_key=True).defer("inventory").get(pk=host.pk)
    said: dict[str, Any] = {name: getattr(report, name) for name in ("agent", "kernel", "state", "clock")}
    # The answer to it was lost where the same number comes again: then all of it has been added up.
    is_new = not report.number or report.number != locked.counted
    if is_new:
        said["missed"] = min(locked.missed + report.missed, 2**62)
    if report.number:
        said["counted"] = report.number
    changed = {name: value for name, value in said.items() if getattr(locked, name) != value}
    # Before anything else is written of VMs: it locks those that it moves.
    changed |= _take_inventory(locked, report.taps)
    if changed:
        Host.objects.filter(pk=locked.pk).update(**changed)
    _take_vms(locked, report.vms)
    if is_new:
        _take_counts(locked, report.counters)
        take_samples(locked, report.samples)


def _take_inventory(host: Host, taps: Sequence[Tap] | None) -> dict[str, Any]:
    """What of the host's row is other by it."""
    changed: dict[str, Any] = {}
    if taps is not None and host.inventory != (told := [tap.as_json() for tap in taps]):
        host.inventory = changed["inventory"] = told
    # What could not be placed before may be possible by now: another host may have let a VM go.
    if taps is not None or host.conflicts:
        conflicts = follow_inventory(host)
        changed |= {"conflicts": conflicts} if conflicts != host.conflicts else {}
    return changed


_SAID = f"""
INSERT INTO {InForce._meta.db_table} AS known
    (placement_id, host_id, vector, hash, since, error, drift, cut, reported_at)
SELECT p.id, p.host_id, said.vector, said.hash, said.since, said.error, said.drift, said.cut, %s
FROM jsonb_to_recordset(%s::jsonb) AS said
    (id text, vector jsonb, hash text, since timestamptz, error text, drift jsonb, cut int)
JOIN {VirtualMachine._meta.db_table} m ON m.public_id = said.id
JOIN {Placement._meta.db_table} p ON p.machine_id = m.id AND p.host_id = %s
ON CONFLICT (placement_id) DO UPDATE SET (host_id, vector, hash, since, error, drift, cut, reported_at)
    = (excluded.host_id, excluded.vector, excluded.hash, excluded.since, excluded.error, excluded.drift, excluded.cut,
       excluded.reported_at)
WHERE (known.host_id, known.vector, known.hash, known.since, known.error, known.drift, known.cut) IS DISTINCT FROM
    (excluded.host_id, excluded.vector, excluded.hash, excluded.since, excluded.error, excluded.drift, excluded.cut)
"""  # noqa: S608


def _take_vms(host: Host, vms: Sequence[SaidOfVm]) -> None:
    if not vms:
        return
    # Of two entries of one VM the last one holds: a statement writes each row once.
    rows = {one.id: asdict(one) for one in vms}
    text = json.dumps(list(rows.values()), default=datetime.isoformat)
    with connection.cursor() as cursor:
        cursor.execute(_SAID, [timezone.now(), text, host.pk])


_COUNTED = f"""
INSERT INTO {RuleHits._meta.db_table} AS known (machine_id, kind, what, hour, packets, bytes)
SELECT m.id, said.kind, said.what, %s, sum(said.packets), sum(said.bytes)
FROM jsonb_to_recordset(%s::jsonb) AS said (vm text, kind text, what text, packets bigint, bytes bigint)
JOIN {VirtualMachine._meta.db_table} m ON m.public_id = said.vm
JOIN {Placement._meta.db_table} p ON p.machine_id = m.id AND p.host_id = %s
WHERE said.kind <> 'rule' OR EXISTS (
    SELECT FROM {Attachment._meta.db_table} a JOIN {Rule._meta.db_table} r ON r.group_id = a.group_id
    WHERE a.machine_id = m.id AND r.uid = said.what
)
GROUP BY m.id, said.kind, said.what
ON CONFLICT (machine_id, kind, what, hour) DO UPDATE
SET packets = least(known.packets::numeric + excluded.packets, 9223372036854775807)::bigint,
    bytes = least(known.bytes::numeric + excluded.bytes, 9223372036854775807)::bigint
"""  # noqa: S608


def _take_counts(host: Host, counters: Sequence[Counted]) -> None:
    """Of rules that the VM has, and of lines of the platform; so a host adds no more rows than there are of these."""
    known = [asdict(one) for one in counters if one.kind == "rule" or one.what in PLATFORM]
    if not known:
        return
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED, [hour, json.dumps(known), host.pk])
