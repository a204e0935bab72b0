"""First match: the cases, the evaluator against the literal reference, and the trace that it writes."""

import json
import secrets
from collections import Counter
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall.decide import Field, Outcome, decide, differences
from securitygroups.firewall.formats.documents import rule_from_json, rules_from_json
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule, parse_address, parse_network
from tests.firewall import reference
from tests.firewall.samples import random_packet, random_rule

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases" / "first_match.jsonl").read_text("utf-8").splitlines()
]
LISTS, PACKETS = 2_000, 52


def check(rules: list[dict[str, Any]], packet: dict[str, Any]) -> tuple[str, int | None]:
    """Hold verdict, deciding rule and every step of the trace against the reference."""
    values = rules_from_json(rules)
    decision = decide(values, packet_from_json(packet))
    expected = reference.verdict(rules, packet)
    told = f"{json.dumps(rules)} {json.dumps(packet)}"
    assert (decision.action.value, decision.rule) == expected, told
    assert [step.place for step in decision.steps] == list(range(1, len(rules) + 1)), told
    for step, rule, value in zip(decision.steps, rules, values, strict=True):
        assert step.rule is value, told
        differs = reference.differing(rule, packet)
        if expected[1] is not None and step.place > expected[1]:
            assert (step.outcome, step.differs) == (Outcome.NOT_REACHED, ()), told
            continue
        outcome = Outcome.PASSED if differs else Outcome.MATCHED
        assert step.outcome is (outcome if rule["enabled"] else Outcome.OFF), told
        assert [field.value for field in step.differs] == differs, told
    return expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_each_case_is_decided_as_it_says(case: dict[str, Any]) -> None:
    decision = decide(rules_from_json(case["rules"]), packet_from_json(case["packet"]))

    assert {"verdict": decision.action.value, "rule": decision.rule} == case["expect"], case["why"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_the_reference_decides_each_case_as_it_says(case: dict[str, Any]) -> None:
    assert reference.verdict(case["rules"], case["packet"]) == tuple(case["expect"].values()), case["why"]


@pytest.mark.parametrize("seed", [20_240_229, None], ids=["fixed", "fresh"])
def test_random_lists_are_decided_as_the_reference_does(seed: int | None) -> None:
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    print(f"seed {seed}")  # noqa: T201  # Shown with a failure, so that it can be repeated.
    random = Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(LISTS):
        rules = [random_rule(random) for _ in range(random.randint(0, 8))]
        values = rules_from_json(rules)
        for _ in range(PACKETS):
            packet = random_packet(random, rules)
            decision = decide(values, packet_from_json(packet))
            expected = reference.verdict(rules, packet)
            if (decision.action.value, decision.rule) != expected:
                pytest.fail(f"seed {seed}: {expected} expected, {decision} for {rules} and {packet}")
            seen["pairs"] += 1
            seen["unmatched" if expected[1] is None else expected[0]] += 1
            seen["ipv6" if ":" in packet.get("source", "") else "ipv4" if "source" in packet else "non-ip"] += 1
            seen["port 0"] += packet.get("port") == 0
            seen["port 65535"] += packet.get("port") == 65535
            seen["by number"] += isinstance(packet["protocol"], int)
            seen["off rule would match"] += any(
                not rule["enabled"] and not reference.differing(rule, packet) for rule in rules
            )
    assert seen["pairs"] >= 100_000
    rare = {name: count for name, count in seen.items() if count < 2_000}
    assert not rare, "The draw leaves out what it is there for."
    assert len(seen) == 11


@pytest.mark.parametrize("seed", range(20))
def test_the_trace_of_random_lists_names_every_condition_that_differs(seed: int) -> None:
    random = Random(seed)
    rules = [random_rule(random) for _ in range(30)]
    places = {
        check(rules[:length], random_packet(random, rules[:length]))[1] for length in (0, 1, 5, 30) for _ in "123"
    }
    assert None in places, "No packet met the implicit deny."


def test_the_edges_of_every_field_are_decided_as_the_reference_does() -> None:
    """Not random: each protocol with each edge of address and port, against each kind of packet."""
    sources = [None, "0.0.0.0/0", "10.0.0.0/8", "255.255.255.255/32", "::/0", "::a00:0/104", "2001:db8::/32"]
    ranges = [(None, None), (0, 0), (0, 65535), (1, 65534), (65535, 65535)]
    fields = {"action": "accept", "description": "", "enabled": True, "destination": None}
    rules = [
        {**fields, "direction": direction, "protocol": protocol, "source": source, "port_start": low, "port_end": high}
        for direction, protocol, source, (low, high) in product(
            ("in", "out"), ("tcp", "udp", "sctp", "ip", "all"), sources, ranges
        )
        if not (protocol in {"ip", "all"} and low is not None) and not (protocol == "all" and source)
    ]
    pairs = [("9.255.255.255", "10.0.0.1"), ("10.0.0.0", "10.0.0.1"), ("255.255.255.255", "0.0.0.0")]
    pairs += [("::a00:1", "::"), ("::ffff:10.0.0.1", "::"), ("2001:db8::", "ffff::")]
    packets: list[dict[str, Any]] = [{"direction": "in", "protocol": "non-ip"}]
    for (source, destination), protocol in product(pairs, ("tcp", "udp", "sctp", "icmp", 0, 6, 47, 255)):
        packet = {"direction": "in", "protocol": protocol, "source": source, "destination": destination}
        with_port = protocol in {"tcp", "udp", "sctp", 6}
        packets += [{**packet, "port": port} for port in (0, 1, 65534, 65535)] if with_port else [packet]
    matches = 0
    for rule, packet in product(rules, packets):
        differs = [field.value for field in differences(rule_from_json(rule), packet_from_json(packet))]
        assert differs == reference.differing(rule, packet), (rule, packet)
        matches += not differs
    assert matches > 500


@settings(max_examples=300, deadline=None, database=None)
@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_any_list_and_packet_agree_with_the_reference(random: Random, length: int) -> None:
    rules = [random_rule(random) for _ in range(length)]
    check(rules, random_packet(random, rules))


@settings(max_examples=300, deadline=None, database=None)
@given(st.randoms(use_true_random=False), st.integers(1, 10))
def test_rules_behind_the_deciding_one_and_off_rules_change_nothing(random: Random, length: int) -> None:
    rules = [random_rule(random) for _ in range(length)]
    packet = packet_from_json(random_packet(random, rules))
    whole = decide(rules_from_json(rules), packet)
    end = length if whole.rule is None else whole.rule
    cut = decide(rules_from_json(rules[:end]), packet)
    on = decide(rules_from_json([rule for rule in rules if rule["enabled"]]), packet)

    assert (cut.action, cut.rule) == (whole.action, whole.rule)
    assert on.action is whole.action
    assert (on.rule is None) == (whole.rule is None)


def test_a_trace_says_matched_differs_off_and_not_reached_in_order() -> None:
    office = parse_network("203.0.113.0/24")
    rules = (
        Rule(Action.DROP, Direction.OUT, "udp", office, None, 80, 443),
        Rule(Action.DROP, Direction.IN, "all", enabled=False),
        Rule(Action.ACCEPT, Direction.IN, "tcp", None, None, 0, 0),
        Rule(Action.DROP, Direction.IN, "all"),
    )
    packet = Packet(Direction.IN, 4, 6, parse_address("198.51.100.1")[1], parse_address("10.0.0.5")[1], 0)

    decision = decide(rules, packet)

    assert (decision.action, decision.rule) == (Action.ACCEPT, 3)
    assert [(step.place, step.outcome, step.differs) for step in decision.steps] == [
        (1, Outcome.PASSED, (Field.DIRECTION, Field.PROTOCOL, Field.SOURCE, Field.PORT)),
        (2, Outcome.OFF, ()),
        (3, Outcome.MATCHED, ()),
        (4, Outcome.NOT_REACHED, ()),
    ]
    assert [step.rule for step in decision.steps] == list(rules)


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_a_later_fragment_without_a_port_passes_a_rule_with_the_full_range(protocol: str) -> None:
    number = {"tcp": 6, "udp": 17, "sctp": 132}[protocol]
    fragment = Packet(Direction.IN, 4, number, 1, 2, None)

    full = decide([Rule(Action.ACCEPT, Direction.IN, protocol, None, None, 0, 65535)], fragment)
    unset = decide([Rule(Action.ACCEPT, Direction.IN, protocol)], fragment)

    assert (full.rule, full.steps[0].differs) == (None, (Field.PORT,))
    assert unset.rule == 1


def test_the_same_number_in_the_other_family_is_another_address() -> None:
    ten = parse_address("10.0.0.1")[1]
    rules = [Rule(Action.ACCEPT, Direction.IN, "tcp", parse_network("10.0.0.0/8"))]

    assert decide(rules, Packet(Direction.IN, 4, 6, ten, ten, 22)).rule == 1
    assert decide(rules, Packet(Direction.IN, 6, 6, ten, ten, 22)).rule is None


def test_a_direction_that_came_as_plain_text_still_decides() -> None:
    rules = [Rule(Action.DROP, "in", "all")]  # type: ignore[arg-type]

    assert decide(rules, Packet(Direction.IN)).rule == 1


def test_a_list_of_any_sequence_type_is_decided_and_left_alone() -> None:
    rules = [Rule(Action.ACCEPT, Direction.IN, "all"), Rule(Action.DROP, Direction.IN, "all")]

    assert decide(rules, Packet(Direction.IN)) == decide(tuple(rules), Packet(Direction.IN))
    assert [rule.action for rule in rules] == [Action.ACCEPT, Action.DROP]
