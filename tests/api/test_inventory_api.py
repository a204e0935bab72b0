"""VMs that a platform's programs bring in: one by its external ID, a project's whole list, those of several projects."""

from typing import Any

import pytest

from securitygroups import operations
from securitygroups.models import AccountEvent, Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import MakeProgram, Program
from tests.factories import make_group, make_machine, make_project

ONE = "/projects/shop/machines/by-external-id/"
LIST = "/projects/shop/inventory"


@pytest.fixture
def mine(alice: User, project: Project, program: MakeProgram) -> Program:
    return program(alice, "inventory", "read")


@pytest.fixture
def office(project: Project) -> SecurityGroup:
    return make_group(project, "office", ["accept in tcp 22 from 203.0.113.0/24"])


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {"external_id": f"id-{number}", "name": f"vm-{number}"} | more


def entries(number: int) -> list[dict[str, Any]]:
    return [entry(one) for one in range(number)]


def pointers(response: Any) -> dict[str, str]:
    return {one["pointer"]: one["detail"] for one in response.json()["errors"]}


def test_a_vm_is_put_made_changed_and_left_as_it_is(mine: Program, office: SecurityGroup, project: Project) -> None:
    made = mine.put(f"{ONE}id-7", {"name": "vm-7", "groups": ["office"], "reason": "Ticket"})
    same = mine.put(f"{ONE}id-7", {"name": "vm-7", "groups": [office.public_id]})
    other = mine.put(f"{ONE}id-7", {"ipv4": "10.0.0.7", "groups": []})

    assert (made.status_code, made.json()["outcome"]) == (201, "created")
    assert (same.status_code, same.json()["outcome"], same.json()["changed"]) == (200, "unchanged", [])
    assert (other.json()["outcome"], other.json()["changed"]) == ("changed", ["ipv4", "groups"])
    assert other.json()["machine"]["groups"] == []
    event = Event.objects.get(verb="machine.created")
    assert (event.via, event.detail["reason"]) == ("API token “ci”", "Ticket")


def test_an_external_id_may_have_any_shape(mine: Program, project: Project) -> None:
    for sent, kept in (("a/b", "a/b"), ("groups", "groups"), ("x%20y", "x y"), ("urn:vm:1", "urn:vm:1")):
        assert mine.put(f"{ONE}{sent}", {"name": f"vm {kept}"}).status_code == 201, sent
        assert project.machines.filter(external_id=kept).exists()
    for bad in ("%20x", "%00", "x" * 201):
        assert mine.put(f"{ONE}{bad}", {"name": "bad"}).status_code == 422, bad


def test_a_vm_that_is_put_is_previewed_and_open_with_a_yes_alone(mine: Program, project: Project) -> None:
    make_group(project, "open", ["accept in all"])
    sent = {"name": "vm-7", "groups": ["open"]}
    preview = mine.put(f"{ONE}id-7?dry_run=1", sent).json()
    asked = mine.put(f"{ONE}id-7", sent)

    assert (asked.status_code, asked.json()["preview"]) == (409, preview)
    assert not project.machines.exists()
    assert mine.put(f"{ONE}id-7", sent | {"confirm": preview["token"]}).status_code == 201


def test_what_is_wrong_with_a_vm_that_is_put_is_told_at_its_field(mine: Program, project: Project) -> None:
    make_machine(project, "taken", ipv4="10.0.0.1")

    assert set(pointers(mine.put(f"{ONE}id-7", {}))) == {"/name"}
    assert set(pointers(mine.put(f"{ONE}id-7", {"name": "x", "groups": ["none"]}))) == {"/groups"}
    assert set(pointers(mine.put(f"{ONE}id-7", {"name": "x", "ipv4": "10.0.0.1"}))) == {"/ipv4"}
    assert set(pointers(mine.put(f"{ONE}id-7", {"name": "x", "external_id": "y"}))) == {"/external_id"}


def test_a_list_is_brought_in_and_reported(mine: Program, office: SecurityGroup, project: Project) -> None:
    by_hand = make_machine(project, "by hand")
    mine.put(LIST, {"machines": entries(4)})

    changed = [entry(0), entry(1, name="renamed", groups=["office"]), entry(2), entry(9)]
    tried = mine.put(f"{LIST}?dry_run=1", {"machines": changed}).json()
    before = set(project.machines.filter(deleted_at=None).values_list("name", flat=True))
    done = mine.put(LIST, {"machines": changed, "reason": "Nightly"}).json()

    assert before == {"vm-0", "vm-1", "vm-2", "vm-3", "by hand"}
    assert {k: v for k, v in done.items() if k != "preview"} == {k: v for k, v in tried.items() if k != "preview"}
    assert [one["name"] for one in done["created"]] == ["vm-9"]
    assert done["changed"][0]["fields"] == {
        "name": {"was": "vm-1", "now": "renamed"},
        "groups": {"was": [], "now": ["office"]},
    }
    assert ([one["name"] for one in done["gone"]], done["unchanged"], done["left_alone"]) == (["vm-3"], 2, 1)
    assert "22" in done["preview"]["effects"][0]["newly_allowed"][0]
    by_hand.refresh_from_db()
    assert by_hand.deleted_at is None
    nightly = Event.objects.filter(detail__reason="Nightly")
    assert {event.via for event in nightly} == {"API token “ci”"}
    assert set(nightly.values_list("verb", flat=True)) == {
        "machine.created",
        "machine.changed",
        "machine.groups",
        "machine.deleted",
    }


