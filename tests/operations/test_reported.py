"""VMs that hosts find on themselves: which are placed by that, which are moved, and what operators see instead."""

from collections.abc import Sequence

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.models import Event, Host, Placement, Project, VirtualMachine
from securitygroups.operations import By, Report, Tap
from tests.factories import make_host, make_machine, place


@pytest.fixture
def host(db: None) -> Host:
    return make_host("kvm-1")


@pytest.fixture
def other(db: None) -> Host:
    return make_host("kvm-2")


def report(host: Host, *taps: Tap | tuple[str, str], unchanged: bool = False) -> None:
    """The host's whole inventory; `unchanged` where it is as it was."""
    said = [one if isinstance(one, Tap) else Tap(*one) for one in taps]
    operations.take_report(host=host, report=Report("0.1", "", "", "", 0, (), None if unchanged else said))


def stands(*machines: VirtualMachine) -> list[tuple[str, str] | None]:
    """The host and the interface of each."""
    rows = {row.machine_id: row for row in Placement.objects.select_related("host")}
    found = (rows.get(machine.pk) for machine in machines)
    return [(row.host.name, row.tap) if row and row.host else None for row in found]


def conflicts(host: Host) -> list[tuple[str, str]]:
    host.refresh_from_db()
    return [(one["tap"], one["why"]) for one in host.conflicts]


def told(project: Project) -> list[str]:
    return list(project.events.filter(verb=Event.Verb.MACHINE_PLACED).order_by("pk").values_list("summary", flat=True))


def test_a_vm_that_stands_nowhere_is_taken_by_its_id_or_the_platforms(
    host: Host, machine: VirtualMachine, project: Project
) -> None:
    external = make_machine(project, "db-1", external_id="5b2f-77")
    own = Tap("tap0", machine.public_id, "52:54:00:00:00:01", ("10.0.1.11",))

    report(host, own, ("tap1", "5b2f-77"))

    assert stands(machine, external) == [("kvm-1", "tap0"), ("kvm-1", "tap1")]
    placed = Placement.objects.get(machine=machine)
    assert (placed.mac, placed.addresses, placed.held, placed.number) == (own.mac, ["10.0.1.11"], True, 1)
    assert conflicts(host) == []
    event = project.events.latest("pk")
    assert (event.who, event.by_staff) == ("karenpanel, host “kvm-1”", False)
    assert told(project) == [
        "Placed web-1 on the host kvm-1, interface tap0.",
        "Placed db-1 on the host kvm-1, interface tap1.",
    ]


def test_what_a_host_says_again_writes_nothing(host: Host, machine: VirtualMachine) -> None:
    report(host, ("tap0", machine.public_id))
    before = list(Placement.objects.values()), Event.objects.count()

    with CaptureQueriesContext(connection) as queries:
        report(host, ("tap0", machine.public_id))
        report(host, unchanged=True)

    assert (list(Placement.objects.values()), Event.objects.count()) == before
    assert not [query for query in queries if "UPDATE" in query["sql"].split("FOR NO KEY")[0]]


def test_other_interfaces_and_addresses_are_taken_over_and_what_is_not_said_stays(
    host: Host, machine: VirtualMachine
) -> None:
    place(machine, host, "tap0", mac="52:54:00:00:00:01", addresses=("10.0.0.1",), held=False)

    report(host, ("tap3", machine.public_id))
    report(host, Tap("tap3", machine.public_id, "", ("10.0.0.2",)))

    placed = Placement.objects.get()
    assert (placed.tap, placed.mac, placed.addresses, placed.held, placed.number) == (
        "tap3", "52:54:00:00:00:01", ["10.0.0.2"], False, 3,
    )  # fmt: skip


def test_a_host_that_takes_none_places_none(machine: VirtualMachine) -> None:
    host = make_host(takes=False)

    report(host, ("tap0", machine.public_id))

    assert stands(machine) == [None]
    assert conflicts(host) == []
    assert host.inventory == [{"tap": "tap0", "vm": machine.public_id, "mac": "", "addresses": []}]


# ── From one host to another ──────────────────────────────────────────────────


def test_a_vm_comes_over_once_the_other_host_has_said_that_it_is_gone(
    host: Host, other: Host, machine: VirtualMachine
) -> None:
    report(host, ("tap0", machine.public_id))

    report(other, ("tap5", machine.public_id))
    assert stands(machine) == [("kvm-1", "tap0")]
    assert conflicts(other) == [("tap5", "The VM stands on kvm-1, which has not said that it is gone.")]
    report(other, unchanged=True)
    assert stands(machine) == [("kvm-1", "tap0")]

    report(host)
    assert stands(machine) == [("kvm-1", "tap0")], "where nobody else has it, it stays"
    report(other, unchanged=True)

    assert stands(machine) == [("kvm-2", "tap5")]
    assert conflicts(other) == []
    assert told(machine.project)[-1] == "Moved web-1 from the host kvm-1 to the host kvm-2, interface tap5."
    report(host, ("tap0", machine.public_id))
    assert stands(machine) == [("kvm-2", "tap5")]


def test_the_platforms_id_counts_as_still_there_too(host: Host, other: Host, project: Project) -> None:
    machine = make_machine(project, external_id="i-1")
    report(host, ("tap0", "i-1"))

    report(other, ("tap0", machine.public_id))

    assert stands(machine) == [("kvm-1", "tap0")]


def test_a_host_that_never_said_what_it_has_keeps_what_operators_placed_there(
    host: Host, other: Host, machine: VirtualMachine
) -> None:
    place(machine, host, "tap0")

    report(other, ("tap0", machine.public_id))

    assert stands(machine) == [("kvm-1", "tap0")]
    assert len(conflicts(other)) == 1


