"""Times of logs as microseconds since 1970: only their order matters, so a time without a zone is taken as it stands."""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.text import Fields, Mask, looked_up, numbers

UNKNOWN = 1 << 62
"""The time of a record that tells none: it came after all others."""

_NUMBER = re.compile(r"(\d{1,19})(?:[.,](\d{1,30}))?\Z")
_POWER = re.compile(r"(\d)(?:\.(\d{1,17}))?[eE]\+?(\d{1,2})\Z")
_SECONDS, _FRACTION = 10, 6
_BOUNDS = ((1970, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 60))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
_ZONE = r"\s?(?:Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?\Z"
_WRITTEN = tuple(
    re.compile(f"{date}{_CLOCK}{_ZONE}", re.ASCII | re.IGNORECASE)
    for date in (
        r"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]\s?",
        r"(?P<day>\d\d?)[/ -]?(?P<month>[a-z]{3})[a-z]*[/ -]?(?P<year>\d{4})[: ]",
        r"(?P<month>[a-z]{3})[a-z]* (?P<day>\d\d?), (?P<year>\d{4}),? (?:@ )?",
    )
)
"""2026-06-28 23:17:41.125, 28/Jun/2026:23:17:41 +0000 and Jun 28, 2026 @ 23:17:41.125; figures alone tell no month."""
_NOTHING = {"", "-", "null", "none", "nan", "nat", "\\n"}
_DAYS_BEFORE = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 0, 0, 0], np.int64)


def microseconds(fields: Fields) -> tuple[NDArray[np.int64], Mask]:
    """(time, known): seconds, milli-, micro- or nanoseconds since 1970, with or without a fraction, or a date and time."""
    times, taken = np.zeros(len(fields.start), np.int64), np.zeros(len(fields.start), np.bool_)
    for read in _in_likely_order(fields):
        if not taken.any():
            times, taken = read(fields)
        elif not taken.all():
            rest = np.flatnonzero(~taken)
            times[rest], taken[rest] = read(fields.take(rest))
    rest = np.flatnonzero(~taken)
    if rest.size:
        times[rest], taken[rest] = looked_up(fields.take(rest), moment)
    return times, taken


def _in_likely_order(fields: Fields) -> list[Callable[[Fields], tuple[NDArray[np.int64], Mask]]]:
    """The quick readers, the one first that the first field is for."""
    first = fields.text(0)[:40] if len(fields.start) else ""
    likely = _dates if ":" in first else _fractions if "." in first else _whole
    return [likely, *(read for read in (_whole, _fractions, _dates) if read is not likely)]


def _whole(fields: Fields) -> tuple[NDArray[np.int64], Mask]:
    number, taken = numbers(fields, 18)
    return _scaled(number), taken


