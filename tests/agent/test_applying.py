"""What the panel says comes into force, a bad VM keeps nobody else from it, and nothing is ever taken away by mistake."""

import re

from securitygroups.firewall.nftables import TABLE
from securitygroups.firewall.platform import Target
from tests.agent.conftest import KERNEL
from tests.agent.frames import udp_in
from tests.agent.stand import Stand, machine, rules
from tests.kernel.host import OTHER_TAP

pytestmark = KERNEL

DNS, WEB = ("sg-dns", 1), ("sg-web", 1)
GROUPS = {DNS: rules("dns: accept in udp 53"), WEB: rules("web: accept in udp 80")}
VM, OTHER = machine("vm-1", "tap0", DNS), machine("vm-2", OTHER_TAP, WEB)


def opens(stand: Stand, *ports: int) -> list[bool]:
    return stand.passes(*(udp_in(stand.target, port) for port in ports))


def test_a_list_is_in_force_and_reported_with_one_question(stand: Stand) -> None:
    stand.say(GROUPS, VM)

    stand.once()

    assert opens(stand, 53, 80) == [True, False]
    told = stand.panel.vm("vm-1")
    assert told["vector"] == VM["vector"]
    assert told["since"] > 0
    assert len(told["hash"]) == 64
    assert (told["error"], told["drift"]) == ("", [])
    assert stand.panel.reports[-1]["state"] == stand.panel.etag


