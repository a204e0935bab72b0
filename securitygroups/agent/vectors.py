"""Of what a VM's list was made: a vector and no counter, so that a group on thousands of VMs costs as much as on one."""

from dataclasses import dataclass, replace
from typing import Any

KEYS = ("attached", "placement", "groups", "text")


class NoVector(ValueError):
    """What was read is no vector; the message says what it should be."""


@dataclass(frozen=True, slots=True)
class Vector:
    """The VM's own revision, that of its placement, its groups in order with theirs, and the compiler's version."""

    attached: int
    placement: int
    groups: tuple[tuple[str, int], ...]
    text: int

    def is_older_than(self, other: "Vector") -> bool:
        """Whether something in it was overtaken by the other. Of two neither may be older, and even each than the other."""
        if self.attached != other.attached:
            if self.attached < other.attached:
                return True
        elif self.placement < other.placement:
            return True
        known = dict(other.groups)
        return any(revision < known.get(group, 0) for group, revision in self.groups)

    def compiled_by(self, text: int) -> "Vector":
        """The same lists, made into text by this version of the compiler."""
        return replace(self, text=text)

    def document(self) -> dict[str, Any]:
        """As panel and agent write it."""
        return {
            "attached": self.attached,
            "placement": self.placement,
            "groups": [list(group) for group in self.groups],
            "text": self.text,
        }


def read_vector(value: Any) -> Vector:
    """Raises NoVector."""
    if not isinstance(value, dict) or value.keys() != set(KEYS):
        raise NoVector(f"A vector has the keys {', '.join(KEYS)}, and no others.")
    counted = [value[key] for key in ("attached", "placement", "text")]
    groups = value["groups"]
    if not isinstance(groups, list) or not all(map(_is_group, groups)) or not all(map(is_count, counted)):
        raise NoVector("A vector counts in whole numbers, and names its groups each with a revision.")
    return Vector(counted[0], counted[1], tuple((group, revision) for group, revision in groups), counted[2])


def is_count(value: Any) -> bool:
    """Whether it is a whole number from 0. To Python true is one, and no number."""
    return type(value) is int and 0 <= value < 2**63


def _is_group(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and is_count(value[1])
