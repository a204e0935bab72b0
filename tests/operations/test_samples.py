"""Packets that hosts tell of: added up by the hour, of the host's own VMs, so many and no more, over lists that were there."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Host, MadeOf, Project, SecurityGroup, Traffic, TrafficHour, VirtualMachine
from securitygroups.operations import By, samples
from tests.factories import make_host, make_machine, place, ports, sample, told

NOW = timezone.now().replace(minute=30)


@pytest.fixture
def host(machine: VirtualMachine) -> Host:
    """The VM stands here."""
    host = make_host("kvm-1")
    place(machine, host, "tap0")
    return host


def test_equal_packets_are_one_row_of_an_hour(host: Host, machine: VirtualMachine) -> None:
    later = NOW + timedelta(hours=1)
    with time_machine.travel(later, tick=False):
        first = sample(machine, at=NOW, times=2)
        told(host, first, replace(first, at=NOW + timedelta(seconds=9), source_port=7, times=3))
        told(host, replace(first, at=NOW + timedelta(seconds=4), source_port=8))
        told(host, sample(machine, at=later), sample(machine, at=later, port=23))

    rows = Traffic.objects.order_by("hour", "port").values_list("packets", "source_port", "port", "first_at", "last_at")
    assert list(rows) == [
        (7, 7, 22, NOW, NOW + timedelta(seconds=9)),
        (1, 50123, 22, later, later),
        (1, 50123, 23, later, later),
    ]
    assert list(TrafficHour.objects.order_by("hour").values_list("rows", "beyond")) == [(1, 0), (2, 0)]


def test_each_end_is_kept_by_whose_it_is(host: Host, machine: VirtualMachine) -> None:
    told(host, sample(machine), sample(machine, direction="out", source="10.0.1.11", destination="198.51.100.7"))

    ends = Traffic.objects.order_by("direction").values_list("direction", "peer", "own")
    assert list(ends) == [("in", "203.0.113.9", machine.ipv4), ("out", "198.51.100.7", "10.0.1.11")]


def test_of_vms_that_stand_elsewhere_or_are_gone_nothing_is_kept(host: Host, machine: VirtualMachine) -> None:
    other, nowhere = make_machine(machine.project), make_machine(machine.project)
    place(other, make_host("kvm-2"), "tap0")
    gone = make_machine(machine.project)
    place(gone, host, "tap9")
    operations.delete_machine(machine=gone, by=By())

    told(host, *(sample(one) for one in (other, nowhere, gone)))

    assert not Traffic.objects.exists()


# ── Over which list ───────────────────────────────────────────────────────────


def test_the_list_is_kept_once_as_what_it_was_made_of(
    host: Host, machine: VirtualMachine, group: SecurityGroup
) -> None:
    before = sample(machine)
    operations.commit_rules(group=group, rules=ports(80, 443), base=group.revision, by=By())
    after = sample(machine)
    assert after.vector

    told(
        host, before, replace(before, port=23), replace(after, vector=dict(after.vector) | {"text": 9, "placement": 7})
    )

    first, second = sorted(MadeOf.objects.all(), key=lambda made: dict(made.groups)[group.public_id])
    assert dict(second.groups) == dict(first.groups) | {group.public_id: 2}
    assert Traffic.objects.filter(made_of=first).count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"attached": 99},
        {"groups": []},
        {"groups": [["sg-0123456789", 1]]},
        {"groups": [["{group}", 99]]},
        {"groups": [["{group}", 1], ["{group}", 1]]},
        None,
    ],
)
def test_a_list_that_the_vm_never_had_is_not_believed(
    host: Host, machine: VirtualMachine, group: SecurityGroup, wrong: dict[str, Any] | None
) -> None:
    right = sample(machine).vector
    assert right
    vector = None
    if wrong is not None:
        vector = dict(right) | wrong
        vector["groups"] = [[group.public_id if pk == "{group}" else pk, number] for pk, number in vector["groups"]]

    told(host, sample(machine, vector=vector, reason="rule", rule="0" * 12))

    assert not MadeOf.objects.exists()
    row = Traffic.objects.get()
    assert (row.made_of, row.rule) == (None, "")


def test_what_was_another_customers_stays_theirs(host: Host, machine: VirtualMachine, bakery: Project) -> None:
    theirs = sample(machine, at=timezone.now() - timedelta(seconds=1), reason="rule", rule="0" * 12)
    told(host, replace(theirs, at=timezone.now()))
    operations.move_machine(machine=machine, target=bakery, by=By(reason="They asked for it"))

    told(host, replace(theirs, port=23), replace(theirs, port=24, at=timezone.now()))

    rows = Traffic.objects.order_by("pk").values_list("project__name", "port", "made_of__vector__attached", "rule")
    assert list(rows) == [("Shop", 22, 1, "0" * 12), ("Bakery", 24, None, "")]


# ── How many ──────────────────────────────────────────────────────────────────


def test_a_vm_has_so_many_rows_an_hour_and_a_day_and_the_rest_is_counted(
    host: Host, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MOST_AN_HOUR", 3)
    monkeypatch.setattr(samples, "MOST_A_DAY", 4)
    other = make_machine(machine.project, ipv4="10.0.1.99")
    place(other, host, "tap1")
    noon = NOW.replace(hour=12)
    with time_machine.travel(noon + timedelta(hours=3), tick=False):
        told(host, *(sample(machine, at=noon, port=port, times=5) for port in range(5)), sample(other))
        told(host, sample(machine, at=noon, port=0), sample(machine, at=noon, port=9))
        told(host, *(sample(machine, at=noon + timedelta(hours=1), port=port) for port in range(3)))

    counted = TrafficHour.objects.filter(machine=machine).order_by("hour").values_list("rows", "beyond")
    assert list(counted) == [(3, 11), (1, 2)]
    assert machine.traffic.count() == 4
    assert machine.traffic.get(port=0, hour__hour=12).packets == 6
    assert other.traffic.count() == 1


def test_as_many_queries_for_many_samples_as_for_one(host: Host, machine: VirtualMachine) -> None:
    def queries(*said: operations.Sample) -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            samples.take_samples(host, said)
        return len(seen)

    other = make_machine(machine.project, ipv4="10.0.1.99")
    place(other, host, "tap1")

    assert queries(sample(machine)) == 6
    assert queries(*(sample(vm, port=port) for vm in (machine, other) for port in range(300))) == 6
    assert queries(sample(machine)) == 2


def test_counts_stay_in_their_column_whatever_is_sent(host: Host, machine: VirtualMachine) -> None:
    most = sample(machine, times=2**63 - 1)

    told(host, most, most)
    told(host, most)

    assert Traffic.objects.get().packets == 2**63 - 1
