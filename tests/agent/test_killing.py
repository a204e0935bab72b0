"""An agent may be killed anywhere: what neither list accepts never passes, and the next poll makes all right."""

from securitygroups.agent import disk
from tests.agent.conftest import KERNEL
from tests.agent.frames import udp_in
from tests.agent.killing import kill
from tests.agent.stand import Stand, machine, rules
from tests.kernel.host import say

pytestmark = KERNEL

ROUNDS = 6


def test_killed_at_random_moments_it_leaks_nothing_and_the_next_poll_makes_all_right(stand: Stand) -> None:
    seen = kill(stand, ROUNDS, seed=3)

    say(f"{stand.target}: {seen}")
    assert (seen.lost, seen.leaked, seen.wrong) == (0, 0, 0)
    assert seen.sent > 1000


def test_what_was_being_loaded_when_it_was_killed_is_its_own_and_no_drift(stand: Stand) -> None:
    stand.say({("sg-1", 1): rules("dns: accept in udp 53")}, machine("vm-1", "tap0", ("sg-1", 1)), drift="report")
    stand.once()
    stand.host.run(f"nft insert rule {stand.target.family} karenpanel vm.vm-1.in udp dport 80 accept")
    disk.write_json(stand.places.loaded / "under-way.json", ["", "vm-1"], lasting=False)

    stand.once()

    assert stand.passes(udp_in(stand.target, 80), udp_in(stand.target, 53)) == [False, True]
    assert stand.panel.vm("vm-1")["drift"] == []
    assert not (stand.places.loaded / "under-way.json").exists()
