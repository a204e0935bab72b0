"""The cache that limits count in: a table that all web processes share, of which nothing goes but what has expired.

Django's own throws rows away as soon as there are some hundred, whatever they say: whoever makes enough of them gets
rid of a count. It also counts the whole table each time. Here a row is written in one statement, and each write takes a
few expired ones away, so that the table stays as large as what it has to hold.
"""

import base64
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.db import connections, router
from django.utils import timezone

CLOCKS_DIFFER = timedelta(minutes=1)
"""As far as the clocks of machines that are kept by NTP can be apart, with room."""
SWEPT = 20
"""Expired rows that a write takes away, at most. More than one, so that their number falls."""


class KeptCache(DatabaseCache):
    def take(self, key: str, burst: int, every: float) -> float:
        """Take one of `burst` places, of which one gets free each `every` seconds: 0 where there was one, and else how
        many seconds it takes until there is.

        In one statement, so that of any number at the same time no more get through than there are places. What is kept
        is when all places are free again, and then the row has expired. Later than all places together last it is only
        where a clock was ahead and has been put right: that is not held against anybody.
        """
        now, step = timezone.now(), timedelta(seconds=every)
        latest = now + step * (burst - 1)
        impossible = now + step * burst + CLOCKS_DIFFER
        row = self._run(
            "INSERT INTO {table} AS held (cache_key, value, expires) VALUES (%s, %s, %s)"
            " ON CONFLICT (cache_key) DO UPDATE"
            " SET expires = CASE WHEN held.expires > %s THEN %s ELSE greatest(held.expires, %s) END + %s"
            " WHERE held.expires <= %s OR held.expires > %s RETURNING expires",
            [
                self.make_and_validate_key(key),
                _packed(None),
                now + step,
                impossible,
                now,
                now,
                step,
                latest,
                impossible,
            ],
        )
        if row:
            self._sweep(now)
            return 0
        held = self._run("SELECT expires FROM {table} WHERE cache_key = %s", [self.make_and_validate_key(key)])
        return max((held[0][0] - latest).total_seconds(), 0.001) if held else 0.001

    def give_back(self, key: str, every: float) -> None:
        """A place that was taken is free again."""
        self._run(
            "UPDATE {table} SET expires = expires - %s WHERE cache_key = %s RETURNING expires",
            [timedelta(seconds=every), self.make_and_validate_key(key)],
        )

    def _base_set(self, mode: str, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT) -> bool:
        """Django's set, add and touch. Unlike Django's they fail aloud."""
        now, until = timezone.now(), self.get_backend_timeout(timeout)
        expires = datetime.max.replace(tzinfo=UTC) if until is None else datetime.fromtimestamp(until, UTC)
        if mode == "touch":
            change = "UPDATE {table} SET expires = %s WHERE cache_key = %s AND expires > %s RETURNING expires"
            return bool(self._run(change, [expires, key, now]))
        written = self._run(
            "INSERT INTO {table} AS held (cache_key, value, expires) VALUES (%s, %s, %s)"
            " ON CONFLICT (cache_key) DO UPDATE SET value = excluded.value, expires = excluded.expires"
            " WHERE %s OR held.expires <= %s RETURNING expires",
            [key, _packed(value), expires, mode == "set", now],
        )
        self._sweep(now)
        return bool(written)

    def _sweep(self, now: datetime) -> None:
        # Looked at once more under its lock, or skipped: a row that somebody has just renewed stays. They are made an array
        # first: joined to a list instead, the database may ask for it again and again, and take away more than that.
        self._run(
            "DELETE FROM {table} WHERE cache_key = ANY(ARRAY(SELECT cache_key FROM {table} WHERE expires < %s"
            " ORDER BY expires LIMIT %s FOR UPDATE SKIP LOCKED)) RETURNING expires",
            [now, SWEPT],
        )

    def _run(self, statement: str, values: list[Any]) -> list[Any]:
        connection = connections[router.db_for_write(self.cache_model_class)]
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(self._table)  # type: ignore[attr-defined]
            cursor.execute(statement.format(table=table), values)
            return list(cursor.fetchall())


def _packed(value: Any) -> str:
    """As Django's own reads it."""
    return base64.b64encode(pickle.dumps(value, pickle.HIGHEST_PROTOCOL)).decode("ascii")
