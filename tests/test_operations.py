"""What every operation writes and records, what it refuses, and that a refusal writes nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.firewall.formats.documents import rules_from_stored, stored_rules
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import (
    Attachment,
    Event,
    GroupRevision,
    MachineRevision,
    Membership,
    Project,
    Role,
    Rule,
    SecurityGroup,
    User,
    VirtualMachine,
    values,
)
from securitygroups.operations import By, Conflict, RefusedRules
from tests.factories import make_group, make_machine, make_project, make_user, ports, rule
from tests.firewall.strategies import rules as any_rule

Rules = tuple[RuleValue, ...]
EVERYTHING: list[type[models.Model]] = [
    User,
    Project,
    Membership,
    SecurityGroup,
    Rule,
    VirtualMachine,
    Attachment,
    GroupRevision,
    MachineRevision,
    Event,
]


def snapshot() -> dict[str, list[dict[str, Any]]]:
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in EVERYTHING}


@contextmanager
def nothing_written() -> Iterator[None]:
    before = snapshot()
    yield
    assert snapshot() == before


def rules_of(group: SecurityGroup) -> Rules:
    return values(list(group.rules.in_order()))


def ports_of(group: SecurityGroup) -> list[int | None]:
    return [row.port_start for row in group.rules.in_order()]


def newest() -> Event:
    return Event.objects.order_by("-pk")[0]


def commit(group: SecurityGroup, rules: Any, **more: Any) -> Any:
    """Commit on top of what the group's object knows as newest."""
    return operations.commit_rules(**{"group": group, "rules": rules, "base": group.revision, "by": By(), **more})


# Rules.


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
    assert revision.rules == stored_rules(rules_of(group))
    event = newest()
    assert (event.verb, event.group, event.project, event.actor) == ("rules.changed", group, project, erin)
    assert (event.summary, event.detail) == ("Added rule 1.", {"revision": 2, "reason": "Ticket 7"})
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
    "accept in icmp": "protocol",
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
    group = make_group(project)
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
        assert stored_rules(values(rows)) == revisions[-1].rules
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


# Groups.


def test_a_group_is_created_with_rules_revision_and_event(project: Project, erin: User) -> None:
    group = operations.create_group(
        project=project, name="web", description="Servers", rules=ports(80, 443), by=By(erin, staff=True)
    )

    assert (group.name, group.description, group.revision) == ("web", "Servers", 1)
    assert group.public_id.startswith("sg-")
    assert ports_of(group) == [80, 443]
    revision = group.revisions.get()
    assert (revision.number, revision.summary, revision.by_staff) == (1, "Created with 2 rules.", True)
    assert [(e.verb, e.summary, e.actor, e.by_staff) for e in group.events.all()] == [
        ("group.created", "Created web.", erin, True)
    ]


def test_identities_are_not_taken_over_by_a_copy(project: Project, group: SecurityGroup) -> None:
    copy = make_group(project, "copy", rules_of(group))

    assert rules_of(copy) == rules_of(group)
    assert not {each.uid for each in rules_of(copy)} & {each.uid for each in rules_of(group)}


@pytest.mark.parametrize("name", ["web", "WEB", "Web"])
def test_a_name_that_is_taken_is_refused_at_its_field(project: Project, group: SecurityGroup, name: str) -> None:
    other = make_group(project, "other")

    with nothing_written(), pytest.raises(ValidationError) as refusal:
        make_group(project, name)
    assert refusal.value.message_dict == {"name": ["The project already has a group of this name: type another."]}
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.update_group(group=other, name=name, description="", by=By())
    assert list(refusal.value.message_dict) == ["name"]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "two\nlines", "null\x00", "\u2028"])
def test_a_name_is_one_line_of_up_to_100_characters(project: Project, group: SecurityGroup, name: str) -> None:
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.create_group(project=project, name=name, by=By())
    assert list(refusal.value.message_dict) == ["name"]


