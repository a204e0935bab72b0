"""What the packet that opens a connection costs, by the length of the list: divided, and as it was written, in one run."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from statistics import median

import pytest

from securitygroups.firewall.nftables import Target, dispatch, swap
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Rule
from tests.benchmarks.conftest import Ratio
from tests.kernel.frames import opening
from tests.kernel.host import NETWORK, VM, Host, NotHere, ether, host_with_taps
from tests.kernel.verdicts import random_list, random_packets

PACKETS = 600
LIMITS = {100: 15e-6, 1_000: 15e-6, 10_000: 60e-6}
"""Seconds for a first packet, at most."""


def ports(random: Random, length: int) -> list[Rule]:
    return [rule(f"accept in tcp {port}") for port in random.sample(range(1, 65536), length)]


def offices(random: Random, length: int) -> list[Rule]:
    networks = [
        f"{random.randrange(1, 223)}.{random.randrange(256)}.{random.randrange(256)}.0/24" for _ in range(length)
    ]
    return [rule(f"accept in tcp {random.choice((22, 443, 5432))} from {network}") for network in networks]


def of_all_kinds(random: Random, length: int) -> list[Rule]:
    narrow = [one for one in random_list(random, length * 2) if one.source or one.destination or one.port_start]
    return narrow[:length]


@pytest.fixture(scope="module", params=[Target.BRIDGE_MARK, Target.INET], ids=str)
def host(request: pytest.FixtureRequest) -> Iterator[tuple[Target, Host]]:
    try:
        with host_with_taps(request.param) as made:
            yield request.param, made
    except NotHere as reason:
        pytest.skip(str(reason))


def first_packet(host: Host, target: Target, rules: list[Rule], random: Random) -> float:
    """Seconds that a packet takes which no rule accepted before; the median of many."""
    numbered = [replace(one, uid=f"r{place}") for place, one in enumerate(rules)]
    host.load(swap(VM, numbered, target))
    frames = []
    for packet, port in random_packets(random, rules, target, PACKETS).items():
        if packet.direction is Direction.IN:
            mark = random.randbytes(8)
            frames.append(
                (NETWORK, VM.tap, opening(packet, port, ether(NETWORK, target), random, mark).hex(), mark.hex())
            )
    host.order("forget")
    return float(median(host.order("pace", frames=frames)["took"])) / 1e9


@pytest.mark.parametrize("length", LIMITS)
@pytest.mark.parametrize("kind", [ports, offices, of_all_kinds], ids=lambda kind: kind.__name__)
def test_first_packet(
    host: tuple[Target, Host],
    kind: Callable[[Random, int], list[Rule]],
    length: int,
    ratio: Ratio,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target, made = host
    rules = kind(Random(length), length)
    divided = first_packet(made, target, rules, Random(1))
    monkeypatch.setattr(dispatch, "SHORT", len(rules))
    whole = first_packet(made, target, rules, Random(1))
    # A hundred rules of all kinds are hardly longer than a part.
    least = 1 if length > 100 else 0.7
    ratio(
        f"first packet, {length:,} rules of {kind.__name__}, {target}, against the list as it is", divided, whole, least
    )
    ratio(f"first packet, {length:,} rules of {kind.__name__}, {target}, against the limit", divided, LIMITS[length], 1)
