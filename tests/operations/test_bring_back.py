"""What was deleted or re-ordered can be brought back, and never over what somebody did since."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, make_project, make_user

pytestmark = pytest.mark.django_db


def names(machine: VirtualMachine) -> list[str]:
    return [a.group.name for a in machine.attachments.select_related("group").order_by("position")]


@pytest.fixture
def trio(project: Project) -> list[SecurityGroup]:
    return [make_group(project, name, ["accept in tcp 22"]) for name in ("first", "second", "third")]


@pytest.fixture
def vm(project: Project, trio: list[SecurityGroup]) -> VirtualMachine:
    return make_machine(project, "vm", trio, ipv4="10.9.9.9")


def delete(group: SecurityGroup, actor: User) -> None:
    operations.delete_group(group=group, base=group.revision, by=By(actor))
    group.refresh_from_db()


def test_a_deleted_group_comes_back_at_its_place_on_its_vms(
    alice: User, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    delete(trio[1], alice)
    assert names(vm) == ["first", "third"]

    assert operations.restore_group(group=trio[1], by=By(alice)) == 1

    assert names(vm) == ["first", "second", "third"]
    assert SecurityGroup.objects.live().filter(pk=trio[1].pk).exists()
    assert Event.objects.filter(verb="group.restored", group=trio[1]).count() == 1


def test_a_vm_whose_groups_were_changed_since_keeps_what_it_was_given(
    alice: User, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    delete(trio[1], alice)
    vm.refresh_from_db()
    operations.attach_groups(machine=vm, groups=[trio[2]], base=vm.revision, by=By(alice))

    assert operations.restore_group(group=trio[1], by=By(alice)) == 0
    assert names(vm) == ["third"]


def test_a_group_whose_name_was_taken_since_does_not_come_back(
    alice: User, project: Project, trio: list[SecurityGroup]
) -> None:
    delete(trio[0], alice)
    make_group(project, "FIRST")

    with pytest.raises(ValidationError, match="already has a group of this name"):
        operations.restore_group(group=trio[0], by=By(alice))
    trio[0].refresh_from_db()
    assert trio[0].deleted_at is not None


def test_a_group_that_is_there_is_not_brought_back(alice: User, trio: list[SecurityGroup]) -> None:
    with pytest.raises(operations.Conflict):
        operations.restore_group(group=trio[0], by=By(alice))


def test_a_deleted_vm_comes_back_with_its_groups_in_order(
    alice: User, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    operations.delete_machine(machine=vm, by=By(alice))
    assert names(vm) == []

    operations.restore_machine(machine=vm, by=By(alice))

    assert names(vm) == ["first", "second", "third"]


def test_a_vm_whose_address_was_taken_since_does_not_come_back(
    alice: User, project: Project, vm: VirtualMachine
) -> None:
    operations.delete_machine(machine=vm, by=By(alice))
    make_machine(project, "other", ipv4="10.9.9.9")

    with pytest.raises(ValidationError, match="already has this IPv4 address"):
        operations.restore_machine(machine=vm, by=By(alice))


def test_a_change_of_groups_is_undone_while_it_is_the_newest(
    alice: User, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    operations.attach_groups(machine=vm, groups=trio[:1], base=vm.revision, by=By(alice))

    operations.undo_groups(machine=vm, number=vm.revision, by=By(alice))
    assert names(vm) == ["first", "second", "third"]

    vm.refresh_from_db()
    with pytest.raises(operations.Conflict):
        operations.undo_groups(machine=vm, number=vm.revision - 1, by=By(alice))


def test_groups_that_are_gone_are_not_brought_back_by_an_undo(
    alice: User, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    operations.attach_groups(machine=vm, groups=trio[:2], base=vm.revision, by=By(alice))
    delete(trio[2], alice)

    with pytest.raises(ValidationError, match="gone"):
        operations.undo_groups(machine=vm, number=vm.revision, by=By(alice))
    assert names(vm) == ["first", "second"]


def test_a_vm_that_is_moved_leaves_its_groups_behind_and_is_closed(
    alice: User, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    dora = make_user("dora")
    other = make_project(dora, "Other")

    operations.move_machine(machine=vm, target=other, by=By(alice))

    vm.refresh_from_db()
    assert vm.project == other
    assert names(vm) == []
    assert {event.project_id for event in Event.objects.filter(machine=vm, verb="machine.changed")} == {
        trio[0].project_id,
        other.pk,
    }


def test_the_buttons_do_it_and_viewers_are_refused(
    sign_in: SignIn, alice: User, bob: User, project: Project, trio: list[SecurityGroup], vm: VirtualMachine
) -> None:
    group = trio[0]
    page = f"/p/{project.slug}/groups/{group.public_id}/"
    seen = operations.attached_mark(group)
    deleted = sign_in(alice).post(f"{page}delete/", {"base": group.revision, "seen": seen}, follow=True)
    assert f"{page}bring-back/" in deleted.content.decode()

    assert sign_in(bob).post(f"{page}bring-back/").status_code == 403
    back = sign_in(alice).post(f"{page}bring-back/", follow=True)
    assert "first is back, on 1 VM." in back.content.decode()

    vm_page = f"/p/{project.slug}/machines/{vm.public_id}/"
    assert f"{vm_page}bring-back/" in sign_in(alice).post(f"{vm_page}delete/", follow=True).content.decode()
    assert sign_in(bob).post(f"{vm_page}bring-back/").status_code == 403
    assert "vm is back." in sign_in(alice).post(f"{vm_page}bring-back/", follow=True).content.decode()
    assert names(vm) == ["first", "second", "third"]


def test_a_group_comes_back_onto_twelve_vms_with_as_many_queries_as_onto_two(project: Project, alice: User) -> None:
    spent = []
    for number in (2, 12):
        group, other = (make_group(project, f"{name} {number}", ["accept in tcp 22"]) for name in ("a", "b"))
        machines = [make_machine(project, f"vm-{number}-{at}", [group, other]) for at in range(number)]
        operations.delete_group(group=group, base=1, by=By(alice))
        with CaptureQueriesContext(connection) as queries:
            assert operations.restore_group(group=group, by=By(alice)) == number
        spent.append(len(queries))
        for machine in machines:
            machine.refresh_from_db()
            assert [row.group for row in machine.attachments.order_by("position")] == [group, other]
            newest = machine.revisions.get(number=machine.revision)
            assert (newest.number, newest.reason) == (3, f"a {number} was brought back.")
    assert spent[0] == spent[1]
