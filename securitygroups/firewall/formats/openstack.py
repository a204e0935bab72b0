"""Security groups of OpenStack: lists of the openstack command, and what Neutron's API answers.

A group is a union of accepts; replies pass by themselves unless it is stateless. What a new group lets out stands in it as
rules, so that nothing is added here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    FAMILY,
    ICMP,
    ICMPV6,
    Json,
    Line,
    as_object,
    aside,
    at,
    ends,
    flag,
    gathered,
    in_turn,
    number,
    objects,
    of_members,
    one_of,
    port_range,
    protocol_number,
    reading,
    side_of,
    split,
    spoken,
    stateless,
    text,
    unknown_keys,
    words,
)
from securitygroups.firewall.formats.foreign import Foreign
from securitygroups.firewall.formats.reading import ReadGroup, Reading, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.registry import WITH_PORTS
from securitygroups.firewall.texts import shown

NAME = "OpenStack security groups"
DENIES = "OpenStack denies what no rule allows, in both directions, and so does the list here."
NOVA = (
    "These are rules in the words of Nova, which has no groups any more: bring what openstack security group show NAME -f json "
    "says."
)
_DIRECTIONS = {"ingress": Direction.IN, "egress": Direction.OUT}
_FAMILIES = {"ipv4": FAMILY[4], "ipv6": FAMILY[6]}
# Keys of the command's lists, and what Neutron calls the same.
_COLUMNS = {
    "ID": "id",
    "IP Protocol": "protocol",
    "Ethertype": "ethertype",
    "IP Range": "remote_ip_prefix",
    "Direction": "direction",
    "Remote Security Group": "remote_group_id",
    "Remote Address Group": "remote_address_group_id",
    "Security Group": "security_group_id",
    "Description": "description",
}
# Without one of these a rule would be for more than it is.
_NEEDED = ("IP Range", "Port Range", "Remote Security Group")
_KNOWN = words(
    "id protocol ethertype remote_ip_prefix direction remote_group_id remote_address_group_id security_group_id description "
    "port_range_min port_range_max created_at updated_at revision_number tenant_id project_id tags standard_attr_id name "
    "normalized_cidr belongs_to_default_sg location group if_match"
)
_PAIR = re.compile(r"\b(\w+)='([^']*)'")


def looks(upload: Upload) -> bool:
    value = upload.value
    if isinstance(value, dict):
        return any(key in value for key in ("security_group_rules", "security_group_rule")) or _is_group(value)
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    first = value[0]
    return (
        "IP Protocol" in first or _is_group(first) or "ethertype" in first or first.keys() >= {"ID", "Name", "Project"}
    )


def _is_group(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    inner = value.get("security_group", value.get("security_groups"))
    if inner is not None:
        inner = inner[0] if isinstance(inner, list) and inner else inner
        return isinstance(inner, dict) and bool({"security_group_rules", "rules"} & inner.keys())
    return _are_rules(value.get("rules", value.get("security_group_rules")), value)


def _are_rules(rules: Any, group: Json) -> bool:
    if isinstance(rules, str):
        return "ethertype=" in rules
    if rules == []:
        return "name" in group and bool({"project_id", "tenant_id"} & group.keys())
    return isinstance(rules, list) and "name" in group and isinstance(rules[0], dict) and "ethertype" in rules[0]


def read(upload: Upload) -> Reading:
    value = upload.value
    if isinstance(value, list):
        return _of_list(value)
    if "security_group_rules" in value and "name" not in value:
        return reading(NAME, _by_group(list(objects(value, "security_group_rules", ""))))
    if "security_groups" in value:
        return reading(NAME, _groups(list(objects(value, "security_groups", ""))))
    for key, many in (("security_group_rule", _by_group), ("security_group", _groups)):
        if key in value:
            return reading(NAME, many([(key, as_object(value[key], key))]))
    return reading(NAME, [_group("", value, {})])


def _of_list(value: Sequence[Any]) -> Reading:
    """What a list is of: rules, groups with rules, or groups without."""
    keys, members = value[0].keys(), list(objects({"": value}, "", ""))
    if {"IP Protocol", "ethertype"} & keys:
        return reading(NAME, _by_group(members))
    if keys >= {"ID", "Name", "Project"}:
        raise bad("", "This is OpenStack's list of groups, without their rules: bring what "
                      "openstack security group show NAME -f json says of each.")  # fmt: skip
    return reading(NAME, _groups(members))


def _groups(members: Sequence[tuple[str, Json]]) -> Iterator[ReadGroup]:
    names = {text(one, "id", where): text(one, "name", where) for where, one in members if one.get("id")}
    return (_group(where, one, names) for where, one in members)


def _by_group(rules: Sequence[tuple[str, Json]]) -> list[ReadGroup]:
    """The groups that a list of rules is about; of one group alone the list does not say which."""
    lines: dict[str, list[Line]] = {}
    for where, one in rules:
        plain = _plain(one, where)
        lines.setdefault(text(plain, "security_group_id", where), []).extend(rule(where, plain))
    note = aside("document", "what no rule allows", DENIES)
    return [in_turn(found, name, "", [note]) for name, found in lines.items()]


def _group(where: str, group: Json, names: Mapping[str, str]) -> ReadGroup:
    own = text(group, "id", where)
    known = {**names, own: "itself"} if own else names
    key = "rules" if "rules" in group else "security_group_rules"
    found = objects(group, key, where) if not isinstance(group.get(key), str) else _old(group[key], at(where, key))
    lines = gathered(line for place, one in found for line in rule(place, one, known))
    if not flag(group, "stateful", where, True):
        lines = stateless(lines, "the group is stateless", "Make the group stateful, and look whether all still works.")
    note = aside(where or "document", "what no rule allows", DENIES)
    return in_turn(lines, text(group, "name", where), text(group, "description", where), [note])


def _old(rules: str, where: str) -> Iterator[tuple[str, Json]]:
    """The rules as older commands write them: a line each, of pairs such as direction='ingress'."""
    for place, line in enumerate(rules.splitlines()):
        pairs = dict(_PAIR.findall(line))
        if line.strip():
            yield at(where, place), pairs


def _plain(one: Json, where: str) -> Json:
    """A rule of the command's list as Neutron would write it."""
    if "IP Protocol" not in one:
        return one
    if "Direction" not in one:
        raise bad(where, "This list of OpenStack does not say the direction of its rules: make it with --long.")
    missing = [name for name in _NEEDED if name not in one]
    if missing:
        raise bad(
            where, f"This list of OpenStack lacks {', '.join(missing)}: make it with --long -f json and without -c."
        )
    plain = {_COLUMNS.get(key, key): value for key, value in one.items() if key != "Port Range"}
    return {**plain, **_ports_of(text(one, "Port Range", where), at(where, "Port Range"))}


