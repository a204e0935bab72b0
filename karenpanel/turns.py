"""Turns for dear work: so little of it at once that everybody else's pages, and the memory, stay as they are.

A request has a turn to take (`may_take`); what is dear is found out by whoever is about to do it, who weighs it first. One
person has one turn at a time, one process works on one, and all processes together on as many as DEAR_AT_ONCE says. Whoever
has none waits a little, if there is a place to wait, and is then refused. Commands have no turns to take: they run alone.

Turns are locks of PostgreSQL's that belong to the session of the request's own connection, and to no transaction: the
server gives them back when a process is killed or a connection breaks.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection

DEAR = 5_000
"""Rules in the lists that are looked at, of more than which it is dear: a third of a second, whatever is asked of them."""
WAIT = 3.0
"""Seconds in which to get a turn. Who waits keeps a thread of the web server from other pages."""
LOOK_AGAIN = 0.05

# The first of an advisory lock's two numbers; the second is the person's, or the place's among those of DEAR_AT_ONCE.
PERSON, WAITER, PLACE = 0x64656101, 0x64656102, 0x64656103
_MOST = 2**31 - 1

# In each process: one works, one waits to, and one waits until its own other request is done. Further threads that wait
# would leave none for other pages. Nobody passes by who waits: the next to work is the one who stands at the entry.
_work, _entry, _second = threading.Lock(), threading.Lock(), threading.Lock()


class NoTurn(Exception):
    """There was no turn to be had. `own`: because another request of the same person has one."""

    def __init__(self, *, own: bool) -> None:
        super().__init__("Another request of yours is worked on." if own else "Too much is worked on.")
        self.own = own


@dataclass(slots=True)
class Turn:
    """What one request may take, once, and holds from then on."""

    person: int
    held: list[tuple[int, int]] = field(default_factory=list)
    """Locks in the database, in the order in which they were taken."""
    works: bool = False

    def take(self) -> None:
        """Raises NoTurn."""
        if self.works:
            return
        until = time.monotonic() + WAIT
        try:
            self._be_the_only_one(until)
            self._enter(until)
        except BaseException:
            self.give_back()
            raise

    def _be_the_only_one(self, until: float) -> None:
        """One turn a person, and one more request of theirs that waits for it, over all processes."""
        if self._lock((PERSON, self.person)):
            return
        with behind_own_request():
            if not self._lock((WAITER, self.person)):
                raise NoTurn(own=True)
            while not self._lock((PERSON, self.person)):
                _sleep(until, own=True)
            self._unlock([(WAITER, self.person)])

    def _enter(self, until: float) -> None:
        """The one turn of this process, and one of those that all processes share."""
        if not _entry.acquire(blocking=False):
            raise NoTurn(own=False)
        try:
            if not _work.acquire(timeout=max(0.0, until - time.monotonic())):
                raise NoTurn(own=False)
            self.works = True
            while not self._lock(*((PLACE, place) for place in range(settings.DEAR_AT_ONCE))):
                _sleep(until, own=False)
        finally:
            _entry.release()

    def _lock(self, *any_of: tuple[int, int]) -> bool:
        """Take the first of these locks that is free."""
        tries = " ".join("WHEN pg_try_advisory_lock(%s, %s) THEN %s" for _ in any_of)
        values = [value for at, lock in enumerate(any_of) for value in (*lock, at)]
        with connection.cursor() as cursor:
            # In one statement, whose branches are tried in order, until one is true.
            cursor.execute(f"SELECT CASE {tries} END", values)
            (got,) = cursor.fetchone()
        if got is not None:
            self.held.append(any_of[got])
        return got is not None

    def _unlock(self, locks: list[tuple[int, int]]) -> None:
        calls = ", ".join("pg_advisory_unlock(%s, %s)" for _ in locks)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {calls}", [number for lock in locks for number in lock])
        self.held = [lock for lock in self.held if lock not in locks]

    def give_back(self) -> None:
        """All that was taken, whatever has happened to the connection since."""
        try:
            if self.held:
                self._unlock(self.held)
        except DatabaseError:
            # In a transaction that broke, or without a server: with its session the locks end too.
            self.held = []
            if connection.connection is not None:
                with suppress(DatabaseError, psycopg.Error):
                    connection.connection.close()
                    connection.close()
        finally:
            if self.works:
                self.works = False
                _work.release()


@contextmanager
def behind_own_request(patience: float = 0.0) -> Iterator[None]:
    """Within, this thread waits until another request of the same person is done. Raises NoTurn where one does already."""
    if not _second.acquire(timeout=patience):
        raise NoTurn(own=True)
    try:
        yield
    finally:
        _second.release()


def _sleep(until: float, *, own: bool) -> None:
    if time.monotonic() >= until:
        raise NoTurn(own=own)
    time.sleep(LOOK_AGAIN)


_turn: ContextVar[Turn | None] = ContextVar("turn", default=None)


@contextmanager
def may_take(person: int) -> Iterator[Turn]:
    """Within, this person's request may take one turn, which is given back at the end."""
    turn = Turn(person & _MOST)
    before = _turn.set(turn)
    try:
        yield turn
    finally:
        _turn.reset(before)
        turn.give_back()


def take() -> None:
    """Say that what follows is dear. Raises NoTurn where a request has to wait too long for its turn."""
    if turn := _turn.get():
        turn.take()


def weigh(rules: int) -> None:
    """Say that lists of so many rules are about to be looked at. Raises NoTurn where that is dear."""
    if rules > DEAR:
        take()
