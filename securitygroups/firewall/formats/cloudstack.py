"""Rules of CloudStack: cmk list securitygroups, networkacls, egressfirewallrules and firewallrules, and the API's answers.

A security group is a union of accepts, and everything goes out where it has no rule for that. Rules of a network ACL are
asked by number, and the first that matches decides. Replies pass by themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    ICMP,
    ICMPV6,
    NOBODY,
    Ends,
    Json,
    Line,
    aside,
    at,
    ends,
    everything,
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
    text,
    texts,
    unknown_keys,
    with_odd_ports,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, Foreign
from securitygroups.firewall.formats.reading import ReadGroup, Reading, Upload
from securitygroups.firewall.formats.strict import bad, parts
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.texts import shown

NAME = "CloudStack rules"
_KEYS = ("securitygroup", "networkacl", "firewallrule")
_ACTIONS = {"allow": Action.ACCEPT, "deny": Action.DROP}
_IN_FORCE = ("", "active", "add", "update")
_TRAFFIC = {"ingress": Direction.IN, "egress": Direction.OUT}
ALL_OUT = "CloudStack lets everything out where a security group has no rule for that"
DENIES = "CloudStack denies what no rule lets in, and what no rule lets out where there are some for that; so does the list here."
ACL_DENIES = (
    "What no rule of the ACL is about is denied here. CloudStack lets out what no rule is about where an ACL has none for "
    "that: add an accept if yours is such a one."
)
EGRESS = "What no rule is about is denied here: the network offering says whether it is in CloudStack."
PUBLIC = "the port of a public address, before it is forwarded to a VM"
_KNOWN = words(
    "ruleid id protocol startport endport cidr icmptype icmpcode securitygroupname account tags description number cidrlist "
    "traffictype action state aclid aclname reason networkid ipaddress ipaddressid destcidrlist fordisplay virtualmachineids"
)


def looks(upload: Upload) -> bool:
    return isinstance(upload.value, dict) and _found(upload.value) is not None


def _found(value: Mapping[str, Any]) -> tuple[str, Json, str] | None:
    """(place, object that has the list, its key)."""
    for key, inner in (("", value), *value.items()):
        if isinstance(inner, dict) and (key == "" or key.startswith("list")):
            found = next((name for name in _KEYS if isinstance(inner.get(name), list)), None)
            if found:
                return key, inner, found
    return None


def read(upload: Upload) -> Reading:
    found = _found(upload.value)
    if found is None:
        raise bad("", "There is no list of rules of CloudStack in it.")
    where, value, key = found
    members = list(objects(value, key, where))
    if key == "securitygroup":
        return reading(NAME, (_security_group(*one) for one in members))
    if key == "networkacl":
        return reading(NAME, _acls(members))
    lines = gathered(line for place, one in members for line in _firewall_rule(place, one))
    return reading(NAME, [in_turn(lines, "", "", [aside("document", "what no rule is about", EGRESS)])])


def _security_group(where: str, group: Json) -> ReadGroup:
    lines = gathered(
        line
        for key, direction in (("ingressrule", Direction.IN), ("egressrule", Direction.OUT))
        for place, one in objects(group, key, where)
        for line in _group_rule(place, one, direction)
    )
    if not group.get("egressrule"):
        lines.append(everything(at(where, "egressrule"), ALL_OUT, Direction.OUT))
    note = aside(where, "what no rule lets through", DENIES)
    return in_turn(lines, text(group, "name", where), text(group, "description", where), [note])


def _group_rule(where: str, one: Json, direction: Direction) -> Iterator[Line]:
    cidrs = _cidrs(one, "cidr", where)
    group = text(one, "securitygroupname", where)
    unknown = (f"the members of the group {shown(group)} of {shown(text(one, 'account', where))}",) if group else ()
    found = ends(cidrs)
    found = Ends(found.networks, found.unknown + unknown + (() if cidrs or unknown else (NOBODY,)))
    yield from _lines(where, one, Action.ACCEPT, direction, found)


def _acls(rules: Sequence[tuple[str, Json]]) -> list[ReadGroup]:
    """The ACLs that a list of rules is about, each in the order of its numbers. Two may have one name."""
    by_acl: dict[str, list[tuple[str, Json]]] = {}
    for where, one in rules:
        by_acl.setdefault(text(one, "aclid", where) or text(one, "aclname", where), []).append((where, one))
    note = aside("document", "what no rule is about", ACL_DENIES)
    return [
        in_turn(
            gathered(line for one in sorted(found, key=_turn) for line in _acl_rule(*one)),
            text(found[0][1], "aclname", "") or acl,
            "",
            [note],
        )
        for acl, found in by_acl.items()
    ]


def _turn(rule: tuple[str, Json]) -> int:
    where, one = rule
    found = number(one, "number", where)
    if found is None:
        raise bad(at(where, "number"), "The rule has no number, so that its turn is not known.")
    return found


def _acl_rule(where: str, one: Json) -> Iterator[Line]:
    action, direction = one_of(one, "action", where, _ACTIONS), one_of(one, "traffictype", where, _TRAFFIC)
    yield from _lines(where, one, action, direction, ends(_cidrs(one, "cidrlist", where)))


def _firewall_rule(where: str, one: Json) -> Iterator[Line]:
    """A rule of a network's router: of the way out as it is; on the way in it is about a public address."""
    if text(one, "traffictype", where).lower() != "egress" or "ipaddress" in one:
        for line in _lines(where, one, Action.ACCEPT, Direction.IN, ends(_cidrs(one, "cidrlist", where))):
            beyond = (*line.rule.beyond, PUBLIC)
            yield Line(replace(line.rule, beyond=beyond), "Add a rule for the port that the VM itself listens on.")
        return
    sources, targets = ends(_cidrs(one, "cidrlist", where)), ends(_cidrs(one, "destcidrlist", where) or ("0.0.0.0/0",))
    for line in _lines(where, one, Action.ACCEPT, Direction.OUT, targets):
        yield from split(line, "sources", sources if sources.networks or sources.unknown else Ends())


