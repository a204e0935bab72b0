"""The rights of the role that web processes use in the database: to read and write rows, and on the record to add.

Whoever owns a table can switch its triggers off, and any role can have pgtrigger's ignored for its session: a trigger
stops mistakes, and only a right that was never given stops somebody who got in. Which tables can only be added to is read
from their triggers, so that it is said once. Nothing is given in advance: a table that `migrate` makes is closed to the
web until its rights are given at the end, with those of all others.
"""

from collections.abc import Iterator
from typing import Any

import pgtrigger
from django.apps import apps
from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.management import CommandError
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connections, transaction
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Composed, Identifier

from karenpanel import database

ROWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

GIVEN = """
SELECT c.relname, array_agg(DISTINCT given.privilege_type)
FROM pg_class c
CROSS JOIN LATERAL (
    SELECT privilege_type, grantee FROM aclexplode(c.relacl)
    UNION ALL
    SELECT 'a column', x.grantee FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) x WHERE a.attrelid = c.oid
) given
JOIN pg_roles r ON r.oid = given.grantee AND r.rolname = %(role)s
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
GROUP BY c.relname
"""


def wanted() -> dict[str, frozenset[str]]:
    """Each table that the web uses, with the rights it needs there."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.managed]
    rights = {model._meta.db_table: ROWS for model in models if not model._meta.proxy}
    for model, trigger in pgtrigger.registered():
        # What its trigger refuses for every row is not given either.
        if isinstance(trigger, pgtrigger.Protect) and trigger.condition is None:
            rights[model._meta.db_table] -= set(str(trigger.operation).split(" OR "))
    rights[MigrationRecorder.Migration._meta.db_table] = frozenset({"SELECT"})
    caching = [cache for cache in caches.all() if isinstance(cache, BaseDatabaseCache)]
    return rights | {cache._table: ROWS for cache in caching}  # type: ignore[attr-defined]


def grant(using: str = DEFAULT_DB_ALIAS) -> None:
    """Give the web's role its rights in this database, and take all others; nothing where it has them, or where the web
    uses the owner's. Identity columns count by themselves, so it needs none on sequences.

    Raises CommandError in words where there is no such role, or where this process is not the owner.
    """
    role = settings.DATABASE_WEB_ROLE
    if not role:
        return
    with transaction.atomic(using), connections[using].cursor() as cursor:
        if not exists(cursor, role):
            raise CommandError(f"{absent(role)} {absent_hint(role)}")
        there = set(connections[using].introspection.table_names(cursor))
        needed = {table: rights for table, rights in wanted().items() if table in there}
        refused = ""
        try:
            for statement in [*_entry(cursor, role), *_changes(cursor, role, needed)]:
                cursor.execute(statement)
            # To somebody who has some rights on a table PostgreSQL only gives a warning.
            refused = ", ".join(statement.as_string() for statement in _changes(cursor, role, needed))
        except ProgrammingError as error:
            refused = str(error).strip()
        if refused:
            raise CommandError(
                f"The rights of the role {role} are given by the owner of the tables alone: set DATABASE_OWNER_URL and use "
                f"manage.py. Refused: {refused}"
            )


def _entry(cursor: Any, role: str) -> Iterator[Composed]:
    """What lets the role find the tables at all, where not everybody may, and makes none of its own in front of them."""
    cursor.execute("SELECT current_schema(), has_schema_privilege(%s, current_schema(), 'USAGE')", [role])
    [(schema, may_enter)] = cursor.fetchall()
    if not may_enter:
        yield SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), Identifier(role))
    # A temporary table of a record's name would take the lines that belong into it.
    cursor.execute(
        "SELECT datname, has_database_privilege(%s, oid, 'TEMPORARY') AND pg_has_role(datdba, 'USAGE')"
        " FROM pg_database WHERE datname = current_database()",
        [role],
    )
    [(database, may_hide)] = cursor.fetchall()
    if may_hide:
        yield SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(Identifier(database))


def _changes(cursor: Any, role: str, needed: dict[str, frozenset[str]]) -> Iterator[Composed]:
    """What makes of the rights that were given the ones that are needed."""
    cursor.execute(GIVEN, {"role": role})
    given = {table: frozenset(rights) for table, rights in cursor.fetchall()}
    for table in sorted(given.keys() | needed.keys()):
        rights = needed.get(table, frozenset())
        if given.get(table, frozenset()) == rights:
            continue
        at = {"table": Identifier(table), "role": Identifier(role)}
        yield SQL("REVOKE ALL ON {table} FROM {role}").format(**at)
        if rights:
            listed = SQL(", ").join(SQL(right) for right in sorted(rights))
            yield SQL("GRANT {rights} ON {table} TO {role}").format(rights=listed, **at)


def exists(cursor: Any, role: str) -> bool:
    cursor.execute("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", [role])
    return bool(cursor.fetchone()[0])


def absent(role: str) -> str:
    return f"The database has no role {role}, which web processes use."


def absent_hint(role: str) -> str:
    if role == database.WEB_ROLE and database.is_embedded(settings.DATABASES[DEFAULT_DB_ALIAS]):
        return "The server was started by an earlier version: end what uses it, then `manage.py database stop`."
    return f"Make it: CREATE ROLE {role} LOGIN PASSWORD '…' (docs/production.md, Two roles)."
