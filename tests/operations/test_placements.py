"""Where VMs stand, as operators say it: what is kept, what its host has to know, and what the project reads."""

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from securitygroups import operations
from securitygroups.models import Event, Host, Placement, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By, Conflict, Place
from tests.factories import make_host, make_machine, place


@pytest.fixture
def host(db: None) -> Host:
    return make_host("kvm-1")


def summary(project: Project) -> str:
    return project.events.filter(verb=Event.Verb.MACHINE_PLACED).latest("pk").summary


def test_a_vm_is_placed_moved_and_taken_off_and_its_number_grows(
    host: Host, machine: VirtualMachine, admin: User
) -> None:
    other = make_host("kvm-2")
    by = By(admin, staff=True, reason="Ticket 7")

    first = operations.place_machine(machine=machine, place=Place(host, "tap0", "52:54:00:AB:cd:01"), base=0, by=by)
    assert summary(machine.project) == "Placed web-1 on the host kvm-1, interface tap0."
    assert (first.number, first.mac, first.held, first.pinned) == (1, "52:54:00:ab:cd:01", True, False)
    event = Event.objects.latest("pk")
    assert (event.actor_name, event.by_staff, event.machine, event.detail["reason"]) == (
        "admin",
        True,
        machine,
        "Ticket 7",
    )
    assert event.detail["after"]["host"] == "kvm-1"

    second = operations.place_machine(machine=machine, place=Place(other, "tap0", first.mac), base=1, by=by)
    assert summary(machine.project) == "Moved web-1 from the host kvm-1 to the host kvm-2, interface tap0."
    third = operations.place_machine(machine=machine, place=Place(None, "tap0", first.mac), base=2, by=by)
    assert summary(machine.project) == "Took web-1 off the host kvm-2: nothing is enforced for it now."
    again = operations.place_machine(machine=machine, place=Place(host, "tap0", first.mac), base=3, by=by)

    assert [one.number for one in (second, third, again)] == [2, 3, 4]
    assert (third.pk, again.pk) == (first.pk, first.pk)
    assert (third.host, third.tap, third.mac) == (None, "tap0", first.mac), "its interface may be known all the same"


def test_what_its_host_need_not_know_gives_no_number(host: Host, machine: VirtualMachine) -> None:
    placed = place(machine, host, "tap0")
    pinned = place(machine, host, "tap0", pinned=True)

    assert (pinned.number, pinned.since) == (1, placed.since)
    assert summary(machine.project) == "Changed where web-1 stands on the host kvm-1: operators pinned it."
    events = Event.objects.count()
    assert place(machine, host, "tap0", pinned=True).number == 1
    assert Event.objects.count() == events, "nothing was changed"
    router = place(machine, host, "tap0", pinned=True, held=False)
    assert (router.number, router.since > placed.since) == (2, True)
    assert summary(machine.project) == "Changed where web-1 stands on the host kvm-1: it may send as others."
    assert place(machine, host, "tap0", pinned=True, held=False, addresses=("10.0.0.9",)).number == 3


def test_addresses_are_kept_in_one_spelling(host: Host, machine: VirtualMachine) -> None:
    said = ("2001:DB8::0:5", "10.0.0.5", "10.0.0.5")
    placed = place(machine, host, mac="52-54-00-12-34-56", addresses=said)

    placed.refresh_from_db()
    assert (placed.mac, placed.addresses) == ("52:54:00:12:34:56", ["10.0.0.5", "2001:db8::5"])
    assert place(machine, host, placed.tap, mac="525400123456", addresses=said).number == 1


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("tap", {"tap": ""}),
        ("tap", {"tap": "eth0"}),
        ("tap", {"tap": "tap9"}),
        ("tap", {"host": None, "tap": "no spaces"}),
        ("tap", {"host": None, "tap": "x" * 16}),
        ("mac", {"mac": "52:54:00"}),
        ("mac", {"mac": "ff:ff:ff:ff:ff:ff"}),
        ("addresses", {"addresses": ("10.0.0.0/24",)}),
        ("addresses", {"addresses": ("224.0.0.1",)}),
        ("addresses", {"addresses": tuple(f"10.0.0.{number}" for number in range(1, 66))}),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_written(
    host: Host, machine: VirtualMachine, project: Project, field: str, fields: dict[str, Any]
) -> None:
    place(make_machine(project), host, "tap9")
    before = list(Placement.objects.values()), Event.objects.count()

    with pytest.raises(ValidationError) as refusal:
        operations.place_machine(machine=machine, place=replace(Place(host, "tap0"), **fields), base=0, by=By())

    assert list(refusal.value.error_dict) == [field]
    assert (list(Placement.objects.values()), Event.objects.count()) == before


def test_nothing_is_placed_on_a_revoked_host(host: Host, machine: VirtualMachine) -> None:
    operations.revoke_host(host=host, by=By())

    with pytest.raises(ValidationError, match="was revoked"):
        place(machine, host)


def test_whoever_looked_at_another_place_is_told_so(host: Host, machine: VirtualMachine) -> None:
    place(machine, host, "tap0")
    place(machine, host, "tap1")

    for base in (0, 1):
        with pytest.raises(Conflict):
            operations.place_machine(machine=machine, place=Place(host, "tap2"), base=base, by=By())

    assert Placement.objects.get().tap == "tap1"


def test_a_deleted_vm_leaves_its_host_and_comes_back_without(
    host: Host, machine: VirtualMachine, project: Project
) -> None:
    place(machine, host, "tap0", pinned=True)

    operations.delete_machine(machine=machine, by=By())

    placement = Placement.objects.get()
    assert (placement.host, placement.tap, placement.pinned, placement.number) == (None, "", False, 2)
    assert place(make_machine(project), host, "tap0").host == host
    operations.restore_machine(machine=machine, by=By())
    connection.check_constraints()
    placement.refresh_from_db()
    assert placement.host is None


def test_a_vm_that_a_platforms_list_lacks_leaves_its_host(
    host: Host, project: Project, group: SecurityGroup, alice: User
) -> None:
    put = operations.put_machine(project=project, external_id="i-1", fields={"name": "vm"}, by=By(alice))
    place(put.machine, host, "tap0")
    leaving = operations.Leaving(put.machine.pk, put.machine.public_id, "i-1", "vm", put.machine.revision, ())
    lot = operations.InventoryLot(project, gone=(leaving,))

    operations.bring_inventories(projects=[project], plan=lambda locked: [lot], by=By(alice))

    assert Placement.objects.get().host is None


def test_a_vm_that_is_moved_to_another_project_stays_where_it_stands(
    host: Host, machine: VirtualMachine, bakery: Project, admin: User
) -> None:
    place(machine, host, "tap0")

    operations.move_machine(machine=machine, target=bakery, by=By(admin))

    assert Placement.objects.get().host == host
