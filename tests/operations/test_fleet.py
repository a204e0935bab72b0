"""The groups of many VMs are changed in one go: all or none, with one line on record, and one way back."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from securitygroups import operations
from securitygroups.firewall.deeds import ABOVE, ATTACH, DETACH, FIRST, LAST, MOVE, REPLACE, Deed
from securitygroups.models import Attachment, Event, MachineRevision, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By, Conflict
from securitygroups.proposals import NewOrders, propose_orders
from securitygroups.words.deeds import done
from tests.factories import make_group, make_machine, rule
from tests.operations.state import newest, nothing_written

MOST = 16


@pytest.fixture
def abc(project: Project) -> list[SecurityGroup]:
    return [make_group(project, name, ["accept in tcp 22"]) for name in "abc"]


@pytest.fixture
def vms(project: Project, abc: list[SecurityGroup]) -> list[VirtualMachine]:
    return [make_machine(project, f"vm-{n}", abc[:2]) for n in range(4)]


def names(machine: VirtualMachine) -> str:
    """Its groups in order, whose places have no gap."""
    rows = list(machine.attachments.order_by("position").values_list("position", "group__name"))
    assert [place for place, _ in rows] == list(range(1, len(rows) + 1))
    return "".join(name for _, name in rows)


def propose(machines: list[VirtualMachine], do: str, *groups: SecurityGroup, place: str = LAST) -> NewOrders:
    project = machines[0].project
    deed = Deed(do, groups[0].pk, MOST, groups[1].pk if len(groups) > 1 else 0, place)
    rows = VirtualMachine.objects.live().filter(pk__in=[vm.pk for vm in machines])
    return propose_orders(project, rows, deed, done(deed, *(group.name for group in groups)))


def regroup(machines: list[VirtualMachine], do: str, *groups: SecurityGroup, **more: Any) -> Event:
    return operations.regroup_machines(lot=propose(machines, do, *groups, **more).lot, by=By(reason="Why not"))


def test_a_lot_is_one_line_and_a_revision_of_each_vm(
    vms: list[VirtualMachine], abc: list[SecurityGroup], erin: User
) -> None:
    before = Event.objects.count()

    line = operations.regroup_machines(lot=propose(vms, ATTACH, abc[2], place=FIRST).lot, by=By(erin, reason="Audit"))

    assert [names(vm) for vm in vms] == ["cab"] * 4
    assert Event.objects.count() == before + 1
    assert line.summary == "Attached c to 4 VMs (vm-0, vm-1, vm-2, 1 more), before their other groups."
    assert (line.actor, line.group, line.machine, line.detail) == (
        erin,
        abc[2],
        None,
        {"reason": "Audit", "machines": 4},
    )
    for vm in vms:
        vm.refresh_from_db()
        revision = vm.revisions.get(number=2)
        assert (vm.revision, revision.summary) == (2, f"Groups of {vm.name}: c, then a, then b.")
        assert (revision.actor, revision.reason, revision.together) == (erin, "Audit", line)


@pytest.mark.parametrize(
    ("do", "which", "place", "after"),
    [
        (ATTACH, "c", LAST, "abc"),
        (ATTACH, "c", FIRST, "cab"),
        (DETACH, "a", LAST, "b"),
        (REPLACE, "ac", LAST, "cb"),
        (REPLACE, "ab", LAST, "b"),
        (MOVE, "a", LAST, "ba"),
        (MOVE, "b", FIRST, "ba"),
    ],
)
def test_each_deed_gives_the_order_that_it_says(
    vms: list[VirtualMachine], abc: list[SecurityGroup], do: str, which: str, place: str, after: str
) -> None:
    regroup(vms, do, *(abc["abc".index(name)] for name in which), place=place)

    assert {names(vm) for vm in vms} == {after}


def test_above_what_denies_all_means_on_each_vm_where_that_stands(project: Project, abc: list[SecurityGroup]) -> None:
    deny = make_group(project, "D", ["accept in tcp 1", "drop in all"])
    out = make_group(project, "O", ["drop out all"])
    vms = [
        make_machine(project, f"vm-{n}", its) for n, its in enumerate([[abc[0], deny, abc[1]], [out, deny], [abc[1]]])
    ]
    below = propose(vms, ATTACH, abc[2])
    assert below.hidden == {deny.pk: 2}

    regroup(vms, ATTACH, abc[2], place=ABOVE)

    # What denies only what goes out hides nothing of a group for what comes in.
    assert [names(vm) for vm in vms] == ["acDb", "OcD", "bc"]


def test_vms_that_need_nothing_or_have_no_room_stay_as_they_are(project: Project, abc: list[SecurityGroup]) -> None:
    many = [make_group(project, f"g{n}") for n in range(MOST)]
    vms = [make_machine(project, "full", many), make_machine(project, "has", [abc[2]]), make_machine(project, "new")]

    proposal = propose(vms, ATTACH, abc[2])
    regroup(vms, ATTACH, abc[2])

    assert (proposal.count, proposal.already, proposal.full) == (1, 1, 1)
    for vm, revision in zip(vms, (1, 1, 2), strict=True):
        vm.refresh_from_db()
        assert vm.revision == revision


def alone(abc: list[SecurityGroup], vm: VirtualMachine) -> None:
    operations.attach_groups(machine=vm, groups=abc[:1], base=vm.revision, by=By())


def rules(abc: list[SecurityGroup], vm: VirtualMachine) -> None:
    operations.commit_rules(group=abc[0], rules=[], base=1, by=By())


def deleted(abc: list[SecurityGroup], vm: VirtualMachine) -> None:
    operations.delete_machine(machine=vm, by=By())


def group_deleted(abc: list[SecurityGroup], vm: VirtualMachine) -> None:
    operations.delete_group(group=abc[2], base=1, by=By())


@pytest.mark.parametrize("meanwhile", [alone, rules, deleted, group_deleted])
def test_what_was_looked_at_is_what_is_done_or_nothing(
    vms: list[VirtualMachine], abc: list[SecurityGroup], meanwhile: Callable[..., None]
) -> None:
    lot = propose(vms, ATTACH, abc[2]).lot
    meanwhile(abc, vms[3])

    with nothing_written(), pytest.raises(Conflict):
        operations.regroup_machines(lot=lot, by=By())


def undo(line: Event, project: Project | None = None) -> Event:
    way = operations.lot_back(project=project or line.project, event=line)
    return operations.regroup_machines(lot=way.lot, by=By())


def test_undo_gives_each_vm_what_it_had(vms: list[VirtualMachine], abc: list[SecurityGroup]) -> None:
    regroup(vms[:1], MOVE, abc[0])
    line = regroup(vms, REPLACE, abc[0], abc[2])
    assert [names(vm) for vm in vms] == ["bc", "cb", "cb", "cb"]

    undone = undo(line)

    assert [names(vm) for vm in vms] == ["ba", "ab", "ab", "ab"]
    assert undone.summary == f"Took back for 4 VMs (vm-0, vm-1, vm-2, 1 more): {line.summary}"
    assert undone.group == abc[0], "it is read on the group's page, as what it takes back"
    assert newest() == undone
    with nothing_written(), pytest.raises(Conflict):
        undo(line)
    undo(undone)
    assert [names(vm) for vm in vms] == ["bc", "cb", "cb", "cb"], "an undo is a lot of its own"


def test_undo_says_which_vms_were_changed_since_and_takes_the_others(
    vms: list[VirtualMachine], abc: list[SecurityGroup]
) -> None:
    project = vms[0].project
    line = regroup(vms, ATTACH, abc[2])
    for vm in vms:
        vm.refresh_from_db()
    alone([abc[1]], vms[1])
    operations.delete_machine(machine=vms[3], by=By())

    with nothing_written():
        way = operations.lot_back(project=project, event=line)
    assert (way.left, way.moved, len(way.lot.changes)) == (("vm-1", "vm-3"), 0, 2)

    operations.regroup_machines(lot=way.lot, by=By())
    assert [names(vm) for vm in vms[:3]] == ["ab", "b", "ab"]


def test_undo_brings_back_no_group_that_is_gone(vms: list[VirtualMachine], abc: list[SecurityGroup]) -> None:
    other = make_machine(vms[0].project, "other", [abc[1]])
    line = regroup([*vms, other], DETACH, abc[1])
    operations.delete_group(group=abc[1], base=1, by=By())

    with nothing_written(), pytest.raises(Conflict):
        undo(line)


def test_what_an_undo_gives_back_has_to_be_shown_where_its_rules_are_others_by_now(
    vms: list[VirtualMachine], abc: list[SecurityGroup], alice: User
) -> None:
    project = vms[0].project
    line = regroup(vms, REPLACE, abc[0], abc[2])
    assert operations.lot_back(project=project, event=line).as_before

    # Seen on none of these VMs, for they have another group instead of it by now.
    operations.commit_rules(group=abc[0], rules=[rule("accept in all")], base=1, by=By(alice))

    way = operations.lot_back(project=project, event=line)
    assert (way.as_before, way.stay) == (False, 0)


def test_undo_does_not_tell_what_became_of_a_vm_in_another_project(
    vms: list[VirtualMachine], abc: list[SecurityGroup], bakery: Project, admin: User
) -> None:
    line = regroup(vms, ATTACH, abc[2])
    for vm in vms:
        vm.refresh_from_db()
    operations.move_machine(machine=vms[0], target=bakery, by=By(admin))

    way = operations.lot_back(project=vms[1].project, event=line)

    assert (way.left, way.moved, len(way.lot.changes)) == ((), 1, 3)


def test_nothing_of_another_project_is_touched(
    vms: list[VirtualMachine], abc: list[SecurityGroup], bakery: Project
) -> None:
    oven = make_machine(bakery, "oven")
    lot = propose(vms, ATTACH, abc[2]).lot
    stranger = propose([oven], ATTACH, abc[2]).lot

    with nothing_written(), pytest.raises(Conflict):
        operations.regroup_machines(lot=stranger, by=By())
    line = operations.regroup_machines(lot=lot, by=By())
    with nothing_written(), pytest.raises(Conflict):
        undo(line, bakery)


@pytest.mark.parametrize("many", [20, 1000])
def test_a_thousand_vms_take_no_more_questions_than_twenty(
    many: int, project: Project, abc: list[SecurityGroup], django_assert_max_num_queries: Any
) -> None:
    rows = VirtualMachine.objects.bulk_create(
        VirtualMachine(project=project, name=f"m{n}", revision=1) for n in range(many)
    )
    Attachment.objects.bulk_create(Attachment(machine=vm, group=random.choice(abc[:2]), position=1) for vm in rows)
    MachineRevision.objects.bulk_create(
        MachineRevision(project=project, machine=vm, number=1, groups=[], summary="") for vm in rows
    )

    with django_assert_max_num_queries(40):
        proposal = propose(rows, ATTACH, abc[2], place=FIRST)
        proposal.preview()
        operations.regroup_machines(lot=proposal.lot, by=By())

    assert abc[2].attachments.count() == many
