"""Migrations whose neighbours are joined tell the database what they would tell it one by one."""

from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations import AddIndex, AlterField, Migration, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from karenpanel.together import Together, joined

LOADER = MigrationLoader(None)
JOINED = [
    migration
    for key, migration in sorted(LOADER.graph.nodes.items())
    if isinstance(migration, Migration) and any(isinstance(each, Together) for each in joined(migration.operations))
]


def told(migration: Any, operations: list[Operation]) -> list[str]:
    """The statements of a migration with these operations, without the words about them."""
    written, migration.operations = migration.operations, operations
    try:
        lines = MigrationLoader(connection, replace_migrations=False).collect_sql([(migration, False)])
    finally:
        migration.operations = written
    return [line for line in lines if not line.startswith("--")]


@pytest.mark.django_db
@pytest.mark.parametrize("migration", JOINED, ids=str)
def test_the_database_is_told_the_same(migration: Migration) -> None:
    one_by_one = told(migration, list(migration.operations))
    assert one_by_one
    assert told(migration, list(joined(migration.operations))) == one_by_one


def test_the_first_migration_of_ours_is_joined() -> None:
    assert ("securitygroups", "0001_initial") in {(each.app_label, each.name) for each in JOINED}


def test_what_may_not_be_joined_stays_as_it_is() -> None:
    def index(name: str) -> AddIndex:
        return AddIndex("rule", models.Index(fields=["position"], name=name))

    def field(name: str, kind: Any) -> AlterField:
        return AlterField("rule", name, kind)

    text, other = models.TextField(), models.ForeignKey("rule", models.CASCADE)
    for operations in (
        [index("a"), RunSQL("SELECT 1"), index("b")],
        [index("a"), field("b", text), index("c")],
        [field("a", text), field("a", text)],
        [field("a", text), field("b", other)],
        [field("a", text), field("id", models.BigAutoField(primary_key=True))],
    ):
        assert list(joined(operations)) == operations
    assert [type(each) for each in joined([index("a"), index("b"), field("c", text)])] == [Together, AlterField]
