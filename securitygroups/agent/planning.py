"""What has to be loaded so that the kernel has what it should, and what only differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from securitygroups.agent import compiling
from securitygroups.agent.compiling import Compiled, Loaded, Unenforceable
from securitygroups.agent.kept import Kept
from securitygroups.agent.kernel import Reading
from securitygroups.agent.nft import Item
from securitygroups.agent.readback import HOST, Part, difference, parted
from securitygroups.agent.record import InForce, Record
from securitygroups.agent.state import Machine, State
from securitygroups.agent.vectors import Vector
from securitygroups.firewall.protocols import Direction

MOST_SHARED = 5
"""Lines about the host itself that each of its VMs is told of."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A list that a VM should have. `vector` is of what it was made, `newest` whether the panel has said nothing newer."""

    compiled: Compiled
    vector: Vector
    newest: bool


@dataclass
class Wishes:
    """What each VM should have, the newest that can be said first; and why what is newer cannot, in words."""

    lists: dict[str, list[Wanted]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


@dataclass
class Plan:
    """What is to be done. `load` are VMs with what they get, `leave` those that are no longer the host's.

    `same` have another vector for what they have already. `drift` are the lines that differ of each VM that somebody changed,
    and of the host itself (HOST); whether they are put right or not. `strange` is what is taken out.
    """

    host: bool = False
    load: dict[str, Wanted] = field(default_factory=dict)
    leave: list[str] = field(default_factory=list)
    same: dict[str, Vector] = field(default_factory=dict)
    drift: dict[str, list[str]] = field(default_factory=dict)
    strange: tuple[Item, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.host or self.load or self.leave or self.strange)


def wishes(kept: Kept, loaded: Loaded) -> Wishes:
    """What the state says, of each VM that it can be compiled of."""
    wished = Wishes()
    for machine in kept.state.machines:
        found = []
        for one, newest in ((machine, True), (kept.held.get(machine.uid), False)):
            made = _wanted(kept.state, one, newest=newest) if one else ""
            if isinstance(made, Wanted):
                found.append(made)
            elif newest:
                wished.faults[machine.uid] = made
        if found:
            wished.lists[machine.uid] = found
    _part_taps(wished, loaded)
    return wished


def _wanted(state: State, machine: Machine, *, newest: bool) -> Wanted | str:
    """The VM's list, or why it cannot be said."""
    rules = state.rules_of(machine)
    if isinstance(rules, str) or machine.vector is None:
        return str(rules)
    try:
        made = compiling.compiled(machine, rules, state.settings)
    except Unenforceable as error:
        return str(error)
    return Wanted(made, machine.vector.compiled_by(compiling.TEXT_VERSION), newest)


def _part_taps(wished: Wishes, loaded: Loaded) -> None:
    """One tap is one VM's: who has it keeps it, else the first that is listed."""
    there = loaded.taps.get(Direction.OUT, {})
    holders: dict[str, str] = {}
    for uid, lists in sorted(wished.lists.items(), key=lambda one: there.get(one[1][0].compiled.tap.tap) != one[0]):
        tap = lists[0].compiled.tap.tap
        other = holders.setdefault(tap, uid)
        if other != uid:
            wished.faults[uid] = f"Its tap {tap} is also that of the VM {other}: one of them is somewhere else."
            del wished.lists[uid]


def planned(kept: Kept, record: Record, reading: Reading, wished: Wishes, *, start: bool = False) -> Plan:
    """What to do about the difference. `start` is when the agent starts: what is not there at all is loaded then."""
    plan = Plan()
    repair = kept.state.settings.repair
    here = {machine.uid for machine in kept.state.machines}
    plan.leave = sorted({*reading.loaded.machines, *reading.parts} - here - {HOST})
    for uid, lists in wished.lists.items():
        _plan_machine(plan, uid, lists[0], record, reading)
        gone = start and not reading.part(uid).pieces
        if uid in plan.drift and (repair or gone):
            plan.load[uid] = lists[0]
    _plan_host(plan, compiling.hash_of_host(kept.state.settings), record, reading)
    if HOST in plan.drift and (repair or (start and not reading.host.pieces)):
        plan.host = True
    if repair:
        plan.strange = parted(reading.host, compiling.host_names(kept.state.settings))[1]
    missing = not reading.host.pieces
    if missing and (plan.load or plan.host):
        # What the host loads first closes every tap: then each VM needs its own.
        plan.host = True
        plan.load = {uid: lists[0] for uid, lists in wished.lists.items()}
    plan.host = plan.host or bool(reading.stale)
    return plan


def _plan_machine(plan: Plan, uid: str, wanted: Wanted, record: Record, reading: Reading) -> None:
    before, part = record.machines.get(uid), reading.part(uid)
    if before is None or before.text != wanted.compiled.text or uid in record.under_way:
        plan.load[uid] = wanted
        return
    if before.hash != part.hash:
        plan.drift[uid] = drifted(before, part)
    if before.vector != wanted.vector:
        plan.same[uid] = wanted.vector


def _plan_host(plan: Plan, text: str, record: Record, reading: Reading) -> None:
    if record.host is None or record.host.text != text or HOST in record.under_way:
        plan.host = True
    elif record.host.hash != reading.host.hash:
        plan.drift[HOST] = drifted(record.host, reading.host)


def drifted(before: InForce, now: Part) -> list[str]:
    """The lines that differ from what was loaded."""
    if not now.pieces:
        return ["All of it is gone."]
    return difference(before.lines, now.lines) or ["Something is not as it was loaded, that its lines do not tell."]


def lines_for(uid: str, drift: Mapping[str, list[str]]) -> list[str]:
    """What of the drift concerns the VM: its own lines, and a few of what all VMs of the host share."""
    shared = [f"host: {line}" for line in drift.get(HOST, ())]
    rest = len(shared) - MOST_SHARED
    shared = shared if rest <= 0 else [*shared[:MOST_SHARED], f"host: … and {rest} more"]
    return [*drift.get(uid, ()), *shared]
