"""An agent that is killed at random moments while packets pass: `python -m tests.agent.killing ROUNDS [TARGET] [SEED]`.

Each round the panel has another list; an agent starts, and is killed somewhere on its way, alone or with the nft that it
runs. What neither list accepts must never pass, what both accept always, and after the next poll that ends the newest holds.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from securitygroups.firewall.platform import Target
from tests.agent.frames import udp_in
from tests.agent.stand import ROOT, Stand, machine, rules, standing, until
from tests.kernel.host import say

OPEN, FIRST, SECOND, SHUT = 53, 54, 55, 56
MACHINES = 12
_FILLER = [f"f{port}: drop in tcp {port} from 192.0.2.0/25" for port in range(2000, 2040)]
LISTS = {
    0: rules(*_FILLER, f"open: accept in udp {OPEN}", f"first: accept in udp {FIRST}"),
    1: rules(f"shut: drop in udp {SHUT}", f"second: accept in udp {SECOND}", *_FILLER, f"open: accept in udp {OPEN}"),
}


@dataclass
class Passing:
    """Packets that are sent all the time, and what came of them."""

    stand: Stand
    sent: int = 0
    lost: int = 0
    leaked: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def go(self) -> None:
        while not self.stop.is_set():
            frames = [udp_in(self.stand.target, port) for port in (OPEN, SHUT) for _ in range(50)]
            passed = self.stand.passes(*frames)
            self.sent += len(frames)
            self.lost += passed[:50].count(False)
            self.leaked += passed[50:].count(True)
            # What is remembered of these connections would fill the kernel's table.
            self.stand.host.order("forget")


@dataclass(frozen=True)
class Killed:
    """`wrong` are rounds behind which the newest list did not hold after one poll, `caught` those in which something was just
    being loaded."""

    rounds: int
    sent: int
    lost: int
    leaked: int
    wrong: int
    caught: int


def _say(stand: Stand, number: int) -> None:
    key = ("sg-all", number)
    others = (machine(f"vm-x{each}", f"tapx{each}", key) for each in range(MACHINES))
    stand.say({key: LISTS[number % 2]}, machine("vm-1", "tap0", key), *others)


def under_way(stand: Stand) -> bool:
    """Whether an agent is loading something, or was when it was killed."""
    return (stand.places.loaded / "under-way.json").exists()


def _killed(stand: Stand, random: Random) -> None:
    """One agent, started and killed: anywhere, or mostly where it has just heard of what is new."""
    heard = len(stand.panel.asked)
    agent = subprocess.Popen(
        stand.command("run", "--once"), stderr=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
    )
    where = random.random()
    if where > 0.2:
        until(lambda: ("GET", "/agent/v1/state", 200) in stand.panel.asked[heard:] or agent.poll() is not None)
    if where > 0.5:
        until(lambda: under_way(stand) or agent.poll() is not None)
    time.sleep(random.uniform(0, 0.5))
    if random.random() < 0.5:
        agent.kill()
    else:
        # As systemd does it in the end, with everything that the agent has started.
        os.killpg(agent.pid, signal.SIGKILL)
    agent.wait()


def kill(stand: Stand, rounds: int, seed: int) -> Killed:
    """So many rounds. The order of what is killed when follows from the seed, as far as the machine lets it."""
    random = Random(seed)
    _say(stand, 1)
    stand.once()
    wrong = caught = 0
    sent = lost = leaked = 0
    for number in range(2, rounds + 2):
        _say(stand, number)
        passing = Passing(stand)
        thread = threading.Thread(target=passing.go)
        thread.start()
        _killed(stand, random)
        passing.stop.set()
        thread.join()
        caught += under_way(stand)
        if random.random() < 0.5:
            stand.once()
            wrong += not _holds(stand, number)
        sent, lost, leaked = sent + passing.sent, lost + passing.lost, leaked + passing.leaked
    return Killed(rounds, sent, lost, leaked, wrong, caught)


def _holds(stand: Stand, number: int) -> bool:
    """Whether the list of this number is in force, told so, and nothing else is left on record."""
    passed = stand.passes(*(udp_in(stand.target, port) for port in (OPEN, FIRST, SECOND, SHUT)))
    told: dict[str, Any] = stand.panel.vm("vm-1")
    is_right = passed == [True, number % 2 == 0, number % 2 == 1, False]
    return is_right and told["vector"]["groups"] == [["sg-all", number]] and not told["error"] and not told["drift"]


def main(rounds: str, target: str = "bridge-mark", seed: str = "1") -> None:
    with TemporaryDirectory() as folder, standing(Target(target), Path(folder)) as stand:
        say(f"{target}: {kill(stand, int(rounds), int(seed))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
