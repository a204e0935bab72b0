"""Bulk verdicts are those of the evaluator, packet for packet."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pytest

from securitygroups.firewall.decide import decide
from securitygroups.firewall.flows.batch import COLUMNS, NO_PORT, Batch, empty, join
from securitygroups.firewall.flows.compiled import NO_RULE, CompiledList, hits
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.values import BITS, Network, Packet, Rule
from tests.firewall.flows.batches import from_packets, judge

T = TypeVar("T")

IN, OUT = Direction.IN, Direction.OUT
ACCEPT, DROP = Action.ACCEPT, Action.DROP
PREFIXES = {4: (0, 1, 8, 15, 16, 17, 24, 31, 32), 6: (0, 1, 16, 32, 63, 64, 65, 96, 127, 128)}
# Few bases, so that networks nest, touch and overlap; IPv6 ones share their upper 64 bits often.
BASES = {
    4: (0, 0x0A000000, 0x0A0000F0, 0xC0A80000, 0xFFFFFF00),
    6: (0, 0x20010DB8 << 96, (0x20010DB8 << 96) | (1 << 63), (0x20010DB8 << 96) | (5 << 64), (1 << 128) - 256),
}
PORTS = (0, 1, 22, 80, 443, 65534, 65535)


class Dice:
    """Random rules and packets crowded at the edges of each other."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices))]

    def chance(self, part: float) -> bool:
        return bool(self.rng.random() < part)

    def number(self, below: int) -> int:
        return int(self.rng.integers(below))

    def address(self, version: int) -> int:
        near = self.pick(BASES[version]) + self.number(300) - 20
        if version == 6 and self.chance(0.3):
            near += self.number(3) << 64
        return near % (1 << BITS[version])

    def network(self, version: int) -> Network:
        prefix = self.pick(PREFIXES[version])
        spare = BITS[version] - prefix
        return Network(version, self.address(version) >> spare << spare, prefix)

    def rule(self) -> Rule:
        protocol = "all" if self.chance(0.03) else self.pick(("tcp", "tcp", "udp", "sctp", "ip"))
        version = self.pick((4, 6))
        source = self.network(version) if protocol != "all" and self.chance(0.85) else None
        destination = self.network(version) if protocol == "ip" and self.chance(0.7) else None
        start = end = None
        if protocol not in ("ip", "all") and self.chance(0.8):
            start, end = sorted((self.pick(PORTS), self.pick(PORTS)))
        action, direction = self.pick((ACCEPT, DROP)), self.pick((IN, OUT))
        return Rule(action, direction, protocol, source, destination, start, end, "", self.chance(0.9))

    def packet(self, rules: list[Rule]) -> Packet:
        direction = self.pick((IN, OUT))
        if self.chance(0.03):
            return Packet(direction)
        version = self.pick((4, 6))
        ends = [self.address(version), self.address(version)]
        network = self.pick(rules).source if rules else None
        if network and network.version == version:
            # Just inside or just outside of a rule's network.
            edges = (network.first - 1, network.first, network.last, network.last + 1)
            ends[0] = self.pick(edges) % (1 << BITS[version])
        protocol = self.pick((6, 6, 17, 132, 0, 1, 47, 58, 255))
        port = None
        if protocol in PORT_NUMBERS and self.chance(0.9):
            port = min(65535, max(0, self.pick(PORTS) + self.pick((-1, 0, 0, 1))))
        return Packet(direction, version, protocol, ends[0], ends[1], port)


def assert_same(rules: list[Rule], packets: list[Packet]) -> None:
    accepted, places = judge(rules, from_packets(packets))

    assert accepted.shape == places.shape == (len(packets),)
    for packet, passed, place in zip(packets, accepted.tolist(), places.tolist(), strict=True):
        decision = decide(rules, packet)
        assert (place or None, passed) == (decision.rule, decision.action is ACCEPT), (rules, packet)


@pytest.mark.parametrize("seed", range(210))
def test_random_lists_decide_random_packets_as_the_evaluator_does(seed: int) -> None:
    dice = Dice(seed)
    rules = [dice.rule() for _ in range(dice.pick((1, 2, 5, 10, 20, 40, 64, 65)))]
    assert not any(rule.problems() for rule in rules)

    assert_same(rules, [dice.packet(rules) for _ in range(250)])


@pytest.mark.parametrize("length", [64, 129, 700, 2500])
def test_long_lists_need_more_than_one_word_of_bits(length: int) -> None:
    dice = Dice(length)
    rules = [rule for rule in (dice.rule() for _ in range(2 * length)) if rule.source and rule.source.prefix > 8]

    assert_same(rules[:length], [dice.packet(rules) for _ in range(150)])


def test_lists_longer_than_one_segment_go_on_in_the_next() -> None:
    rules = [Rule(DROP, IN, "tcp", Network(4, 0x0A000000 + i, 32), None, 22, 22) for i in range(9000)]
    rules += [Rule(ACCEPT, IN, "ip", Network(4, 0x0A000000, 8))]
    packets = [
        Packet(IN, 4, 6, 0x0A000000 + i, 1, port)
        for i in (0, 63, 64, 4095, 4096, 8191, 8192, 8999, 9000)
        for port in (22, 23)
    ]

    _, places = judge(rules, from_packets(packets))

    assert places[::2].tolist() == [1, 64, 65, 4096, 4097, 8192, 8193, 9000, 9001]
    assert set(places[1::2].tolist()) == {9001}


