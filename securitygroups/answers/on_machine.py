"""What there is to say of the rules of a VM's effective list, as its page shows them."""

from collections.abc import Sequence
from itertools import groupby

from securitygroups.answers.findings import Note, Shown, findings_of
from securitygroups.effective import Listed, Placed, names_of, rules_of

Noted = tuple[int, Placed, tuple[Note, ...]]
"""A place of the effective list, its rule, and what there is to say of it."""


def findings_on(project: int, listed: Listed) -> Shown:
    """Findings over the whole list: a group that ends in "drop everything" hides every group after it."""
    return findings_of(project, rules_of(listed), names_of(listed))


def noted(project: int, shown: Sequence[tuple[int, Placed]], listed: Listed, found: Shown) -> list[Noted]:
    """The shown places with their notes; of the fixes those alone that the rule's own group offers too: there they are
    made, and a rule that another group hides is not mended in its own.
    """
    rows = [(place, one, found.notes.get(place)) for place, one in shown]
    mended = {one.group for _, one, notes in rows if any(note.kind == "fix" for note in notes)}
    own = {
        home: findings_of(project, [one.rule for one in its]).notes
        for home, its in groupby(listed, key=lambda one: one.group)
        if home in mended
    }
    return [
        (place, one, _with_own_fixes(notes, own[one.group].get(one.place) if one.group in own else ()))
        for place, one, notes in rows
    ]


def _with_own_fixes(notes: tuple[Note, ...], offered: tuple[Note, ...]) -> tuple[Note, ...]:
    fixes = {note.fix for note in notes if note.kind == "fix"}
    return (
        *(note for note in notes if note.kind != "fix"),
        *(note for note in offered if note.kind == "fix" and note.fix in fixes),
    )
