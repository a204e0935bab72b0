"""Two edits of one list that have nothing to do with each other."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.firewall import lists
from securitygroups.firewall.analysis.independent import independent
from securitygroups.firewall.changes import rebase
from securitygroups.firewall.decide import decide
from securitygroups.firewall.notation import rule
from securitygroups.firewall.values import Rule
from tests.firewall.strategies import packets
from tests.firewall.strategies import rules as any_rule

BASE = tuple(replace(rule(f"accept in tcp {port}"), uid=f"u{port}") for port in (1, 2, 3, 4))
DROP, ACCEPT = rule("drop in tcp 9"), rule("accept in tcp 9-10")

CASES: dict[str, tuple[Any, Any, bool]] = {
    "other rules": (lambda r: lists.switch(r, [1], False), lambda r: lists.remove(r, [3]), True),
    "the same rule": (lambda r: lists.switch(r, [1], False), lambda r: lists.remove(r, [1]), False),
    "both at the end, in any order": (lambda r: (*r, ACCEPT), lambda r: (*r, rule("accept in udp 9")), True),
    "both at the end, in doubt": (lambda r: (*r, ACCEPT), lambda r: (*r, DROP), False),
    "both at the end, other packets": (lambda r: (*r, DROP), lambda r: (*r, rule("accept in udp 9")), True),
    "in doubt although it is off": (lambda r: (*r, ACCEPT), lambda r: (*r, replace(DROP, enabled=False)), False),
    "top and end": (lambda r: (DROP, *r), lambda r: (*r, ACCEPT), True),
    "one click that came twice": (lambda r: (*r, ACCEPT), lambda r: (*r, ACCEPT), False),
    "behind one that they removed": (lambda r: lists.insert(r, 3, DROP), lambda r: lists.remove(r, [2]), True),
    "between two that they turned round": (lambda r: lists.insert(r, 3, DROP), lambda r: lists.move(r, [3], 1), False),
    "both move others": (lambda r: lists.move(r, [4], 1), lambda r: lists.move(r, [2], 3), True),
    "nothing": (lambda r: r, lambda r: lists.remove(r, [1, 2]), True),
}


@pytest.mark.parametrize("name", CASES)
def test_edits_of_other_rules_whose_order_is_clear_are_independent(name: str) -> None:
    mine, theirs, expected = CASES[name]

    assert independent(BASE, tuple(mine(BASE)), tuple(theirs(BASE))) is expected


@st.composite
def edited(draw: st.DrawFn) -> tuple[tuple[Rule, ...], tuple[Rule, ...], tuple[Rule, ...]]:
    """A list, and what two people made of it."""
    some = draw(st.lists(any_rule(), min_size=1, max_size=5))
    base = tuple(replace(each, uid=f"u{place}") for place, each in enumerate(some))
    sides = []
    for _ in range(2):
        side = base
        for _ in range(draw(st.integers(1, 2))):
            place = draw(st.integers(1, len(side))) if side else 0
            kind = draw(st.sampled_from(("add", "remove", "move", "change")))
            if kind == "add" or not side:
                side = lists.insert(side, draw(st.integers(1, len(side) + 1)), draw(any_rule()))
            elif kind == "remove":
                side = lists.remove(side, [place])
            elif kind == "move":
                side = lists.move(side, [place], draw(st.integers(1, len(side))))
            else:
                side = lists.change(side, place, draw(any_rule()))
        sides.append(side)
    return base, sides[0], sides[1]


@given(edited(), packets())
def test_whoever_of_two_independent_editors_comes_first_the_list_decides_the_same(
    lists_: tuple[tuple[Rule, ...], tuple[Rule, ...], tuple[Rule, ...]], packet: Any
) -> None:
    base, mine, theirs = lists_
    if independent(base, mine, theirs) and independent(base, theirs, mine):
        on_top, below = rebase(base, mine, theirs), rebase(base, theirs, mine)
        assert sorted(map(repr, on_top.rules)) == sorted(map(repr, below.rules))
        assert decide(on_top.rules, packet).action is decide(below.rules, packet).action
        assert not on_top.notes
