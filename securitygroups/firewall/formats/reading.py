"""What a file of rules says, ours or another system's: its groups, and of each of its lines how it was taken."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from securitygroups.firewall.values import Rule

MAX_TEXT, MAX_HOW = 200, 2_000


class Taken(Enum):
    """How a line of another system's rules was taken. None of them lets more through than the line did."""

    EXACT = "exact"
    NARROWED = "narrowed"
    NOT_TAKEN = "not taken"


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one line.

    `why` is in few words what many such lines are lost for, as “2 lines not taken (2 …)” goes on: "out to a network".
    `where` is its place in the file ("line 12", "SecurityGroups[0].IpPermissions[2]"), `text` the line as it stands there
    or as near to it as fits into a row. `how` says what is narrower, why it was not taken, or what an exact one rests on;
    it may be empty for an exact one. `places` are those of its rules in the list, from 1.
    """

    where: str
    text: str
    taken: Taken
    how: str = ""
    places: tuple[int, ...] = ()
    why: str = ""

    def __post_init__(self) -> None:
        # Keys of a path, and what a line asks for, may be as long as the file.
        if len(self.where) > MAX_HOW:
            object.__setattr__(self, "where", f"{self.where[:MAX_HOW]} …")
        if len(self.text) > MAX_TEXT:
            object.__setattr__(self, "text", self.text[:MAX_TEXT])
        if len(self.how) > MAX_HOW:
            object.__setattr__(self, "how", f"{self.how[:MAX_HOW]} …")


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """One group of a file. `name` is empty where the file has none."""

    name: str
    description: str
    rules: tuple[Rule, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole file. `system` is what it was read as ("AWS security groups"); `notes` are about lines of no group."""

    system: str
    groups: tuple[ReadGroup, ...]
    notes: tuple[Note, ...] = ()

    def all_notes(self) -> Iterable[Note]:
        yield from self.notes
        for group in self.groups:
            yield from group.notes


@dataclass(frozen=True, slots=True)
class Upload:
    """What was brought: its bytes, its text where it is one ("" else), and its JSON value where it is that (None else)."""

    data: bytes
    text: str = ""
    value: Any = None
    file_name: str = ""


@dataclass(frozen=True, slots=True)
class System:
    """A kind of file that is read. `looks` tells it by what stands in it, never by its name alone; `read` raises BadDocument."""

    name: str
    looks: Callable[[Upload], bool]
    read: Callable[[Upload], Reading]
