"""A small system of rules that is none of ours, for tests of what an import does with such a file.

group web
allow 22 203.0.113.0/24
allow 443 198.51.100.0/24 from-port 1024      narrowed: the drop and accept of a real one
refuse anything                               not taken
"""

from collections.abc import Iterator, Sequence

from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, System, Taken, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.notation import rule
from securitygroups.firewall.values import Rule

NAME = "Otherwall rules"
START = "#otherwall"


def looks(upload: Upload) -> bool:
    return upload.text.startswith(START)


def read(upload: Upload) -> Reading:
    """The groups; a line before the first one is of none."""
    groups: list[ReadGroup] = []
    loose: list[Note] = []
    for where, words in _lines(upload.text):
        if words[0] == "group":
            groups.append(ReadGroup(" ".join(words[1:]), "", ()))
        elif words[0] == "break":
            raise bad(where, "This is no line of such a file.")
        elif not groups:
            loose.append(Note(where, " ".join(words), Taken.NOT_TAKEN, "It is of no group."))
        else:
            groups[-1] = _with(groups[-1], where, words)
    return Reading(NAME, tuple(groups), tuple(loose))


def _lines(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    for number, line in enumerate(text.splitlines()[1:], 2):
        if words := line.split():
            yield f"line {number}", words


def _with(group: ReadGroup, where: str, words: Sequence[str]) -> ReadGroup:
    rules: tuple[Rule, ...] = ()
    taken, how = Taken.NOT_TAKEN, "It asks for what no rule here can."
    if words[0] == "allow":
        source = f" from {words[2]}" if len(words) > 2 else ""
        rules, taken, how = (rule(f"accept in tcp {words[1]}{source}"),), Taken.EXACT, ""
    if words[0] == "less":
        rules, taken = (rule(f"accept in tcp {words[1]} from 192.0.2.0/24"),), Taken.NARROWED
        how = "Only from 192.0.2.0/24, of the networks that it names."
    places = tuple(range(len(group.rules) + 1, len(group.rules) + len(rules) + 1))
    note = Note(where, " ".join(words), taken, how, places)
    return ReadGroup(group.name, group.description, group.rules + rules, (*group.notes, note))


SYSTEM = System(NAME, looks, read)
