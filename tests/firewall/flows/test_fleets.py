"""Traffic of many VMs is judged as each VM's own list judges it, one flow after the other."""

import io
from collections import Counter
from random import Random

import numpy as np
import pytest

from securitygroups.firewall.decide import decide
from securitygroups.firewall.flows import fleets
from securitygroups.firewall.flows.addresses import NOBODY, Addresses, Local
from securitygroups.firewall.flows.fleets import ByVm, Lists
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.flows.whatif import Report, Run, Until, what_if
from securitygroups.firewall.formats.packets import packet_from_json
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import BITS, Network, Packet, Rule, RuleList, parse_address
from tests.firewall.flows.batches import from_packets
from tests.firewall.strategies import random_list, random_packet

HEAD = "direction,protocol,source,destination,port,action\n"
LETS_IN = Rule(Action.ACCEPT, Direction.IN, "tcp", None, None, 443, 443)
LETS_OUT = Rule(Action.ACCEPT, Direction.OUT, "all")


def addresses_of(packets: list[Packet]) -> list[tuple[int, int]]:
    """All addresses of the packets, each once."""
    ends = [(packet.version, end) for packet in packets for end in (packet.source, packet.destination)]
    return sorted({(version, end) for version, end in ends if version and end is not None})


def owner_of(packet: Packet, owned: dict[tuple[int, int], int]) -> int | None:
    """The VM that an In packet comes to, or an Out packet from."""
    own = packet.destination if packet.direction is Direction.IN else packet.source
    return None if packet.version is None or own is None else owned.get((packet.version, own))


