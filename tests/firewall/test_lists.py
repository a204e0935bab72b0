"""Edits of a list give a new list, and never lose, double or mangle a rule."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall.lists import NoSuchPlace, change, insert, move, place_of, remove, switch
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule


def some(length: int) -> tuple[Rule, ...]:
    """Rules whose identities are "1", "2", …, every third one off."""
    return tuple(
        Rule(Action.DROP, Direction.IN, "tcp", None, None, place, place, enabled=place % 3 > 0, uid=str(place))
        for place in range(1, length + 1)
    )


def order(rules: tuple[Rule, ...]) -> str:
    return "".join(rule.uid for rule in rules)


NEW = Rule(Action.ACCEPT, Direction.OUT, "all", uid="n")


@pytest.mark.parametrize(("place", "expected"), [(1, "n123"), (2, "1n23"), (3, "12n3"), (4, "123n")])
def test_a_rule_is_inserted_at_its_place(place: int, expected: str) -> None:
    assert order(insert(some(3), place, NEW)) == expected


def test_the_first_rule_goes_into_an_empty_list() -> None:
    assert insert((), 1, NEW) == (NEW,)


def test_a_changed_rule_keeps_place_and_identity() -> None:
    changed = change(some(3), 2, replace(NEW, uid=""))

    assert order(changed) == "123"
    assert changed[1] == NEW
    assert (changed[0], changed[2]) == (some(3)[0], some(3)[2])


@pytest.mark.parametrize(
    ("places", "to", "expected"),
    [
        ([1], 1, "12345"),
        ([1], 2, "21345"),
        ([1], 5, "23451"),
        ([5], 1, "51234"),
        ([3], 4, "12435"),
        ([2, 4], 1, "24135"),
        ([4, 2], 3, "13245"),
        ([2, 2], 1, "21345"),
        ([1, 5], 99, "23415"),
        ([1, 2, 3, 4, 5], 3, "12345"),
        ([], 1, "12345"),
    ],
)
def test_moved_rules_keep_their_order_and_start_at_the_new_place(places: list[int], to: int, expected: str) -> None:
    assert order(move(some(5), places, to)) == expected


def test_removed_rules_are_gone_and_the_others_stay_as_they_are() -> None:
    assert order(remove(some(5), [4, 1, 4])) == "235"
    assert remove(some(5), []) == some(5)
    assert remove(some(2), {1, 2}) == ()


def test_switching_touches_the_chosen_rules_only() -> None:
    off = switch(some(4), [1, 3], enabled=False)

    assert [rule.enabled for rule in off] == [False, True, False, True]
    assert order(off) == "1234"
    assert all(rule.enabled for rule in switch(off, range(1, 5), enabled=True))


def test_a_rule_is_found_by_its_identity_alone() -> None:
    assert place_of(some(9), "7") == 7
    for unknown in ("", "70"):
        with pytest.raises(NoSuchPlace, match="not in the list any more"):
            place_of((*some(3), replace(NEW, uid="")), unknown)


@pytest.mark.parametrize("length", [0, 1, 3])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 10**9], ids=["minus one", "zero", "one beyond", "far beyond"])
def test_a_place_that_the_list_does_not_have_is_refused(length: int, beyond: int) -> None:
    rules, place = some(length), beyond if beyond < 1 else length + beyond
    edits: list[Callable[[], object]] = [
        lambda: insert(rules, place + (beyond > 0), NEW),
        lambda: change(rules, place, NEW),
        lambda: remove(rules, [place]),
        lambda: move(rules, [place], 1),
        lambda: switch(rules, [place], enabled=False),
    ]
    for edit in edits:
        with pytest.raises(NoSuchPlace, match=f"no place {place}|no place {place + 1}"):
            edit()


@pytest.mark.parametrize("to", [0, -1])
def test_nothing_moves_above_the_first_place(to: int) -> None:
    with pytest.raises(NoSuchPlace, match="the first is 1"):
        move(some(3), [2], to)


@settings(max_examples=400, deadline=None, database=None)
@given(st.integers(1, 12), st.data())
def test_any_move_keeps_every_rule_once_and_can_be_taken_back(length: int, data: st.DataObject) -> None:
    rules = some(length)
    places = data.draw(st.sets(st.integers(1, length), min_size=1))
    to = data.draw(st.integers(1, length + 3))

    moved = move(rules, places, to)

    start = min(to, length - len(places) + 1)
    chosen = [rules[place - 1].uid for place in sorted(places)]
    others = [rule.uid for rule in rules if rule.uid not in chosen]
    assert [rule.uid for rule in moved[start - 1 : start - 1 + len(places)]] == chosen
    assert [rule.uid for rule in moved if rule.uid not in chosen] == others
    assert sorted(moved, key=lambda rule: int(rule.uid)) == list(rules)
    assert rules == some(length), "The list that was given is left alone."


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(0, 12), st.data())
def test_inserting_and_removing_at_one_place_changes_nothing(length: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(1, length + 1))

    assert remove(insert(some(length), place, NEW), [place]) == some(length)
