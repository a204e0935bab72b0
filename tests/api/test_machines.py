"""VMs by API: who may do what, the fields and the groups of a VM, previews, conflicts, and what goes on record."""

from typing import Any

import pytest

from securitygroups import operations
from securitygroups.models import Event, Placement, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import ALL, MakeProgram, Program
from tests.factories import make_group, make_host, make_machine, make_project, place

WEB = {"name": "web-2", "description": "Second", "ipv4": "10.0.1.12", "tags": ["Web", "env = prod"]}
OPEN = ["accept in all"]

# Method, address below the VM's, what is sent; with If-Match: "1" each.
LOOKS = [("GET", "", None), ("GET", "/revisions", None), ("GET", "/revisions/1", None)]
WRITES = [
    ("PATCH", "", {"description": "x"}),
    ("PUT", "/groups", {"groups": []}),
    ("POST", "/revisions/1/restore", {}),
    ("POST", "/undo", {}),
    ("DELETE", "", None),
    ("POST", "/bring-back", {}),
]


@pytest.fixture
def mine(alice: User, project: Project, program: MakeProgram) -> Program:
    return program(alice)


@pytest.fixture
def office(project: Project) -> SecurityGroup:
    return make_group(project, "office", ["accept in tcp 22 from 203.0.113.0/24"])


@pytest.fixture
def vm(project: Project, office: SecurityGroup) -> VirtualMachine:
    return make_machine(project, "web-1", [office], ipv4="10.0.1.11")


def path(vm: VirtualMachine, more: str = "") -> str:
    return f"/projects/shop/machines/{vm.public_id}{more}"


def ids(*groups: SecurityGroup) -> list[str]:
    return [group.public_id for group in groups]


def errors(response: Any) -> dict[str, Any]:
    return {one["pointer"]: one for one in response.json()["errors"]}


def all_statuses(of: Program, vm: VirtualMachine) -> dict[str, int]:
    """What each operation answers, one after the other on one VM."""
    found = {
        "GET list": of.get("/projects/shop/machines").status_code,
        "POST list": of.post("/projects/shop/machines", WEB).status_code,
    }
    for method, more, sent in [*LOOKS, *WRITES]:
        found[f"{method} {more}"] = of.ask(method, path(vm, more), sent, If_Match='"1"').status_code
    return found


@pytest.mark.parametrize("who", ["alice", "erin"])
def test_owners_and_editors_do_all_of_it(who: str, vm: VirtualMachine, erin: User, program: MakeProgram) -> None:
    found = all_statuses(program(User.objects.get(username=who)), vm)

    assert found.pop("POST list") == 201
    assert found.pop("POST /undo") == 412  # the newest revision is 2 by then
    assert found.pop("POST /revisions/1/restore") == 412
    assert found.pop("DELETE ") == 204
    assert set(found.values()) == {200}
    by_them = Event.objects.filter(actor_name=who, via="API token “ci”").values_list("verb", flat=True)
    verbs = {"machine.created", "machine.changed", "machine.groups", "machine.deleted", "machine.restored"}
    assert set(by_them) >= verbs


def test_viewers_look_and_write_nothing(vm: VirtualMachine, bob: User, program: MakeProgram) -> None:
    before = Event.objects.count()

    found = all_statuses(program(bob), vm)

    assert {status for name, status in found.items() if name.startswith("GET")} == {200}
    assert {status for name, status in found.items() if not name.startswith("GET")} == {403}
    assert Event.objects.count() == before


def test_strangers_find_nothing(vm: VirtualMachine, charlie: User, program: MakeProgram) -> None:
    assert set(all_statuses(program(charlie), vm).values()) == {404}


def test_a_vm_of_another_project_is_not_found_through_ones_own(
    vm: VirtualMachine, charlie: User, program: MakeProgram
) -> None:
    theirs = program(charlie)

    for method, more, sent in [*LOOKS, *WRITES]:
        address = f"/projects/bakery/machines/{vm.public_id}{more}"
        assert theirs.ask(method, address, sent, If_Match='"1"').status_code == 404, (method, more)


def test_support_looks_on_record_and_writes_nothing(
    vm: VirtualMachine, staff: User, project: Project, program: MakeProgram
) -> None:
    desk = program(staff, strong=True)
    assert set(all_statuses(desk, vm).values()) == {403}
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")

    found = all_statuses(desk, vm)

    assert {status for name, status in found.items() if name.startswith("GET")} == {200}
    assert {status for name, status in found.items() if not name.startswith("GET")} == {403}
    looks = Event.objects.filter(verb="support.look", summary__contains="/api/v1/projects/shop/machines")
    assert looks.count() == len(LOOKS) + 1