def _ports_of(word: str, where: str) -> Json:
    """Ports "22:22", or what stands there for ICMP: "type=8:code=0"."""
    if not word:
        return {}
    kind = re.fullmatch(r"type=(\d{1,3})(?::code=(\d{1,3}))?", word)
    if kind:
        return {"port_range_min": int(kind[1]), "port_range_max": int(kind[2]) if kind[2] else None}
    first, _, last = word.partition(":")
    if not all(re.fullmatch(r"\d{0,5}", end, re.ASCII) for end in (first, last)):
        raise bad(where, f"“{shown(word)}” is not a range of ports.")
    return {"port_range_min": first, "port_range_max": last}


def rule(where: str, one: Json, names: Mapping[str, str] | None = None) -> Iterator[Line]:
    """The lines of a rule in Neutron's words; `names` are those of the file's groups, by id."""
    if "direction" not in one and "ip_protocol" in one:
        raise bad(where, NOVA)
    direction = one_of(one, "direction", where, _DIRECTIONS)
    families = _families(one, where)
    base = Foreign(where, "", Action.ACCEPT, direction, families=families, description=text(one, "description", where))
    base = _with_ports(_with_protocol(base, one), one)
    remote, said = _remote(one, where, names or {})
    family = "".join(f"IPv{version}" for version in families)
    shown_as = spoken(base.action, direction, f"{family} {base.text}", said)
    base = replace(base, text=shown_as, beyond=base.beyond + remote[1] + _strange(one))
    found = ends(remote[0]) if remote[0] else None
    advice = of_members(base) if remote[1] else ""
    yield from split(Line(base, advice), side_of(direction), found) if found else [Line(base, advice)]


