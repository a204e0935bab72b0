"""Terraform's resources of clouds whose groups are unions of accepts: AWS, OpenStack and Hetzner."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from securitygroups.firewall.formats import aws, hetzner, openstack
from securitygroups.firewall.formats.clouds import (
    UNKNOWN,
    Json,
    Line,
    aside,
    flag,
    gathered,
    in_turn,
    number,
    objects,
    one_of,
    stateless,
    text,
    texts,
    words,
)
from securitygroups.firewall.formats.reading import ReadGroup
from securitygroups.firewall.formats.terraform_groups import each_of, name_of, of_kind, placed_at, with_loose
from securitygroups.firewall.formats.terraform_members import Behind, behind, by_family
from securitygroups.firewall.formats.terraform_resources import Resource

# AWS.

_AWS_BLOCK = words(
    "cidr_blocks ipv6_cidr_blocks prefix_list_ids security_groups self from_port to_port protocol description"
)
_AWS_RULE = _AWS_BLOCK | words(
    "type security_group_id source_security_group_id security_group_rule_id id timeouts region"
)
_AWS_SINGLE = words(
    "security_group_id cidr_ipv4 cidr_ipv6 prefix_list_id referenced_security_group_id from_port to_port ip_protocol "
    "description arn id security_group_rule_id tags tags_all region"
)
_AWS_ENDS = words("ip_protocol cidr_ipv4 cidr_ipv6 prefix_list_id referenced_security_group_id")
_AWS_LISTS = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
_AWS_SIDES = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}


def aws_groups(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = of_kind(found, "aws_security_group", "aws_default_security_group")
    known = behind(found, groups)
    loose = each_of(of_kind(found, "aws_security_group_rule"), lambda one: _aws_rule(one, known))
    single = of_kind(found, "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
    loose += each_of(single, lambda one: _aws_single(one, known))
    note = aside("document", "what no rule allows", aws.DENIES)
    for group, name, lines in with_loose(groups, loose):
        if group is None:
            yield in_turn(lines, name, "", [note])
            continue
        who = _Who(known, text(group.values, "id", group.address))
        own = gathered(line for key in _AWS_SIDES for place, one in objects(group.values, key, group.address)
               for line in _aws_block(place, one, key, _AWS_BLOCK, who))  # fmt: skip
        yield in_turn(own + lines, name_of(group), text(group.values, "description", group.address), [note])


class _Who(NamedTuple):
    """What the file knows of others, and the id of the rule's own group."""

    behind: Behind
    own: str

    def id_of(self, group: str) -> str:
        return self.own if group == aws.ITSELF else group


def _aws_block(where: str, one: Json, key: str, known: Iterable[str], who: _Who) -> Iterator[Line]:
    cidrs = {key: texts(one, key, where) for key in ("cidr_blocks", "ipv6_cidr_blocks")}
    # A plan without its configuration does not tell what nobody wrote; of these two only one can be written.
    written = [
        each for each in texts(one, "source_security_group_id", where) if each != UNKNOWN or not any(cidrs.values())
    ]
    groups = [*texts(one, "security_groups", where), *written]
    if one.get("self"):
        groups.append(aws.ITSELF)
    permission = {
        "IpProtocol": text(one, "protocol", where),
        "FromPort": number(one, "from_port", where),
        "ToPort": number(one, "to_port", where),
        "IpRanges": _entries("CidrIp", cidrs["cidr_blocks"]),
        "Ipv6Ranges": _entries("CidrIpv6", cidrs["ipv6_cidr_blocks"]),
        "PrefixListIds": _entries("PrefixListId", texts(one, "prefix_list_ids", where)),
        "UserIdGroupPairs": _entries("GroupId", groups),
    }
    said = text(one, "description", where)
    for line in placed_at(_aws_lines(where, permission, _AWS_SIDES[key], who), where, one, known):
        yield line._replace(rule=replace(line.rule, description=said))


def _entries(key: str, some: Iterable[str]) -> list[Json]:
    """A list of a permission, as AWS writes it."""
    return [{key: each} for each in some]


def _aws_lines(where: str, permission: Json, side: str, who: _Who) -> Iterator[Line]:
    """The lines of a permission, with those for the entries of its lists and for members of its groups."""
    groups = [each["GroupId"] for each in permission["UserIdGroupPairs"]]
    names = {group: who.behind.others(who.id_of(group), itself=group == aws.ITSELF) for group in groups}
    unknown = [each for each in permission["PrefixListIds"] if each["PrefixListId"] not in who.behind.lists]
    rest = {**permission, "PrefixListIds": unknown}
    # Where it names known lists alone, nothing is left of it to say here.
    if not permission["PrefixListIds"] or any(rest[key] for key in _AWS_LISTS):
        yield from aws.permission(where, rest, side, names)
    for said, addresses in _aws_behind(permission, who):
        ranges = {**permission, "PrefixListIds": [], "UserIdGroupPairs": [], **by_family(addresses)}
        for line in aws.permission(where, ranges, side, {}):
            yield line._replace(rule=replace(line.rule, rests_on=said))


