"""Security groups of AWS: describe-security-groups, describe-security-group-rules, and lists as boto gives them.

A group is a union of accepts; replies pass by themselves, and what no rule accepts is denied in both directions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats.clouds import (
    ICMP,
    ICMPV6,
    NOBODY,
    Json,
    Line,
    as_object,
    aside,
    at,
    ends,
    gathered,
    in_turn,
    number,
    objects,
    of_members,
    protocol_number,
    reading,
    side_of,
    split,
    spoken,
    text,
    unknown_keys,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, Foreign
from securitygroups.firewall.formats.reading import ReadGroup, Reading, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.texts import shown

NAME = "AWS security groups"
DENIES = "AWS denies what no rule allows, in both directions, and so does the list here."
_LISTS = {"IpPermissions": Direction.IN, "IpPermissionsEgress": Direction.OUT}
_PERMISSION = frozenset(
    ("IpProtocol", "FromPort", "ToPort", "IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs", "Groups")
)
# Where a permission keeps its other ends: the list, the key in it, and what it is called.
_REMOTES = (
    ("IpRanges", "CidrIp", ""),
    ("Ipv6Ranges", "CidrIpv6", ""),
    ("PrefixListIds", "PrefixListId", "the prefix list"),
    ("UserIdGroupPairs", "GroupId", "the members of the group"),
    ("Groups", "GroupId", "the members of the group"),
)
_RULE = words(
    "SecurityGroupRuleId SecurityGroupRuleArn GroupId GroupOwnerId IsEgress IpProtocol FromPort ToPort CidrIpv4 CidrIpv6 "
    "PrefixListId ReferencedGroupInfo Description Tags"
)
OF_LIST = "Add rules with the addresses of its entries."
ITSELF = "itself"
POWERSHELL = "This is what AWS's PowerShell writes, in words of its own: bring what aws ec2 describe-security-groups --output json says."


def looks(upload: Upload) -> bool:
    value = upload.value
    if isinstance(value, dict):
        return any(key in value for key in ("SecurityGroups", "SecurityGroupRules", "NetworkAcls", *_LISTS))
    return _is_list_of(value, (*_LISTS, "SecurityGroupRuleId", "IpProtocol"))


def _is_list_of(value: Any, keys: tuple[str, ...]) -> bool:
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict) and any(key in value[0] for key in keys)
    )


def read(upload: Upload) -> Reading:
    value = upload.value
    if _is_list_of(value, ("IpProtocol",)) and not _is_list_of(value, ("SecurityGroupRuleId",)):
        raise bad(
            "",
            "These are permissions of AWS without their group, which says whether they are for the way in or out: "
            "bring the whole output of aws ec2 describe-security-groups.",
        )
    if isinstance(value, list):
        return _of("SecurityGroupRules" if "SecurityGroupRuleId" in value[0] else "SecurityGroups", {"": value}, "")
    if any(key in value for key in _LISTS):
        return reading(NAME, [_group("", value, {})])
    key = next(key for key in ("SecurityGroups", "SecurityGroupRules", "NetworkAcls") if key in value)
    return _of(key, value, key)


def _of(what: str, value: Json, key: str) -> Reading:
    """The list of that kind which stands under the key."""
    if what == "NetworkAcls":
        raise bad(
            "",
            "These are network ACLs of AWS, which judge replies too and belong to a subnet: "
            "bring the output of aws ec2 describe-security-groups.",
        )
    if what == "SecurityGroupRules":
        return reading(NAME, _groups_of_rules(value, key))
    groups = list(objects(value, key, ""))
    names = {text(group, "GroupId", where): text(group, "GroupName", where) for where, group in groups}
    return reading(NAME, (_group(where, group, names) for where, group in groups))


def _group(where: str, group: Json, names: Mapping[str, str]) -> ReadGroup:
    known = {**names, text(group, "GroupId", where): ITSELF}
    lines = gathered(
        line
        for key in _LISTS
        for place, one in objects(group, key, where)
        for line in permission(place, one, key, known)
    )
    missing = [key for key in _LISTS if key not in group]
    said = f" {missing[0]} is not in the file: nothing of that direction is allowed." if missing else ""
    name = text(group, "GroupName", where) or text(group, "GroupId", where)
    note = aside(where or "document", "what no rule allows", DENIES + said)
    return in_turn(lines, name, text(group, "Description", where), [note])


def permission(where: str, one: Json, key: str, names: Mapping[str, str]) -> Iterator[Line]:
    """The lines of a permission, one for each of its other ends; `names` are those of groups in the file, by id."""
    if "Ipv4Ranges" in one:
        raise bad(where, POWERSHELL)
    direction = _LISTS[key]
    base = _base(where, one, direction)
    base = replace(base, beyond=base.beyond + unknown_keys(one, _PERMISSION))
    found = False
    for many, name, kind in _REMOTES:
        for place, remote in objects(one, many, where):
            found = True
            end = _remote(remote, name, place, names)
            yield from _with_end(replace(base, where=place), end, kind, text(remote, "Description", place))
    if not found:
        yield Line(replace(base, beyond=(*base.beyond, NOBODY)), "It allows nothing in AWS either.")


def _remote(remote: Json, name: str, where: str, names: Mapping[str, str]) -> str:
    """What stands for the other end; of a group its id and name."""
    one = text(remote, name, where)
    if name != "GroupId":
        return one
    said = (names.get(one) if one else "") or text(remote, "GroupName", where)
    return said if said == ITSELF else f"{one} {said}".strip()


def _with_end(base: Foreign, remote: str, kind: str, description: str) -> Iterator[Line]:
    direction = base.direction
    said = spoken(base.action, direction, base.text, f"{kind} {remote}".strip())
    rule = replace(base, text=said, description=description)
    if kind:
        advice = OF_LIST if "list" in kind else of_members(rule)
        yield Line(replace(rule, beyond=(*rule.beyond, f"{kind} {shown(remote)}")), advice)
    else:
        yield from split(Line(rule), side_of(direction), ends([remote]))


def _base(where: str, one: Json, direction: Direction) -> Foreign:
    """The permission without its other ends; its text is what it is about."""
    word = text(one, "IpProtocol", where).lower()
    first, last = number(one, "FromPort", where), number(one, "ToPort", where)
    rule = Foreign(where, word, Action.ACCEPT, direction)
    if word in ("-1", "all"):
        whole = first in (None, -1, 0) and last in (None, -1, 0, 65535)
        return replace(rule, text="all", beyond=() if whole else (f"ports {first} to {last} of every protocol",))
    protocol = protocol_number(word)
    if protocol is None:
        raise bad(at(where, "IpProtocol"), f"“{shown(word)}” is not a protocol that is known here.")
    rule = replace(rule, protocol=protocol)
    if protocol in (ICMP, ICMPV6):
        return _of_type(rule, first, last)
    return _of_ports(rule, first, last) if protocol in PORT_NUMBERS else rule


def _of_type(rule: Foreign, kind: int | None, code: int | None) -> Foreign:
    """An ICMP rule: its ports are the type and the code, -1 for any."""
    if kind in (None, -1) and code in (None, -1):
        return rule
    said = f"ICMP type {kind}" + (f" code {code}" if code not in (None, -1) else "")
    return replace(rule, text=f"{rule.text} type {kind}", beyond=(said,))


def _of_ports(rule: Foreign, first: int | None, last: int | None) -> Foreign:
    """A rule of a protocol with ports; where it has none, it is one that is about all of them in no document of AWS."""
    if first is None or last is None or not 0 <= first <= last <= 65535:
        return replace(rule, beyond=(f"ports {first} to {last}, which is no range",))
    if (first, last) == ALL_PORTS:
        return rule
    ports = str(first) if first == last else f"{first}-{last}"
    return replace(rule, text=f"{rule.text} {ports}", ports=((first, last),))


def _groups_of_rules(value: Json, key: str) -> Iterator[ReadGroup]:
    """The groups that a list of single rules is about, in the order in which they come."""
    lines: dict[str, list[Line]] = {}
    for where, one in objects(value, key, ""):
        lines.setdefault(text(one, "GroupId", where), []).extend(single(where, one))
    for group, found in lines.items():
        yield in_turn(found, group, "", [aside(group or "document", "what no rule allows", DENIES)])


def single(where: str, one: Json) -> Iterator[Line]:
    """The line of a rule that stands for itself."""
    egress = one.get("IsEgress")
    if not isinstance(egress, bool):
        raise bad(at(where, "IsEgress"), "true or false is expected here.")
    base = _base(where, one, Direction.OUT if egress else Direction.IN)
    base = replace(base, beyond=base.beyond + unknown_keys(one, _RULE))
    group = as_object(one.get("ReferencedGroupInfo") or {}, at(where, "ReferencedGroupInfo"))
    own = {text(one, "GroupId", where): ITSELF}
    found = [
        (text(one, "CidrIpv4", where), ""),
        (text(one, "CidrIpv6", where), ""),
        (text(one, "PrefixListId", where), "the prefix list"),
        (_remote(group, "GroupId", at(where, "ReferencedGroupInfo"), own), "the members of the group"),
    ]
    remotes = [each for each in found if each[0]]
    if len(remotes) != 1:
        what = "several other ends at once" if remotes else NOBODY
        yield Line(replace(base, beyond=(*base.beyond, what)), "Look at the rule in AWS.")
        return
    yield from _with_end(base, *remotes[0], text(one, "Description", where))
