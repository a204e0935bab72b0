"""A project from outside and within, held against the evaluator."""

from itertools import product
from random import Random

import numpy as np
import pytest

from securitygroups.firewall.analysis.internet import internet_exposure
from securitygroups.firewall.analysis.products import AddressRange, is_whole
from securitygroups.firewall.analysis.public import PUBLIC, share
from securitygroups.firewall.analysis.reach import Endpoint, matrix, who_can_reach
from securitygroups.firewall.decide import decide
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule, parse_address
from tests.firewall.strategies import PORTS, crossing_strips, edges, random_list

Rules = tuple[Rule, ...]
WHOLE = {4: AddressRange(4, 0, (1 << 32) - 1), 6: AddressRange(6, 0, (1 << 128) - 1)}


def address(text: str) -> int:
    """An address as a number."""
    return parse_address(text)[1]


def test_the_matrix_is_two_decisions() -> None:
    """The sender's Out list and the receiver's In list, for every pair, protocol and family."""
    random = Random(17)
    for _ in range(25):
        sequences = [random_list(random) for _ in range(4)]
        machines = [
            Endpoint(
                at,
                random.randrange(4),
                random.choice((None, *edges(4))),
                random.choice((None, *edges(6))),
            )
            for at in range(12)
        ]
        version = random.choice((4, 6))
        protocol = random.choice((6, 6, 17, 132, 1, 47))
        port = random.choice(PORTS) if protocol in {6, 17, 132} and random.random() < 0.9 else None
        found = matrix(sequences, machines, protocol, port, version)
        assert found.keys == tuple(range(12))
        for a, b in product(machines, machines):
            source, destination = a.address(version), b.address(version)
            at = int(a.key), int(b.key)
            assert found.present[at] == (source is not None and destination is not None)
            if not found.present[at]:
                assert not found.reaches[at]
                continue
            out = Packet(Direction.OUT, version, protocol, source, destination, port)
            incoming = Packet(Direction.IN, version, protocol, source, destination, port)
            assert found.sends[at] == (decide(sequences[a.sequence], out).action is Action.ACCEPT)
            assert found.receives[at] == (decide(sequences[b.sequence], incoming).action is Action.ACCEPT)


def test_the_matrix_of_a_thousand_machines() -> None:
    """Fifty sequences; spot checks, for a million pairs are many."""
    random = Random(2)
    sequences = [random_list(random, 60) for _ in range(50)]
    machines = [Endpoint(f"vm{at}", random.randrange(50), (10 << 24) + at * 3) for at in range(1000)]
    found = matrix(sequences, machines, 6, 22)
    for _ in range(300):
        a, b = random.randrange(1000), random.randrange(1000)
        source, destination = machines[a].ipv4, machines[b].ipv4
        out = Packet(Direction.OUT, 4, 6, source, destination, 22)
        incoming = Packet(Direction.IN, 4, 6, source, destination, 22)
        assert found.sends[a, b] == (decide(sequences[machines[a].sequence], out).action is Action.ACCEPT)
        assert found.receives[a, b] == (decide(sequences[machines[b].sequence], incoming).action is Action.ACCEPT)
    assert np.array_equal(found.reaches, found.sends & found.receives)
    with pytest.raises(ValueError, match="70000 is not a port"):
        matrix(sequences, machines, 6, 70000)


def test_who_can_reach_a_port() -> None:
    """Every source on an edge is in the set of the rule that accepts it, and in no other."""
    random = Random(23)
    for _ in range(120):
        rules = random_list(random)
        version = random.choice((4, 6))
        target = random.choice(edges(version))
        protocol = random.choice((6, 6, 17, 1, 58))
        port = random.choice((None, *PORTS)) if protocol in {6, 17} else None
        senders = who_can_reach(rules, version, target, protocol, port)
        for source in random.sample(edges(version), 15):
            decision = decide(rules, Packet(Direction.IN, version, protocol, source, target, port))
            inside = [s.rule for s in senders if any(r.first <= source <= r.last for r in s.sources)]
            assert inside == ([decision.rule] if decision.action is Action.ACCEPT else [])


def test_who_can_reach_behind_thousands_of_rules() -> None:
    """One axis is left, so no list is too fine for it."""
    rules = (*crossing_strips(14_000), rule("accept in ip"))
    (sender,) = who_can_reach(rules, 4, 1, 6, 999)
    assert sender.rule == 14_001
    assert len(sender.sources) == 7_001
    assert who_can_reach(rules, 4, 1, 6, 1000) == ()


