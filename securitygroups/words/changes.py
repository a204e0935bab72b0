"""A change of a list in a sentence for the record: which rules, in their own words."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from securitygroups.firewall.changes import ListChange, RuleChange
from securitygroups.firewall.values import Rule
from securitygroups.words.rules import rule_sentence

LONGEST = 400
"""Letters that a line on record has room for."""
NAMED = (3, 1)
"""So many rules of a kind are told in words; fewer where that gets too long."""

Words = Callable[[RuleChange], str]


def change_sentence(change: ListChange) -> str:
    """One line: “Changed rule 4: Accept inbound TCP to port 22 (SSH) from 10.0.0.0/8 → … from anywhere.”"""
    for named in NAMED:
        parts = (
            *_told("Added", change.added, lambda line: _sentence(line.new), named),
            *_told("Removed", change.removed, lambda line: _sentence(line.old), named),
            *_changed(change.changed, named),
            *_moved(change.moved, named),
        )
        words = " ".join(parts)
        if words and len(words) <= LONGEST:
            return words
    return change.summary


def _sentence(rule: Rule | None) -> str:
    return rule_sentence(rule) if rule else ""


def _told(verb: str, lines: Sequence[RuleChange], words: Words, named: int) -> list[str]:
    """Nothing, one rule by its place, or how many and the first of them."""
    if not lines:
        return []
    if len(lines) == 1:
        return [f"{verb} rule {lines[0].new_place or lines[0].old_place}: {words(lines[0])}."]
    more = f"; and {len(lines) - named} more" if len(lines) > named else ""
    return [f"{verb} {len(lines)} rules: {'; '.join(map(words, lines[:named]))}{more}."]


def _changed(lines: Sequence[RuleChange], named: int) -> list[str]:
    """What was only switched, or only described anew, is told as that."""
    kinds: dict[str, list[RuleChange]] = {}
    for line in lines:
        kinds.setdefault(_kind(line), []).append(line)
    return [part for kind, its in kinds.items() for part in _told(kind, its, _WORDS.get(kind, _both), named)]


def _kind(line: RuleChange) -> str:
    old, new = line.old, line.new
    if old is None or new is None:
        return "Changed"
    if replace(old, enabled=new.enabled) == new:
        return "Switched on" if new.enabled else "Switched off"
    return "Described" if replace(old, description=new.description) == new else "Changed"


def _both(line: RuleChange) -> str:
    return f"{_sentence(line.old)} → {_sentence(line.new)}"


def _as_if_on(line: RuleChange) -> str:
    return _sentence(line.new and replace(line.new, enabled=True))


def _described(line: RuleChange) -> str:
    about = f"as “{line.new.description}”" if line.new and line.new.description else "by nothing any more"
    return f"{_sentence(line.new)}, {about}"


_WORDS: dict[str, Words] = {"Switched on": _as_if_on, "Switched off": _as_if_on, "Described": _described}


def _moved(lines: Sequence[RuleChange], named: int) -> list[str]:
    if len(lines) == 1:
        line = lines[0]
        return [f"Moved rule {line.old_place} to {line.new_place}: {_sentence(line.new)}."]
    return _told("Moved", lines, lambda line: _sentence(line.new), named)
