"""Cloud firewalls of DigitalOcean: doctl compute firewall list or get, and what the API answers.

A firewall is a union of accepts; replies pass by themselves, and what no rule lets through is dropped in both directions.
Newer ones have denials as well: which of two rules is asked first is not said anywhere, so that denials come first here.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    ICMP,
    NOBODY,
    Ends,
    Json,
    Line,
    as_object,
    aside,
    at,
    ends,
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

NAME = "DigitalOcean firewalls"
DENIES = "DigitalOcean drops what no rule lets through, in both directions, and so does the list here."
_ACTIONS = {"": Action.ACCEPT, "allow": Action.ACCEPT, "deny": Action.DROP}
_SIDES = (
    ("inbound_rules", "sources", Direction.IN),
    ("outbound_rules", "destinations", Direction.OUT),
)
_KNOWN = words("protocol ports sources destinations action")
_ENDS = {
    "droplet_ids": "the Droplet",
    "load_balancer_uids": "the load balancer",
    "kubernetes_ids": "the Kubernetes cluster",
    "tags": "VMs with the tag",
}


def looks(upload: Upload) -> bool:
    return has_firewall(upload.value, _is_firewall)


def _is_firewall(value: Any) -> bool:
    return isinstance(value, dict) and "name" in value and bool({"inbound_rules", "outbound_rules"} & value.keys())


def read(upload: Upload) -> Reading:
    return reading(NAME, (group(where, one) for where, one in firewalls(upload.value)))


def group(where: str, one: Json) -> ReadGroup:
    """The group of a firewall with its rules, denials first."""
    lines = gathered(
        line
        for key, side, direction in _SIDES
        for place, rule in objects(one, key, where)
        for line in rule_lines(place, rule, side, direction)
    )
    lines.sort(key=lambda line: line.rule.action is Action.ACCEPT)
    return in_turn(
        lines, text(one, "name", where), "", [aside(where or "document", "what no rule lets through", DENIES)]
    )


def rule_lines(where: str, one: Json, side: str, direction: Direction) -> Iterator[Line]:
    action = one_of(one, "action", where, _ACTIONS)
    found, said = _other_end(as_object(one.get(side) or {}, at(where, side)), at(where, side))
    base = _with_ports(Foreign(where, "", action, direction, protocol=known_protocol(one, "protocol", where)), one)
    base = replace(
        base,
        text=spoken(action, direction, base.text, said or "nobody"),
        beyond=base.beyond + unknown_keys(one, _KNOWN),
    )
    if not said:
        yield Line(replace(base, beyond=(*base.beyond, NOBODY)), "Look at the rule in DigitalOcean.")
    for line in split(Line(base), side_of(direction), found) if said else ():
        yield from for_families(line) if base.protocol == ICMP else (line,)


def _other_end(one: Json, where: str) -> tuple[Ends, str]:
    """(who it is, in words): addresses, or VMs and others that no address here stands for."""
    addresses = texts(one, "addresses", where)
    known = ends(addresses)
    others = tuple(f"{kind} {shown(name)}" for key, kind in _ENDS.items() for name in texts(one, key, where))
    strange = unknown_keys(one, ("addresses", *_ENDS))
    return Ends(known.networks, (*known.unknown, *others, *strange)), some([*addresses, *others, *strange])


def _with_ports(base: Foreign, one: Json) -> Foreign:
    """The ports; “all” and “0” are every one."""
    word, protocol = text(one, "ports", base.where), text(one, "protocol", base.where)
    base = replace(base, text=f"{protocol} {word}".strip())
    if base.protocol not in PORT_NUMBERS and word.lower() not in ("", "all", "0"):
        return with_odd_ports(base, word)
    if base.protocol not in PORT_NUMBERS or word.lower() in ("all", "0"):
        return base
    ports = port_range(word)
    if ports is None:
        raise bad(at(base.where, "ports"), f"“{shown(word)}” is not a port, a range of ports or all.")
    return base if ports == ALL_PORTS else replace(base, ports=(ports,))