def test_spaces_around_a_name_are_not_part_of_it(project: Project, group: SecurityGroup) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="already has a group of this name"):
        make_group(project, " web ")
    with nothing_written():
        operations.update_group(group=group, name=" web ", description=group.description, by=By())
    assert make_machine(project, " vm ").name == "vm"
    assert make_group(project, "\tnew ").name == "new"


def test_a_name_may_be_taken_in_another_project_and_by_its_own_group(group: SecurityGroup, bakery: Project) -> None:
    make_group(bakery, "web")
    operations.update_group(group=group, name="WEB", description=group.description, by=By())

    assert SecurityGroup.objects.filter(name__iexact="web").count() == 2


def test_a_name_of_a_deleted_group_or_vm_can_be_used_again(
    project: Project, machine: VirtualMachine, group: SecurityGroup
) -> None:
    operations.delete_group(group=group, base=1, by=By())
    operations.delete_machine(machine=machine, by=By())

    again = make_machine(project, machine.name, [make_group(project, group.name)], ipv4=machine.ipv4, ipv6=machine.ipv6)

    assert (again.name, again.ipv4, again.ipv6) == (machine.name, machine.ipv4, machine.ipv6)


def test_details_of_a_group_are_changed_and_recorded(group: SecurityGroup, erin: User) -> None:
    operations.update_group(group=group, name="www", description=group.description, by=By(erin))
    renamed = newest()
    operations.update_group(group=group, name="www", description="All of them", by=By(erin))

    group.refresh_from_db()
    assert (group.name, group.description, group.revision) == ("www", "All of them", 1)
    assert (renamed.verb, renamed.summary, renamed.group) == ("group.changed", "Renamed web to www.", group)
    assert newest().summary == "Changed the description of www."
    with nothing_written():
        operations.update_group(group=group, name="www", description="All of them", by=By(erin))


def test_a_deleted_group_has_no_details_to_change(group: SecurityGroup) -> None:
    operations.delete_group(group=group, base=1, by=By())

    with nothing_written(), pytest.raises(Conflict):
        operations.update_group(group=group, name="www", description="", by=By())
    with nothing_written(), pytest.raises(Conflict):
        operations.delete_group(group=group, base=1, by=By())


def test_the_quota_of_groups_counts_live_ones(alice: User, settings: Any) -> None:
    settings.MAX_GROUPS_PER_PROJECT = 1_000
    project = make_project(alice, "Small", {"max_groups": 2})
    first = make_group(project, "1")
    make_group(project, "2")

    with nothing_written(), pytest.raises(ValidationError, match="has its 2 groups already"):
        make_group(project, "3")
    operations.delete_group(group=first, base=1, by=By())
    assert make_group(project, "3").pk


def test_a_deleted_group_leaves_its_vms_which_are_numbered_again(project: Project, erin: User) -> None:
    a, b, c = (make_group(project, name) for name in "abc")
    first = make_machine(project, "first", [a, b, c])
    second = make_machine(project, "second", [b])
    untouched = make_machine(project, "untouched", [c])

    assert operations.delete_group(group=b, base=1, by=By(erin)) == 2

    assert attached(first) == [(1, "a"), (2, "c")]
    assert attached(second) == []
    assert attached(untouched) == [(1, "c")]
    for vm in (first, second):
        revision = vm.revisions.get(number=2)
        assert (revision.reason, revision.actor) == ("b was deleted.", erin)
    assert untouched.revisions.count() == 1
    event = newest()
    assert (event.verb, event.summary) == ("group.deleted", "Deleted b, which was on 2 VMs.")
    assert event.detail == {"machines": {first.public_id: 2, second.public_id: 2}, "reason": ""}
    b.refresh_from_db()
    assert b.deleted_at
    assert b.revisions.count() == 1


def test_a_group_that_was_changed_in_the_meantime_is_not_deleted(machine: VirtualMachine, group: SecurityGroup) -> None:
    commit(group, ())

    with nothing_written(), pytest.raises(Conflict) as conflict:
        operations.delete_group(group=group, base=1, by=By())
    assert conflict.value.revision == 2


