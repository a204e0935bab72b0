"""What the panel says of rules, by API: effective lists, findings, exposure, differences, rulesets."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from ninja import Schema

from securitygroups import operations
from securitygroups.api import answers, exposures
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import MakeProgram, Program
from tests.factories import make_group, make_machine, ports, rule

SSH = {"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.0/24", "port_start": 22}


@pytest.fixture
def mine(bob: User, program: MakeProgram) -> Program:
    """A viewer's, which may read and nothing else."""
    return program(bob, "read")


def asked(program: Program, path: str, shape: type[Schema], sent: Any = None) -> dict[str, Any]:
    """The answer, which has all of its schema's fields and no others."""
    answer = program.get(f"/projects/shop{path}") if sent is None else program.post(f"/projects/shop{path}", sent)
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    told = shape.model_validate(found).model_dump(mode="json")
    assert told | ({"at": found["at"]} if "at" in found else {}) == found
    return found


def test_the_effective_list_has_every_rule_with_its_group(mine: Program, machine: VirtualMachine) -> None:
    found = asked(mine, f"/machines/{machine.public_id}/rules", answers.Effective)

    assert [one["text"] for one in found["rules"]][4:] == ["web, rule 5", "outbound, rule 1", "outbound, rule 2"]
    last = found["rules"][-1]
    assert (last["number"], last["place"], last["group"]["name"]) == (7, 2, "outbound")
    assert (last["rule"]["action"], last["rule"]["protocol"], last["rule"]["id"]) == ("drop", "udp", last["id"])
    assert (found["at"], found["absent"]) == (None, False)


def test_the_effective_list_of_a_time_is_the_one_of_then(mine: Program, project: Project, alice: User) -> None:
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        group = make_group(project, "ssh", ports(22, 80))
        vm = make_machine(project, "old", [group])
    operations.commit_rules(group=group, rules=(), base=1, by=By(alice))
    path = f"/machines/{vm.public_id}/rules"

    then = asked(mine, f"{path}?at=2026-02-01T00:00:00Z", answers.Effective)
    before = asked(mine, f"{path}?at=2025-02-01T00:00:00Z", answers.Effective)

    assert [one["rule"]["port_start"] for one in then["rules"]] == [22, 80]
    assert asked(mine, path, answers.Effective)["rules"] == []
    assert (before["rules"], before["absent"]) == ([], True)


def test_findings_of_a_group_say_what_never_acts_and_what_mends_it(mine: Program, project: Project) -> None:
    group = make_group(project, "g", ["accept in tcp 1-100", "drop in tcp 22", "accept in tcp 3306"])

    found = asked(mine, f"/groups/{group.public_id}/findings", answers.Findings)

    assert (found["dead"], found["more"]) == (1, 0)
    hidden = next(one for one in found["rules"] if one["place"] == 2)
    assert hidden["notes"][0]["text"].startswith("No packet reaches this rule: rule 1 takes all of it")
    assert hidden["notes"][0]["covers"] == [1]
    assert {note["fix"] for note in hidden["notes"]} > {""}
    assert any(note["kind"] == "open-sensitive" for one in found["rules"] for note in one["notes"])


def test_findings_of_a_vm_name_the_group_that_hides_a_rule(mine: Program, project: Project) -> None:
    first, second = make_group(project, "shut", ["drop in all"]), make_group(project, "web", ports(443))
    vm = make_machine(project, "vm", [first, second], ipv4="10.0.0.1")

    found = asked(mine, f"/machines/{vm.public_id}/findings", answers.Findings)

    (told,) = [one for one in found["rules"] if one["group"]["name"] == "web"]
    assert (told["number"], told["place"], told["text"]) == (2, 1, "web, rule 1")
    assert "shut, rule 1" in told["notes"][0]["text"]


def test_exposure_is_told_opening_by_opening_in_pages(mine: Program, project: Project) -> None:
    for at, port in enumerate((22, 80, 443), 1):
        make_machine(project, f"vm-{at}", [make_group(project, "", ports(port))], ipv4=f"10.0.0.{at}")
    make_machine(project, "nowhere", [make_group(project, "n", ports(25))])

    first = asked(mine, "/exposure?limit=2", exposures.Exposure)
    second = asked(mine, f"/exposure?limit=2&cursor={first['next']}", exposures.Exposure)
    some = asked(mine, "/exposure?q=vm-3", exposures.Exposure)

    assert (first["machines"], first["open"], first["loud"], first["complete"]) == (4, 3, 1, False)
    assert first["without_address"] == {
        "count": 1,
        "first": [{"id": project.machines.get(name="nowhere").public_id, "name": "nowhere"}],
    }
    assert (first["items"][0]["services"], first["items"][0]["who"]) == ("SSH", "everyone")
    assert first["items"][0]["through"][0]["text"].endswith(", rule 1")
    assert (len(first["items"]), len(second["items"]), second["next"]) == (2, 1, None)
    assert [one["ports"] for one in some["items"]] == ["443 (HTTPS)"]
    assert mine.get("/projects/shop/exposure?cursor=x").status_code == 422


