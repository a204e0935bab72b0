"""How many VMs the internet reached, day by day: found once for each day that is over, and kept.

A day is told as it ended. Of a project that is too large, or a past that is too manifold, only a part is looked at, and
that is said; a day that took too long is not kept.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from time import monotonic
from typing import NamedTuple

from securitygroups.answers.exposure import address_number
from securitygroups.answers.internet import Internet
from securitygroups.answers.kept import keep, known
from securitygroups.answers.reached import sensitive
from securitygroups.firewall.analysis.internet import internet_exposure
from securitygroups.firewall.analysis.reach import Endpoint
from securitygroups.models import Project
from securitygroups.past import Past, PastLimits, States, past

DAYS = 30
KEPT = 7
"""So many days what was kept is found again at the most: from there on only new days are looked at."""
SETTLED = timedelta(minutes=10)
"""A change that was begun before midnight may be on record a moment later."""
GLANCE = PastLimits(machines=500, lists=40, rules=5_000, aside=True)
WHOLE = PastLimits(machines=20_000, lists=400, rules=200_000)


class Day(NamedTuple):
    """A day as it ended, or as it is: VMs, those that the internet reaches, those with services that are better not so
    open, and how many could not be looked at."""

    date: date
    machines: int
    open: int
    loud: int
    unseen: int = 0


class Asked(NamedTuple):
    """Of which project the trend is, in whose days, and until when."""

    project: Project
    zone: tzinfo
    now: datetime

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def end(self, day: date) -> datetime:
        """The moment at which the day was over."""
        return datetime.combine(day + timedelta(days=1), time(), self.zone)

    @property
    def days(self) -> list[date]:
        """Those that are over, from the first of the trend, or of the project."""
        first = max(self.today - timedelta(days=DAYS - 1), self.project.created_at.astimezone(self.zone).date())
        return [first + timedelta(days=number) for number in range((self.today - first).days)]

    def mark(self, day: date) -> str:
        """What that day's answer is kept under. Zones do not agree on when a day ends."""
        return f"{self.project.pk}:{self.zone}:{day}"


def glance(asked: Asked, today: Internet, *, cheap: bool) -> list[Day] | None:
    """The trend for the overview: as it is kept, or found anew where that is `cheap`; else None."""
    found = _kept(asked)
    if missing := _missing(asked, found):
        found = _found(asked, found, GLANCE, 0.3) if cheap else {}
    whole = found.keys() >= {*asked.days} and not any(found[day].unseen for day in missing)
    return _with_today(asked, found, today) if whole else None


def trend(asked: Asked, today: Internet, seconds: float = 5.0) -> list[Day]:
    """The same, whatever it takes."""
    found = _kept(asked)
    if _missing(asked, found):
        found = _found(asked, found, WHOLE, seconds)
    return _with_today(asked, found, today)


def _missing(asked: Asked, found: Collection[date]) -> list[date]:
    return [day for day in asked.days if day not in found]


def _with_today(asked: Asked, found: dict[date, Day], today: Internet) -> list[Day]:
    unseen = today.unsettled.number + today.unseen
    return [*(found[day] for day in asked.days), Day(asked.today, today.machines, today.open, today.loud, unseen)]


def _kept(asked: Asked) -> dict[date, Day]:
    if not asked.days:
        return {}
    held = known("trend", *(asked.mark(asked.today - timedelta(days=back)) for back in range(KEPT)))
    days = (Day(date.fromisoformat(day), *numbers) for day, *numbers in held or ())
    return {day.date: day for day in days if day.date in asked.days}


def _found(asked: Asked, known: dict[date, Day], limits: PastLimits, seconds: float) -> dict[date, Day]:
    """All days; they are kept if nothing has to be looked at again."""
    missing = _missing(asked, known)
    end = monotonic() + seconds
    was = past(asked.project, [asked.end(day) for day in missing], limits)
    fresh, late = _counted(missing, was, lambda: monotonic() > end)
    found = known | fresh
    settled = asked.now - asked.end(missing[-1]) > SETTLED
    # What is only left out by the way is looked at by whoever takes a turn for it.
    if settled and not late and (limits is WHOLE or not any(day.unseen for day in fresh.values())):
        keep("trend", asked.mark(asked.today), [(str(day), *its[1:]) for day, its in found.items()])
    return found


def _counted(days: Sequence[date], was: Past, late: Callable[[], bool]) -> tuple[dict[date, Day], bool]:
    """Each list is looked at once, for all VMs and days that have it; whether time ran out."""
    pairs, ends = _ends(was)
    seen = internet_exposure(list(was.rules.values()), ends, late=late)
    unclear = {*seen.too_fine, *seen.unseen}
    reached = {key for one in seen.exposed for key in one.machines}
    loud = {key for one in seen.exposed if sensitive(one.product.protocols, one.product.ports) for key in one.machines}
    found: dict[date, Day] = {}
    for place, day in enumerate(days):
        there = [
            (pairs.get((at, states), -1), line.machines)
            for at, line in enumerate(was.lines)
            if (states := line.lists[place]) is not None
        ]
        found[day] = Day(
            day,
            machines=sum(number for _, number in there) + was.unseen,
            open=_of(there, reached),
            loud=_of(there, loud),
            unseen=_of(there, {-1, *unclear}) + was.unseen,
        )
    return found, bool(seen.unseen)


def _ends(was: Past) -> tuple[dict[tuple[int, States], int], list[Endpoint]]:
    """An endpoint for each list that a line's VMs had, and its key by the line's place and the list."""
    sequences = {states: number for number, states in enumerate(was.rules)}
    pairs: dict[tuple[int, States], int] = {}
    ends: list[Endpoint] = []
    for at, line in enumerate(was.lines):
        for states in dict.fromkeys(line.lists):
            if states in sequences and states is not None:
                pairs[at, states] = len(ends)
                addresses = address_number(line.ipv4), address_number(line.ipv6)
                ends.append(Endpoint(len(ends), sequences[states], *addresses))
    return pairs, ends


def _of(there: Iterable[tuple[int, int]], keys: set[int | str]) -> int:
    return sum(number for key, number in there if key in keys)
