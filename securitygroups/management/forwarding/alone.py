"""One forwarder of a name at a time, on whatever machine it runs."""

import os
import socket
from datetime import UTC
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

from karenpanel import database
from securitygroups.management.programs import Failure

# The first of an advisory lock's two numbers; the second is made of the name, and fits where PostgreSQL takes it with a sign.
LOCK = 0x666F7277
_MOST = 2**31 - 1

HOLDER = """
SELECT coalesce(nullif(a.application_name, ''), 'a session of ' || a.usename), a.client_addr::text, a.backend_start
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = %s AND l.objsubid = 2 AND l.granted
AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Alone:
    """A lock in a session of its own, which PostgreSQL ends with the process; a pool has to be in session mode."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = crc32(name.encode()) & _MOST
        self.direct: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()

    def hold(self) -> None:
        """See that the lock is held: take it, and again where the server was away meanwhile. Raises Failure where another
        one has it, OSError where the database does not answer."""
        try:
            if self.direct is None:
                self.direct = self._connect()
                [(taken,)] = self.direct.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, self.number]).fetchall()
                if not taken:
                    who = self._holder(self.direct) or "it has just ended, so try once more"
                    raise Failure(f"Another one forwards by the name {self.name}: {who}.")
            self.direct.execute("SELECT 1")
        except psycopg.Error as error:
            self._leave()
            raise OSError(f"The database does not answer: {str(error).strip()}") from None
        except Failure:
            self._leave()
            raise

    def who(self) -> str:
        """Who holds it, in words; empty where nobody does."""
        with self._connect() as direct:
            return self._holder(direct)

    def _connect(self) -> "psycopg.Connection[Any]":
        # Others see by it which process on which machine it is.
        called = f"forward {self.name}, process {os.getpid()} on {socket.gethostname()}"[:63]
        to = database.parameters(settings.DATABASES[DEFAULT_DB_ALIAS]) | {"application_name": called}
        return psycopg.connect(**to, autocommit=True)

    def _holder(self, direct: "psycopg.Connection[Any]") -> str:
        row = direct.execute(HOLDER, [LOCK, self.number]).fetchone()
        if not row:
            return ""
        name, address, since = row
        # The sessions of another role have no more to say to us than that they are there.
        when = f", since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if since else ""
        return f"{name}{f', from {address}' if address else ''}{when}"

    def _leave(self) -> None:
        if self.direct is not None:
            self.direct.close()
            self.direct = None
