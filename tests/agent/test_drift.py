"""What somebody changes by hand is told in lines, and put right or left as the host's setting says."""

import re
import time

import pytest

from securitygroups.firewall.nftables import TABLE
from tests.agent.conftest import KERNEL
from tests.agent.frames import udp_in
from tests.agent.stand import Stand, machine, rules, until
from tests.kernel.host import OTHER_TAP

pytestmark = KERNEL

DNS = ("sg-dns", 1)
GROUPS = {DNS: rules("dns: accept in udp 53")}
VM, OTHER = machine("vm-1", "tap0", DNS), machine("vm-2", OTHER_TAP, DNS)


def opens(stand: Stand, *ports: int) -> list[bool]:
    return stand.passes(*(udp_in(stand.target, port) for port in ports))


def table(stand: Stand) -> str:
    return f"{stand.target.family} {TABLE}"


def test_a_hand_made_rule_is_told_and_taken_out(stand: Stand) -> None:
    stand.say(GROUPS, VM, OTHER)
    stand.once()
    before = stand.ruleset()
    stand.host.run(f"nft insert rule {table(stand)} vm.vm-1.in udp dport 80 accept")
    assert opens(stand, 80) == [True]

    stand.once()

    assert opens(stand, 80, 53) == [False, True]
    assert stand.ruleset() == before
    drift = [report["vms"] for report in stand.panel.reports if any(vm["drift"] for vm in report["vms"])]
    assert [(vm["id"], vm["drift"]) for vm in drift[0] if vm["drift"]] == [
        ("vm-1", ["+ vm.vm-1.in: udp dport 80 accept"])
    ]
    stand.once()
    assert stand.panel.vm("vm-1")["drift"] == []


def test_a_hand_made_rule_is_told_and_left(stand: Stand) -> None:
    stand.say(GROUPS, VM, drift="report")
    stand.once()
    stand.host.run(f"nft insert rule {table(stand)} vm.vm-1.in udp dport 80 accept")

    for _ in range(2):
        stand.once()
        assert stand.panel.vm("vm-1")["drift"] == ["+ vm.vm-1.in: udp dport 80 accept"]
    assert opens(stand, 80) == [True]
    assert "+ vm.vm-1.in: udp dport 80 accept" in stand.agent("explain", "vm-1").out

    stand.say({("sg-dns", 2): rules("dns: accept in udp 54")}, machine("vm-1", "tap0", ("sg-dns", 2)), drift="report")
    stand.once()
    assert opens(stand, 80, 53, 54) == [False, False, True]
    stand.once()
    assert stand.panel.vm("vm-1")["drift"] == []


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("nft add rule {} vm.vm-1.in accept", ["+ vm.vm-1.in: accept"]),
        ("nft flush chain {} vm.vm-1.in.ok", ["- vm.vm-1.in.ok: accept"]),
        ("nft add chain {} vm.vm-1.in.more", ["+ chain vm.vm-1.in.more"]),
        ("nft insert rule {} from_vm accept", ["host: + from_vm: accept"]),
        ("nft insert rule {} to_vm accept", ["host: + to_vm: accept"]),
        ("nft add chain {} mine", ["host: + chain mine"]),
        ("nft add counter {} mine", ["host: + counter mine"]),
        ('nft add element {} vm_in {{ "tap7" : accept }}', ["host: + vm_in: tap7 : accept"]),
        ('nft delete element {} vm_in {{ "tap0" }}', ["- vm_in: tap0 : jump vm.vm-1.in"]),
        ('nft add element {} vm_in {{ "tap8" : jump vm.vm-1.in }}', ["+ vm_in: tap8 : jump vm.vm-1.in"]),
    ],
)
def test_each_way_to_change_something_is_seen_and_put_right(stand: Stand, command: str, lines: list[str]) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    before = stand.ruleset()
    stand.host.load(command.format(table(stand)).removeprefix("nft ") + "\n")
    assert stand.ruleset() != before

    stand.once()

    told = next(vm["drift"] for report in stand.panel.reports for vm in report["vms"] if vm["drift"])
    assert set(lines) <= set(told)
    assert stand.ruleset() == before
    generation = stand.generation()
    stand.once()
    assert stand.generation() == generation


def test_counters_that_count_are_no_change(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    generation, told = stand.generation(), stand.panel.vm("vm-1")
    assert opens(stand, 53, 80) == [True, False]

    stand.once()

    assert stand.generation() == generation
    assert stand.panel.vm("vm-1") == told


def test_a_flushed_ruleset_is_loaded_again_at_once(stand: Stand) -> None:
    stand.say(GROUPS, VM, OTHER)
    stand.start()
    until(lambda: opens(stand, 53, 80) == [True, False])
    before, took = stand.ruleset(), []

    for _ in range(3):
        time.sleep(1.2)
        begun = time.monotonic()
        stand.host.run("nft flush ruleset")
        until(lambda: stand.ruleset() == before)
        took.append(time.monotonic() - begun)

    assert opens(stand, 53, 80) == [True, False]
    assert max(took) < 2, took
    until(lambda: any(vm["drift"] == ["All of it is gone.", "host: All of it is gone."] for vm in said(stand)))
    assert "The ruleset was changed by nft." in stand.log


def said(stand: Stand) -> list[dict[str, list[str]]]:
    return [vm for report in stand.panel.reports for vm in report["vms"]]


def test_what_others_do_in_their_own_tables_is_nobodys_business(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.start()
    until(lambda: opens(stand, 53, 80) == [True, False])
    time.sleep(1)
    log = stand.log

    for number in range(5):
        stand.host.run(f"nft add table inet other{number}")
    time.sleep(1)

    assert stand.log == log
    assert len(re.findall(r"table inet other\d", stand.ruleset())) == 5


def test_a_flushed_ruleset_is_left_where_the_setting_says_so_until_the_agent_starts(stand: Stand) -> None:
    stand.say(GROUPS, VM, drift="report")
    agent = stand.start()
    until(lambda: any(vm["vector"] for vm in said(stand)))
    before = stand.ruleset()

    stand.host.run("nft flush ruleset")
    until(lambda: any(vm["drift"] for vm in said(stand)))
    assert "vm-1" not in stand.ruleset()
    agent.terminate()
    assert agent.wait(20) == 0
    stand.start()

    assert stand.ruleset() == before


def test_an_agent_that_stops_takes_nothing_away(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    agent = stand.start()
    until(lambda: opens(stand, 53, 80) == [True, False])
    before = stand.ruleset()

    agent.terminate()

    assert agent.wait(20) == 0
    assert stand.ruleset() == before
    assert opens(stand, 53, 80) == [True, False]


def test_a_panel_that_is_away_takes_nothing_away(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    before = stand.ruleset()
    stand.panel.broken = True

    assert "does not answer" in stand.once(status=1)

    assert stand.ruleset() == before


@pytest.mark.parametrize("wrong", [{"format": "karenpanel-state/9"}, {"host": "host-another"}, {"taps": "*"}])
def test_a_state_that_cannot_be_taken_takes_nothing_away(stand: Stand, wrong: dict[str, str]) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    before = stand.ruleset()

    stand.panel.state |= wrong
    stand.once(status=None)

    assert stand.ruleset() == before
    assert stand.panel.vm("vm-1")["error"]
