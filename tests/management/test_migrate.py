"""`manage.py migrate` beside people who work: nobody waits for it for long, and two of them take turns."""

import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from psycopg.sql import SQL, Identifier

from karenpanel import database
from securitygroups.management.commands import migrate
from securitygroups.models import Project
from tests.management.earlier import ROWS, fill

pytestmark = pytest.mark.django_db(transaction=True)
APP = "securitygroups"
# The newest but one of those that were there when this was written: what comes after it changes tables that are read.
EARLIER = "0005_words"
TABLES = [f"{APP}_{model}" for model in ROWS]
READ = "SELECT count(*) FROM securitygroups_project"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.5)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.2)


@pytest.fixture
def earlier() -> Iterator[None]:
    """The tables of an earlier version, with rows; afterwards those of now."""
    call_command("migrate", APP, EARLIER, verbosity=0)
    fill(1000)
    yield
    call_command("migrate", verbosity=0)


def somebody_else() -> psycopg.Connection[Any]:
    return psycopg.connect(**database.parameters(connection.settings_dict))


def unapplied() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


class Beside:
    """`manage.py migrate` in a thread, with what it says."""

    def __init__(self) -> None:
        self.said = StringIO()
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        try:
            call_command("migrate", stdout=self.said)
        except BaseException as error:
            self.failure = error
        finally:
            connection.close()

    def until_it_says(self, words: str) -> None:
        self.until(lambda: words in self.said.getvalue(), words)

    def until(self, true: Callable[[], object], words: str) -> None:
        until = time.monotonic() + 60
        while not true():
            assert self.thread.is_alive(), self.failure or self.said.getvalue()
            assert time.monotonic() < until, f"not seen: {words}\n{self.said.getvalue()}"
            time.sleep(0.01)

    def end(self) -> None:
        self.thread.join(60)
        assert not self.thread.is_alive()
        if self.failure:
            raise self.failure


def test_readers_wait_no_longer_than_the_limit_for_a_migration_that_waits(
    earlier: None, record_property: Callable[[str, object], None]
) -> None:
    """Somebody's long report holds the table; others read on beside it, whoever queues in between."""
    waited = [0.0]
    with somebody_else() as report, somebody_else() as reader:
        reader.autocommit = True
        report.execute(READ)
        migrating = Beside()
        # Only a read that begins while the migration stands in line tells anything.
        migrating.until(lambda: reader.execute(WAITING).fetchone()[0], "a migration that stands in line")  # type: ignore[index]
        while migrating.thread.is_alive():
            for table in TABLES:
                began = time.monotonic()
                reader.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table)))
                waited.append(time.monotonic() - began)
            if migrating.said.getvalue().count("The table is in use") == 3:
                report.rollback()
        migrating.end()
    record_property("the longest that a reader waited, in seconds", max(waited))

    assert max(waited) > 0.1, "readers stood behind it"
    # The limit, and what a busy machine adds.
    assert max(waited) < 0.5 + 2
    assert not unapplied()
    assert connection_limit() == "0", "what comes after it in the same process has no limit"


def connection_limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        return str(cursor.fetchone()[0])


def test_in_the_end_it_gives_up_in_words_with_nothing_half_done(earlier: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "PATIENCE_SECONDS", 0.1)

    with somebody_else() as report:
        report.execute(READ)
        with pytest.raises(CommandError, match="somebody's transaction does not end"):
            call_command("migrate", stdout=StringIO())
        left = unapplied()

    assert left
    call_command("migrate", verbosity=0)
    assert not unapplied()


def test_of_two_at_once_the_second_finds_everything_done(earlier: None) -> None:
    with somebody_else() as report:
        report.execute(READ)
        first = Beside()
        first.until_it_says("The table is in use")
        second = Beside()
        second.until_it_says("Waiting for another migrate")
        report.rollback()
        first.end()
        second.end()

    assert "0006_plain_addresses... OK" in first.said.getvalue()
    assert "No migrations to apply" in second.said.getvalue()


def test_one_that_was_killed_keeps_nobody_waiting(earlier: None) -> None:
    killed = somebody_else()
    killed.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])
    killed.commit()
    waiting = Beside()
    waiting.until_it_says("Waiting for another migrate")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [killed.info.backend_pid])
    waiting.end()
    killed.close()

    assert not unapplied()


def test_what_only_looks_takes_no_turn(project: Project) -> None:
    said = StringIO()

    with somebody_else() as other:
        other.execute("SELECT pg_advisory_lock(%s)", [migrate.LOCK])
        call_command("migrate", "--plan", stdout=said)
        call_command("migrate", "--check", stdout=said)

    assert "No planned migration operations" in said.getvalue()