def test_each_operation_needs_its_scope(vm: VirtualMachine, alice: User, program: MakeProgram) -> None:
    reads = all_statuses(program(alice, "read"), vm)
    writes = all_statuses(program(alice, *(scope for scope in ALL if scope not in ("read", "write"))), vm)

    assert {name for name, status in reads.items() if status == 403} == {
        name for name in reads if not name.startswith("GET")
    }
    assert set(writes.values()) == {403}


def test_a_vm_is_made_and_read_back(mine: Program, office: SecurityGroup, project: Project) -> None:
    more = make_group(project, "more", ["accept in tcp 443"])
    sent = WEB | {"ipv6": "2001:DB8::12", "external_id": "vm/7", "groups": ids(more, office)}

    made = mine.post("/projects/shop/machines", sent | {"reason": "Ticket 7"})
    read = mine.get(f"/projects/shop/machines/{made.json()['id']}")

    assert (made.status_code, made["ETag"], read["ETag"]) == (201, '"1"', '"1"')
    assert read.json() == made.json()
    told = read.json()
    assert (told["tags"], told["ipv6"], told["external_id"]) == (["env=prod", "web"], "2001:db8::12", "vm/7")
    assert [group["name"] for group in told["groups"]] == ["more", "office"]
    event = Event.objects.get(verb="machine.created")
    assert (event.actor_name, event.via, event.detail["reason"]) == ("alice", "API token “ci”", "Ticket 7")


def test_the_interface_is_read_and_what_is_sent_for_it_is_ignored(mine: Program, vm: VirtualMachine) -> None:
    def told() -> list[str]:
        one, listed = mine.get(f"/projects/shop/machines/{vm.public_id}"), mine.get("/projects/shop/machines")
        return [one.json()["tap"], listed.json()["items"][0]["tap"]]

    assert told() == ["", ""]
    place(vm, make_host(), "tap3")
    assert told() == ["tap3", "tap3"]

    changed = mine.ask("PATCH", f"/projects/shop/machines/{vm.public_id}", {"tap": "tap9", "description": "Kept"})
    assert (changed.status_code, changed.json()["description"]) == (200, "Kept")
    assert told() == ["tap3", "tap3"]
    assert mine.post("/projects/shop/machines", WEB | {"tap": "tap9"}).json()["tap"] == ""
    assert Placement.objects.count() == 1


def test_all_that_is_wrong_is_told_at_its_place(mine: Program, office: SecurityGroup, project: Project) -> None:
    sent = {
        "name": "x",
        "ipv4": "::ffff:10.0.0.1",
        "ipv6": "10.0.0.1",
        "tags": ["web", "a b"],
        "external_id": " 7",
        "groups": [office.public_id, "sg-0123456789", "office", office.public_id],
    }

    refused = mine.post("/projects/shop/machines", sent)

    found = errors(refused)
    assert refused.status_code == 422
    assert set(found) == {"/ipv4", "/ipv6", "/tags/1", "/external_id", "/groups/1", "/groups/2", "/groups/3"}
    assert found["/ipv4"]["suggestions"] == ["10.0.0.1"]
    assert found["/groups/2"]["suggestions"] == [office.public_id]
    assert found["/external_id"]["suggestions"] == ["7"]
    assert not project.machines.exists()


def test_what_the_schema_does_not_know_or_take_is_refused_by_name(mine: Program, project: Project) -> None:
    for sent, pointer in (
        (WEB | {"colour": "red"}, "/colour"),
        ({"description": "no name"}, "/name"),
        (WEB | {"ipv4": 7}, "/ipv4"),
        (WEB | {"groups": ["sg-1"] * 17}, "/groups"),
        (WEB | {"tags": ["t"] * 21}, "/tags"),
        (WEB | {"tags": "web"}, "/tags"),
        (WEB | {"name": "x" * 101}, "/name"),
        (WEB | {"name": "we\u202eb"}, "/name"),
        (WEB | {"groups": ["\0"]}, "/groups/0"),
        (WEB | {"groups": ["\ud800"]}, "/groups/0"),
    ):
        refused = mine.post("/projects/shop/machines", sent)
        assert (refused.status_code, pointer in errors(refused)) == (422, True), sent
    assert not project.machines.exists()


