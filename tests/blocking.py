"""What a migration makes others wait for, as PostgreSQL itself says it.

A lock that keeps others from reading or writing a table is nothing bad if it is kept for a moment. It is bad if, while it
is held, work is done that takes longer the more rows there are: rows read one by one, written again, or checked. And rows
that were changed are locked each. All that is asked of the server after each statement: which locks this session has, and
how many rows it has touched.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

# From how many rows on a table counts, and a statement is one that grows with it.
MANY = 500
# What keeps others from writing; the first one from reading too.
LOCKS = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock")
FOR = {"AccessExclusiveLock": "read"}
TABLES = """
SELECT c.oid, c.relname FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
"""
HELD = """
SELECT l.relation, l.mode FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'relation'
AND l.mode = ANY(%s) AND l.relation = ANY(%s)
"""
CHANGED = "SELECT relid, n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables"
TOUCHED = """
SELECT relid, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del
FROM pg_stat_xact_user_tables
"""


class Watch:
    """The statements of one transaction at a time, and what each made others wait for."""

    def __init__(self) -> None:
        self.found: list[str] = []
        with connection.cursor() as cursor:
            cursor.execute(TABLES)
            names = dict(cursor.fetchall())
            self.full = {oid: name for oid, name in names.items() if rows(cursor, name) >= MANY}
        self.names = names

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not connection.in_atomic_block:
            # What stands alone gives its locks back at once; that it is quiet is the operation's word.
            return execute(sql, params, many, context)
        touched, changed = self.ask(TOUCHED), self.ask(CHANGED)
        result = execute(sql, params, many, context)
        waits = [f"who would write these rows of {name}" for name in self.grown(changed, CHANGED, self.full)]
        if went := self.grown(touched, TOUCHED, self.names):
            held = self.ask(HELD, [list(LOCKS), list(self.full)])
            waits += [f"who would {FOR.get(mode, 'write')} {self.full[oid]}" for oid, mode in held.items()]
        if waits:
            begin = " ".join(sql.split())[:200]
            self.found.append(f"{begin} goes through {', '.join(went)}, and so long waits {', '.join(waits)}")
        return result

    def grown(self, before: dict[int, int], question: str, names: dict[int, str]) -> list[str]:
        """The tables among these where the number that is asked for has become larger by many since."""
        now = self.ask(question)
        return [name for oid, name in names.items() if now.get(oid, 0) - before.get(oid, 0) >= MANY]

    def ask(self, question: str, params: Any = None) -> dict[Any, Any]:
        # Beside Django's cursors, which would lead back to here.
        with connection.connection.cursor() as cursor:
            cursor.execute(question, params)
            return dict(cursor.fetchall())


def rows(cursor: Any, table: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
    return int(cursor.fetchone()[0])


@contextmanager
def watched() -> Iterator[list[str]]:
    """What blocks others in here, one sentence for each statement."""
    watch = Watch()
    with connection.execute_wrapper(watch):
        yield watch.found
