"""What a host should have: of which lists its VMs' rules are made, and the lists themselves, as data.

A VM's rules are told by a vector: its own revision, the number of its placement, its groups in order with their revisions, and
the version of the compiler. So a commit writes nothing for any host, however many VMs have the group, and a host asks
by the ETag of all vectors whether something is new. Rules are read where something is.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.db import connection

from securitygroups.firewall import nftables
from securitygroups.firewall.texts import visible
from securitygroups.models import Attachment, Host, Placement, Rule, SecurityGroup, VirtualMachine

FORMAT = "karenpanel-state/1"
LARGEST = 4 * 2**20
"""Bytes that an agent takes of an answer."""
TEXT: int = getattr(nftables, "TEXT_VERSION", 1)
"""Of what the compiler makes of a list. Agents say which they have: it is told, and nothing is compared by it."""

_TABLES = {
    "hosts": Host._meta.db_table,
    "placements": Placement._meta.db_table,
    "machines": VirtualMachine._meta.db_table,
    "attachments": Attachment._meta.db_table,
    "groups": SecurityGroup._meta.db_table,
    "rules": Rule._meta.db_table,
}
GROUPS = """
coalesce((
    SELECT jsonb_agg(jsonb_build_array(g.public_id, g.revision) ORDER BY a.position)
    FROM {attachments} a JOIN {groups} g ON g.id = a.group_id WHERE a.machine_id = m.id
), '[]'::jsonb)
""".format(**_TABLES)  # noqa: S608 – names of our own tables, as below
"""The groups of the vector of the VM `m`."""
VECTOR = f"jsonb_build_object('attached', m.revision, 'placement', p.number, 'groups', {GROUPS}, 'text', {TEXT})"
"""The vector of the VM `m` at its placement `p`."""
# Where nobody who runs the hosts has said what a VM's addresses are, they are those that its project says. One that has none at
# all is not held: it could send nothing.
_OWN = "CASE WHEN cardinality(p.addresses) > 0 THEN p.addresses ELSE array_remove(ARRAY[m.ipv4, m.ipv6], NULL) END"
_VMS = f"""
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'id', m.public_id, 'name', m.name, 'tap', p.tap, 'mac', p.mac, 'addresses', to_jsonb(own.addresses),
    'held', p.held AND cardinality(own.addresses) > 0, 'vector', {VECTOR}
) ORDER BY m.public_id), '[]'::jsonb)
FROM {{placements}} p JOIN {{machines}} m ON m.id = p.machine_id
CROSS JOIN LATERAL (SELECT {_OWN} AS addresses) own
WHERE p.host_id = h.id AND m.deleted_at IS NULL
""".format(**_TABLES)  # noqa: S608
_TOLD = f"""
SELECT jsonb_build_object('format', '{FORMAT}', 'host', h.public_id, 'target', h.target, 'taps', h.taps, 'drift', h.drift,
    'cut', h.cut, 'log', h.log, 'vms', ({_VMS})) AS state
FROM {{hosts}} h WHERE h.id = %s
""".format(**_TABLES)  # noqa: S608
_ETAG = "encode(sha256(convert_to(told.state::text, 'UTF8')), 'hex')"
_RULE = """
json_strip_nulls(json_build_object('id', r.uid, 'action', r.action, 'direction', r.direction, 'protocol', r.protocol,
    'source', r.source::text, 'destination', r.destination::text, 'port_start', r.port_start, 'port_end', r.port_end,
    'description', nullif(r.description, ''), 'enabled', nullif(r.enabled, true)))
"""
_STATE = f"""
WITH told AS ({_TOLD}),
wanted AS (
    SELECT DISTINCT a.group_id FROM {{placements}} p JOIN {{machines}} m ON m.id = p.machine_id
    JOIN {{attachments}} a ON a.machine_id = m.id WHERE p.host_id = %s AND m.deleted_at IS NULL
)
SELECT {_ETAG}, told.state::text, (
    SELECT json_agg(json_build_object('id', g.public_id, 'revision', g.revision, 'rules', coalesce((
        SELECT json_agg({_RULE} ORDER BY r.position) FROM {{rules}} r WHERE r.group_id = g.id
    ), '[]'::json)) ORDER BY g.public_id)::text
    FROM {{groups}} g JOIN wanted ON wanted.group_id = g.id
) FROM told
""".format(**_TABLES)  # noqa: S608


class TooLong(Exception):
    """The host's state is longer than its agent takes it; `size` is in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are more than an agent takes, {LARGEST}.")
        self.size = size


def etag_query(host: Host) -> tuple[str, Sequence[Any]]:
    """A query with its values that gives the host's ETag, to be asked together with something else. It reads no rules."""
    return f"SELECT {_ETAG} FROM ({_TOLD}) told", (host.pk,)  # noqa: S608


def etag(host: Host) -> str:
    """A short text that is another one whenever the host's settings, or what its VMs' rules are made of, are others (one
    query)."""
    sql, values = etag_query(host)
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found: str = cursor.fetchone()[0]
    return found


def state(host: Host) -> tuple[str, bytes]:
    """The ETag, and all that the host should have as its agent reads it: of one moment, in one query. Raises TooLong."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [host.pk, host.pk])
        tag, told, groups = cursor.fetchone()
    document = json.loads(told)
    document["groups"] = json.loads(groups or "[]")
    for group in document["groups"]:
        for rule in group["rules"]:
            # As a rule's row gives it: what was kept before there was the rule for texts is no reason to lose the list.
            if text := rule.get("description"):
                rule["description"] = visible(text)
    for vm in document["vms"]:
        vm["name"] = visible(vm["name"])
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > LARGEST:
        raise TooLong(len(body))
    return tag, body
