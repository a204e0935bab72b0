"""What is said about rules, held against the evaluator and the exact difference."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

from hypothesis import given, settings

from securitygroups.firewall.analysis.difference import difference
from securitygroups.firewall.analysis.findings import Dead, Fix, Mend, dead_rules, findings, fixes, mended
from securitygroups.firewall.analysis.overlaps import contains
from securitygroups.firewall.decide import decide, differences
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule
from tests.firewall.strategies import (
    crossing_strips,
    pairs_of_lists,
    random_packet,
    rule_lists,
    tight,
)

Rules = tuple[Rule, ...]


def check(rules: Rules) -> Counter[Dead]:
    """Hold every finding of a list against what the lists with that one rule removed or turned round decide."""
    kinds: Counter[Dead] = Counter()
    found = findings(rules)
    assert not found.too_fine
    for one in found.rules:
        assert one.rule is rules[one.place - 1]
        if not one.rule.enabled:
            assert one == type(one)(one.place, one.rule)
            continue
        above, below = rules[: one.place - 1], rules[one.place :]
        assert one.removable == difference(rules, (*above, *below)).decides_same
        other = Action.DROP if one.rule.action is Action.ACCEPT else Action.ACCEPT
        turned = (*above, replace(one.rule, action=other), *below)
        assert difference(rules, turned).decides_same == (one.dead is not None)
        assert (one.witness is None) == (one.dead is not None)
        if one.witness is not None:
            assert decide(rules, one.witness).rule == one.place
        if one.dead is not None:
            kinds[one.dead] += 1
            taking = tuple(rules[place - 1] for place in one.covered_by)
            # Those named take all of it together, and none of them is named for nothing.
            assert dead_rules((*taking, one.rule))[-1] == len(taking) + 1
            assert all(place < one.place for place in one.covered_by)
            assert not set(one.covered_by) & {gone.place for gone in found.dead}
            same = [taker.action is one.rule.action for taker in taking]
            expected = Dead.REDUNDANT if all(same) else Dead.PARTLY_SHADOWED if any(same) else Dead.SHADOWED
            assert one.dead is expected
    assert dead_rules(rules) == tuple(one.place for one in found.dead)
    return kinds


def test_findings_hold_on_random_lists() -> None:
    """Dead, removable, witnesses and the rules that cover: exact on hundreds of crowded lists of both families."""
    kinds: Counter[Dead] = Counter()
    unions = 0
    for rules, _, _ in pairs_of_lists(7, 45):
        kinds += check(rules)
        unions += sum(len(one.covered_by) > 1 for one in findings(rules).dead)
    assert all(kinds[kind] > 5 for kind in (Dead.REDUNDANT, Dead.SHADOWED, Dead.PARTLY_SHADOWED))
    assert unions > 5


@settings(max_examples=40, deadline=None)
@given(rule_lists(6))
def test_findings_hold_near_the_edges(rules: Rules) -> None:
    """Shrinks to the smallest list about which something wrong is said."""
    check(rules)


def test_no_packet_of_thousands_is_decided_by_a_dead_rule() -> None:
    """And a packet of a dead rule is taken by one of the rules that it names."""
    for rules, _, random in pairs_of_lists(31, 200):
        found = {one.place: one for one in findings(rules).dead}
        for _ in range(250):
            packet = random_packet(random)
            taken = decide(rules, packet).rule
            assert taken not in found
            for one in found.values():
                if not differences(one.rule, packet):
                    assert taken in one.covered_by


def test_findings_agree_however_a_list_is_split() -> None:
    """A long list is cut in pieces; its parts, one by one, are not."""

    rules = tight(Random(4), 600)
    found = findings(rules)
    assert found.dead
    for one in found.rules[::7]:
        if one.witness is not None:
            assert decide(rules, one.witness).rule == one.place
        else:
            taking = tuple(rules[place - 1] for place in one.covered_by)
            assert dead_rules((*taking, one.rule)) == (len(taking) + 1,)


def test_a_union_covers() -> None:
    """Two halves of the addresses and two halves of the ports; pairs alone do not cover."""
    rules = (
        rule("accept in tcp from 10.0.0.0/9"),
        rule("drop in tcp from 192.0.2.0/24"),
        rule("accept in tcp 0-100 from 10.128.0.0/9"),
        rule("drop in tcp 101-65535 from 10.128.0.0/9"),
        rule("accept in tcp 1-65535 from 10.0.0.0/8"),
    )
    (one,) = findings(rules).dead
    assert (one.place, one.dead, one.covered_by) == (5, Dead.PARTLY_SHADOWED, (1, 3, 4))


def test_families_do_not_cover_each_other() -> None:
    """Any IPv4 and any IPv6 cover "any" together, not alone."""
    v4, v6, both = rule("accept in tcp 22 from 0.0.0.0/0"), rule("accept in tcp 22 from ::/0"), rule("accept in tcp 22")
    assert dead_rules((v4, both)) == ()
    assert findings((v4, both)).rules[1].witness == Packet(
        Direction.IN, 6, 6, 0x20010DB8 << 96 | 9, 0x20010DB8 << 96 | 5, 22
    )
    assert dead_rules((v4, v6, both)) == (3,)


def test_a_whole_range_is_not_every_port() -> None:
    """Later fragments have no port, so a rule without ports still decides those."""
    rules = (rule("accept in tcp 0-65535"), rule("accept in tcp"))
    assert dead_rules(rules) == ()
    assert findings(rules).rules[1].witness.port is None  # type: ignore[union-attr]
    assert dead_rules((rules[1], rules[0])) == (2,)


def test_removable_through_later_rules_and_the_default() -> None:
    """A drop at the very end does nothing that the default does not; an accept before a wider one neither."""
    rules = (rule("accept in tcp 22 from 10.0.0.0/8"), rule("accept in tcp 22"), rule("drop in tcp 23"))
    assert [one.removable for one in findings(rules).rules] == [True, False, True]
    assert findings(rules).dead == ()


def test_open_to_the_world_and_which_services() -> None:
    """What an earlier rule takes is not said to be open."""
    rules = (
        rule("drop in tcp 22"),
        rule("accept in tcp 20-30 from 0.0.0.0/0"),
        rule("accept in tcp 443"),
        rule("accept in tcp 5432 from 10.0.0.0/8"),
        rule("accept in tcp 5432 from ::/0"),
        rule("accept out ip"),
    )
    found = findings(rules).rules
    opened = [one.opening and (one.opening.versions, [s.name for s in one.opening.services]) for one in found]
    assert opened == [None, ((4,), ["Telnet"]), ((4, 6), []), None, ((6,), ["PostgreSQL"]), None]


def test_rules_behind_all() -> None:
    """Only of the same direction; All takes frames that are not IP, IP does not end a list."""
    rules = (rule("drop in ip"), rule("drop in all"), rule("accept out tcp 22"), rule("accept in tcp 22"))
    assert [one.behind_all for one in findings(rules).rules] == [None, None, None, 2]
    assert [one.dead for one in findings(rules).rules] == [None, None, None, Dead.SHADOWED]


def test_correlation_and_generalisation_are_counted() -> None:
    """Hosts crossing ports: every pair is correlated. A general rule behind an exception generalises it."""
    hosts = tuple(rule(f"accept in tcp from 10.0.0.{i}") for i in range(5))
    ports = tuple(rule(f"drop in tcp {i}") for i in range(1, 8))
    found = findings((*hosts, *ports))
    assert found.correlated == 35
    assert [one.correlated for one in found.rules] == [7] * 5 + [5] * 7
    assert [one.overlaps for one in found.rules] == [6] * 5 + [1] * 7, "the first of them"
    found = findings((rule("drop in tcp 22 from 10.0.0.5"), rule("accept in tcp 22 from 10.0.0.0/8")))
    assert (found.correlated, found.generalisations) == (0, 1)
    assert [one.generalises for one in found.rules] == [0, 1]


def test_overlap_counts_agree_with_the_difference() -> None:
    """Two rules of opposite action overlap where their order matters; contains() says what a difference says."""
    for rules, _, _ in pairs_of_lists(12, 40):
        live = [one for one in rules if one.enabled]
        for early, late in pairwise(live):
            dead = dead_rules((early, late)) == (2,)
            assert contains(early, late) == dead
            found = findings((early, late))
            if early.action is late.action:
                assert found.correlated == found.generalisations == 0
                continue
            meet = not difference((early, late), (late, early)).decides_same
            inside, around = contains(early, late), contains(late, early)
            assert found.correlated == int(meet and not inside and not around)
            assert found.generalisations == int(meet and around and not inside)


def test_fixes_keep_their_promise() -> None:
    """A removal decides the same; a move gives the shadowed rule packets of its own."""
    moved = removed = 0
    for rules, _, _ in pairs_of_lists(99, 60):
        for fix in fixes(rules):
            new = mended(rules, fix)
            if fix.decides_same:
                assert difference(rules, new).decides_same
                assert len(new) == len(rules) - len(fix.places)
                removed += 1
            else:
                assert fix.to is not None
                assert new[fix.to - 1] == rules[fix.places[0] - 1]
                assert not difference(rules, new).decides_same
                assert fix.to not in dead_rules(new)
                moved += 1
    assert removed > 100
    assert moved > 20


def test_a_shadowed_exception_is_moved_above() -> None:
    """One that is not narrower than what shadows it is not: it would only shadow in its turn."""
    rules = (rule("accept out tcp"), rule("drop in ip from 10.0.0.0/8"), rule("accept in tcp 22 from 10.0.0.0/16"))
    assert Fix(Mend.MOVE_UP, (3,), 2, decides_same=False) in fixes(rules)
    equal = (rule("drop in tcp 22"), rule("accept in tcp 22"))
    assert fixes(equal) == (Fix(Mend.REMOVE, (2,), None, decides_same=True),)


def test_crossing_strips_are_all_alive() -> None:
    """Every strip keeps packets of its own, and the one behind them all too."""
    rules = (*crossing_strips(1000), rule("accept in ip"))
    found = findings(rules)
    assert not found.dead
    assert all(one.witness for one in found.rules)
    for one in found.rules[::97]:
        assert one.witness
        assert decide(rules, one.witness).rule == one.place


def test_too_fine_is_told_and_nothing_is_guessed() -> None:
    """What was left out is unknown: not dead, not removable."""
    strips = crossing_strips(14_000)
    found = findings((*strips, rule("accept in ip"), rule("accept in udp 1")))
    assert found.too_fine
    assert all(not one.removable and one.dead is None for one in found.rules if one.unknown)
    assert found.rules[-1].dead is Dead.REDUNDANT
    assert found.correlated is None


def test_the_empty_list_and_rules_that_are_off() -> None:
    """Nothing to say."""
    assert findings(()).rules == ()
    assert fixes((rule("accept in all", enabled=False),)) == ()
