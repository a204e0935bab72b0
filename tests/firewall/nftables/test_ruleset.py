"""Rule lists as nft reads them: equal bytes for equal input, and no text for what cannot be said exactly."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from securitygroups.firewall import protocols
from securitygroups.firewall.nftables import (
    Own,
    Tap,
    Unenforceable,
    host_ruleset,
    machine_ruleset,
    remove,
    rule_counter,
    skeleton,
    swap,
    taps,
)
from securitygroups.firewall.nftables.conditions import conditions
from securitygroups.firewall.nftables.counters import BadCounters, Counted, Hits, read_counters
from securitygroups.firewall.platform import Target, platform_lines
from securitygroups.firewall.protocols import Action, Direction, Protocol
from securitygroups.firewall.values import Network, Rule, parse_network
from tests.kernel.verdicts import random_list

VM = Tap("vm-1", "tap0", "web", "10.0.0.5", "2001:db8::5")
OFFICE, SIX = parse_network("203.0.113.0/24"), parse_network("2001:db8::/32")
ANY4, ANY6 = parse_network("0.0.0.0/0"), parse_network("::/0")
SSH = Rule(Action.ACCEPT, Direction.IN, "tcp", OFFICE, None, 22, 22, "Office SSH", uid="a1")
OFF = Rule(Action.DROP, Direction.IN, "ip", description="old", enabled=False, uid="b2")
OUT = Rule(Action.ACCEPT, Direction.OUT, "all")
RULES = [SSH, OFF, OUT]


def wanted(protocol: str, source: Network | None = None, destination: Network | None = None, *ports: int) -> Rule:
    start, end = ports or (None, None)
    return Rule(Action.ACCEPT, Direction.IN, protocol, source, destination, start, end)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (wanted("all"), ""),
        (wanted("ip"), "meta protocol ip; meta protocol ip6"),
        (wanted("ip", OFFICE), "ip saddr 203.0.113.0/24"),
        (wanted("ip", None, SIX), "ip6 daddr 2001:db8::/32"),
        (wanted("ip", ANY4, OFFICE), "ip saddr 0.0.0.0/0 ip daddr 203.0.113.0/24"),
        (wanted("tcp"), "meta l4proto 6"),
        (wanted("udp", None, None, 0, 65535), "meta l4proto 17"),
        (wanted("sctp", None, None, 5, 5), "sctp dport 5"),
        (wanted("tcp", OFFICE, None, 80, 90), "ip saddr 203.0.113.0/24 tcp dport 80-90"),
        (wanted("tcp", ANY6), "ip6 saddr ::/0 meta l4proto 6"),
        (wanted("icmp"), "meta protocol ip meta l4proto 1; meta protocol ip6 meta l4proto 58"),
        (wanted("icmp", OFFICE), "ip saddr 203.0.113.0/24 meta l4proto 1"),
        (wanted("icmp", SIX), "ip6 saddr 2001:db8::/32 meta l4proto 58"),
        (wanted("icmp", ANY4), "ip saddr 0.0.0.0/0 meta l4proto 1"),
    ],
)
def test_a_rule_becomes_one_line_or_one_for_each_family(rule: Rule, text: str) -> None:
    assert "; ".join(conditions(rule, Target.BRIDGE)) == text


def test_routed_packets_tell_their_family_another_way() -> None:
    assert conditions(wanted("ip"), Target.INET) == ["meta nfproto ipv4", "meta nfproto ipv6"]
    lines = conditions(wanted("icmp"), Target.INET)
    assert lines == ["meta nfproto ipv4 meta l4proto 1", "meta nfproto ipv6 meta l4proto 58"]


@pytest.mark.parametrize("target", Target)
def test_equal_input_gives_equal_bytes(target: Target) -> None:
    again = [replace(rule) for rule in RULES]
    assert host_ruleset([(VM, RULES)], target) == host_ruleset(iter([(replace(VM), again)]), target)
    assert machine_ruleset(VM, RULES, target) == host_ruleset([(VM, RULES)], target)


def test_the_targets_differ_in_how_they_know_a_connection_and_nowhere_else() -> None:
    plain, marked = (swap(VM, RULES, target).splitlines() for target in (Target.BRIDGE, Target.BRIDGE_MARK))
    differing = [line for line in plain if line not in marked]
    assert len(differing) == 10
    assert all("ct state" in line or "ct mark" in line for line in differing)
    assert all(
        "meta mark" in line or f"vm.{VM.uid}.out." in line or line in ("\t\taccept", "\t}")
        for line in marked
        if line not in plain
    )


def test_rules_stand_in_order_behind_the_platform_and_before_the_drop() -> None:
    first = replace(SSH, action=Action.DROP, port_start=23, port_end=23, uid="c3")
    lines = [line.strip() for line in swap(VM, [first, *RULES], Target.BRIDGE).splitlines()]
    begun = lines.index("chain vm.vm-1.in {") + 1
    chain = lines[begun : lines.index("}", begun)]
    assert chain[-6:] == [
        "# 1 Office SSH",
        'ip saddr 203.0.113.0/24 tcp dport 23 counter name "hit.vm-1.rule.c3" drop',
        "# 2 Office SSH",
        'ip saddr 203.0.113.0/24 tcp dport 22 counter name "hit.vm-1.rule.a1" goto vm.vm-1.in.ok',
        "# switched off: 3 old",
        'counter name "hit.vm-1.in.none" drop',
    ]
    assert chain[0] == 'oifname != "tap0" counter name "hit.vm-1.in.tap" drop'
    conditions = [line.condition for line in platform_lines(Target.BRIDGE, VM.guest) if line.direction is Direction.IN]
    assert [chain[place].startswith(text) for place, text in enumerate(conditions, 1)] == [True] * len(conditions)


def test_a_drop_is_told_before_it_is_dropped_each_by_its_reason() -> None:
    told = swap(replace(VM, log=7), [replace(SSH, action=Action.DROP), OUT], Target.BRIDGE).splitlines()
    lines = [line.strip() for line in told]
    assert [line for line in lines if "log" not in line] == [
        line.strip() for line in swap(VM, [replace(SSH, action=Action.DROP), OUT], Target.BRIDGE).splitlines()
    ]
    prefixes = {line.split('"')[1] for line in lines if " log " in line and "limit rate" in line}
    reasons = {"vlan", "invalid", "opens", "none", "accept"}
    assert prefixes == {f"vm-1.{way}.{reason}" for way in ("in", "out") for reason in reasons} | {"vm-1.in.rule.a1"}
    for line, after in pairwise(lines):
        if " log " in line and ".accept" not in line:
            matches = line.partition("limit rate")[0]
            assert after.startswith(f"{matches}counter name")
            assert after.endswith(" drop")


@pytest.mark.parametrize("target", Target)
def test_no_line_of_a_vm_looks_anything_up_in_a_set(target: Target) -> None:
    """A set goes with the line that asks it: a packet on its way through the old lines would find nothing in it."""
    own = Own("52:54:00:12:34:56", ("10.0.0.5", "2001:db8::5", "2001:db8::6"))
    rules = random_list(Random(3), 600)
    lines = swap(replace(VM, own=own, log=7), rules, target).splitlines()
    lines = [line for line in lines if line.startswith("\t\t") and not line.startswith("\t\t#")]
    assert len(lines) > 250
    assert not [line for line in lines if "{" in line or "vmap" in line or "@" in line.replace("@th", "")]


def test_the_platform_is_said_in_words() -> None:
    for target in Target:
        lines = platform_lines(target)
        assert all(line.why.endswith(".") and line.line.endswith(("accept", "drop")) for line in lines)
        assert len({(line.direction, line.line) for line in lines}) == len(lines)


def test_what_is_not_ip_has_no_state_to_be_invalid() -> None:
    """nft calls the state of a frame without a connection invalid, and an All rule is to accept such frames."""
    invalid = [line.condition for line in platform_lines(Target.BRIDGE) if line.what == "invalid"]
    assert [text.startswith(("meta protocol ip ", "meta protocol ip6 ")) for text in invalid] == [True] * 4


@pytest.mark.parametrize("target", Target)
def test_a_skeleton_fails_closed(target: Target) -> None:
    text = skeleton(target, "vnet*")
    assert 'iifname "vnet*" counter name "unknown.out" drop' in text
    assert 'oifname "vnet*" counter name "unknown.in" drop' in text
    # Whatever a VM's chain lets fall through must come back to that drop: the map jumps, and what goes on from there
    # ends in a verdict.
    changed = swap(VM, RULES, target)
    assert ": jump " in changed
    assert "goto" not in text
    assert all(f"goto vm.{VM.uid}." in line for line in changed.splitlines() if "goto" in line)


def test_counters_are_named_after_the_rule_and_not_its_place() -> None:
    moved = swap(VM, [OUT, SSH], Target.INET, before=RULES)
    assert 'counter name "hit.vm-1.rule.a1" goto vm.vm-1.in.ok' in moved
    assert rule_counter(VM, 3, SSH) == rule_counter(VM, 1, SSH)
    assert rule_counter(VM, 3, OUT) == "hit.vm-1.place.3"
    assert moved.splitlines()[-1] == "delete counter inet karenpanel hit.vm-1.place.3"


def test_a_rule_that_is_switched_off_keeps_no_counter() -> None:
    text = swap(VM, [replace(SSH, enabled=False)], Target.INET, before=[SSH])
    assert text.endswith("delete counter inet karenpanel hit.vm-1.rule.a1\n")
    assert remove(VM, [OFF], Target.INET).count("rule.b2") == 0


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (replace(VM, tap=""), "no tap"),
        (replace(VM, tap="tap0123456789abc"), "not an interface name"),
        (replace(VM, tap='tap0" drop'), "not an interface name"),
        (replace(VM, tap="tap*"), "not an interface name"),
        (replace(VM, tap="tap0\n"), "not an interface name"),
        (replace(VM, tap="vnet0"), "not one of tap*"),
        (replace(VM, uid=""), "cannot name a chain"),
        (replace(VM, uid="a.b"), "cannot name a chain"),
        (replace(VM, uid="x" * 49), "cannot name a chain"),
        (replace(VM, name="web\nflush ruleset"), "one short line"),
        (replace(VM, ipv4="10.0.0.0/8"), "not an IPv4 address"),
        (replace(VM, ipv6="10.0.0.5"), "not an IPv6 address"),
        (replace(VM, ipv4="10.0.0.5\nflush ruleset"), "not an IPv4 address"),
    ],
)
def test_a_machine_that_cannot_be_named_safely_is_refused(machine: Tap, words: str) -> None:
    for write in (swap, remove):
        with pytest.raises(Unenforceable, match=words.replace("*", r"\*")):
            write(machine, RULES, Target.BRIDGE)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (replace(SSH, port_start=90, port_end=80), "Rule 2: The range starts at 90"),
        (replace(SSH, port_end=65536), "65536 is not a port"),
        (replace(SSH, protocol="gre"), "not a protocol"),
        (replace(SSH, protocol="all", port_start=None, port_end=None), "no Source IP Address"),
        (Rule(Action.DROP, Direction.IN, "ip", OFFICE, SIX), "no packet has both"),
        (replace(SSH, description="x\nflush ruleset"), "line break"),
        (replace(SSH, uid="a.b"), "cannot name a counter"),
        (replace(SSH, uid='"'), "cannot name a counter"),
    ],
)
def test_a_rule_that_cannot_be_said_exactly_is_refused_by_its_place(rule: Rule, words: str) -> None:
    with pytest.raises(Unenforceable, match=words):
        swap(VM, [SSH, rule], Target.BRIDGE)


def test_a_protocol_that_nft_looks_through_or_has_no_ports_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new line of the protocol table is either compiled exactly or refused by name."""
    ports = frozenset({"source", "port_start", "port_end"})
    new = {
        "routing": Protocol("routing", "Routing", {4: 43, 6: 43}, True, frozenset(), "IPv6 routing headers"),
        "dccp": Protocol("dccp", "DCCP", {4: 33, 6: 33}, True, ports, "DCCP"),
        "gre": Protocol("gre", "GRE", {4: 47, 6: 47}, True, frozenset({"source"}), "GRE"),
    }
    for module in (protocols, taps, sys.modules[conditions.__module__]):
        monkeypatch.setattr(module, "PROTOCOLS", {**protocols.PROTOCOLS, **new})
    for rule in (wanted("routing"), wanted("dccp", None, None, 1, 2)):
        with pytest.raises(Unenforceable, match="Rule 1: "):
            swap(VM, [rule], Target.BRIDGE)
    assert conditions(wanted("gre", OFFICE), Target.BRIDGE) == ["ip saddr 203.0.113.0/24 meta l4proto 47"]


