"""What hosts are told: their VMs with vectors and lists, and an ETag that is another one whenever that is."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.effective import of_machine, rules_of
from securitygroups.enforcement import desired
from securitygroups.firewall.formats.documents import rules_from_json
from securitygroups.models import Event, Host, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_host, make_machine, place, ports


@pytest.fixture
def host(machine: VirtualMachine) -> Host:
    """“web-1” stands here, at tap0."""
    host = make_host("kvm-1")
    place(machine, host, "tap0", mac="52:54:00:00:00:01", addresses=("10.0.1.11", "2001:db8:10:1::11"))
    return host


def state(host: Host) -> dict[str, Any]:
    tag, body = desired.state(host)
    assert tag == desired.etag(host)
    found: dict[str, Any] = json.loads(body)
    return found


def commit(group: SecurityGroup, *numbers: int) -> None:
    group.refresh_from_db()
    operations.commit_rules(group=group, rules=ports(*numbers), base=group.revision, by=By())


def test_the_state_says_all_that_a_host_should_have(host: Host, machine: VirtualMachine, group: SecurityGroup) -> None:
    told = state(host)

    outbound = machine.groups.get(name="outbound")
    vector = {
        "attached": 1,
        "placement": 1,
        "groups": [[group.public_id, 1], [outbound.public_id, 1]],
        "text": desired.TEXT,
    }
    assert told["vms"] == [
        {
            "id": machine.public_id,
            "name": "web-1",
            "tap": "tap0",
            "mac": "52:54:00:00:00:01",
            "addresses": ["10.0.1.11", "2001:db8:10:1::11"],
            "held": True,
            "vector": vector,
        }
    ]
    own = {
        "format": "karenpanel-state/1",
        "host": host.public_id,
        "target": "bridge",
        "taps": "tap*",
        "drift": "repair",
    }
    assert {name: told[name] for name in told if name not in ("vms", "groups")} == own | {"cut": False, "log": 7}
    assert {(one["id"], one["revision"]) for one in told["groups"]} == {(group.public_id, 1), (outbound.public_id, 1)}


def test_a_vms_list_is_its_groups_lists_in_the_order_of_its_vector(host: Host, machine: VirtualMachine) -> None:
    told = state(host)

    lists = {one["id"]: one["rules"] for one in told["groups"]}
    rules = [rule for public_id, _ in told["vms"][0]["vector"]["groups"] for rule in lists[public_id]]
    effective = rules_of(of_machine(machine))
    read = rules_from_json([{key: value for key, value in rule.items() if key != "id"} for rule in rules])
    assert (read, [rule["id"] for rule in rules]) == (effective, [rule.uid for rule in effective])
    assert len(read) == 7


def test_a_host_without_vms_is_told_so(db: None) -> None:
    told = state(make_host(log=None))

    assert (told["vms"], told["groups"], told["log"]) == ([], [], None)


def test_each_group_is_told_once_and_only_those_of_the_hosts_vms(
    host: Host, project: Project, group: SecurityGroup
) -> None:
    place(make_machine(project, "web-2", [group]), host, "tap1")
    place(make_machine(project, "elsewhere", [make_group(project, "other", ["drop in all"])]), make_host(), "tap0")
    place(make_machine(project, "without groups"), host, "tap2")

    told = state(host)

    assert sorted(vm["name"] for vm in told["vms"]) == ["web-1", "web-2", "without groups"]
    assert len(told["groups"]) == 2


def test_what_was_kept_before_there_was_the_rule_for_texts_is_told_with_marks(
    host: Host, machine: VirtualMachine, group: SecurityGroup
) -> None:
    group.rules.filter(position=1).update(description="a\u202eb")
    VirtualMachine.objects.filter(pk=machine.pk).update(name="w\u200beb")

    told = state(host)

    first = next(one for one in told["groups"] if one["id"] == group.public_id)["rules"][0]
    assert (first["description"], told["vms"][0]["name"]) == ("a\ufffdb", "w\ufffdeb")


# ── Addresses ─────────────────────────────────────────────────────────────────


def test_where_nobody_else_has_said_what_a_vm_sends_from_it_is_held_to_its_own_addresses(
    host: Host, project: Project
) -> None:
    vm = make_machine(project, "own", ipv4="10.0.7.7")
    nobody = make_machine(project, "nobody")
    router = make_machine(project, "router", ipv4="10.0.7.1")
    for at, (one, held) in enumerate(((vm, True), (nobody, True), (router, False)), 1):
        place(one, host, f"tap{at}", held=held)

    told = {one["name"]: (one["addresses"], one["held"]) for one in state(host)["vms"]}

    assert told["own"] == (["10.0.7.7"], True)
    assert told["router"] == (["10.0.7.1"], False)
    assert told["nobody"] == ([], False), "held to nothing it could send nothing"


def test_other_addresses_of_its_own_get_to_the_host_where_they_count(host: Host, project: Project) -> None:
    vm = make_machine(project, "own", ipv4="10.0.7.7")
    place(vm, host, "tap1")
    web = VirtualMachine.objects.get(name="web-1")

    for one in (vm, web):
        operations.update_machine(machine=one, fields={"ipv4": "10.0.9.9" if one == vm else "10.0.9.8"}, by=By())

    told = {one["name"]: (one["addresses"], one["vector"]["placement"]) for one in state(host)["vms"]}
    assert told == {"own": (["10.0.9.9"], 2), "web-1": (["10.0.1.11", "2001:db8:10:1::11"], 1)}


def test_other_addresses_of_a_platforms_list_get_to_the_host_too(host: Host, project: Project, alice: User) -> None:
    put = operations.put_machine(
        project=project, external_id="i-1", fields={"name": "vm", "ipv4": "10.0.7.7"}, by=By(alice)
    )
    place(put.machine, host, "tap1")
    old, new = {"ipv4": "10.0.7.7"}, {"ipv4": "10.0.7.8"}
    change = operations.Changing(
        1, put.machine.pk, put.machine.public_id, "i-1", "vm", put.machine.revision, old, new, (), ()
    )
    lot = operations.InventoryLot(project, changed=(change,))

    operations.bring_inventories(projects=[project], plan=lambda locked: [lot], by=By(alice))

    told = next(one for one in state(host)["vms"] if one["name"] == "vm")
    assert (told["addresses"], told["vector"]["placement"]) == (["10.0.7.8"], 2)


# ── ETags ─────────────────────────────────────────────────────────────────────


Change = Callable[[VirtualMachine, Host], object]


def setting(name: str, value: object, vm: VirtualMachine, host: Host) -> None:
    operations.change_host(host=host, fields={name: value}, by=By())


CHANGES: dict[str, Change] = {
    "rules": lambda vm, host: commit(vm.groups.get(name="web"), 22),
    "order of groups": lambda vm, host: operations.attach_groups(
        machine=vm, groups=list(vm.groups.order_by("-attachments__position")), base=1, by=By()
    ),
    "interface": lambda vm, host: place(vm, host, "tap7"),
    "addresses": lambda vm, host: place(vm, host, "tap0", addresses=("10.9.9.9",)),
    "held": lambda vm, host: place(vm, host, "tap0", addresses=("10.0.1.11", "2001:db8:10:1::11"), held=False),
    "name": lambda vm, host: operations.update_machine(machine=vm, fields={"name": "other"}, by=By()),
    "taken off": lambda vm, host: place(vm, None),
    "deleted": lambda vm, host: operations.delete_machine(machine=vm, by=By()),
    "another VM": lambda vm, host: place(make_machine(vm.project), host, "tap1"),
    **{
        name: partial(setting, name, value)
        for name, value in (("target", "inet"), ("taps", "ta*"), ("drift", "report"), ("cut", True), ("log", 8))
    },
}
NO_CHANGES: dict[str, Change] = {
    "a group that it has not": lambda vm, host: commit(make_group(vm.project, "else"), 22),
    "its description": lambda vm, host: operations.update_machine(machine=vm, fields={"description": "x"}, by=By()),
    "the group's name": lambda vm, host: operations.update_group(
        group=vm.groups.get(name="web"), name="renamed", description="", by=By()
    ),
    "the host's name": lambda vm, host: operations.change_host(host=host, fields={"name": "x"}, by=By()),
    "another host's VM": lambda vm, host: place(make_machine(vm.project), make_host(), "tap1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_etag_is_another_after_whatever_the_host_has_to_know(
    host: Host, machine: VirtualMachine, change: Change
) -> None:
    before = desired.etag(host)

    change(machine, host)

    assert desired.etag(host) != before
    assert len(before) == 64


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_the_etag_stays_where_nothing_of_it_is_the_hosts_matter(
    host: Host, machine: VirtualMachine, change: Change
) -> None:
    before = desired.etag(host)

    change(machine, host)

    assert desired.etag(host) == before


@contextmanager
def queries(number: int) -> Iterator[None]:
    with CaptureQueriesContext(connection) as asked:
        yield
    assert len(asked) == number, [query["sql"] for query in asked]


def test_whatever_a_host_has_one_query_asks_for_it_and_the_etag_reads_no_rules(host: Host, project: Project) -> None:
    for number in range(1, 30):
        place(make_machine(project, groups=[make_group(project, rules=["drop in all"])]), host, f"tap{number}")

    with CaptureQueriesContext(connection) as asked:
        desired.etag(host)
    assert len(asked) == 1
    assert "securitygroups_rule" not in asked[0]["sql"]
    with queries(1):
        _, body = desired.state(host)

    assert len(json.loads(body)["groups"]) == 31


def test_a_commit_of_rules_writes_nothing_for_any_host(host: Host, project: Project, group: SecurityGroup) -> None:
    for number in range(1, 10):
        place(make_machine(project, groups=[group]), host, f"tap{number}")
    events = Event.objects.count()

    with CaptureQueriesContext(connection) as asked:
        commit(group, 22)

    assert not [query for query in asked if "_host" in query["sql"] or "_placement" in query["sql"]]
    assert not [query for query in asked if "NOTIFY" in query["sql"].upper()]
    assert Event.objects.count() == events + 1


def test_a_state_that_no_agent_takes_is_not_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desired, "LARGEST", 1000)

    with pytest.raises(desired.TooLong):
        desired.state(host)