def test_deleting_a_group_costs_the_same_on_two_vms_as_on_thirty(project: Project) -> None:
    def cost(name: str, machines: int) -> int:
        group, other = make_group(project, name), make_group(project, f"{name} other")
        for number in range(machines):
            make_machine(project, f"{name} {number}", [group, other])
        with CaptureQueriesContext(connection) as queries:
            operations.delete_group(group=group, base=1, by=By())
        return len(queries)

    assert cost("thirty", 30) == cost("two", 2)


# VMs.


def attached(machine: VirtualMachine) -> list[tuple[int, str]]:
    return list(machine.attachments.order_by("position").values_list("position", "group__name"))


def test_a_vm_is_created_with_ordered_groups_revision_and_event(project: Project, erin: User) -> None:
    groups = [make_group(project, name) for name in "cab"]

    vm = operations.create_machine(
        project=project, fields={"name": "vm", "ipv4": "10.0.0.1"}, groups=groups, by=By(erin)
    )

    assert attached(vm) == [(1, "c"), (2, "a"), (3, "b")]
    revision = vm.revisions.get()
    assert (revision.number, revision.summary) == (1, "Groups of vm: c, then a, then b.")
    assert revision.groups == [{"id": group.public_id, "name": group.name} for group in groups]
    assert [(e.verb, e.summary, e.actor) for e in vm.events.all()] == [("machine.created", "Created vm.", erin)]


def test_a_vm_without_groups_says_what_that_means(project: Project) -> None:
    vm = make_machine(project, "vm")

    assert (vm.revision, vm.revisions.get().summary) == (1, "Groups of vm: no group: everything is denied.")


def test_names_and_addresses_that_are_taken_are_refused_at_their_fields(
    machine: VirtualMachine, bakery: Project
) -> None:
    other = make_machine(machine.project, "other")
    same = {"name": "WEB-1", "ipv4": machine.ipv4, "ipv6": "2001:DB8:10:1:0::11"}

    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.create_machine(project=machine.project, fields=same, by=By())
    assert set(refusal.value.message_dict) == {"name", "ipv4", "ipv6"}
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.update_machine(machine=other, fields=same, by=By())
    assert set(refusal.value.message_dict) == {"name", "ipv4", "ipv6"}
    assert operations.create_machine(project=bakery, fields=same, by=By()).pk


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a\nb"),
        ("ipv4", "10.0.0"),
        ("ipv4", "::1"),
        ("ipv6", "10.0.0.1x"),
        ("tap", "no spaces"),
        ("tap", "x" * 16),
    ],
)
def test_a_vms_fields_are_checked(machine: VirtualMachine, field: str, value: str) -> None:
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.create_machine(project=machine.project, fields={"name": "new", field: value}, by=By())
    assert list(refusal.value.message_dict) == [field]
    with nothing_written(), pytest.raises(ValidationError):
        operations.update_machine(machine=machine, fields={field: value}, by=By())


def test_fields_of_a_vm_are_changed_and_recorded(machine: VirtualMachine, erin: User) -> None:
    operations.update_machine(
        machine=machine, fields={"name": "www-1", "ipv4": None, "ipv6": machine.ipv6}, by=By(erin)
    )

    machine.refresh_from_db()
    assert (machine.name, machine.ipv4, machine.revision) == ("www-1", None, 1)
    assert (newest().verb, newest().summary) == ("machine.changed", "Changed Name, IPv4 address of www-1.")
    with nothing_written():
        operations.update_machine(machine=machine, fields={"name": "www-1", "ipv4": None}, by=By(erin))


