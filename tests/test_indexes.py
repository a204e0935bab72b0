"""Indexes that are made while the panel is in use."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.postgres.indexes import OpClass
from django.db import IntegrityError, connection, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.functions import Lower
from django.test.utils import CaptureQueriesContext

from karenpanel.indexes import AddIndexInUse, RemoveIndexInUse, RunSQLInUse
from tests.factories import make_project

APP = "securitygroups"
ADD = AddIndexInUse("project", models.Index(OpClass(Lower("slug"), "varchar_pattern_ops"), name="for_a_test"))
REMOVE = RemoveIndexInUse("project", "for_a_test")


def run(*operations: Operation) -> list[str]:
    """What is said to the database of an index."""
    state = ProjectState.from_apps(apps)
    with CaptureQueriesContext(connection) as queries, connection.schema_editor(atomic=False) as editor:
        for operation in operations:
            after = state.clone()
            operation.state_forwards(APP, after)
            operation.database_forwards(APP, editor, state, after)
            state = after
    return [each["sql"] for each in queries if " INDEX " in each["sql"]]


def there() -> list[bool]:
    """Whether there is the index, and whether it can be used."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('for_a_test')")
        return [valid for (valid,) in cursor.fetchall()]


@pytest.mark.django_db(transaction=True)
def test_an_index_is_made_and_removed_while_others_write() -> None:
    said = run(ADD, REMOVE)

    assert len(said) == 2
    assert all(" CONCURRENTLY " in each for each in said)
    assert there() == []


@pytest.mark.django_db(transaction=True)
def test_what_an_interrupted_migration_left_is_kept_or_made_anew() -> None:
    make_project(None)
    make_project(None)
    # It is not unique, and PostgreSQL leaves what it has of it behind.
    with connection.cursor() as cursor, pytest.raises(IntegrityError):
        cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY for_a_test ON securitygroups_project ((1))")
    assert there() == [False]

    run(ADD)

    assert there() == [True]
    assert run(ADD) == []
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX for_a_test")


def test_inside_a_transaction_it_is_made_plainly(db: None) -> None:
    words: Any = ["CREATE INDEX CONCURRENTLY for_a_test_too ON django_admin_log (user_id)"]

    said = run(ADD, RunSQLInUse(words, words))

    assert len(said) == 2
    assert not any("CONCURRENTLY" in each for each in said)
    assert there() == [True]