def _aws_behind(permission: Json, who: _Who) -> Iterator[tuple[str, Sequence[str]]]:
    """(why they are meant, addresses) of each list and each group of the permission that the file knows some of."""
    for one in permission["PrefixListIds"]:
        if addresses := who.behind.lists.get(one["PrefixListId"]):
            yield f"It is of the list {one['PrefixListId']}, as the file has it.", addresses
    for one in permission["UserIdGroupPairs"]:
        group = who.id_of(one["GroupId"])
        if addresses := who.behind.members.get(group):
            yield f"It is a member of {group} in the file.", addresses


def _aws_rule(one: Resource, known: Behind) -> Iterator[Line]:
    side = one_of(one.values, "type", one.address, {key: key for key in _AWS_SIDES})
    who = _Who(known, text(one.values, "security_group_id", one.address))
    yield from _aws_block(one.address, one.values, side, _AWS_RULE, who)


def _aws_single(one: Resource, known: Behind) -> Iterator[Line]:
    values, where = one.values, one.address
    egress = one.kind == "aws_vpc_security_group_egress_rule"
    group, named = (text(values, key, where) for key in ("referenced_security_group_id", "prefix_list_id"))
    if group in known.members or named in known.lists:
        block = {
            "protocol": values.get("ip_protocol"),
            "cidr_blocks": values.get("cidr_ipv4"),
            "ipv6_cidr_blocks": values.get("cidr_ipv6"),
            "security_groups": group,
            "prefix_list_ids": named,
        }
        rest = {key: each for key, each in values.items() if key not in _AWS_ENDS}
        who = _Who(known, text(values, "security_group_id", where))
        side = "egress" if egress else "ingress"
        yield from _aws_block(where, {**rest, **block}, side, _AWS_BLOCK | _AWS_SINGLE, who)
        return
    rule = {
        "IsEgress": egress,
        "IpProtocol": text(values, "ip_protocol", where),
        "FromPort": number(values, "from_port", where),
        "ToPort": number(values, "to_port", where),
        "CidrIpv4": text(values, "cidr_ipv4", where),
        "CidrIpv6": text(values, "cidr_ipv6", where),
        "PrefixListId": text(values, "prefix_list_id", where),
        "ReferencedGroupInfo": {"GroupId": text(values, "referenced_security_group_id", where)},
        "Description": text(values, "description", where),
    }
    yield from placed_at(aws.single(where, rule), where, values, _AWS_SINGLE)


# OpenStack.

_OS_RULE = words(
    "direction ethertype protocol port_range_min port_range_max remote_group_id remote_ip_prefix remote_address_group_id "
    "security_group_id description"
)
_OS_KEYS = _OS_RULE | words("id region tenant_id timeouts")


def openstack_groups(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = of_kind(found, "openstack_networking_secgroup_v2")
    known = behind(found, groups)
    loose = each_of(of_kind(found, "openstack_networking_secgroup_rule_v2"), lambda one: _openstack_rule(one, known))
    said = f"{openstack.DENIES} What a new group lets out by itself is no resource of Terraform, and not in the list."
    note = aside("document", "what no rule allows", said)
    for group, name, lines in with_loose(groups, loose):
        if group is None:
            yield in_turn(lines, name, "", [note])
            continue
        if not flag(group.values, "stateful", group.address, True):
            lines = stateless(lines, "the group is stateless", "Make the group stateful.")
        yield in_turn(lines, name_of(group), text(group.values, "description", group.address), [note])


def _openstack_rule(one: Resource, known: Behind) -> Iterator[Line]:
    """The rule in Neutron's words. 0 stands in Terraform's state for a port that was not set; of ICMP it may be a type."""
    plain = {key: one.values.get(key) for key in _OS_RULE}
    ports = [number(plain, key, one.address) for key in ("port_range_min", "port_range_max")]
    if ports == [0, 0] and "icmp" not in text(plain, "protocol", one.address):
        plain |= {"port_range_min": None, "port_range_max": None}
    yield from placed_at(_openstack_lines(one.address, plain, known), one.address, one.values, _OS_KEYS)


def _openstack_lines(where: str, plain: Json, known: Behind) -> Iterator[Line]:
    """The lines of a rule, with those for the addresses of its list, or for members of its group."""
    group, named = (text(plain, key, where) for key in ("remote_group_id", "remote_address_group_id"))
    networks = known.lists.get(named, ()) if not group else ()
    if networks:
        yield from _openstack_behind(where, plain, networks, f"It is of the list {named}, as the file has it.")
        return
    others = f"{group} {known.others(group)}".strip()
    yield from openstack.rule(where, {**plain, "remote_group_id": others} if group else plain)
    if not named:
        members = known.members.get(group, ())
        yield from _openstack_behind(where, plain, members, f"It is a member of {group} in the file.")


def _openstack_behind(where: str, plain: Json, addresses: Iterable[str], said: str) -> Iterator[Line]:
    """The rule for each of the addresses that is of its family, and `said` of why."""
    nobody = {"remote_group_id": None, "remote_address_group_id": None}
    six = text(plain, "ethertype", where).lower() == "ipv6"
    for address in addresses:
        if (":" in address) == six:
            for line in openstack.rule(where, {**plain, **nobody, "remote_ip_prefix": address}):
                yield line._replace(rule=replace(line.rule, rests_on=line.rule.rests_on or said))


# Hetzner.


def hetzner_groups(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    for one in of_kind(found, "hcloud_firewall"):
        yield hetzner.group(one.address, {"name": name_of(one), "rules": one.values.get("rule")})