def test_what_another_vm_has_is_refused_at_its_field(mine: Program, vm: VirtualMachine) -> None:
    taken = {"name": "Web-1", "ipv4": "10.0.1.11"}

    made = mine.post("/projects/shop/machines", taken)
    changed = mine.ask("PATCH", path(make_machine(vm.project, "other")), taken)

    assert (made.status_code, changed.status_code) == (422, 422)
    assert set(errors(made)) == set(errors(changed)) == {"/name", "/ipv4"}


def test_a_dry_run_tells_what_a_vm_would_let_through_and_makes_none(
    mine: Program, office: SecurityGroup, project: Project
) -> None:
    before = Event.objects.count()

    tried = mine.post("/projects/shop/machines?dry_run=1", WEB | {"groups": ids(office)})

    assert tried.status_code == 200
    assert "22" in tried.json()["effects"][0]["newly_allowed"][0]
    assert not project.machines.exists()
    assert Event.objects.count() == before


def test_a_dry_run_of_a_vm_that_cannot_be_made_says_so(mine: Program, vm: VirtualMachine) -> None:
    refused = mine.post("/projects/shop/machines?dry_run=1", {"name": "web-1"})

    assert (refused.status_code, set(errors(refused))) == (422, {"/name"})


def test_a_vm_that_would_be_open_to_all_is_made_with_a_yes_alone(mine: Program, project: Project) -> None:
    sent: dict[str, Any] = WEB | {"groups": ids(make_group(project, "open", OPEN))}
    asked = mine.post("/projects/shop/machines", sent)
    preview = mine.post("/projects/shop/machines?dry_run=1", sent).json()

    assert (asked.status_code, asked.json()["preview"]) == (409, preview)
    assert preview["alarms"]
    assert not project.machines.exists()
    assert mine.post("/projects/shop/machines", sent | {"confirm": "0" * 32}).status_code == 409
    assert mine.post("/projects/shop/machines", sent | {"confirm": preview["token"]}).status_code == 201


def test_a_token_that_may_skip_alarms_makes_it_at_once(alice: User, project: Project, program: MakeProgram) -> None:
    sent = WEB | {"groups": ids(make_group(project, "open", OPEN))}

    assert program(alice, "write", "unasked").post("/projects/shop/machines", sent).status_code == 201


def test_a_vm_that_is_sent_again_under_its_key_is_made_once(mine: Program, project: Project) -> None:
    first, second = (mine.post("/projects/shop/machines", WEB, Idempotency_Key="k1") for _ in range(2))

    assert (first.status_code, second.status_code, second.json()) == (201, 201, first.json())
    assert second["ETag"] == first["ETag"]
    assert project.machines.count() == 1


def test_a_question_leaves_its_key_free(mine: Program, project: Project) -> None:
    sent: dict[str, Any] = WEB | {"groups": ids(make_group(project, "open", OPEN))}
    asked = mine.post("/projects/shop/machines", sent, Idempotency_Key="k2")

    yes = {"confirm": asked.json()["preview"]["token"]}

    assert mine.post("/projects/shop/machines", sent | yes, Idempotency_Key="k2").status_code == 201


