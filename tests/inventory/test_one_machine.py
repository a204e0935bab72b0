"""A platform's program puts one VM by its external ID."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine
from tests.operations.state import attached, nothing_written

pytestmark = pytest.mark.django_db
OWN = {
    "name": "web-7",
    "description": "A web server",
    "ipv4": "10.0.7.7",
    "ipv6": "2001:DB8::7",
    "tags": ["web", "env=prod"],
}


def put(project: Project, fields: dict[str, Any], groups: list[str] | None = None, **more: Any) -> operations.Put:
    return operations.put_machine(
        **{"project": project, "external_id": "i-7", "fields": fields, "groups": groups, "by": By(), **more}
    )


def verbs(machine: VirtualMachine) -> list[str]:
    return list(machine.events.order_by("pk").values_list("verb", flat=True))


def test_a_vm_that_is_not_there_is_made_with_its_groups(project: Project, group: SecurityGroup, alice: User) -> None:
    outbound = make_group(project, "outbound")

    made = put(project, OWN, [outbound.public_id, "WEB"], by=By(alice, reason="Ordered"))

    vm = VirtualMachine.objects.get(external_id="i-7")
    assert (made.machine, made.outcome) == (vm, "created")
    assert (vm.name, vm.ipv4, vm.ipv6, vm.tags) == ("web-7", "10.0.7.7", "2001:db8::7", ["env=prod", "web"])
    assert attached(vm) == [(1, "outbound"), (2, "web")]
    event = vm.events.get()
    assert (event.verb, event.actor, event.detail) == ("machine.created", alice, {"reason": "Ordered"})


def test_the_same_once_more_writes_nothing(project: Project, group: SecurityGroup) -> None:
    put(project, OWN, ["web"])

    with nothing_written():
        again = put(project, {**OWN, "name": " web-7 "}, ["web"])

    assert (again.outcome, again.changed) == ("unchanged", ())


def test_an_interface_that_programs_of_before_send_is_taken_and_ignored(project: Project, group: SecurityGroup) -> None:
    put(project, OWN | {"tap": "tap7"}, ["web"])

    with nothing_written():
        assert put(project, OWN | {"tap": "tap8"}, ["web"]).outcome == "unchanged"


def test_what_is_given_is_changed_and_all_else_stays(project: Project, group: SecurityGroup) -> None:
    vm = put(project, OWN, ["web"]).machine

    renamed = put(project, {"name": "web-8", "ipv4": None})
    regrouped = put(project, {}, [])

    vm.refresh_from_db()
    assert (renamed.outcome, renamed.changed) == ("changed", ("name", "ipv4"))
    assert (regrouped.outcome, regrouped.changed) == ("changed", ("groups",))
    assert (vm.name, vm.description, vm.ipv4, vm.ipv6) == ("web-8", "A web server", None, "2001:db8::7")
    assert (attached(vm), vm.revision) == ([], 2)
    assert verbs(vm) == ["machine.created", "machine.changed", "machine.groups"]


def test_a_deleted_vm_stays_deleted_and_its_groups_with_it(project: Project, group: SecurityGroup) -> None:
    before = put(project, OWN, ["web"]).machine
    operations.delete_machine(machine=before, by=By())

    made = put(project, OWN)

    assert made.outcome == "created"
    assert made.machine != before
    assert attached(made.machine) == []
    with pytest.raises(ValidationError) as refusal:
        operations.restore_machine(machine=before, by=By())
    assert refusal.value.message_dict["external_id"] == ["Another VM of the project has this external ID."]


@pytest.mark.parametrize(
    ("fields", "groups", "where", "words"),
    [
        ({}, None, "name", "Send a name: there is no VM with this external ID yet."),
        ({"name": " "}, None, "name", "Type a name for the VM."),
        ({"name": "x" * 101}, None, "name", "at most 100 characters"),
        ({"name": 7}, None, "name", "Send a text."),
        ({"name": "a", "nam": "b"}, None, "nam", "A VM has no field of this name here"),
        ({"name": "a", "ipv4": "10.0.0.300"}, None, "ipv4", "10.0.0.300"),
        ({"name": "a", "ipv4": "fe80::1%eth0"}, None, "ipv4", "A zone id (%…)"),
        ({"name": "a", "ipv6": 7}, None, "ipv6", "or null"),
        ({"name": "a", "tags": "web"}, None, "tags", "as a list"),
        ({"name": "a", "tags": ["two words"]}, None, "tags", "two-words"),
        ({"name": "a", "tags": ["a"] * 21}, None, "tags", "20 is the most"),
        ({"name": "a"}, ["web", "no-such"], "groups", "The project has no group “no-such”"),
        ({"name": "a"}, ["web", "\x00\ud800"], "groups", "The project has no group"),
        ({"name": "a"}, ["web", "Web"], "groups", "web stands twice"),
        ({"name": "a"}, ["web"] * 17, "groups", "A VM can have 16 groups"),
        ({"name": "wеb-1"}, None, "name", "This looks like “web-1”"),
        ({"name": "WEB-1"}, None, "name", "already has a VM of this name"),
        ({"name": "a", "ipv4": "10.0.1.11"}, None, "ipv4", "already has this IPv4 address"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(
    machine: VirtualMachine, fields: dict[str, Any], groups: list[str] | None, where: str, words: str
) -> None:
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        put(machine.project, fields, groups)

    assert words in " ".join(refusal.value.message_dict[where])


@pytest.mark.parametrize("external_id", ["", " i-7", "i-7 ", "i  7", "i\u200b7", "i\n7", "x" * 201, None, 7])
def test_an_external_id_is_a_line_that_is_kept_as_it_is_sent(project: Project, external_id: Any) -> None:
    with nothing_written(), pytest.raises(ValidationError) as refusal:
        put(project, {"name": "a"}, external_id=external_id)

    assert list(refusal.value.message_dict) == ["external_id"]


def test_external_ids_differ_in_case_and_between_projects(project: Project, bakery: Project) -> None:
    made = [put(project, {"name": "a"}), put(project, {"name": "b"}, external_id="I-7"), put(bakery, {"name": "a"})]

    assert [one.outcome for one in made] == ["created"] * 3
    assert Event.objects.filter(verb="machine.created").count() == 3


def test_a_vm_made_by_hand_is_found_once_it_has_the_id(machine: VirtualMachine) -> None:
    operations.update_machine(machine=machine, fields={"external_id": "i-7"}, by=By())

    assert put(machine.project, {"name": "renamed"}).machine == machine


def test_a_quota_is_a_quota_for_programs_too(project: Project) -> None:
    project.max_machines = 1
    operations.update_project(project=project, by=By())
    make_machine(project)

    with nothing_written(), pytest.raises(ValidationError, match="has its 1 VM already"):
        put(project, OWN)
