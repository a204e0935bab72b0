"""Lists are brought in while others change the same VMs and groups: nothing is half written, and nobody waits for ever."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from securitygroups import operations
from securitygroups.inventory import (
    NotAsLookedAt,
    RefusedInventory,
    commit_inventories,
    commit_inventory,
    propose_inventories,
    propose_inventory,
)
from securitygroups.models import Attachment, Event, MachineRevision, Project, SecurityGroup, VirtualMachine
from securitygroups.operations import By, Conflict
from tests.factories import make_group, make_machine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("concurrency")]
THREADS, ROUNDS, VMS = 6, 8, 12
PATIENCE = 60


def listed(chance: random.Random, words: list[str]) -> list[dict[str, Any]]:
    names = chance.sample(range(VMS), VMS)
    return [
        {
            "external_id": f"i-{number}",
            "name": f"vm {names[number]}",
            "ipv4": f"10.0.0.{names[number]}" if names[number] else None,
            "groups": chance.sample(words, 2),
        }
        for number in chance.sample(range(VMS), VMS - 2)
    ]


def at_once(deeds: list[Callable[[], Any]]) -> list[Any]:
    """What they give, begun in one moment, each with a connection of its own."""
    gate = threading.Barrier(len(deeds))

    def do(deed: Callable[[], Any]) -> Any:
        try:
            gate.wait(PATIENCE)
            return deed()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds, timeout=PATIENCE))


def stored(project: Project) -> set[tuple[str, str]]:
    rows = VirtualMachine.objects.live().filter(project=project).exclude(external_id="")
    return set(rows.values_list("external_id", "name"))


def commit(project: Project, entries: list[dict[str, Any]]) -> None:
    commit_inventory(propose_inventory(project, entries), by=By())


def in_step(project: Project) -> bool:
    """Whether each VM's newest revision tells its groups, every one of them is there, and none has a gap in its order."""
    for vm in VirtualMachine.objects.live().filter(project=project):
        rows = list(vm.attachments.order_by("position").select_related("group"))
        newest = MachineRevision.objects.filter(machine=vm).order_by("-number")[0]
        said = [one["id"] for one in newest.groups]
        if newest.number != vm.revision or said != [row.group.public_id for row in rows]:
            return False
        if [row.position for row in rows] != list(range(1, len(rows) + 1)) or any(row.group.deleted_at for row in rows):
            return False
    return not Attachment.objects.filter(machine__deleted_at__isnull=False).exists()


def test_of_two_lists_at_once_one_comes_after_the_other(project: Project) -> None:
    make_group(project, "web")
    lists = [
        [{"external_id": f"i-{n}", "name": f"{word} {n}", "groups": ["web"]} for n in range(100)] for word in ("a", "b")
    ]

    at_once([partial(commit, project, its) for its in lists])

    assert stored(project) in [{(f"i-{n}", f"{word} {n}") for n in range(100)} for word in ("a", "b")]
    assert Event.objects.filter(verb="machine.created").count() == 100
    assert Event.objects.filter(verb="machine.changed").count() == 100
    assert in_step(project)


def test_of_two_who_have_looked_at_the_same_one_is_told_to_look_again(project: Project) -> None:
    plans = [propose_inventory(project, [{"external_id": "i-1", "name": word}]) for word in ("a", "b")]

    def looked(plan: Any) -> str:
        try:
            commit_inventory(plan, by=By(), token=plan.token)
        except NotAsLookedAt:
            return "look again"
        return "written"

    assert sorted(at_once([partial(looked, its) for its in plans])) == ["look again", "written"]
    assert VirtualMachine.objects.count() == 1


def works(seed: int, project: Project, words: list[str]) -> dict[str, int]:
    """Bring lists in, edit VMs, give them groups, delete VMs and groups and make them again; what was how often refused."""
    chance, refused = random.Random(seed), {"conflict": 0, "refused": 0}
    for _ in range(ROUNDS):
        try:
            _one_work(chance, project, words)
        except Conflict:
            refused["conflict"] += 1
        except RefusedInventory as refusal:
            # A group of the list was deleted, and is told as that.
            assert {one.field for plan in refusal.plans for one in plan.refusals} <= {"groups"}
            refused["refused"] += 1
        except ValidationError:
            refused["refused"] += 1
    return refused


