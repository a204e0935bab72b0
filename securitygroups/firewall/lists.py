"""Edits of a rule list: each takes a list and gives a new one. Places count from 1."""

from collections.abc import Collection
from dataclasses import replace

from securitygroups.firewall.values import Rule, RuleList

Rules = tuple[Rule, ...]


class NoSuchPlace(LookupError):
    """The list has no rule at that place, or no rule of that identity: it has changed since it was looked at."""


def _check(rules: RuleList, place: int, extra: int = 0) -> None:
    if not 1 <= place <= len(rules) + extra:
        raise NoSuchPlace(f"There is no place {place} in a list of {len(rules)} rules.")


def place_of(rules: RuleList, uid: str) -> int:
    """The place of the rule with this identity. Raises NoSuchPlace."""
    for place, rule in enumerate(rules, 1):
        if uid and rule.uid == uid:
            return place
    raise NoSuchPlace("The rule is not in the list any more.")


def insert(rules: RuleList, place: int, rule: Rule) -> Rules:
    """`rule` at `place`, what stood there and below one further down. len(rules) + 1 appends."""
    _check(rules, place, extra=1)
    return (*rules[: place - 1], rule, *rules[place - 1 :])


def change(rules: RuleList, place: int, rule: Rule) -> Rules:
    """`rule` instead of the one at `place`, whose identity it takes over."""
    _check(rules, place)
    return (*rules[: place - 1], replace(rule, uid=rules[place - 1].uid), *rules[place:])


def remove(rules: RuleList, places: Collection[int]) -> Rules:
    """The list without the rules at `places`."""
    for place in places:
        _check(rules, place)
    gone = frozenset(places)
    return tuple(rule for place, rule in enumerate(rules, 1) if place not in gone)


def move(rules: RuleList, places: Collection[int], to: int) -> Rules:
    """The rules at `places`, kept in their order, so that the first of them ends at place `to` of the new list.

    `to` beyond the last possible place means the end of the list.
    """
    if to < 1:
        raise NoSuchPlace(f"There is no place {to}: the first is 1.")
    rest = remove(rules, places)
    moved = [rules[place - 1] for place in sorted(frozenset(places))]
    # Counted among those that stay: places shift when the moved ones are taken out.
    at = min(to - 1, len(rest))
    return (*rest[:at], *moved, *rest[at:])


def switch(rules: RuleList, places: Collection[int], enabled: bool) -> Rules:
    """The rules at `places` on or off."""
    for place in places:
        _check(rules, place)
    chosen = frozenset(places)
    return tuple(
        replace(rule, enabled=enabled) if place in chosen and rule.enabled != enabled else rule
        for place, rule in enumerate(rules, 1)
    )
