"""How long nft takes for large lists, whole hosts and one VM's change.

Run by hand: pytest tests/benchmarks/test_nftables.py -o addopts="" -s
"""

import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from securitygroups.firewall.nftables import Tap, host_ruleset, swap
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Network, Rule
from tests.kernel.conftest import KERNEL
from tests.kernel.host import Host, NotHere, empty_host, say

pytestmark = KERNEL

TARGET = Target.INET
REPEATS = 3


def rules_of(random: Random, count: int) -> list[Rule]:
    """Different TCP rules, as a customer would write them."""
    return [
        Rule(
            random.choice(list(Action)),
            random.choice(list(Direction)),
            "tcp",
            Network(4, random.getrandbits(24) << 8, 24),
            None,
            port := random.randrange(65000),
            port + random.randrange(500),
            uid=f"{number:012x}",
        )
        for number in range(count)
    ]


@pytest.fixture
def empty() -> Iterator[Host]:
    try:
        with empty_host(TARGET) as host:
            yield host
    except NotHere as reason:
        pytest.skip(str(reason))


def fastest(work: Callable[[], object]) -> float:
    """Milliseconds of the fastest run: the others were disturbed."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1000


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_one_vm(empty: Host, count: int) -> None:
    vm, rules = Tap("vm-1", "tap0"), rules_of(Random(1), count)
    compiled = fastest(lambda: host_ruleset([(vm, rules)], TARGET))
    text = host_ruleset([(vm, rules)], TARGET)
    loaded = fastest(lambda: empty.load(text))
    counted = fastest(lambda: empty.counters(TARGET))
    say(f"\n{count:,} rules: translated in {compiled:.0f} ms, loaded in {loaded:.0f} ms, counters in {counted:.0f} ms")


def test_one_host_of_500_vms(empty: Host) -> None:
    random = Random(2)
    machines = [(Tap(f"vm-{number}", f"tap{number}"), rules_of(random, 20)) for number in range(500)]
    compiled = fastest(lambda: host_ruleset(machines, TARGET))
    text = host_ruleset(machines, TARGET)
    loaded = fastest(lambda: empty.load(text))
    machine, before = machines[250]
    lists = [before, before[1:]]

    def change() -> None:
        lists.reverse()
        empty.load(swap(machine, lists[0], TARGET, before=lists[1]))

    swapped = fastest(change)
    say(f"\n500 VMs × 20 rules: translated in {compiled:.0f} ms, loaded in {loaded:.0f} ms, one VM in {swapped:.0f} ms")
