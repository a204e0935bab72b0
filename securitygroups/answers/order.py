"""What differs between two orders of a VM's groups."""

from collections.abc import Sequence
from dataclasses import dataclass

from securitygroups.models import SecurityGroup

Named = Sequence[tuple[str, str]]
"""Groups as public id and name, in order."""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One group that differs between two orders; places count from 1, None where it is not in that one."""

    name: str
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What differs between two orders of groups."""

    added: tuple[GroupLine, ...]
    removed: tuple[GroupLine, ...]
    moved: tuple[GroupLine, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved)


def named(groups: Sequence[SecurityGroup]) -> Named:
    return [(group.public_id, group.name) for group in groups]


def _places(groups: Named) -> dict[str, int]:
    return {public_id: place for place, (public_id, _) in enumerate(groups, 1)}


def group_change(before: Named, after: Named) -> GroupChange:
    """Which groups came, went, and moved among those that stayed."""
    old, new = _places(before), _places(after)
    stayed = [[(one, name) for one, name in some if one in old and one in new] for some in (before, after)]
    # A VM has few groups: every one that has another before it is said, not the fewest moves that explain the order.
    moved = [now for was, now in zip(*stayed, strict=True) if was != now]
    return GroupChange(
        added=tuple(GroupLine(name, None, new[one]) for one, name in after if one not in old),
        removed=tuple(GroupLine(name, old[one], None) for one, name in before if one not in new),
        moved=tuple(GroupLine(name, old[one], new[one]) for one, name in moved),
    )
