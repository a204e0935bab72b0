"""Groups by API: the document, previews, conflicts, confirmations, and what goes on record."""

from typing import Any

import pytest

from securitygroups import operations
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import MakeProgram, Program
from tests.factories import make_group, make_machine, ports

OFFICE = {"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24", "port_start": 22}
DOCUMENT = {"format": "karenpanel.group/1", "name": "office", "description": "Office SSH", "rules": [OFFICE]}
ALL_OPEN = {"action": "accept", "direction": "in", "protocol": "all"}


@pytest.fixture
def mine(alice: User, project: Project, program: MakeProgram) -> Program:
    return program(alice)


@pytest.fixture
def office(project: Project) -> SecurityGroup:
    group = make_group(project, "office", ["accept in tcp 22 from 203.0.113.0/24"])
    make_machine(project, "vm", [group], ipv4="10.0.0.9")
    return group


def path(group: SecurityGroup, more: str = "") -> str:
    return f"/projects/shop/groups/{group.public_id}{more}"


def test_a_group_is_made_from_its_document_and_read_back(mine: Program) -> None:
    made = mine.post("/projects/shop/groups", DOCUMENT)
    read = mine.get(f"/projects/shop/groups/{made.json()['id']}")

    assert (made.status_code, made["ETag"]) == (201, '"1"')
    assert read.json() == made.json()
    assert read.json()["rules"][0]["port_end"] == 22
    event = Event.objects.get(verb="group.created")
    assert (event.actor_name, event.via) == ("alice", "API token “ci”")


def test_a_dry_run_of_a_group_makes_none(mine: Program, project: Project) -> None:
    tried = mine.post("/projects/shop/groups?dry_run=1", DOCUMENT | {"rules": [ALL_OPEN]})

    assert tried.status_code == 200
    assert tried.json()["alarms"]
    assert not project.groups.exists()
    assert not Event.objects.filter(verb="group.created").exists()


def test_every_fault_is_told_at_its_place_with_what_would_be_taken(mine: Program, office: SecurityGroup) -> None:
    bad = [OFFICE | {"source": "10.0.0.5/24"}, OFFICE | {"port_start": 90, "port_end": 80}]

    refused = mine.put(path(office, "/rules"), {"rules": bad}, If_Match='"1"')

    assert refused.status_code == 422
    errors = {one["pointer"]: one for one in refused.json()["errors"]}
    assert set(errors) == {"/rules/0/source", "/rules/1/port_end"}
    assert errors["/rules/0/source"]["suggestions"] == ["10.0.0.5/32", "10.0.0.0/24"]


def test_a_name_that_is_taken_is_refused_at_the_name(mine: Program, office: SecurityGroup) -> None:
    refused = mine.post("/projects/shop/groups", DOCUMENT)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/name")


def test_a_list_is_replaced_and_rules_that_stay_keep_their_identity(mine: Program, office: SecurityGroup) -> None:
    before = mine.get(path(office)).json()["rules"][0]["id"]
    narrow = OFFICE | {"source": "203.0.113.7", "port_start": 443}

    done = mine.put(path(office, "/rules"), {"rules": [narrow, OFFICE], "reason": "Ticket 7"}, If_Match='"1"')

    rules = mine.get(path(office)).json()["rules"]
    assert (done.status_code, done.json()["revision"], done["ETag"]) == (200, 2, '"2"')
    assert rules[1]["id"] == before != rules[0]["id"]
    newest = office.revisions.get(number=2)
    assert (newest.actor_name, newest.via, newest.reason) == ("alice", "API token “ci”", "Ticket 7")
    assert newest.token is not None


def test_the_revision_of_a_compressed_answer_is_good_too(
    mine: Program, office: SecurityGroup, project: Project
) -> None:
    long = make_group(project, "long", ports(*range(1000, 1100)))
    read = mine.get(path(long), Accept_Encoding="gzip")

    assert (read["Content-Encoding"], read["ETag"]) == ("gzip", 'W/"1"')
    assert mine.put(path(long, "/rules?dry_run=1"), {"rules": []}, If_Match=read["ETag"]).status_code == 200


def test_the_same_list_again_writes_nothing(mine: Program, office: SecurityGroup) -> None:
    done = mine.put(path(office, "/rules"), {"rules": [OFFICE]}, If_Match='"1"')

    assert done.json() == {"revision": 1, "changed": False, "summary": "No change."}


def test_without_a_base_nothing_is_written(mine: Program, office: SecurityGroup) -> None:
    assert mine.put(path(office, "/rules"), {"rules": []}).status_code == 428


def test_who_was_overtaken_gets_both_lists_and_can_go_on(mine: Program, office: SecurityGroup, erin: User) -> None:
    operations.commit_rules(group=office, rules=(), base=1, by=By(erin))

    refused = mine.put(path(office, "/rules"), {"rules": [OFFICE, OFFICE | {"port_start": 80}]}, If_Match='"1"')

    told = refused.json()
    assert refused.status_code == 412
    assert (told["theirs"]["number"], told["theirs"]["actor"], told["theirs"]["rules"]) == (2, "erin", [])
    assert [rule["port_start"] for rule in told["mine"]["rules"]] == [22, 80]
    again = mine.put(path(office, "/rules"), {"rules": told["mine"]["rules"]}, If_Match=f'"{told["theirs"]["number"]}"')
    assert again.status_code == 422  # ids are told and not taken
    clean = [{k: v for k, v in rule.items() if k != "id"} for rule in told["mine"]["rules"]]
    assert mine.put(path(office, "/rules"), {"rules": clean}, If_Match='"2"').json()["revision"] == 3


