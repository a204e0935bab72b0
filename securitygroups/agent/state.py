"""What the panel says that a host should have, read strictly into values.

What is wrong with the whole is refused whole, and the host keeps what it has. What is wrong with one VM or one group is
that VM's fault and nobody else's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from securitygroups.agent.vectors import NoVector, Vector, is_count, read_vector
from securitygroups.firewall.formats.documents import RULE_KEYS, rules_from_stored
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.platform import Target
from securitygroups.firewall.texts import shown
from securitygroups.firewall.values import Rule

FORMAT = "karenpanel-state/1"
_KEYS = {"format", "host", "target", "taps", "drift", "cut", "log", "groups", "vms"}
_GROUP_KEYS = {"id", "revision", "rules"}
_VM_KEYS = {"id", "name", "tap", "mac", "addresses", "held", "vector"}
_RULE_KEYS = {*RULE_KEYS, "id"}
# They name chains, counters and files.
_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")
_MOST_GROUPS = 65_535


class BadState(ValueError):
    """The panel's state cannot be taken; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of a host. `taps` is what the names of its VMs' interfaces begin with, and a *; `log` the group of NFLOG.

    `repair` is whether what was changed by hand is put right, `cut` whether connections are ended that a new list no longer
    accepts.
    """

    host: str
    target: Target
    taps: str
    repair: bool
    cut: bool
    log: int | None


@dataclass(frozen=True)
class Group:
    """A revision of a group; its rules are read when they are asked for."""

    document: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, int]:
        return self.document["id"], self.document["revision"]

    @cached_property
    def rules(self) -> tuple[Rule, ...] | str:
        """The rules, or why they cannot be read."""
        try:
            return _rules(self.document["rules"])
        except (BadState, BadDocument) as error:
            return f"The group {self.key[0]} cannot be read: {shown(error)}"


@dataclass(frozen=True)
class Machine:
    """A VM on the host. `fault` is why it cannot be read, or empty; of what has one, only `uid` is sure."""

    document: Mapping[str, Any]
    vector: Vector | None
    fault: str = ""

    @property
    def uid(self) -> str:
        return str(self.document["id"])

    @property
    def name(self) -> str:
        return str(self.document.get("name", ""))

    @property
    def tap(self) -> str:
        return str(self.document.get("tap", ""))

    @property
    def mac(self) -> str:
        return str(self.document["mac"])

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(self.document["addresses"])

    @property
    def held(self) -> bool:
        return bool(self.document["held"])


@dataclass(frozen=True)
class State:
    """All that a host should have. `groups` may hold several revisions of one where VMs stand at different ones."""

    settings: Settings
    groups: Mapping[tuple[str, int], Group] = field(default_factory=dict)
    machines: tuple[Machine, ...] = ()

    def rules_of(self, machine: Machine) -> tuple[Rule, ...] | str:
        """The VM's list, its groups' lists in their order; or why there is none."""
        if machine.fault or machine.vector is None:
            return machine.fault or "It has no vector."
        rules: list[Rule] = []
        for key in machine.vector.groups:
            group = self.groups.get(key)
            if group is None:
                return f"Revision {key[1]} of the group {shown(key[0])} is not in the state."
            if isinstance(group.rules, str):
                return group.rules
            rules += group.rules
        return tuple(rules)

    def with_machines(self, machines: tuple[Machine, ...], more: Mapping[tuple[str, int], Group]) -> "State":
        """The state with these VMs, and of its own and `more` groups those that they have."""
        wanted = {key for machine in machines if machine.vector for key in machine.vector.groups}
        there = {**more, **self.groups}
        return replace(self, machines=machines, groups={key: there[key] for key in there if key in wanted})


def read_state(value: Any) -> State:
    """Raises BadState where the whole cannot be taken."""
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadState(f"This is not a “{FORMAT}”: the agent and the panel are of different versions.")
    if value.keys() != _KEYS:
        raise BadState(f"The state's keys are not those of “{FORMAT}”: {shown(sorted(value.keys() ^ _KEYS))}.")
    groups, machines = _listed(value["groups"], "groups"), _listed(value["vms"], "vms")
    for group in groups:
        if group.keys() != _GROUP_KEYS or not is_count(group["revision"]):
            raise BadState("A group of the state has not the keys id, revision and rules.")
    read = [Group(group) for group in groups]
    return State(_settings(value), {group.key: group for group in read}, tuple(map(read_machine, machines)))


def _listed(values: Any, what: str) -> list[dict[str, Any]]:
    """Objects that each have an ID. Raises BadState."""
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise BadState(f"The state's {what} are no list of objects.")
    for value in values:
        if not is_id(value.get("id")):
            raise BadState(f"Something in the state's {what} has no ID.")
    names = [(value["id"], value.get("revision")) for value in values]
    if len(set(map(str, names))) < len(names):
        raise BadState(f"Something stands twice in the state's {what}.")
    return values


def is_id(value: Any) -> bool:
    """Whether it can be an ID of the panel's, which names chains and files here."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _settings(value: Mapping[str, Any]) -> Settings:
    log = value["log"]
    wrong = [
        name
        for name, right in (
            ("host", is_id(value["host"])),
            ("target", value["target"] in list(Target)),
            ("taps", isinstance(value["taps"], str)),
            ("drift", value["drift"] in ("repair", "report")),
            ("cut", isinstance(value["cut"], bool)),
            ("log", log is None or (is_count(log) and log <= _MOST_GROUPS)),
        )
        if not right
    ]
    if wrong:
        raise BadState(f"The state's {', '.join(wrong)} cannot be read.")
    return Settings(
        value["host"], Target(value["target"]), value["taps"], value["drift"] == "repair", value["cut"], log
    )


def read_machine(value: Mapping[str, Any]) -> Machine:
    """A VM whose ID is sure, with its fault where the rest of it cannot be read."""
    try:
        vector = read_vector(value.get("vector"))
    except NoVector as error:
        return Machine(value, None, str(error))
    wrong = next(_machine_faults(value), "")
    return Machine(value, vector, f"The VM cannot be read: {wrong}." if wrong else "")


def _machine_faults(value: Mapping[str, Any]) -> Iterator[str]:
    if value.keys() != _VM_KEYS:
        yield f"its keys are not {', '.join(sorted(_VM_KEYS))}"
        return
    for key in ("name", "tap", "mac"):
        if not isinstance(value[key], str):
            yield f"its {key} is no text"
    if not isinstance(value["held"], bool):
        yield "held is neither true nor false"
    addresses = value["addresses"]
    if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
        yield "its addresses are no list of texts"


def _rules(values: Any) -> tuple[Rule, ...]:
    """Raises BadState, BadDocument."""
    if not isinstance(values, list):
        raise BadState("its rules are no list.")
    for value in values:
        if not isinstance(value, dict) or not value.keys() <= _RULE_KEYS:
            raise BadState("a rule has keys that are not known here: the agent is older than the panel.")
        if not is_id(value.get("id")) or not isinstance(value.get("description", ""), str):
            raise BadState("a rule has no ID, or a description that is no text.")
    return rules_from_stored([{**value, "uid": value["id"]} for value in values])
