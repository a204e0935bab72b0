"""Where a VM stands, said by operators: asked about first, on record, and never over what somebody else has said since."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from securitygroups.models import Event, Host, Placement, Project, VirtualMachine
from securitygroups.operations import By, Place, delete_machine, place_machine
from tests.admin.pages import answer, fresh, said, url
from tests.admin.test_least_privilege import staff_with
from tests.factories import make_host, make_machine, place

PAGE = "/admin/securitygroups/placement/place/"


def at(machine: VirtualMachine) -> str:
    return f"{PAGE}?vm={machine.public_id}"


def filled(client: Client, machine: VirtualMachine, **other: Any) -> dict[str, Any]:
    """What a browser would send of the form, with these values in the place of its own; None for a box that is not ticked."""
    form = client.get(at(machine)).context["form"]
    values = {name: form[name].value() for name in form.fields} | other
    return {
        name: "on" if value is True else value
        for name, value in values.items()
        if value is not None and value is not False
    }


def agree(client: Client, machine: VirtualMachine, data: dict[str, Any]) -> Any:
    asked = client.post(at(machine), data)
    assert asked.status_code in (200, 409), asked.context["form"].errors
    return client.post(at(machine), answer(asked), follow=True)


@pytest.fixture
def host() -> Host:
    return make_host("kvm-1")


def test_a_vm_is_placed_once_that_was_asked_about_and_its_project_reads_why(
    as_admin: Client, machine: VirtualMachine, host: Host
) -> None:
    typed = {
        "host": "KVM-1",
        "tap": "tap3",
        "mac": "5254.0012.3456",
        "addresses": "10.0.0.9, 2001:DB8::9\n",
        "pinned": "on",
    }
    data = filled(as_admin, machine, **typed)

    asked = as_admin.post(at(machine), data)
    page = asked.content.decode()
    assert not Placement.objects.exists()
    for words in (
        "Host: none → kvm-1",
        "Interface: none → tap3",
        "MAC address: none → 52:54:00:12:34:56",
        "Pinned: no → yes",
    ):
        assert words in page
    assert "it has no agent yet, so nothing is enforced" in page
    assert as_admin.post(at(machine), answer(asked, reason="")).status_code == 422

    done = as_admin.post(at(machine), answer(asked), follow=True)
    row = Placement.objects.get()
    assert (row.host, row.tap, row.mac, row.held, row.pinned) == (host, "tap3", "52:54:00:12:34:56", True, True)
    assert row.addresses == ["10.0.0.9", "2001:db8::9"]
    assert said(done) == ["Placed web-1 on the host kvm-1, interface tap3."]
    event = Event.objects.get(verb=Event.Verb.MACHINE_PLACED)
    assert (event.project, event.by_staff, event.detail["reason"]) == (machine.project, True, "Ticket 7")


def test_it_is_moved_let_loose_and_taken_off(as_admin: Client, machine: VirtualMachine, host: Host) -> None:
    other = make_host("kvm-2")
    place(machine, host, "tap0", mac="525400123456")

    asked = as_admin.post(at(machine), filled(as_admin, machine, host=other.public_id, held=None)).content.decode()
    assert "kvm-1 takes its rules away, and passes nothing of it from then on." in asked
    assert "It may send in the name of others" in asked
    agree(as_admin, machine, filled(as_admin, machine, host=other.public_id, held=None))
    row = Placement.objects.get()
    assert (row.host, row.tap, row.held, row.number) == (other, "tap0", False, 2)

    done = agree(as_admin, machine, filled(as_admin, machine, host="", tap=""))
    row.refresh_from_db()
    assert (row.host, row.tap, row.mac) == (None, "", "52:54:00:12:34:56")
    assert said(done) == ["Took web-1 off the host kvm-2: nothing is enforced for it now."]


def test_an_interface_may_be_known_without_a_host(as_admin: Client, machine: VirtualMachine) -> None:
    agree(as_admin, machine, filled(as_admin, machine, tap="vnet3"))

    assert [(row.host, row.tap) for row in Placement.objects.all()] == [(None, "vnet3")]
    page = as_admin.get(url(VirtualMachine, "change", machine.pk)).content.decode()
    assert "On no host: nothing is enforced. Interface vnet3." in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("host", "kvm-9", "There is no host of this name or ID"),
        ("host", "kvm-gone", "kvm-gone was revoked"),
        ("tap", "", "Type the VM's interface on the host."),
        ("tap", "eth0", "not one of the host's interfaces for VMs"),
        ("tap", "tap9", "other has this interface on kvm-1"),
        ("tap", "ta p", "Type the name of one network interface"),
        ("mac", "52:54", "Type the address of one network card"),
        ("addresses", "10.0.0.0/8", "10.0.0.0"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_before_anything_is_asked(
    as_admin: Client, machine: VirtualMachine, host: Host, field: str, value: str, words: str
) -> None:
    place(make_machine(machine.project, "other"), host, "tap9")
    Host.objects.filter(pk=make_host("kvm-gone").pk).update(revoked_at="2026-01-01T00:00Z")

    response = as_admin.post(
        at(machine), filled(as_admin, machine, **({"host": "kvm-1", "tap": "tap1"} | {field: value}))
    )

    assert response.status_code == 422
    errors = " ".join(response.context["form"].errors.get(field, []))
    assert words in errors
    assert not Placement.objects.filter(machine=machine).exists()


def test_whoever_was_quicker_is_shown_and_not_written_over(
    as_admin: Client, machine: VirtualMachine, host: Host
) -> None:
    late = filled(as_admin, machine, host="kvm-1", tap="tap1")
    place_machine(machine=machine, place=Place(host, "tap7"), base=0, by=By())

    asked = as_admin.post(at(machine), late)
    assert asked.status_code == 409
    assert "has said where it stands in the meantime. Now: host kvm-1; interface tap7" in asked.content.decode()
    # Once more, behind the question.
    place_machine(machine=machine, place=Place(host, "tap8"), base=1, by=By())
    again = as_admin.post(at(machine), answer(asked))
    assert again.status_code == 409
    assert Placement.objects.get().tap == "tap8"

    as_admin.post(at(machine), answer(again))
    assert Placement.objects.get().tap == "tap1"


def test_back_to_the_form_keeps_what_was_typed_and_the_same_asks_nothing(
    as_admin: Client, machine: VirtualMachine, host: Host
) -> None:
    data = filled(as_admin, machine, host="kvm-1", tap="tap1", held=None)

    back = as_admin.post(at(machine), data | {"form": "1"}).context["form"]
    assert (back["tap"].value(), back["held"].value(), back["base"].value()) == ("tap1", False, "0")

    agree(as_admin, machine, data)
    same = as_admin.post(at(machine), filled(as_admin, machine), follow=True)
    assert said(same) == ["web-1 stands so already: nothing was changed."]


def test_the_way_leads_from_the_vm_the_host_and_the_placement(
    as_admin: Client, machine: VirtualMachine, host: Host
) -> None:
    place(machine, host, "tap0")

    for page in (
        url(VirtualMachine, "change", machine.pk),
        url(Host, "change", host.pk),
        url(Placement, "change", machine.placement.pk),
    ):
        assert f'href="{at(machine)}"' in as_admin.get(page).content.decode(), page
    found = as_admin.get(f"{PAGE}?host={host.public_id}&vm={machine.public_id}&tap=tap4").context["form"]
    assert (found["host"].value(), found["tap"].value()) == ("kvm-1", "tap4")


def test_a_vm_is_found_by_its_id_or_by_an_external_one_that_no_other_has(
    as_admin: Client, machine: VirtualMachine, bakery: Project
) -> None:
    VirtualMachine.objects.filter(pk=machine.pk).update(external_id="vm/7")

    assert as_admin.get(PAGE, {"vm": "vm/7"}).context["machine"] == machine
    make_machine(bakery, "theirs", external_id="vm/7")
    assert "VMs of several projects have this external ID" in as_admin.get(PAGE, {"vm": "vm/7"}).content.decode()
    for text in ("", "zz", "a\u202eb", "9" * 300):
        assert as_admin.get(PAGE, {"vm": text}).status_code == 422
    delete_machine(machine=machine, by=By())
    assert as_admin.get(at(machine)).status_code == 422


def test_the_page_is_a_look_that_the_project_reads_of(as_admin: Client, machine: VirtualMachine) -> None:
    as_admin.get(at(machine))

    look = Event.objects.filter(verb=Event.Verb.SUPPORT_LOOK).latest("pk")
    assert look.project == machine.project
    assert look.summary == f"Staff looked at where web-1 stands ({machine.public_id}) in the administration."


@pytest.mark.parametrize("codename", ["view_placement", "change_virtualmachine", "change_host"])
def test_nobody_else_of_the_staff_places_a_vm(codename: str, machine: VirtualMachine, host: Host) -> None:
    client = fresh(staff_with(codename))

    assert client.get(at(machine)).status_code == 403
    assert client.post(at(machine), {"host": "kvm-1", "tap": "tap1", "base": 0}).status_code == 403
    assert not Placement.objects.exists()


@pytest.mark.parametrize("may", [True, False])
def test_who_may_not_place_vms_is_led_to_no_page_that_refuses(
    may: bool, machine: VirtualMachine, project: Project, host: Host
) -> None:
    place(make_machine(project, "web-2"), host, "tap1")
    told = {"tap": "tap2", "vm": machine.public_id, "why": "it stands on another host."}
    Host.objects.update(conflicts=[told])
    rights = ["view_virtualmachine", "view_placement", "view_host", *(["change_placement"] if may else [])]
    client = fresh(staff_with(*rights))

    pages = [url(type(row), "change", row.pk) for row in (machine, host, Placement.objects.get())]
    links = [PAGE in client.get(page).content.decode() for page in pages]

    assert links == [may] * 3


def test_whoever_may_places_it(machine: VirtualMachine, host: Host) -> None:
    client = fresh(staff_with("change_placement"))

    agree(client, machine, filled(client, machine, host="kvm-1", tap="tap1"))

    assert Placement.objects.get().host == host
    assert reverse("admin:securitygroups_placement_place") == PAGE