def test_an_alarm_needs_the_token_of_its_preview(mine: Program, office: SecurityGroup) -> None:
    open_to_all: Any = {"rules": [ALL_OPEN]}
    asked = mine.put(path(office, "/rules"), open_to_all, If_Match='"1"')
    preview = mine.put(path(office, "/rules?dry_run=1"), open_to_all, If_Match='"1"').json()

    assert (asked.status_code, asked.json()["type"]) == (409, "urn:karenpanel:problem:confirm")
    assert asked.json()["preview"] == preview
    assert preview["alarms"]
    assert mine.put(path(office, "/rules"), open_to_all | {"confirm": "0" * 32}, If_Match='"1"').status_code == 409
    done = mine.put(path(office, "/rules"), open_to_all | {"confirm": preview["token"]}, If_Match='"1"')
    assert done.status_code == 200


def test_a_yes_is_good_for_nothing_else_than_what_was_looked_at(
    mine: Program, office: SecurityGroup, project: Project
) -> None:
    open_to_all: Any = {"rules": [ALL_OPEN]}
    token = mine.put(path(office, "/rules?dry_run=1"), open_to_all, If_Match='"1"').json()["token"]
    make_machine(project, "one more", [office])

    assert mine.put(path(office, "/rules"), open_to_all | {"confirm": token}, If_Match='"1"').status_code == 409


def test_a_token_that_may_skip_alarms_is_not_asked(alice: User, office: SecurityGroup, program: MakeProgram) -> None:
    deploys = program(alice, "write", "unasked")

    assert deploys.put(path(office, "/rules"), {"rules": [ALL_OPEN]}, If_Match='"1"').status_code == 200


def test_the_history_is_read_restored_and_undone(mine: Program, office: SecurityGroup) -> None:
    mine.put(path(office, "/rules"), {"rules": []}, If_Match='"1"')
    asked = mine.put(path(office, "/rules"), {"rules": []}, If_Match='"1"')
    if asked.status_code == 409:
        raise AssertionError(asked.json())

    history = mine.get(path(office, "/revisions")).json()["items"]
    assert [one["number"] for one in history] == [2, 1]
    assert mine.get(path(office, "/revisions/1")).json()["rules"][0]["port_start"] == 22
    assert mine.get(path(office, "/revisions/9")).status_code == 404
    assert mine.post(path(office, "/undo"), {}, If_Match='"2"').json()["revision"] == 3
    assert mine.post(path(office, "/undo"), {}, If_Match='"2"').status_code == 412
    restored = mine.post(path(office, "/revisions/2/restore?dry_run=1"), {}, If_Match='"3"')
    assert restored.json()["changes_traffic"]


def test_details_are_changed_one_by_one(mine: Program, office: SecurityGroup) -> None:
    changed = mine.ask("PATCH", path(office), {"description": "Only the office"})

    assert (changed.json()["name"], changed.json()["description"]) == ("office", "Only the office")
    assert mine.ask("PATCH", path(office), {"nmae": "x"}).json()["errors"][0]["pointer"] == "/nmae"


def test_a_group_on_vms_is_deleted_after_a_look_and_comes_back(mine: Program, office: SecurityGroup) -> None:
    asked = mine.ask("DELETE", path(office))
    token = asked.json()["preview"]["token"]

    assert asked.status_code == 409
    assert mine.ask("DELETE", path(office, f"?confirm={token}")).status_code == 204
    assert mine.get(path(office)).status_code == 404
    assert mine.post(path(office, "/bring-back"), {}).json()["name"] == "office"
    assert VirtualMachine.objects.get(name="vm").groups.get() == office


def test_a_creation_that_is_sent_again_is_answered_as_the_first(mine: Program, project: Project) -> None:
    first, second = (mine.post("/projects/shop/groups", DOCUMENT, Idempotency_Key="a1") for _ in range(2))
    other = mine.post("/projects/shop/groups", DOCUMENT | {"name": "x"}, Idempotency_Key="a1")

    assert (first.status_code, second.status_code, second.json()) == (201, 201, first.json())
    assert second["Idempotent-Replayed"] == "true"
    assert other.json()["type"] == "urn:karenpanel:problem:key-used"
    assert project.groups.count() == 1


def test_what_was_refused_leaves_its_key_free(mine: Program, project: Project) -> None:
    refused = mine.post("/projects/shop/groups", DOCUMENT | {"name": ""}, Idempotency_Key="a2")

    assert refused.status_code == 422
    assert mine.post("/projects/shop/groups", DOCUMENT, Idempotency_Key="a2").status_code == 201


def test_pages_of_groups_go_on_where_the_last_one_ended(mine: Program, project: Project) -> None:
    for name in "bdac":
        make_group(project, name)

    first = mine.get("/projects/shop/groups?limit=3").json()
    make_group(project, "aa")
    second = mine.get(f"/projects/shop/groups?limit=3&cursor={first['next']}").json()

    assert [one["name"] for one in first["items"]] == ["a", "b", "c"]
    assert ([one["name"] for one in second["items"]], second["next"]) == (["d"], None)
    for wrong in ("x", "W10", "%00", "eyJhIjoxfQ", "WyJhIiwgLTFd"):
        assert mine.get(f"/projects/shop/groups?cursor={wrong}").status_code == 422, wrong
