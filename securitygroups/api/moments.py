"""Times that a program asks about."""

from datetime import UTC, datetime
from typing import Annotated, Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from pydantic import Field

from securitygroups.api.problems import Refusal

At = Annotated[str, Field(max_length=50, json_schema_extra={"format": "date-time"})]

# Its schema is that of a text and of nothing else, so that it is null nowhere.
LEFT_OUT: Any = None


def moment_of(text: str | None, name: str = "at") -> datetime | None:
    """The moment in UTC, None where none is asked for. Raises Refusal where it is no time, or one without a zone; `name` is the
    parameter that it stands in."""
    if text is None:
        return None
    try:
        # What was a + before somebody left it as it is in an address.
        moment = parse_datetime(text.replace(" ", "+"))
        if moment is not None and not is_naive(moment):
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    detail = "This is no time with a zone: write one such as 2030-01-31T14:00:00Z or 2030-01-31T14:00:00%2B01:00."
    raise Refusal("invalid", detail, [{"parameter": name, "detail": detail}])
