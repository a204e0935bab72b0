"""Packet tests by API: the same verdicts and words as the page's, as data."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client

from securitygroups import operations
from securitygroups.api import traces
from securitygroups.api.packets import MOST_PACKETS, AllDecided
from securitygroups.firewall.formats.documents import rules_from_json
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.words.drops import LET_A_ROUTER
from tests.api.conftest import MakeProgram, Program
from tests.factories import make_group, make_host, make_machine, place, ports, rule
from tests.web.pages import Page

CASES = Path(__file__).parents[1] / "cases"
PACKET: dict[str, Any] = {
    "direction": "in",
    "protocol": "tcp",
    "source": "203.0.113.9",
    "destination": "10.0.1.11",
    "port": 22,
}


@pytest.fixture
def mine(bob: User, program: MakeProgram) -> Program:
    """A viewer's, which may test and nothing else."""
    return program(bob, "test")


def on(thing: SecurityGroup | VirtualMachine, what: str = "test") -> str:
    kind = "groups" if isinstance(thing, SecurityGroup) else "machines"
    return f"/projects/shop/{kind}/{thing.public_id}/{what}"


def told(program: Program, path: str, sent: Any) -> dict[str, Any]:
    """The answer, which has all of its schema's fields and no others."""
    answer = program.post(path, sent)
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    assert traces.Tested.model_validate(found).model_dump(mode="json") | {"at": found["at"]} == found
    return found


def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / "first_match.jsonl").read_text("utf-8").splitlines()]


def test_the_rule_that_decides_is_told_with_the_way_to_it(mine: Program, group: SecurityGroup) -> None:
    answer = told(mine, on(group), PACKET)

    assert (answer["verdict"], answer["machine"], answer["between_machines"]) == ("accept", None, False)
    assert answer["text"] == "An inbound TCP packet from 203.0.113.9 to 10.0.1.11, port 22 (SSH) is accepted by rule 3."
    (trace,) = answer["traces"]
    uid = group.rules.get(position=3).uid
    named = {"id": group.public_id, "name": "web"}
    assert trace["rule"] == {"number": 3, "group": named, "place": 3, "id": uid, "text": "web, rule 3"}
    assert [(step["outcome"], step["why"]) for step in trace["steps"]] == [
        ("passed by", "203.0.113.9 is not 192.0.2.66"),
        ("passed by", "port 22 is not 443"),
        ("matched", "matched"),
        ("not reached", "not reached"),
        ("not reached", "not reached"),
    ]
    assert trace["steps"][0]["differs"] == ["source"]
    assert trace["packet"] == PACKET
    assert trace["needed"] is None


def test_verdicts_are_those_of_the_cases(mine: Program, project: Project, alice: User) -> None:
    group = make_group(project, "cases")
    for case in cases():
        rules = rules_from_json(case["rules"])
        group.refresh_from_db()
        operations.commit_rules(group=group, rules=rules, base=group.revision, by=By(alice))

        alone = told(mine, on(group), case["packet"])
        many = mine.post(on(group, "tests"), {"packets": [case["packet"]]}).json()["answers"]

        for found in ((alone["verdict"], alone["traces"][0]["rule"]), (many[0]["verdict"], many[0]["rule"])):
            said = {"verdict": found[0], "rule": found[1] and found[1]["number"]}
            assert said == case["expect"], case["title"]


def test_what_is_denied_is_told_with_a_rule_that_would_accept_it(mine: Program, group: SecurityGroup) -> None:
    answer = told(mine, on(group), PACKET | {"source": "198.51.100.7"})

    needed = answer["traces"][0]["needed"]
    assert answer["verdict"] == "drop"
    assert needed["nearest"]["text"] == "web, rule 2"
    assert needed["in_the_way"] == ["port 22 is not 443"]
    assert needed["add"]["rule"] == {
        "action": "accept",
        "direction": "in",
        "protocol": "tcp",
        "source": "198.51.100.7/32",
        "port_start": 22,
        "port_end": 22,
    }
    assert needed["add"]["group"]["name"] == "web"


def test_an_empty_group_is_where_the_rule_would_go(mine: Program, project: Project) -> None:
    empty = make_group(project, "empty")

    needed = told(mine, on(empty), PACKET)["traces"][0]["needed"]

    assert (needed["nearest"], needed["add"]["group"]["id"]) == (None, empty.public_id)


