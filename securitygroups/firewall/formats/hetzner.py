"""Firewalls of Hetzner Cloud: hcloud firewall list or describe, and what the API answers.

A firewall is a union of accepts; replies pass by themselves. What no rule lets in is dropped; everything goes out where
there is no rule for that direction at all.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    ICMP,
    NOBODY,
    Json,
    Line,
    aside,
    at,
    ends,
    everything,
    firewalls,
    for_families,
    gathered,
    has_firewall,
    in_turn,
    known_protocol,
    objects,
    one_of,
    port_range,
    reading,
    side_of,
    some,
    split,
    spoken,
    text,
    texts,
    unknown_keys,
    with_odd_ports,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, Foreign
from securitygroups.firewall.formats.reading import ReadGroup, Reading, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.texts import shown

NAME = "Hetzner Cloud firewalls"
ALL_OUT = "Hetzner lets everything out where a firewall has no rule for that"
DENIES = "Hetzner drops what no rule lets in, and what no rule lets out where there are some for that; so does the list here."
_DIRECTIONS = {"in": Direction.IN, "out": Direction.OUT}
_KNOWN = words("direction source_ips destination_ips protocol port description")


def looks(upload: Upload) -> bool:
    value = upload.value
    return has_firewall(value, _is_firewall) or (isinstance(value, list) and bool(value) and _is_rule(value[0]))


def _is_firewall(value: Any) -> bool:
    rules = value.get("rules") if isinstance(value, dict) else None
    if not isinstance(rules, list) or "name" not in value:
        return False
    return _is_rule(rules[0]) if rules else "applied_to" in value


def _is_rule(value: Any) -> bool:
    return isinstance(value, dict) and "direction" in value and bool({"source_ips", "destination_ips"} & value.keys())


def read(upload: Upload) -> Reading:
    value = upload.value
    if isinstance(value, list) and _is_rule(value[0]):
        # A file of rules, as hcloud firewall create takes it.
        return reading(NAME, [group("", {"rules": value})])
    return reading(NAME, (group(where, one) for where, one in firewalls(value)))


def group(where: str, one: Json) -> ReadGroup:
    """The group of a firewall with its rules."""
    lines = gathered(line for place, rule in objects(one, "rules", where) for line in rule_lines(place, rule))
    if all(line.rule.direction is Direction.IN for line in lines):
        lines.append(everything(at(where, "rules"), ALL_OUT, Direction.OUT))
    return in_turn(
        lines, text(one, "name", where), "", [aside(where or "document", "what no rule lets through", DENIES)]
    )


def rule_lines(where: str, one: Json) -> Iterator[Line]:
    direction = one_of(one, "direction", where, _DIRECTIONS)
    key = "source_ips" if direction is Direction.IN else "destination_ips"
    addresses = texts(one, key, where)
    base = _with_ports(
        Foreign(where, "", Action.ACCEPT, direction, protocol=known_protocol(one, "protocol", where)), one
    )
    base = replace(
        base,
        text=spoken(base.action, direction, base.text, some(addresses) or "nobody"),
        beyond=base.beyond + unknown_keys(one, _KNOWN),
        description=text(one, "description", where),
    )
    if not addresses:
        yield Line(replace(base, beyond=(*base.beyond, NOBODY)), "It allows nothing at Hetzner either.")
    for line in split(Line(base), side_of(direction), ends(addresses)) if addresses else ():
        yield from for_families(line) if base.protocol == ICMP else (line,)


def _with_ports(base: Foreign, one: Json) -> Foreign:
    word, protocol = text(one, "port", base.where), text(one, "protocol", base.where)
    base = replace(base, text=f"{protocol} {word}".strip())
    if base.protocol not in PORT_NUMBERS and word.lower() not in ("", "any"):
        return with_odd_ports(base, word)
    if base.protocol not in PORT_NUMBERS or word.lower() == "any":
        return base
    ports = port_range(word)
    if ports is None:
        raise bad(at(base.where, "port"), f"“{shown(word)}” is not a port, a range of ports or any.")
    return base if ports == ALL_PORTS else replace(base, ports=(ports,))
