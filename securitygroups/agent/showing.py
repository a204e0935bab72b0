"""What `status` and `explain` print: from the disk, from what the running agent says, and from the kernel."""

import time
from collections.abc import Iterator
from typing import Any

from securitygroups.agent import compiling, conntrack, cutting, disk, kernel, places
from securitygroups.agent.compiling import Unenforceable
from securitygroups.agent.holder import Holder
from securitygroups.agent.nft import NftFailed
from securitygroups.agent.places import NotEnrolled, Places
from securitygroups.agent.planning import drifted
from securitygroups.agent.readback import HOST
from securitygroups.agent.state import Machine, State
from securitygroups.firewall.formats.documents import rule_to_json
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.values import Rule


class NoSuchVM(LookupError):
    """The host has no VM of that name; the message says which it has."""


def status(where: Places) -> dict[str, Any]:
    """The host in short. Raises Unreadable, NotEnrolled."""
    host = places.enrolled(where)
    holder = _held(where)
    running = disk.read_json(where.running) or {}
    reached = running.get("reached") if isinstance(running, dict) else 0
    machines = holder.kept.state.machines if holder.kept else ()
    return {
        "host": host.host,
        "name": host.name,
        "panel": host.panel,
        "reached": _when(reached) if reached else "never since it was started",
        "words": str(running.get("words", "")) if isinstance(running, dict) else "",
        "trouble": holder.trouble,
        "vms": [_short(holder, machine) for machine in machines],
    }


def _held(where: Places) -> Holder:
    holder = Holder(where)
    holder.load()
    return holder


def _short(holder: Holder, machine: Machine) -> dict[str, Any]:
    there = holder.record.machines.get(machine.uid)
    newest = machine.vector.compiled_by(compiling.TEXT_VERSION) if machine.vector else None
    return {
        "id": machine.uid,
        "name": machine.name,
        "tap": machine.tap,
        "since": _when(there.since) if there else "nothing is loaded",
        "newest": there is not None and there.vector == newest,
    }


def status_lines(told: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    yield f"{told['name']} ({told['host']}) of {told['panel']}"
    yield f"In touch with the panel: {told['reached']}."
    yield from filter(None, (told["words"], told["trouble"]))
    for vm in told["vms"]:
        newer = "" if vm["newest"] else "; a newer list is not in force"
        yield f"  {vm['id']}  {vm['tap']}  {vm['name']}: {vm['since']}{newer}"


def explain(where: Places, asked: str) -> Iterator[str]:
    """A VM's list and what becomes of it here, in lines. Raises NoSuchVM, Unreadable, NotEnrolled."""
    holder = _held(where)
    if holder.kept is None:
        raise NotEnrolled("The panel has not told this host anything yet.")
    state = holder.kept.state
    machine = _found(state, asked)
    held = "sends only as itself" if machine.held else "may send as anybody"
    yield f"{machine.uid} {machine.name} on {machine.tap}, {machine.mac or 'no MAC known'}, {held}"
    yield f"Addresses: {', '.join(machine.addresses) or 'none known'}"
    there = holder.record.machines.get(machine.uid)
    yield f"In force since {_when(there.since)}." if there else "Nothing is loaded for it."
    rules = state.rules_of(machine)
    if isinstance(rules, str):
        yield rules
        return
    yield from _rules(holder, state, machine)
    yield from _differences(holder, state, machine)
    yield from _connections(state, machine, rules)


def _found(state: State, asked: str) -> Machine:
    """By ID, name or tap. Raises NoSuchVM."""
    for machine in state.machines:
        if asked in (machine.uid, machine.name, machine.tap):
            return machine
    there = ", ".join(machine.uid for machine in state.machines[:20]) or "none"
    raise NoSuchVM(f"This host has no VM “{asked}”. It has: {there}.")


def _rules(holder: Holder, state: State, machine: Machine) -> Iterator[str]:
    counted = holder.counters()
    for group, revision in machine.vector.groups if machine.vector else ():
        yield f"{group}, revision {revision}:"
        rules = state.groups[group, revision].rules
        for place, rule in enumerate(rules if isinstance(rules, tuple) else (), 1):
            hits = counted.get(Counted(machine.uid, "rule", rule.uid))
            seen = f"  [{hits.packets} packets]" if hits else ""
            yield f"  {place:3} {_said(rule)}{seen}"
    yield "  what no rule matches: drop"


def _said(rule: Rule) -> str:
    """The rule in one line, in the order of a rule's document."""
    told = rule_to_json(rule)
    ends = {told["port_start"], told["port_end"]} - {None}
    words = [told["action"], told["direction"], told["protocol"], "-".join(map(str, sorted(ends)))]
    words += [f"from {told['source']}"] if told["source"] else []
    words += [f"to {told['destination']}"] if told["destination"] else []
    words += [] if rule.enabled else ["(switched off)"]
    return " ".join(filter(None, words)) + (f"   {rule.description}" if rule.description else "")


def _differences(holder: Holder, state: State, machine: Machine) -> Iterator[str]:
    """What the kernel has otherwise than it was loaded, and why something cannot be."""
    try:
        compiling.compiled(machine, _list(state, machine), state.settings)
        reading = kernel.read(state.settings)
    except (Unenforceable, NftFailed) as error:
        yield f"It cannot be loaded: {error}"
        return
    for uid, before in ((machine.uid, holder.record.machines.get(machine.uid)), (HOST, holder.record.host)):
        if before is not None and before.hash != reading.part(uid).hash:
            yield "The kernel has something else than was loaded:" if uid else "Of what all VMs of the host share:"
            yield from (f"  {line}" for line in drifted(before, reading.part(uid)))


def _list(state: State, machine: Machine) -> tuple[Rule, ...]:
    rules = state.rules_of(machine)
    return rules if isinstance(rules, tuple) else ()


def _connections(state: State, machine: Machine, rules: tuple[Rule, ...]) -> Iterator[str]:
    others = [each.uid for each in state.machines]
    lists = {machine.uid: cutting.Listed(rules, machine.addresses)}
    try:
        number = sum(1 for _ in cutting.no_longer_accepted(lists, others, conntrack.connections()))
    except OSError as error:
        yield f"The connections cannot be read: {error}"
        return
    how = "are cut when a list is loaded" if state.settings.cut else "go on until they end"
    yield f"Running connections that the list would not accept: {number}; such {how}."


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
