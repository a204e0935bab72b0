"""The host's last state on its disk: what is loaded at boot, before the guests start and whether or not the panel is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.state import FORMAT as STATE_FORMAT
from securitygroups.agent.state import BadState, Machine, State, read_machine, read_state

FORMAT = "karenpanel-agent-state/1"
_KEYS = {"format", "etag", "key", "state", "held"}


@dataclass(frozen=True)
class Kept:
    """The newest state, and for each VM whose newest list is not in force, the one that is (`held`).

    `etag` is the panel's name for the state, `key` the host's public key when it was taken: a host that has enrolled anew
    takes what it is told, older or not.
    """

    state: State
    held: Mapping[str, Machine] = field(default_factory=dict)
    etag: str = ""
    key: str = ""

    def write(self, file: Path) -> None:
        """Raises OSError."""
        settings = self.state.settings
        with_groups = self.state.with_machines((*self.state.machines, *self.held.values()), {})
        state = {
            "format": STATE_FORMAT,
            "host": settings.host,
            "target": settings.target.value,
            "taps": settings.taps,
            "drift": "repair" if settings.repair else "report",
            "cut": settings.cut,
            "log": settings.log,
            "groups": [group.document for group in with_groups.groups.values()],
            "vms": [machine.document for machine in self.state.machines],
        }
        held = [machine.document for machine in self.held.values()]
        disk.write_json(file, {"format": FORMAT, "etag": self.etag, "key": self.key, "state": state, "held": held})

    def taken(self, state: State, etag: str, key: str) -> tuple["Kept", dict[str, str]]:
        """What is to be kept once the panel has said `state`, and for each VM of which it said something older, words.

        Of such a VM what is known stays. What was in force until now is held until the new is.
        """
        known = {machine.uid: machine for machine in self.state.machines} if key == self.key else {}
        older: dict[str, str] = {}
        machines = []
        for machine in state.machines:
            before = known.get(machine.uid)
            if _is_older(machine, before) and before is not None:
                older[machine.uid] = "The panel said an older list than this host has: the newer one stays."
                machines.append(before)
            else:
                machines.append(machine)
        held = {uid: self.held.get(uid, before) for uid, before in _by_uid(self.state.machines).items()}
        held = {machine.uid: held[machine.uid] for machine in machines if machine.uid in held}
        groups = self.state.groups
        merged = state.with_machines((*machines, *held.values()), groups)
        return Kept(replace(merged, machines=tuple(machines)), held, etag, key), older


def _is_older(machine: Machine, before: Machine | None) -> bool:
    return (
        before is not None
        and before.vector is not None
        and machine.vector is not None
        and machine.vector.is_older_than(before.vector)
    )


def _by_uid(machines: tuple[Machine, ...]) -> dict[str, Machine]:
    return {machine.uid: machine for machine in machines}


def read_kept(file: Path) -> Kept | None:
    """None where nothing was ever kept. Raises Unreadable."""
    value = disk.read_json(file)
    if value is None:
        return None
    try:
        return _kept(value)
    except (BadState, KeyError, TypeError) as error:
        raise Unreadable(f"{file} is not what the agent writes: {error}") from None


def _kept(value: Any) -> Kept:
    if not isinstance(value, dict) or value.get("format") != FORMAT or value.keys() != _KEYS:
        raise BadState("it is of another version.")
    held = [read_machine(document) for document in value["held"]]
    return Kept(
        read_state(value["state"]), {machine.uid: machine for machine in held}, str(value["etag"]), str(value["key"])
    )
