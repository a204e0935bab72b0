"""Lists that an agent swaps while packets pass: `python -m tests.agent.swapping [SWAPS] [PACKETS] [TARGET]`.

What both lists accept must always pass, and what neither accepts never. The agent's own way from a state to the kernel is
taken: read, kept on the disk, compiled, loaded in one transaction, read back. It ends when there were as many of both.
"""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from securitygroups.agent.places import Places
from securitygroups.firewall.platform import Target
from tests.agent.killing import LISTS, Passing
from tests.agent.stand import ROOT, Stand, machine, standing, state
from tests.kernel.host import say


def states(target: Target) -> tuple[Any, Any]:
    """Two, of which each is newer than the other when its numbers are set."""
    return tuple(state(target, {("sg-all", 0): LISTS[at]}, machine("vm-1", "tap0", ("sg-all", 0))) for at in (0, 1))


def numbered(told: Any, revision: int) -> Any:
    """The state with this revision of its group."""
    told["groups"][0]["revision"] = revision
    told["vms"][0]["vector"]["groups"] = [["sg-all", revision]]
    return told


def swap(target: Target, folder: Path) -> None:
    """In the host's namespace: one swap for each line that comes, and a line when it is loaded."""
    from securitygroups.agent.holder import Holder
    from securitygroups.agent.state import read_state

    holder = Holder(Places(folder / "lasting", folder / "passing"))
    holder.load()
    both = states(target)
    for revision, _ in enumerate(sys.stdin, 1):
        holder.take(read_state(numbered(both[revision % 2], revision)), f'"{revision}"', "a-key")
        entry = holder.entries()["vm-1"]
        sys.stdout.write(json.dumps([entry["error"], entry["vector"]["groups"][0][1], entry["drift"]]) + "\n")
        sys.stdout.flush()


def swapped(stand: Stand, swaps: int, packets: int) -> tuple[Passing, int]:
    """What passed, and how many swaps there were."""
    script = [
        sys.executable,
        "-m",
        "tests.agent.swapping",
        "--in",
        stand.target.value,
        str(stand.places.lasting.parent),
    ]
    stand.places.make()
    agent = subprocess.Popen(
        [*stand.inside, *script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert agent.stdin is not None
    assert agent.stdout is not None
    passing, done = Passing(stand), 0
    thread = threading.Thread(target=passing.go)
    while done < swaps or passing.sent < packets:
        agent.stdin.write("\n")
        agent.stdin.flush()
        told = json.loads(agent.stdout.readline())
        done += 1
        assert told == ["", done, []], told
        if done == 1:
            thread.start()
    passing.stop.set()
    thread.join()
    agent.stdin.close()
    agent.wait()
    return passing, done


def main(swaps: str = "1000", packets: str = "2000000", target: str = "inet") -> None:
    with TemporaryDirectory() as folder, standing(Target(target), Path(folder)) as stand:
        begun = time.monotonic()
        seen, done = swapped(stand, int(swaps), int(packets))
        say(
            f"{target}: {done:,} swaps, {seen.sent:,} packets, {seen.lost} lost, {seen.leaked} leaked, "
            f"{time.monotonic() - begun:.0f} s"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--in"]:
        swap(Target(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(*sys.argv[1:])
