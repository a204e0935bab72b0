"""The cache that answers are kept in which are dear to find: a table that all web processes share, of bounded size.

Nothing depends on it. Where it cannot be read or written, because the disk is full, the database only reads or its table
is not made yet, an answer is found anew. What lies in it is bytes: who keeps something there says how it is written.
"""

from datetime import timedelta
from typing import Any

import structlog
from django.core.cache.backends.db import DatabaseCache
from django.db import DatabaseError, connections, router
from django.utils import timezone

logger = structlog.get_logger()

ENTRIES = 2_000
BYTES = 64 * 2**20
"""What all entries may have together; the oldest go first."""
LARGEST = 4 * 2**20
"""What one entry may have."""
DAYS = 7

_SWEEP = """
DELETE FROM {table} WHERE expires < %s OR cache_key IN (
    SELECT cache_key FROM (
        SELECT cache_key, row_number() OVER made AS entries, sum(octet_length(value)) OVER made AS bytes
        FROM {table} WINDOW made AS (ORDER BY expires DESC, cache_key)
    ) held WHERE entries > %s OR bytes > %s
)
"""


class Shelf(DatabaseCache):
    def look(self, *keys: str) -> str | None:
        """What lies there, the newest of several; None where nothing does or it cannot be told."""
        found = self._try(
            "SELECT value FROM {table} WHERE cache_key = ANY(%s) AND expires > %s ORDER BY expires DESC LIMIT 1",
            [list(keys), timezone.now()],
        )
        return found[0][0] if found else None

    def put(self, key: str, value: str) -> None:
        """Lay it there, and take away what is too much; nothing inside a transaction, whose rows it would lock."""
        if len(value) > LARGEST or self._connection.in_atomic_block:
            return
        until = timezone.now() + timedelta(days=DAYS)
        written = self._try(
            "INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s)"
            " ON CONFLICT (cache_key) DO NOTHING RETURNING expires",
            [key, value, until],
        )
        if written:
            self._try(_SWEEP, [timezone.now(), ENTRIES, BYTES])

    @property
    def _connection(self) -> Any:
        return connections[router.db_for_write(self.cache_model_class)]

    def _try(self, statement: str, values: list[Any]) -> list[Any]:
        connection = self._connection
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement.format(table=connection.ops.quote_name(self._table)), values)  # type: ignore[attr-defined]
                return list(cursor.fetchall()) if cursor.description else []
        except DatabaseError as error:
            if connection.in_atomic_block:
                raise
            logger.warning("shelf.failed", error=str(error).strip())
            return []
