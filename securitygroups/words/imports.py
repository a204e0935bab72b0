"""What became of another system's lines, in sentences."""

from collections import Counter
from collections.abc import Iterable, Sequence

from securitygroups.firewall.formats.reading import Note, Taken
from securitygroups.firewall.formats.systems import OWN
from securitygroups.words.traffic import count_text

NAMED = 5
"""Groups that a sentence names."""
NAMED_WHYS = 3
"""Reasons that a sentence names."""
_LOST = {Taken.NARROWED: "narrowed", Taken.NOT_TAKEN: "not taken"}


def lines_sentence(notes: Iterable[Note]) -> str:
    """Of 14 lines: "2 lines narrowed, 3 lines not taken (2 out to a network)"; empty where each was taken as it is."""
    kept = list(notes)
    counts = Counter(note.taken for note in kept)
    lost = [
        f"{count_text(counts[how], 'line', 'lines')} {word}{_whys(note.why for note in kept if note.taken is how)}"
        for how, word in _LOST.items()
        if counts[how]
    ]
    return ", ".join(lost)


def _whys(whys: Iterable[str]) -> str:
    """What most of them are lost for: " (2 out to a network, 1 by members of groups)"."""
    counts = Counter(why for why in whys if why)
    return f" ({', '.join(f'{count} {why}' for why, count in counts.most_common(NAMED_WHYS))})" if counts else ""


def read_words(system: str, notes: Sequence[Note]) -> str:
    """For the record: ", read from AWS security groups: 2 lines narrowed"; empty where no line has a report."""
    return f", read from {system}: {lines_sentence(notes) or 'every line exactly'}" if notes else ""


def imported_sentence(names: Sequence[str], system: str) -> str:
    """For the activity: "Imported 3 groups from AWS security groups: web, db and lb."."""
    source = "" if system == OWN else f" from {system}"
    if len(names) == 1:
        return f"Imported {names[0]}{source}."
    listed = [*names[:NAMED], *([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])]
    return f"Imported {len(names)} groups{source}: {', '.join(listed[:-1])} and {listed[-1]}."
