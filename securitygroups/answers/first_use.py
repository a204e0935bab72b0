"""The first steps in a project: a group, its VM, a test. They are shown until they are done, or somebody has enough."""

from collections.abc import Collection
from dataclasses import dataclass

GROUP, ATTACH, TEST = "group", "attach", "test"
STEPS = (GROUP, ATTACH, TEST)
BEGUN, DISMISSED = "begun", "dismissed"
SKIP = "no-"


@dataclass(frozen=True, slots=True)
class Step:
    """One of them; of those that are not done or skipped the first is next."""

    key: str
    done: bool
    skipped: bool
    next: bool


def first_steps(kept: Collection[str], *, groups: int, attached: int) -> list[Step]:
    """The steps as they stand for a person, who `kept` some; empty where they are not shown."""
    done = {GROUP: groups > 0, ATTACH: attached > 0, TEST: TEST in kept}
    skipped = {key: SKIP + key in kept and not done[key] for key in STEPS}
    open_ones = [key for key in STEPS if not done[key] and not skipped[key]]
    if not open_ones or not _is_taught(kept, attached):
        return []
    return [Step(key, done[key], skipped[key], key == open_ones[0]) for key in STEPS]


def _is_taught(kept: Collection[str], attached: int) -> bool:
    """Who works here already is not taught; who has begun is led to the end."""
    return DISMISSED not in kept and (not attached or BEGUN in kept)
