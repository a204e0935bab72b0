"""What was written to a record, of all projects, in order of id and each line once: behind a cursor.

Whoever reads `id > cursor` loses lines. An id is taken from a sequence when a row is written, and seen by others when its
transaction ends: one that ends late brings lines that stand before others which were seen, and passed, long ago. So a reader
goes only as far as `settled_up_to` says: no line that is still to come has that id or a lower one.

Why that is so, for a record with the newest id M that anybody sees:

- Whoever inserts locks the table (ROW EXCLUSIVE) before the first row is made, when the statement is read or, where its plan
  was kept, before the plan begins; and holds the lock until its transaction has ended. Ids are made by the statement
  itself: nobody takes one in advance.
- The sequence gives numbers in order, one at a time (`CACHE 1`, as identity columns have it). A line whose id is at most M took
  it no later than M was taken, and M was taken before its transaction ended, and so before M was seen.
- So a transaction that may still bring such a line held that lock when M was seen. We look at the locks after that: it
  is among the holders, or it has ended. What begins later gets higher ids. That it holds the lock for an earlier line
  only, or for a refused UPDATE, makes us wait without need, and never too short.
- A transaction is visible to all before its locks are let go (ProcArrayEndTransaction, then ResourceOwnerRelease). Once each
  of the holders has gone from the list, a new statement sees all that they wrote. A savepoint that is taken back lets go
  of its lock early, and of its lines too.
- One that is prepared for two phases changes its name in the list, so one that is there in any name is waited for. Locks that
  backends keep to themselves (fast path) are listed as well; one that moves to the shared table in the meantime is listed
  twice, and never not at all. Workers of a parallel query do not insert.

Everybody may see the list of locks, without any right on the table; but only on the server that writes: a replica does not
know who writes, and is refused. Not held against us are ids that somebody writes by hand and numbers that are set back:
only who owns the tables can, as a restore does, and no reader runs beside that.
A server that forgets commits in a crash (`synchronous_commit = off`) may give numbers twice.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from securitygroups.models import AccountEvent, Event, StreamCursor

POLL = (0.005, 0.1)
"""Seconds between two looks at who has not ended: the first pause, and the longest."""

NEWEST = "SELECT coalesce((SELECT max(id) FROM {table}), 0), pg_is_in_recovery()"
HOLDERS = """
SELECT virtualtransaction, pid IS NULL FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
AND relation = %s::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND pid IS DISTINCT FROM pg_backend_pid()
"""

Record = type[Event] | type[AccountEvent]


class NotHere(Exception):
    """This server only follows another one, and cannot say what is settled."""


def settled_up_to(previous: int, wait: float = 5, *, of: Record = Event) -> int:
    """The id up to which everything is there that will ever be, at least `previous`: lines after `previous` and up to it may
    be read, and none will come between them.

    Waits so many seconds at most for transactions that write while this is asked. `previous` is the answer where nothing
    is new, and where one of them took longer: then ask again. Each asking waits only for those that were under way when it
    began, so that writers who come and go all the time keep no reader back.
    """
    newest = newest_of(of)
    if newest <= previous:
        return previous
    # In this order: the locks that were held when the newest line was seen, or later.
    before, _ = _holders(of)
    until, pause = time.monotonic() + wait, POLL[0]
    while before:
        now, prepared = _holders(of)
        before &= now
        if not before and not prepared:
            break
        if time.monotonic() + pause > until:
            return previous
        time.sleep(pause)
        pause = min(pause * 2, POLL[1])
    return newest


def events_after(cursor: int, up_to: int, limit: int, *, of: Record = Event) -> Sequence[Any]:
    """Up to `limit` lines behind the cursor, in order of id, with their project, group and VM; `up_to` is what
    `settled_up_to` said."""
    related = ("project", "group", "machine") if of is Event else ("project",)
    lines = of._default_manager.filter(pk__gt=cursor, pk__lte=up_to).select_related(*related)
    return list(lines.order_by("pk")[:limit])


def position(name: str) -> int | None:
    """Up to where the reader of that name has come; None where it never began."""
    return StreamCursor.objects.filter(name=name).values_list("position", flat=True).first()


def waiting_since(cursor: int, *, of: Record = Event) -> datetime | None:
    """When the first line behind the cursor was written; None where there is none."""
    behind = of._default_manager.filter(pk__gt=cursor).order_by("pk")
    return behind.values_list("at", flat=True).first()


def newest_of(of: Record = Event) -> int:
    """The newest id that anybody sees, 0 where there is none. Raises NotHere."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(NEWEST.format(table=of._meta.db_table))
        [(newest, follows)] = cursor.fetchall()
    if follows:
        raise NotHere(
            "This server follows another one and cannot say which lines are settled: ask the one that writes."
        )
    return int(newest)


def _holders(of: Record) -> tuple[set[str], bool]:
    """Transactions of others that may have written to the record, and whether one of them is prepared."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(HOLDERS, [of._meta.db_table])
        rows = cursor.fetchall()
    return {name for name, _ in rows}, any(prepared for _, prepared in rows)
