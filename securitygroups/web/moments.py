"""Moments that an address names: anybody can write one, and pages tell them in the reader's zone."""

from datetime import UTC, datetime, tzinfo

from django.utils import timezone
from django.utils.dateparse import parse_datetime


def moment_of(text: str, zone: tzinfo | None = None) -> datetime | None:
    """The moment in UTC; None where the text is none, or one at the end of all days, which the reader's zone has no more.
    One without an offset is of `zone`, and none where none is given."""
    try:
        moment = parse_datetime(text)
        if moment is None or (timezone.is_naive(moment) and zone is None):
            return None
        moment = (moment.replace(tzinfo=zone) if timezone.is_naive(moment) else moment).astimezone(UTC)
        timezone.localtime(moment)
    except (ValueError, OverflowError):
        return None
    return moment


def to_type(moment: datetime) -> tuple[str, str]:
    """The moment as the field of a form takes it, and its zone: the reader's, or UTC for the second of an hour that their
    clocks show twice, because the field has no offset and would mean the first."""
    local = timezone.localtime(moment)
    shown, zone = (moment.astimezone(UTC), "UTC") if local.fold else (local, timezone.get_current_timezone_name())
    return f"{shown:%Y-%m-%dT%H:%M:%S}", zone
