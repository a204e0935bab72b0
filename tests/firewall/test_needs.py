"""The rule that would let a denied packet through, and what stands in the way of those that are there."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securitygroups.firewall import lists
from securitygroups.firewall.decide import decide, differences
from securitygroups.firewall.formats.documents import rule_from_json
from securitygroups.firewall.needs import narrowest, what_accept_needs
from securitygroups.firewall.notation import rule
from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.firewall.values import BITS, Packet, Rule, parse_address
from tests.firewall.strategies import packets, rule_lists

Rules = tuple[Rule, ...]


def denied(some: Rules, packet: Packet) -> bool:
    return decide(some, packet).action is Action.DROP


def proposed(some: Rules, packet: Packet) -> tuple[Rule, int]:
    """The rule that is proposed, read as Add Rule would read it, and its place."""
    need = what_accept_needs(some, packet, decide(some, packet).rule)
    fields = narrowest(packet)
    numbers = {name: int(text) for name, text in fields.items() if name.startswith("port_")}
    return rule_from_json(fields | numbers), need.stop or len(some) + 1


@settings(max_examples=250, deadline=None)
@given(rule_lists(), st.data())
def test_the_proposed_rule_at_the_proposed_place_always_lets_the_packet_through(
    some: Rules, data: st.DataObject
) -> None:
    packet = data.draw(packets(some).filter(lambda packet: denied(some, packet)))
    new, place = proposed(some, packet)
    after = decide(lists.insert(some, place, new), packet)

    assert (after.action, after.rule) == (Action.ACCEPT, place)


@settings(max_examples=250, deadline=None)
@given(packets())
def test_the_proposed_rule_is_the_narrowest_that_its_protocol_can_say(packet: Packet) -> None:
    new, _ = proposed((), packet)

    assert new.direction is packet.direction
    if packet.version is None:
        assert new.protocol == "all"
        return
    named = {6: "tcp", 17: "udp", 132: "sctp"} | ({1: "icmp"} if packet.version == 4 else {58: "icmp"})
    assert new.protocol == named.get(packet.protocol or 0, "ip")
    for name in PROTOCOLS[new.protocol].columns & {"source", "destination"}:
        assert getattr(new, name).prefix == BITS[packet.version]
    assert (new.port_start, new.port_end) == (packet.port, packet.port)


def test_an_ipv4_address_written_as_ipv6_gets_the_only_network_that_a_rule_can_have() -> None:
    source, destination = (parse_address(text)[1] for text in ("::ffff:10.0.0.1", "2001:db8::5"))
    packet = Packet(Direction.IN, 6, 6, source, destination, 22)
    new, place = proposed((), packet)

    assert str(new.source) == "::ffff:0.0.0.0/96"
    assert not denied((new,), packet)
    assert place == 1


SSH = Packet(Direction.IN, 4, 6, parse_address("203.0.113.9")[1], parse_address("10.0.0.5")[1], 22)


@pytest.mark.parametrize(
    ("some", "nearest", "in_the_way", "stop"),
    [
        ([], None, [], None),
        (["drop in all"], None, [], 1),
        (["accept in tcp 80"], 1, ["port"], None),
        (["accept out udp 80 from 10.0.0.0/8", "accept in tcp 80"], 2, ["port"], None),
        (["accept in tcp 80", "accept in tcp 22 from 198.51.100.0/24"], 1, ["port"], None),
        (["drop in tcp 22", "accept in tcp 22", "accept in tcp 23"], 2, ["below"], 1),
        (["accept in tcp 23", "drop in tcp 22", "accept in tcp 22"], 1, ["port"], 2),
        (["accept in udp 23", "off accept in tcp 22", "drop in tcp 22"], 2, ["off"], 3),
        (["drop in all", "off accept in udp 22"], 2, ["protocol", "off", "below"], 1),
        (["accept in udp 22 from 198.51.100.0/24", "drop in ip"], 1, ["protocol", "source"], 2),
    ],
)
def test_the_nearest_accept_and_what_is_in_its_way(
    some: list[str], nearest: int | None, in_the_way: list[str], stop: int | None
) -> None:
    list_of_rules = tuple(rule(text.removeprefix("off "), enabled=not text.startswith("off ")) for text in some)
    need = what_accept_needs(list_of_rules, SSH, decide(list_of_rules, SSH).rule)
    obstacles = [condition.value for condition in need.in_the_way] + ["off"] * need.off + ["below"] * need.below

    assert (need.nearest, obstacles, need.stop) == (nearest, in_the_way, stop)


@given(rule_lists(), st.data())
def test_without_what_is_in_its_way_the_nearest_accept_decides(some: Rules, data: st.DataObject) -> None:
    packet = data.draw(packets(some).filter(lambda packet: denied(some, packet)))
    need = what_accept_needs(some, packet, decide(some, packet).rule)
    stop = need.stop or len(some)
    obstacles = [
        len(differences(r, packet)) + (not r.enabled) + (place > stop)
        for place, r in enumerate(some, 1)
        if r.action is Action.ACCEPT
    ]

    assert (need.nearest is None) == (not obstacles)
    if need.nearest:
        nearest = some[need.nearest - 1]
        assert need.in_the_way == differences(nearest, packet)
        assert len(need.in_the_way) + need.off + need.below == min(obstacles) > 0
        if not need.in_the_way:
            others = [*some[: need.nearest - 1], *some[need.nearest :]]
            at = (stop if need.below else need.nearest) - 1
            mended = [*others[:at], replace(nearest, enabled=True), *others[at:]]
            assert decide(mended, packet).action is Action.ACCEPT
