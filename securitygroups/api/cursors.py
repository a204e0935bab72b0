"""Pages of lists: a cursor names the last row that was given, so that what is added meanwhile moves nothing."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from securitygroups.api.problems import Refusal

LIMIT = 50
_KEY = 2**63

Told = Callable[[Any], Any]


def by_name(rows: QuerySet[Any], cursor: str, limit: int, told: Told) -> dict[str, Any]:
    """A page of rows by their names."""
    rows = rows.order_by("name", "pk")
    if cursor:
        name, key = _read(cursor, str, int)
        # The first condition is what an index is good for.
        rows = rows.filter(Q(name__gte=name), Q(name__gt=name) | Q(pk__gt=key))
    return _page(list(rows[: limit + 1]), limit, told, ("name", "pk"))


def newest_first(rows: QuerySet[Any], cursor: str, limit: int, told: Told, by: str = "pk") -> dict[str, Any]:
    """A page of rows whose number `by` is larger the later they came."""
    rows = rows.order_by(f"-{by}")
    if cursor:
        (number,) = _read(cursor, int)
        rows = rows.filter(**{f"{by}__lt": number})
    return _page(list(rows[: limit + 1]), limit, told, (by,))


def latest_first(rows: QuerySet[Any], cursor: str, limit: int, told: Told) -> dict[str, Any]:
    """A page of rows by their `last_at`. What happens again meanwhile stands on the first page anew."""
    rows = rows.order_by("-last_at", "-pk")
    if cursor:
        text, key = _read(cursor, str, int)
        last = _moment(text)
        rows = rows.filter(Q(last_at__lte=last), Q(last_at__lt=last) | Q(pk__lt=key))
    found = list(rows[: limit + 1])
    last_row = found[limit - 1] if len(found) > limit else None
    behind = _written([last_row.last_at.isoformat(), last_row.pk]) if last_row else None
    return {"items": [told(row) for row in found[:limit]], "next": behind}


def in_order(rows: Sequence[Any], cursor: str, limit: int, told: Told) -> dict[str, Any]:
    """A page of what has no key of its own, by its place."""
    (start,) = _read(cursor, int) if cursor else (0,)
    end = start + limit
    behind = _written([end]) if end < len(rows) else None
    return {"items": [told(row) for row in rows[start:end]], "next": behind}


def _page(found: list[Any], limit: int, told: Told, names: Sequence[str]) -> dict[str, Any]:
    last = found[limit - 1] if len(found) > limit else None
    behind = None if last is None else _written([getattr(last, name) for name in names])
    return {"items": [told(row) for row in found[:limit]], "next": behind}


def _written(values: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read(cursor: str, *kinds: type) -> list[Any]:
    """What stands in it. Raises Refusal."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        sound = isinstance(values, list) and [type(value) for value in values] == list(kinds)
    except (ValueError, RecursionError):
        sound = False
    if not sound or not all(0 <= value < _KEY if isinstance(value, int) else "\0" not in value for value in values):
        raise _none()
    return values  # type: ignore[no-any-return]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _none() from None
    if moment.tzinfo is None:
        raise _none()
    return moment


def _none() -> Refusal:
    fault = {"parameter": "cursor", "detail": "Take the cursor from “next” of the page before, as it is."}
    return Refusal("invalid", fault["detail"], [fault])