def test_groups_are_attached_detached_and_ordered(machine: VirtualMachine, group: SecurityGroup, erin: User) -> None:
    outbound = machine.project.groups.get(name="outbound")
    new = make_group(machine.project, "new")

    operations.attach_groups(machine=machine, groups=[outbound, new, group], base=1, by=By(erin, reason="Order"))

    assert attached(machine) == [(1, "outbound"), (2, "new"), (3, "web")]
    assert machine.revision == 2
    event = newest()
    assert (event.verb, event.machine) == ("machine.groups", machine)
    assert event.detail == {
        "revision": 2, "reason": "Order", "before": ["web", "outbound"], "after": ["outbound", "new", "web"],
    }  # fmt: skip
    operations.attach_groups(machine=machine, groups=[], base=2, by=By(erin))
    assert attached(machine) == []
    with nothing_written():
        operations.attach_groups(machine=machine, groups=[], base=3, by=By(erin))


def test_a_stale_base_of_a_vm_is_a_conflict(machine: VirtualMachine, group: SecurityGroup) -> None:
    operations.attach_groups(machine=machine, groups=[], base=1, by=By())

    with nothing_written(), pytest.raises(Conflict) as conflict:
        operations.attach_groups(machine=machine, groups=[group], base=1, by=By())
    assert conflict.value.revision == 2


def test_groups_that_cannot_be_attached_are_refused(
    machine: VirtualMachine, group: SecurityGroup, bakery: Project, settings: Any
) -> None:
    settings.MAX_GROUPS_PER_MACHINE = 3
    foreign = make_group(bakery, "foreign")
    gone = make_group(machine.project, "gone")
    operations.delete_group(group=gone, base=1, by=By())
    many = [make_group(machine.project, f"g{number}") for number in range(4)]

    for groups, code in (([group, group], "twice"), ([foreign], "gone"), ([group, gone], "gone"), (many, "quota")):
        with nothing_written(), pytest.raises(ValidationError) as refusal:
            operations.attach_groups(machine=machine, groups=groups, base=1, by=By())
        assert refusal.value.code == code
        with nothing_written(), pytest.raises(ValidationError) as refusal:
            make_machine(machine.project, "new", groups)
        assert refusal.value.code == code
    operations.attach_groups(machine=machine, groups=many[:3], base=1, by=By())
    assert len(attached(machine)) == 3


def test_instance_settings_are_saved_both_or_neither(machine: VirtualMachine, group: SecurityGroup) -> None:
    with nothing_written(), pytest.raises(Conflict):
        operations.save_machine(machine=machine, fields={"name": "new"}, groups=[], base=7, by=By())
    with nothing_written(), pytest.raises(ValidationError):
        operations.save_machine(machine=machine, fields={"name": ""}, groups=[], base=1, by=By())

    operations.save_machine(machine=machine, fields={"name": "new"}, groups=[group], base=1, by=By())
    machine.refresh_from_db()
    assert (machine.name, machine.revision, attached(machine)) == ("new", 2, [(1, "web")])


def test_the_quota_of_vms_counts_live_ones(alice: User) -> None:
    project = make_project(alice, "Small", {"max_machines": 1})
    vm = make_machine(project, "1")

    with nothing_written(), pytest.raises(ValidationError, match="has its 1 VM already"):
        make_machine(project, "2")
    operations.delete_machine(machine=vm, by=By())
    assert make_machine(project, "2").pk


def test_a_deleted_vm_leaves_its_groups(machine: VirtualMachine, group: SecurityGroup, erin: User) -> None:
    operations.delete_machine(machine=machine, by=By(erin))

    assert not group.attachments.exists()
    assert (newest().verb, newest().summary, newest().machine) == ("machine.deleted", "Deleted web-1.", machine)
    again: list[Callable[[], object]] = [
        lambda: operations.delete_machine(machine=machine, by=By(erin)),
        lambda: operations.update_machine(machine=machine, fields={"name": "x"}, by=By(erin)),
        lambda: operations.attach_groups(machine=machine, groups=[], base=1, by=By(erin)),
    ]
    for do in again:
        with nothing_written(), pytest.raises(Conflict):
            do()


