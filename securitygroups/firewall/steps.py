"""How a list follows from the one before, told in few words: what a revision keeps of a long list that changed little.

A step is either a rule as it is stored, for one that is new, or `[first, last]`, the rules from place `first` to place
`last` of the list before, with a third item where they have something else now: `[1, 1000, {"enabled": false}]`. The
new list is what the steps give, one after the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from securitygroups.firewall.formats.documents import rule_to_json, stored_rules
from securitygroups.firewall.values import Rule, RuleList

Stored = Mapping[str, Any]
Step = Stored | list[Any]
_WEIGHT = 10
"""So many times as long is a rule that is written out as the place of one."""


def steps(old: RuleList, new: RuleList) -> list[Step]:
    """What leads from one list to the other. Rules are the same by identity, which all of them have."""
    places = {rule.uid: place for place, rule in enumerate(old, 1)}
    found: list[Step] = []
    for rule in new:
        place = places.get(rule.uid)
        if place is None:
            found += stored_rules([rule])
        else:
            _go_on(found, place, _otherwise(old[place - 1], rule))
    return found


def _otherwise(old: Rule, new: Rule) -> list[Stored]:
    """What the rule has otherwise now, nothing where it is as it was."""
    if old == new:
        return []
    was, now = rule_to_json(old), rule_to_json(new)
    return [{name: now[name] for name in now if now[name] != was[name]}]


def _go_on(found: list[Step], place: int, otherwise: list[Stored]) -> None:
    last = found[-1] if found else None
    if isinstance(last, list) and last[1] == place - 1 and last[2:] == otherwise:
        last[1] = place
    else:
        found.append([place, place, *otherwise])


def are_short(found: Sequence[Step], new: RuleList) -> bool:
    """Whether the steps take less than half of the room of the list itself."""
    weight = sum(1 if isinstance(step, list) and len(step) == 2 else _WEIGHT for step in found)
    return 2 * weight <= _WEIGHT * len(new)


def followed(old: Sequence[Stored], found: Sequence[Step]) -> list[Stored]:
    """The list to which the steps lead, as it is stored."""
    new: list[Stored] = []
    for step in found:
        if not isinstance(step, list):
            new.append(step)
            continue
        same = old[step[0] - 1 : step[1]]
        new += [{**rule, **step[2]} for rule in same] if len(step) > 2 else same
    return new
