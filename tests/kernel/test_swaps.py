"""A VM's list is changed while its packets pass: none is lost, none gets through, and a refused change changes nothing."""

import struct
from random import Random

import pytest

from securitygroups.firewall.nftables import TABLE, Loaded, Tap, host_ruleset, read_loaded, remove, swap
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.nftables.ruleset import as_loaded
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import Rule
from tests.kernel import frames
from tests.kernel.conftest import KERNEL
from tests.kernel.host import NETWORK, VM, Host, ether, say
from tests.kernel.verdicts import random_list

pytestmark = KERNEL

SECONDS, FEWEST = 2.0, 6
FILLER = [Rule(Action.DROP, Direction.IN, "tcp", None, None, port, port, uid=f"f{port}") for port in range(1000, 1200)]
OPEN = Rule(Action.ACCEPT, Direction.IN, "udp", None, None, 53, 53, uid="open")
SHUT = Rule(Action.DROP, Direction.IN, "udp", None, None, 54, 54, uid="shut")
REST = Rule(Action.DROP, Direction.IN, "udp", uid="rest")
FIRST, SECOND = [OPEN, SHUT], [*FILLER, SHUT, OPEN, REST]
MARKS = {53: b"\x05may\x01pass", 54: b"\x05must\x01not"}


def knocks(target: Target) -> list[tuple[str, str, str, str]]:
    """A packet that both lists accept, and one that both drop. No reply ever comes, so each is judged by the rules."""
    both = frames.addresses(4, 0x0A000009, 0x0A000005)
    listed = []
    for port, mark in MARKS.items():
        frame = ether(NETWORK, target) + struct.pack("!H", frames.IPV4)
        frame += frames.ipv4(both, frames.UDP, frames.udp(both, 4000, port, mark))
        listed.append((NETWORK, VM.tap, frame.hex(), mark.hex()))
    return listed


def test_swaps_under_traffic_lose_nothing_and_leak_nothing(host: Host, target: Target) -> None:
    host.load(swap(VM, FIRST, target))
    there, back = swap(VM, SECOND, target, before=FIRST), swap(VM, FIRST, target, before=SECOND)
    seen = host.order("storm", frames=knocks(target), rulesets=[there, back], seconds=SECONDS, fewest=FEWEST)
    (lost, passed), (dropped, leaked) = seen["counts"]
    say(f"{target}: {seen['loads']} swaps, {passed} passed, {lost} lost, {dropped} dropped, {leaked} leaked")
    assert seen["words"] == ""
    assert (lost, leaked) == (0, 0)
    assert seen["loads"] >= FEWEST
    counters = host.counters(target)
    # What the counter saw before, between and after the swaps: none of them set it back.
    assert counters[Counted(VM.uid, "rule", "open")].packets == passed
    assert counters[Counted(VM.uid, "rule", "shut")].packets == dropped


@pytest.mark.parametrize("way", ["whole host", "off and on"])
def test_loading_the_whole_host_or_a_vm_again_leaks_nothing(host: Host, target: Target, way: str) -> None:
    host.load(swap(VM, FIRST, target))
    if way == "whole host":
        rulesets = [host_ruleset([(VM, FIRST)], target), host_ruleset([(VM, SECOND)], target)]
    else:
        rulesets = [remove(VM, FIRST, target), swap(VM, FIRST, target)]
    seen = host.order("storm", frames=knocks(target), rulesets=rulesets, seconds=SECONDS, fewest=FEWEST)
    (lost, passed), (_, leaked) = seen["counts"]
    say(f"{target}, {way}: {seen['loads']} loads, {passed} passed, {lost} lost, {leaked} leaked")
    assert seen["words"] == ""
    assert leaked == 0
    assert passed > 0


@pytest.mark.parametrize(
    "fault",
    ["add element {} karenpanel nowhere {{ 1 }}", "delete counter {} karenpanel nowhere", "this is no line of nft {}"],
    ids=["kernel", "name", "grammar"],
)
def test_a_change_whose_last_line_is_refused_changes_nothing(host: Host, target: Target, fault: str) -> None:
    host.load(swap(VM, FIRST, target))
    before = host.run("nft -n list ruleset")
    words = host.refuses(swap(VM, SECOND, target, before=FIRST) + fault.format(target.family) + "\n")
    assert "Error" in words
    assert host.run("nft -n list ruleset") == before


def listed(host: Host, target: Target) -> Loaded:
    return read_loaded(host.run(f"nft -j list table {target.family} {TABLE}"))


