"""Tags of VMs: what may stand in one, and that they are on record."""

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from securitygroups import operations
from securitygroups.answers.machine_filter import tags_of
from securitygroups.models import Event, Project, User, VirtualMachine, to_tags
from securitygroups.operations import By
from tests.factories import make_machine
from tests.web.pages import Page


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", []),
        ("web", ["web"]),
        (" Web , env = PROD,web,,", ["env=prod", "web"]),
        ("ｗｅｂ", ["web"]),
        ("büro, 東京", ["büro", "東京"]),
        ("team:core,app/v2", ["app/v2", "team:core"]),
    ],
)
def test_a_list_with_commas_is_tags_each_once(text: str, tags: list[str]) -> None:
    assert to_tags(text) == tags


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        (["my web"], "type my-web"),
        (["=prod"], "type prod"),
        (["env="], "type env"),
        (["a=b=c"], "type words such as web or env=prod"),
        (["<script>"], "type script"),
        (["!"], "type words such as web or env=prod"),
        (["x" * 61], "61 characters long: 60 is the most"),
        ([f"t{n}" for n in range(21)], "These are 21 tags: 20 is the most"),
    ],
)
def test_what_is_no_tag_is_refused_with_what_to_type(
    tags: list[str], words: str, machine: VirtualMachine, alice: User
) -> None:
    with pytest.raises(ValidationError, match=words):
        operations.update_machine(machine=machine, fields={"tags": tags}, by=By(alice))
    machine.refresh_from_db()
    assert machine.tags == []


def test_changed_tags_are_on_record_with_what_they_are_now(machine: VirtualMachine, alice: User) -> None:
    operations.update_machine(machine=machine, fields={"tags": ["env=prod", "web"]}, by=By(alice))
    operations.update_machine(machine=machine, fields={"tags": ["env=prod", "web"]}, by=By(alice))
    operations.update_machine(machine=machine, fields={"tags": []}, by=By(alice))
    said = Event.objects.filter(machine=machine, verb=Event.Verb.MACHINE_CHANGED).order_by("pk")
    assert [event.summary for event in said] == [
        "Changed Tags of web-1. Its tags are now: env=prod, web.",
        "Changed Tags of web-1. Its tags are now: none.",
    ]


def test_a_change_says_when_it_was(machine: VirtualMachine, alice: User) -> None:
    assert machine.changed_at is None
    operations.update_machine(machine=machine, fields={"tags": ["web"]}, by=By(alice))
    machine.refresh_from_db()
    first = machine.changed_at
    assert first is not None
    operations.attach_groups(machine=machine, groups=[], base=1, by=By(alice))
    machine.refresh_from_db()
    assert machine.changed_at > first


def test_tags_are_typed_where_a_vm_is_made_and_changed(as_erin: Client, project: Project) -> None:
    Page(as_erin.get("/p/shop/machines/new/")).form_with("ipv4").send(as_erin, name="db", tags="DB, env=prod")
    vm = project.machines.get()
    assert vm.tags == ["db", "env=prod"]

    settings = Page(as_erin.get(f"{vm.get_absolute_url()}settings/"))
    assert settings.form_with("ipv4").fields["tags"] == ["db, env=prod"]
    refused = Page(settings.form_with("ipv4").send(as_erin, tags="my db"))
    assert "type my-db" in refused.text
    settings.form_with("ipv4").send(as_erin, tags="")
    vm.refresh_from_db()
    assert vm.tags == []


def test_the_tags_of_a_project_are_those_of_its_vms_alone(project: Project, bakery: Project, alice: User) -> None:
    for where, name, tags in ((project, "a", ["web", "db"]), (project, "b", ["web"]), (bakery, "c", ["oven"])):
        operations.update_machine(machine=make_machine(where, name), fields={"tags": tags}, by=By(alice))
    assert tags_of(project) == ["db", "web"]
    operations.delete_machine(machine=project.machines.get(name="a"), by=By(alice))
    assert tags_of(project) == ["web"]
