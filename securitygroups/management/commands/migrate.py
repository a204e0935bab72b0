"""`manage.py migrate`: Django's, which makes nobody wait for long.

A change of a table needs it for itself for a moment. As long as somebody still reads there it has to wait, and everybody
who comes after it waits behind it. So it waits briefly, gives way to those behind it, and tries again: a migration that
did not get its turn has done nothing.
"""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from psycopg.errors import DeadlockDetected, LockNotAvailable

from karenpanel.quiet import one_at_a_time
from karenpanel.together import Executor

# The longest that anybody waits behind a migration that waits itself.
LOCK_SECONDS = 2.0
# Those who waited behind it get on before the next try.
PAUSE_SECONDS = 3.0
PATIENCE_SECONDS = 600.0
LOCK = 0x6B6172656E70  # the number of the lock that two `migrate` of one database take turns with
GAVE_UP = (
    "The tables were in use for {:.0f} minutes without a gap: somebody's transaction does not end. Nothing is half done. "
    "Find it (docs/operations.md, Upgrade) and run migrate again."
)

# Django's command takes the name from its own module.
migrate.MigrationExecutor = Executor  # type: ignore[attr-defined]


@contextmanager
def seldom_collected() -> Iterator[None]:
    """From an empty database on Django makes thousands of classes; to look for garbage among them takes a fifth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with one_at_a_time(connection, LOCK, lambda: self.stdout.write("Waiting for another migrate to end.")):
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS * 1000:.0f}"])
            with seldom_collected():
                self.try_until_done(connection, *args, **options)
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")

    def try_until_done(self, connection: Any, *args: Any, **options: Any) -> None:
        """Django's migrate again and again, as long as it fails because it has to wait. Raises CommandError in the end."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if connection.in_atomic_block or not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                    raise
                if time.monotonic() > until:
                    raise CommandError(GAVE_UP.format(PATIENCE_SECONDS / 60)) from error
                self.stdout.write(f"\nThe table is in use: once more in {PAUSE_SECONDS:.0f} seconds.")
                time.sleep(PAUSE_SECONDS)
            else:
                return
