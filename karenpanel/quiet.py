"""Indexes, unique constraints and checks that are made and taken away while the panel is in use, by one process at a time.

A plain CREATE INDEX keeps everybody from writing for as long as it reads the table, and a plain DROP INDEX even from
reading until it gets its turn. These operations let PostgreSQL do both beside the readers and writers. It can only do
so outside a transaction, so their migration says `atomic = False` and has nothing else in it: it begins anew when it was
interrupted, and each of them then finds what it has done already. Where there is a transaction around the migration all
the same, in which an earlier version's database is only tried, they do it plainly.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import NotSupportedError
from django.db.migrations import AddConstraint, AddIndex, AlterField, RemoveIndex, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.models import BaseConstraint, Index

TURN_SECONDS = 0.1
# Null where there is no such index. One that is not valid is what is left of an interrupted CREATE INDEX CONCURRENTLY.
VALID = "SELECT (SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = to_regclass(%s))"


class AddIndexQuietly(AddIndexConcurrently):
    """Django's AddIndex, beside readers and writers; what an interrupted one left behind is made again."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            add(self, schema_editor, model, self.index)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            remove(self, schema_editor, model, self.index)


class RemoveIndexQuietly(RemoveIndexConcurrently):
    """Django's RemoveIndex, beside readers and writers."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            index = from_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
            remove(self, schema_editor, model, index)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
            add(self, schema_editor, model, index)


class RunSQLQuietly(RunSQL):
    """The same for statements about a table that is no model's of ours; they say CONCURRENTLY."""

    def _run_sql(self, schema_editor: Any, sqls: Any) -> None:
        beside = may_go_beside(self, schema_editor)
        with patient(schema_editor, beside):
            plain = [statement.replace(" CONCURRENTLY", "") for statement in sqls]
            super()._run_sql(schema_editor, sqls if beside else plain)  # type: ignore[misc]


class SetCheckQuietly(AddConstraint):
    """A check constraint, new or in place of the one of its name. It holds for what is written from that moment on; the
    rows that are there are looked at beside readers and writers.
    """

    def state_forwards(self, app_label: str, state: Any) -> None:
        known = state.models[app_label, self.model_name_lower].options["constraints"]
        if any(one.name == self.constraint.name for one in known):
            state.remove_constraint(app_label, self.model_name_lower, self.constraint.name)
        super().state_forwards(app_label, state)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            set_check(self, schema_editor, model, self.constraint)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        before = [one for one in model._meta.constraints if one.name == self.constraint.name]
        if before:
            set_check(self, schema_editor, model, before[0])
        else:
            schema_editor.remove_constraint(model, self.constraint)


class AddUniqueQuietly(AddConstraint):
    """A unique constraint with a condition or an expression, which is an index alone, beside readers and writers. What an
    interrupted one left behind, or one that met rows that are alike, is made again.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            add_unique(self, schema_editor, model, self.constraint)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            remove(self, schema_editor, model, Index(name=self.constraint.name, fields=["id"]))


class AlterFieldUnseen(AlterField):
    """A change of which the database knows nothing, such as a field's choices."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        pass

    database_backwards = database_forwards


def set_check(operation: Operation, schema_editor: Any, model: Any, constraint: BaseConstraint) -> None:
    """Put this check in the place of the one of its name, if there is one, in one moment; then look at the rows."""
    beside = may_go_beside(operation, schema_editor)
    table, name = (schema_editor.quote_name(one) for one in (model._meta.db_table, constraint.name))
    new = constraint.constraint_sql(model, schema_editor)
    schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD {new} NOT VALID", params=None)
    with patient(schema_editor, beside):
        schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", params=None)


def add_unique(operation: Operation, schema_editor: Any, model: Any, constraint: BaseConstraint) -> None:
    """Make the index of this constraint, if it is not there already."""
    beside = may_go_beside(operation, schema_editor)
    statement: Any = constraint.create_sql(model, schema_editor)
    if beside:
        statement.template = statement.template.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
    valid = None if schema_editor.collect_sql else is_valid(schema_editor, constraint)
    if valid is False:
        remove(operation, schema_editor, model, Index(name=constraint.name, fields=["id"]))
    if not valid:
        with patient(schema_editor, beside):
            schema_editor.execute(statement, params=None)


def add(operation: AddIndex | RemoveIndex, schema_editor: Any, model: Any, index: Index) -> None:
    """Make this index, if it is not there already."""
    beside = may_go_beside(operation, schema_editor)
    if schema_editor.collect_sql:
        schema_editor.add_index(model, index, concurrently=beside)
        return
    valid = is_valid(schema_editor, index)
    if valid is False:
        remove(operation, schema_editor, model, index)
    if not valid:
        # In an empty table it takes no time, and there is nobody to wait for.
        beside = beside and model._base_manager.using(schema_editor.connection.alias).exists()
        with patient(schema_editor, beside):
            schema_editor.add_index(model, index, concurrently=beside)


def remove(operation: Operation, schema_editor: Any, model: Any, index: Index) -> None:
    """Take this index away, if it is there."""
    beside = may_go_beside(operation, schema_editor)
    with patient(schema_editor, beside):
        schema_editor.remove_index(model, index, concurrently=beside)


def may_go_beside(operation: Operation, schema_editor: Any) -> bool:
    """Whether there is no transaction around this one. Raises NotSupportedError where its own migration makes one."""
    if schema_editor.atomic_migration:
        raise NotSupportedError(f"{type(operation).__name__} stands in a migration that says `atomic = False`.")
    return not schema_editor.connection.in_atomic_block


def is_valid(schema_editor: Any, index: Index | BaseConstraint) -> bool | None:
    """Whether the index of this name can be used; None where there is none."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(VALID, [schema_editor.quote_name(index.name)])
        [(valid,)] = cursor.fetchall()
    return bool(valid) if valid is not None else None


@contextmanager
def patient(schema_editor: Any, beside: bool) -> Iterator[None]:
    """No limits of time, where nobody has to wait for us while we wait for others."""
    if not beside:
        yield
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
        [before] = cursor.fetchall()
        cursor.execute("SET lock_timeout = 0; SET statement_timeout = 0")
    try:
        yield
    finally:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)", before
            )


@contextmanager
def one_at_a_time(connection: Any, number: int, waits: Callable[[], object]) -> Iterator[None]:
    """Hold this database's lock of that number; who has to wait for it is told once.

    It is the session's, so a process that was killed does not keep it. It is asked for again and again: a statement that
    waits for it would have PostgreSQL wait for that statement before an index is done, and so for ever.
    """
    with connection.cursor() as cursor:
        said = False
        while not _mine(cursor, number):
            if not said:
                waits()
                said = True
            time.sleep(TURN_SECONDS)
    try:
        yield
    finally:
        # Without a connection there is no lock any more.
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def _mine(cursor: Any, number: int) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
    return bool(cursor.fetchone()[0])
