"""The evaluator: which rule decides a packet, and why each rule before it did not."""

from dataclasses import dataclass
from enum import Enum
from itertools import repeat
from typing import NamedTuple

from securitygroups.firewall.protocols import PROTOCOLS, Action
from securitygroups.firewall.values import BITS, Packet, Rule, RuleList


class Field(Enum):
    """A condition of a rule, in the order in which conditions are looked at."""

    DIRECTION = "direction"
    PROTOCOL = "protocol"
    SOURCE = "source"
    DESTINATION = "destination"
    PORT = "port"


class Outcome(Enum):
    """What became of one rule on the packet's way down the list."""

    MATCHED = "matched"
    PASSED = "passed by"
    OFF = "switched off"
    NOT_REACHED = "not reached"


class Step(NamedTuple):
    """One rule of the trace. `place` counts from 1; `differs` are the conditions that the packet does not meet."""

    place: int
    rule: Rule
    outcome: Outcome
    differs: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. `rule` is the place of the deciding rule from 1, None where no rule matched and all is denied."""

    action: Action
    rule: int | None
    steps: tuple[Step, ...]


_BIT = {condition: 1 << place for place, condition in enumerate(Field)}
_FIELDS = tuple(tuple(f for f in Field if mask & _BIT[f]) for mask in range(1 << len(Field)))
_DIRECTION, _PROTOCOL, _SOURCE, _DESTINATION, _PORT = _BIT.values()
# By family, which is None for a frame that is not IP: no protocol with numbers covers those.
_NUMBERS: dict[str, dict[int | None, int] | None] = {
    name: {version: p.numbers[version] if version else -1 for version in (None, *BITS)} if p.numbers else None
    for name, p in PROTOCOLS.items()
}
_ONLY_IP = frozenset(name for name, protocol in PROTOCOLS.items() if protocol.only_ip)


def _differs(rule: Rule, packet: Packet) -> int:
    """The conditions of `rule` that `packet` does not meet, as a mask; 0 = the rule matches."""
    # Not taken apart: it runs once for every rule and packet, and calls would cost more than what they do.
    mask = 0
    if rule.direction != packet.direction:
        mask = _DIRECTION
    numbers = _NUMBERS[rule.protocol]
    if numbers is None:
        if packet.version is None and rule.protocol in _ONLY_IP:
            mask |= _PROTOCOL
    elif numbers[packet.version] != packet.protocol:
        mask |= _PROTOCOL
    network = rule.source
    if network is not None and (
        network.version != packet.version or not network.first <= packet.source <= network.last  # type: ignore[operator]
    ):
        mask |= _SOURCE
    network = rule.destination
    if network is not None and (
        network.version != packet.version or not network.first <= packet.destination <= network.last  # type: ignore[operator]
    ):
        mask |= _DESTINATION
    start = rule.port_start
    if start is not None and (packet.port is None or not start <= packet.port <= rule.port_end):  # type: ignore[operator]
        mask |= _PORT
    return mask


def differences(rule: Rule, packet: Packet) -> tuple[Field, ...]:
    """Every condition of `rule` that `packet` does not meet; empty = the rule matches (whether it is on or off)."""
    return _FIELDS[_differs(rule, packet)]


def decide(rules: RuleList, packet: Packet) -> Decision:
    """Try the rules from the top: the first enabled one that matches decides, no match is a drop.

    The trace has one step for every rule, in order, those behind the match as not reached.
    """
    step, passed, off = Step._make, Outcome.PASSED, Outcome.OFF
    steps: list[Step] = []
    append = steps.append
    for place, rule in enumerate(rules, 1):
        mask = _differs(rule, packet)
        if not rule.enabled:
            append(step((place, rule, off, _FIELDS[mask])))
        elif mask:
            append(step((place, rule, passed, _FIELDS[mask])))
        else:
            append(Step(place, rule, Outcome.MATCHED, ()))
            behind = rules[place:]
            steps += map(Step, range(place + 1, len(rules) + 1), behind, repeat(Outcome.NOT_REACHED), repeat(()))
            return Decision(rule.action, place, tuple(steps))
    return Decision(Action.DROP, None, tuple(steps))
