"""Indexes on large tables, made and dropped while the panel is in use."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import models
from django.db.migrations import AddIndex, RemoveIndex, RunSQL


class AddIndexInUse(AddIndexConcurrently):
    """Adds an index without keeping anybody from reading or writing the table; the migration has `atomic = False`.

    Inside a transaction, where that is impossible, it adds it plainly. It can be repeated: what was made before a migration
    was interrupted stays, and what was left half made goes.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.in_atomic_block:
            AddIndex.database_forwards(self, app_label, schema_editor, from_state, to_state)
            return
        index: models.Index = self.index
        valid = _is_valid(schema_editor, index.name)
        if valid is False:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY {schema_editor.quote_name(index.name)}")
        if not valid:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.in_atomic_block:
            AddIndex.database_backwards(self, app_label, schema_editor, from_state, to_state)
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class RemoveIndexInUse(RemoveIndexConcurrently):
    """Removes an index in the same way."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        plain = schema_editor.connection.in_atomic_block
        operation = RemoveIndex if plain else RemoveIndexConcurrently
        operation.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        plain = schema_editor.connection.in_atomic_block
        operation = RemoveIndex if plain else RemoveIndexConcurrently
        operation.database_backwards(self, app_label, schema_editor, from_state, to_state)


class RunSQLInUse(RunSQL):
    """The same for statements on a table that is no model's of ours; they say CONCURRENTLY."""

    def _run_sql(self, schema_editor: Any, sqls: Any) -> None:
        if schema_editor.connection.in_atomic_block:
            sqls = [statement.replace(" CONCURRENTLY", "") for statement in sqls]
        super()._run_sql(schema_editor, sqls)  # type: ignore[misc]


def _is_valid(schema_editor: Any, name: str) -> bool | None:
    """Whether the index of this name can be used; None where there is none."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relname = %s AND relnamespace = current_schema()::regnamespace",
            [name],
        )
        row = cursor.fetchone()
    return bool(row[0]) if row else None