@pytest.mark.parametrize("pattern", ["*", "", "tap", 'tap" *', "tap**", "a" * 16 + "*"])
def test_a_pattern_that_would_miss_taps_or_catch_everything_is_refused(pattern: str) -> None:
    with pytest.raises(Unenforceable, match="not a tap pattern"):
        skeleton(Target.BRIDGE, pattern)


def test_two_vms_cannot_share_a_tap_or_an_identity() -> None:
    for other in (Tap("vm-2", "tap0"), Tap("vm-1", "tap1")):
        with pytest.raises(Unenforceable, match="2 VMs have the"):
            host_ruleset([(VM, RULES), (other, [])], Target.BRIDGE)


def test_what_a_customer_writes_stays_in_comments() -> None:
    evil = replace(SSH, description='"; } flush ruleset # $x \\')
    lines = swap(VM, [evil], Target.BRIDGE).splitlines()
    assert [line.lstrip()[0] for line in lines if "flush ruleset" in line] == ["#"]


def counted(**changes: object) -> dict[str, object]:
    counter = {"family": "bridge", "name": "hit.vm-1.rule.a1", "table": "karenpanel", "handle": 3}
    return {"counter": counter | {"packets": 7, "bytes": 420} | changes}


def test_counters_are_read_by_vm_and_rule() -> None:
    entries = [
        {"metainfo": {"version": "1.0.6"}},
        counted(),
        counted(name="hit.vm-2.rule.a1", packets=1, bytes=60),
        counted(name="hit.vm-1.place.12"),
        counted(name="hit.vm-1.in.none", packets=0),
        counted(name="unknown.in"),
        counted(table="another"),
    ]
    read = read_counters(json.dumps({"nftables": entries}))
    assert read == {
        Counted("vm-1", "rule", "a1"): Hits(7, 420),
        Counted("vm-2", "rule", "a1"): Hits(1, 60),
        Counted("vm-1", "place", "12"): Hits(7, 420),
        Counted("vm-1", "in", "none"): Hits(0, 420),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"nftables": 5}',
        '{"nftables": [7]}',
        '{"nftables": [{"counter": {"table": "karenpanel"}}]}',
        json.dumps({"nftables": [counted(packets="7")]}),
        json.dumps({"nftables": [counted(packets=True)]}),
        json.dumps({"nftables": [counted(bytes=-1)]}),
        "[" * 100_000,
    ],
)
def test_anything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadCounters, match="give its output as it is"):
        read_counters(text)
