"""A long list in parts decides as the list does: followed by hand, part by part, for packets at every edge."""

from dataclasses import replace
from random import Random

import pytest

from securitygroups.firewall.decide import decide
from securitygroups.firewall.networks import parse_address
from securitygroups.firewall.nftables.dispatch import SHORT, Listed, Part, divided
from securitygroups.firewall.notation import rule
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Packet, Rule
from tests.firewall.strategies import mixed, tight
from tests.kernel.verdicts import random_list, random_packets

FIELDS = {"saddr": "source", "daddr": "destination", "dport": "port"}


def ordered(rules: list[Rule]) -> list[Listed]:
    return [(place, one) for place, one in enumerate(rules, 1) if one.enabled and one.direction is Direction.IN]


def value(text: str) -> int:
    return int(text) if text.isdigit() else parse_address(text)[1]


def leads(packet: Packet, condition: str) -> bool:
    """Whether a packet goes on there; a family is named as nft names it of a routed packet."""
    if not condition:
        return True
    key, _, asked = condition.rpartition(" ")
    if key == "meta nfproto":
        return {4: "ipv4", 6: "ipv6", None: ""}[packet.version] == asked
    if key == "meta l4proto":
        return str(packet.protocol) == asked
    field, compared = key.split()[1:]
    assert compared == "<="
    return bool(getattr(packet, FIELDS[field]) <= value(asked))


def followed(parts: list[Part], packet: Packet) -> int | None:
    """The place of the rule that decides: through the parts, and in each the first that matches."""
    named = {part.name: part for part in parts}
    part = parts[0]
    while True:
        to = next((to for condition, to in part.leads if leads(packet, condition)), None)
        if to is None:
            break
        if to not in named:
            return None
        part = named[to]
    decided = decide([one for _, one in part.rules], packet).rule
    return part.rules[decided - 1][0] if decided else None


def lists(random: Random) -> list[list[Rule]]:
    wide = random_list(random, 400)
    narrow = [one for one in wide if one.source or one.destination or one.port_start is not None]
    ports = [
        replace(rule(f"accept in tcp {port}"), port_end=min(port + random.randrange(300), 65535))
        for port in random.sample(range(1, 65536), 300)
    ]
    return [wide, narrow, narrow * 3, ports, [*tight(random, 200)], [*mixed(random, 400)], random_list(random, SHORT)]


@pytest.mark.parametrize("seed", range(4))
def test_parts_decide_as_the_list_does(seed: int) -> None:
    random = Random(seed)
    for rules in lists(random):
        parts = divided(ordered(rules), Target.INET)
        packets = [packet for packet in random_packets(random, rules, Target.BRIDGE, 300) if packet.direction == "in"]
        assert len(packets) > 100
        for packet in packets:
            assert followed(parts, packet) == decide(rules, packet).rule, packet


def test_a_short_list_reads_as_it_was_written() -> None:
    rules = ordered([rule(f"accept in tcp {port}") for port in range(SHORT)])
    assert divided(rules, Target.BRIDGE) == [Part((), rules=rules)]
    assert divided([], Target.BRIDGE) == [Part(())]


@pytest.mark.parametrize(
    "rules",
    [
        [rule(f"accept in tcp {port}") for port in range(0, 60_000, 6)],
        [rule(f"accept in tcp 22 from 10.{n >> 8}.{n & 255}.0/24") for n in range(10_000)],
        [rule(f"accept in udp {n % 50} from 2001:db8:{n:x}::/48") for n in range(10_000)],
        [rule(f"accept in ip from 10.{n % 7}.0.0/16 to 10.1.{n >> 8}.{n & 255}") for n in range(10_000)],
        [rule(f"accept in {name} {n}") for n in range(2_500) for name in ("tcp", "udp", "sctp", "tcp")],
    ],
    ids=["ports", "sources", "both", "destinations", "protocols"],
)
def test_no_packet_meets_many_of_ten_thousand_rules(rules: list[Rule]) -> None:
    parts = divided(ordered(rules), Target.BRIDGE)
    assert max(len(part.rules) for part in parts) <= 2 * SHORT
    assert sum(len(part.rules) for part in parts) <= 2 * len(rules)


def test_lists_that_cannot_be_divided_stay_whole() -> None:
    """Every rule matches all of every field but one value: no part would be shorter."""
    rules = [rule(f"drop in ip from 0.0.0.0/{n % 2} to 0.0.0.0/0") for n in range(1, 200, 2)]
    rules += [rule("accept in tcp")]
    parts = divided(ordered(rules), Target.BRIDGE)
    assert max(len(part.rules) for part in parts) >= len(rules) - 1
    assert sum(len(part.rules) for part in parts) <= 6 * len(rules)


def test_nothing_behind_a_rule_that_takes_everything_is_loaded_with_it() -> None:
    rules = [rule("accept in tcp 22"), rule("drop in ip"), *(rule(f"accept in tcp {port}") for port in range(100))]
    assert {place for part in divided(ordered(rules), Target.BRIDGE) for place, _ in part.rules} == {1, 2}
    assert decide(rules, Packet(Direction.IN, 4, 6, 1, 2, 50)).action is Action.DROP


def test_equal_lists_are_divided_equally() -> None:
    rules = random_list(Random(9), 500)
    assert divided(ordered(rules), Target.BRIDGE) == divided(ordered([*rules]), Target.BRIDGE)
