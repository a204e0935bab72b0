"""Many processes write at once, and some are killed: nothing is lost, doubled, half written or waited for without end."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from securitygroups import operations
from securitygroups.firewall.formats.documents import stored_rules
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import Attachment, GroupRevision, Project, Role, SecurityGroup, User, VirtualMachine, values
from securitygroups.operations import By
from tests.factories import make_group, make_machine, make_project, make_user, ports
from tests.writers import GATE, SMALL

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("concurrency")]
PROCESSES = 8
PATIENCE = 60.0


class Crew:
    """Processes that wait for orders. Those that have been killed are replaced when the next ones come."""

    def __init__(self, size: int) -> None:
        self.processes = [self.new() for _ in range(size)]
        self.heard(self.processes)

    def new(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.writers", connection.settings_dict["NAME"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "karenpanel.settings"},
            cwd=Path(__file__).parents[2],
        )

    def heard(self, speakers: list["subprocess.Popen[str]"]) -> list[Any]:
        """An answer of each, in their order. Where one hangs all are killed, and the silence breaks the test."""
        alarm = threading.Timer(PATIENCE, self.end)
        alarm.start()
        try:
            return [json.loads(process.stdout.readline()) for process in speakers if process.stdout]
        finally:
            alarm.cancel()

    def start(self, orders: list[dict[str, Any]]) -> list["subprocess.Popen[str]"]:
        """Give each order to a process and let all of them start at once."""
        dead = [place for place, process in enumerate(self.processes) if process.poll() is not None]
        for place in dead:
            self.processes[place].communicate()  # closes its pipes
            self.processes[place] = self.new()
        self.heard([self.processes[place] for place in dead])
        busy = self.processes[: len(orders)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
            for process, order in zip(busy, orders, strict=True):
                assert process.stdin
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
            wait_until(lambda: waiting_at_the_gate() == len(busy))
            cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE])
        return busy

    def do(self, orders: list[dict[str, Any]]) -> list[Any]:
        """What they answer."""
        return self.heard(self.start(orders))

    def end(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.communicate()


def count(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchall()[0][0])


def waiting_at_the_gate() -> int:
    return count(
        f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = {GATE}"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )


def others_connected() -> int:
    return count(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def crew(django_db_setup: None, django_db_blocker: Any) -> Iterator[Crew]:
    with django_db_blocker.unblock():
        crew = Crew(PROCESSES)
    yield crew
    crew.end()


def whole(group: SecurityGroup) -> list[GroupRevision]:
    """The group's revisions, once everything that must hold of them and the rows has been looked at."""
    group.refresh_from_db()
    revisions = list(group.revisions.order_by("number"))
    rows = list(group.rules.in_order())
    assert [revision.number for revision in revisions] == list(range(1, group.revision + 1))
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert stored_rules(values(rows)) == stored_rules(operations.rules_at(group, group.revision))
    assert group.events.filter(verb="rules.changed").count() == len(revisions) - 1
    return revisions


def tags(revision: GroupRevision) -> set[str]:
    return {rule.description for rule in operations.rules_at(revision.group, revision.number)}


def test_fifty_commits_from_eight_processes_are_all_there(crew: Crew, project: Project) -> None:
    group = make_group(project)
    every = [f"commit {number}" for number in range(50)]
    begun = time.monotonic()

    conflicts = crew.do([{"do": "add", "group": group.pk, "tags": every[n::PROCESSES]} for n in range(PROCESSES)])

    seconds = time.monotonic() - begun
    print(f"50 commits in {seconds:.2f} s, {50 / seconds:.0f} a second, {conflicts} conflicts")  # noqa: T201
    assert all(isinstance(each, int) for each in conflicts), conflicts
    revisions = whole(group)
    assert len(revisions) == 51
    assert tags(revisions[-1]) == set(every)
    for old, new in pairwise(revisions):
        assert len(tags(new) - tags(old)) == 1
        assert tags(old) <= tags(new)
    assert sum(conflicts) > 0, "nobody met anybody: this tested nothing"


