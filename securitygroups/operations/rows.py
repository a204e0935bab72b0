"""How a list gets into the rows of its group: a statement each for what goes, changes, moves and comes.

PostgreSQL makes the columns of a rule's JSON itself, by the types of the table: an ORM would spell out every value of
every row, which for a thousand rules costs a second.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from securitygroups.firewall.changes import ListChange, RuleChange
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.values import RULE_FIELDS, RuleList
from securitygroups.models import Rule, SecurityGroup

_TABLE = f'"{Rule._meta.db_table}"'
_ROWS = f"json_populate_recordset(NULL::{_TABLE}, %s::json) AS new"


def write_rows(group: SecurityGroup, old: RuleList, new: RuleList, change: ListChange, number: int) -> None:
    """Bring the rows from `old` to `new`, in revision `number`: just what differs is written.

    Two rules may have one place until the transaction ends: the constraint is looked at then.
    """
    if change.removed:
        group.rules.filter(uid__in=[line.old.uid for line in change.removed if line.old]).delete()
    _update(group, change.changed, number)
    _move(group, old, new)
    _insert(group, change.added, number)


def _update(group: SecurityGroup, changed: Sequence[RuleChange], number: int) -> None:
    """Only the columns that differ in some rule: an index is written for each column that is named."""
    rows = [(rule_to_json(line.old), _row(line)) for line in changed if line.old]
    fields = [name for name in RULE_FIELDS if any(old[name] != new[name] for old, new in rows)]
    if rows:
        named = ", ".join(f'"{name}" = new."{name}"' for name in fields)
        _run(
            f"UPDATE {_TABLE} AS rule SET {named}, changed_in = %s FROM {_ROWS}"  # noqa: S608 – names of the table's own
            " WHERE rule.group_id = %s AND rule.uid = new.uid",
            [number, _json({key: row[key] for key in ("uid", *fields)} for _, row in rows), group.pk],
        )


def _move(group: SecurityGroup, old: RuleList, new: RuleList) -> None:
    was = {rule.uid: place for place, rule in enumerate(old, 1)}
    moved = [(rule.uid, place) for place, rule in enumerate(new, 1) if was.get(rule.uid, place) != place]
    if moved:
        _run(
            f"UPDATE {_TABLE} AS rule SET position = new.position"  # noqa: S608
            " FROM unnest(%s::text[], %s::int[]) AS new (uid, position) WHERE rule.group_id = %s AND rule.uid = new.uid",
            [[uid for uid, _ in moved], [place for _, place in moved], group.pk],
        )


def _insert(group: SecurityGroup, added: Sequence[RuleChange], number: int) -> None:
    if added:
        fields = ", ".join(f'"{name}"' for name in ("position", "uid", *RULE_FIELDS))
        _run(
            f"INSERT INTO {_TABLE} (group_id, added_in, changed_in, {fields})"  # noqa: S608
            f" SELECT %s, %s, %s, {fields} FROM {_ROWS}",
            [group.pk, number, number, _json({**_row(line), "position": line.new_place} for line in added)],
        )


def _row(line: RuleChange) -> dict[str, Any]:
    return {**rule_to_json(line.new), "uid": line.new.uid} if line.new else {}


def _json(rows: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(rows))


def _run(statement: str, values: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