def test_the_same_list_again_writes_nothing(mine: Program, project: Project) -> None:
    mine.put(LIST, {"machines": entries(3)})
    before = Event.objects.count()

    again = mine.put(LIST, {"machines": entries(3)}).json()

    assert (again["unchanged"], again["created"], again["preview"]) == (3, [], None)
    assert Event.objects.count() == before


def test_each_fault_of_a_list_is_told_at_its_entry_and_nothing_is_written(mine: Program, project: Project) -> None:
    bad = [
        entry(0),
        entry(1, ipv4="300.1.1.1"),
        {"external_id": "id-2"},
        entry(3, name="vm-0"),
        entry(4, groups=["none"]),
        entry(5, colour="red"),
        "no object",
    ]

    tried = mine.put(f"{LIST}?dry_run=1", {"machines": bad})
    refused = mine.put(LIST, {"machines": bad})

    places = {
        "/machines/0/name",
        "/machines/1/ipv4",
        "/machines/2/name",
        "/machines/3/name",
        "/machines/4/groups",
        "/machines/5/colour",
        "/machines/6",
    }
    assert (tried.status_code, {one["pointer"] for one in tried.json()["refused"]}) == (200, places)
    assert (refused.status_code, set(pointers(refused))) == (422, places)
    assert not project.machines.exists()


def test_a_broken_list_deletes_no_vms_until_it_says_how_many(mine: Program, project: Project) -> None:
    mine.put(LIST, {"machines": entries(8)})

    refused = mine.put(LIST, {"machines": []})

    assert (refused.status_code, set(pointers(refused))) == (422, {"/allow_gone"})
    assert '"allow_gone": 8' in pointers(refused)["/allow_gone"]
    assert project.machines.filter(deleted_at=None).count() == 8
    done = mine.put(LIST, {"machines": [], "allow_gone": 8})
    assert (done.status_code, len(done.json()["gone"])) == (200, 8)


def test_a_list_that_opens_vms_to_all_is_brought_in_with_a_yes_alone(mine: Program, project: Project) -> None:
    make_group(project, "open", ["accept in all"])
    sent: dict[str, Any] = {"machines": [entry(0, groups=["open"])]}
    tried = mine.put(f"{LIST}?dry_run=1", sent).json()

    asked = mine.put(LIST, sent)

    assert (asked.status_code, asked.json()["preview"]["alarms"]) == (409, tried["preview"]["alarms"])
    assert tried["token"] == asked.json()["preview"]["token"]
    assert not project.machines.exists()
    assert mine.put(LIST, sent | {"confirm": tried["token"]}).status_code == 200


def test_a_yes_is_good_for_nothing_else_than_what_was_looked_at(mine: Program, project: Project, alice: User) -> None:
    opening = make_group(project, "open", ["accept in all"])
    token = mine.put(f"{LIST}?dry_run=1", {"machines": [entry(0, groups=["open"])]}).json()["token"]
    operations.commit_rules(group=opening, rules=(), base=1, by=By(alice))

    refused = mine.put(LIST, {"machines": [entry(0, groups=["open"])], "confirm": token})

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:karenpanel:problem:conflict")
    assert refused.json()["report"]["created"][0]["name"] == "vm-0"
    assert not project.machines.exists()


def test_a_token_that_may_skip_alarms_brings_it_in_at_once(alice: User, project: Project, program: MakeProgram) -> None:
    make_group(project, "open", ["accept in all"])

    done = program(alice, "inventory", "unasked").put(LIST, {"machines": [entry(0, groups=["open"])]})

    assert done.status_code == 200


