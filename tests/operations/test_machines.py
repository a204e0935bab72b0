"""VMs are created, changed, moved and deleted, and get their groups; a refusal writes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By, Conflict
from tests.factories import make_group, make_machine, make_project
from tests.operations.state import attached, newest, nothing_written


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
        (old, "Moved web-1 to another project.", True), (bakery, "Moved web-1 here from another project.", True),
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