def _cidrs(one: Json, key: str, where: str) -> tuple[str, ...]:
    return tuple(word.strip() for text_ in texts(one, key, where) for word in parts(text_) if word.strip())


def _lines(where: str, one: Json, action: Action, direction: Direction, remote: Ends) -> Iterator[Line]:
    """The lines of a rule whose other end is known."""
    base = _with_ports(Foreign(where, "", action, direction, description=_description(one, where)), one)
    who = ", ".join([*map(str, remote.networks or ()), *remote.unknown])
    base = replace(
        base,
        text=spoken(action, direction, base.text, who),
        beyond=base.beyond + _beyond(one, where) + unknown_keys(one, _KNOWN),
    )
    for line in split(Line(base), side_of(direction), remote):
        # A denial of “icmp” is for both families, as none is said to be left out.
        yield from for_families(line) if base.protocol == ICMP and action is Action.DROP else (line,)


def _beyond(one: Json, where: str) -> tuple[str, ...]:
    """A rule that is on its way out, or one with a destination where rules have none."""
    state = text(one, "state", where)
    found = (f"the state {shown(state)}",) if state.lower() not in _IN_FORCE else ()
    aimed = text(one, "destcidrlist", where) if text(one, "action", where) or "ruleid" in one else ""
    return (*found, f"the destination {shown(aimed)}") if aimed else found


def _description(one: Json, where: str) -> str:
    return text(one, "description", where) or text(one, "reason", where)


def _with_ports(base: Foreign, one: Json) -> Foreign:
    """The protocol with its ports or its ICMP type."""
    where, word = base.where, text(one, "protocol", base.where).lower()
    first, last = number(one, "startport", where), number(one, "endport", where)
    if word in ("all", "any"):
        base = replace(base, text="all")
        return base if first is None and last is None else with_odd_ports(base, f"{first}-{last}")
    base = replace(base, text=word, protocol=known_protocol(one, "protocol", where))
    if base.protocol in (ICMP, ICMPV6):
        return _of_type(base, one)
    return base if first is None and last is None else _of_ports(base, first, last)


def _of_type(base: Foreign, one: Json) -> Foreign:
    kind, code = number(one, "icmptype", base.where), number(one, "icmpcode", base.where)
    said = f"ICMP type {kind} code {code}"
    return base if {kind, code} <= {None, -1} else replace(base, text=said, beyond=(said,))


def _of_ports(base: Foreign, first: int | None, last: int | None) -> Foreign:
    if base.protocol not in PORT_NUMBERS:
        return with_odd_ports(base, f"{first}-{last}")
    ports = port_range(f"{first}-{first if last is None else last}")
    if ports is None:
        raise bad(at(base.where, "startport"), "This is no range of ports.")
    said = str(first) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"
    return replace(base, text=f"{base.text} {said}", ports=None if ports == ALL_PORTS else (ports,))
