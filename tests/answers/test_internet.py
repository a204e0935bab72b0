"""What the internet reaches is kept once it is found, and found anew as soon as anything of it has changed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext

from karenpanel import shelf
from securitygroups import operations
from securitygroups.answers.exposure import chosen, load
from securitygroups.answers.internet import Internet, internet, look
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_project

pytestmark = pytest.mark.django_db(transaction=True)


def fresh(project: Project, query: str = "") -> Internet:
    return internet(load(chosen(project, query)))


def same(one: Internet, other: Internet) -> bool:
    return replace(one, openings=list(one.openings)) == replace(other, openings=list(other.openings))


def kept() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM answers")
        return int(cursor.fetchone()[0])


def test_a_second_look_reads_no_rule(project: Project, machine: VirtualMachine) -> None:
    first = look(project)

    with CaptureQueriesContext(connection) as queries:
        second = look(project)

    assert same(first, second)
    assert same(second, fresh(project))
    assert len(queries) == 2
    assert not [query for query in queries if "securitygroups_rule" in query["sql"]]


CHANGES: dict[str, Callable[[By, VirtualMachine, SecurityGroup], object]] = {
    "another address": lambda by, vm, group: VirtualMachine.objects.filter(pk=vm.pk).update(ipv6=None),
    "another name": lambda by, vm, group: VirtualMachine.objects.filter(pk=vm.pk).update(name="web-2"),
    "the VM is gone": lambda by, vm, group: operations.delete_machine(machine=vm, by=by),
    "a further VM": lambda by, vm, group: make_machine(vm.project, "web-3", [group], ipv4="10.0.1.13"),
    "other groups": lambda by, vm, group: operations.attach_groups(machine=vm, groups=[], base=vm.revision, by=by),
    "other rules": lambda by, vm, group: operations.commit_rules(
        group=group, base=group.revision, rules=(), by=by, summary="Empty"
    ),
    "the group's name": lambda by, vm, group: operations.update_group(group=group, name="www", description="", by=by),
    "the group is gone": lambda by, vm, group: operations.delete_group(group=group, base=group.revision, by=by),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_seen_at_once(
    change: str, alice: User, project: Project, machine: VirtualMachine, group: SecurityGroup
) -> None:
    before = look(project)
    machine.refresh_from_db()

    CHANGES[change](By(alice), machine, group)

    after = look(project)
    assert same(after, fresh(project))
    assert not same(after, before)


def test_what_was_changed_there_and_back_is_looked_at_again(project: Project, machine: VirtualMachine) -> None:
    look(project)
    for address in ("10.0.1.12", machine.ipv4):
        VirtualMachine.objects.filter(pk=machine.pk).update(ipv4=address)

    look(project)

    assert kept() == 2


def test_a_search_has_an_answer_of_its_own(project: Project, machine: VirtualMachine) -> None:
    make_machine(project, "bare", ipv4="10.0.8.8")

    assert (look(project).machines, look(project, "web").machines, look(project, "nothing").machines) == (2, 1, 0)
    assert same(look(project, "web"), fresh(project, "web"))


def test_an_equal_project_is_not_answered_for(alice: User, project: Project, machine: VirtualMachine) -> None:
    other = make_project(alice, "Twin")
    make_machine(other, "web-1", [make_group(other, "web", ["accept in tcp 443"])], ipv4="10.0.1.11")
    look(project)

    found = look(other)

    assert same(found, fresh(other))
    assert kept() == 2


def test_what_time_ran_out_for_is_not_kept(project: Project, machine: VirtualMachine) -> None:
    assert look(project, seconds=-1).unseen == 1
    assert kept() == 0
    assert look(project).unseen == 0


def test_without_its_table_everything_is_found_anew(project: Project, machine: VirtualMachine) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE answers RENAME TO elsewhere")
    try:
        assert same(look(project), fresh(project))
        assert same(look(project), fresh(project))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO answers")


def test_where_nothing_can_be_written_nothing_fails(project: Project, machine: VirtualMachine) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert same(look(project), fresh(project))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")
    assert kept() == 0


def test_the_shelf_is_bounded_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "ENTRIES", 3)
    monkeypatch.setattr(shelf, "BYTES", 50)
    monkeypatch.setattr(shelf, "LARGEST", 40)
    answers = caches["answers"]

    for number in range(5):
        answers.put(f"small {number}", "x")  # type: ignore[attr-defined]
    held = [answers.look(f"small {number}") for number in range(5)]  # type: ignore[attr-defined]
    answers.put("large", "x" * 40)  # type: ignore[attr-defined]
    answers.put("larger", "x" * 41)  # type: ignore[attr-defined]
    answers.put("last", "x" * 20)  # type: ignore[attr-defined]

    assert held == [None, None, "x", "x", "x"]
    assert [answers.look(key) for key in ("large", "larger", "last")] == [None, None, "x" * 20]  # type: ignore[attr-defined]
