"""What a change of a list is called on record."""

from dataclasses import replace

import pytest

from securitygroups.firewall import lists
from securitygroups.firewall.changes import list_change
from securitygroups.firewall.values import Rule
from securitygroups.words.changes import LONGEST, change_sentence
from tests.factories import rule

SSH, WEB, ALL = "accept in tcp 22 from 10.0.0.0/8", "accept in tcp 443", "drop in all"


def named(*texts: str) -> tuple[Rule, ...]:
    return tuple(replace(rule(text), uid=str(number)) for number, text in enumerate(texts))


def told(old: tuple[Rule, ...], new: tuple[Rule, ...]) -> str:
    return change_sentence(list_change(old, new))


def test_a_changed_rule_is_told_as_it_was_and_as_it_is() -> None:
    old = named(WEB, SSH)

    assert told(old, lists.change(old, 2, rule("accept in tcp 22"))) == (
        "Changed rule 2: Accept inbound TCP to port 22 (SSH) from 10.0.0.0/8"
        " → Accept inbound TCP to port 22 (SSH) from anywhere."
    )


def test_rules_that_come_and_go_are_told_in_their_own_words() -> None:
    old = named(WEB, SSH, ALL)

    assert told(old, lists.insert(old, 1, rule("drop out all"))) == "Added rule 1: Drop everything outbound."
    assert told(old, lists.remove(old, [1])) == "Removed rule 1: Accept inbound TCP to port 443 (HTTPS) from anywhere."
    assert told(old, ()) == (
        "Removed 3 rules: Accept inbound TCP to port 443 (HTTPS) from anywhere;"
        " Accept inbound TCP to port 22 (SSH) from 10.0.0.0/8; Drop everything inbound."
    )
    assert told(old, lists.move(old, [3], 1)) == "Moved rule 3 to 1: Drop everything inbound."


def test_a_switch_and_a_description_are_told_as_that() -> None:
    old = named(WEB, ALL)
    off = lists.switch(old, [2], enabled=False)

    assert told(old, off) == "Switched off rule 2: Drop everything inbound."
    assert told(off, old) == "Switched on rule 2: Drop everything inbound."
    described = lists.change(old, 2, replace(old[1], description="Shut"))
    assert told(old, described) == "Described rule 2: Drop everything inbound, as “Shut”."
    assert told(described, old) == "Described rule 2: Drop everything inbound, by nothing any more."


@pytest.mark.parametrize("number", [4, 40, 400])
def test_of_many_rules_as_many_are_told_as_the_line_has_room_for(number: int) -> None:
    old = named(
        *[f"accept in ip from 2001:db8:1234:5678:9abc:def0:{n + 1:x}:1 to 2001:db8::{n + 1:x}" for n in range(number)]
    )
    both = tuple(replace(one, action=rule(ALL).action) for one in old)

    for new in ((), both):
        words = told(old, new)
        assert str(number) in words
        assert len(words) <= LONGEST


def test_nothing_is_told_as_nothing() -> None:
    assert told(named(WEB), named(WEB)) == "No change."
