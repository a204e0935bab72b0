"""What the question about many VMs says is what happens: held against the evaluator, VM by VM and packet by packet."""

import random

from securitygroups import operations
from securitygroups.effective import of_machine, rules_of
from securitygroups.firewall.decide import decide
from securitygroups.firewall.deeds import ABOVE, ATTACH, DETACH, FIRST, LAST, MOVE, REPLACE, Deed
from securitygroups.firewall.formats.documents import rules_from_json
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.firewall.values import Packet
from securitygroups.models import Project, VirtualMachine
from securitygroups.operations import By
from securitygroups.proposals import propose_orders
from tests.factories import make_group, make_machine
from tests.firewall.samples import random_packet, random_rule

LOTS, VMS, PACKETS = 8, 5, 30
DENY_ALL = {"action": "drop", "direction": "in", "protocol": "all"}
Verdicts = dict[int, tuple[list[tuple[int, int]], list[bool]]]


def verdicts(vms: list[VirtualMachine], packets: list[Packet]) -> Verdicts:
    """Of each VM its groups in order, and which packets pass."""
    return {
        vm.pk: (
            list(vm.attachments.order_by("position").values_list("position", "group")),
            [decide(rules_of(of_machine(vm)), packet).action.value == "accept" for packet in packets],
        )
        for vm in vms
    }


def test_what_is_shown_is_what_changes_and_undo_is_as_before(project: Project) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    stored = [[random_rule(chance) for _ in range(chance.randint(0, 4))] for _ in range(4)] + [[DENY_ALL]]
    groups = [make_group(project, f"g{n}", rules_from_json(rules)) for n, rules in enumerate(stored)]
    vms = [make_machine(project, f"vm{n}", chance.sample(groups, chance.randint(0, 4))) for n in range(VMS)]
    every = [rule for rules in stored[:-1] for rule in rules]
    packets = [packet_from_json(random_packet(chance, every)) for _ in range(PACKETS)]

    for _ in range(LOTS):
        do, place = chance.choice((ATTACH, DETACH, REPLACE, MOVE)), chance.choice((FIRST, LAST, ABOVE))
        one, other = chance.sample(groups, 2)
        meant = [vm.pk for vm in chance.sample(vms, chance.randint(1, VMS))]
        deed = Deed(do, one.pk, 4, other.pk if do == REPLACE else 0, place)
        proposal = propose_orders(project, VirtualMachine.objects.filter(pk__in=meant), deed, ("Did", ""))
        if not proposal.count:
            continue
        shown = {vm.pk: change for change, its in proposal.preview().differences for vm in its}
        before = verdicts(vms, packets)

        line = operations.regroup_machines(lot=proposal.lot, by=By())

        after = verdicts(vms, packets)
        for pk in before:
            change = shown.get(pk)
            for packet, was, now in zip(packets, before[pk][1], after[pk][1], strict=True):
                allowed = change is not None and any(packet in one.product for one in change.newly_allowed)
                denied = change is not None and any(packet in one.product for one in change.newly_denied)
                assert (allowed, denied) == (now > was, was > now), (seed, deed, packet)
        if chance.random() < 0.5:
            operations.regroup_machines(lot=operations.lot_back(project=project, event=line).lot, by=By())
            assert verdicts(vms, packets) == before, seed