def test_on_a_vm_the_platforms_lines_and_a_strange_address_are_told(mine: Program, machine: VirtualMachine) -> None:
    dhcp = PACKET | {"protocol": "udp", "destination": "10.0.9.9", "port": 68}

    answer = told(mine, on(machine), dhcp)

    assert answer["machine"] == {"id": machine.public_id, "name": "web-1"}
    assert answer["notes"] == ["10.0.9.9 is not an address of web-1."]
    assert [line["condition"] for line in answer["traces"][0]["platform"]] == ["it comes from port 67"]


def test_between_two_vms_both_lists_are_asked(mine: Program, machine: VirtualMachine, project: Project) -> None:
    make_machine(project, "db-1", [make_group(project, "db", ["drop out tcp 443"])], ipv4="10.0.1.12")
    packet = PACKET | {"source": "10.0.1.12", "port": 443}

    answer = told(mine, on(machine), packet)

    assert answer["between_machines"]
    assert [trace["of"] for trace in answer["traces"]] == ["Out of db-1", "In of web-1"]
    assert [trace["verdict"] for trace in answer["traces"]] == ["drop", "accept"]
    assert answer["verdict"] == "drop"
    assert answer["text"].startswith("The Out list of db-1 denies it, so it never reaches web-1.")


def test_at_a_time_the_list_of_that_time_decides(mine: Program, project: Project, alice: User) -> None:
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        group = make_group(project, "ssh", ports(22))
        vm = make_machine(project, "old", [group], ipv4="10.0.1.11")
    operations.commit_rules(group=group, rules=(), base=1, by=By(alice))

    for thing in (group, vm):
        assert told(mine, on(thing), PACKET)["verdict"] == "drop"
        then = told(mine, f"{on(thing)}?at=2026-06-01T12:00:00Z", PACKET)
        assert (then["verdict"], then["at"]) == ("accept", "2026-06-01T12:00:00Z")
        many = mine.post(f"{on(thing, 'tests')}?at=2026-06-01T12:00:00Z", {"packets": [PACKET]})
        assert many.json()["answers"][0]["verdict"] == "accept"
    before = told(mine, f"{on(vm)}?at=2025-06-01T14:00:00%2B02:00", PACKET)
    assert (before["verdict"], before["traces"][0]["absent"], before["traces"][0]["needed"]) == ("drop", "old", None)


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-01-01", "2026-01-01T10:00:00", "9999-12-31T23:59:59-12:00", "2026-13-01T00:00Z"]
)
def test_what_is_no_time_is_refused_by_its_parameter(mine: Program, group: SecurityGroup, at: str) -> None:
    refused = mine.post(f"{on(group)}?at={at}", PACKET)

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["parameter"] == "at"


def test_in_a_project_the_vm_is_found_by_its_address(mine: Program, machine: VirtualMachine) -> None:
    inbound = told(mine, "/projects/shop/test", PACKET)
    outbound = {"direction": "out", "protocol": "udp", "source": "10.0.1.11", "destination": "9.9.9.9", "port": 53}

    assert inbound["machine"]["name"] == "web-1"
    assert told(mine, "/projects/shop/test", outbound)["traces"][0]["rule"]["text"] == "web, rule 5"


def test_where_the_address_is_nobodys_the_other_way_is_offered(mine: Program, machine: VirtualMachine) -> None:
    turned = mine.post("/projects/shop/test", PACKET | {"direction": "out", "source": "203.0.113.9"})
    nobody = mine.post("/projects/shop/test", PACKET | {"destination": "10.9.9.9"})
    frame = mine.post("/projects/shop/test", {"direction": "in", "protocol": "non-ip"})

    assert [one.status_code for one in (turned, nobody, frame)] == [422, 422, 422]
    assert turned.json()["other"] == {"id": machine.public_id, "name": "web-1", "direction": "in"}
    assert turned.json()["errors"][0]["pointer"] == "/source"
    assert nobody.json()["detail"].startswith("No VM of Shop has the address 10.9.9.9.")
    assert frame.json()["errors"][0]["pointer"] == "/protocol"


