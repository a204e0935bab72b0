"""Flow logs replayed by API: what the page reports, as data."""

import gzip
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.api import reports
from securitygroups.models import Event, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import MakeProgram, Program
from tests.factories import make_group, make_machine, rule
from tests.web.test_replay import LOG, VPC, post


@pytest.fixture
def mine(bob: User, program: MakeProgram) -> Program:
    """A viewer's, which may test and nothing else."""
    return program(bob, "test")


def send(program: Program, path: str, log: bytes, kind: str = "application/octet-stream") -> Any:
    headers = {"Authorization": f"Bearer {program.secret}"}
    return program._client.post(f"/api/v1/projects/shop{path}", log, content_type=kind, headers=headers)


def replayed(program: Program, path: str, log: bytes) -> dict[str, Any]:
    """The report, which has all of its schema's fields and no others."""
    answer = send(program, path, log)
    assert answer.status_code == 200, answer.json()
    found: dict[str, Any] = answer.json()
    assert reports.Replayed.model_validate(found).model_dump(mode="json") == found
    return found


def on(thing: SecurityGroup | VirtualMachine, more: str = "") -> str:
    kind = "groups" if isinstance(thing, SecurityGroup) else "machines"
    return f"/{kind}/{thing.public_id}/replay{more}"


def test_a_log_on_a_group_is_judged_and_its_rules_counted(mine: Program, group: SecurityGroup) -> None:
    found = replayed(mine, on(group), LOG)

    assert (found["kind"], found["records"], found["flows"], found["accepted"], found["denied"]) == ("CSV", 4, 4, 3, 1)
    (denied,) = found["told"]
    assert (denied["kind"], denied["flows"], denied["groups"][0]["port"]) == ("denied", 1, 22)
    assert denied["groups"][0]["pairs"][0]["packet"]["source"] == "198.51.100.9"
    (table,) = found["hits"]
    assert (table["rules"][0]["flows"], table["rules"][0]["rule"]["text"]) == (2, "web, rule 2")
    assert (table["unused"], table["first_unused"]) == (2, ["1", "3"])
    assert (found["other"], found["other_accepted"], found["cut"]) == (None, None, False)


def test_an_earlier_revision_is_compared_as_on_the_page(
    mine: Program, as_alice: Client, group: SecurityGroup, alice: User
) -> None:
    operations.commit_rules(group=group, rules=[rule("drop in all")], base=1, by=By(alice))

    found = replayed(mine, on(group, "?with=1"), LOG)

    kinds = {side["kind"]: side["flows"] for side in found["told"]}
    assert (found["other"], kinds["added"], kinds["removed"]) == ("revision 1", 3, 0)
    assert 'Newly allowed <span class="count">3</span>' in post(as_alice, group, LOG, revision="1")
    assert (found["accepted"], found["other_accepted"], found["other_denied"]) == (0, 3, 1)
    wrong = send(mine, on(group, "?with=9"), LOG).json()
    assert wrong["errors"] == [{"parameter": "with", "detail": "The group has no such revision."}]


def test_addresses_tell_the_direction_where_the_log_does_not(
    mine: Program, group: SecurityGroup, machine: VirtualMachine
) -> None:
    own, typed = replayed(mine, on(group), VPC), replayed(mine, on(group, "?local=10.0.1.0/24"), VPC)

    for found in (own, typed):
        assert found["flows"] == 1
        assert any(one["why"].startswith("reply within a flow") for one in found["skipped"])
    other = replayed(mine, on(group, "?local=10.9.9.9"), VPC)
    assert other["flows"] == 0
    refused = send(mine, on(group, "?local=10.0.0.5/24"), VPC).json()["errors"][0]
    assert (refused["parameter"], refused["suggestions"]) == ("local", ["10.0.0.5/32", "10.0.0.0/24"])
    assert send(mine, on(group, "?local=" + "10.0.0.1," * 1001), VPC).status_code == 422


def test_on_a_vm_and_on_a_project_flows_are_judged_by_effective_lists(
    mine: Program, machine: VirtualMachine, project: Project
) -> None:
    make_machine(project, "shut", [make_group(project, "none")], ipv4="10.0.1.12")
    log = LOG + b"in,tcp,198.51.100.7,10.0.1.12,443\n"

    alone, all_of_them = replayed(mine, on(machine), log), replayed(mine, "/replay", log)

    assert (alone["flows"], alone["denied"], alone["skipped"][0]["records"]) == (4, 1, 1)
    assert (all_of_them["flows"], all_of_them["denied"]) == (5, 2)
    names = {one["machine"]["name"]: (one["denied"], one["flows"]) for one in all_of_them["denied_machines"]}
    assert names == {"shut": (1, 1), "web-1": (1, 4)}
    assert all_of_them["told"][0]["groups"][0]["pairs"][0]["receiver"]["name"] in names


def test_a_packed_log_is_read(mine: Program, group: SecurityGroup) -> None:
    assert replayed(mine, on(group), gzip.compress(LOG))["flows"] == 4


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (LOG + b"in,tcp,198.51.100.7,10.0.1.11,70000\n", "line 6, port: “70000” is not a port"),
        (b"a,b,c\n1,2,3\n", "there is no column protocol"),
        (gzip.compress(LOG, mtime=0)[:40], "The gzip data is damaged or cut short."),
    ],
)
def test_a_bad_log_is_refused_with_its_line(mine: Program, group: SecurityGroup, log: bytes, words: str) -> None:
    refused = send(mine, on(group), log)

    assert refused.status_code == 422
    assert words in refused.json()["detail"]
    assert "pointer" not in refused.json()["errors"][0]


def test_what_is_no_log_or_too_long_is_refused_before_it_is_read(
    mine: Program, group: SecurityGroup, settings: Any
) -> None:
    settings.REPLAY_MAX_MB = 1

    assert send(mine, on(group), b"{}", "application/json").status_code == 415
    too_long = send(mine, on(group), b"x" * (2**20 + 1))
    assert (too_long.status_code, "up to 1 MiB are replayed here" in too_long.json()["detail"]) == (413, True)


def test_a_log_longer_than_what_is_held_in_memory_is_replayed(
    mine: Program, group: SecurityGroup, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    lines = LOG + b"in,tcp,198.51.100.7,10.0.1.11,443\n" * 1000

    assert replayed(mine, on(group), lines)["flows"] == 1004


def test_nothing_of_it_is_kept(mine: Program, group: SecurityGroup) -> None:
    with CaptureQueriesContext(connection) as queries:
        replayed(mine, on(group), LOG)

    written = [q["sql"] for q in queries if q["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert not [sql for sql in written if "apitoken" not in sql and "cache" not in sql]
    assert not Event.objects.filter(group=group).exclude(verb="group.created").exists()


def test_who_may_not_test_replays_nothing(
    machine: VirtualMachine, group: SecurityGroup, charlie: User, bob: User, program: MakeProgram
) -> None:
    for path in (on(group), on(machine), "/replay"):
        assert send(program(charlie), path, LOG).status_code == 404
        assert send(program(bob, "read"), path, LOG).status_code == 403


def test_support_replays_with_a_visit_on_record(
    project: Project, group: SecurityGroup, staff: User, program: MakeProgram
) -> None:
    desk = program(staff, strong=True)
    operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")

    assert replayed(desk, on(group), LOG)["flows"] == 4

    assert Event.objects.filter(verb="support.look", by_staff=True, summary__contains="/replay").count() == 1
