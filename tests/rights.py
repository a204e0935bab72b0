"""The rights that web processes have in the database, for the requests of tests.

Tests make and empty databases as the owner. What they ask the panel for through a browser is answered with the rights of
the web's role, so that a page which needs more fails wherever it is tested.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.sql import SQL, Identifier

from karenpanel import database


@contextmanager
def web_rights() -> Iterator[None]:
    """The connection of this thread as the web's role. Not counted among the queries of a page."""
    direct = connection.connection
    if direct is None or not may_switch():
        yield
        return
    direct.execute(SQL("SET ROLE {}").format(Identifier(settings.DATABASE_WEB_ROLE)))
    try:
        yield
    finally:
        # A transaction that broke takes the role back with all else. One that was closed has no role any more.
        if connection.connection is direct and not direct.closed:
            with suppress(psycopg.errors.InFailedSqlTransaction):
                direct.execute("RESET ROLE")


def with_web_rights(answer: Callable[..., Any]) -> Callable[..., Any]:
    """What answers the requests of test clients, with those rights."""

    @wraps(answer)
    def answered(*args: Any, **kwargs: Any) -> Any:
        with web_rights():
            return answer(*args, **kwargs)

    return answered


@cache
def may_switch() -> bool:
    """Whether there is a second role that the owner may act as."""
    asked = "SELECT pg_has_role(current_user, oid, %s) FROM pg_roles WHERE rolname = %s"
    connection.ensure_connection()
    direct = connection.connection
    # Since 16 a member may be one without being allowed to switch.
    kind = "SET" if direct.info.server_version >= 160000 else "MEMBER"
    return bool(direct.execute(asked, [kind, settings.DATABASE_WEB_ROLE]).fetchall() == [(True,)])


def web_settings() -> dict[str, Any]:
    """Django's settings with which the web's role signs in at the database of the tests."""
    before = database.used_for()
    database.use_for(database.Purpose.WEB)
    try:
        chosen = database.settings(os.environ.get("DATABASE_URL", ""), os.environ.get("DATABASE_OWNER_URL", ""))
    finally:
        database.use_for(before)
    return chosen | {"NAME": connection.settings_dict["NAME"]}