def test_from_a_revoked_host_a_vm_comes_over_at_once(host: Host, other: Host, machine: VirtualMachine) -> None:
    report(host, ("tap0", machine.public_id))
    report(other, ("tap0", machine.public_id))
    operations.revoke_host(host=host, by=By())

    report(other, unchanged=True)

    assert stands(machine) == [("kvm-2", "tap0")]


@pytest.mark.parametrize("where", ["here", "elsewhere", "nowhere"])
def test_a_pinned_vm_is_never_moved(host: Host, other: Host, machine: VirtualMachine, where: str) -> None:
    at = {"here": host, "elsewhere": other, "nowhere": None}[where]
    place(machine, host, "tap0")
    place(machine, at, "tap0" if at else "", pinned=True)
    report(other)
    before = stands(machine)

    report(host, ("tap4", machine.public_id))

    assert stands(machine) == before
    said = {"here": "on kvm-1, tap0", "elsewhere": "on kvm-2, tap0", "nowhere": "off all hosts"}[where]
    assert conflicts(host) == [("tap4", f"Operators pinned the VM {said}.")]


# ── What places nothing ───────────────────────────────────────────────────────


def test_an_external_id_of_two_projects_names_nobody(host: Host, project: Project, bakery: Project) -> None:
    both = [make_machine(one, external_id="i-1") for one in (project, bakery)]

    report(host, ("tap0", "i-1"))

    assert stands(*both) == [None, None]
    [(tap, why)] = conflicts(host)
    assert (tap, why.partition(":")[0]) == ("tap0", "2 VMs of several projects have this external ID")
    operations.delete_machine(machine=both[1], by=By())
    report(host, unchanged=True)
    assert stands(*both) == [("kvm-1", "tap0"), None]


def test_an_id_of_the_panel_is_nobodys_external_id(host: Host, machine: VirtualMachine, bakery: Project) -> None:
    thief = make_machine(bakery, external_id=machine.public_id)

    report(host, ("tap0", machine.public_id))

    assert stands(machine, thief) == [("kvm-1", "tap0"), None]


def test_what_the_panel_does_not_know_and_what_is_no_interface_of_a_vm_is_shown(
    host: Host, machine: VirtualMachine
) -> None:
    report(host, ("tap0", "vm-0000000000"), ("tap1", ""), ("eth0", machine.public_id))

    assert stands(machine) == [None]
    assert conflicts(host) == [
        ("tap0", "The panel has no VM of this ID."),
        ("tap1", "The panel has no VM of this ID."),
        ("eth0", "The interface is not one of those for VMs here, tap*."),
    ]


def test_a_vm_with_several_interfaces_has_its_rules_at_one_and_keeps_that(host: Host, machine: VirtualMachine) -> None:
    name = machine.public_id
    report(host, ("tap1", name), ("tap2", name))
    assert stands(machine) == [("kvm-1", "tap1")]

    report(host, ("tap0", name), ("tap1", name))

    assert stands(machine) == [("kvm-1", "tap1")]
    assert conflicts(host) == [("tap0", "The VM has its rules at tap1: this other interface passes nothing.")]


# ── Interfaces change hands ───────────────────────────────────────────────────


def machines_of(project: Project, number: int) -> Sequence[VirtualMachine]:
    return [make_machine(project, f"vm-{one}") for one in range(number)]


def test_vms_exchange_their_interfaces(host: Host, project: Project) -> None:
    a, b, c = machines_of(project, 3)
    report(host, *((f"tap{at}", vm.public_id) for at, vm in enumerate((a, b, c))))

    report(host, *((f"tap{at}", vm.public_id) for at, vm in enumerate((b, c, a))))
    connection.check_constraints()

    assert stands(b, c, a) == [("kvm-1", f"tap{at}") for at in range(3)]
    assert conflicts(host) == []


def test_whose_interface_another_vm_has_now_and_who_is_not_found_any_more_leaves_the_host(
    host: Host, project: Project
) -> None:
    old, new = machines_of(project, 2)
    report(host, ("tap0", old.public_id))

    report(host, ("tap0", new.public_id))
    connection.check_constraints()

    assert stands(old, new) == [None, ("kvm-1", "tap0")]
    assert told(project)[-2:] == [
        "Took vm-0 off the host kvm-1: nothing is enforced for it now.",
        "Placed vm-1 on the host kvm-1, interface tap0.",
    ]


def test_nobody_takes_the_interface_of_a_pinned_vm_and_those_behind_wait_too(host: Host, project: Project) -> None:
    pinned, first, second = machines_of(project, 3)
    report(host, ("tap1", first.public_id), ("tap2", second.public_id))
    place(pinned, host, "tap0", pinned=True)

    report(host, ("tap0", first.public_id), ("tap1", second.public_id))
    connection.check_constraints()

    assert stands(pinned, first, second) == [("kvm-1", "tap0"), ("kvm-1", "tap1"), ("kvm-1", "tap2")]
    assert [tap for tap, _ in conflicts(host)] == ["tap0", "tap1"]


def test_an_inventory_costs_as_many_queries_for_thirty_vms_as_for_two(
    host: Host, other: Host, project: Project
) -> None:
    def costs(number: int) -> list[int]:
        vms = machines_of(project, number)
        said = [(f"tap{number}-{at}", vm.public_id) for at, vm in enumerate(vms)]
        found = []
        for where, taps in ((host, said), (host, said), (other, said), (host, []), (other, said)):
            with CaptureQueriesContext(connection) as queries:
                report(where, *taps)
            found.append(len(queries))
        for vm in vms:
            operations.delete_machine(machine=vm, by=By())
        return found

    costs(2)
    few = costs(2)

    assert costs(30) == few
    assert max(few) < 20
