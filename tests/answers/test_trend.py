"""The trend says of each day what a look at that day's lists says, and looks at no day twice."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.answers import trend as trends
from securitygroups.answers.exposure import address_number
from securitygroups.answers.internet import Internet, look
from securitygroups.answers.trend import Asked, Day, glance, trend
from securitygroups.effective import of_machine, rules_of
from securitygroups.firewall.analysis.internet import internet_exposure
from securitygroups.firewall.analysis.reach import Endpoint
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.past import Past, PastLimits, past
from tests.factories import make_group, make_machine, make_project, make_user, rule

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Callable[[float], Any]]:
    """Goes to a moment so many days before now."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield lambda days: traveller.move_to(NOW - timedelta(days=days))


@pytest.fixture
def old(clock: Callable[[float], Any]) -> Project:
    """A project of forty days ago."""
    clock(40)
    return make_project(make_user("alice"), "Shop")


def change(group: SecurityGroup, *rules: str) -> None:
    group.refresh_from_db()
    by = By(User.objects.get(username="alice"))
    operations.commit_rules(
        group=group, base=group.revision, rules=[rule(one) for one in rules], by=by, summary="Changed."
    )


def attach(machine: VirtualMachine, *groups: SecurityGroup) -> None:
    machine.refresh_from_db()
    by = By(User.objects.get(username="alice"))
    operations.attach_groups(machine=machine, groups=groups, base=machine.revision, by=by)


def asked(project: Project, zone: str = "UTC") -> Asked:
    return Asked(project, ZoneInfo(zone), NOW)


def days(project: Project, zone: str = "UTC") -> list[Day]:
    return trend(asked(project, zone), look(project))


def one_by_one(project: Project, end: datetime) -> tuple[int, int]:
    """How many VMs there were and how many the internet reached, by the list that each VM's page tells."""
    there = [
        vm
        for vm in VirtualMachine.objects.filter(project=project, created_at__lt=end)
        if vm.deleted_at is None or vm.deleted_at >= end
    ]
    before = end - timedelta(microseconds=1)
    lists = [[rules_of(of_machine(vm, before))] for vm in there]
    ends = [Endpoint(at, at, *map(address_number, (vm.ipv4, vm.ipv6))) for at, vm in enumerate(there)]
    found = internet_exposure(lists, ends)
    return len(there), len({key for one in found.exposed for key in one.machines})


@pytest.fixture
def history(old: Project, clock: Callable[[float], Any]) -> Project:
    """Groups and VMs that come, change and go over the month."""
    web = make_group(old, "web", ["accept in tcp 443"])
    ssh = make_group(old, "ssh", ["accept in tcp 22 from 203.0.113.0/24"])
    aimed = make_group(old, "aimed", ["accept in ip to 10.0.0.3/32"])
    for number in range(1, 5):
        make_machine(old, f"vm-{number}", [web, ssh] if number < 3 else [ssh, aimed], ipv4=f"10.0.0.{number}")
    one, two, three, four = VirtualMachine.objects.order_by("pk")
    clock(35)
    change(ssh, "accept in tcp 22")
    clock(34)
    change(ssh, "accept in tcp 22 from 203.0.113.0/24")
    clock(20.1)
    change(ssh, "accept in tcp 22")
    clock(20)
    change(ssh, "accept in tcp 22", "accept in udp 53 from 10.0.0.0/8")
    clock(15)
    change(ssh, "accept in tcp 22 from 203.0.113.0/24")
    clock(12)
    attach(one)
    attach(three, web)
    clock(9)
    operations.delete_machine(machine=two, by=By(User.objects.get(username="alice")))
    make_machine(old, "vm-5", [web], ipv4="10.0.0.5")
    make_machine(old, "no address", [web])
    clock(5)
    operations.delete_group(group=aimed, base=aimed.revision, by=By(User.objects.get(username="alice")))
    attach(four, web, ssh)
    clock(0)
    return old


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland", "America/New_York"])
def test_each_day_is_what_a_look_at_each_vm_says(zone: str, history: Project) -> None:
    found = days(history, zone)

    assert len(found) == 30
    ends = [asked(history, zone).end(day.date) for day in found[:-1]]
    assert [(day.machines, day.open) for day in found[:-1]] == [one_by_one(history, end) for end in ends]
    assert {day.loud for day in found} > {0}
    assert found[-1][1:] == (look(history).machines, look(history).open, look(history).loud, 0)


