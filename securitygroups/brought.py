"""Groups that a file brings, before they are made: which of them fit into the project, and what each lets through.

They are always asked about. The token stands for all that was shown: the rules of each group, and what became of each line
of the file. Any of the groups may be left out, and named otherwise, with the same token.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from django.core.exceptions import ValidationError

from securitygroups.answers.preview import Preview, preview_new
from securitygroups.firewall.formats.documents import MAX_NAME
from securitygroups.firewall.formats.reading import ReadGroup, Reading
from securitygroups.firewall.texts import mended, shown
from securitygroups.firewall.values import MAX_DESCRIPTION
from securitygroups.models import Event, Project, SecurityGroup
from securitygroups.operations import (
    By,
    NewGroup,
    RefusedGroups,
    check_rules,
    import_groups,
    names_taken,
    room_for,
)
from securitygroups.operations.records import count
from securitygroups.tokens import token_of, traffic_of
from securitygroups.words.imports import read_words

MOST_GROUPS, MOST_RULES = 100, 10_000
"""So much of a file is looked at on one page, and made by one yes; the rest comes with the same file once more."""


@dataclass(frozen=True, slots=True)
class BroughtGroup:
    """One group of the file: `at` is its place there, from 0. `refused` says why its rules cannot be stored, `taken` why
    it cannot have its name, `called` its name in the file where no group can be called so."""

    at: int
    read: ReadGroup
    refused: tuple[str, ...] = ()
    taken: str = ""
    called: str = ""

    @property
    def fits(self) -> bool:
        return not self.refused and not self.taken

    def preview(self, project: Project) -> Preview:
        return preview_new(SecurityGroup(pk=0, project=project, name=self.read.name), self.read.rules)


@dataclass(frozen=True, slots=True)
class Brought:
    """What a file would make of the project. `left` counts its groups that are not on this page, `room` those that the
    project may have besides its own."""

    project: Project
    reading: Reading
    groups: tuple[BroughtGroup, ...]
    token: str
    room: int
    left: int = 0

    @property
    def several(self) -> bool:
        return len(self.reading.groups) > 1

    @property
    def rule_count(self) -> int:
        return sum(len(one.read.rules) for one in self.groups)

    def preview(self, address: str = "") -> Preview:
        """Of a file with one group."""
        return self.groups[0].preview(self.project)


def propose_import(project: Project, reading: Reading) -> Brought:
    """The groups of the file that are looked at now: first those that fit (two queries)."""
    names = {at: _name(one) for at, one in enumerate(reading.groups)}
    taken = names_taken(project, names)
    every = [
        BroughtGroup(
            at,
            replace(one, name=names[at], description=_line(one.description, MAX_DESCRIPTION)),
            _refused(project, one),
            taken.get(at, ""),
            shown(one.name) if names[at] != one.name.strip() else "",
        )
        for at, one in enumerate(reading.groups)
    ]
    chosen = _first(every)
    return Brought(
        project, reading, chosen, _token(project, reading, chosen), room_for(project), len(every) - len(chosen)
    )


def _first(every: list[BroughtGroup]) -> tuple[BroughtGroup, ...]:
    rules = 0
    chosen: list[BroughtGroup] = []
    for one in sorted(every, key=lambda one: not one.fits):
        rules += len(one.read.rules)
        if chosen and (len(chosen) >= MOST_GROUPS or rules > MOST_RULES):
            break
        chosen.append(one)
    return tuple(sorted(chosen, key=lambda one: one.at))


def _token(project: Project, reading: Reading, chosen: tuple[BroughtGroup, ...]) -> str:
    # A report is no part of what passes, but was looked at as well: the same rules of another file are another file.
    # Where there is none, the group goes along as a document of ours, whatever table it came from.
    notes = list(reading.all_notes())
    told = sha256(repr((reading.system, notes) if notes else "").encode(errors="surrogatepass")).hexdigest()
    return token_of(project.slug, 0, [[one.at, traffic_of(one.read.rules)] for one in chosen], told)


def _name(one: ReadGroup) -> str:
    return _line(one.name, MAX_NAME)


def _line(text: str, longest: int) -> str:
    return mended(text)[:longest].strip()


def _refused(project: Project, one: ReadGroup) -> tuple[str, ...]:
    try:
        check_rules(project, one.rules)
    except ValidationError as refusal:
        return tuple(refusal.messages)
    return ()


def make(brought: Brought, names: Mapping[int, str], by: By) -> tuple[Event, list[str]]:
    """Make the groups of these places under these names, all or none: the line of the record, and their names in order.

    Raises ValidationError as operations.import_groups does; RefusedGroups names them by their places in the file.
    """
    chosen = [one for one in brought.groups if one.at in names]
    new = [NewGroup(names[one.at], one.read.description, one.read.rules, _summary(brought, one)) for one in chosen]
    try:
        event = import_groups(project=brought.project, groups=new, system=brought.reading.system, by=by)
    except RefusedGroups as refusal:
        raise RefusedGroups({chosen[at].at: problem for at, problem in refusal.problems.items()}) from None
    return event, [one.name for one in new]


def _summary(brought: Brought, one: BroughtGroup) -> str:
    """What is kept of where the group's rules came from."""
    notes = one.read.notes if brought.several else tuple(brought.reading.all_notes())
    return f"Imported with {count(len(one.read.rules), 'rule')}{read_words(brought.reading.system, notes)}."