def test_a_project_with_all_its_vms_takes_no_more(mine: Program, vm: VirtualMachine, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(max_machines=1)

    refused = mine.post("/projects/shop/machines", WEB)

    assert (refused.status_code, "1 VM already" in refused.json()["detail"]) == (422, True)


def test_details_are_changed_one_by_one_and_null_takes_an_address_away(mine: Program, vm: VirtualMachine) -> None:
    changed = mine.ask("PATCH", path(vm), {"ipv4": None, "tags": ["db"], "name": None, "reason": "Ticket 8"})

    told = changed.json()
    assert (changed.status_code, told["ipv4"], told["tags"], told["name"]) == (200, None, ["db"], "web-1")
    event = Event.objects.get(verb="machine.changed")
    assert (event.via, event.detail["reason"]) == ("API token “ci”", "Ticket 8")
    assert mine.ask("PATCH", path(vm), {"tags": ["db"]}).status_code == 200
    assert Event.objects.filter(verb="machine.changed").count() == 1


def test_groups_are_put_in_order(mine: Program, vm: VirtualMachine, office: SecurityGroup) -> None:
    block = make_group(vm.project, "block", ["drop in tcp 22 from 203.0.113.66"])

    done = mine.put(path(vm, "/groups"), {"groups": ids(block, office), "reason": "Ticket 9"}, If_Match='"1"')

    assert (done.status_code, done.json()["revision"], done["ETag"]) == (200, 2, '"2"')
    assert done.json()["summary"] == "Groups of web-1: block, then office."
    assert [group["name"] for group in mine.get(path(vm)).json()["groups"]] == ["block", "office"]
    newest = vm.revisions.get(number=2)
    assert (newest.via, newest.reason, newest.token is not None) == ("API token “ci”", "Ticket 9", True)
    assert Event.objects.get(verb="machine.groups").via == "API token “ci”"


def test_the_same_groups_again_write_nothing(mine: Program, vm: VirtualMachine, office: SecurityGroup) -> None:
    done = mine.put(path(vm, "/groups"), {"groups": ids(office)}, If_Match='"1"')

    assert done.json() == {"revision": 1, "changed": False, "summary": "No change."}


def test_groups_without_a_base_are_not_put(mine: Program, vm: VirtualMachine) -> None:
    assert mine.put(path(vm, "/groups"), {"groups": []}).status_code == 428


def test_who_was_overtaken_is_told_both_orders(mine: Program, vm: VirtualMachine, erin: User) -> None:
    more = make_group(vm.project, "more")
    operations.attach_groups(machine=vm, groups=[more], base=1, by=By(erin))

    refused = mine.put(path(vm, "/groups"), {"groups": []}, If_Match='"1"')

    told = refused.json()
    assert (refused.status_code, told["theirs"]["number"], told["theirs"]["actor"]) == (412, 2, "erin")
    assert told["theirs"]["groups"] == [{"id": more.public_id, "name": "more"}]
    assert told["mine"] == {"groups": []}
    assert mine.put(path(vm, "/groups"), {"groups": []}, If_Match='"x"').status_code == 412
    assert mine.put(path(vm, "/groups"), {"groups": []}, If_Match='"2"').status_code == 200


def test_a_dry_run_of_groups_writes_nothing(mine: Program, vm: VirtualMachine) -> None:
    tried = mine.put(path(vm, "/groups?dry_run=1"), {"groups": []}, If_Match='"1"')

    assert tried.json()["effects"][0]["newly_denied"]
    assert vm.revisions.count() == 1


def test_groups_that_open_all_are_put_with_a_yes_alone(mine: Program, vm: VirtualMachine) -> None:
    sent: dict[str, Any] = {"groups": ids(make_group(vm.project, "open", OPEN))}
    asked = mine.put(path(vm, "/groups"), sent, If_Match='"1"')
    preview = mine.put(path(vm, "/groups?dry_run=1"), sent, If_Match='"1"').json()

    assert (asked.status_code, asked.json()["preview"]) == (409, preview)
    assert mine.put(path(vm, "/groups"), sent | {"confirm": preview["token"]}, If_Match='"1"').status_code == 200


def test_groups_of_another_project_are_unknown_here(mine: Program, vm: VirtualMachine, alice: User) -> None:
    other = make_group(make_project(alice, "Mill"), "theirs")

    refused = mine.put(path(vm, "/groups"), {"groups": ids(other)}, If_Match='"1"')

    assert (refused.status_code, set(errors(refused))) == (422, {"/groups/0"})


def test_the_history_is_read_restored_and_undone(mine: Program, vm: VirtualMachine, office: SecurityGroup) -> None:
    mine.put(path(vm, "/groups"), {"groups": []}, If_Match='"1"')

    history = mine.get(path(vm, "/revisions?limit=1")).json()
    first = mine.get(path(vm, f"/revisions?cursor={history['next']}")).json()["items"]
    assert ([one["number"] for one in history["items"]], [one["number"] for one in first]) == ([2], [1])
    assert mine.get(path(vm, "/revisions/1")).json()["groups"] == [{"id": office.public_id, "name": "office"}]
    assert mine.get(path(vm, "/revisions/9")).status_code == 404
    assert mine.post(path(vm, "/undo"), {"reason": "INC-7"}, If_Match='"2"').json()["revision"] == 3
    assert mine.get(path(vm, "/revisions")).json()["items"][0]["reason"] == "Undid revision 2. INC-7"
    assert mine.post(path(vm, "/undo"), {}, If_Match='"2"').status_code == 412
    tried = mine.post(path(vm, "/revisions/2/restore?dry_run=1"), {}, If_Match='"3"')
    assert tried.json()["changes_traffic"]
    assert mine.post(path(vm, "/revisions/2/restore"), {}, If_Match='"3"').json()["revision"] == 4
    assert vm.revisions.get(number=4).reason == "Restored revision 2."
    assert mine.post(path(vm, "/revisions/9/restore"), {}, If_Match='"4"').status_code == 404


def test_a_revision_with_a_group_that_is_gone_is_not_restored(
    mine: Program, vm: VirtualMachine, office: SecurityGroup, alice: User
) -> None:
    operations.attach_groups(machine=vm, groups=[], base=1, by=By(alice))
    operations.delete_group(group=office, base=office.revision, by=By(alice))

    refused = mine.post(path(vm, "/revisions/1/restore"), {}, If_Match='"2"')

    assert (refused.status_code, "has been deleted" in refused.json()["detail"]) == (422, True)


def test_groups_that_let_through_something_else_by_now_are_not_given_back_by_undo(
    mine: Program, vm: VirtualMachine, office: SecurityGroup, alice: User
) -> None:
    operations.attach_groups(machine=vm, groups=[], base=1, by=By(alice))
    operations.commit_rules(group=office, rules=(), base=1, by=By(alice))

    refused = mine.post(path(vm, "/undo"), {}, If_Match='"2"')

    assert (refused.status_code, "office" in refused.json()["detail"]) == (422, True)


def test_a_vm_is_deleted_and_comes_back_with_its_groups(mine: Program, vm: VirtualMachine) -> None:
    tried = mine.ask("DELETE", path(vm, "?dry_run=1"))
    assert tried.json()["effects"][0]["newly_denied"]
    assert mine.ask("DELETE", path(vm, "?reason=Ticket%2010")).status_code == 204
    assert Event.objects.get(verb="machine.deleted").detail["reason"] == "Ticket 10"
    assert mine.get(path(vm)).status_code == mine.ask("DELETE", path(vm)).status_code == 404

    back = mine.post(path(vm, "/bring-back"), {})

    assert (back.status_code, back["ETag"], back.json()["groups"][0]["name"]) == (200, '"2"', "office")
    assert mine.post(path(vm, "/bring-back"), {}).status_code == 404


def test_a_vm_whose_name_is_taken_by_now_does_not_come_back(mine: Program, vm: VirtualMachine) -> None:
    mine.ask("DELETE", path(vm))
    make_machine(vm.project, "web-1")

    refused = mine.post(path(vm, "/bring-back"), {})

    assert (refused.status_code, set(errors(refused))) == (422, {"/name"})


def test_vms_are_found_by_words_tags_and_groups(mine: Program, vm: VirtualMachine, office: SecurityGroup) -> None:
    make_machine(vm.project, "db-1", ipv4="10.0.2.1", tags=["db", "env=prod"])
    make_machine(vm.project, "db-2", [office], ipv4="10.0.2.2", tags=["db"])

    def found(query: str) -> list[str]:
        return [one["name"] for one in mine.get(f"/projects/shop/machines?{query}").json()["items"]]

    assert found("") == ["db-1", "db-2", "web-1"]
    assert found("q=10.0.2.0/24") == ["db-1", "db-2"]
    assert found("tag=DB&tag=") == found("") == ["db-1", "db-2", "web-1"]
    assert found("tag=Env=prod") == ["db-1"]
    assert found(f"group={office.public_id}") == ["db-2", "web-1"]
    assert found(f"group={office.public_id}&tag=db") == ["db-2"]
    assert found("group=sg-0000000000") == []


def test_a_page_of_vms_has_their_groups_and_goes_on(mine: Program, project: Project, office: SecurityGroup) -> None:
    more = make_group(project, "more")
    for name in "cab":
        make_machine(project, name, [more, office])

    first = mine.get("/projects/shop/machines?limit=2").json()
    second = mine.get(f"/projects/shop/machines?limit=2&cursor={first['next']}").json()

    assert [one["name"] for one in first["items"]] == ["a", "b"]
    assert ([one["name"] for one in second["items"]], second["next"]) == (["c"], None)
    assert [group["name"] for group in first["items"][1]["groups"]] == ["more", "office"]
    for wrong in ("limit=0", "limit=201", "cursor=x", f"q={'x' * 101}", f"tag={'x' * 61}"):
        assert mine.get(f"/projects/shop/machines?{wrong}").status_code == 422, wrong
