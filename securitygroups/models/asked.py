"""Questions that nearly every request asks the database, put into SQL once.

Django works out the text of a query anew each time, which takes longer than PostgreSQL takes to answer a short one. Here the
query is written as any other, with `Given` where a value of each asking stands:

    by_slug = Asked(lambda: Project.objects.filter(slug=Given("slug")))
    by_slug(slug="shop")
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, QuerySet
from django.db.models.query import ModelIterable, get_related_populators
from django.db.models.sql.compiler import SQLCompiler


class Given(Expression):
    """A value that each asking brings, never None: that would be another query."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> Any:
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class _Known:
    """What Django made of the query: its text, its values, and how a row becomes an instance or a tuple."""

    sql: str
    values: tuple[Any, ...]
    converters: tuple[tuple[int, Sequence[Callable[..., Any]], Any], ...]
    made: Callable[[Sequence[Any]], Any]


class Asked:
    """A query without prefetching, of instances or tuples (values_list), made when it is first asked."""

    def __init__(self, query: Callable[[], QuerySet[Any, Any]]) -> None:
        self.query = query
        self._known: _Known | None = None

    def __call__(self, **given: Any) -> list[Any]:
        known = self._known = self._known or _work_out(self.query())
        values = [given[value.name] if isinstance(value, Given) else value for value in known.values]
        connection = connections[DEFAULT_DB_ALIAS]
        with connection.cursor() as cursor:
            cursor.execute(known.sql, values)
            rows: list[Any] = cursor.fetchall()
        if known.converters:
            rows = [list(row) for row in rows]
            for place, converters, expression in known.converters:
                for row in rows:
                    for convert in converters:
                        row[place] = convert(row[place], expression, connection)
        return [known.made(row) for row in rows]

    def one(self, **given: Any) -> Any:
        """The first row, or None."""
        return next(iter(self(**given)), None)


def _work_out(queryset: QuerySet[Any, Any]) -> _Known:
    compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
    sql, values = compiler.as_sql()
    columns = [column for column, *_ in compiler.select]
    converters = tuple(
        (place, found, expression) for place, (found, expression) in compiler.get_converters(columns).items()
    )
    made = _instance(compiler) if queryset._iterable_class is ModelIterable else tuple
    return _Known(sql, tuple(values), converters, made)


def _instance(compiler: SQLCompiler) -> Callable[[Sequence[Any]], Any]:
    """How Django's own querysets make instances of rows, with those of select_related."""
    info: Any = compiler.klass_info
    first, last = info["select_fields"][0], info["select_fields"][-1] + 1
    names = [column.target.attname for column, *_ in compiler.select[first:last]]
    populators = get_related_populators(info, compiler.select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]

    def made(row: Sequence[Any]) -> Any:
        instance = info["model"].from_db(DEFAULT_DB_ALIAS, names, row[first:last])
        for populator in populators:
            populator.populate(row, instance)
        return instance

    return made
