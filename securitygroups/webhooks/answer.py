"""What came of something that was sent."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

GONE = 410
LONGEST_WAIT = 24 * 60 * 60
"""Seconds that a receiver can ask to be left alone for: as long as the longest of our own waits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: the `status` of the answer, or None and the `error` that kept one from coming, in a sentence.

    `wait` is for how many seconds the receiver asks to be left alone; 0 where it does not.
    """

    status: int | None = None
    error: str = ""
    milliseconds: int = 0
    wait: int = 0

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The receiver says that it wants no more."""
        return self.status == GONE


def wait_of(text: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """The seconds of a Retry-After (RFC 9110, 10.2.3), which is a number of them or a date; 0 for what is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        # A number of any length is a lot of work to read.
        return min(int(text[:9]), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text[:100])
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now()).total_seconds()
    except (ValueError, OverflowError):
        return 0
    return int(min(max(seconds, 0), LONGEST_WAIT))
