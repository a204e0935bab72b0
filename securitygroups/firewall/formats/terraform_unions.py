"""Terraform's resources of clouds whose groups are unions of accepts: AWS, OpenStack and Hetzner."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

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
_AWS_SIDES = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}


def aws_groups(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = of_kind(found, "aws_security_group", "aws_default_security_group")
    loose = each_of(of_kind(found, "aws_security_group_rule"), _aws_rule)
    single = of_kind(found, "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
    loose += each_of(single, _aws_single)
    note = aside("document", "what no rule allows", aws.DENIES)
    for group, name, lines in with_loose(groups, loose):
        if group is None:
            yield in_turn(lines, name, "", [note])
            continue
        own = gathered(line for key in _AWS_SIDES for place, one in objects(group.values, key, group.address)
               for line in _aws_block(place, one, key, _AWS_BLOCK))  # fmt: skip
        yield in_turn(own + lines, name_of(group), text(group.values, "description", group.address), [note])


def _aws_block(where: str, one: Json, key: str, known: Iterable[str]) -> Iterator[Line]:
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
        "IpRanges": [{"CidrIp": each} for each in cidrs["cidr_blocks"]],
        "Ipv6Ranges": [{"CidrIpv6": each} for each in cidrs["ipv6_cidr_blocks"]],
        "PrefixListIds": [{"PrefixListId": each} for each in texts(one, "prefix_list_ids", where)],
        "UserIdGroupPairs": [{"GroupId": each} for each in groups],
    }
    said = text(one, "description", where)
    for line in placed_at(aws.permission(where, permission, _AWS_SIDES[key], {}), where, one, known):
        yield line._replace(rule=replace(line.rule, description=said))


def _aws_rule(one: Resource) -> Iterator[Line]:
    side = one_of(one.values, "type", one.address, {key: key for key in _AWS_SIDES})
    yield from _aws_block(one.address, one.values, side, _AWS_RULE)


def _aws_single(one: Resource) -> Iterator[Line]:
    values, where = one.values, one.address
    rule = {
        "IsEgress": one.kind == "aws_vpc_security_group_egress_rule",
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


def openstack_groups(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = of_kind(found, "openstack_networking_secgroup_v2")
    loose = each_of(of_kind(found, "openstack_networking_secgroup_rule_v2"), _openstack_rule)
    said = f"{openstack.DENIES} What a new group lets out by itself is no resource of Terraform, and not in the list."
    note = aside("document", "what no rule allows", said)
    for group, name, lines in with_loose(groups, loose):
        if group is None:
            yield in_turn(lines, name, "", [note])
            continue
        if not flag(group.values, "stateful", group.address, True):
            lines = stateless(lines, "the group is stateless", "Make the group stateful.")
        yield in_turn(lines, name_of(group), text(group.values, "description", group.address), [note])


def _openstack_rule(one: Resource) -> Iterator[Line]:
    """The rule in Neutron's words. 0 stands in Terraform's state for a port that was not set; of ICMP it may be a type."""
    plain = {key: one.values.get(key) for key in _OS_RULE}
    ports = [number(plain, key, one.address) for key in ("port_range_min", "port_range_max")]
    if ports == [0, 0] and "icmp" not in text(plain, "protocol", one.address):
        plain |= {"port_range_min": None, "port_range_max": None}
    known = (*_OS_RULE, "id", "region", "tenant_id", "timeouts")
    yield from placed_at(openstack.rule(one.address, plain), one.address, one.values, known)


# Hetzner.


def hetzner_groups(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    for one in of_kind(found, "hcloud_firewall"):
        yield hetzner.group(one.address, {"name": name_of(one), "rules": one.values.get("rule")})
