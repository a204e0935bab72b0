"""Lines of another system, each of which stands for one of its rules or for several, as a group with a note for each line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from securitygroups.firewall.formats.cards import by_card
from securitygroups.firewall.formats.chains import Found, Line, too_many
from securitygroups.firewall.formats.foreign import MOST_RULES, Foreign, TooMany, taken
from securitygroups.firewall.formats.reading import Note, ReadGroup, Taken

MOST_WEIGHT = 4 * MOST_RULES


@dataclass(frozen=True, slots=True)
class Entry:
    """A line and the rules of its own system that it stands for.

    Without a rule it was `taken` as that; with some, `how` is said beside what became of them, and an exact line is
    one of `taken` at best.
    """

    line: Line
    rules: tuple[Foreign, ...] = ()
    taken: Taken = Taken.EXACT
    how: str = ""


def within_limits(entries: Iterable[Entry]) -> list[Entry]:
    """All of them, as long as they are not far more than a group may have. Raises BadDocument."""
    found, weight = list[Entry](), 0
    for entry in entries:
        found.append(entry)
        weight += 1 + sum(1 + len(one.sources or ()) + len(one.destinations or ()) for one in entry.rules)
        if weight > MOST_WEIGHT:
            raise too_many(entry.line)
    return found


def group(name: str, entries: Sequence[Entry], description: str = "") -> ReadGroup:
    """The rules in their order; lines that stand for rules more than once have one note. Raises BadDocument."""
    try:
        rules, notes = taken(by_card([one for entry in entries for one in entry.rules]))
    except TooMany as error:
        raise too_many(error.at) from None
    found: dict[int, tuple[Line, Found]] = {}
    read = iter(notes)
    for entry in entries:
        _, one = found.setdefault(entry.line.order, (entry.line, Found()))
        if not entry.rules:
            one.add(entry.taken, entry.how)
        for _ in entry.rules:
            note = next(read)
            became = entry.taken if note.taken is Taken.EXACT else note.taken
            one.add(became, entry.how, note.places)
            one.add(became, note.how)
            one.why = one.why or note.why
    listed: list[Note] = [one.note(line) for _, (line, one) in sorted(found.items())]
    return ReadGroup(name, description, rules, tuple(listed))
