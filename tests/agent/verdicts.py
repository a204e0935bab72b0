"""Lists that agents loaded, and what the kernel then does against what decide() says: `python -m tests.agent.verdicts [LISTS] [TARGET] [SEED]`.

Each list comes as a state from a panel, is compiled and loaded by the agent's own program, and then 2,000 packets at its edges
are sent through the kernel.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from securitygroups.firewall.documents import rule_to_json
from securitygroups.firewall.platform import Target
from securitygroups.firewall.values import Rule
from tests.agent.stand import Stand, machine, standing
from tests.kernel.host import VM, say
from tests.kernel.verdicts import mismatches, random_list

PACKETS = 2000


def loader(stand: Stand) -> Callable[[Sequence[Rule]], None]:
    """What has the agent load a list for the VM, each time as the next revision of its group."""
    revision = 0

    def load(rules: Sequence[Rule]) -> None:
        nonlocal revision
        revision += 1
        documents = [{**rule_to_json(rule), "id": rule.uid} for rule in rules]
        stand.say({("sg-1", revision): documents}, machine(VM.uid, VM.tap, ("sg-1", revision)))
        stand.once()
        told = stand.panel.vm(VM.uid)
        assert (told["error"], told["vector"]["groups"]) == ("", [["sg-1", revision]]), told

    return load


def agreed(stand: Stand, lists: int, random: Random) -> int:
    """How many verdicts there were, of which none differed. Fails at the first list with one that did."""
    load = loader(stand)
    load([])
    for number in range(lists):
        rules = random_list(random)
        faults = mismatches(stand.host, stand.target, rules, PACKETS, random, load=load)
        assert not faults, f"list {number}: {len(faults)} differences: " + "; ".join(faults[:5])
    return lists * PACKETS


def main(lists: str = "101", target: str = "bridge-mark", seed: str = "1") -> None:
    with TemporaryDirectory() as folder, standing(Target(target), Path(folder)) as stand:
        begun = time.monotonic()
        number = agreed(stand, int(lists), Random(int(seed)))
        say(
            f"{target}: {number:,} verdicts of {lists} lists that the agent loaded, no difference, "
            f"{time.monotonic() - begun:.0f} s"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