def test_a_new_list_takes_the_place_of_the_old_one(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    before = stand.panel.vm("vm-1")

    stand.say({("sg-dns", 2): rules("web: accept in udp 80")}, machine("vm-1", "tap0", ("sg-dns", 2)))
    stand.once()

    assert opens(stand, 53, 80) == [False, True]
    assert stand.panel.vm("vm-1")["hash"] != before["hash"]
    assert "dns" not in stand.ruleset()


def test_the_same_list_under_another_vector_is_acknowledged_and_not_loaded(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    before, generation = stand.panel.vm("vm-1"), stand.generation()

    stand.say({("sg-dns", 2): GROUPS[DNS]}, machine("vm-1", "tap0", ("sg-dns", 2), attached=2))
    stand.once()

    told = stand.panel.vm("vm-1")
    assert told["vector"] == {"attached": 2, "placement": 1, "groups": [["sg-dns", 2]], "text": 2}
    assert (told["since"], told["hash"]) == (before["since"], before["hash"])
    assert stand.generation() == generation


def test_nothing_new_is_neither_said_again_nor_loaded_again(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    generation = stand.generation()
    stand.panel.asked.clear()

    stand.once()

    assert stand.panel.asked == [("POST", "/agent/v1/report", 200)]
    assert stand.generation() == generation


def test_a_vm_that_left_the_host_passes_nothing_and_leaves_nothing(stand: Stand) -> None:
    stand.say(GROUPS, VM, OTHER)
    stand.once()
    assert opens(stand, 53) == [True]

    stand.say(GROUPS, OTHER)
    stand.once()

    assert opens(stand, 53) == [False]
    assert "vm-1" not in stand.ruleset()
    assert stand.passes(udp_in(stand.target, 80, OTHER_TAP)) == [True] or stand.target is Target.INET


def test_a_list_that_cannot_be_said_keeps_the_one_before_and_nobody_else(stand: Stand) -> None:
    stand.say(GROUPS, VM, OTHER)
    stand.once()
    before = stand.panel.vm("vm-1")
    bad = [{**GROUPS[WEB][0], "id": "b" * 48, "port_start": 99, "port_end": 1}]
    newer = {("sg-dns", 2): bad, ("sg-web", 2): rules("web: accept in udp 81")}

    stand.say(newer, machine("vm-1", "tap0", ("sg-dns", 2)), machine("vm-2", OTHER_TAP, ("sg-web", 2)))
    stand.once()

    assert opens(stand, 53) == [True]
    told = stand.panel.vm("vm-1")
    assert told["vector"] == before["vector"]
    assert "starts at 99" in told["error"]
    assert stand.panel.vm("vm-2")["vector"]["groups"] == [["sg-web", 2]]
    assert stand.panel.vm("vm-2")["error"] == ""


def test_a_list_that_nft_refuses_keeps_the_one_before_and_nobody_else(stand: Stand) -> None:
    long = rules(
        "dns: accept in udp 53", *(f"r{port}: accept in udp {port} from 10.0.{port}.0/24" for port in range(100))
    )
    many = [machine(f"vm-x{number}", f"tapx{number}", WEB) for number in range(5)]
    stand.say({("sg-dns", 1): long, WEB: GROUPS[WEB]}, VM, *many, drift="report")
    stand.once()
    # A chain that somebody's rule leads to cannot be deleted, as those of a long list are where a short one comes.
    led_to = re.findall(r"chain (vm\.vm-1\.in\.\S+) ", stand.ruleset())
    table = f"{stand.target.family} {TABLE}"
    stand.host.load(f"add chain {table} mine\n" + "".join(f"add rule {table} mine jump {chain}\n" for chain in led_to))

    newer = {("sg-dns", 2): GROUPS[WEB], ("sg-web", 2): rules("web: accept in udp 81")}
    moved = [machine(f"vm-x{number}", f"tapx{number}", ("sg-web", 2)) for number in range(5)]
    stand.say(newer, machine("vm-1", "tap0", ("sg-dns", 2)), *moved, drift="report")
    stand.once()

    told = stand.panel.vm("vm-1")
    assert opens(stand, 53) == [True]
    assert "busy" in told["error"]
    assert told["vector"]["groups"] == [["sg-dns", 1]]
    assert [stand.panel.vm(vm["id"])["vector"]["groups"] for vm in moved] == [[["sg-web", 2]]] * 5


def test_two_vms_exchange_their_taps(stand: Stand) -> None:
    stand.say(GROUPS, VM, OTHER)
    stand.once()

    stand.say(GROUPS, machine("vm-1", OTHER_TAP, DNS, placement=2), machine("vm-2", "tap0", WEB, placement=2))
    stand.once()

    assert opens(stand, 53, 80) == [False, True]
    assert stand.panel.vm("vm-1")["error"] == stand.panel.vm("vm-2")["error"] == ""


def test_of_two_vms_on_one_tap_the_one_that_had_it_keeps_it(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()

    stand.say(GROUPS, machine("vm-2", "tap0", WEB), VM)
    stand.once()

    assert opens(stand, 53, 80) == [True, False]
    assert "tap0 is also that of the VM vm-1" in stand.panel.vm("vm-2")["error"]
    assert stand.panel.vm("vm-1")["error"] == ""


def test_an_older_list_is_refused_and_the_newer_stays(stand: Stand) -> None:
    newer = {("sg-dns", 5): rules("dns: accept in udp 53")}
    stand.say(newer, machine("vm-1", "tap0", ("sg-dns", 5), attached=3))
    stand.once()

    older = {("sg-dns", 4): rules("web: accept in udp 80")}
    stand.say(older, machine("vm-1", "tap0", ("sg-dns", 4), attached=3))
    stand.once()

    assert opens(stand, 53, 80) == [True, False]
    told = stand.panel.vm("vm-1")
    assert told["vector"]["groups"] == [["sg-dns", 5]]
    assert "older" in told["error"]


def test_a_host_that_enrolled_anew_takes_the_panels_word(stand: Stand) -> None:
    stand.say({("sg-dns", 5): rules("dns: accept in udp 53")}, machine("vm-1", "tap0", ("sg-dns", 5)))
    stand.once()

    stand.enrol()
    stand.say({("sg-dns", 4): rules("web: accept in udp 80")}, machine("vm-1", "tap0", ("sg-dns", 4)))
    stand.once()

    assert opens(stand, 53, 80) == [False, True]
    assert stand.panel.vm("vm-1")["error"] == ""


def test_at_boot_the_last_state_is_loaded_without_the_panel(stand: Stand) -> None:
    stand.say(GROUPS, VM, OTHER)
    stand.once()
    stand.reboot()
    assert opens(stand, 53, 80) == [True, True], "nothing is loaded now"
    stand.panel.broken = True

    words = stand.once(status=1)

    assert "does not answer" in words
    assert opens(stand, 53, 80) == [True, False]


def test_at_boot_a_vm_whose_newest_list_is_bad_gets_the_one_before(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    bad = [{**GROUPS[WEB][0], "port_start": 99, "port_end": 1}]
    stand.say({("sg-dns", 2): bad}, machine("vm-1", "tap0", ("sg-dns", 2)))
    stand.once()
    stand.reboot()

    stand.once()

    assert opens(stand, 53, 80) == [True, False]
    assert "starts at 99" in stand.panel.vm("vm-1")["error"]


def test_hosts_are_connected_in_another_way_and_nothing_of_the_old_one_stays(stand: Stand) -> None:
    stand.say(GROUPS, VM)
    stand.once()
    other = Target.INET if stand.target is not Target.INET else Target.BRIDGE_MARK

    stand.panel.state["target"] = other.value
    stand.once()

    tables = {line for line in stand.ruleset().splitlines() if line.startswith("table")}
    assert f"table {other.family} {TABLE} {{" in tables
    assert f"table {stand.target.family} {TABLE} {{" not in tables
