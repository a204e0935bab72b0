"""Migrations in a third less time: neighbours that do the same kind of thing share one look at all models.

After every operation Django makes the changed model anew, with a dozen that are related to it, as classes: with a first
database that is nearly all the time that is spent. An index, a constraint or a trigger more, or another field that is no
relation, reads of those classes nothing that its neighbours change. So the classes are made once for all of them. What
the database is told is the same, in the same order.
"""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.migrations import AddConstraint, AddIndex, AlterField
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from pgtrigger.migrations import AddTrigger


class Together(Operation):
    """Operations in their order, on one state from before all of them and one from after."""

    def __init__(self, operations: list[Any]) -> None:
        self.operations = operations
        self.atomic = operations[0].atomic  # type: ignore[misc]

    def state_forwards(self, app_label: str, state: Any) -> None:
        classes = state.__dict__.pop("apps", None)
        for operation in self.operations:
            operation.state_forwards(app_label, state)
        if classes is not None:
            state.apps = classes
            # Another model may refer to a field that is changed: then its relations are made anew as well.
            fields = isinstance(self.operations[0], AlterField)
            state.reload_models({(app_label, each.model_name.lower()) for each in self.operations}, delay=not fields)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for operation in self.operations:
            operation.database_forwards(app_label, schema_editor, from_state, to_state)


class Executor(MigrationExecutor):
    """Django's, by which a migration and the line about it are there together; what is undone stays as it is written."""

    def apply_migration(self, state: Any, migration: Any, *args: Any, **kwargs: Any) -> Any:
        written = migration.operations
        migration.operations = list(joined(written))
        # Django writes down that it was applied after its own transaction has ended: killed in between, it would be begun
        # once more on the tables that it has made.
        whole = transaction.atomic(self.connection.alias) if migration.atomic else nullcontext()
        try:
            with whole:
                return super().apply_migration(state, migration, *args, **kwargs)
        finally:
            migration.operations = written


def joined(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations in their order, those among them that may be in one."""
    for kind, run in groupby(operations, what):
        neighbours = list(run)
        if kind is None or len(neighbours) == 1 or len(set(map(target, neighbours))) < len(neighbours):
            yield from neighbours
        else:
            yield Together(neighbours)


def what(operation: Any) -> tuple[str, bool | None] | None:
    """Operations of one kind may be joined; None for those that may not."""
    if isinstance(operation, AddIndex | AddConstraint | AddTrigger):
        return "more", operation.atomic
    if isinstance(operation, AlterField) and not (operation.field.is_relation or operation.field.primary_key):
        return "field", operation.atomic
    return None


def target(operation: Any) -> tuple[str, str]:
    """What an operation is about. Where two are about the same, they and their neighbours are not joined."""
    own = next(
        (found for name in ("index", "constraint", "trigger") if (found := getattr(operation, name, None))), operation
    )
    return operation.model_name.lower(), own.name