def test_open_to_the_world_is_said_once_for_both_families() -> None:
    """With the rule, a sample, and the machines that share it."""
    sequence = (rule("accept in tcp 22"), rule("accept in udp 53 from 10.0.0.0/8"))
    machines = [Endpoint("a", 0, address("10.0.0.5"), address("2001:db8::5")), Endpoint("b", 0, 7, 7)]
    (found,) = internet_exposure([[sequence]], machines).exposed
    assert found.machines == ("a", "b")
    assert found.product.ports == ((22, 22),)
    assert found.product.protocols == ("tcp",)
    assert is_whole(found.product.sources, 4)
    assert is_whole(found.product.sources, 6)
    assert found.shares == ((4, 1.0), (6, 1.0))
    assert found.rules == (1,)
    assert decide(sequence, found.sample).rule == 1
    assert found.sample.destination == address("10.0.0.5")


def test_everyone_but_private_addresses_is_everyone() -> None:
    """A rule that drops what cannot come from the internet hides nothing; two halves are the whole."""
    sequence = (
        rule("drop in ip from 10.0.0.0/8"),
        rule("accept in tcp 22 from 0.0.0.0/1"),
        rule("accept in tcp 22 from 128.0.0.0/1"),
    )
    (found,) = internet_exposure([[sequence]], [Endpoint(1, 0, 5)]).exposed
    assert found.shares == ((4, 1.0),)
    assert found.rules == (2, 3)


def test_a_large_part_of_the_world() -> None:
    """Half of IPv4 is told with its share, a /8 is not; one address short of everyone is not everyone."""
    half, little = (rule("accept in tcp 22 from 0.0.0.0/1"),), (rule("accept in tcp 22 from 20.0.0.0/8"),)
    machines = [Endpoint("half", 0, 5), Endpoint("little", 1, 5)]
    (found,) = internet_exposure([[half], [little]], machines).exposed
    assert found.machines == ("half",)
    assert 0.5 < found.shares[0][1] < 0.65
    assert len(internet_exposure([[half], [little]], machines, least=0.001).exposed) == 2
    almost = (rule("drop in tcp from 8.8.8.8"), rule("accept in ip"))
    tcp = [e for e in internet_exposure([[almost]], [Endpoint("a", 0, 5)]).exposed if e.product.protocols == ("tcp",)]
    assert [[part == 1 for _, part in e.shares] for e in tcp] == [[False]]


def test_destinations_tell_machines_apart() -> None:
    """An IP rule to one machine opens that one only."""
    one = Rule(Action.ACCEPT, Direction.IN, "ip", None, rule("accept in ip from 10.0.0.5").source)
    machines = [Endpoint(n, 0, (10 << 24) + n, n) for n in range(3, 8)]
    (found,) = internet_exposure([[(one,)]], machines).exposed
    assert found.machines == (5,)
    assert found.product.versions == (4,)
    assert found.product.every_protocol


def test_exposure_agrees_with_the_evaluator() -> None:
    """On random lists: what is said to be open to everyone is, and what everyone reaches is said."""
    random = Random(41)
    public = {4: [address("8.8.8.8"), address("199.7.83.42")], 6: [address("2620:fe::9"), address("3fff:ffff::1")]}
    told = 0
    for _ in range(200):
        rules = random_list(random)
        machine = Endpoint("m", 0, random.choice(edges(4)), random.choice(edges(6)))
        exposed = internet_exposure([[rules]], [machine], least=0.0).exposed
        for _ in range(250):
            version, protocol = random.choice((4, 6)), random.choice((6, 6, 17, 47))
            port = random.choice(PORTS) if protocol != 47 else None
            source = random.choice(public[version])
            packet = Packet(Direction.IN, version, protocol, source, machine.address(version), port)
            decision = decide(rules, packet)
            hits = [e for e in exposed if packet in e.product]
            assert len(hits) == (decision.action is Action.ACCEPT)
            assert all(decision.rule in e.rules for e in hits)
            told += len(hits)
    assert told > 3000