def test_of_two_people_who_commit_at_once_exactly_one_meets_a_conflict(crew: Crew, project: Project) -> None:
    group = make_group(project, rules=ports(*range(1, 21)))
    for base in range(1, 11):
        answers = crew.do([{"do": "remove_first", "group": group.pk, "base": base}] * 2)
        assert Counter(answer.partition(":")[0] for answer in answers) == {"done": 1, "Conflict": 1}

    assert len(operations.rules_at(group, whole(group)[-1].number)) == 10


TAKEN = "ValidationError: The project already has a"


@pytest.mark.parametrize(
    ("kind", "fields", "refusal"),
    [
        ("group", {"name": "Web"}, f"{TAKEN} group of this name: type another."),
        ("machine", {"name": "Web"}, f"{TAKEN} VM of this name: type another."),
        (
            "machine",
            {"ipv4": "10.0.0.1", "name": "vm {}"},
            "ValidationError: Another VM of the project already has this IPv4 address.",
        ),
        ("project", {"name": "New", "slug": "new"}, "ValidationError: Project with this Slug already exists."),
    ],
)
def test_what_can_be_there_once_is_made_once_and_refused_in_words_to_the_others(
    crew: Crew, project: Project, kind: str, fields: dict[str, str], refusal: str
) -> None:
    answers = crew.do(
        [
            {"do": "make", "kind": kind, "project": project.pk, "fields": {k: v.format(n) for k, v in fields.items()}}
            for n in range(PROCESSES)
        ]
    )

    assert Counter(answers) == {"done": 1, refusal: PROCESSES - 1}


@pytest.mark.parametrize("kind", SMALL)
def test_where_one_more_fits_only_one_of_many_at_once_is_made(crew: Crew, project: Project, kind: str) -> None:
    """One of two there may be is there: the owner, a template, a case with one note."""
    group, alice = make_group(project, rules=ports(1)), project.memberships.get().user
    operations.save_template(group=group, name="first", description="", by=By(alice))
    operations.open_case(about=group, packet=Packet(Direction.IN), staff=alice, note="first")

    answers = crew.do([{"do": "make", "kind": kind, "project": project.pk, "fields": {}}] * PROCESSES)

    of = "The case" if kind == "note" else "The project"
    assert answers.count("done") == 1
    refused = {answer.partition(":")[2].partition(":")[0] for answer in answers if answer != "done"}
    assert refused == {f" {of} has its 2 {kind}s already"}


def test_two_owners_who_leave_at_once_do_not_leave_the_project_without_one(crew: Crew) -> None:
    project = make_project(make_user("one"), "Left")
    project.memberships.create(user=make_user("two"), role=Role.OWNER)

    answers = crew.do([{"do": "leave", "member": member.pk} for member in project.memberships.all()])

    assert Counter(answer.partition(":")[0] for answer in answers) == {"done": 1, "ValidationError": 1}
    assert project.memberships.filter(role=Role.OWNER).count() == 1


@pytest.mark.parametrize("other", ["leave", "change_role", "switch_off"])
def test_one_owner_switched_off_while_the_other_goes_leaves_the_project_one(crew: Crew, other: str) -> None:
    for turn in range(5):
        people = [make_user(f"one{turn}"), make_user(f"two{turn}")]
        # Each of them owns another one, too: locks are taken of several projects.
        projects = [make_project(people[0], f"A {turn}"), make_project(people[1], f"B {turn}")]
        for project, person in zip(projects, people[::-1], strict=True):
            project.memberships.create(user=person, role=Role.OWNER)
        member = projects[0].memberships.get(user=people[1]).pk
        second: dict[str, dict[str, Any]] = {
            "leave": {"member": member},
            "change_role": {"member": member, "role": "viewer"},
            "switch_off": {"person": people[1].pk},
        }
        orders = [{"do": "switch_off", "person": people[0].pk}, {"do": other, **second[other]}]

        answers = crew.do(orders)

        assert Counter(answer.partition(":")[0] for answer in answers) == {"done": 1, "ValidationError": 1}, answers
        for project in projects:
            assert project.memberships.filter(role=Role.OWNER, user__is_active=True).exists()