@pytest.mark.parametrize("seed", range(40))
def test_each_flow_is_judged_by_the_effective_list_of_its_vm(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    kept = random.choice((0, 2, fleets.KEPT))
    monkeypatch.setattr(fleets, "KEPT", kept)
    groups = [random_list(random) for _ in range(5)]
    orders = [random.sample(range(5), random.randint(0, 4)) for _ in range(4)]
    order_of = [random.randrange(4) for _ in range(6)]
    packets = [random_packet(random) for _ in range(300)]
    owned = {end: random.randrange(6) for end in addresses_of(packets) if random.random() < 0.7}
    fleet = ByVm(Lists(groups, orders, order_of, [(*end, vm) for end, vm in owned.items()]))
    lists: list[RuleList] = [[rule for group in orders[order] for rule in groups[group]] for order in order_of]

    half = len(packets) // 2
    for part in (packets[:half], packets[half:]):
        fleet.add(from_packets(part))
    fleet.finish()

    assert len(fleet._kept) <= kept
    accepted, elsewhere = 0, 0
    rules, flows, denied = Counter[int](), Counter[int](), Counter[int]()
    for packet in packets:
        vm = owner_of(packet, owned)
        if vm is None:
            elsewhere += 1
            continue
        decision = decide(lists[vm], packet)
        accepted += decision.action is Action.ACCEPT
        flows[vm] += 1
        denied[vm] += decision.action is Action.DROP
        rules[number_of(decision.rule, orders[order_of[vm]], groups)] += 1
    assert (fleet.now.rows, fleet.now.accepted, fleet.elsewhere) == (flows.total(), accepted, elsewhere)
    assert [*fleet.flows_of] == [flows[vm] for vm in range(6)]
    assert [*fleet.denied_of] == [denied[vm] for vm in range(6)]
    assert [*fleet.now.hits] == [rules[number] for number in range(sum(map(len, groups)) + 1)]
    assert fleet.now.denied.changes(10**6).flows == denied.total()


def number_of(place: int | None, order: list[int], groups: list[tuple[Rule, ...]]) -> int:
    """The place in an effective list as the number of the rule among those of all groups."""
    if place is None:
        return 0
    for group in order:
        if place <= len(groups[group]):
            return sum(map(len, groups[:group])) + place
        place -= len(groups[group])
    raise AssertionError("The place is behind the end of the list.")


def run(lists: Lists, text: str) -> tuple[ByVm, Report]:
    fleet = ByVm(lists)
    local = [Network(version, address, BITS[version]) for version, address, _ in lists.addresses]
    run = Run(fleet, FlowLog(io.BytesIO(text.encode()), local), Until())
    for _ in run:
        pass
    return fleet, run.report()


def two_vms(*orders: list[int]) -> Lists:
    ends = [(*parse_address(text), vm) for vm, text in enumerate(("10.0.0.5", "10.0.0.6"))]
    return Lists([[LETS_IN], [LETS_OUT]], orders, [0, 1], ends)


def test_a_flow_between_two_vms_is_judged_at_both_ends() -> None:
    log = "protocol,source,destination,port\ntcp,10.0.0.5,10.0.0.6,443\ntcp,10.0.0.6,10.0.0.5,443\n"

    fleet, report = run(two_vms([0], [1]), log + "tcp,192.0.2.1,192.0.2.2,443\n")

    assert (report.rows, report.accepted_before) == (4, 2)
    assert [*fleet.denied_of] == [1, 1]
    assert report.skipped == {Skip.ELSEWHERE: 1}


def test_where_the_log_tells_the_direction_flows_of_no_vm_are_counted_apart() -> None:
    log = "in,tcp,192.0.2.1,10.0.0.5,443,\nin,tcp,10.0.0.5,192.0.2.1,443,\nout,udp,10.0.0.6,192.0.2.1,53,\nin,non-ip,,,,\n"

    fleet, report = run(two_vms([0], [1]), HEAD + log)

    assert (report.rows, report.accepted_before, fleet.elsewhere) == (2, 2, 2)
    assert report.skipped == {Skip.ELSEWHERE: 2}
    assert report.hits_before == (0, 1, 1)


def test_of_a_single_vm_frames_without_an_address_are_its_own() -> None:
    one = Lists([[Rule(Action.ACCEPT, Direction.IN, "all")]], [[0]], [0], [(*parse_address("10.0.0.5"), 0)])

    fleet, report = run(one, HEAD + "in,non-ip,,,,\nout,non-ip,,,,\nin,tcp,192.0.2.1,10.0.0.9,443,\n")

    assert (report.rows, report.accepted_before, fleet.elsewhere) == (2, 1, 1)


def test_vms_without_groups_and_projects_without_vms_deny_or_judge_nothing() -> None:
    flow = "in,tcp,192.0.2.1,10.0.0.5,443,\n"

    _, nothing_there = run(Lists([], [], [], []), HEAD + flow)
    _, no_groups = run(Lists([], [[]], [0], [(*parse_address("10.0.0.5"), 0)]), HEAD + flow)

    assert (nothing_there.rows, nothing_there.skipped) == (0, {Skip.ELSEWHERE: 1})
    assert (no_groups.rows, no_groups.accepted_before, no_groups.hits_before) == (1, 0, (1,))


def test_many_blocks_are_judged_together_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("securitygroups.firewall.flows.logs._CHUNK", 1000)
    monkeypatch.setattr(fleets, "A_GROUP", 75)

    _, report = run(two_vms([0], [1]), HEAD + "in,tcp,192.0.2.1,10.0.0.5,443,\n" * 1001)

    assert (report.rows, report.accepted_before) == (1001, 1001)


def test_addresses_are_found_whatever_stands_beside_them() -> None:
    random = Random(3)
    near = [0, 1, 2**32 - 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1, 2**127, 2**128 - 1]
    some = [(6, random.choice(near) ^ random.getrandbits(3)) for _ in range(200)]
    some += [(4, random.getrandbits(5)) for _ in range(100)]
    owned = {end: number for number, end in enumerate(some) if random.random() < 0.5}
    found = Addresses([(*end, number) for end, number in owned.items()])
    version = np.array([family for family, _ in some], np.uint8)
    high = np.array([end >> 64 for _, end in some], np.uint64)
    low = np.array([end & (2**64 - 1) for _, end in some], np.uint64)

    assert [*found.owners(version, high, low)] == [owned.get(end, NOBODY) for end in some]
    assert [*Addresses([]).owners(version, high, low)] == [NOBODY] * len(some)
    local = Local([Network(family, end, BITS[family]) for family, end in owned] + [Network(6, 2**127, 1)])
    assert [*local.has(version, high, low)] == [end in owned or (end[0] == 6 and end[1] >= 2**127) for end in some]


def test_what_the_log_said_is_held_against_the_rules() -> None:
    random = Random(8)
    rules = random_list(random, 20)
    packets = [random_packet(random) for _ in range(2_000)]
    said = [random.choice(["ACCEPT", "REJECT", ""]) for _ in packets]
    batch = from_packets(packets)
    batch.said[:] = [{"ACCEPT": 1, "REJECT": 2, "": 0}[word] for word in said]
    fleet = ByVm(Lists([rules], [[0]], [0], [(*end, 0) for end in addresses_of(packets)]))
    fleet.add(batch)

    passes = [decide(rules, packet).action is Action.ACCEPT for packet in packets]
    pairs = Counter(zip(said, passes, strict=True))
    now = fleet.now
    assert now.said_accepted == said.count("ACCEPT")
    assert now.said_denied == said.count("REJECT")
    assert now.only_log_accepts.changes(5).flows == pairs["ACCEPT", False]
    assert now.only_log_denies.changes(5).flows == pairs["REJECT", True]
    assert now.denied.changes(5).flows == passes.count(False)
    assert sum(group.flows for group in now.only_log_accepts.changes(10**6).groups) == pairs["ACCEPT", False]


def test_denied_flows_and_what_a_vpc_log_said_are_in_the_report() -> None:
    log = "2 1 eni-1 192.0.2.1 10.0.0.5 40000 443 6 9 900 1 2 ACCEPT OK\n"
    log += "2 1 eni-1 192.0.2.1 10.0.0.5 40001 22 6 9 900 1 2 ACCEPT OK\n"
    log += "2 1 eni-1 192.0.2.2 10.0.0.5 40002 443 6 9 900 1 2 REJECT OK\n"
    log += "2 1 eni-1 192.0.2.3 10.0.0.5 40003 25 6 9 900 1 2 REJECT OK\n"

    report = what_if([LETS_IN], [LETS_IN], io.BytesIO(log.encode()), local=[Network(4, 10 << 24, 8)])

    assert (report.rows, report.said_accepted, report.said_denied) == (4, 2, 2)
    assert [(group.port, group.flows) for group in report.denied.groups] == [(22, 1), (25, 1)]
    [only_log] = report.only_log_accepts.groups
    assert only_log.pairs[0].packet == packet_from_json(
        {"direction": "in", "protocol": "tcp", "source": "192.0.2.1", "destination": "10.0.0.5", "port": 22}
    )
    assert [(group.port, group.before) for group in report.only_log_denies.groups] == [(443, 1)]