def test_two_lists_are_compared_in_traffic(mine: Program, group: SecurityGroup, alice: User) -> None:
    rules = [rule("accept in tcp 443"), rule("accept in tcp 8080")]
    operations.commit_rules(group=group, rules=rules, base=1, by=By(alice))
    old, new = {"group": group.public_id, "revision": 1}, {"group": group.public_id}

    found = asked(mine, "/difference", answers.Differs, {"before": old, "after": new})
    same = asked(mine, "/difference", answers.Differs, {"before": new, "after": new})
    sent = asked(mine, "/difference", answers.Differs, {"before": {"rules": []}, "after": {"rules": [SSH]}})

    assert any(line.startswith("Newly allowed: inbound TCP 8080 from") for line in found["newly_allowed"])
    assert found["newly_denied"]
    assert (same["same"], same["newly_allowed"], same["newly_denied"]) == (True, [], [])
    assert "22 (SSH) from 203.0.113.0/24" in sent["newly_allowed"][0]


@pytest.mark.parametrize(
    ("before", "pointer"),
    [
        ({"rules": [SSH | {"port_start": "x"}]}, "/before/rules/0/port_start"),
        ({"rules": 5}, "/before/rules"),
        ({"rules": [SSH] * 2001}, "/before/rules"),
        ({"group": "sg-0000000000"}, "/before/group"),
        ({"group": 5}, "/before/group"),
        ({"group": "web", "revision": True}, "/before/revision"),
        ({"group": "web", "revision": 9}, "/before/revision"),
        ({"list": []}, "/before"),
        ([], "/before"),
    ],
)
def test_a_list_that_cannot_be_compared_is_refused_at_its_place(
    mine: Program, group: SecurityGroup, before: Any, pointer: str
) -> None:
    if isinstance(before, dict) and before.get("group") == "web":
        before = before | {"group": group.public_id}

    refused = mine.post("/projects/shop/difference", {"before": before, "after": {"rules": []}})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer


def test_groups_of_another_project_are_not_compared(mine: Program, bakery: Project) -> None:
    theirs = make_group(bakery, "theirs", ports(22))

    refused = mine.post("/projects/shop/difference", {"before": {"group": theirs.public_id}, "after": {"rules": []}})

    assert "no such group" in refused.json()["detail"]


def test_the_ruleset_is_text_that_nft_reads(mine: Program, machine: VirtualMachine) -> None:
    path = f"/projects/shop/machines/{machine.public_id}/ruleset"

    answer, routed = mine.get(path), mine.get(f"{path}?target=inet")

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert "table bridge " in answer.content.decode()
    assert "table inet " in routed.content.decode()
    assert mine.get(f"{path}?target=moon").json()["errors"][0]["parameter"] == "target"
    bad = mine.get(f"{path}?taps=a%20b%3B")
    assert (bad.status_code, bad.json()["errors"][0]["parameter"]) == (422, "taps")


def test_who_may_not_look_is_told_as_everywhere(
    machine: VirtualMachine, group: SecurityGroup, project: Project, charlie: User, staff: User, program: MakeProgram,
    bob: User,
) -> None:  # fmt: skip
    vm = f"/projects/shop/machines/{machine.public_id}"
    paths = [f"{vm}/rules", f"{vm}/findings", f"{vm}/ruleset", f"/projects/shop/groups/{group.public_id}/findings"]
    paths.append("/projects/shop/exposure")
    theirs, tests, desk = program(charlie), program(bob, "test"), program(staff, strong=True)
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")

    for path in paths:
        assert theirs.get(path).status_code == 404, path
        assert tests.get(path).status_code == 403, path
        assert desk.get(path).status_code == 200, path
    looks = Event.objects.filter(verb="support.look", by_staff=True, summary__startswith="Support looked at /api/v1/")
    assert looks.count() == len(paths)
