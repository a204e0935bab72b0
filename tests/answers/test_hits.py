"""How often rules were met, and since when that is known."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.answers import hits
from securitygroups.answers.hits import Coverage, Hit, hits_of
from securitygroups.models import Project, RuleHits, SecurityGroup, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine

NOW = datetime(2040, 11, 20, 14, 30, tzinfo=UTC)


@pytest.fixture
def group(project: Project) -> SecurityGroup:
    with time_machine.travel(NOW - timedelta(days=40), tick=False):
        return make_group(project, "web", ["accept in tcp 443", "accept in tcp 22"])


@pytest.fixture
def vm(project: Project, group: SecurityGroup) -> VirtualMachine:
    with time_machine.travel(NOW - timedelta(days=40), tick=False):
        return make_machine(project, "web-1", [group])


def counted(vm: VirtualMachine, *days_ago: int) -> None:
    """On these days its host counted, in the hour of now."""
    hours = [NOW.replace(minute=0) - timedelta(days=days) for days in days_ago]
    RuleHits.objects.bulk_create(
        RuleHits(machine=vm, kind="in", what="none", hour=at, packets=1, bytes=60) for at in hours
    )


def midnight(days_ago: int) -> datetime:
    """Of the first day it is not known in which hour counting began, so it is told from the next one on."""
    return NOW.replace(hour=0, minute=0) - timedelta(days=days_ago)


def met(vm: VirtualMachine, uid: str, packets: int, days_ago: int = 0) -> None:
    hour = NOW.replace(minute=0) - timedelta(days=days_ago)
    RuleHits.objects.create(machine=vm, kind="rule", what=uid, hour=hour, packets=packets, bytes=packets)


def ask(group: SecurityGroup) -> hits.Hits:
    with time_machine.travel(NOW, tick=False):
        return hits_of(group, group.attachments.count())


def uid(group: SecurityGroup, place: int) -> str:
    return group.rules.get(position=place).uid


def test_hits_are_added_up_over_vms_and_hours(project: Project, group: SecurityGroup, vm: VirtualMachine) -> None:
    other = make_machine(project, "web-2", [group])
    stranger = make_machine(project, "db-1")
    counted(vm, 0, 1)
    met(vm, uid(group, 1), 5)
    met(vm, uid(group, 1), 2, 1)
    met(other, uid(group, 1), 10, 3)
    met(stranger, uid(group, 1), 100)
    met(vm, uid(group, 1), 1_000, 31)

    found = ask(group)

    assert found.of == {uid(group, 1): Hit(17, NOW.replace(minute=0), 2)}


def test_it_is_told_on_how_many_vms_and_since_when_is_counted(
    project: Project, group: SecurityGroup, vm: VirtualMachine
) -> None:
    assert ask(group).coverage == Coverage(1, 0, None)
    counted(vm, *range(10))
    begun = midnight(8)
    assert ask(group).coverage == Coverage(1, 1, begun)
    assert ask(group).coverage.is_full

    with time_machine.travel(NOW - timedelta(days=20), tick=False):
        other = make_machine(project, "web-2", [group])

    assert ask(group).coverage == Coverage(2, 1, begun)
    counted(other, 1, 2, 3)
    assert ask(group).coverage == Coverage(2, 2, midnight(2))


@pytest.mark.parametrize(
    ("days", "since"), [((0, 1, 2, 4, 5), 1), ((1, 2), 1), ((2, 3), None), ((4, 5), None), (range(31), 29)]
)
def test_a_day_on_which_nobody_counted_begins_it_anew(
    group: SecurityGroup, vm: VirtualMachine, days: tuple[int, ...], since: int | None
) -> None:
    counted(vm, *days)

    assert ask(group).coverage.since == (None if since is None else midnight(since))


def test_other_groups_of_the_vm_begin_it_anew(group: SecurityGroup, vm: VirtualMachine, project: Project) -> None:
    counted(vm, *range(10))
    changed = NOW - timedelta(days=2)
    with time_machine.travel(changed, tick=False):
        operations.attach_groups(
            machine=vm, groups=[make_group(project, "deny", ["drop in all"]), group], base=1, by=By()
        )

    assert ask(group).coverage.since == changed


def test_never_used_is_said_of_full_coverage_alone(project: Project, group: SecurityGroup, vm: VirtualMachine) -> None:
    counted(vm, *range(10))
    met(vm, uid(group, 1), 5)
    found = ask(group)
    added, begun = NOW - timedelta(days=40), midnight(8)

    assert found.never_since(uid(group, 1), added) is None
    assert found.never_since(uid(group, 2), added) == begun
    assert found.never_since(uid(group, 2), NOW - timedelta(days=1)) == NOW - timedelta(days=1)
    assert found.never_since(uid(group, 2), None) is None
    make_machine(project, "web-2", [group])
    assert ask(group).never_since(uid(group, 2), added) is None


def test_of_too_many_vms_nothing_is_added_up(
    group: SecurityGroup, vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(vm, 0)
    met(vm, uid(group, 1), 5)
    monkeypatch.setattr(hits, "MOST_MACHINES", 0)

    found = ask(group)

    assert found.coverage == Coverage(1, too_many=True)
    assert not found.of


def test_it_is_one_query_for_any_number(project: Project, group: SecurityGroup, vm: VirtualMachine) -> None:
    for number in range(5):
        met(make_machine(project, f"vm-{number}", [group]), uid(group, 1), 1)
    other = make_group(project, "other")
    with CaptureQueriesContext(connection) as asked:
        hits.hits_of_groups([group.pk, other.pk])
    assert len(asked) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_vms_it_is_kept_for_a_while(
    project: Project, group: SecurityGroup, vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hits, "KEPT_FROM", 1)
    counted(vm, 0, 1)
    met(vm, uid(group, 1), 5)
    first = ask(group)
    assert first.of == {uid(group, 1): Hit(5, NOW.replace(minute=0), 1)}
    met(vm, uid(group, 1), 7, 1)

    assert ask(group) == first
    with time_machine.travel(NOW + timedelta(minutes=10), tick=False):
        assert hits_of(group, 1).of[uid(group, 1)].packets == 12
