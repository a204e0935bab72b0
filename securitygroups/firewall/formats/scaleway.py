"""Security groups of Scaleway Instances: the group and its rules, as scw and the API give them.

Rules are asked by position, the first that matches decides, and behind them stands a default policy for each direction.
A stateful group lets replies pass by themselves; one that is not judges them too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    ANY4,
    ANY6,
    ICMP,
    TCP,
    Ends,
    Json,
    Line,
    as_object,
    aside,
    at,
    ends,
    flag,
    for_families,
    gathered,
    in_turn,
    known_protocol,
    number,
    objects,
    one_of,
    port_range,
    reading,
    side_of,
    split,
    spoken,
    stateless,
    text,
    unknown_keys,
    with_odd_ports,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, Foreign
from securitygroups.firewall.formats.reading import ReadGroup, Reading, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction

NAME = "Scaleway security groups"
_ACTIONS = {"accept": Action.ACCEPT, "drop": Action.DROP}
_POLICIES = {**_ACTIONS, "": Action.DROP}
_DIRECTIONS = {"inbound": Direction.IN, "outbound": Direction.OUT}
_KNOWN = words(
    "id protocol direction action ip_range dest_ip_range dest_port_from dest_port_to position editable zone ID Protocol "
    "Direction Action IPRange DestPortFrom DestPortTo Position Editable Zone security_group_id"
)
MAIL = "Scaleway's default security lets no mail out (TCP 25, 465 and 587)"
_MAIL_PORTS = ((25, 25), (465, 465), (587, 587))
ALONE = (
    "These are rules of Scaleway without their group: whether it is stateful, and what becomes of all else, is not in it. Bring "
    "what scw instance security-group get ID -o json says, which has both."
)


def looks(upload: Upload) -> bool:
    value = upload.value
    if isinstance(value, list):
        return bool(value) and (_is_rule(value[0]) or _has_policy(value[0]))
    if not isinstance(value, dict):
        return False
    return _is_rule(_first(value, _rules_key(value))) or any(
        _has_policy(one)
        for one in (value, value.get("security_group"), value.get("SecurityGroup"), _first(value, "security_groups"))
    )


def _first(value: Mapping[str, Any], key: str) -> Any:
    """The first of the list that stands there."""
    many = value.get(key)
    return many[0] if isinstance(many, list) and many else None


def _has_policy(value: Any) -> bool:
    return isinstance(value, dict) and not {"inbound_default_policy", "enable_default_security"}.isdisjoint(value)


def _is_rule(value: Any) -> bool:
    return isinstance(value, dict) and {"dest_port_from", "ip_range"} & value.keys() != set() and "direction" in value


def _rules_key(value: Mapping[str, Any]) -> str:
    """Where the rules stand; "" where there are none."""
    return next((key for key in ("rules", "Rules") if isinstance(value.get(key), list)), "")


def read(upload: Upload) -> Reading:
    value = upload.value
    if isinstance(value, list):
        if _is_rule(value[0]):
            raise bad("", ALONE)
        value = {"security_groups": value}
    if isinstance(value.get("security_groups"), list):
        return reading(NAME, (_alone(where, one) for where, one in objects(value, "security_groups", "")))
    key = next((key for key in ("security_group", "SecurityGroup") if key in value), "")
    group = as_object(value[key], key) if key else value
    if not _has_policy(group):
        raise bad(key, ALONE)
    rules_key = _rules_key(value)
    if not rules_key:
        return reading(NAME, [_alone(key, group)])
    return reading(NAME, [_group(key, group, list(objects(value, rules_key, "")))])


def _alone(where: str, group: Json) -> ReadGroup:
    """A group of a list, which says its policies; its rules are another answer of the API."""
    key = _rules_key(group)
    if not key:
        raise bad(where, "The group stands here without its rules: bring what scw instance security-group get ID -o json "
                         "says, which has both.")  # fmt: skip
    return _group(where, group, list(objects(group, key, where)))


def _group(where: str, group: Json, rules: Sequence[tuple[str, Json]]) -> ReadGroup:
    lines = gathered(line for place, one in sorted(rules, key=_turn) for line in rule_lines(place, one))
    return with_policies(where, group, lines)


def with_policies(where: str, group: Json, lines: Sequence[Line]) -> ReadGroup:
    """The group of these lines, behind which its default policies stand."""
    found = list(lines)
    if flag(group, "enable_default_security", where, True) and not all(_drops(found, ports) for ports in _MAIL_PORTS):
        mail = Foreign(at(where, "enable_default_security"), MAIL, Action.DROP, Direction.OUT, TCP, ports=_MAIL_PORTS)
        found.append(Line(mail))
    for word, direction in _DIRECTIONS.items():
        key = f"{word}_default_policy"
        policy = one_of(group, key, where, _POLICIES)
        if policy is Action.ACCEPT:
            found.append(Line(Foreign(at(where, key), f"{key} accept", policy, direction)))
    if not flag(group, "stateful", where, False):
        advice = "Make the group stateful at Scaleway, and look whether all still works."
        found = stateless(found, "the group is not stateful", advice)
    note = aside(where or "document", "what no rule lets through", "The default policies stand at the end of the list.")
    return in_turn(found, text(group, "name", where), text(group, "description", where), [note])


def _drops(lines: Sequence[Line], ports: tuple[int, int]) -> bool:
    """Whether one of them drops all TCP that goes out to the ports: scw lists what the default security does as rules."""
    drop = Foreign("", "", Action.DROP, Direction.OUT, TCP, ports=(ports,))
    kept = {
        name: getattr(drop, name)
        for name in ("action", "direction", "protocol", "families", "sources", "ports", "beyond")
    }
    return any(
        all(getattr(line.rule, name) == value for name, value in kept.items())
        and line.rule.enabled
        and line.rule.destinations in (None, (ANY4, ANY6))
        for line in lines
    )


def _turn(rule: tuple[str, Json]) -> int:
    where, one = rule
    position = number(one, "position", where)
    return 0 if position is None else position


def rule_lines(where: str, one: Json) -> Iterator[Line]:
    """The lines of a rule."""
    action, direction = one_of(one, "action", where, _ACTIONS), one_of(one, "direction", where, _DIRECTIONS)
    word = text(one, "protocol", where).upper()
    protocol = None if word == "ANY" else known_protocol(one, "protocol", where)
    base = Foreign(where, word, action, direction, protocol, ports=_ports(one, where))
    yield from with_remote(base, text(one, "ip_range", where), unknown_keys(one, _KNOWN) + _local(one, where))


def _local(one: Json, where: str) -> tuple[str, ...]:
    local = text(one, "dest_ip_range", where)
    return (f"the destination {local}",) if local else ()


def _ports(one: Json, where: str) -> tuple[tuple[int, int], ...] | None:
    first, last = number(one, "dest_port_from", where), number(one, "dest_port_to", where)
    if first is None and last in (None, 0):
        return None
    ports = port_range(f"{first}-{first if last in (None, 0) else last}")
    if ports is None:
        raise bad(at(where, "dest_port_from"), "This is no range of ports.")
    return None if ports == ALL_PORTS else (ports,)


def with_remote(base: Foreign, remote: str, beyond: tuple[str, ...]) -> Iterator[Line]:
    """The rule with its other end. A denial for all of IPv4 is for IPv6 too, for Scaleway's words say only “all”."""
    ports = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in base.ports or ())
    said = spoken(base.action, base.direction, f"{base.text} {ports}".strip(), remote)
    base = replace(base, text=said, beyond=beyond)
    for line in split(Line(base), side_of(base.direction), _everybody(remote, base.action)):
        yield from _of_protocols(line, ports)


def _everybody(remote: str, action: Action) -> Ends:
    found = ends([remote]) if remote else Ends((ANY4,))
    return Ends((ANY4, ANY6)) if action is Action.DROP and found.networks == (ANY4,) else found


def _of_protocols(line: Line, ports: str) -> Iterator[Line]:
    """The line for each protocol that it is about; ports ask for one that has some."""
    rule = line.rule
    if rule.protocol is None and rule.ports is not None:
        yield from (line._replace(rule=replace(rule, protocol=one)) for one in sorted(PORT_NUMBERS))
        return
    if rule.ports is not None and rule.protocol not in PORT_NUMBERS:
        line = line._replace(rule=with_odd_ports(rule, ports))
    yield from for_families(line) if rule.protocol == ICMP else (line,)
