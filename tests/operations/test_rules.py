"""A commit of rules: what it writes and records, what it refuses, and how it is undone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pgtrigger
import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from securitygroups import operations
from securitygroups.effective import of_group
from securitygroups.firewall import lists
from securitygroups.firewall.formats.documents import rules_from_stored, stored_rules
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import GroupRevision, Project, SecurityGroup, User, values
from securitygroups.operations import By, Conflict, RefusedRules
from tests.factories import make_group, ports, rule
from tests.firewall.strategies import rules as any_rule
from tests.operations.state import Rules, commit, newest, nothing_written, on_record, ports_of, rules_of


def test_a_commit_writes_rows_a_revision_and_an_event(project: Project, erin: User) -> None:
    group = make_group(project, "web", ports(1, 2))
    old = rules_of(group)

    told = commit(
        group, lists.insert(old, 1, rule("drop in udp 53 from 2001:db8::/32", "No DNS")), by=By(erin, reason="Ticket 7")
    )

    assert ports_of(group) == [53, 1, 2]
    assert [row.position for row in group.rules.in_order()] == [1, 2, 3]
    assert told.summary == "Added rule 1."
    assert group.revision == 2
    revision = group.revisions.get(number=2)
    assert (revision.actor, revision.actor_name, revision.by_staff) == (erin, "erin", False)
    assert (revision.summary, revision.reason) == ("Added rule 1.", "Ticket 7")
    assert on_record(group, 2) == stored_rules(rules_of(group))
    event = newest()
    assert (event.verb, event.group, event.project, event.actor) == ("rules.changed", group, project, erin)
    said = "Added rule 1: Drop inbound UDP to port 53 (DNS) from 2001:db8::/32."
    assert (event.summary, event.detail) == (said, {"revision": 2, "reason": "Ticket 7"})
    group.refresh_from_db()
    assert (group.revision, group.changed_at > group.created_at) == (2, True)


def test_rules_remember_in_which_revision_they_were_added_and_changed(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3))
    commit(group, lists.change(rules_of(group), 2, rule("drop in tcp 22")))
    commit(group, lists.move(lists.insert(rules_of(group), 1, rule("accept in tcp 9")), [4], 1))

    assert [(row.port_start, row.added_in, row.changed_in) for row in group.rules.in_order()] == [
        (3, 1, 1), (9, 3, 3), (1, 1, 1), (22, 1, 2),
    ]  # fmt: skip


def test_a_rule_keeps_its_row_and_identity_through_edits_and_moves(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3))
    before = {row.port_start: (row.pk, row.uid) for row in group.rules.all()}

    commit(group, lists.move(rules_of(group), [3], 1))
    commit(group, lists.change(rules_of(group), 1, rule("drop in udp 30")))

    after = {row.port_start: (row.pk, row.uid) for row in group.rules.all()}
    assert after == {30: before[3], 1: before[1], 2: before[2]}


def test_only_rows_that_differ_are_written(project: Project) -> None:
    group = make_group(project, rules=ports(*range(1, 201)))
    rules = rules_of(group)

    with CaptureQueriesContext(connection) as queries:
        commit(group, lists.switch(rules, [100], enabled=False))
    few = len(queries)
    written = [
        query["sql"] for query in queries if 'securitygroups_rule"' in query["sql"] and "SELECT" not in query["sql"][:6]
    ]
    rules = rules_of(group)
    with CaptureQueriesContext(connection) as queries:
        commit(group, tuple(replace(each, enabled=False) for each in rules))

    assert len(written) == 1
    assert {'"enabled"', "changed_in"} <= set(written[0].split()), "and no column that has an index"
    assert not {'"source"', "position", '"description"'} & set(written[0].split())
    assert len(queries) == few


def test_an_equal_list_writes_nothing(group: SecurityGroup) -> None:
    with nothing_written():
        told = commit(group, rules_of(group))

    assert not told
    assert group.revision == 1


def test_a_new_group_without_rules_has_a_first_revision(project: Project) -> None:
    group = make_group(project)

    assert group.revision == 1
    assert group.revisions.get().rules == []


def test_a_stale_base_is_a_conflict_that_names_the_newest(group: SecurityGroup) -> None:
    stale = rules_of(group)
    commit(group, lists.remove(stale, [1]))

    for base in (0, 1, 3, -1):
        with nothing_written(), pytest.raises(Conflict) as conflict:
            commit(group, lists.remove(stale, [2]), base=base)
        assert conflict.value.revision == 2


def test_a_deleted_groups_rules_cannot_be_changed(group: SecurityGroup) -> None:
    operations.delete_group(group=group, base=1, by=By())

    with nothing_written(), pytest.raises(Conflict) as conflict:
        commit(group, ())
    assert conflict.value.revision is None


REFUSED = {
    "accept in tcp 90-80": "port_end",
    "accept in tcp 0-65536": "port_end",
    "accept in ip 22": "port_start",
    "accept in all from 10.0.0.0/8": "source",
    "accept in tcp 22 to 10.0.0.0/8": "destination",
    "accept in ip from 10.0.0.0/8 to 2001:db8::/32": "destination",
    "accept in gre": "protocol",
    "accept in icmp 8": "port_start",
    "accept in icmp to 10.0.0.0/8": "destination",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_rule_that_cannot_be_is_refused_at_its_place_and_field(group: SecurityGroup, text: str) -> None:
    with nothing_written(), pytest.raises(RefusedRules) as refusal:
        commit(group, (*rules_of(group), *ports(1), rule(text)))

    assert list(refusal.value.problems) == [7]
    assert REFUSED[text] in refusal.value.problems[7]
    assert refusal.value.messages[0].startswith("Rule 7: ")


@pytest.mark.parametrize("description", ["x" * 256, "two\nlines", "null\x00", "\u202eright to left"])
def test_a_description_is_one_line_of_plain_text(group: SecurityGroup, description: str) -> None:
    with nothing_written(), pytest.raises(RefusedRules) as refusal:
        commit(group, (rule("drop in all", description),))

    assert list(refusal.value.problems[1]) == ["description"]


def test_the_quota_of_rules_is_the_projects_own_or_the_installations(project: Project, settings: Any) -> None:
    settings.MAX_RULES_PER_GROUP = 3
    group = make_group(project, rules=ports(1, 2, 3))

    with nothing_written(), pytest.raises(ValidationError, match="can have 3 rules, this would be 4"):
        commit(group, (*rules_of(group), *ports(4)))
    with nothing_written(), pytest.raises(ValidationError, match="can have 3 rules"):
        make_group(project, "too many", ports(1, 2, 3, 4))
    project.max_rules = 4
    operations.update_project(project=project, by=By())
    commit(SecurityGroup.objects.get(pk=group.pk), (*rules_of(group), *ports(4)))
    assert ports_of(group) == [1, 2, 3, 4]


def test_a_list_over_a_quota_that_was_lowered_can_be_edited_and_shortened(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3, 4))
    Project.objects.update(max_rules=2)
    group = SecurityGroup.objects.select_related("project").get(pk=group.pk)

    commit(group, lists.remove(rules_of(group), [1]))
    commit(group, lists.switch(rules_of(group), [1], enabled=False))
    with nothing_written(), pytest.raises(ValidationError, match="can have 2 rules, this would be 4"):
        commit(group, (*rules_of(group), *ports(5)))
    assert ports_of(group) == [2, 3, 4]


def test_two_rules_of_one_identity_are_a_mistake_of_the_program(group: SecurityGroup) -> None:
    first = rules_of(group)[0]

    with nothing_written(), pytest.raises(ValueError, match="same identity"):
        commit(group, (first, first))


def test_undo_brings_the_list_before_back_as_a_new_revision(project: Project, bob: User) -> None:
    group = make_group(project, rules=ports(1, 2, 3))
    before = rules_of(group)
    rows = set(group.rules.values_list("pk", flat=True))
    commit(group, lists.change(lists.move(lists.remove(before, [2]), [2], 1), 2, rule("drop in all", "Changed")))

    operations.undo(group=group, number=2, by=By(bob))

    assert rules_of(group) == before
    assert [each.uid for each in rules_of(group)] == [each.uid for each in before]
    assert len(rows & set(group.rules.values_list("pk", flat=True))) == 2
    assert [(r.number, r.summary) for r in group.revisions.order_by("number")][-1] == (3, "Undid revision 2.")
    assert operations.rules_at(group, 3) == operations.rules_at(group, 1)
    assert operations.rules_at(group, 2) != before
    assert (newest().actor, newest().summary) == (bob, "Undid revision 2.")


def test_only_the_newest_revision_is_undone(group: SecurityGroup) -> None:
    commit(group, lists.remove(rules_of(group), [1]))
    commit(group, lists.remove(rules_of(group), [1]))
    behind = SecurityGroup.objects.get(pk=group.pk)
    behind.revision = 2

    with nothing_written(), pytest.raises(Conflict):
        operations.undo(group=group, number=2, by=By())
    with nothing_written(), pytest.raises(Conflict):
        operations.undo(group=behind, number=2, by=By())


def test_the_first_revision_is_not_undone(group: SecurityGroup) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="nothing before it"):
        operations.undo(group=group, number=1, by=By())


def test_an_earlier_list_is_restored_whole(project: Project) -> None:
    group = make_group(project, rules=ports(1, 2, 3))
    first = operations.rules_at(group, 1)
    for _ in range(3):
        commit(group, lists.remove(rules_of(group), [1]))

    commit(group, operations.rules_at(group, 1), summary="Restored revision 1.")

    assert [(each, each.uid) for each in rules_of(group)] == [(each, each.uid) for each in first]
    assert group.revision == 5
    with pytest.raises(GroupRevision.DoesNotExist):
        operations.rules_at(group, 6)


def test_small_changes_of_a_long_list_are_kept_small_and_every_list_can_be_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("securitygroups.operations.rules.WHOLE_EVERY", 4)
    group = make_group(project, rules=ports(*range(1, 101)))
    kept = {1: rules_of(group)}
    for turn in range(12):
        now = rules_of(group)
        told = (
            lists.insert(now, 1, rule("drop in udp 53")),
            lists.move(lists.switch(now, range(1, 51), enabled=False), [90], 1),
            lists.change(lists.remove(now, [7, 30]), 1, rule("accept in tcp 9", "New")),
        )[turn % 3]
        commit(group, told)
        kept[group.revision] = rules_of(group)

    for number, rules in kept.items():
        assert [(each, each.uid) for each in operations.rules_at(group, number)] == [(each, each.uid) for each in rules]
        assert on_record(group, number) == stored_rules(rules)
        revision = group.revisions.get(number=number)
        at = [(placed.rule, placed.place) for placed in of_group(group, revision.at)]
        assert at == [(each, place) for place, each in enumerate(rules, 1)]
    whole = group.revisions.exclude(rules=None).order_by("number").values_list("number", flat=True)
    assert list(whole) == [1, 5, 9, 13]
    assert max(len(steps or ()) for steps in group.revisions.exclude(steps=None).values_list("steps", flat=True)) <= 5
    assert on_record(group, 99) is None


def test_no_steps_stand_on_a_list_of_a_version_that_only_knew_whole_ones(project: Project) -> None:
    group = make_group(project, rules=ports(*range(1, 9)))
    with pgtrigger.ignore():
        group.revisions.update(whole_in=None)

    for _ in range(2):
        commit(group, lists.remove(rules_of(group), [1]))

    assert list(group.revisions.order_by("number").values_list("whole_in", flat=True)) == [None, 2, 2]
    assert operations.rules_at(group, 3) == rules_of(group)


def test_times_of_revisions_never_run_backwards(project: Project) -> None:
    with time_machine.travel("2030-05-01 12:00:00+00:00", tick=False):
        group = make_group(project, rules=ports(1, 2, 3))
    with time_machine.travel("2030-05-01 11:00:00+00:00", tick=False):
        commit(group, lists.remove(rules_of(group), [1]))
    with time_machine.travel("2030-05-01 12:30:00+00:00", tick=False):
        commit(group, lists.remove(rules_of(group), [1]))

    times = group.revisions.order_by("number").values_list("at", flat=True)
    assert [f"{at:%H:%M}" for at in times] == ["12:00", "12:00", "12:30"]
    group.refresh_from_db()
    assert group.changed_at == times[2]


Edit = Callable[[Rules], Rules]


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """Something a person does to a list, on places that fit whatever list it is."""
    kind = draw(st.sampled_from(("insert", "insert", "change", "remove", "move", "switch", "replace")))
    where = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=3))
    to = draw(st.integers(0, 1000))
    some = draw(st.lists(any_rule(), min_size=1, max_size=3))

    def edit(rules: Rules) -> Rules:
        if kind == "replace":
            return tuple(some)
        if kind == "insert" or not rules:
            return lists.insert(rules, to % (len(rules) + 1) + 1, some[0])
        places = [number % len(rules) + 1 for number in where]
        if kind == "change":
            return lists.change(rules, places[0], some[0])
        if kind == "remove":
            return lists.remove(rules, places)
        if kind == "move":
            return lists.move(rules, places, to % len(rules) + 1)
        return lists.switch(rules, places, enabled=to % 2 == 0)

    return edit


@pytest.mark.django_db
@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(todo=st.lists(edits(), min_size=1, max_size=6))
def test_any_edits_keep_rows_revisions_and_positions_in_step_and_can_be_undone(
    project: Project, todo: list[Edit]
) -> None:
    group = make_group(project, rules=ports(*range(1, 9)))
    number = 1
    for edit in todo:
        before = rules_of(group)
        expected = edit(before)
        told = commit(group, expected)
        number += bool(told)

        rows = list(group.rules.in_order())
        revisions = list(group.revisions.order_by("number"))
        assert [row.position for row in rows] == list(range(1, len(expected) + 1))
        assert values(rows) == tuple(expected)
        assert [revision.number for revision in revisions] == list(range(1, number + 1))
        assert (
            stored_rules(values(rows)) == on_record(group, number) == stored_rules(operations.rules_at(group, number))
        )
        assert group.revision == SecurityGroup.objects.get(pk=group.pk).revision == number
        if told:
            after = rules_of(group)
            operations.undo(group=group, number=number, by=By())
            assert stored_rules(rules_of(group)) == stored_rules(before)
            operations.undo(group=group, number=number + 1, by=By())
            assert stored_rules(rules_of(group)) == stored_rules(after)
            number += 2


@hypothesis_settings(max_examples=50)
@given(st.lists(any_rule(), max_size=5))
def test_a_revisions_list_is_read_back_as_it_was_stored(rules: list[RuleValue]) -> None:
    named = tuple(replace(each, uid=f"u{place}") for place, each in enumerate(rules))
    stored: Any = stored_rules(named)
    again = rules_from_stored(stored)

    assert [(each, each.uid) for each in again] == [(each, each.uid) for each in named]
