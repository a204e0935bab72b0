"""Where a VM's rules stand, as data and in sentences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.enforcement import applied, desired
from securitygroups.enforcement.applied import Kind
from securitygroups.models import Host, Placement, Project, SecurityGroup, VirtualMachine
from securitygroups.operations import By, Report, SaidOfVm
from tests.enforcement.test_desired import commit, state
from tests.factories import make_host, make_machine, place

# Later than whatever the cast was made at.
START = datetime(2040, 11, 20, 14, 0, tzinfo=UTC)


def clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


@pytest.fixture
def host(machine: VirtualMachine) -> Host:
    """“web-1” stands here; its agent came at 14:00 and has said nothing of it."""
    with time_machine.travel(START, tick=False):
        host, secret = operations.make_host(fields={"name": "kvm-3"}, by=By())
        place(machine, host, "tap0")
        operations.enrol_host(public_id=host.public_id, secret=secret, key="k" * 43, agent="0.1")
    host.refresh_from_db()
    return host


def say(host: Host, minutes: float = 0, **other: Any) -> None:
    """The agent lives, and says of all its VMs that they have what they should have, or what `other` says."""
    vms = [
        SaidOfVm(one["id"], **{"vector": one["vector"], "since": START + timedelta(minutes=minutes)} | _PLAIN | other)
        for one in state(host)["vms"]
    ]
    with time_machine.travel(START + timedelta(minutes=minutes), tick=False):
        operations.heard(host, f"{minutes}".rjust(22, "n"))
        operations.take_report(host=host, report=Report("0.1", "", "", "", 0, vms))


_PLAIN: dict[str, Any] = {"hash": "", "error": "", "drift": (), "cut": 0}


def sentence(machine: VirtualMachine, minutes: float = 0) -> str:
    at = START + timedelta(minutes=minutes)
    with time_machine.travel(at, tick=False):
        return applied.of_machine(machine).sentence(clock)


def test_on_no_host_nothing_is_enforced(machine: VirtualMachine) -> None:
    assert sentence(machine) == "On no host: nothing is enforced."

    place(machine, make_host("kvm-1"))
    assert sentence(machine) == "kvm-1 has no agent yet: nothing is enforced."
    place(machine, None)

    assert sentence(machine) == "On no host: nothing is enforced."


def test_a_change_is_on_its_way_and_then_in_force(host: Host, machine: VirtualMachine, group: SecurityGroup) -> None:
    assert sentence(machine, 0.5) == "Being applied on kvm-3, 30 s."
    say(host, 2)
    assert sentence(machine, 2.5) == "In force on kvm-3 since 14:02."

    with time_machine.travel(START + timedelta(minutes=2, seconds=20), tick=False):
        commit(group, 22)

    assert sentence(machine, 2.4) == "Being applied on kvm-3, 4 s."
    say(host, 2.5)
    assert sentence(machine, 3) == "In force on kvm-3 since 14:02."


@pytest.mark.parametrize("what", ["groups", "interface", "another host"])
def test_whatever_its_host_has_to_know_is_on_its_way_until_the_host_says_it(
    host: Host, machine: VirtualMachine, what: str
) -> None:
    say(host, 1)
    other = host
    with time_machine.travel(START + timedelta(minutes=1, seconds=30), tick=False):
        if what == "groups":
            operations.attach_groups(machine=machine, groups=[], base=1, by=By())
        elif what == "interface":
            place(machine, host, "tap9")
        else:
            other, secret = operations.make_host(fields={"name": "kvm-4"}, by=By())
            operations.enrol_host(public_id=other.public_id, secret=secret, key="l" * 43, agent="0.1")
            place(machine, other, "tap0")

    assert sentence(machine, 1.6) == f"Being applied on {other.name}, 6 s."
    say(other, 1.7)
    assert sentence(machine, 1.8) == f"In force on {other.name} since 14:01."


def test_a_refused_list_is_told_in_the_hosts_words(host: Host, machine: VirtualMachine) -> None:
    say(host, 1, error="Rule 3: no ports of the protocol ah.")

    assert sentence(machine, 1) == "Refused by kvm-3: Rule 3: no ports of the protocol ah."
    assert not applied.of_machine(machine).is_in_force


def test_lines_that_were_changed_by_hand_are_told(host: Host, machine: VirtualMachine) -> None:
    say(host, 1, drift=("- drop", "+ accept"))

    assert sentence(machine, 1) == "Changed by hand on kvm-3, 2 lines."
    assert applied.of_machine(machine).drift == ("- drop", "+ accept")


def test_of_a_silent_host_it_is_told_since_when_and_which_rules_hold(host: Host, machine: VirtualMachine) -> None:
    assert sentence(machine, 1.5) == "kvm-3 silent since 14:00: nothing is known to be in force."
    say(host, 2)

    assert sentence(machine, 2.9) == "In force on kvm-3 since 14:02."
    assert sentence(machine, 10) == "kvm-3 silent since 14:02: the rules of 14:02 hold."


def test_a_revoked_host_keeps_what_it_has(host: Host, machine: VirtualMachine) -> None:
    say(host, 2)
    operations.revoke_host(host=host, by=By())

    assert sentence(machine, 60) == "kvm-3 was revoked: the rules of 14:02 stay there, and no change gets there."


def test_lists_of_another_version_of_the_compiler_are_in_force_and_told_apart(
    host: Host, machine: VirtualMachine
) -> None:
    [told] = state(host)["vms"]
    say(host, 1, vector=told["vector"] | {"text": desired.TEXT + 1})

    with time_machine.travel(START + timedelta(minutes=1), tick=False):
        standing = applied.of_machine(machine)

    assert (standing.kind, standing.outdated) == (Kind.IN_FORCE, True)


def test_what_another_host_said_counts_for_nothing(host: Host, machine: VirtualMachine) -> None:
    say(host, 1)
    place(machine, make_host("kvm-9"), "tap0")
    Placement.objects.update(number=1)

    assert applied.of_machine(machine).kind is Kind.NO_AGENT


# ── Groups and hosts ──────────────────────────────────────────────────────────


def test_of_a_group_it_is_told_on_how_many_vms_it_is_in_force_and_on_which_not(
    host: Host, machine: VirtualMachine, project: Project, group: SecurityGroup
) -> None:
    for number in range(1, 4):
        place(make_machine(project, f"web-{number + 1}", [group]), host, f"tap{number}")
    say(host, 1)
    make_machine(project, "web-9", [group])
    make_machine(project, "other")

    with time_machine.travel(START + timedelta(minutes=1), tick=False):
        found = applied.of_group(group)

    assert found.sentence == "In force on 4 of 5 VMs."
    assert [(one.name, one.kind) for one in found.others] == [("web-9", Kind.NOWHERE)]
    with time_machine.travel(START + timedelta(minutes=1), tick=False):
        assert [one.kind for one in applied.of_host(host)] == [Kind.IN_FORCE] * 4
        assert applied.of_machines([machine.pk])[machine.pk].kind is Kind.IN_FORCE
    assert applied.of_machines([]) == {}


@pytest.mark.parametrize(
    ("on", "of", "words"),
    [
        (0, 0, "On no VM."),
        (1, 1, "In force on its VM."),
        (0, 1, "In force on 0 of 1 VM."),
        (37, 38, "In force on 37 of 38 VMs."),
        (5000, 5000, "In force on all 5,000 VMs."),
    ],
)
def test_how_many_vms_is_said_as_people_say_it(on: int, of: int, words: str) -> None:
    assert applied.GroupStanding(of, on, ()).sentence == words


def test_a_deleted_vm_is_no_vm_of_a_group(host: Host, machine: VirtualMachine, group: SecurityGroup) -> None:
    say(host, 1)
    operations.delete_machine(machine=machine, by=By())

    assert applied.of_group(group).total == 0


def test_one_query_finds_it_for_any_number_of_vms(host: Host, project: Project, group: SecurityGroup) -> None:
    for number in range(1, 30):
        place(make_machine(project, groups=[group]), host, f"tap{number}")

    for ask in (lambda: applied.of_group(group), lambda: applied.of_host(host)):
        with CaptureQueriesContext(connection) as asked:
            ask()
        assert len(asked) == 1


def test_long_waits_are_not_told_in_seconds(host: Host, machine: VirtualMachine) -> None:
    waiting = replace(applied.of_machine(machine), kind=Kind.APPLYING, since=START)

    said = [waiting.sentence(clock, START + timedelta(seconds=seconds)) for seconds in (0, 119, 120, 7200)]

    assert [one.rpartition(", ")[2] for one in said] == ["0 s.", "119 s.", "2 min.", "2 h."]
