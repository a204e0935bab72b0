"""Whether the role that web processes use in the database has the rights that it needs, and no others.

A list of rights that is given proves little: the role may own a table, be a superuser, or be a member of what is. So it is
the database that is asked what the role may do in the end.
"""

import os
from collections.abc import Iterable
from typing import Any

import psycopg
import structlog
from django.conf import settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from karenpanel import database
from karenpanel.roles import ROWS, absent, absent_hint, exists, wanted

WATCHED = (*sorted(ROWS), "TRUNCATE", "REFERENCES", "TRIGGER")
LOOK_SECONDS = 3
HINT = (
    "Let DATABASE_URL name a role that owns nothing and is nothing special, and DATABASE_OWNER_URL the one that owns the "
    "tables; then run `manage.py migrate` and `manage.py createcachetable` (docs/production.md, Two roles)."
)

logger = structlog.get_logger(__name__)

HELD = """
SELECT c.relname, pg_has_role(%(role)s, c.relowner, 'MEMBER'), ARRAY(
    SELECT p FROM unnest(%(watched)s::text[]) p
    WHERE has_table_privilege(%(role)s, c.oid, p)
    OR p IN ('INSERT', 'UPDATE') AND has_any_column_privilege(%(role)s, c.oid, p)
)
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY(%(tables)s)
"""
MEMBERSHIPS = """
SELECT rolname, rolcreaterole, rolbypassrls, rolreplication, rolsuper, rolname ~ '^pg_'
FROM pg_roles WHERE pg_has_role(%(role)s, oid, 'MEMBER') ORDER BY rolname <> %(role)s, rolname
"""
PLACES = """
SELECT has_schema_privilege(%(role)s, current_schema(), 'CREATE'),
       has_database_privilege(%(role)s, current_database(), 'CREATE')
"""


def check(app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """What is wrong with the role that web processes use. Asks the database: `manage.py check --database default`."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        return owner(cursor) or look(cursor, settings.DATABASE_WEB_ROLE)


def owner(cursor: Any) -> list[checks.CheckMessage]:
    """Whether a command that works on the schema can: without the owner's address it would break in its midst."""
    cursor.execute("SELECT current_user::text, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)")
    [(role, may_make)] = cursor.fetchall()
    if may_make or database.used_for() is not database.Purpose.SCHEMA:
        return []
    text = f"The role {role} may not make tables, so it cannot migrate."
    hint = "Set DATABASE_OWNER_URL to the address with the role that owns the tables."
    return [checks.Error(text, hint=hint, id="karenpanel.E030")]


def warn() -> None:
    """Log what is wrong with the role of this web process. A database that does not answer is no reason not to start."""
    # By a connection of its own: Django's would be kept, and forked workers must not share it.
    to = database.parameters(settings.DATABASES[DEFAULT_DB_ALIAS]) | {"connect_timeout": LOOK_SECONDS}
    try:
        with psycopg.connect(**to) as direct, direct.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = '{LOOK_SECONDS}s'")
            found = look(cursor)
    except psycopg.Error as error:
        logger.warning("The rights of the database's role could not be looked at.", error=str(error).strip())
        return
    if os.environ.get("DATABASE_OWNER_URL"):
        found.append(
            checks.Warning(
                "DATABASE_OWNER_URL is in the environment of a web process, which never uses it.",
                hint="Set it only where `migrate` and `createcachetable` run: whoever gets code to run here reads it.",
                id="karenpanel.W032",
            )
        )
    for message in found:
        logger.warning(message.msg, id=message.id, hint=message.hint)


def look(cursor: Any, role: str = "") -> list[checks.CheckMessage]:
    """What this role may do and should not, and the other way round; without a name the role that asks."""
    if not role:
        cursor.execute("SELECT current_user::text")
        [(role,)] = cursor.fetchall()
    if not exists(cursor, role):
        return [checks.Warning(absent(role), hint=absent_hint(role), id="karenpanel.W031")]
    rights = wanted()
    cursor.execute(HELD, {"role": role, "watched": list(WATCHED), "tables": list(rights)})
    held = [(table, owns, set(privileges)) for table, owns, privileges in cursor.fetchall()]
    found: list[checks.CheckMessage] = []
    if too_much := [*special(cursor, role), *beyond(held, rights), *makes(cursor, role, held)]:
        text = (
            f"The role {role} of the web processes may do more in the database than they need: {'; '.join(too_much)}."
        )
        found.append(checks.Warning(text, hint=HINT, id="karenpanel.W030"))
    lacking = [table for table, _, privileges in held if rights[table] - privileges]
    # Commands that work on the schema give them in the end.
    if lacking and database.used_for() is not database.Purpose.SCHEMA:
        text = f"The role {role} of the web processes lacks rights on {some(lacking)}."
        hint = "Run `manage.py migrate` and `manage.py createcachetable` with the role that owns the tables."
        found.append(checks.Warning(text, hint=hint, id="karenpanel.W031"))
    return found


def special(cursor: Any, role: str) -> list[str]:
    """What the role is allowed beside its rights on tables, also by the roles that it is a member of."""
    cursor.execute(MEMBERSHIPS, {"role": role})
    found = []
    for name, *attributes, built_in in cursor.fetchall():
        words = ("CREATEROLE", "BYPASSRLS", "REPLICATION", "SUPERUSER")
        has = [word for word, held in zip(words, attributes, strict=True) if held]
        if name == role and has:
            found.append(f"it has {' and '.join(has)}")
            if "SUPERUSER" in has:
                # A member of every role, and no right is ever asked for.
                return found
        elif has or built_in:
            found.append(f"it is a member of {name}" + (f", which has {' and '.join(has)}" if has else ""))
    return found


def beyond(held: list[tuple[str, bool, set[str]]], rights: dict[str, frozenset[str]]) -> list[str]:
    """What the role may do to tables beyond what is wanted."""
    owned = [table for table, owns, _ in held if owns]
    found = [f"it owns {some(owned)}, and can empty them and switch their triggers off"] if owned else []
    for privilege in WATCHED:
        more = [table for table, owns, has in held if not owns and privilege in has - rights[table]]
        if more:
            found.append(f"it may {privilege} {some(more)}")
    return found


def makes(cursor: Any, role: str, held: list[tuple[str, bool, set[str]]]) -> list[str]:
    """Whether the role can make things of its own; an owner can, which has been said."""
    if any(owns for _, owns, _ in held):
        return []
    cursor.execute(PLACES, {"role": role})
    [(in_schema, in_database)] = cursor.fetchall()
    return [
        *(["it may make tables and functions in the schema"] if in_schema else []),
        *(["it may make schemas in the database"] if in_database else []),
    ]


def some(tables: list[str]) -> str:
    """The tables by name, or the first three and how many more there are."""
    names = sorted(tables)
    return ", ".join(names) if len(names) < 5 else f"{', '.join(names[:3])} and {len(names) - 3} more tables"
