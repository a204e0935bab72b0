"""Several people change the groups of many VMs at the same time: nothing is lost, nobody waits for ever, each undo is exact."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from securitygroups import operations
from securitygroups.firewall.deeds import ATTACH, DETACH, FIRST, LAST, MOVE, Deed
from securitygroups.models import Event, MachineRevision, Project, VirtualMachine
from securitygroups.operations import By, Conflict
from securitygroups.proposals import propose_orders
from tests.factories import make_group, make_machine

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("concurrency")]
THREADS, ROUNDS, VMS = 8, 12, 80


def works(seed: int, project: int, groups: list[int], gate: threading.Barrier) -> tuple[int, int]:
    """Change lots that overlap with others', and take some back; how many landed and how many somebody was quicker than."""
    chance, landed, overtaken = random.Random(seed), 0, 0
    mine = Project.objects.get(pk=project)
    gate.wait()
    try:
        for _ in range(ROUNDS):
            rows = VirtualMachine.objects.filter(name__in=[f"vm{n}" for n in chance.sample(range(VMS), 6)])
            deed = Deed(
                chance.choice((ATTACH, DETACH, MOVE)), chance.choice(groups), 16, 0, chance.choice((FIRST, LAST))
            )
            proposal = propose_orders(mine, rows, deed, ("Did", ""))
            if not proposal.count:
                continue
            try:
                line = operations.regroup_machines(lot=proposal.lot, by=By())
                landed += 1
                if chance.random() < 0.4:
                    operations.regroup_machines(lot=operations.lot_back(project=mine, event=line).lot, by=By())
                    landed += 1
            except Conflict:
                overtaken += 1
    finally:
        connection.close()
    return landed, overtaken


def test_lots_that_overlap_lose_nothing_and_each_undo_is_exact(project: Project) -> None:
    groups = [make_group(project, name) for name in "abcdef"]
    vms = [make_machine(project, f"vm{n}", groups[:2]) for n in range(VMS)]
    gate = threading.Barrier(THREADS)

    with ThreadPoolExecutor(THREADS) as pool:
        keys = [group.pk for group in groups]
        made = list(pool.map(lambda seed: works(seed, project.pk, keys, gate), range(THREADS)))

    landed, overtaken = map(sum, zip(*made, strict=True))
    print(f"{landed} lots landed, {overtaken} were overtaken")  # noqa: T201
    assert landed > THREADS
    assert Event.objects.filter(verb="machine.groups").count() == landed
    for vm in vms:
        vm.refresh_from_db()
        revisions = list(vm.revisions.order_by("number"))
        rows = list(vm.attachments.order_by("position").values_list("position", "group__public_id"))
        assert [one.number for one in revisions] == list(range(1, vm.revision + 1)), "none is lost, none is doubled"
        assert [place for place, _ in rows] == list(range(1, len(rows) + 1))
        assert [key for _, key in rows] == [one["id"] for one in revisions[-1].groups], "the record says what holds"

    undone = Event.objects.filter(verb="machine.groups", summary__startswith="Took back")
    assert undone
    for line in undone:
        for revision in line.regrouped.all():
            earlier = MachineRevision.objects.filter(machine=revision.machine_id, number__lt=revision.number)
            before, its = earlier.order_by("-number")[1], earlier.order_by("-number")[0]
            assert its.together
            assert its.together.summary in line.summary
            assert revision.groups == before.groups