@pytest.mark.parametrize(
    ("sent", "pointer", "words"),
    [
        (PACKET | {"source": "010.0.0.1"}, "/source", ""),
        (PACKET | {"port": 70000}, "/port", "is not a port"),
        (PACKET | {"protocol": "gre"}, "/protocol", "is not a packet's protocol"),
        (PACKET | {"destination": "::1"}, "/destination", "a packet has one family"),
        (PACKET | {"port": "22"}, "/port", "without quotes"),
        (PACKET | {"way": "in"}, "", "“way” is not a key here"),
        ({"direction": "in"}, "", "“protocol” is missing"),
        ({"line": 5}, "/line", "Write a line in quotes"),
        ({"line": "nothing of the kind"}, "/line", "No packet was found in this line"),
        ({"line": "203.0.113.9 > 10.0.0.5:7777"}, "/protocol", "The line does not say the protocol"),
        ({"line": "tcp 203.0.113.9 > 10.0.0.5:22", "way": "in"}, "", "“way” is not a key here"),
    ],
)
def test_a_bad_packet_is_refused_at_its_place(
    mine: Program, group: SecurityGroup, sent: dict[str, Any], pointer: str, words: str
) -> None:
    refused = mine.post(on(group), sent)

    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_a_pasted_line_is_read_and_what_it_says_itself_is_told(mine: Program, machine: VirtualMachine) -> None:
    line = "[UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.9 DST=10.0.1.11 PROTO=TCP SPT=51515 DPT=22 SYN"

    answer = told(mine, on(machine), {"line": line})

    assert answer["verdict"] == "accept"
    assert answer["read"] == {"kind": "kernel log", "said": "drop", "opens_no_connection": None}
    assert answer["traces"][0]["packet"] == PACKET


def test_a_line_whose_packet_opens_no_connection_names_the_one_that_did(mine: Program, machine: VirtualMachine) -> None:
    line = "IN= OUT=eth0 SRC=10.0.1.11 DST=203.0.113.9 PROTO=TCP SPT=22 DPT=51515 ACK SYN"

    for path in (on(machine), "/projects/shop/test"):
        answer = told(mine, path, {"line": line})
        opener = answer["read"]["opens_no_connection"]
        assert opener["what"] == "a SYN-ACK, which answers the packet that did"
        assert opener["packet"] == PACKET
        assert told(mine, path, opener["packet"])["verdict"] == "accept"


def test_a_line_of_the_host_is_turned_to_the_vms_side(mine: Program, machine: VirtualMachine) -> None:
    line = "IN= OUT=vnet0 SRC=203.0.113.9 DST=10.0.1.11 PROTO=TCP SPT=51515 DPT=22 SYN"

    answer = told(mine, on(machine), {"line": line})
    said = told(mine, on(machine), {"line": line, "direction": "out"})

    assert answer["traces"][0]["packet"]["direction"] == "in"
    assert answer["notes"][0].startswith("The line says Out, as the machine that logged it sees it.")
    assert said["traces"][0]["packet"]["direction"] == "out"


def test_lines_that_people_paste_are_read_as_the_page_reads_them(
    mine: Program, as_bob: Client, group: SecurityGroup
) -> None:
    lines = [json.loads(line) for line in (CASES / "public" / "lines.jsonl").read_text("utf-8").splitlines()][::12]
    for case in lines:
        answer = mine.post(on(group), {"line": case["line"]})
        fields = case.get("fields") or {}
        needs = {"protocol"} | ({"source", "destination"} if fields.get("protocol") != "non-ip" else set())
        if not needs <= {name for name, text in fields.items() if text} or fields.get("port") == "":
            assert answer.status_code == 422, case["line"]
            continue
        assert answer.status_code == 200, (case["line"], answer.json())
        trace, query = answer.json()["traces"][0], {"line": case["line"], "test": "1"} | fields
        query.setdefault("direction", trace["packet"]["direction"])
        text = Page(as_bob.get(f"{group.get_absolute_url()}test/", query)).text
        assert trace["text"] in text, case["line"]