def _one_work(chance: random.Random, project: Project, words: list[str]) -> None:
    vms = list(VirtualMachine.objects.live().filter(project=project).order_by("?").select_related("project"))
    groups = list(SecurityGroup.objects.live().filter(project=project).order_by("?").select_related("project"))
    match chance.randrange(6) if vms and groups else 0:
        case 0 | 1:
            commit_inventory(propose_inventory(project, listed(chance, words), allow_gone=VMS), by=By())
        case 2:
            operations.update_machine(machine=vms[0], fields={"description": str(chance.random())}, by=By())
        case 3:
            operations.attach_groups(machine=vms[0], groups=groups[:2], base=vms[0].revision, by=By())
        case 4:
            operations.delete_machine(machine=vms[0], by=By())
        case 5:
            operations.delete_group(group=groups[0], base=groups[0].revision, by=By())
            make_group(project, groups[0].name)


def test_a_list_gets_along_with_all_that_others_do(project: Project) -> None:
    words = [f"g{number}" for number in range(4)]
    for word in words:
        make_group(project, word, ["accept in tcp 22"])
    make_machine(project, "by hand")
    commit_inventory(propose_inventory(project, listed(random.Random(0), words)), by=By())

    at_once([partial(works, seed, project, words) for seed in range(THREADS)])

    assert in_step(project)
    last = listed(random.Random(99), words)
    commit_inventory(propose_inventory(project, last, allow_gone=VMS), by=By())
    assert stored(project) == {(one["external_id"], one["name"]) for one in last}


def test_what_comes_between_the_plan_and_the_locks_is_planned_with(project: Project) -> None:
    """Somebody holds a VM and gives it another group; the list waits, begins anew, and has the last word."""
    web, ssh = make_group(project, "web"), make_group(project, "ssh")
    commit_inventory(propose_inventory(project, [{"external_id": "i-1", "name": "a", "groups": ["web"]}]), by=By())
    vm = VirtualMachine.objects.select_related("project").get()
    plan = propose_inventory(project, [{"external_id": "i-1", "name": "b", "groups": ["web", "ssh"]}])
    began = threading.Event()

    def bring() -> None:
        try:
            began.set()
            commit_inventory(plan, by=By())
        finally:
            connection.close()

    thread = threading.Thread(target=bring)
    with transaction.atomic():
        operations.attach_groups(machine=vm, groups=[ssh], base=vm.revision, by=By())
        thread.start()
        began.wait(PATIENCE)
        waits()
    thread.join(PATIENCE)

    vm = VirtualMachine.objects.get()
    assert (vm.name, vm.revision) == ("b", 3)
    revisions = MachineRevision.objects.order_by("number").values_list("groups", flat=True)
    assert [[group["id"] for group in one] for one in revisions] == [
        [web.public_id],
        [ssh.public_id],
        [web.public_id, ssh.public_id],
    ]


def waits() -> None:
    """Until somebody stands in line for a lock."""
    for _ in range(PATIENCE * 100):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), pg_sleep(0.01) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits")


def test_lists_of_all_projects_at_once_wait_for_each_other_in_one_order(project: Project, bakery: Project) -> None:
    def bring(word: str, slugs: list[str]) -> None:
        for number in range(5):
            its = [{"external_id": f"i-{n}", "name": f"{word} {number} {n}"} for n in range(5)]
            commit_inventories(propose_inventories(dict.fromkeys(slugs, its)), by=By())

    both = [project.slug, bakery.slug]
    at_once([lambda: bring("a", both), lambda: bring("b", both[::-1]), lambda: bring("c", both)])

    assert len({frozenset(stored(one)) for one in (project, bakery)}) == 1
