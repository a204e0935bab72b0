"""Whether this process reaches its database, now: asked by a connection of its own, so that no thread that works
with the database has anything to do with the answer."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from karenpanel import database

# Seconds that are waited for an answer, and for which it holds: so often at most is the database asked.
WAIT = 0.8
HOLDS = 0.5
# Seconds after which an attempt that was not waited for ends by itself. The least that libpq takes.
GIVE_UP = 2


class Asker:
    """One attempt at a time, however many want to know."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.pool = ThreadPoolExecutor(1)
        self.attempt: Future[bool] | None = None
        self.began = 0.0

    def reached(self) -> bool:
        with self.lock:
            old = time.monotonic() - self.began > HOLDS
            if self.attempt is None or (old and self.attempt.done()):
                self.began = time.monotonic()
                self.attempt = self.pool.submit(ask)
            attempt = self.attempt
        try:
            return attempt.result(WAIT)
        except TimeoutError:
            return False


def ask() -> bool:
    to = database.parameters(settings.DATABASES[DEFAULT_DB_ALIAS])
    try:
        with psycopg.connect(**to | {"connect_timeout": GIVE_UP, "tcp_user_timeout": GIVE_UP * 1000}) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


reached = Asker().reached