def test_exposure_of_many_lists_agrees_with_the_evaluator() -> None:
    """Sequences that share lists, VMs that destinations tell apart: packets on every edge, in what is said and beside it."""
    random = Random(43)
    told = 0
    for _ in range(60):
        lists = [random_list(random, random.choice((3, 14, 40))) for _ in range(4)]
        sequences = [random.sample(lists, random.randint(0, 3)) for _ in range(5)]
        whole = [tuple(one for rules in some for one in rules) for some in sequences]
        machines = [
            Endpoint(at, random.randrange(5), random.choice((None, *edges(4))), random.choice((None, *edges(6))))
            for at in range(12)
        ]
        found = internet_exposure(sequences, machines, least=0.0)
        assert not found.too_fine
        for machine in machines:
            mine = [one for one in found.exposed if machine.key in one.machines]
            for _ in range(60):
                version = random.choice((4, 6))
                to, number = machine.address(version), random.choice((6, 6, 17, 132, 47))
                if to is None:
                    continue
                port = random.choice((None, *PORTS)) if number != 47 else None
                packet = Packet(Direction.IN, version, number, random.choice(edges(version)), to, port)
                decision = decide(whole[machine.sequence], packet)
                hits = [one for one in mine if packet in one.product]
                assert len(hits) == (decision.action is Action.ACCEPT)
                assert all(decision.rule in one.rules for one in hits)
                told += len(hits)
        for one in found.exposed:
            assert decide(whole[one.sequence], one.sample).rule in one.rules
    assert told > 3000


def test_only_what_enough_of_the_internet_reaches_is_said() -> None:
    """With a bound, the same is said as without, but for what too few reach: whatever was not looked at was too little."""
    random = Random(44)
    for _ in range(150):
        lists = [random_list(random, random.choice((5, 30))) for _ in range(3)]
        least = random.choice((0.001, 1 / 8, 1 / 2, 1))
        # A family at a time: an opening of both has the smaller share of the two.
        for machine in Endpoint("m", 0, random.choice(edges(4))), Endpoint("m", 0, None, random.choice(edges(6))):
            every, few = (internet_exposure([lists], [machine], bound).exposed for bound in (0.0, least))
            enough = {one.product.sources for one in every if one.shares[0][1] >= least}
            assert {one.product.sources for one in few} == enough


def test_thousands_of_rules_that_cross_are_looked_at_whole() -> None:
    """Every second port is closed, every second host is: what is left is said, and nothing is too fine."""
    rules = (*crossing_strips(2000), rule("accept in tcp"))
    found = internet_exposure([[rules]], [Endpoint("m", 0, 5)])
    assert not found.too_fine
    (one,) = found.exposed
    assert (len(one.product.ports), len(one.product.sources)) == (1001, 1001)
    assert one.rules == (2001,)


def test_what_is_too_fine_is_told_and_not_guessed() -> None:
    """Ten times as many: the VM is named, and nothing is said of it."""
    rules = (*crossing_strips(16_000), rule("accept in tcp"))
    found = internet_exposure([[rules], [(rule("accept in tcp 22"),)]], [Endpoint("m", 0, 5), Endpoint("n", 1, 6)])
    assert found.too_fine == ("m",)
    assert [one.machines for one in found.exposed] == [("n",)]


def test_shares() -> None:
    """The public part only; reserved addresses count for nothing."""
    assert share([WHOLE[4]], 4) == share([WHOLE[6]], 6) == 1
    assert share(PUBLIC[4], 4) == 1
    assert share([AddressRange(4, 10 << 24, (11 << 24) - 1)], 4) == 0
    assert share([AddressRange(6, 0, 1 << 127)], 6) == 1
    assert share([AddressRange(4, 1, (1 << 32) - 1)], 4) == 1
    all_but_one = [AddressRange(4, 0, address("8.8.8.7")), AddressRange(4, address("8.8.8.9"), (1 << 32) - 1)]
    assert 0.99 < share(all_but_one, 4) < 1


def test_time_is_asked_for_between_vms_of_one_list_too() -> None:
    """Destinations that tell many VMs apart make many questions of one list."""
    blocked = (rule(f"drop in ip from 8.8.8.8 to 10.0.0.{at}") for at in range(9))
    rules = (*blocked, rule("accept in tcp 22"))
    machines = [Endpoint(at, 0, address(f"10.0.0.{at}")) for at in range(9)]
    answers = iter([False] * 4 + [True] * 20)
    found = internet_exposure([[rules]], machines, late=lambda: next(answers))
    assert len(found.unseen) == 9 - 3
    assert {key for one in found.exposed for key in one.machines} == {0, 1, 2}