def test_the_days_are_those_of_the_reader(old: Project, clock: Callable[[float], Any]) -> None:
    clock(0)
    machine = make_machine(old, "vm", [make_group(old, "web", ["accept in tcp 443"])], ipv4="10.0.0.1")
    VirtualMachine.objects.filter(pk=machine.pk).update(created_at=datetime(2026, 3, 19, 3, tzinfo=UTC))

    by_zone = {zone: [day.machines for day in days(old, zone)[-3:]] for zone in ("UTC", "America/New_York")}

    # At three in the morning of the 19th it was still the 18th in New York.
    assert by_zone == {"UTC": [0, 1, 1], "America/New_York": [1, 1, 1]}


def test_a_project_has_no_days_from_before_it_was_there(db: None, clock: Callable[[float], Any]) -> None:
    clock(3)
    project = make_project(make_user("alice"), "New")
    clock(0)

    assert [str(day.date) for day in days(project)] == ["2026-03-17", "2026-03-18", "2026-03-19", "2026-03-20"]


def test_a_second_look_asks_the_shelf_alone(history: Project) -> None:
    today = look(history)
    first = glance(asked(history), today, cheap=True)

    with CaptureQueriesContext(connection) as queries:
        second = glance(asked(history), today, cheap=False)

    assert first == second
    assert len(queries) == 1


def test_the_next_day_only_that_day_is_looked_at(history: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    days(history)
    looked_at: list[int] = []

    def watched(project: Project, moments: Sequence[datetime], limits: PastLimits) -> Past:
        looked_at.append(len(moments))
        return past(project, moments, limits)

    monkeypatch.setattr(trends, "past", watched)

    found = trend(Asked(history, ZoneInfo("UTC"), NOW + timedelta(days=1)), look(history))

    assert looked_at == [1]
    assert (len(found), str(found[0].date)) == (30, "2026-02-20")


def test_a_day_that_has_only_just_ended_is_not_kept(history: Project) -> None:
    midnight = datetime(2026, 3, 20, 0, 5, tzinfo=UTC)
    trend(Asked(history, ZoneInfo("UTC"), midnight), look(history))

    assert glance(Asked(history, ZoneInfo("UTC"), midnight), look(history), cheap=False) is None


def test_what_could_not_be_looked_at_is_counted(history: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    today = look(history)
    monkeypatch.setattr(trends, "GLANCE", PastLimits(machines=500, lists=0, rules=2, aside=True))
    monkeypatch.setattr(trends, "WHOLE", PastLimits(machines=2, lists=400, rules=9_999))

    assert glance(asked(history), today, cheap=True) is None
    found = trend(asked(history), today)

    assert [day.unseen for day in found[:-1]] == [4] * 29
    assert found[0].machines == 6


def test_out_of_time_is_said_and_not_kept(history: Project) -> None:
    late = trend(asked(history), look(history), seconds=-1)
    assert all(day.unseen == day.machines for day in late[:-1])

    assert not any(day.unseen for day in days(history))


def test_what_a_vm_had_in_another_project_is_not_told(history: Project, clock: Callable[[float], Any]) -> None:
    clock(8)
    other = make_project(User.objects.get(username="alice"), "Other")
    clock(4)
    moved = VirtualMachine.objects.get(name="vm-5")
    operations.move_machine(
        machine=moved, target=other, by=By(make_user("admin", is_superuser=True), reason="Asked for")
    )
    clock(0)

    assert [day.machines for day in days(other)] == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert [day.open for day in days(other)] == [0] * 9


def test_more_changes_and_vms_need_no_more_queries(history: Project, clock: Callable[[float], Any]) -> None:
    today: Internet = look(history)
    counts = []
    for turn in range(2):
        with CaptureQueriesContext(connection) as queries:
            trend(asked(history), today, seconds=-1)
        counts.append(len(queries))
        web = SecurityGroup.objects.get(name="web")
        for number in range(20):
            clock(25 - number)
            change(web, f"accept in tcp {443 + number}")
            make_machine(history, f"more-{turn}-{number}", [web], ipv4=f"10.0.{turn + 1}.{number + 1}")
        clock(0)

    assert counts[0] == counts[1]