def test_many_packets_are_decided_in_their_order(mine: Program, machine: VirtualMachine) -> None:
    packets = [PACKET, PACKET | {"port": 80}, {"direction": "in", "protocol": "non-ip"}]

    answer = mine.post(on(machine, "tests"), {"packets": packets}).json()

    assert AllDecided.model_validate(answer).model_dump(mode="json") == answer
    assert [one["verdict"] for one in answer["answers"]] == ["accept", "drop", "drop"]
    assert [one["rule"] and one["rule"]["text"] for one in answer["answers"]] == ["web, rule 3", None, None]
    assert mine.post(on(machine, "tests"), {"packets": []}).json() == {"answers": []}


def test_every_fault_of_many_packets_is_told_by_its_place(mine: Program, group: SecurityGroup) -> None:
    refused = mine.post(on(group, "tests"), {"packets": [PACKET, PACKET | {"port": -1}, {"direction": "in"}, 7]})

    assert [one["pointer"] for one in refused.json()["errors"]] == ["/packets/1/port", "/packets/2", "/packets/3"]
    wrong: list[dict[str, Any]] = [{"packets": {}}, {}, {"packets": [PACKET] * (MOST_PACKETS + 1)}]
    for bad in wrong:
        assert mine.post(on(group, "tests"), bad).status_code == 422


def test_of_a_long_list_the_steps_that_can_be_read_are_told(mine: Program, project: Project, alice: User) -> None:
    long = make_group(project, "long", ports(*range(1000, 1700)))
    other = make_group(project, "other", [*ports(*range(2000, 2600)), rule("accept in tcp 22")])
    vm = make_machine(project, "vm", [long, other], ipv4="10.0.1.11")

    answer = told(mine, on(vm), PACKET)

    steps = answer["traces"][0]["steps"]
    assert answer["traces"][0]["rule"]["text"] == "other, rule 601"
    assert len(steps) < 450
    assert [step for step in steps if "first" in step] == [{"first": 101, "last": 1200, "outcome": "passed by"}]


def test_strangers_find_nothing_and_support_is_on_record(
    machine: VirtualMachine, project: Project, charlie: User, staff: User, bob: User, program: MakeProgram
) -> None:
    theirs, desk = program(charlie), program(staff, strong=True)

    assert theirs.post(on(machine), PACKET).status_code == 404
    assert program(bob, "read").post(on(machine), PACKET).status_code == 403
    assert desk.post(on(machine), PACKET).json()["type"].endswith("reason-needed")
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")
    assert desk.post(on(machine), PACKET).json()["verdict"] == "accept"
    looks = Event.objects.filter(verb="support.look", by_staff=True, summary__contains=f"/{machine.public_id}/test")
    assert looks.count() == 1


def test_groups_and_vms_of_another_project_are_not_here(mine: Program, bakery: Project) -> None:
    theirs = make_group(bakery, "theirs", ports(22))
    vm = make_machine(bakery, "oven", [theirs], ipv4="10.0.1.11")

    assert {mine.post(on(thing, what), PACKET).status_code for thing in (theirs, vm) for what in ("test", "tests")} == {
        404
    }
    assert mine.post("/projects/shop/test", PACKET).status_code == 422


def test_a_test_leaves_nothing_on_record(mine: Program, machine: VirtualMachine) -> None:
    before = Event.objects.count()

    told(mine, on(machine), PACKET)

    assert Event.objects.count() == before


def test_what_a_held_vm_sends_in_another_s_name_is_denied_by_no_rule(mine: Program, project: Project) -> None:
    vm = make_machine(project, "open", [make_group(project, "all", [rule("accept out all")])], ipv4="10.0.7.8")
    place(vm, make_host())
    own = {"direction": "out", "protocol": "tcp", "source": "10.0.7.8", "destination": "198.51.100.1", "port": 443}
    foreign = own | {"source": "203.0.113.7"}
    answer = told(mine, on(vm), foreign)
    why = f"The VM sends it from an address that is none of its own: over IPv4 it may send only from 10.0.7.8. {LET_A_ROUTER}"
    assert (answer["verdict"], answer["traces"][0]["barred"], answer["notes"]) == ("drop", why, [])
    assert why in answer["text"]
    answers = mine.post(on(vm, "tests"), {"packets": [own, foreign]}).json()["answers"]
    assert [(one["verdict"], one["rule"] and one["rule"]["number"]) for one in answers] == [
        ("accept", 1),
        ("drop", None),
    ]
