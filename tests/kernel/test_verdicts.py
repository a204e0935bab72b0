"""The kernel and the panel's evaluator agree: on every verdict, and on the rule that gave it."""

import time
from random import Random, SystemRandom

import pytest

from securitygroups.firewall import nftables
from securitygroups.firewall.nftables import Target, swap
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule
from tests.kernel.conftest import KERNEL
from tests.kernel.host import VM, Host
from tests.kernel.verdicts import mismatches, random_list, random_packet

pytestmark = KERNEL

LISTS, PACKETS = 26, 2000
FIXED_SEED = 20
RANDOM_SEED = SystemRandom().randrange(10**6)


@pytest.mark.parametrize("seed", [FIXED_SEED, None], ids=["fixed", "random"])
def test_kernel_and_evaluator_agree_on_verdict_and_rule(host: Host, target: Target, seed: int | None) -> None:
    # Not among the parameters: the names of tests must be the same in every process that collects them.
    seed = RANDOM_SEED if seed is None else seed
    print(f"seed {seed}")
    random = Random(seed)
    before: list[Rule] = []
    host.load(swap(VM, before, target))
    started = time.monotonic()
    for number in range(LISTS):
        rules = random_list(random)
        packets = [random_packet(random, rules, target) for _ in range(PACKETS)]
        faults = mismatches(host, target, rules, packets, random, before=before)
        assert not faults, f"seed {seed}, list {number}: {len(faults)} differences: " + "; ".join(faults[:5])
        before = rules
    seconds = time.monotonic() - started
    print(f"{target}: {LISTS * PACKETS:,} verdicts, no difference, {LISTS * PACKETS / seconds:,.0f} a second")
