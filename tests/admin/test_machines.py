"""VMs and their groups in order."""

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.admin.pages import agree, answer, changes, said, sent, url
from tests.factories import make_group


def test_a_vm_is_created_edited_and_deleted_through_operations(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup, admin: User
) -> None:
    project = machine.project
    outbound = project.groups.get(name="outbound")
    order = f"{outbound.public_id}\n{group.public_id}"
    data = {"project": project.pk, "name": "new", "ipv4": "10.0.0.9", "ordered_groups": order}

    assert agree(as_admin, url(VirtualMachine, "add"), data).status_code == 302
    vm = VirtualMachine.objects.get(name="new")
    assert [row.group for row in vm.attachments.order_by("position")] == [outbound, group]
    address = url(VirtualMachine, "change", vm.pk)
    data = sent(as_admin, address) | {"ordered_groups": group.public_id, "name": "newer"}
    assert agree(as_admin, address, data).status_code == 302
    assert [row.group for row in vm.attachments.all()] == [group]
    asked = as_admin.get(url(VirtualMachine, "delete", vm.pk))
    assert as_admin.post(url(VirtualMachine, "delete", vm.pk), answer(asked)).status_code == 302
    vm.refresh_from_db()
    assert vm.deleted_at
    assert {(e.actor, e.by_staff) for e in vm.events.all()} == {(admin, True)}
    assert [e.verb for e in vm.events.order_by("pk")] == [
        "machine.created", "machine.changed", "machine.groups", "machine.deleted",
    ]  # fmt: skip


def test_a_vms_groups_changed_by_somebody_else_in_the_meantime_are_not_overwritten(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    address = url(VirtualMachine, "change", machine.pk)
    data = sent(as_admin, address)
    operations.attach_groups(machine=machine, groups=[group], base=1, by=By())

    response = as_admin.post(address, data | {"name": "mine"})

    assert response.status_code == 409
    assert response.context["plan"].notes == (
        "karenpanel has changed the groups in the meantime. Theirs: web.",
        "Yours: web, then outbound.",
    )
    assert [row.group for row in machine.attachments.all()] == [group]
    machine.refresh_from_db()
    assert machine.name == "web-1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ordered_groups", "sg-0000000000"), ("ordered_groups", "../etc"), ("ordered_groups", "{same}\n{same}"),
        ("ordered_groups", "{foreign}"), ("ordered_groups", "\x00"), ("ipv4", "10.0.0"), ("ipv6", "10.0.0.1"),
        ("external_id", "x" * 201), ("name", ""), ("name", "x" * 101), ("name", "\x00"),
    ],
)  # fmt: skip
def test_a_vms_wrong_fields_are_refused_and_nothing_is_saved(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup, bakery: Project, field: str, value: str
) -> None:
    foreign = make_group(bakery, "foreign")
    address = url(VirtualMachine, "change", machine.pk)
    before = (machine.revisions.count(), changes().count())
    value = value.format(same=group.public_id, foreign=foreign.public_id)

    response = as_admin.post(address, sent(as_admin, address) | {field: value}, follow=True)

    # What no database can hold is a bad request, before any form sees it.
    assert response.status_code == (400 if "\x00" in value else 200)
    assert "\x00" in value or response.context["errors"] or said(response)
    assert (machine.revisions.count(), changes().count()) == before


def test_from_where_a_vm_was_moved_stands_in_the_admins_own_history_alone(
    as_admin: Client, machine: VirtualMachine, bakery: Project
) -> None:
    chosen = {"action": "move_to_project", "target": bakery.pk, "_selected_action": [machine.pk]}

    assert agree(as_admin, url(VirtualMachine), chosen).status_code == 302

    assert LogEntry.objects.get().change_message == "Moved from Shop to Bakery."
    assert "Moved from Shop to Bakery." in as_admin.get(url(VirtualMachine, "history", machine.pk)).content.decode()
    assert not Event.objects.filter(project__slug="bakery", summary__contains="Shop").exists()
    assert not Event.objects.filter(project__slug="shop", summary__contains="Bakery").exists()


def test_staff_give_a_vm_the_platforms_own_id_and_find_it_by_that(as_admin: Client, machine: VirtualMachine) -> None:
    address = url(VirtualMachine, "change", machine.pk)

    answered = as_admin.post(address, sent(as_admin, address) | {"external_id": " I-0abc "})

    assert answered.status_code == 302
    machine.refresh_from_db()
    assert machine.external_id == "I-0abc"
    found = as_admin.get(url(VirtualMachine, "changelist"), {"q": "I-0abc"})
    assert [row.pk for row in found.context["cl"].result_list] == [machine.pk]
    assert machine.events.order_by("-pk")[0].summary == "Changed External ID of web-1."