def test_no_rules_deny_all() -> None:
    accepted, places = judge([], from_packets([Packet(IN), Packet(OUT, 4, 6, 1, 2, 3)]))

    assert accepted.tolist() == [False, False]
    assert places.tolist() == [NO_RULE, NO_RULE]


def test_no_packets_are_no_verdicts() -> None:
    accepted, places = judge([Rule(ACCEPT, IN, "all")], empty())

    assert len(accepted) == len(places) == 0


def test_ipv6_addresses_are_told_apart_below_their_upper_64_bits() -> None:
    high = 0x20010DB800000007
    bounds = [0, 1, 5, 6, 2**63 - 1, 2**63, 2**64 - 1]
    rules = [Rule(ACCEPT, IN, "tcp", Network(6, high << 64 | low, 128)) for low in bounds]
    rules += [
        Rule(DROP, IN, "ip", Network(6, high << 64, 64)),
        Rule(ACCEPT, IN, "ip", Network(6, (high + 1) << 64, 65)),
    ]
    packets = [
        Packet(IN, 6, 6, upper << 64 | (low + step) % 2**64, 1, 0)
        for upper in (0, high - 1, high, high + 1, 2**64 - 1)
        for low in bounds
        for step in (-1, 0, 1)
    ]

    assert_same(rules, packets)


def test_port_zero_is_a_port_and_a_packet_without_one_is_in_no_range() -> None:
    every, zero, none = ((0, 65535), (0, 0), (None, None))
    packets = [Packet(IN, 4, 6, 1, 2, port) for port in (None, 0, 1, 65535)]
    for ports, expected in ((every, [0, 1, 1, 1]), (zero, [0, 1, 0, 0]), (none, [1, 1, 1, 1])):
        rule = Rule(ACCEPT, IN, "tcp", None, None, *ports)

        assert judge([rule], from_packets(packets))[1].tolist() == expected


def test_frames_that_are_not_ip_are_for_all_rules_only() -> None:
    rules = [Rule(DROP, IN, "ip"), Rule(ACCEPT, IN, "all"), Rule(DROP, IN, "all")]

    accepted, places = judge(rules, from_packets([Packet(IN), Packet(OUT), Packet(IN, 6, 58, 1, 2)]))

    assert places.tolist() == [2, 0, 1]
    assert accepted.tolist() == [True, False, False]


def test_equal_numbers_of_the_two_families_are_different_addresses() -> None:
    rules = [Rule(ACCEPT, IN, "ip", Network(4, 10, 32)), Rule(DROP, IN, "ip", Network(6, 10, 128))]

    _, places = judge(rules, from_packets([Packet(IN, 4, 1, 10, 10), Packet(IN, 6, 1, 10, 10)]))

    assert places.tolist() == [1, 2]


def test_rules_that_are_off_are_passed_over_but_keep_their_place() -> None:
    rules = [Rule(DROP, IN, "all", enabled=False), Rule(ACCEPT, IN, "all")]

    assert judge(rules, from_packets([Packet(IN)]))[1].tolist() == [2]


def test_a_compiled_list_judges_block_after_block() -> None:
    dice = Dice(7)
    rules = [dice.rule() for _ in range(50)]
    compiled, packets = CompiledList(rules), [dice.packet(rules) for _ in range(300)]
    whole = judge(rules, from_packets(packets))[1]

    parts = [compiled.judge(from_packets(packets[at : at + 70]))[1] for at in range(0, 300, 70)]

    assert np.concatenate(parts).tolist() == whole.tolist()


def test_hits_count_each_rule_and_those_without_one() -> None:
    rules = [Rule(ACCEPT, IN, "tcp"), Rule(ACCEPT, OUT, "udp"), Rule(ACCEPT, IN, "ip")]
    places = judge(rules, from_packets([Packet(IN, 4, 6, 1, 1, 1)] * 3 + [Packet(IN, 4, 1, 1, 1), Packet(OUT)]))[1]

    assert hits(rules, places).tolist() == [1, 3, 0, 1]
    assert hits(rules, places[:0]).tolist() == [0, 0, 0, 0]


def test_batches_give_their_packets_back() -> None:
    dice = Dice(11)
    packets = [dice.packet([]) for _ in range(200)]

    batch = from_packets(packets)

    assert [batch.packet(row) for row in range(len(batch))] == packets
    twice = join([batch, empty(), batch.take(slice(0, 3))])
    assert [twice.packet(row) for row in (0, 199, 200, 202)] == [packets[0], packets[199], packets[0], packets[2]]
    with pytest.raises(IndexError):
        batch.packet(200)


def test_columns_have_the_types_that_they_say() -> None:
    batch: Batch = from_packets([Packet(IN, 6, 255, (1 << 128) - 1, 1 << 64, None)])

    kinds = [getattr(batch, name).dtype.name for name in COLUMNS]
    assert kinds == ["uint8"] * 3 + ["uint64"] * 4 + ["int32", "uint8"]
    assert batch.port.tolist() == [NO_PORT]
