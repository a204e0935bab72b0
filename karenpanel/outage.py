"""When the database is away, full, crowded or closed to writing: what that is, and how long nobody needs to ask it.

A request that cannot get at the database is told so in words (see errors.py). The first that notices also sets a thread to
look, several times a second, until the database answers; meanwhile nobody else waits for it. Connections are not kept in a
pool: each thread that answers requests has its own, looked at when a request first uses it, so the request after the
database's return is whole again.
"""

import inspect
import threading
import time
from enum import Enum
from typing import Any

import psycopg
import structlog
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from karenpanel import database

# Seconds: between two looks; for one look; and without an answer until nobody else asks. A single connection that was ended
# is no outage, and the first look says so within a few milliseconds.
PAUSE, LOOK_SECONDS, GRACE = 0.25, 2, 0.3

logger = structlog.get_logger()
# What breaks because a transaction is broken, or a session could not be kept, already has the reason behind it.
_AFTER = (DatabaseError, UpdateError, SessionInterrupted)


class Trouble(Enum):
    """What keeps the database from its work."""

    AWAY = "it does not answer, or the connection to it was lost"
    CROWDED = "it takes no more connections"
    FULL = "it has no more room on its disk or in its memory"
    READ_ONLY = "it takes no changes"
    BUSY = "it was too busy: somebody else's work was in the way for too long"


_STATES = {"25006": Trouble.READ_ONLY, "53300": Trouble.CROWDED, "57014": Trouble.BUSY, "55P03": Trouble.BUSY}
_STATES |= dict.fromkeys(("25P03", "25P04", "40001", "40P01"), Trouble.BUSY)
_CLASSES = {"08": Trouble.AWAY, "53": Trouble.FULL, "57": Trouble.AWAY, "58": Trouble.FULL}
# A refusal to connect has no number, only words.
_CROWDED = ("too many clients", "too many connections", "remaining connection slots")


def trouble(error: BaseException | None) -> Trouble | None:
    """What was the matter with the database where it was the reason for this error, else None."""
    while error is not None and not isinstance(error, psycopg.Error):
        error = error.__cause__ or (error.__context__ if isinstance(error, _AFTER) else None)
    return _of(error) if error else None


def _of(error: psycopg.Error) -> Trouble | None:
    if state := error.sqlstate:
        return _STATES.get(state) or _CLASSES.get(state[:2])
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return None
    return Trouble.CROWDED if any(words in str(error) for words in _CROWDED) else Trouble.AWAY


_connect = inspect.unwrap(BaseDatabaseWrapper.connect).__code__


def before_anything(error: BaseException) -> bool:
    """Whether no connection was had in the first place, so that nothing can have been written."""
    frames = error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code is _connect:
            return True
        frames = frames.tb_next
    return False


class Watch:
    """Looks after a database that somebody could not get at, until it answers again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None

    def away(self) -> bool:
        """Whether it is known that the database does not answer."""
        since = self._since
        return since is not None and time.monotonic() - since > GRACE

    def look(self) -> None:
        """Somebody could not get at the database: look until it answers, in a thread of its own."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
                threading.Thread(target=self._until_it_answers, name="database-watch", daemon=True).start()

    def _until_it_answers(self) -> None:
        began, said = time.monotonic(), False
        try:
            while (refusal := _refusal()) is not None:
                if not said:
                    said = True
                    logger.warning("The database cannot be reached", error=refusal)
                time.sleep(PAUSE)
        finally:
            self._since = None
        if said:
            logger.warning("The database answers again", seconds=round(time.monotonic() - began, 1))


def _refusal() -> str | None:
    """Why the database does not let us in; None where it does, or has only too many connections already."""
    to: dict[str, Any] = database.parameters(connections[DEFAULT_DB_ALIAS].settings_dict)
    try:
        psycopg.connect(**(to | {"connect_timeout": LOOK_SECONDS})).close()
    except psycopg.Error as error:
        return None if _of(error) is Trouble.CROWDED else str(error).strip()
    return None


watch = Watch()