def test_a_vm_that_was_moved_away_is_not_written_by_who_still_sees_it_in_the_old_project(
    project: Project, bakery: Project, admin: User
) -> None:
    vm, group = make_machine(project, "vm"), make_group(project, "web")
    seen = VirtualMachine.objects.select_related("project").get(pk=vm.pk)
    operations.move_machine(machine=vm, target=bakery, by=By(admin))

    late: list[Callable[[], object]] = [
        lambda: operations.attach_groups(machine=seen, groups=[group], base=1, by=By()),
        lambda: operations.update_machine(machine=seen, fields={"name": "mine"}, by=By()),
        lambda: operations.save_machine(machine=seen, fields={"name": "x"}, groups=[group], base=1, by=By()),
        lambda: operations.delete_machine(machine=seen, by=By()),
        lambda: operations.move_machine(machine=seen, target=make_project(None), by=By()),
    ]
    for do in late[:-1]:
        with nothing_written(), pytest.raises(Conflict):
            do()
    with pytest.raises(Conflict):
        late[-1]()
    assert VirtualMachine.objects.get(pk=vm.pk).project == bakery


def test_a_moved_vm_leaves_its_groups_and_is_told_of_in_both_projects(
    machine: VirtualMachine, bakery: Project, admin: User
) -> None:
    old = machine.project
    operations.move_machine(machine=machine, target=bakery, by=By(admin))

    moved = VirtualMachine.objects.get(pk=machine.pk)
    assert (moved.project, attached(moved), moved.revision) == (bakery, [], 3)
    told = Event.objects.filter(machine=machine, verb="machine.changed")
    assert {(e.project, e.summary, e.by_staff) for e in told} == {
        (old, "Moved web-1 to Bakery.", True), (bakery, "Moved web-1 here from Shop.", True),
    }  # fmt: skip


@pytest.mark.parametrize("gone", [True, False])
def test_a_vm_that_is_brought_back_says_truly_what_it_has(
    machine: VirtualMachine, group: SecurityGroup, gone: bool
) -> None:
    operations.delete_machine(machine=machine, by=By())
    if gone:
        operations.delete_group(group=group, base=1, by=By())

    operations.restore_machine(machine=machine, by=By())

    expected = [] if gone else ["web", "outbound"]
    newest_revision = machine.revisions.order_by("-number")[0]
    assert [name for _, name in attached(machine)] == expected
    assert [line["name"] for line in newest_revision.groups] == expected
    assert newest_revision.number == VirtualMachine.objects.get(pk=machine.pk).revision == 2


# Projects and people.


def test_a_project_is_created_with_owner_quotas_and_event(alice: User) -> None:
    project = operations.create_project(
        name="Shop", slug="shop", by=By(None, staff=True), owner=alice, quotas={"max_rules": 5}
    )

    assert [(m.user, m.role) for m in project.memberships.all()] == [(alice, "owner")]
    assert project.rule_quota == 5
    events = project.events.order_by("pk")
    assert [(event.verb, event.summary, event.actor_name, event.by_staff) for event in events] == [
        ("project.created", "Created the project Shop.", "karenpanel", True),
        ("member.added", "Added alice as owner.", "karenpanel", True),
    ]


@pytest.mark.parametrize(
    ("name", "slug", "field"),
    [("", "x", "name"), ("a\nb", "x", "name"), ("x", "", "slug"), ("x", "a b", "slug"), ("x", "shop", "slug")],
)
def test_a_project_needs_a_name_and_a_free_slug(project: Project, name: str, slug: str, field: str) -> None:
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.create_project(name=name, slug=slug, by=By())
    assert list(refusal.value.message_dict) == [field]


def test_name_and_quotas_of_a_project_are_changed_and_recorded(project: Project, admin: User) -> None:
    project.name, project.max_groups = "Shop 2", 0
    operations.update_project(project=project, by=By(admin, staff=True))

    project.refresh_from_db()
    assert (project.name, project.max_groups, project.slug) == ("Shop 2", 0, "shop")
    assert (newest().verb, newest().by_staff) == ("project.changed", True)
    assert newest().summary == "Changed name: Shop 2, max groups: 0."
    with nothing_written():
        operations.update_project(project=project, by=By(admin))


