"""Reports as agents send them: what is kept of them, and what no panel breaks on."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.api.agent.answers import Refused
from securitygroups.api.agent.reading import LONGEST_ERROR, LONGEST_LINE, MOST_LINES, read_report
from securitygroups.enforcement import applied
from securitygroups.enforcement.applied import Kind
from securitygroups.models import Host, InForce, Placement, RuleHits, SecurityGroup, VirtualMachine
from tests.factories import make_machine, place
from tests.hosts import Agent, enrolled

VM = "vm-0123456789"
VECTOR = {"attached": 1, "placement": 1, "groups": [["sg-0123456789", 3]], "text": 1}


@pytest.fixture
def pair(machine: VirtualMachine) -> tuple[Host, Agent]:
    host, agent = enrolled()
    place(machine, host, "tap0")
    return host, agent


def test_what_an_agent_applies_is_in_force(pair: tuple[Host, Agent], machine: VirtualMachine) -> None:
    host, agent = pair

    answer = agent.applies()

    assert answer.json() == {"state": agent.state()["ETag"]}
    assert applied.of_machine(machine).kind is Kind.IN_FORCE
    host.refresh_from_db()
    assert f'"{host.state}"' == agent.state()["ETag"]
    assert (host.agent, host.kernel, host.clock) == ("0.1.0", "6.1.0", "synchronised")


def test_a_vm_that_a_host_finds_is_told_to_it_at_once(pair: tuple[Host, Agent], machine: VirtualMachine) -> None:
    _, agent = pair
    db = make_machine(machine.project, "db-1", external_id="5b2f-77", ipv4="10.0.5.5")
    before = agent.state()["ETag"]
    tap = {"tap": "tap1", "vm": "5b2f-77", "mac": "52:54:00:AA:BB:CC", "addresses": ["10.0.5.5", "fe80::1", "x"]}

    answer = agent.report(taps=[{"tap": "tap0", "vm": machine.public_id, "mac": "", "addresses": []}, tap])

    assert answer.json()["state"] != before
    found = next(vm for vm in agent.state(before).json()["vms"] if vm["id"] == db.public_id)
    assert (found["tap"], found["mac"], found["addresses"]) == ("tap1", "52:54:00:aa:bb:cc", ["10.0.5.5"])


def test_hits_of_a_rule_are_kept(pair: tuple[Host, Agent], machine: VirtualMachine, group: SecurityGroup) -> None:
    _, agent = pair
    uid = group.rules.in_order()[1].uid

    agent.report(counters=[[machine.public_id, "rule", uid, 10, 640], [machine.public_id, "in", "none", 2, 80]])

    assert set(RuleHits.objects.values_list("kind", "what", "packets", "bytes")) == {
        ("rule", uid, 10, 640),
        ("in", "none", 2, 80),
    }


def test_a_report_of_another_hosts_vms_changes_nothing_of_theirs(
    pair: tuple[Host, Agent], machine: VirtualMachine
) -> None:
    _, agent = pair
    agent.applies()
    _, other = enrolled("kvm-2")
    before = list(InForce.objects.values()), list(Placement.objects.values())

    other.report(
        vms=[{"id": machine.public_id, "vector": None, "error": "Gone"}],
        taps=[{"tap": "tap0", "vm": machine.public_id, "mac": "", "addresses": []}],
        counters=[[machine.public_id, "in", "none", 1, 1]],
    )

    assert (list(InForce.objects.values()), list(Placement.objects.values())) == before
    assert not RuleHits.objects.exists()


# ── What is odd ───────────────────────────────────────────────────────────────


def read(**said: Any) -> Any:
    return read_report(json.dumps({"format": "karenpanel-report/1", **said}).encode())


def vm(**said: Any) -> Any:
    return read(vms=[{"id": VM, **said}]).vms[0]


def test_what_hosts_write_is_cut_to_one_plain_line() -> None:
    one = vm(error="a\nb\u202e" + "x" * 5000, drift=["\x00" + "y" * 5000] * 5000, since=2**40)

    assert (len(one.error), one.error[:4]) == (LONGEST_ERROR, "a\ufffdb\ufffd")
    assert (len(one.drift), len(one.drift[0]), one.drift[0][0]) == (MOST_LINES, LONGEST_LINE, "\ufffd")
    assert abs(one.since.timestamp() - time.time()) < 5, "no list was loaded after today"
    assert vm(since=0).since is None
    assert vm(error="\ud800").error == "?"


def test_an_interface_is_said_once_and_what_is_no_address_is_left_out() -> None:
    taps = [
        {"tap": "tap0", "vm": VM, "mac": "ff:ff:ff:ff:ff:ff", "addresses": ["10.0.0.1/24", "::1", "x", "2001:db8::1"]},
        {"tap": "tap0", "vm": "other"},
    ]

    [one] = read(taps=taps).taps

    assert (one.vm, one.mac, one.addresses) == (VM, "", ("10.0.0.1", "2001:db8::1"))
    assert read(taps=None).taps is None
    assert read(taps=[]).taps == []


@pytest.mark.parametrize("text", ['"' + "a" * 64 + '"', 'W/"' + "a" * 64 + '"', "a" * 64])
def test_the_state_that_was_taken_is_kept_without_its_quotes(text: str) -> None:
    assert read(state=text).state == "a" * 64


@pytest.mark.parametrize("text", ["", "x", '"' + "g" * 64 + '"'])
def test_a_state_of_another_panel_is_none(text: str) -> None:
    assert read(state=text).state == ""


WRONG: dict[str, Any] = {
    "vms": [
        {},
        [1],
        [{"id": "vm-1"}],
        [{"id": VM, "since": -1}],
        [{"id": VM, "since": True}],
        [{"id": VM, "hash": "x"}],
    ],
    "taps": [{}, [{}], [{"tap": "", "vm": VM}], [{"tap": "t" * 16, "vm": VM}], [{"tap": "tap0", "vm": 1}]],
    "counters": [
        [[]],
        [[VM, "rule", "x", 1]],
        [[VM, "luck", "x", 1, 1]],
        [[VM, "rule", "x", 1.5, 1]],
        [[1, "in", "x", 1, 1]],
    ],
    "missed": [-1, 2**63, "1", None],
    "agent": [1, "x" * 201, None],
    "samples": [None, {}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_what_is_no_report_is_refused_whole(name: str, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        read(**{name: value})

    assert refused.value.code == "invalid"
    assert refused.value.detail.startswith(name)


@pytest.mark.parametrize(
    "value", [{}, {**VECTOR, "attached": "1"}, {**VECTOR, "groups": [["sg"]]}, {**VECTOR, "groups": 1}, 7]
)
def test_what_is_no_vector_is_refused(value: Any) -> None:
    with pytest.raises(Refused):
        vm(vector=value)


@pytest.mark.parametrize("body", [b"", b"x", b"[" * 100_000, b"\xff", b'{"a": NaN', b"1" * 5000])
def test_what_cannot_be_read_is_told_so(body: bytes) -> None:
    with pytest.raises(Refused):
        read_report(body)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("vms", "taps", "counters", "samples", "missed", "agent", "kernel", "state", "clock")


@given(st.dictionaries(st.sampled_from(NAMES), ANY))
def test_whatever_json_comes_is_read_or_refused(said: dict[str, Any]) -> None:
    try:
        read(**said)
    except Refused as refused:
        assert refused.code in ("invalid", "unreadable")
