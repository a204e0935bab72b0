"""What agents report: written where it is new, for the VMs that stand on the host, and counted once an hour."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Host, HostNonce, InForce, RuleHits, SecurityGroup, Traffic, VirtualMachine
from securitygroups.models.hosts import HITS_KEPT, NONCE_KEPT
from securitygroups.operations import By, Counted, Report, SaidOfVm
from tests.factories import make_group, make_host, make_machine, place, sample

AT = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)
VECTOR = {"attached": 1, "placement": 1, "groups": [["sg-0", 3]], "text": 1}


@pytest.fixture
def host(machine: VirtualMachine) -> Host:
    """The VM stands here."""
    host = make_host("kvm-1")
    place(machine, host, "tap0")
    return host


def said(machine: VirtualMachine, **other: Any) -> SaidOfVm:
    fields: dict[str, Any] = {
        "vector": VECTOR,
        "since": AT,
        "hash": "a" * 64,
        "error": "",
        "drift": (),
        "cut": 0,
    } | other
    return SaidOfVm(machine.public_id, **fields)


def send(host: Host, *vms: SaidOfVm, counters: tuple[Counted, ...] = (), **fields: Any) -> None:
    plain: dict[str, Any] = {
        "agent": "0.1",
        "kernel": "6.1.0",
        "state": "e" * 64,
        "clock": "synchronised",
        "missed": 0,
    } | fields
    operations.take_report(host=host, report=Report(**plain, vms=vms, counters=counters))


def test_what_is_in_force_is_kept_as_it_was_said(host: Host, machine: VirtualMachine) -> None:
    send(host, said(machine, error="Rule 3: no.", drift=("- accept", "+ drop"), cut=4))

    row = InForce.objects.get()
    assert (row.placement.machine, row.host, row.vector, row.since, row.hash) == (machine, host, VECTOR, AT, "a" * 64)
    assert (row.error, row.drift, row.cut) == ("Rule 3: no.", ["- accept", "+ drop"], 4)
    host.refresh_from_db()
    assert (host.agent, host.kernel, host.state, host.clock) == ("0.1", "6.1.0", "e" * 64, "synchronised")


def test_what_is_said_again_is_not_written_again(host: Host, machine: VirtualMachine) -> None:
    def version() -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT xmin::text, ctid::text FROM {InForce._meta.db_table}")
            rows = cursor.fetchall()
            cursor.execute(f"SELECT xmin::text, ctid::text FROM {Host._meta.db_table}")
            return [*rows, *cursor.fetchall()]

    send(host, said(machine))
    before = version()

    send(host, said(machine))
    assert version() == before
    send(host, said(machine, drift=("+ drop",)))
    assert version() != before
    send(host, said(machine, vector=None, since=None))
    assert InForce.objects.get().vector is None


def test_of_vms_that_stand_elsewhere_nothing_is_taken(host: Host, machine: VirtualMachine) -> None:
    stranger, other = make_host("kvm-2"), make_machine(machine.project)
    send(host, said(machine))

    count = Counted(machine.public_id, "in", "none", 5, 300)
    send(stranger, said(machine, error="Mine now"), said(other), counters=(count,))
    send(host, said(other))

    row = InForce.objects.get()
    assert (row.host, row.error) == (host, "")
    assert not RuleHits.objects.exists()


def test_of_two_entries_of_one_vm_the_last_one_holds(host: Host, machine: VirtualMachine) -> None:
    send(host, said(machine, error="first"), said(machine, error="last"))

    assert InForce.objects.get().error == "last"


def test_samples_that_were_missed_are_added_up(host: Host) -> None:
    send(host, missed=3)
    send(host, missed=4)

    host.refresh_from_db()
    assert host.missed == 7


def test_a_report_that_comes_again_is_added_up_once(host: Host, machine: VirtualMachine, group: SecurityGroup) -> None:
    hit = Counted(machine.public_id, "rule", group.rules.in_order()[1].uid, 10, 600)
    packet = sample(machine, at=timezone.now())

    for number in ("a" * 22, "a" * 22, "b" * 22):
        send(host, said(machine, cut=7), counters=(hit,), samples=(packet,), missed=3, number=number)

    host.refresh_from_db()
    assert (host.missed, host.counted) == (6, "b" * 22)
    assert (RuleHits.objects.get().packets, Traffic.objects.get().packets) == (20, 2)


def test_what_does_not_add_up_is_taken_from_a_report_that_comes_again(host: Host, machine: VirtualMachine) -> None:
    send(host, said(machine), number="a" * 22)

    send(host, said(machine, error="Rule 3: no."), state="f" * 64, number="a" * 22)

    host.refresh_from_db()
    assert (InForce.objects.get().error, host.state) == ("Rule 3: no.", "f" * 64)


# ── Hits ──────────────────────────────────────────────────────────────────────


def test_hits_are_added_up_by_the_hour(host: Host, machine: VirtualMachine, group: SecurityGroup) -> None:
    uid = group.rules.in_order()[1].uid
    hit = Counted(machine.public_id, "rule", uid, 10, 600)

    with time_machine.travel(AT, tick=False):
        send(host, counters=(hit, hit, Counted(machine.public_id, "in", "none", 1, 60)))
        send(host, counters=(hit,))
    with time_machine.travel(AT + timedelta(hours=1), tick=False):
        send(host, counters=(hit,))

    rows = RuleHits.objects.order_by("hour", "kind").values_list("kind", "what", "hour", "packets", "bytes")
    hour = AT.replace(minute=0)
    assert list(rows) == [
        ("in", "none", hour, 1, 60),
        ("rule", uid, hour, 30, 1800),
        ("rule", uid, hour + timedelta(hours=1), 10, 600),
    ]


def test_of_what_the_vm_does_not_have_no_hits_are_kept(host: Host, machine: VirtualMachine) -> None:
    elsewhere = make_group(machine.project, rules=["drop in all"]).rules.get().uid
    wrong = [("rule", "0" * 12), ("rule", elsewhere), ("in", "made-up"), ("out", "x" * 20)]

    send(host, counters=tuple(Counted(machine.public_id, kind, what, 1, 1) for kind, what in wrong))

    assert not RuleHits.objects.exists()


def test_counts_stay_in_their_column_whatever_is_sent(host: Host, machine: VirtualMachine) -> None:
    most = Counted(machine.public_id, "in", "none", 2**63 - 1, 2**63 - 1)

    send(host, counters=(most,))
    send(host, counters=(most,))

    assert RuleHits.objects.get().packets == 2**63 - 1


# ── That it lives ─────────────────────────────────────────────────────────────


def test_a_nonce_is_new_once_for_its_host(host: Host) -> None:
    assert operations.heard(host, "a" * 22) == (True, None)
    assert operations.heard(host, "a" * 22) == (False, None)
    assert operations.heard(make_host("kvm-2"), "a" * 22) == (True, None)


def test_that_a_host_lives_is_written_every_fifteen_seconds_and_never_for_what_is_sent_again(host: Host) -> None:
    def seen(after: float, nonce: str) -> datetime | None:
        with time_machine.travel(AT + timedelta(seconds=after), tick=False):
            operations.heard(host, nonce * 22)
        host.refresh_from_db()
        return host.seen_at

    assert [seen(0, "a"), seen(5, "b"), seen(10, "c"), seen(16, "d")] == [
        AT, AT, AT, AT + timedelta(seconds=16),
    ]  # fmt: skip
    assert seen(60, "a") == AT + timedelta(seconds=16)


def test_requests_take_away_what_was_sent_long_ago(host: Host) -> None:
    long_ago = timezone.now() - NONCE_KEPT - timedelta(seconds=1)
    HostNonce.objects.bulk_create(HostNonce(host=host, nonce=f"{one:022}", at=long_ago) for one in range(8))

    for letter in "abc":
        operations.heard(host, letter * 22)

    assert HostNonce.objects.count() == 3


def test_what_ended_is_tidied(host: Host, machine: VirtualMachine) -> None:
    now = timezone.now()
    for age in (timedelta(), NONCE_KEPT + timedelta(seconds=1)):
        HostNonce.objects.create(host=host, nonce=f"{age.seconds:022}", at=now - age)
    for age in (timedelta(), HITS_KEPT + timedelta(hours=1)):
        RuleHits.objects.create(machine=machine, kind="in", what="none", hour=now - age, packets=1, bytes=1)

    list(operations.tidy(now))

    assert (HostNonce.objects.count(), RuleHits.objects.count()) == (1, 1)


def test_a_report_costs_as_many_queries_for_thirty_vms_as_for_two(host: Host, machine: VirtualMachine) -> None:
    def costs(number: int) -> int:
        vms = [make_machine(machine.project) for _ in range(number)]
        for at, vm in enumerate(vms):
            place(vm, host, f"tap{number}-{at}")
        hits = tuple(Counted(vm.public_id, "in", "none", 1, 1) for vm in vms)
        with CaptureQueriesContext(connection) as queries:
            send(host, *map(said, vms), counters=hits)
        return len([query for query in queries if "SAVEPOINT" not in query["sql"]])

    costs(1)
    assert costs(30) == costs(2) == 3


def test_a_host_that_is_gone_over_while_it_reports_writes_nothing_twice(host: Host, machine: VirtualMachine) -> None:
    operations.enrol_host(
        public_id=host.public_id,
        secret=operations.offer_enrolment(host=host, by=By()),
        key="k" * 43,
        agent="0.2",
    )

    send(host, said(machine))

    assert InForce.objects.count() == 1