def test_who_was_made_an_owner_while_being_switched_off_is_none_to_who_leaves(crew: Crew) -> None:
    owner, late = make_user("owner"), make_user("late")
    project = make_project(owner, "Shop")
    leaves = {"do": "leave", "member": project.memberships.get().pk}

    with transaction.atomic():
        operations.change_person(person=late, about={"is_active": False}, by=By())
        assert crew.do([{"do": "join", "project": project.pk, "person": late.pk}]) == ["done"]
        leaving = crew.start([leaves])
        wait_until(lambda: count("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'") == 1)

    (answer,) = crew.heard(leaving)
    assert answer.startswith("ValidationError: This is the last owner")
    assert project.memberships.filter(user=owner).exists()


def test_two_superusers_who_switch_each_other_off_take_turns(crew: Crew) -> None:
    one, two = (make_user(name, is_staff=True, is_superuser=True) for name in ("one", "two"))

    answers = crew.do(
        [{"do": "switch_off", "person": each.pk, "by": other.pk} for each, other in ((one, two), (two, one))]
    )

    assert Counter(answer.partition(":")[0] for answer in answers) == {"done": 1, "PermissionDenied": 1}
    assert User.objects.filter(is_superuser=True, is_active=True).count() == 1


def test_groups_are_deleted_while_they_are_attached_without_deadlock_or_ghosts(crew: Crew, project: Project) -> None:
    groups = [make_group(project, f"g{number}") for number in range(14)]
    machines = [make_machine(project, f"vm{number}", groups[number : number + 3]) for number in range(3)]
    keys = [group.pk for group in groups]
    random.shuffle(keys)
    doomed, half = keys[:10], PROCESSES // 2
    attaching = {"do": "attach", "machines": [machine.pk for machine in machines], "groups": keys, "times": 16}

    answers = crew.do([attaching] * half + [{"do": "delete", "groups": doomed[n::half]} for n in range(half)])

    assert all(isinstance(answer, list) for answer in answers), answers
    assert answers[half:] == [[]] * half
    refused = Counter(words.partition(":")[0] for answer in answers[:half] for words in answer)
    assert set(refused) <= {"Conflict", "ValidationError"}, answers
    assert SecurityGroup.objects.live().count() == 4
    assert not Attachment.objects.exclude(group__deleted_at=None).exists()
    for machine in VirtualMachine.objects.all():
        attached = list(machine.attachments.order_by("position"))
        assert [row.position for row in attached] == list(range(1, len(attached) + 1))
        revisions = list(machine.revisions.order_by("number"))
        assert [revision.number for revision in revisions] == list(range(1, machine.revision + 1))
        assert [line["id"] for line in revisions[-1].groups] == [row.group.public_id for row in attached]


def test_processes_killed_in_the_middle_of_commits_lose_nothing_and_leave_nothing_half_done(
    crew: Crew, project: Project
) -> None:
    group = make_group(project)
    acknowledged: list[tuple[int, str]] = []

    victims = crew.start([{"do": "add_for_ever", "group": group.pk, "name": f"p{n}"} for n in range(PROCESSES)])
    # By now each of them is connected, whichever test came first.
    others = others_connected() - PROCESSES
    for victim in victims:
        for _ in range(random.randint(1, 3)):
            acknowledged += map(tuple, crew.heard([victim]))
        time.sleep(random.uniform(0, 0.05))
        victim.send_signal(signal.SIGKILL)
    for victim in victims:
        victim.wait(PATIENCE)
        # The last line may have been cut short.
        lines = victim.stdout.read().splitlines() if victim.stdout else []
        acknowledged += [tuple(json.loads(line)) for line in lines if line.endswith("]")]
    # The server finishes or forgets what the dead had begun, and then their connections.
    wait_until(lambda: others_connected() <= others)

    revisions = whole(group)
    print(f"{len(acknowledged)} commits acknowledged, {len(revisions) - 1} made, {PROCESSES} killed")  # noqa: T201
    assert {process.returncode for process in victims} == {-signal.SIGKILL}
    assert len({number for number, _ in acknowledged}) == len(acknowledged) >= PROCESSES
    for number, tag in acknowledged:
        assert tag in tags(revisions[number - 1])
        assert tag not in tags(revisions[number - 2])
    # Each of the dead may have had one commit under way that nobody was told of.
    assert len(revisions) - 1 - len(acknowledged) <= PROCESSES
