"""VMs are moved to another project, and back; neither customer reads of the other."""

import json

import pytest
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.models import Event, MachineRevision, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By, Conflict
from tests.factories import make_group, make_machine
from tests.operations.state import nothing_written


def again(machine: VirtualMachine) -> VirtualMachine:
    found: VirtualMachine = VirtualMachine.objects.select_related("project").get(pk=machine.pk)
    return found


def attached(machine: VirtualMachine) -> list[str]:
    return list(machine.attachments.order_by("position").values_list("group__name", flat=True))


def test_a_vm_is_moved_with_groups_of_the_target_and_comes_back_with_its_own(
    machine: VirtualMachine, project: Project, bakery: Project, admin: User
) -> None:
    oven = make_group(bakery, "oven", ["drop in all"])
    operations.move_machine(machine=again(machine), target=bakery, groups=[oven], by=By(admin, reason="Ticket 7"))
    there = again(machine)
    assert (there.project, attached(there)) == (bakery, ["oven"])

    assert operations.undo_move(machine=there, by=By(admin, reason="Wrong one")) == project

    back = again(machine)
    assert (back.project, attached(back)) == (project, ["web", "outbound"])
    reasons = {event.detail["reason"] for event in Event.objects.filter(machine=machine, verb="machine.changed")}
    assert reasons == {"Ticket 7", "Wrong one"}
    rows = [
        list(MachineRevision.objects.filter(project=one).values("reason", "groups", "summary"))
        for one in (project, bakery)
    ]
    assert "oven" not in json.dumps(rows[0])
    assert "outbound" not in json.dumps(rows[1])


def test_a_move_back_can_itself_be_taken_back(machine: VirtualMachine, bakery: Project, admin: User) -> None:
    oven = make_group(bakery, "oven", ["drop in all"])
    operations.move_machine(machine=again(machine), target=bakery, groups=[oven], by=By(admin))
    operations.undo_move(machine=again(machine), by=By(admin))

    operations.undo_move(machine=again(machine), by=By(admin))

    assert (again(machine).project, attached(machine)) == (bakery, ["oven"])


def test_a_move_is_not_taken_back_over_what_was_done_since(
    machine: VirtualMachine, bakery: Project, admin: User
) -> None:
    with nothing_written(), pytest.raises(Conflict):
        operations.undo_move(machine=again(machine), by=By(admin))
    operations.move_machine(machine=again(machine), target=bakery, by=By(admin))
    there = again(machine)
    operations.attach_groups(machine=there, groups=[make_group(bakery, "oven")], base=there.revision, by=By())

    with nothing_written(), pytest.raises(Conflict):
        operations.undo_move(machine=there, by=By(admin))


def test_where_a_group_or_the_name_is_gone_the_way_back_says_so(
    machine: VirtualMachine, group: SecurityGroup, project: Project, bakery: Project, admin: User
) -> None:
    operations.move_machine(machine=again(machine), target=bakery, by=By(admin))
    operations.delete_group(group=group, base=1, by=By())
    taken = make_machine(project, "web-1")

    with nothing_written(), pytest.raises(ValidationError, match="already has a VM of this name"):
        operations.undo_move(machine=again(machine), by=By(admin))
    operations.delete_machine(machine=taken, by=By())
    operations.undo_move(machine=again(machine), by=By(admin))

    assert (again(machine).project, attached(machine)) == (project, [])


@pytest.mark.parametrize("reason", ["Shop asked", "for the bakery", "SHOP"])
def test_a_reason_that_names_one_customer_to_the_other_is_refused(
    machine: VirtualMachine, bakery: Project, admin: User, reason: str
) -> None:
    with nothing_written(), pytest.raises(ValidationError, match="Both customers read this reason"):
        operations.move_machine(machine=again(machine), target=bakery, by=By(admin, reason=reason))


def test_what_stands_in_the_way_of_a_move_is_told_at_once(
    machine: VirtualMachine, project: Project, bakery: Project
) -> None:
    make_machine(bakery, "WEB-1")
    operations.update_machine(machine=machine, fields={"external_id": "i-1"}, by=By())
    make_machine(bakery, "theirs", ipv4=machine.ipv4, external_id="i-1")
    second = make_machine(project, "web-2", ipv4="10.9.9.9")
    Project.objects.filter(pk=bakery.pk).update(max_machines=3)
    bakery.refresh_from_db()

    found = operations.move_obstacles([again(machine), again(second)], bakery)

    assert found == [
        "web-1: Bakery has a VM of this name already.",
        "web-1: Bakery has a VM with its address already.",
        "web-1: Bakery has a VM with its external ID already.",
        "Bakery has room for 1 more VM, and these are 2.",
    ]
    assert operations.move_obstacles([again(second)], bakery) == []
    assert operations.move_obstacles([again(second)], project) == ["web-2 is in this project already."]


def test_groups_are_deleted_together_only_as_they_were_looked_at(
    machine: VirtualMachine, group: SecurityGroup, project: Project
) -> None:
    both = list(SecurityGroup.objects.filter(project=project))
    seen = operations.groups_mark(both)
    operations.attach_groups(machine=machine, groups=[group], base=1, by=By())

    with nothing_written(), pytest.raises(Conflict):
        operations.delete_groups(groups=both, by=By(), seen=seen)
    operations.delete_groups(groups=both, by=By(), seen=operations.groups_mark(both))

    assert not SecurityGroup.objects.live().exists()
