"""A packet's way down a list, for a page."""

from collections.abc import Iterator
from dataclasses import dataclass

from securitygroups.effective import Listed, Placed
from securitygroups.firewall.decide import Decision, Step

WHOLE = 1000
"""A list of up to this many rules is shown whole."""
ENDS = 100
"""Of a longer one so many rules at its ends, and on each side of the one that decides."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rules that are not shown one by one: all passed by, or all not reached."""

    first: int
    last: int
    passed: bool


Stop = tuple[Step, Placed, None] | tuple[None, None, Gap]


def way(decision: Decision, listed: Listed) -> Iterator[Stop]:
    """Each rule of the list with what became of the packet there; of a long list the part that can be read."""
    last, deciding = len(listed), decision.rule or len(listed)
    start = 0
    for step in decision.steps:
        place = step.place
        if last > WHOLE and min(place, abs(place - deciding), last - place) > ENDS:
            start = start or place
            continue
        if start:
            yield None, None, Gap(start, place - 1, passed=start < deciding)
            start = 0
        yield step, listed[place - 1], None
