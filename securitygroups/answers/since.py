"""What others have done in a project since somebody was last there, folded: a line for each thing, not for each click."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.words.traffic import joined

LOOKED_AT = 200
"""Lines of the activity that are folded, the newest; of more it is only said that there are."""
LINES, ALIKE, NAMES = 8, 3, 3
"""What is told. More things than ALIKE to which the same happened are one line."""

Verb = Event.Verb
_CREATED = {Verb.GROUP_CREATED, Verb.MACHINE_CREATED}
_DELETED = {Verb.GROUP_DELETED, Verb.MACHINE_DELETED}
_ABOUT = {
    Verb.MEMBER_INVITED: "members",
    Verb.INVITATION_ENDED: "members",
    Verb.MEMBER_ADDED: "members",
    Verb.MEMBER_CHANGED: "members",
    Verb.MEMBER_REMOVED: "members",
    Verb.SUPPORT_LOOK: "support",
    Verb.TEMPLATE_SAVED: "templates",
    Verb.TEMPLATE_DELETED: "templates",
    Verb.CASE_OPENED: "cases",
    Verb.TOKEN_MADE: "tokens",
    Verb.TOKEN_REVOKED: "tokens",
}
_NAMED = {
    "members": "Members",
    "tokens": "API tokens",
    "templates": "Templates",
    "cases": "Support cases",
    "project": "The project",
}

Thing = SecurityGroup | VirtualMachine


@dataclass(frozen=True, slots=True)
class Told:
    """A line: the thing it is about, if it is one that can be opened, or a `name` for it; and what became of it."""

    kind: str
    thing: Thing | None
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Since:
    """`more` lines are not told; `at_least`: there was more than is looked at."""

    moment: datetime
    lines: Sequence[Told]
    more: int
    at_least: bool


def since(project: Project, reader: User, moment: datetime) -> Since:
    """What others and programs did after the moment (one query)."""
    rows = Event.objects.filter(project=project, at__gt=moment).select_related("group", "machine")
    # All of them, and not only others': a person's own thousand lines would have to be read past.
    events = list(rows[: LOOKED_AT + 1])
    # A program's doings are news to its own person too.
    others = (event for event in events[:LOOKED_AT] if event.actor_id != reader.pk or event.token_id)
    lines = _folded(others)
    return Since(moment, lines[:LINES], len(lines[LINES:]), len(events) > LOOKED_AT)


def _folded(events: Iterable[Event]) -> list[Told]:
    things: dict[tuple[str, int | None], list[Event]] = {}
    for event in events:
        things.setdefault(_about(event), []).append(event)
    alike: dict[tuple[str, str], list[list[Event]]] = {}
    for (kind, _), its in things.items():
        alike.setdefault((kind, _what(kind, its)), []).append(its)
    told: list[Told] = []
    for (kind, what), several in alike.items():
        if len(several) > ALIKE:
            many = "groups" if kind == "group" else "VMs"
            told.append(Told(kind, None, f"{len(several)} {many}", f"each {what}" if what[0].isdigit() else what))
        else:
            told += [_line(kind, its[0], what) for its in several]
    return told


def _about(event: Event) -> tuple[str, int | None]:
    if event.verb in _ABOUT:
        return _ABOUT[Verb(event.verb)], None
    if event.group_id:
        return "group", event.group_id
    return ("machine", event.machine_id) if event.machine_id else ("project", None)


def _line(kind: str, event: Event, what: str) -> Told:
    thing: Thing | None = {"group": event.group, "machine": event.machine}.get(kind)
    gone = thing is None or thing.deleted_at is not None or thing.project_id != event.project_id
    return Told(kind, None if gone else thing, str(thing) if thing else _NAMED.get(kind, "Support"), what)


def _what(kind: str, events: Sequence[Event]) -> str:
    """Of the newest first: "created by anna", "3 changes by anna and bob"."""
    who = list(dict.fromkeys(event.who + (" (platform staff)" if event.by_staff else "") for event in events))
    names = joined(who if len(who) <= NAMES else [*who[: NAMES - 1], f"{len(who) - NAMES + 1} others"])
    number = len(events)
    if kind == "support":
        return f"looked {'once' if number == 1 else f'{number} times'}: {names}"
    verbs = {Verb(event.verb) for event in events}
    if verbs & _DELETED and events[0].verb in _DELETED:
        return f"deleted by {events[0].who}"
    if verbs & _CREATED:
        changes = number - 1
        return f"created by {events[-1].who}" + (f", {_changes(changes)} since" if changes and kind == "group" else "")
    return f"{_changes(number)} by {names}"


def _changes(number: int) -> str:
    return "1 change" if number == 1 else f"{number} changes"
