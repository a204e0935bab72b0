"""Indexes come and go while others read and write."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, connection, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.test.utils import CaptureQueriesContext

from karenpanel import database
from karenpanel.quiet import VALID, AddIndexQuietly, AddUniqueQuietly, RemoveIndexQuietly, RunSQLQuietly
from securitygroups.models import SecurityGroup
from tests.factories import make_group

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "group_for_a_test"
INDEX = models.Index(fields=["description", "id"], name=NAME)
WRITE = "UPDATE securitygroups_securitygroup SET description = 'x'"


@pytest.fixture
def other() -> Iterator[psycopg.Connection[Any]]:
    """Somebody else who works with the database."""
    with psycopg.connect(**database.parameters(connection.settings_dict)) as direct:
        yield direct


@pytest.fixture(autouse=True)
def without_index() -> Iterator[None]:
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX IF EXISTS {NAME}")


def states() -> tuple[ProjectState, ProjectState]:
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    AddIndexQuietly("securitygroup", INDEX).state_forwards("securitygroups", after)
    return before, after


def add(*, atomic: bool = False, back: bool = False) -> None:
    before, after = states()
    operation = AddIndexQuietly("securitygroup", INDEX)
    with connection.schema_editor(atomic=atomic) as editor:
        if back:
            operation.database_backwards("securitygroups", editor, after, before)
        else:
            operation.database_forwards("securitygroups", editor, before, after)


def remove(*, back: bool = False) -> None:
    before, after = states()
    operation = RemoveIndexQuietly("securitygroup", NAME)
    with connection.schema_editor(atomic=False) as editor:
        if back:
            operation.database_backwards("securitygroups", editor, before, after)
        else:
            operation.database_forwards("securitygroups", editor, after, before)


def valid() -> bool | None:
    with connection.cursor() as cursor:
        cursor.execute(VALID, [NAME])
        found: bool | None = cursor.fetchone()[0]
    return found


def limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        return str(cursor.fetchone()[0])


def changes(queries: CaptureQueriesContext) -> list[str]:
    """What made or dropped an index, by its first words."""
    words = [query["sql"].upper().split(" ") for query in queries if "INDEX" in query["sql"].upper().split(" ")[:2]]
    return [" ".join(word for word in found[:3] if word in {"CREATE", "DROP", "CONCURRENTLY"}) for found in words]


def test_an_index_is_made_and_dropped_beside_the_others_work(group: SecurityGroup) -> None:
    with CaptureQueriesContext(connection) as queries:
        add()
        made = valid()
        add()
        remove()
        gone = valid()
        remove()
        remove(back=True)
        add(back=True)

    made_and_dropped = ["CREATE CONCURRENTLY", "DROP CONCURRENTLY"]
    assert changes(queries) == [*made_and_dropped, "DROP CONCURRENTLY", *made_and_dropped]
    assert (made, gone, valid()) == (True, None, None)


def test_in_a_transaction_it_is_made_plainly(group: SecurityGroup) -> None:
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        add()
        made = valid()
        remove()

    assert changes(queries) == ["CREATE", "DROP"]
    assert (made, valid()) == (True, None)


def unique(back: bool = False) -> None:
    constraint = models.UniqueConstraint(
        fields=["project", "description"], name=NAME, condition=~models.Q(description="")
    )
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    operation = AddUniqueQuietly("securitygroup", constraint)
    operation.state_forwards("securitygroups", after)
    with connection.schema_editor(atomic=False) as editor:
        if back:
            operation.database_backwards("securitygroups", editor, after, before)
        else:
            operation.database_forwards("securitygroups", editor, before, after)


def test_a_unique_constraint_is_made_and_dropped_beside_the_others_work(group: SecurityGroup) -> None:
    with CaptureQueriesContext(connection) as queries:
        unique()
        unique()
        made = valid()
        unique(back=True)

    made_by = [query["sql"] for query in queries if query["sql"].startswith("CREATE")]
    assert [sql.split(" ")[:4] for sql in made_by] == [["CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"]]
    assert changes(queries) == ["DROP CONCURRENTLY"]
    assert (made, valid()) == (True, None)


def test_a_unique_constraint_that_met_rows_that_are_alike_is_made_again(group: SecurityGroup) -> None:
    other = make_group(group.project)
    SecurityGroup.objects.update(description="the same")
    with pytest.raises(IntegrityError, match="the same"):
        unique()
    left = valid()
    SecurityGroup.objects.filter(pk=other.pk).update(description="another")

    unique()

    assert (left, valid()) == (False, True)


def test_statements_about_a_table_of_no_model_of_ours_know_both_ways() -> None:
    make, drop = (f"{word} INDEX CONCURRENTLY {NAME}" for word in ("CREATE", "DROP"))
    operation = RunSQLQuietly([f"{make} ON django_admin_log (user_id)"], [drop])
    state = MigrationLoader(connection).project_state()

    def there_and_back() -> None:
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("securitygroups", editor, state, state)
            operation.database_backwards("securitygroups", editor, state, state)

    with CaptureQueriesContext(connection) as beside:
        there_and_back()
    with CaptureQueriesContext(connection) as inside, transaction.atomic():
        there_and_back()

    assert changes(beside) == ["CREATE CONCURRENTLY", "DROP CONCURRENTLY"]
    assert changes(inside) == ["CREATE", "DROP"]


def test_a_table_without_rows_is_not_worth_waiting_for() -> None:
    with CaptureQueriesContext(connection) as queries:
        add()

    assert changes(queries) == ["CREATE"]


def test_what_an_interrupted_one_left_behind_is_made_again(
    group: SecurityGroup, other: psycopg.Connection[Any]
) -> None:
    other.execute(WRITE)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        with pytest.raises(Exception, match="lock timeout"):
            cursor.execute(f"CREATE INDEX CONCURRENTLY {NAME} ON securitygroups_securitygroup (description, id)")
        cursor.execute("RESET lock_timeout")
    other.rollback()
    assert valid() is False

    add()

    assert valid() is True


def test_while_it_waits_nobody_waits_for_it(group: SecurityGroup, other: psycopg.Connection[Any]) -> None:
    """It has to see somebody's transaction end, for longer than the limit, and lets the next one write before that."""
    done = threading.Event()

    def make() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")
            add()
            assert limit() == "50ms", "the limit is there again"
            done.set()
        finally:
            connection.close()

    other.execute(WRITE)
    thread = threading.Thread(target=make)
    thread.start()
    waits_for_somebody()
    assert not done.wait(0.2), "longer than the limit"
    SecurityGroup.objects.create(project=group.project, name="written meanwhile")
    other.commit()
    thread.join(30)

    assert done.is_set()
    assert valid() is True


def waits_for_somebody() -> None:
    """Until the other connection's CREATE INDEX waits for a transaction to end."""
    for _ in range(2000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'virtualxid'")
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.01)
    raise AssertionError("Nothing waits.")


def test_a_migration_that_makes_a_transaction_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="atomic = False"):
        add(atomic=True)