def test_members_come_change_and_go_on_record(project: Project, alice: User, charlie: User) -> None:
    member = operations.add_member(project=project, user=charlie, role="viewer", by=By(alice))
    operations.change_role(member=member, role="owner", by=By(alice))
    operations.remove_member(member=project.memberships.get(user=alice), by=By(charlie))
    operations.add_member(project=project, user=alice, role="owner", by=By(charlie))
    operations.remove_member(member=member, by=By(charlie))

    assert [(e.verb, e.summary) for e in project.events.order_by("pk")][2:] == [
        ("member.added", "Added charlie as viewer."),
        ("member.changed", "Made charlie owner."),
        ("member.removed", "Removed alice."),
        ("member.added", "Added alice as owner."),
        ("member.removed", "charlie left."),
    ]
    assert [(m.user, m.role) for m in project.memberships.all()] == [(alice, "owner")]


def test_the_last_owner_stays(project: Project, alice: User, bob: User) -> None:
    owner = project.memberships.get(user=alice)

    leaving: list[Callable[[], object]] = [
        lambda: operations.remove_member(member=owner, by=By(alice)),
        lambda: operations.change_role(member=owner, role="viewer", by=By(alice)),
    ]
    for leave in leaving:
        with nothing_written(), pytest.raises(ValidationError, match="last owner"):
            leave()


def test_an_owner_who_cannot_sign_in_does_not_count(project: Project, alice: User, bob: User) -> None:
    operations.change_role(member=project.memberships.get(user=bob), role="owner", by=By(alice))
    User.objects.filter(pk=bob.pk).update(is_active=False)

    with nothing_written(), pytest.raises(ValidationError, match="last owner"):
        operations.remove_member(member=project.memberships.get(user=alice), by=By(alice))


def test_a_member_is_added_once_and_with_a_role_that_exists(
    project: Project, alice: User, bob: User, charlie: User
) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="member already"):
        operations.add_member(project=project, user=bob, role="owner", by=By(alice))
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        operations.add_member(project=project, user=charlie, role="king", by=By(alice))
    assert list(refusal.value.message_dict) == ["role"]
    with nothing_written(), pytest.raises(ValidationError):
        operations.change_role(member=project.memberships.get(user=bob), role="king", by=By(alice))


def test_a_role_that_is_the_same_is_not_a_change(project: Project, bob: User, alice: User) -> None:
    with nothing_written():
        operations.change_role(member=project.memberships.get(user=bob), role="viewer", by=By(alice))


def test_a_member_who_is_gone_is_a_conflict(project: Project, bob: User, alice: User) -> None:
    member = project.memberships.get(user=bob)
    Membership.objects.filter(pk=member.pk).delete()

    with nothing_written(), pytest.raises(Conflict):
        operations.change_role(member=member, role="owner", by=By(alice))
    with nothing_written(), pytest.raises(Conflict):
        operations.remove_member(member=member, by=By(alice))


# Failure half way, and locks.

