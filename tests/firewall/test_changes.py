"""What happened between two lists is told completely, by rule, and with as few moves as there can be."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.lists import change, insert, move, remove, switch
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule
from tests.firewall.strategies import rules

Rules = tuple[Rule, ...]


def some(uids: str) -> Rules:
    """A rule for each letter."""
    return tuple(Rule(Action.ACCEPT, Direction.IN, "tcp", None, None, ord(uid), ord(uid), uid=uid) for uid in uids)


@st.composite
def two_lists(draw: st.DrawFn) -> tuple[Rules, Rules]:
    """A list and what became of it: rules gone, changed, in another order, and new ones with and without identity."""
    old = draw(st.lists(rules(), max_size=7))
    named = [replace(rule, uid=f"old{place}") for place, rule in enumerate(old)]
    kept = draw(st.lists(st.sampled_from(named), unique_by=lambda rule: rule.uid)) if named else []
    new = [replace(draw(rules()), uid=rule.uid) if draw(st.booleans()) else rule for rule in kept]
    for number in range(draw(st.integers(0, 3))):
        uid = draw(st.sampled_from(["", f"new{number}"]))
        new.insert(draw(st.integers(0, len(new))), replace(draw(rules()), uid=uid))
    return tuple(named), tuple(new)


def applied(old: Rules, told: ListChange) -> list[tuple[str, Rule]]:
    """The new list as somebody would make it who has the old one and what is told about the change."""
    moved = {line.old.uid for line in told.moved if line.old}
    gone = {line.old.uid for line in told.removed if line.old}
    changed = {line.new.uid: line.new for line in told.changed if line.new}
    result = [rule for rule in old if rule.uid not in gone | moved]
    placed = [(line.new_place, line.new) for line in (*told.moved, *told.added)]
    for place, rule in sorted(((p, r) for p, r in placed if p and r), key=lambda pair: pair[0]):
        result.insert(place - 1, rule)
    return [(rule.uid, changed.get(rule.uid, rule)) for rule in result]


@given(two_lists())
def test_what_is_told_makes_the_new_list_out_of_the_old_one(lists: tuple[Rules, Rules]) -> None:
    old, new = lists

    assert applied(old, list_change(old, new)) == [(rule.uid, rule) for rule in new]


@given(two_lists())
def test_the_places_are_those_of_the_two_lists(lists: tuple[Rules, Rules]) -> None:
    old, new = lists
    told = list_change(old, new)

    for line in (*told.added, *told.removed, *told.changed, *told.moved):
        assert line.old is (old[line.old_place - 1] if line.old_place else None)
        assert line.new is (new[line.new_place - 1] if line.new_place else None)
    assert all(line.old is None and line.new for line in told.added)
    assert all(line.old and line.new is None for line in told.removed)
    assert all(line.old and line.new and line.old.uid == line.new.uid for line in (*told.changed, *told.moved))


@given(st.permutations("abcdef"))
def test_no_smaller_set_of_moves_explains_the_order(order: list[str]) -> None:
    told = list_change(some("abcdef"), some("".join(order)))

    def kept_in_order(moved: tuple[str, ...]) -> bool:
        still = [uid for uid in order if uid not in moved]
        return still == sorted(still)

    fewer = combinations("abcdef", len(told.moved) - 1) if told.moved else ()
    assert kept_in_order(tuple(line.new.uid for line in told.moved if line.new))
    assert not any(kept_in_order(moved) for moved in fewer)


@given(two_lists())
def test_a_change_is_none_exactly_when_the_lists_are_equal(lists: tuple[Rules, Rules]) -> None:
    old, new = lists
    equal = [(rule.uid, rule) for rule in old] == [(rule.uid, rule) for rule in new]

    assert bool(list_change(old, new)) is not equal
    assert not list_change(old, old)
    assert (list_change(old, new).summary == "No change.") is equal


ABC = some("abc")
NEW = Rule(Action.DROP, Direction.OUT, "all", uid="n")


@pytest.mark.parametrize(
    ("new", "summary"),
    [
        (ABC, "No change."),
        (insert(ABC, 2, NEW), "Added rule 2."),
        (insert(insert(ABC, 1, NEW), 1, replace(NEW, uid="m")), "Added 2 rules."),
        (remove(ABC, [3]), "Removed rule 3."),
        (remove(ABC, [1, 3]), "Removed 2 rules."),
        ((), "Removed 3 rules."),
        (change(ABC, 2, NEW), "Changed rule 2."),
        (change(change(ABC, 2, NEW), 1, NEW), "Changed 2 rules."),
        (move(ABC, [3], 1), "Moved rule 3 to 1."),
        (move(ABC, [1], 3), "Moved rule 1 to 3."),
        (some("cba"), "Moved 2 rules."),
        (switch(ABC, [2], False), "Switched off rule 2."),
        (switch(ABC, [1, 3], False), "Changed 2 rules."),
        (change(move(ABC, [3], 1), 1, NEW), "Changed rule 1. Moved rule 3 to 1."),
        (insert(remove(ABC, [1]), 3, NEW), "Added rule 3. Removed rule 1."),
    ],
)
def test_the_summary_says_it_in_a_line(new: Rules, summary: str) -> None:
    assert list_change(ABC, new).summary == summary


def test_a_rule_switched_on_is_said_to_be() -> None:
    off = switch(ABC, [1], False)

    assert list_change(off, ABC).summary == "Switched on rule 1."


def test_a_rule_that_is_edited_and_switched_is_changed_not_just_switched() -> None:
    edited = change(ABC, 2, replace(ABC[1], port_end=65535, enabled=False))

    assert list_change(ABC, edited).summary == "Changed rule 2."


def test_a_rule_without_identity_is_new_even_if_it_equals_an_old_one() -> None:
    told = list_change(ABC, (*ABC, replace(ABC[0], uid="")))

    assert [line.new_place for line in told.added] == [4]
    assert (told.removed, told.changed, told.moved) == ((), (), ())


def test_an_old_rule_without_identity_is_not_taken_for_a_new_one_without() -> None:
    nameless = tuple(replace(rule, uid="") for rule in ABC)
    told = list_change(nameless, nameless[:2])

    assert (len(told.added), len(told.removed)) == (2, 3)
    assert (told.changed, told.moved) == ((), ())
