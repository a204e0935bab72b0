"""Groups are created, changed and deleted, on record; a refusal writes nothing."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By, Conflict
from tests.factories import make_group, make_machine, make_project, ports
from tests.operations.state import attached, commit, newest, nothing_written, ports_of, rules_of


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
