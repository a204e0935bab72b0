"""What the panel says is read strictly: what is wrong with all of it is refused, what is wrong with one VM is that VM's fault."""

from pathlib import Path
from typing import Any

import pytest

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.kept import Kept, read_kept
from securitygroups.agent.state import BadState, State, read_state
from securitygroups.agent.vectors import NoVector, Vector, read_vector
from securitygroups.firewall.platform import Target
from tests.agent.stand import machine, rules, state

WEB = ("sg-web", 1)
GROUPS = {WEB: rules("web: accept in tcp 80", "none: drop in all"), ("sg-out", 4): rules("out: accept out all")}


def said(*machines: dict[str, Any], groups: Any = None, **more: Any) -> Any:
    return state(Target.BRIDGE, GROUPS if groups is None else groups, *machines, **more)


def newest(*machines: dict[str, Any], groups: Any = None) -> State:
    return read_state(said(*machines, groups=groups))


def test_a_vms_list_is_its_groups_lists_in_the_vectors_order() -> None:
    read = newest(machine("vm-1", "tap0", ("sg-out", 4), WEB))

    listed = read.rules_of(read.machines[0])

    assert [rule.uid for rule in listed if not isinstance(rule, str)] == ["out", "web", "none"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "karenpanel-state/2"},
        {"more": 1},
        {"target": "ebtables"},
        {"drift": "ignore"},
        {"cut": 1},
        {"log": 70_000},
        {"log": True},
        {"taps": None},
        {"host": "../x"},
        {"groups": {}},
        {"vms": [1]},
        {"vms": [{"id": "../../etc/passwd"}]},
        {"vms": [machine("vm-1", "tap0"), machine("vm-1", "tap1")]},
        {"groups": [{"id": "sg-1", "revision": -1, "rules": []}]},
        {"groups": [{"id": "sg-1", "revision": 1}]},
    ],
    ids=str,
)
def test_what_is_wrong_with_all_of_it_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadState):
        read_state({**said(machine("vm-1", "tap0", WEB)), **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 1},
        {"tap": None},
        {"mac": 5},
        {"held": "yes"},
        {"addresses": "10.0.0.1"},
        {"addresses": [1]},
        {"more": 1},
        {"vector": None},
        {"vector": {"attached": 1}},
        {"vector": {"attached": True, "placement": 1, "groups": [], "text": 2}},
        {"vector": {"attached": 1, "placement": 1, "groups": [["sg-web"]], "text": 2}},
        {"vector": {"attached": 1, "placement": 1, "groups": [["sg-web", "1"]], "text": 2}},
        {"vector": {"attached": 1, "placement": 1, "groups": [["sg-web", 9]], "text": 2}},
    ],
    ids=str,
)
def test_what_is_wrong_with_a_vm_is_that_vms_fault(wrong: dict[str, Any]) -> None:
    read = newest({**machine("vm-1", "tap0", WEB), **wrong}, machine("vm-2", "tap1", WEB))

    bad, good = (read.rules_of(one) for one in read.machines)

    assert isinstance(bad, str)
    assert bad
    assert isinstance(good, tuple)


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "quic"},
        {"action": "reject"},
        {"id": "a b"},
        {"id": None},
        {"interface": "eth0"},
        {"description": 1},
        {"port_start": "80"},
        {"source": "10.0.0.1/8/8"},
    ],
    ids=str,
)
def test_a_rule_that_is_not_known_here_is_the_fault_of_those_who_have_its_group(wrong: dict[str, Any]) -> None:
    groups = {WEB: [{**GROUPS[WEB][0], **wrong}], ("sg-out", 4): GROUPS["sg-out", 4]}
    read = newest(machine("vm-1", "tap0", WEB), machine("vm-2", "tap1", ("sg-out", 4)), groups=groups)

    bad, good = (read.rules_of(one) for one in read.machines)

    assert isinstance(bad, str)
    assert "sg-web" in bad
    assert isinstance(good, tuple)


def vector(attached: int, placement: int, *groups: tuple[str, int], text: int = 2) -> Vector:
    return Vector(attached, placement, groups, text)


NOW = vector(5, 3, ("sg-a", 7), ("sg-b", 2))


@pytest.mark.parametrize(
    ("said_now", "older"),
    [
        (NOW, False),
        (vector(6, 1, ("sg-a", 7)), False),
        (vector(5, 4, ("sg-a", 8), ("sg-b", 2)), False),
        (vector(6, 3, ("sg-b", 2), ("sg-c", 1)), False),
        (vector(5, 3, ("sg-a", 7), ("sg-b", 2), text=1), False),
        (vector(4, 9, ("sg-a", 9)), True),
        (vector(5, 2, ("sg-a", 7), ("sg-b", 2)), True),
        (vector(5, 3, ("sg-a", 7), ("sg-b", 1)), True),
        (vector(9, 9, ("sg-b", 2), ("sg-a", 6)), True),
    ],
)
def test_a_vector_is_older_where_something_in_it_was_overtaken(said_now: Vector, older: bool) -> None:
    assert said_now.is_older_than(NOW) is older


def test_a_vector_comes_back_from_its_document() -> None:
    assert read_vector(NOW.document()) == NOW
    with pytest.raises(NoVector):
        read_vector([1])


def test_what_was_in_force_is_kept_until_the_new_is(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    first = newest(machine("vm-1", "tap0", WEB))
    kept, older = Kept(State(first.settings)).taken(first, '"1"', "key")
    assert (kept.held, older) == ({}, {})
    second = newest(machine("vm-1", "tap0", ("sg-web", 2)), groups={("sg-web", 2): rules("web: accept in tcp 81")})

    kept, _ = kept.taken(second, '"2"', "key")
    kept.write(file)

    found = read_kept(file)
    assert found is not None
    assert (found.etag, found.key) == ('"2"', "key")
    ports = []
    for one in (found.state.machines[0], found.held["vm-1"]):
        listed = found.state.rules_of(one)
        assert isinstance(listed, tuple)
        ports.append(listed[0].port_start)
    assert ports == [81, 80]


def test_of_an_older_list_nothing_is_taken_but_by_a_host_that_enrolled_anew() -> None:
    newer = newest(machine("vm-1", "tap0", ("sg-out", 4)), machine("vm-2", "tap1", WEB))
    kept, _ = Kept(State(newer.settings)).taken(newer, '"1"', "key")
    past = newest(
        machine("vm-1", "tap0", ("sg-out", 3)),
        machine("vm-2", "tap1", WEB, attached=2),
        groups={**GROUPS, ("sg-out", 3): []},
    )

    after, older = kept.taken(past, '"2"', "key")
    anew, none_older = kept.taken(past, '"2"', "another key")

    assert list(older) == ["vm-1"]
    assert [one.vector.groups for one in after.state.machines if one.vector] == [(("sg-out", 4),), (WEB,)]
    assert ("sg-out", 4) in after.state.groups
    assert none_older == {}
    assert anew.state.machines[0].vector == past.machines[0].vector


def test_a_file_that_is_not_the_agents_is_said(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    assert read_kept(file) is None

    wrong: list[Any] = [[], {"format": "karenpanel-agent-state/1"}, {"format": "x"}]
    for value in wrong:
        disk.write_json(file, value)
        with pytest.raises(Unreadable):
            read_kept(file)
