"""Groups from a file: all of them are made, or none; and taken back together."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from securitygroups.firewall.texts import looks_like
from securitygroups.firewall.values import RuleList
from securitygroups.models import Attachment, Event, Project, SecurityGroup
from securitygroups.operations.by import By
from securitygroups.operations.groups import delete_groups, make_group
from securitygroups.operations.records import Conflict, Verb, count, event, lock_project, record_all
from securitygroups.words.imports import imported_sentence

TAKEN = "The project has a group of this name already: type another."
TWICE = "Two groups of the file have this name: type another for one of them."
_UNSEEN = dict.fromkeys(map(ord, "\u180b\u180c\u180d\u180e\u180f\u200b\u200c\u200d\ufe0e\ufe0f"))


@dataclass(frozen=True, slots=True)
class NewGroup:
    """A group that a file brings: `summary` is what its first revision says of where it came from."""

    name: str
    description: str
    rules: RuleList
    summary: str


class RefusedGroups(ValidationError):
    """Groups that cannot be made: `problems` maps a place among them (from 0) to what is wrong there."""

    def __init__(self, problems: Mapping[int, ValidationError]) -> None:
        super().__init__([message for problem in problems.values() for message in problem.messages])
        self.problems = problems


def _same(name: str) -> str:
    """Much as the database compares names: it has the last word when they are stored."""
    return unicodedata.normalize("NFKC", name).translate(_UNSEEN).lower()


def names_taken(project: Project, names: Mapping[int, str]) -> dict[int, str]:
    """Which of the names could not be given to a new group, and why (one query)."""
    live = SecurityGroup.objects.live().filter(project=project).order_by()
    there = {_same(name) for name in live.values_list("name", flat=True)}
    found: dict[int, str] = {}
    seen: set[str] = set()
    for at, name in names.items():
        same = {_same(name), _same(looks_like(name))} if name else set()
        if same & there:
            found[at] = TAKEN
        elif same & seen:
            found[at] = TWICE
        seen |= same
    return found


def room_for(project: Project) -> int:
    """How many groups more the project may have (one query)."""
    return max(0, project.group_quota - SecurityGroup.objects.live().filter(project=project).count())


@transaction.atomic
def import_groups(*, project: Project, groups: Sequence[NewGroup], system: str, by: By) -> Event:
    """Make all of the groups or none. Returns the line of the record that speaks of them, which undo_import takes.

    Raises ValidationError where the project has no room for them, RefusedGroups with what is wrong with each.
    """
    by.check()
    locked = lock_project(project)
    if len(groups) > (room := room_for(locked)):
        raise ValidationError(no_room(locked, room, len(groups)), code="quota")
    made: list[SecurityGroup] = []
    problems: dict[int, ValidationError] = {}
    for at, one in enumerate(groups):
        try:
            made.append(make_group(locked, one.name, one.description, one.rules, by=by, summary=one.summary))
        except ValidationError as refusal:
            problems[at] = refusal
    if problems:
        raise RefusedGroups(problems)
    about = {"imported": [group.public_id for group in made]}
    names = [group.name for group in made]
    # The newest line stands first: the one that speaks of all of them.
    lines = [event(locked, Verb.GROUP_CREATED, f"Created {group.name}.", by=by, group=group) for group in made]
    only = made[0] if len(made) == 1 else None
    whole = event(locked, Verb.GROUP_CREATED, imported_sentence(names, system), by=by, group=only, detail=about)
    record_all([whole] if only else [*lines, whole])
    return whole


def no_room(project: Project, room: int, wanted: int) -> str:
    """Why so many groups do not fit, and what to do."""
    if not room:
        return f"The project has its {count(project.group_quota, 'group')} already: delete one that is not used first."
    return (
        f"The project has room for {count(room, 'more group')}, these are {wanted}: "
        "leave some out, or delete groups that are not used first."
    )


@transaction.atomic
def undo_import(*, project: Project, event: int, by: By) -> list[str]:
    """Delete the groups of one import, all or none; any can be brought back. Returns their names.

    Raises Conflict where one of them is gone or on a VM by now, or its rules were changed.
    """
    line = Event.objects.filter(project=project, pk=event, verb=Verb.GROUP_CREATED).first()
    if line is None or "imported" not in line.detail:
        raise Conflict(None)
    rows = SecurityGroup.objects.live().filter(project=project, public_id__in=line.detail["imported"]).order_by("pk")
    # Locked, so that nobody puts one of them on a VM after the look.
    held = list(rows.select_for_update(no_key=True, of=("self",)))
    untouched = len(held) == len(line.detail["imported"]) and all(group.revision == 1 for group in held)
    if not untouched or Attachment.objects.filter(group__in=held).exists():
        raise Conflict(None)
    delete_groups(groups=held, by=by.because(by.reason or "The import was undone."))
    return [group.name for group in held]
