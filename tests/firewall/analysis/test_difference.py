"""The difference of two lists, held against the one evaluator."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall.analysis.difference import Difference, changed_places, difference
from securitygroups.firewall.analysis.products import ALL_PORTS, AddressRange, Product, is_every_ip, is_whole
from securitygroups.firewall.decide import decide
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Network, Packet, Rule
from tests.firewall.strategies import (
    crossing_strips,
    edited,
    mixed,
    packets,
    pairs_of_lists,
    random_packet,
    rule_lists,
    tight,
)

Rules = tuple[Rule, ...]


def agrees(found: Difference, old: Rules, new: Rules, packet: Packet) -> bool:
    """Whether the difference says about one packet what the evaluator says, the deciding rules included."""
    before, after = decide(old, packet), decide(new, packet)
    hits = [
        (side, c) for side in ("newly_allowed", "newly_denied") for c in getattr(found, side) if packet in c.product
    ]
    if before.action is after.action:
        return not hits
    side = "newly_allowed" if after.action is Action.ACCEPT else "newly_denied"
    return len(hits) == 1 and hits[0][0] == side and before.rule in hits[0][1].before and after.rule in hits[0][1].after


def test_agrees_with_the_evaluator_on_fifty_thousand_packets() -> None:
    """Seeded pairs of lists, both families: no packet is told wrongly, and every sample packet is what it says."""
    looked_at = 0
    versions = set()
    for old, new, random in pairs_of_lists(20260301, 350):
        found = difference(old, new)
        assert not found.too_fine
        for _ in range(150):
            packet = random_packet(random)
            assert agrees(found, old, new, packet), (old, new, packet)
            looked_at += 1
        for change in (*found.newly_allowed, *found.newly_denied):
            assert agrees(found, old, new, change.sample), (old, new, change)
            assert change.sample in change.product
            versions.add(change.sample.version)
        assert found.decides_same == (not found.newly_allowed and not found.newly_denied)
    assert looked_at >= 50_000
    assert versions == {4, 6, None}


@settings(max_examples=60, deadline=None)
@given(st.data(), rule_lists(), rule_lists())
def test_agrees_with_the_evaluator_near_the_edges(data: st.DataObject, old: Rules, new: Rules) -> None:
    """Shrinks to the smallest pair of lists that is told wrongly."""
    found = difference(old, new)
    for _ in range(8):
        packet = data.draw(packets((*old, *new)))
        assert agrees(found, old, new, packet)


@pytest.mark.parametrize("make", [tight, mixed])
def test_agrees_on_lists_that_are_split(make: type) -> None:
    """Large lists, cut in several pieces and folded again."""
    random = Random(5)
    old = make(random, 700)
    new = (*old[:200], rule("drop in ip from 10.0.0.0/8"), *make(random, 100), *old[250:])
    found = difference(old, new)
    assert not found.unknown
    named = [n for r in (*old, *new) if (n := r.source) is not None]
    ports = [p for r in new if (p := r.port_start) is not None]
    for _ in range(300):
        network = random.choice(named)
        packet = Packet(
            random.choice(tuple(Direction)),
            network.version,
            random.choice((6, 17)),
            random.choice((network.first, network.last, network.last ^ 1)),
            7,
            random.choice(ports),
        )
        assert agrees(found, old, new, packet)


def test_one_rule_reads_as_one_line() -> None:
    """A new rule at the end: the traffic, what decides now, what did before, and a packet to try."""
    old = (rule("accept in tcp 443"),)
    found = difference(old, (*old, rule("accept in tcp 22")))
    (change,) = found.newly_allowed
    assert found.newly_denied == ()
    assert not found.decides_same
    assert change.product.protocols == ("tcp",)
    assert change.product.ports == ((22, 22),)
    assert not change.product.portless
    assert change.product.versions == (4, 6)
    assert all(is_whole(change.product.sources, version) for version in (4, 6))
    assert (change.before, change.after) == ((None,), (2,))
    assert change.sample == Packet(Direction.IN, 4, 6, 0xCB007109, 0x0A000005, 22)


def test_order_alone_decides_the_same() -> None:
    """Two rules of one action change places."""
    old = (rule("accept in tcp 22"), rule("accept in ip from 10.0.0.0/8"), rule("drop in all"))
    new = (old[1], old[0], old[2])
    assert difference(old, new) == Difference((), (), decides_same=True)
    assert sorted(map(sorted, changed_places(old, new))) == [[1], [2]]


def test_order_that_matters_is_told() -> None:
    """An exception moved above what shadows it."""
    old = (rule("drop in ip from 10.0.0.0/8"), rule("accept in tcp 22 from 10.1.0.0/16"))
    (change,) = difference(old, old[::-1]).newly_allowed
    assert change.product.sources == (AddressRange(4, 0x0A010000, 0x0A01FFFF),)
    assert (change.before, change.after) == ((1,), (1,))


def test_two_halves_are_the_whole() -> None:
    """A rule replaced by two that cover the same together, and by one too few."""
    old = (rule("accept in tcp 1-100 from 10.0.0.0/8"),)
    new = (rule("accept in tcp 1-100 from 10.0.0.0/9"), rule("accept in tcp 1-100 from 10.128.0.0/9"))
    assert difference(old, new).decides_same
    (change,) = difference(old, (rule("accept in tcp 1-100 from 10.0.0.0/9"),)).newly_denied
    assert change.product.sources == (AddressRange(4, 0x0A800000, 0x0AFFFFFF),)
    assert change.product.ports == ((1, 100),)


def test_every_port_is_more_than_the_whole_range() -> None:
    """A later fragment has no port: only a rule without a range takes it."""
    (change,) = difference((rule("accept in tcp"),), (rule("accept in tcp 0-65535"),)).newly_denied
    assert change.product.ports == ()
    assert change.product.portless
    assert change.sample.port is None
    assert change.sample.protocol == 6


def test_port_zero_is_a_port() -> None:
    """And no other one is let through with it."""
    (change,) = difference((), (rule("accept in udp 0"),)).newly_allowed
    assert change.product.ports == ((0, 0),)
    assert change.sample.port == 0


def test_ipv4_alone_says_nothing_of_ipv6() -> None:
    """0.0.0.0/0 is not "any"."""
    (change,) = difference((rule("accept in ip"),), (rule("accept in ip from 0.0.0.0/0"),)).newly_denied
    assert change.product.versions == (6,)
    assert change.product.every_protocol
    assert change.sample.version == 6


def test_everything_is_one_product() -> None:
    """All protocols, both families and the frames that are not IP; IP alone leaves the frames out."""
    (everything,) = difference((), (rule("accept in all"),)).newly_allowed
    assert everything.product.non_ip
    assert is_every_ip(everything.product)
    (ip,) = difference((), (rule("accept in ip"),)).newly_allowed
    assert not ip.product.non_ip
    assert is_every_ip(ip.product)
    (frames,) = difference((rule("accept in ip"),), (rule("accept in all"),)).newly_allowed
    assert frames.product == Product(Direction.IN, non_ip=True)
    assert frames.sample == Packet(Direction.IN)


def test_rules_that_are_off_change_nothing() -> None:
    """Nor does a description."""
    on = rule("accept in tcp 22", description="Office")
    assert difference((), (rule("accept in tcp 22", enabled=False),)).decides_same
    assert difference((rule("accept in tcp 22"),), (on,)).decides_same


def test_crossing_strips_are_a_few_products() -> None:
    """500 hosts on any port crossing 500 ports of any host: what an Accept IP at the end lets through is short."""
    strips = crossing_strips(1000)
    found = difference(strips, (*strips, rule("accept in ip")))
    assert not found.too_fine
    assert found.newly_denied == ()
    assert len(found.newly_allowed) <= 8
    random = Random(3)
    new = (*strips, rule("accept in ip"))
    for _ in range(300):
        host = (10 << 24) + random.randrange(-3, 1005)
        port = random.choice((None, random.randrange(990, 2010)))
        packet = Packet(Direction.IN, 4, random.choice((6, 6, 17)), host, 1, port)
        assert agrees(found, strips, new, packet)
    tcp = next(c.product for c in found.newly_allowed if c.product.protocols == ("tcp",) and 4 in c.product.versions)
    assert tcp.portless
    assert len(tcp.ports) == 501
    assert len([r for r in tcp.sources if r.version == 4]) == 501


def test_too_fine_is_told_and_what_is_listed_is_true() -> None:
    """Past every cap there is an answer, and it says that it is not all."""
    strips = crossing_strips(12_000)
    new = (*strips, rule("accept in ip"))
    found = difference(strips, new)
    assert found.too_fine
    assert not found.decides_same
    assert found.unknown
    assert all(agrees(found, strips, new, change.sample) for change in found.newly_allowed)
    hidden = Packet(Direction.IN, 4, 6, (10 << 24) + 1, 1, 1001)
    told = any(hidden in c.product for c in found.newly_allowed) or any(hidden in p for p in found.unknown)
    assert told


def test_a_long_list_of_products_is_cut_and_counted() -> None:
    """Five hundred are listed; the rest is a number."""
    rules = tuple(
        Rule(Action.ACCEPT, Direction.IN, "tcp", Network(4, (10 << 24) + 2 * i, 32), None, i * 3, i * 3)
        for i in range(800)
    )
    found = difference((), rules)
    assert len(found.newly_allowed) == 500
    assert found.omitted_allowed == 300
    assert found.too_fine
    assert not found.unknown


def test_the_same_lists_give_the_same_answer() -> None:
    """Order and samples are stable."""
    old = mixed(Random(8), 200)
    new = edited(Random(9), old)
    assert difference(old, new) == difference(old, new)


def test_products_fold_ports_together() -> None:
    """The same sources on two ports are one line."""
    (change,) = difference(
        (), (rule("accept in tcp 80 from 10.0.0.0/8"), rule("accept in tcp 443 from 10.0.0.0/8"))
    ).newly_allowed
    assert change.product.ports == ((80, 80), (443, 443))
    assert change.after == (1, 2)
    (wide,) = difference((), (rule("accept in tcp"),)).newly_allowed
    assert wide.product.ports == ALL_PORTS
    assert wide.product.any_port