def _scaled(number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Seconds have up to 11 digits, milliseconds 14, microseconds 17, nanoseconds more."""
    scaled = number * 1_000_000
    large = number >= 10**11
    if large.any():
        scaled = np.where(large, number * 1000, scaled)
        scaled = np.where(number >= 10**14, number, scaled)
        scaled = np.where(number >= 10**17, number // 1000, scaled)
    return scaled


def _part(fields: Fields, first: int, last: int) -> Fields:
    return Fields(fields.data, fields.start + first, fields.start + last)


def _fractions(fields: Fields) -> tuple[NDArray[np.int64], Mask]:
    """Seconds of ten digits with up to nine behind the dot."""
    length = fields.end - fields.start
    taken = (length >= _SECONDS + 2) & (length <= _SECONDS + 10)
    # No field is read beyond its end by more than the padding allows.
    taken &= fields.data.take(np.minimum(fields.start + _SECONDS, len(fields.data) - 1)) == 46
    times = np.zeros(len(length), np.int64)
    rows = np.flatnonzero(taken)
    if rows.size:
        those = fields.take(rows)
        seconds, sound = numbers(_part(those, 0, _SECONDS), _SECONDS)
        micro, exact = _behind_dot(those, _SECONDS + 1)
        times[rows], taken[rows] = seconds * 1_000_000 + micro, sound & exact
    return times, taken


def _behind_dot(fields: Fields, place: int) -> tuple[NDArray[np.int64], Mask]:
    """Microseconds from the digits from `place` on, of which there are some: six are kept."""
    start = fields.start + place
    kept, digits = numbers(Fields(fields.data, start, np.minimum(fields.end, start + _FRACTION)), _FRACTION)
    if (fields.end - start).max(initial=0) > _FRACTION:
        digits = numbers(Fields(fields.data, start, fields.end), 18)[1]
    missing = _FRACTION - np.minimum(fields.end - start, _FRACTION)
    return kept * 10 ** np.maximum(missing, 0), digits


def _dates(fields: Fields) -> tuple[NDArray[np.int64], Mask]:
    """2026-06-28 23:17:41, with T or a blank between, and a fraction and Z behind."""
    data, start = fields.data, fields.start
    last = data.take(np.maximum(fields.end - 1, 0))
    end = np.maximum(fields.end - ((last == 90) & (fields.end - start > 19)), start)
    length = end - start
    taken = (length >= 19) & (length <= 29) & (length != 20)
    times = np.zeros(len(length), np.int64)
    rows = np.flatnonzero(taken)
    if not rows.size:
        return times, taken
    those = Fields(data, start.take(rows), end.take(rows))
    times[rows], taken[rows] = _date_times(those)
    return times, taken


def _date_times(fields: Fields) -> tuple[NDArray[np.int64], Mask]:
    marks = [fields.data.take(fields.start + place) for place in (4, 7, 10, 13, 16)]
    sound = ((marks[0] == 45) | (marks[0] == 47)) & (marks[1] == marks[0]) & ((marks[2] == 84) | (marks[2] == 32))
    sound &= (marks[3] == 58) & (marks[4] == 58)
    parts = []
    for first, last in ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)):
        value, digits = numbers(_part(fields, first, last), 4)
        sound &= digits
        parts.append(value)
    year, month, day, hour, minute, second = parts
    sound &= (year >= 1970) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    sound &= (hour < 24) & (minute < 60) & (second <= 60)
    days = _days(year, month, day)
    micro = np.zeros(len(year), np.int64)
    longer = np.flatnonzero(fields.end - fields.start > 19)
    if longer.size:
        those = fields.take(longer)
        dot = those.data.take(those.start + 19)
        micro[longer], digits = _behind_dot(those, 20)
        sound[longer] &= digits & ((dot == 46) | (dot == 44))
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micro, sound


def _days(year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Days since 1970."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    before = year - 1
    days: NDArray[np.int64] = year * 365 + before // 4 - before // 100 + before // 400 - 719_528 + day
    days += _DAYS_BEFORE.take(np.minimum(month, 15)) + ((month > 2) & leap)
    return days


def moment(text: str) -> int | None:
    """The time that one text tells, UNKNOWN for one that stands for none; None where it is no time."""
    text = text.strip()
    if text.lower() in _NOTHING:
        return UNKNOWN
    return _numeric(text) if text[:1].isdigit() and _is_number(text) else _written(text)


def _is_number(text: str) -> bool:
    return bool(_NUMBER.match(text) or _POWER.match(text))


def _numeric(text: str) -> int | None:
    if match := _NUMBER.match(text):
        whole, fraction = int(match[1]), (match[2] or "").ljust(6, "0")
    elif match := _POWER.match(text):
        digits, power = match[1] + (match[2] or ""), int(match[3])
        digits = digits.ljust(power + 1, "0")
        whole, fraction = int(digits[: power + 1]), digits[power + 1 :].ljust(6, "0")
    else:
        return None
    if whole >= 1 << 62:
        return None
    scaled = int(_scaled(np.array([whole]))[0])
    return scaled + int(fraction[:6]) if whole < 10**11 else scaled


def _written(text: str) -> int | None:
    found = next((match for pattern in _WRITTEN if (match := pattern.match(text[:60]))), None)
    if found is None:
        return None
    year, month, day = int(found["year"]), _month(found["month"].lower()), int(found["day"])
    clock = [int(found[name] or 0) for name in ("hour", "minute", "second")]
    if not all(low <= part <= high for part, (low, high) in zip((year, month, day, *clock), _BOUNDS, strict=True)):
        return None
    days = int(_days(np.array([year]), np.array([month]), np.array([day]))[0])
    seconds = ((days * 24 + clock[0]) * 60 + clock[1]) * 60 + clock[2]
    return (seconds - _ahead(found)) * 1_000_000 + int((found["fraction"] or "").ljust(6, "0")[:6])


def _month(word: str) -> int:
    if word.isdigit():
        return int(word)
    return _MONTHS.index(word) + 1 if word in _MONTHS else 0


def _ahead(found: re.Match[str]) -> int:
    """The seconds by which the zone is before UTC."""
    ahead = (int(found["hours"] or 0) * 60 + int(found["minutes"] or 0)) * 60
    return -ahead if found["sign"] == "-" else ahead
