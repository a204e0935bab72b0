"""Lines of a project's activity as they are read: by day, in words, and what was done again and again once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import zip_longest

from django.utils import timezone

from securitygroups.models import Event
from securitygroups.web.looked import in_words


@dataclass(slots=True)
class Line:
    """What was done, `times` over, from `first` to the event's own time."""

    event: Event
    words: str
    reason: str
    first: datetime
    times: int = 1

    @property
    def lasted(self) -> bool:
        """Whether it was done again in another minute than at first, as the page tells the time."""
        return self.event.at.replace(second=0, microsecond=0) != self.first.replace(second=0, microsecond=0)


@dataclass(slots=True)
class Day:
    title: str
    lines: list[Line] = field(default_factory=list)


def by_day(events: Sequence[Event]) -> list[Day]:
    """The events, the newest first, under the days of the reader's time zone."""
    days: list[Day] = []
    today = timezone.localdate()
    for line in _folded(_lines(events)):
        title = day_title(timezone.localdate(line.event.at), today)
        if not days or days[-1].title != title:
            days.append(Day(title))
        days[-1].lines.append(line)
    return days


def day_title(day: date, today: date) -> str:
    """As a heading: "Today", "Yesterday", "Tuesday, 24 November"; with its year where that is another one."""
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day:%A, %-d %B}" if day.year == today.year else f"{day:%A, %-d %B %Y}"


def said(events: Sequence[Event]) -> dict[int, str]:
    """Each event in words, by its key. A look is told from the address on its record; older lines have that in them."""
    pages = {event.pk: _page(event) for event in events}
    words: dict[str, str] = {}
    for project in {event.project_id for event in events if pages[event.pk]}:
        words |= in_words(project, {pages[event.pk] for event in events if event.project_id == project} - {""})
    return {event.pk: f"{words[page]}." if (page := pages[event.pk]) else event.summary for event in events}


def _page(event: Event) -> str:
    """The page of the panel that was looked at; the administration has said in words what it showed."""
    looked = event.verb == Event.Verb.SUPPORT_LOOK and event.summary.startswith("Support looked at ")
    return str(event.detail.get("page", "")) if looked else ""


def _lines(events: Sequence[Event]) -> Iterable[Line]:
    words = said(events)
    for event, older in zip_longest(events, events[1:]):
        if older and _tells(older, event):
            continue
        reason = str(event.detail.get("reason", ""))
        # Said once: the line that opens a visit has it in its words.
        yield Line(event, words[event.pk], "" if reason in words[event.pk] else reason, event.at)


def _tells(said: Event, look: Event) -> bool:
    """Whether the look is the sending of what the line under it says already: one click, one line."""
    address = _page(look).partition("?")[0]
    return (
        said.verb in (Event.Verb.CASE_OPENED, Event.Verb.CASE_CHANGED)
        and said.who == look.who
        and look.at - said.at < timedelta(seconds=10)
        and address.startswith("/support/")
        and "/case/" in address
    )


def _same(one: Line, other: Line) -> bool:
    return (one.words, one.reason, one.event.who) == (other.words, other.reason, other.event.who)


def _folded(lines: Iterable[Line]) -> list[Line]:
    """Repeats of one day in one line. Between looks of one person other looks of the same person may stand: back and forth
    between two pages are two lines, not twenty."""
    folded: list[Line] = []
    run: list[Line] = []
    for line in lines:
        if run and not _goes_on(run[-1], line):
            run = []
        again = next((known for known in run if _same(known, line)), None)
        if again:
            again.times += 1
            again.first = line.event.at
            continue
        run = [*run, line] if line.event.verb == Event.Verb.SUPPORT_LOOK else [line]
        folded.append(line)
    return folded


def _goes_on(newer: Line, older: Line) -> bool:
    """Whether the older line can be one with a line of the same run."""
    same_day = timezone.localdate(newer.event.at) == timezone.localdate(older.event.at)
    looks = newer.event.verb == older.event.verb == Event.Verb.SUPPORT_LOOK
    return same_day and newer.event.who == older.event.who and (looks or _same(newer, older))