HALF: dict[str, tuple[type[models.Model], Callable[[SecurityGroup, VirtualMachine], object]]] = {
    "commit_rules": (GroupRevision, lambda g, m: commit(g, lists.remove(rules_of(g), [1]))),
    "commit_rules at its event": (Event, lambda g, m: commit(g, lists.remove(rules_of(g), [1]))),
    "create_group": (Event, lambda g, m: make_group(g.project, "new", ports(1))),
    "update_group": (Event, lambda g, m: operations.update_group(group=g, name="n", description="", by=By())),
    "delete_group": (Event, lambda g, m: operations.delete_group(group=g, base=1, by=By())),
    "delete_group at a VM": (MachineRevision, lambda g, m: operations.delete_group(group=g, base=1, by=By())),
    "create_machine": (Event, lambda g, m: make_machine(g.project, "new", [g])),
    "attach_groups": (Event, lambda g, m: operations.attach_groups(machine=m, groups=[], base=1, by=By())),
    "save_machine": (
        MachineRevision,
        lambda g, m: operations.save_machine(machine=m, fields={"name": "n"}, groups=[], base=1, by=By()),
    ),
    "delete_machine": (Event, lambda g, m: operations.delete_machine(machine=m, by=By())),
    "create_project": (Event, lambda g, m: make_project(None, "New")),
    "add_member": (
        Event,
        lambda g, m: operations.add_member(project=g.project, user=User.objects.get(username="charlie"), role="viewer", by=By()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HALF)
def test_an_operation_that_fails_half_way_leaves_nothing(
    machine: VirtualMachine, group: SecurityGroup, charlie: User, name: str
) -> None:
    table, do = HALF[name]
    trigger = f"BEFORE INSERT ON {table._meta.db_table} FOR EACH ROW EXECUTE FUNCTION out_of_order()"
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$"
        )
        connection.check_constraints()
        cursor.execute(f"CREATE TRIGGER out_of_order {trigger}")

    with nothing_written(), pytest.raises(Exception, match="out of order"):
        do(group, machine)


def locks(do: Callable[[], object]) -> list[str]:
    """Tables in the order in which rows of them are locked."""
    with CaptureQueriesContext(connection) as queries:
        do()
    locking = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    return [sql.split('FROM "securitygroups_')[1].split('"')[0] for sql in locking]


def test_locks_are_taken_in_one_order(
    machine: VirtualMachine, group: SecurityGroup, alice: User, charlie: User
) -> None:
    project = machine.project
    other = make_group(project, "other")
    order = ["project", "securitygroup", "virtualmachine"]

    taken = [
        locks(lambda: commit(group, ())),
        locks(lambda: make_group(project, "new")),
        locks(lambda: operations.update_group(group=other, name="o", description="", by=By())),
        locks(lambda: make_machine(project, "new", [group])),
        locks(lambda: operations.attach_groups(machine=machine, groups=[other, group], base=1, by=By())),
        locks(lambda: operations.save_machine(machine=machine, fields={"name": "n"}, groups=[group], base=2, by=By())),
        locks(lambda: operations.delete_group(group=group, base=2, by=By())),
        locks(lambda: operations.delete_machine(machine=machine, by=By())),
        locks(lambda: operations.restore_group(group=group, by=By())),
        locks(lambda: operations.restore_machine(machine=machine, by=By())),
        locks(lambda: operations.move_machine(machine=machine, target=Project.objects.get(slug="bakery"), by=By())),
        locks(lambda: operations.add_member(project=project, user=charlie, role="viewer", by=By())),
    ]

    assert all(taken)
    for tables in taken:
        first_of_each = list(dict.fromkeys(tables))
        assert first_of_each == sorted(first_of_each, key=order.index)


def test_several_groups_are_locked_by_key_in_whatever_order_they_are_attached(machine: VirtualMachine) -> None:
    groups = [make_group(machine.project, f"g{number}") for number in range(3)]

    with CaptureQueriesContext(connection) as queries:
        operations.attach_groups(machine=machine, groups=groups[::-1], base=1, by=By())

    locking = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    assert 'ORDER BY "securitygroups_securitygroup"."id" ASC' in locking[0]


def test_summaries_fit_their_columns_whatever_the_names(project: Project) -> None:
    groups = [make_group(project, f"{number} " + "x" * 97) for number in range(6)]
    vm = make_machine(project, "y" * 100, groups)
    operations.attach_groups(machine=vm, groups=groups[::-1], base=1, by=By())
    make_user("z" * 150)

    assert len(vm.revisions.get(number=2).summary) == 300
    assert len(newest().summary) == 400


def test_a_reason_that_is_too_long_is_refused_in_words(group: SecurityGroup) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="255"):
        commit(group, (), by=By(reason="x" * 256))


def test_roles_are_the_three_that_the_table_knows() -> None:
    assert [role.value for role in Role] == ["owner", "editor", "viewer"]
