"""The table that limits count in: nothing goes but what has expired, and no more get through than there are places."""

from datetime import timedelta
from typing import Any, cast

import pytest
import time_machine
from django.core.cache import cache, caches
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from karenpanel.counts import SWEPT, KeptCache

pytestmark = pytest.mark.django_db
counts = cast(KeptCache, cache)


def rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cache")
        return int(cursor.fetchone()[0])


def test_there_are_so_many_places_and_each_comes_back_in_its_time() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert [counts.take("a", 3, 60) for _ in range(5)] == [0, 0, 0, 60, 60]
        clock.shift(45)
        assert counts.take("a", 3, 60) == 15
        clock.shift(15)
        assert [counts.take("a", 3, 60) for _ in range(2)] == [0, 60]
        clock.shift(3 * 60)
        assert [counts.take("a", 3, 60) for _ in range(4)] == [0, 0, 0, 60]


def test_over_a_long_time_no_more_get_through_than_come_back() -> None:
    """However the attempts lie: there is no end of a window at which all places come back at once."""
    through = 0
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(1_000):
            through += counts.take("a", 5, 60) == 0
            clock.shift(7)

    assert through <= 5 + 7_000 // 60


def test_a_place_that_is_given_back_can_be_taken_again() -> None:
    assert [counts.take("a", 1, 60) == 0 for _ in range(2)] == [True, False]
    counts.give_back("a", 60)
    assert [counts.take("a", 1, 60) == 0 for _ in range(2)] == [True, False]
    counts.give_back("nobody-has", 60)
    counts.give_back("a", 60)
    counts.give_back("a", 60)
    assert [counts.take("a", 1, 60) == 0 for _ in range(2)] == [True, False], "giving back more makes no more places"


@pytest.mark.parametrize("others", [340, 2_000])
def test_nothing_that_counts_is_thrown_away_whatever_else_is_written(others: int) -> None:
    assert counts.take("a", 1, 3_600) == 0
    cache.set("kept", [1, 2, 3], 3_600)
    for number in range(others):
        assert counts.take(f"other-{number}", 5, 3_600) == 0
        if number % 10 == 0:
            cache.set(f"another-{number}", "x" * 100, 3_600)

    assert counts.take("a", 1, 3_600) > 0
    assert cache.get("kept") == [1, 2, 3]


def test_what_has_expired_goes_and_a_write_never_costs_more_than_a_little() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(500):
            counts.take(f"old-{number}", 5, 60)
        clock.shift(61)
        before = rows()
        with CaptureQueriesContext(
            connection,
        ) as asked:
            counts.take("new", 5, 60)
        assert len(asked) == 2
        assert not [query for query in asked if "count(" in query["sql"].lower()]
        assert rows() == before + 1 - SWEPT
        for number in range(500 // SWEPT):
            counts.take(f"new-{number}", 5, 60)
        assert rows() == 1 + 500 // SWEPT


def test_no_more_goes_at_once_whatever_plan_the_database_takes() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock, connection.cursor() as cursor:
        for number in range(100):
            counts.take(f"old-{number}", 5, 60)
        clock.shift(61)
        before = rows()
        # What is left asks once more for the rows to take away, for each row that there is.
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "indexscan", "bitmapscan", "material"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        counts.take("new", 5, 60)
        assert rows() == before + 1 - SWEPT


def test_it_is_a_cache_as_djangos_is() -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert (cache.add("a", 1, 60), cache.add("a", 2, 60), cache.get("a")) == (True, False, 1)
        cache.set("a", {"b": [2]}, 60)
        assert cache.get("a") == {"b": [2]}
        assert (cache.touch("a", 600), cache.touch("nothing", 600)) == (True, False)
        cache.set("for-ever", 1, None)
        clock.shift(timedelta(seconds=599))
        assert cache.get("a") == {"b": [2]}
        clock.shift(timedelta(seconds=2))
        assert cache.get("a") is None
        assert (cache.add("a", 3, 60), cache.incr("a"), cache.has_key("a"), cache.delete("a")) == (True, 4, True, True)
        assert cache.get_or_set("c", lambda: 5, 60) == 5
        assert cache.get("for-ever") == 1


def test_a_write_that_fails_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's says nothing, and then an attempt would not be counted."""
    monkeypatch.setattr(caches["default"], "_table", "no such table")
    for write in (lambda: counts.take("a", 1, 1), lambda: cache.set("a", 1), lambda: cache.add("a", 1)):
        refused: Any = None
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT here")
            try:
                write()
            except Exception as error:
                refused = error
            cursor.execute("ROLLBACK TO SAVEPOINT here")
        assert "no such table" in str(refused)
