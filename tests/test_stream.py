"""Lines behind a cursor: each of them once, in order, however long the transactions take that bring them."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connection, transaction

from karenpanel import database
from securitygroups import operations
from securitygroups.models import AccountEvent, Event, Project, StreamCursor, User
from securitygroups.operations import By
from securitygroups.operations.records import Verb, record
from securitygroups.stream import events_after, position, settled_up_to
from tests.rights import web_rights, web_settings

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS, EACH = 8, 25


def write(project: Project, alice: User, number: int) -> None:
    """So many transactions, some of them with two lines, some of them taken back, which end some time after their ids."""
    chance = random.Random(number)
    try:
        for turn in range(EACH):
            with transaction.atomic():
                for _ in range(chance.choice((1, 1, 2))):
                    record(project, Verb.PROJECT_CHANGED, f"{number}.{turn}", by=By(alice))
                    time.sleep(chance.choice((0, 0.001, 0.01, 0.03)))
                if chance.random() < 0.1:
                    transaction.set_rollback(True)
    finally:
        connection.close()


@contextmanager
def writers(project: Project, alice: User) -> Iterator[list[threading.Thread]]:
    threads = [threading.Thread(target=write, args=(project, alice, number)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.join()


def read_beside(threads: list[threading.Thread], *, settled: bool) -> list[int]:
    """The ids that a reader passes on who reads on while they write, and once more when they have ended."""
    seen, ended = [0], False
    while not ended:
        ended = not any(thread.is_alive() for thread in threads)
        up_to = settled_up_to(seen[-1]) if settled else 2**62
        seen += [event.pk for event in events_after(seen[-1], up_to, 7)]
        if ended and settled_up_to(seen[-1]) > seen[-1]:
            ended = False
    return seen[1:]


def test_a_reader_beside_many_writers_sees_each_line_once_and_in_order(project: Project, alice: User) -> None:
    with writers(project, alice) as threads, web_rights():
        seen = read_beside(threads, settled=True)

    assert len(seen) > WRITERS * EACH
    assert seen == list(Event.objects.order_by("pk").values_list("pk", flat=True))


def test_a_reader_who_goes_by_the_id_alone_loses_some(project: Project, alice: User) -> None:
    with writers(project, alice) as threads:
        seen = read_beside(threads, settled=False)

    assert seen == sorted(set(seen))
    assert set(Event.objects.values_list("pk", flat=True)) - set(seen)


@pytest.fixture
def other() -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """A web process of its own."""
    with psycopg.connect(**database.parameters(web_settings())) as direct:
        yield direct


def insert(other: "psycopg.Connection[tuple[object, ...]]", project: Project) -> int:
    row = other.execute(
        "INSERT INTO securitygroups_event (project_id, at, actor_name, by_staff, verb, summary, detail)"
        " VALUES (%s, now(), 'x', false, 'project.changed', 'late', '{}') RETURNING id",
        [project.pk],
    ).fetchone()
    assert row
    return int(str(row[0]))


def newest() -> int:
    return Event.objects.latest("pk").pk


def test_nothing_is_settled_behind_a_line_that_is_still_to_come(
    project: Project, alice: User, other: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    start = settled_up_to(0)
    late = insert(other, project)
    early = record(project, Verb.PROJECT_CHANGED, "early", by=By(alice)).pk

    with web_rights():
        assert late < early
        assert settled_up_to(start, wait=0.1) == start
        other.commit()
        assert settled_up_to(start) == early
        assert [event.summary for event in events_after(start, early, 9)] == ["late", "early"]


def test_a_line_that_was_taken_back_is_not_waited_for(
    project: Project, alice: User, other: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    insert(other, project)
    early = record(project, Verb.PROJECT_CHANGED, "early", by=By(alice)).pk
    other.rollback()

    assert settled_up_to(0, wait=0) == early


def test_who_writes_to_something_else_or_only_reads_keeps_nobody_back(
    project: Project, other: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    other.execute("SELECT count(*) FROM securitygroups_event")
    other.execute("UPDATE securitygroups_project SET name = 'x'")

    assert settled_up_to(0, wait=0) == newest()


def test_the_lock_is_held_before_the_id_is_taken_also_by_a_statement_whose_plan_was_kept(
    project: Project, other: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    """PostgreSQL's order, on which all stands: an INSERT that waits for a lock on the table has taken no id yet."""
    other.execute(
        "PREPARE kept AS INSERT INTO securitygroups_event"
        " (project_id, at, actor_name, by_staff, verb, summary, detail)"
        " VALUES ($1, now(), 'x', false, 'project.changed', 'kept', '{}')"
    )
    other.execute("SET plan_cache_mode = force_generic_plan")
    other.execute(f"EXECUTE kept({project.pk})")
    other.commit()
    before = _last()

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE securitygroups_event IN SHARE MODE")
        for statement in (f"EXECUTE kept({project.pk})", None):
            other.execute("SET lock_timeout = 100")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(statement) if statement else insert(other, project)
            other.rollback()
        assert _last() == before


def _last() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT last_value FROM securitygroups_event_id_seq")
        return int(cursor.fetchone()[0])


def test_ids_are_given_one_at_a_time(db: None) -> None:
    """Sequences that give a session many at once would bring low ids late, without a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sequencename, cache_size FROM pg_sequences WHERE sequencename = ANY(%s)",
            [[f"{model._meta.db_table}_id_seq" for model in (Event, AccountEvent)]],
        )
        assert [size for _, size in cursor.fetchall()] == [1, 1]


def test_the_record_of_accounts_is_read_in_the_same_way(alice: User) -> None:
    operations.note(AccountEvent.Verb.SIGNED_IN, user=alice, client=operations.NOWHERE)

    up_to = settled_up_to(0, of=AccountEvent)

    assert [line.user for line in events_after(0, up_to, 9, of=AccountEvent)] == [alice]


def test_a_cursor_moves_only_from_where_its_reader_left_it(db: None) -> None:
    assert position("forward") is None
    operations.set_cursors({"forward": 4, "forward/accounts": 2})

    operations.move_cursors({"forward": (4, 9), "forward/accounts": (2, 3)})
    with pytest.raises(operations.Moved, match="forward/accounts does not stand at 2"):
        operations.move_cursors({"forward": (9, 12), "forward/accounts": (2, 3)})

    assert position("forward") == 9
    assert StreamCursor.objects.get(name="forward/accounts").position == 3
