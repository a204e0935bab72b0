"""The kernel and the panel's evaluator agree: on every verdict, and on the rule that gave it."""

import os
import time
from dataclasses import replace
from random import Random, SystemRandom

import pytest

from securitygroups.firewall.nftables import ruleset as nftables
from securitygroups.firewall.nftables import swap
from securitygroups.firewall.nftables.conditions import conditions
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule, parse_network
from tests.kernel.conftest import KERNEL
from tests.kernel.host import VM, Host, say
from tests.kernel.verdicts import mismatches, random_list, swapped

pytestmark = KERNEL

# Two seeds of these make more than 200,000 verdicts on each target. A kernel in an emulated machine is given fewer.
LISTS, PACKETS = int(os.environ.get("KERNEL_LISTS", "51")), 2000
FIXED_SEED = 20
RANDOM_SEED = SystemRandom().randrange(10**6)


@pytest.mark.parametrize("seed", [FIXED_SEED, None], ids=["fixed", "random"])
def test_kernel_and_evaluator_agree_on_verdict_and_rule(host: Host, target: Target, seed: int | None) -> None:
    # Not among the parameters: the names of tests must be the same in every process that collects them.
    seed = RANDOM_SEED if seed is None else seed
    say(f"seed {seed}")
    random = Random(seed)
    before: list[Rule] = []
    host.load(swap(VM, before, target))
    started = time.monotonic()
    for number in range(LISTS):
        rules = random_list(random)
        faults = mismatches(host, target, rules, PACKETS, random, load=swapped(host, target, before))
        assert not faults, f"seed {seed}, list {number}: {len(faults)} differences: " + "; ".join(faults[:5])
        before = rules
    seconds = time.monotonic() - started
    say(f"{target}: {LISTS * PACKETS:,} verdicts, no difference, {LISTS * PACKETS / seconds:,.0f} a second")


@pytest.mark.parametrize("length", [100, 400, 2000])
def test_kernel_and_evaluator_agree_on_lists_that_are_divided(host: Host, target: Target, length: int) -> None:
    random = Random(RANDOM_SEED + length)
    say(f"seed {RANDOM_SEED + length}")
    before: list[Rule] = []
    host.load(swap(VM, before, target))
    for number in range(3):
        # Rules that take everything end a list for most packets: without them, all of it is asked.
        rules = [rule for rule in random_list(random, length) if number or rule.source or rule.port_start is not None]
        faults = mismatches(host, target, rules, PACKETS, random, load=swapped(host, target, before))
        assert not faults, f"list {number}: {len(faults)} differences: " + "; ".join(faults[:5])
        before = rules


def turned(rule: Rule) -> Rule:
    return replace(rule, direction=Direction.OUT if rule.direction is Direction.IN else Direction.IN)


@pytest.mark.parametrize("broken", ["port", "order", "family", "direction"])
def test_a_compiler_with_a_fault_is_found_out(
    host: Host, target: Target, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above is worth something: each of these faults is a difference in it."""
    chains = nftables._chains
    faults = {
        "port": lambda rule, to: conditions(
            replace(rule, port_end=rule.port_end - 1) if rule.port_end and rule.port_end > rule.port_start else rule, to
        ),
        "family": lambda rule, to: [line.replace("ip saddr 0.0.0.0/0 ", "") for line in conditions(rule, to)],
    }
    if broken in faults:
        monkeypatch.setattr(nftables, "conditions", faults[broken])
    elif broken == "order":
        monkeypatch.setattr(nftables, "_chains", lambda vm, rules, to: chains(vm, rules[::-1], to))
    else:
        monkeypatch.setattr(nftables, "_chains", lambda vm, rules, to: chains(vm, [turned(rule) for rule in rules], to))
    random = Random(FIXED_SEED)
    host.load(swap(VM, [], target))
    rules = [
        Rule(Action.DROP, Direction.IN, "tcp", None, None, 80, 90, uid="a"),
        Rule(Action.ACCEPT, Direction.IN, "tcp", parse_network("0.0.0.0/0"), uid="b"),
        *random_list(random),
    ]
    assert mismatches(host, target, rules, PACKETS, random, load=swapped(host, target, []))
