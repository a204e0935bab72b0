"""Dropped packets for programs: what a host reports is read strictly, kept, and told to whoever may know it."""

import json
import time
from typing import Any

import pytest

from securitygroups import operations
from securitygroups.api.agent.answers import Refused
from securitygroups.api.agent.reading import read_report
from securitygroups.models import Host, Project, SecurityGroup, Traffic, User, VirtualMachine
from securitygroups.operations import By
from tests.api.conftest import MakeProgram
from tests.factories import place, sample, told
from tests.hosts import Agent, enrolled

VM = "vm-0123456789"


@pytest.fixture
def pair(machine: VirtualMachine) -> tuple[Host, Agent]:
    host, agent = enrolled()
    place(machine, host, "tap0")
    return host, agent


def said(vm: str, **other: Any) -> dict[str, Any]:
    """As an agent writes a packet."""
    return {
        "vm": vm,
        "at": int(time.time()),
        "direction": "in",
        "verdict": "drop",
        "reason": "none",
        "rule": "",
        "vector": None,
        "version": 4,
        "protocol": 6,
        "source": "203.0.113.9",
        "destination": "10.0.1.11",
        "source_port": 50123,
        "port": 22,
        "kind": None,
        "times": 3,
    } | other


def read(**other: Any) -> Any:
    samples = [said(VM) | other]
    return read_report(json.dumps({"format": "karenpanel-report/1", "missed": 5, "samples": samples}).encode())


def test_what_an_agent_reports_is_told(
    pair: tuple[Host, Agent], machine: VirtualMachine, group: SecurityGroup, alice: User, program: MakeProgram
) -> None:
    _, agent = pair
    vector = agent.state().json()["vms"][0]["vector"]
    agent.report(samples=[said(machine.public_id, vector=vector, reason="rule", rule="0" * 12)])

    [row] = program(alice).get(f"/projects/shop/machines/{machine.public_id}/dropped-packets").json()["items"]

    assert row["groups"][0] == {"id": group.public_id, "revision": group.revision}
    expected = {"machine": machine.public_id, "packets": 3, "reason": "rule", "rule": "0" * 12, "peer": "203.0.113.9"}
    assert row.items() >= (expected | {"own": "10.0.1.11", "port": 22, "source_port": 50123, "icmp_type": None}).items()


def test_of_another_hosts_vms_nothing_is_taken(pair: tuple[Host, Agent], machine: VirtualMachine) -> None:
    _, other = enrolled("kvm-2")

    other.report(samples=[said(machine.public_id)])

    assert not Traffic.objects.exists()


@pytest.mark.parametrize(
    "odd",
    [
        {"vm": "vm-1"},
        {"vm": None},
        {"at": "now"},
        {"at": -1},
        {"direction": "up"},
        {"verdict": "maybe"},
        {"verdict": None},
        {"reason": ""},
        {"reason": "x" * 21},
        {"reason": "a b"},
        {"rule": "../x"},
        {"rule": None},
        {"vector": []},
        {"vector": {"groups": []}},
        {"vector": {"attached": 1, "placement": 1, "text": 1, "groups": [["a"]]}},
        {"version": 5},
        {"version": True},
        {"protocol": 256},
        {"port": 65536},
        {"port": "22"},
        {"source_port": -1},
        {"kind": 256},
        {"source": 7},
        {"source": "x" * 101},
        {"times": 0},
        {"times": 2**63},
        {"times": None},
    ],
)
def test_a_report_with_an_odd_packet_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"^samples\[0\]"):
        read(**odd)


def test_no_more_than_so_many_are_read() -> None:
    with pytest.raises(Refused, match="samples"):
        read_report(json.dumps({"format": "karenpanel-report/1", "samples": [{}] * 20_001}).encode())


@pytest.mark.parametrize("address", ["x", "2001:db8::1", "10.0.0.0/8", "fe80::1%eth0", "\x00", "‮1.2.3.4"])
def test_what_is_no_address_of_the_packet_is_left_out(address: str) -> None:
    assert read(source=address).samples[0].source == ""
    assert read(source="2001:DB8::0:1", version=6).samples[0].source == "2001:db8::1"


def test_no_packet_is_later_than_now_and_none_older_than_a_day_is_kept() -> None:
    late, old = read(at=int(time.time()) + 9999), read(at=int(time.time()) - 25 * 3600)

    assert abs(late.samples[0].at.timestamp() - time.time()) < 5
    assert (old.samples, old.missed) == ([], 5 + 3)


# ── What is told ──────────────────────────────────────────────────────────────


def test_pages_are_told_one_after_the_other(
    pair: tuple[Host, Agent], machine: VirtualMachine, alice: User, program: MakeProgram
) -> None:
    host, _ = pair
    told(host, *(sample(machine, port=port) for port in range(5)), sample(machine, verdict="accept", reason="accept"))
    mine, found, cursor = program(alice), [], ""
    for _ in range(3):
        page = mine.get(f"/projects/shop/dropped-packets?verdict=drop&limit=2&cursor={cursor}").json()
        found += [row["port"] for row in page["items"]]
        cursor = page["next"]

    assert sorted(found) == [0, 1, 2, 3, 4]
    assert cursor is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [22, 443]),
        ("verdict=accept", [443]),
        ("direction=out", []),
        ("peer=203.0.113.0/24&port=22", [22]),
        ("peer=198.51.100.1", []),
        ("since=2099-01-01T00:00:00Z", []),
        ("since=2000-01-01T00:00:00Z", [22, 443]),
    ],
)
def test_they_are_filtered(
    pair: tuple[Host, Agent], machine: VirtualMachine, alice: User, program: MakeProgram, query: str, found: list[int]
) -> None:
    told(pair[0], sample(machine), sample(machine, verdict="accept", reason="accept", port=443))

    items = program(alice).get(f"/projects/shop/dropped-packets?{query}").json()["items"]

    assert sorted(row["port"] for row in items) == found


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("peer=x", "peer"), ("port=99999", "port"), ("since=x", "since"), ("cursor=x", "cursor"), ("verdict=x", "verdict"),
     ("cursor=WyJ4IiwgMV0", "cursor"), ("cursor=WyIyMDMwLTAxLTAxVDAwOjAwOjAwIiwgMV0", "cursor")],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(
    machine: VirtualMachine, alice: User, program: MakeProgram, query: str, parameter: str
) -> None:
    answer = program(alice).get(f"/projects/shop/dropped-packets?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


def test_viewers_and_tokens_that_only_read_are_told_where_an_owner_lets_them(
    machine: VirtualMachine, alice: User, bob: User, project: Project, program: MakeProgram
) -> None:
    mine, own = program(bob), program(alice, "read", project=project)
    for one in (mine, own):
        assert one.get("/projects/shop/dropped-packets").status_code == 403

    operations.let_viewers_see_traffic(project=project, let=True, by=By(alice))

    for one in (mine, own):
        assert one.get("/projects/shop/dropped-packets").status_code == 200