def test_what_is_no_list_is_refused_at_its_place(mine: Program, project: Project, settings: Any) -> None:
    settings.MAX_MACHINES_PER_PROJECT = 3
    for sent, pointer in (
        ({}, ""),
        ({"machines": {}}, "/machines"),
        ({"machines": entries(4)}, "/machines"),
        ({"machines": [], "allow_gone": "5"}, "/allow_gone"),
        ({"machines": [], "allow_gone": True}, "/allow_gone"),
        ({"machines": [], "allow_gone": -1}, "/allow_gone"),
        ({"machines": [], "reason": 5}, "/reason"),
        ({"machines": [], "vms": []}, ""),
    ):
        refused = mine.put(LIST, sent)
        assert (refused.status_code, set(pointers(refused))) == (422, {pointer}), sent


def test_lists_of_several_projects_are_brought_in_together(mine: Program, alice: User, project: Project) -> None:
    mill = make_project(alice, "Mill")

    done = mine.put("/inventory", {"projects": {"shop": [entry(1)], "mill": [entry(1), entry(2)]}})

    assert done.status_code == 200
    assert {slug: len(one["created"]) for slug, one in done.json()["projects"].items()} == {"shop": 1, "mill": 2}
    assert mill.machines.count() == 2


def test_of_several_projects_all_are_brought_in_or_none(mine: Program, alice: User, project: Project) -> None:
    mill = make_project(alice, "Mill")
    lists = {"shop": [entry(1)], "mill": [entry(1), entry(2, ipv6="x")]}

    refused = mine.put("/inventory", {"projects": lists})
    tried = mine.put("/inventory?dry_run=1", {"projects": lists}).json()

    assert (refused.status_code, set(pointers(refused))) == (422, {"/projects/mill/1/ipv6"})
    assert [one["pointer"] for one in tried["projects"]["mill"]["refused"]] == ["/projects/mill/1/ipv6"]
    assert not VirtualMachine.objects.filter(project__in=[project, mill]).exists()


def test_of_several_projects_each_says_how_many_may_go(mine: Program, alice: User, project: Project) -> None:
    make_project(alice, "Mill")
    mine.put("/inventory", {"projects": {"shop": entries(8), "mill": entries(8)}})

    refused = mine.put("/inventory", {"projects": {"shop": [], "mill": []}, "allow_gone": {"shop": 8}})
    done = mine.put("/inventory", {"projects": {"shop": [], "mill": []}, "allow_gone": {"shop": 8, "mill": 8}})

    assert (refused.status_code, set(pointers(refused))) == (422, {"/allow_gone/mill"})
    assert done.status_code == 200


def test_alarms_of_one_of_several_projects_need_a_yes_to_all(mine: Program, alice: User, project: Project) -> None:
    make_project(alice, "Mill")
    make_group(project, "open", ["accept in all"])
    sent: dict[str, Any] = {"projects": {"shop": [entry(0, groups=["open"])], "mill": [entry(0)]}}

    asked = mine.put("/inventory", sent)

    token = asked.json()["preview"]["token"]
    assert asked.status_code == 409
    assert mine.put("/inventory?dry_run=1", sent).json()["token"] == token
    assert mine.put("/inventory", sent | {"confirm": token}).status_code == 200


def test_lists_for_projects_that_the_token_may_not_change_are_refused(
    mine: Program, bob: User, charlie: User, staff: User, bakery: Project, program: MakeProgram, project: Project
) -> None:
    def put(of: Program, slug: str) -> Any:
        return of.put("/inventory", {"projects": {slug: [entry(1)]}})

    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")
    stranger, nobody = put(mine, "bakery"), put(mine, "nowhere")

    assert stranger.status_code == nobody.status_code == 404
    assert set(pointers(stranger)) == {"/projects/bakery"}
    assert put(program(bob, "inventory"), "shop").status_code == 403
    assert put(program(staff, "inventory", strong=True), "shop").status_code == 403
    assert put(program(charlie, project=bakery), "shop").status_code == 404
    assert not VirtualMachine.objects.exists()
    refused = AccountEvent.objects.filter(verb="access.refused")
    assert sorted(refused.values_list("user__username", "project__slug"), key=str) == sorted(
        [("alice", "bakery"), ("bob", "shop"), ("staff", "shop"), ("charlie", "shop")], key=str
    )
    assert mine.put("/inventory", {"projects": {"a\0": []}}).status_code == 422


def test_nobody_but_members_who_change_things_brings_vms_in(
    bob: User, erin: User, charlie: User, staff: User, alice: User, project: Project, program: MakeProgram
) -> None:
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")
    expected = [
        (program(bob), 403),
        (program(charlie), 404),
        (program(staff, strong=True), 403),
        (program(alice, "read", "write"), 403),
        (program(erin, "inventory"), 200),
        (program(alice, "inventory", project=project), 200),
    ]

    for of, status in expected:
        assert of.put(LIST, {"machines": [entry(1)]}).status_code == status
        put = of.put(f"{ONE}id-1", {"name": "vm-1"})
        assert put.status_code == status