def _strange(one: Json) -> tuple[str, ...]:
    properties = one.get("properties")
    inner = unknown_keys(properties, ("group",)) if isinstance(properties, dict) else ()
    return unknown_keys({**one, "properties": None} if isinstance(properties, dict) else one, _KNOWN) + inner


def _families(one: Json, where: str) -> frozenset[int]:
    """The family that the rule names; older lists name none, and then it is that of the range."""
    prefix = text(one, "remote_ip_prefix", where)
    if one.get("ethertype") or not prefix:
        return one_of(one, "ethertype", where, _FAMILIES)
    return FAMILY[6 if ":" in prefix else 4]


def _named(one: Any) -> str:
    """The remote group by its name alone, as Nova has it and libraries still say it; an empty one is none."""
    group = one.get("group") if isinstance(one, dict) else None
    return str(group.get("name") or group.get("id") or group) if isinstance(group, dict) and group else str(group or "")


def _remote_group(one: Json, where: str, names: Mapping[str, str]) -> str:
    """The group at the other end, with its name where that is known."""
    group = text(one, "remote_group_id", where) or _named(one) or _named(one.get("properties"))
    known = names.get(group, "")
    if not known:
        return group
    return known if known == "itself" else f"{group} {known}"


def _remote(one: Json, where: str, names: Mapping[str, str]) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], str]:
    """((networks, conditions), what is shown): who may be at the other end; nothing at all is anybody."""
    # A prefix may be kept as it was written, with bits behind it; then Neutron says besides what it does.
    prefix = text(one, "normalized_cidr", where) or text(one, "remote_ip_prefix", where)
    group, addresses = _remote_group(one, where, names), text(one, "remote_address_group_id", where)
    conditions = tuple(
        f"{kind} {shown(name)}"
        for kind, name in (("the members of the group", group), ("the address group", addresses))
        if name and name.lower() != "none"
    )
    prefixes = (prefix,) if prefix and prefix.lower() not in ("none", "any") else ()
    return (prefixes, conditions), ", ".join((*prefixes, *conditions))


def _with_protocol(base: Foreign, one: Json) -> Foreign:
    word = text(one, "protocol", base.where).lower()
    if word in ("", "any", "none", "0", "-1"):
        return replace(base, text="any protocol")
    found = protocol_number(word)
    if found is None:
        raise bad(at(base.where, "protocol"), f"“{shown(word)}” is not a protocol that is known here.")
    if found == ICMP and base.families == FAMILY[6]:
        return replace(base, text=word, protocol=ICMPV6, rests_on="ICMP over IPv6 is ICMPv6 in OpenStack.")
    return replace(base, text=word, protocol=found)


def _with_ports(base: Foreign, one: Json) -> Foreign:
    first, last = number(one, "port_range_min", base.where), number(one, "port_range_max", base.where)
    if first is None and last is None:
        return base
    if base.protocol in (ICMP, ICMPV6):
        kind = f"ICMP type {first}" + ("" if last is None else f" code {last}")
        return replace(base, text=f"{base.text} {kind}", beyond=(kind,))
    ports = port_range(f"{first}-{last}")
    if base.protocol not in WITH_PORTS or ports is None:
        return replace(base, beyond=(f"ports {first} to {last}",))
    said = str(first) if first == last else f"{first}-{last}"
    return replace(base, text=f"{base.text} {said}", ports=(ports,))
