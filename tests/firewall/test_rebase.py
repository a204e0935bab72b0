"""One person's edits on top of another's: nothing is lost, nothing is doubled, and what nobody touched stays put."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.firewall import lists
from securitygroups.firewall.changes import list_change, merged, rebase, recognised
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule
from tests.firewall.strategies import rules

Rules = tuple[Rule, ...]


def told(some: Rules) -> list[tuple[str, Rule]]:
    """Identity and content, for equality of rules leaves the identity out."""
    return [(rule.uid, rule) for rule in some]


@st.composite
def edits(draw: st.DrawFn, base: Rules, name: str) -> Rules:
    """The list after up to five edits. New rules have no identity; those that were brought back from an earlier
    revision have one that `base` lacks and both sides share."""
    now = list(base)
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["add", "back", "change", "move", "remove", "switch"])) if now else "add"
        at = draw(st.integers(0, len(now) - 1)) if now else 0
        if kind == "add":
            now.insert(draw(st.integers(0, len(now))), replace(draw(rules()), description=f"{name} {number}"))
        elif kind == "back":
            uid = draw(st.sampled_from(["earlier1", "earlier2"]))
            if uid not in {rule.uid for rule in now}:
                now.insert(draw(st.integers(0, len(now))), replace(draw(rules()), uid=uid))
        elif kind == "change":
            now[at] = replace(draw(rules()), uid=now[at].uid)
        elif kind == "switch":
            now[at] = replace(now[at], enabled=not now[at].enabled)
        else:
            rule = now.pop(at)
            if kind == "move":
                now.insert(draw(st.integers(0, len(now))), rule)
    return tuple(now)


@st.composite
def three_lists(draw: st.DrawFn) -> tuple[Rules, Rules, Rules]:
    """A base, and what two people made of it. The second was stored, so its new rules have identities by now."""
    found = draw(st.lists(rules(), max_size=6))
    base = tuple(replace(rule, uid=f"base{place}") for place, rule in enumerate(found))
    theirs = draw(edits(base, "theirs"))
    stored = tuple(rule if rule.uid else replace(rule, uid=f"theirs{at}") for at, rule in enumerate(theirs))
    return base, draw(edits(base, "mine")), stored


@given(three_lists())
def test_on_top_of_nothing_new_mine_is_mine(three: tuple[Rules, Rules, Rules]) -> None:
    base, mine, _ = three
    result = rebase(base, mine, base)

    assert told(result.rules) == told(mine)
    assert result.notes == ()


@given(three_lists())
def test_who_changed_nothing_gets_theirs(three: tuple[Rules, Rules, Rules]) -> None:
    base, _, theirs = three
    result = rebase(base, base, theirs)

    assert told(result.rules) == told(theirs)
    assert result.notes == ()


@given(three_lists())
def test_no_identity_stands_twice_so_the_result_can_be_committed(three: tuple[Rules, Rules, Rules]) -> None:
    uids = [rule.uid for rule in rebase(*three).rules if rule.uid]

    assert len(set(uids)) == len(uids)


@given(three_lists())
def test_every_rule_ends_as_the_side_that_touched_it_says_and_mine_has_the_last_word(
    three: tuple[Rules, Rules, Rules],
) -> None:
    base, mine, theirs = three
    result = {rule.uid: rule for rule in rebase(base, mine, theirs).rules}
    of_mine, of_theirs = ({rule.uid: rule for rule in some if rule.uid} for some in (mine, theirs))
    before = {rule.uid: rule for rule in base}

    for uid, rule in before.items():
        mine_now, theirs_now = of_mine.get(uid), of_theirs.get(uid)
        if mine_now == rule:
            assert result.get(uid) == theirs_now
        elif mine_now is None or theirs_now is None:
            assert result.get(uid) == mine_now
        else:
            assert result[uid] == merged(rule, mine_now, theirs_now)
    for uid in {*of_mine, *of_theirs} - {*before}:
        assert result[uid] == of_mine.get(uid, of_theirs.get(uid))


@given(three_lists())
def test_every_new_rule_of_both_sides_is_there_once_and_nothing_else(three: tuple[Rules, Rules, Rules]) -> None:
    base, mine, theirs = three
    result = rebase(base, mine, theirs).rules
    without = sorted(rule.description for rule in result if not rule.uid)

    assert without == sorted(rule.description for rule in mine if not rule.uid)
    assert {rule.uid for rule in result} <= {rule.uid for rule in (*mine, *theirs)}


@given(three_lists())
def test_what_mine_did_not_touch_keeps_the_order_that_theirs_gave_it(three: tuple[Rules, Rules, Rules]) -> None:
    base, mine, theirs = three
    change = list_change(base, mine)
    placed = {line.new.uid for line in (*change.moved, *change.added) if line.new}
    gone = {line.old.uid for line in change.removed if line.old}
    result = [rule.uid for rule in rebase(base, mine, theirs).rules]
    brought_back = {uid for uid in result if uid} - {rule.uid for rule in theirs}

    stays = [rule.uid for rule in theirs if rule.uid not in placed | gone]
    assert [uid for uid in result if uid and uid not in placed | brought_back] == stays


@given(three_lists())
def test_a_new_rule_stands_right_behind_the_rule_that_it_was_put_behind(three: tuple[Rules, Rules, Rules]) -> None:
    base, mine, theirs = three
    result = rebase(base, mine, theirs).rules
    standing = {rule.uid for rule in theirs} & {rule.uid for rule in base} - {""}

    for above, rule in zip((None, *mine), mine, strict=False):
        if not rule.uid and (above is None or above.uid in standing):
            at = next(at for at, other in enumerate(result) if other is rule)
            assert (at == 0) if above is None else (result[at - 1].uid == above.uid)


@given(three_lists())
def test_the_same_lists_give_the_same_result(three: tuple[Rules, Rules, Rules]) -> None:
    first, second = rebase(*three), rebase(*three)

    assert told(first.rules) == told(second.rules)
    assert first.notes == second.notes


def letters(uids: str) -> Rules:
    return tuple(Rule(Action.ACCEPT, Direction.IN, "tcp", None, None, ord(uid), ord(uid), uid=uid) for uid in uids)


def spelled(some: Rules) -> str:
    return "".join(rule.uid or "N" for rule in some)


NEW = Rule(Action.DROP, Direction.IN, "udp")
ABC = letters("abc")
OTHER_B = replace(ABC[1], protocol="udp")


@pytest.mark.parametrize(
    ("mine", "theirs", "result"),
    [
        (lists.insert(ABC, 2, NEW), letters("cba"), "cbaN"),
        (lists.insert(ABC, 2, NEW), letters("bc"), "Nbc"),
        (lists.insert(ABC, 4, NEW), letters("abcx"), "abcNx"),
        (lists.insert(ABC, 1, NEW), letters("xabc"), "Nxabc"),
        (letters("cab"), letters("abxc"), "cabx"),
        (letters("cab"), letters("ab"), "ab"),
        (letters("ac"), letters("cab"), "ca"),
        (letters("ca"), letters("xabcy"), "cxay"),
        ((), letters("abcx"), "x"),
        ((NEW,), (), "N"),
    ],
)
def test_where_things_end_up(mine: Rules, theirs: Rules, result: str) -> None:
    assert spelled(rebase(ABC, mine, theirs).rules) == result


@pytest.mark.parametrize(
    ("mine", "theirs", "notes"),
    [
        (
            lists.change(ABC, 2, OTHER_B),
            lists.remove(ABC, [2]),
            ("Rule 2 was removed in the meantime; yours brings it back.",),
        ),
        (
            lists.change(ABC, 2, OTHER_B),
            lists.switch(ABC, [2], False),
            ("Rule 2 was changed in the meantime too; what only they changed is kept.",),
        ),
        (
            lists.change(ABC, 2, OTHER_B),
            lists.change(ABC, 2, replace(ABC[1], protocol="sctp")),
            ("Rule 2 was changed in the meantime too; yours replaces that.",),
        ),
        (
            lists.remove(ABC, [2]),
            lists.change(ABC, 2, OTHER_B),
            ("Rule 2 was changed in the meantime; yours removes it.",),
        ),
        (lists.remove(ABC, [2]), lists.remove(ABC, [2]), ()),
        (lists.move(ABC, [2], 1), lists.change(ABC, 2, OTHER_B), ()),
    ],
)
def test_where_both_touched_a_rule_it_is_said(mine: Rules, theirs: Rules, notes: tuple[str, ...]) -> None:
    assert rebase(ABC, mine, theirs).notes == notes


def test_a_rule_that_mine_moved_keeps_the_words_that_theirs_gave_it() -> None:
    result = rebase(ABC, lists.move(ABC, [2], 1), lists.change(ABC, 2, OTHER_B))

    assert told(result.rules) == told((replace(OTHER_B, uid="b"), ABC[0], ABC[2]))


def test_a_rule_that_both_brought_back_stands_there_once_as_mine_has_it() -> None:
    result = rebase(ABC, (*ABC, replace(OTHER_B, uid="d")), letters("dabc"))

    assert told(result.rules) == told((*ABC, replace(OTHER_B, uid="d")))


def test_both_edits_of_one_rule_are_kept_field_by_field() -> None:
    worded = lists.change(ABC, 2, replace(ABC[1], description="SSH from the office"))
    widened = lists.change(ABC, 2, replace(ABC[1], port_end=999))

    assert rebase(ABC, widened, worded).rules[1] == replace(ABC[1], description="SSH from the office", port_end=999)


def test_two_edits_that_do_not_make_a_rule_together_end_as_mine() -> None:
    ports = lists.change(ABC, 2, replace(ABC[1], port_end=999))
    no_ports = lists.change(ABC, 2, replace(ABC[1], protocol="all", port_start=None, port_end=None))

    assert rebase(ABC, ports, no_ports).rules[1] == ports[1]


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abcd"), max_size=6))
def test_rules_of_a_file_that_are_there_already_are_recognised_each_once(there: list[str], read: list[str]) -> None:
    old = tuple(replace(letters(one)[0], uid=f"{one}{at}") for at, one in enumerate(there))
    new = recognised(old, tuple(replace(letters(one)[0], uid="") for one in read))
    uids = [rule.uid for rule in new if rule.uid]

    assert "".join(chr(rule.port_start or 0) for rule in new) == "".join(read)
    assert len(set(uids)) == len(uids)
    assert set(uids) <= {rule.uid for rule in old}
    for one in "abcd":
        assert sum(uid[0] == one for uid in uids) == min(there.count(one), read.count(one))
    assert told(recognised(old, tuple(replace(rule, uid="") for rule in old))) == told(old)