def names(loaded: Loaded) -> tuple[object, object, object]:
    """What is loaded, without the order in which it was."""
    chains, counters = ({uid: set(named) for uid, named in kind.items()} for kind in (loaded.chains, loaded.counters))
    return loaded.taps, chains, counters


def test_fifty_swaps_leave_what_one_does(host: Host, target: Target) -> None:
    random = Random(50)
    for number in range(50):
        rules = random_list(random) if number % 2 else [*random_list(random), *FILLER]
        host.load(swap(VM, rules, target, before=listed(host, target)))
        assert names(listed(host, target)) == names(as_loaded(VM, rules, target))
    host.load(remove(VM, listed(host, target), target))
    assert names(listed(host, target)) == names(Loaded({direction: {} for direction in Direction}))


def test_the_whole_host_leaves_nothing_of_who_is_gone(host: Host, target: Target) -> None:
    gone, other = Tap("vm-gone", "tap7"), Tap("vm-2", "tap9")
    host.load(host_ruleset([(VM, SECOND), (gone, FIRST)], target))
    host.load(host_ruleset([(VM, FIRST), (other, FIRST)], target, before=listed(host, target)))
    assert listed(host, target).machines == {VM.uid, other.uid}
    assert names(listed(host, target))[1][VM.uid] == set(as_loaded(VM, FIRST, target).chains[VM.uid])  # type: ignore[index]


@pytest.mark.parametrize("told", [True, False], ids=["as read", "list alone"])
def test_a_tap_that_was_the_vms_passes_nothing(host: Host, target: Target, told: bool) -> None:
    """Its interface is another one now: frames of the old one are nobody's."""
    host.load(swap(VM, FIRST, target))
    assert _goes_in(host, target, VM.tap)
    moved = Tap(VM.uid, "tap9")
    host.load(swap(moved, FIRST, target, before=listed(host, target) if told else FIRST))
    nobodys = host.unknown(target, "in")
    assert not _goes_in(host, target, VM.tap)
    if told:
        assert listed(host, target).taps[Direction.IN] == {"tap9": VM.uid}
    assert (host.unknown(target, "in") > nobodys) is told


def test_the_next_vm_on_a_tap_has_its_own_rules(host: Host, target: Target) -> None:
    host.load(swap(VM, FIRST, target))
    after = Tap("vm-2", VM.tap)
    host.load(swap(after, [SHUT], target, before=listed(host, target)))
    assert not _goes_in(host, target, VM.tap)
    assert host.counters(target)[Counted("vm-2", "in", "none")].packets == 1
    host.load(swap(after, FIRST, target, before=listed(host, target)))
    assert _goes_in(host, target, VM.tap)


def _goes_in(host: Host, target: Target, tap: str) -> bool:
    """Whether the packet that both lists accept comes out at the tap."""
    host.order("forget")
    way_in, way_out, frame, mark = knocks(target)[0]
    assert way_out == tap
    return host.send([(way_in, way_out, bytes.fromhex(frame), bytes.fromhex(mark))])[0]


def test_a_change_from_a_list_that_is_not_loaded_is_refused_whole(host: Host, target: Target) -> None:
    host.load(swap(VM, FIRST, target))
    before = host.run("nft -n list ruleset")
    host.refuses(swap(VM, FIRST, target, before=SECOND))
    assert host.run("nft -n list ruleset") == before


def test_a_second_vm_on_the_same_tap_is_refused_whole(host: Host, target: Target) -> None:
    host.load(swap(VM, FIRST, target))
    before = host.run("nft -n list ruleset")
    host.refuses(swap(Tap("vm-2", VM.tap), SECOND, target))
    assert host.run("nft -n list ruleset") == before


def test_loading_twice_changes_nothing(host: Host, target: Target) -> None:
    host.load(host_ruleset([(VM, SECOND)], target))
    before = host.run("nft -n list ruleset")
    host.load(host_ruleset([(VM, SECOND)], target))
    host.load(swap(VM, SECOND, target, before=SECOND))
    assert host.run("nft -n list ruleset") == before


def test_counters_of_rules_that_are_gone_are_gone(host: Host, target: Target) -> None:
    host.load(swap(VM, SECOND, target))
    host.load(swap(VM, FIRST, target, before=SECOND))
    counted = {key.what for key in host.counters(target) if key.kind == "rule"}
    assert counted == {"open", "shut"}
