"""Several people change one group at the same time, each from the list that they saw: what is independent all lands."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest
from django.db import connection, transaction

from securitygroups import operations
from securitygroups.answers.preview import Preview
from securitygroups.effective import rules_of_group
from securitygroups.firewall import lists
from securitygroups.firewall.changes import list_change
from securitygroups.firewall.values import RuleList
from securitygroups.models import Project, Rule, SecurityGroup
from securitygroups.operations import By
from securitygroups.proposals import Asks, Edit, NewRules, Stale, Whole, commit, propose_rules
from securitygroups.said import Said
from tests.factories import make_group, make_machine, ports, rule

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("concurrency")]
PEOPLE, ROUNDS = 6, 4


def lands(pk: int, edit: Edit, reason: str, gate: Callable[[], object] = lambda: None) -> int:
    """Make an edit of the list as it is seen before the gate opens, with a yes to all that is asked; the questions."""
    group = SecurityGroup.objects.select_related("project").get(pk=pk)
    seen, base = rules_of_group(group), group.revision
    gate()
    proposal = propose_rules(group, seen, edit, Said(base=base))
    said, asked = Said(base=base, sure=proposal.token), 0
    while True:
        try:
            commit(proposal, edit, said, By(reason=reason))
        except Asks as asks:
            said, asked = replace(said, sure=asks.proposal.token), asked + 1
        else:
            return asked


def edit_of(kind: str, uid: str, tag: str, number: int) -> Edit:
    """An edit of one's own rule, or a new one somewhere."""

    def add(rules: RuleList) -> RuleList:
        return lists.insert(rules, number % (len(rules) + 1) + 1, rule(f"accept in tcp {number}", tag))

    def reword(rules: RuleList) -> RuleList:
        place = lists.place_of(rules, uid)
        return lists.change(rules, place, replace(rules[place - 1], description=tag))

    def remove(rules: RuleList) -> RuleList:
        return lists.remove(rules, [lists.place_of(rules, uid)])

    return {"add": add, "reword": reword, "remove": remove}[kind]


def test_independent_edits_of_many_people_at_once_all_land(project: Project) -> None:
    seed = random.randrange(1 << 30)
    group = make_group(project, rules=ports(*range(1, PEOPLE * ROUNDS + 1)))
    make_machine(project, groups=[group])
    uids = [each.uid for each in rules_of_group(group)]
    gate = threading.Barrier(PEOPLE)
    kinds: dict[str, str] = {}

    def person(number: int) -> int:
        try:
            chance, asked = random.Random(seed + number), 0
            for turn, uid in enumerate(uids[number::PEOPLE]):
                tag = f"{number}-{turn}"
                kinds[tag] = chance.choice(("add", "reword", "remove"))
                edit = edit_of(kinds[tag], uid, tag, chance.randrange(1000, 60000))
                asked += lands(group.pk, edit, tag, gate.wait)
            return asked
        finally:
            connection.close()

    with ThreadPoolExecutor(PEOPLE) as people:
        asked = list(people.map(person, range(PEOPLE)))

    group.refresh_from_db()
    revisions = list(group.revisions.order_by("number"))
    print(f"{len(revisions) - 1} commits of {PEOPLE} people at once, {sum(asked)} questions, seed {seed}")  # noqa: T201
    assert [each.number for each in revisions] == list(range(1, PEOPLE * ROUNDS + 2))
    assert Counter(each.reason for each in revisions[1:]) == Counter(list(kinds)), "each landed, and once"
    kept = [operations.rules_at(group, each.number) for each in revisions]
    for revision, (old, new) in zip(revisions[1:], pairwise(kept), strict=True):
        change = list_change(old, new)
        told = {"add": len(change.added), "reword": len(change.changed), "remove": len(change.removed)}
        assert not change.moved
        assert {kind: number for kind, number in told.items() if number} == {kinds[revision.reason]: 1}, seed
    assert [(each, each.uid) for each in rules_of_group(group)] == [(each, each.uid) for each in kept[-1]]
    assert [row.position for row in group.rules.in_order()] == list(range(1, len(kept[-1]) + 1))


def overtaken(group: SecurityGroup, edit: Edit, theirs: Edit) -> None:
    """An edit that somebody else overtakes between its proposal and the lock."""
    lands(group.pk, edit, "mine", lambda: lands(group.pk, theirs, "theirs"))


def test_who_touches_the_same_rule_is_told_of_a_conflict_and_nothing_is_written(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3))

    with pytest.raises(Stale) as stale:
        overtaken(group, lambda rules: lists.remove(rules, [2]), lambda rules: lists.switch(rules, [2], enabled=False))

    assert stale.value.base is not None
    assert group.revisions.latest("number").reason == "theirs"


def test_a_whole_list_is_not_put_together_with_what_others_did(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3))

    with pytest.raises(Stale):
        overtaken(group, Whole(lambda rules: lists.remove(rules, [1])), lambda rules: lists.remove(rules, [3]))

    assert group.revisions.latest("number").reason == "theirs"


def test_undo_after_a_change_that_went_on_top_takes_back_just_that(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3))
    overtaken(group, lambda rules: lists.remove(rules, [1]), lambda rules: lists.remove(rules, [3]))
    group.refresh_from_db()
    assert group.revisions.latest("number").summary == "Removed rule 1."

    operations.undo(group=group, number=3, by=By())

    assert [each.port_start for each in rules_of_group(group)] == [1, 2]


def test_of_two_who_close_one_door_of_a_vm_each_at_once_the_second_is_asked(project: Project) -> None:
    both = [make_group(project, name, ["accept in tcp 22"]) for name in ("a", "b")]
    make_machine(project, "vm", both)

    def proposed(pk: int) -> tuple[NewRules, Said]:
        group = SecurityGroup.objects.select_related("project").get(pk=pk)
        proposal = propose_rules(group, rules_of_group(group), lambda _: (), Said(base=1))
        assert not proposal.preview().changes_traffic, "the other group still lets it in"
        return proposal, Said(base=1, sure=proposal.token)

    first, second = (proposed(group.pk) for group in both)

    def other() -> Preview | None:
        try:
            commit(second[0], lambda _: (), second[1], By())
        except Asks as asks:
            return asks.preview
        finally:
            connection.close()
        return None

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            commit(first[0], lambda _: (), first[1], By())
            waiting = pool.submit(other)
            time.sleep(0.5)
        asked = waiting.result()

    assert asked
    assert asked.changes_traffic
    assert Rule.objects.count() == 1
