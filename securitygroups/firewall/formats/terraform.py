"""What terraform show -json says (and OpenTofu's) of firewalls of AWS, Azure, Google Cloud, OpenStack, Hetzner, DigitalOcean
and Scaleway: each resource in the words of its cloud, which the cloud's own reader reads.

In a plan, what is known only after apply stands for no address and no group.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from securitygroups.firewall.formats import aws, azure, digitalocean, gcp, hetzner, openstack, scaleway
from securitygroups.firewall.formats.clouds import (
    Json,
    Line,
    aside,
    flag,
    gathered,
    in_turn,
    known_protocol,
    number,
    objects,
    one_of,
    port_range,
    reading,
    stateless,
    text,
    texts,
    unknown_keys,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, MOST_RULES, Foreign
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken, Upload
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.formats.terraform_resources import INDEX, UNKNOWN, Resource, resources
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.texts import shown

NAME = "Terraform"
_OTHERS = {
    "aws_network_acl": "Network ACLs judge replies too, as no list here does.",
    "aws_network_acl_rule": "Network ACLs judge replies too, as no list here does.",
    "aws_default_network_acl": "Network ACLs judge replies too, as no list here does.",
    "google_compute_firewall_policy_rule": "Firewall policies are asked around the rules of a network, and are not read.",
    "google_compute_network_firewall_policy_rule": "Firewall policies are asked around the rules of a network, and are not read.",
    "azurerm_firewall_policy_rule_collection_group": "It is of Azure Firewall, not of a network security group.",
}


def looks(upload: Upload) -> bool:
    value = upload.value
    if not isinstance(value, dict):
        return False
    return (
        "terraform_version" in value
        or _is_state(value)
        or any(isinstance(value.get(key), dict) and "root_module" in value[key] for key in ("values", "planned_values"))
    )


def _is_state(value: Json) -> bool:
    """Whether it is the state's own file, which is written in another way."""
    inner = value.get("resources")
    first = inner[0] if isinstance(inner, list) and inner else None
    return "lineage" in value or (isinstance(first, dict) and isinstance(first.get("instances"), list))


def read(upload: Upload) -> Reading:
    value = upload.value
    if _is_state(value):
        raise bad("", "This is Terraform's state itself: bring what terraform show -json says.")
    found = resources(value)
    notes = tuple(
        Note(one.address, one.kind, Taken.NOT_TAKEN, _OTHERS[one.kind]) for one in found if one.kind in _OTHERS
    )
    result = reading(NAME, (group for kind in _READERS for group in kind(found)), notes)
    if not result.groups and not notes:
        raise bad(
            "",
            "No firewall is in it that is read: aws_security_group, azurerm_network_security_group, google_compute_firewall, "
            "openstack_networking_secgroup_v2, hcloud_firewall, digitalocean_firewall or scaleway_instance_security_group.",
        )
    return result


def _of_kind(found: Iterable[Resource], *kinds: str) -> list[Resource]:
    return [one for one in found if one.kind in kinds]


def _at(lines: Iterable[Line], where: str, values: Json, known: Iterable[str]) -> Iterator[Line]:
    """The lines of a block at its own place; what is not known in it is asked for."""
    strange = unknown_keys(values, known)
    for line in lines:
        yield line._replace(rule=replace(line.rule, where=where, beyond=line.rule.beyond + strange))


def _each(found: Iterable[Resource], make: Callable[[Resource], Iterable[Line]]) -> list[tuple[Resource, list[Line]]]:
    """The lines of each resource, of all together as many as a file may have."""
    pairs: list[tuple[Resource, list[Line]]] = []
    left = MOST_RULES
    for one in found:
        lines = list(islice(make(one), left + 1))
        left -= len(lines)
        if left < 0:
            raise bad("", f"The file has more than {MOST_RULES:,} rules: bring some at a time.")
        pairs.append((one, lines))
    return pairs


def _with_loose(
    groups: Sequence[Resource], loose: Sequence[tuple[Resource, list[Line]]], key: str
) -> Iterator[tuple[Resource | None, str, list[Line]]]:
    """(group, its id where it is none of the file, lines): rules that stand for themselves, with the group they name."""
    lines: dict[str, list[Line]] = {}
    by_address = {INDEX.sub("", one.address): one for one in groups}
    for one, found in loose:
        name = text(one.values, key, one.address) or UNKNOWN
        referred = [by_address[ref].address for ref in one.names.get(key, ()) if ref in by_address]
        lines.setdefault(referred[0] if name == UNKNOWN and referred else name, []).extend(found)
    for group in groups:
        own = text(group.values, "id", group.address)
        mine = lines.pop(group.address, []) + (lines.pop(own, []) if own and own != UNKNOWN else [])
        yield group, "", mine
    for name, found in lines.items():
        yield None, name, found


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


def _aws(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = _of_kind(found, "aws_security_group", "aws_default_security_group")
    loose = _each(_of_kind(found, "aws_security_group_rule"), _aws_rule)
    single = _of_kind(found, "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
    loose += _each(single, _aws_single)
    note = aside("document", "what no rule allows", aws.DENIES)
    for group, name, lines in _with_loose(groups, loose, "security_group_id"):
        if group is None:
            yield in_turn(lines, name, "", [note])
            continue
        own = gathered(line for key in _AWS_SIDES for place, one in objects(group.values, key, group.address)
               for line in _aws_block(place, one, key, _AWS_BLOCK))  # fmt: skip
        yield in_turn(own + lines, _name(group), text(group.values, "description", group.address), [note])


def _name(group: Resource) -> str:
    name = text(group.values, "name", group.address)
    return name if name and name != UNKNOWN else group.address


def _aws_block(where: str, one: Json, key: str, known: Iterable[str]) -> Iterator[Line]:
    groups = [*texts(one, "security_groups", where), *texts(one, "source_security_group_id", where)]
    if one.get("self"):
        groups.append("itself")
    permission = {
        "IpProtocol": text(one, "protocol", where),
        "FromPort": number(one, "from_port", where),
        "ToPort": number(one, "to_port", where),
        "IpRanges": [{"CidrIp": each} for each in texts(one, "cidr_blocks", where)],
        "Ipv6Ranges": [{"CidrIpv6": each} for each in texts(one, "ipv6_cidr_blocks", where)],
        "PrefixListIds": [{"PrefixListId": each} for each in texts(one, "prefix_list_ids", where)],
        "UserIdGroupPairs": [{"GroupId": each} for each in groups],
    }
    said = text(one, "description", where)
    for line in _at(aws.permission(where, permission, _AWS_SIDES[key]), where, one, known):
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
    yield from _at(aws.single(where, rule), where, values, _AWS_SINGLE)


# OpenStack.

_OS_RULE = words(
    "direction ethertype protocol port_range_min port_range_max remote_group_id remote_ip_prefix remote_address_group_id "
    "security_group_id description"
)


def _openstack(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = _of_kind(found, "openstack_networking_secgroup_v2")
    loose = _each(_of_kind(found, "openstack_networking_secgroup_rule_v2"), _openstack_rule)
    said = f"{openstack.DENIES} What a new group lets out by itself is no resource of Terraform, and not in the list."
    note = aside("document", "what no rule allows", said)
    for group, name, lines in _with_loose(groups, loose, "security_group_id"):
        if group is None:
            yield in_turn(lines, name, "", [note])
            continue
        if not flag(group.values, "stateful", group.address, True):
            lines = stateless(lines, "the group is stateless", "Make the group stateful.")
        yield in_turn(lines, _name(group), text(group.values, "description", group.address), [note])


def _openstack_rule(one: Resource) -> Iterator[Line]:
    """The rule in Neutron's words. 0 stands in Terraform's state for a port that was not set; of ICMP it may be a type."""
    plain = {key: one.values.get(key) for key in _OS_RULE}
    ports = [number(plain, key, one.address) for key in ("port_range_min", "port_range_max")]
    if ports == [0, 0] and "icmp" not in text(plain, "protocol", one.address):
        plain |= {"port_range_min": None, "port_range_max": None}
    known = (*_OS_RULE, "id", "region", "tenant_id", "timeouts")
    yield from _at(openstack.rule(one.address, plain), one.address, one.values, known)


# Azure and Google Cloud, whose rules have an order among each other.

_AZ_WORDS = {
    f"{side}_{snake}": f"{side}{camel}"
    for side in ("source", "destination")
    for snake, camel in (
        ("port_range", "PortRange"),
        ("port_ranges", "PortRanges"),
        ("address_prefix", "AddressPrefix"),
        ("address_prefixes", "AddressPrefixes"),
    )
}
_AZ_ASG = {
    "source_application_security_group_ids": "source",
    "destination_application_security_group_ids": "destination",
}
_AZ_SAME = ("name", "priority", "direction", "access", "protocol", "description")
_AZ_QUIET = frozenset(("id", "resource_group_name", "network_security_group_name", "timeouts"))


def _azure(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    loose: dict[str, list[tuple[str, Json]]] = {}
    for one in _of_kind(found, "azurerm_network_security_rule"):
        name = text(one.values, "network_security_group_name", one.address)
        loose.setdefault(name, []).append((one.address, _azure_rule(one.address, one.values)))
    for group in _of_kind(found, "azurerm_network_security_group"):
        rules = [
            (place, _azure_rule(place, one)) for place, one in objects(group.values, "security_rule", group.address)
        ]
        rules += loose.pop(text(group.values, "name", group.address), [])
        yield azure.group_of(_once(rules), _name(group), "")
    for name, rules in loose.items():
        yield azure.group_of(rules, name, "")


def _once(rules: Sequence[tuple[str, Json]]) -> list[tuple[str, Json]]:
    """The rules, each once: a state has a rule that stands for itself in its group as well."""
    kept: dict[tuple[str, str, str], tuple[str, Json]] = {}
    for where, one in rules:
        kept.setdefault((str(one.get("name")), str(one.get("direction")), str(one.get("priority"))), (where, one))
    return list(kept.values())


def _azure_rule(where: str, one: Json) -> Json:
    rule: dict[str, Any] = {key: one.get(key) for key in _AZ_SAME}
    rule |= {camel: one.get(snake) for snake, camel in _AZ_WORDS.items()}
    for snake, side in _AZ_ASG.items():
        rule[f"{side}ApplicationSecurityGroups"] = [{"id": each} for each in texts(one, snake, where)]
    known = {*_AZ_SAME, *_AZ_WORDS, *_AZ_ASG, *_AZ_QUIET}
    return rule | {key: value for key, value in one.items() if key not in known}


_GOOGLE = {
    "source_ranges": "sourceRanges",
    "destination_ranges": "destinationRanges",
    "source_tags": "sourceTags",
    "target_tags": "targetTags",
    "source_service_accounts": "sourceServiceAccounts",
    "target_service_accounts": "targetServiceAccounts",
    "log_config": "logConfig",
    "creation_timestamp": "creationTimestamp",
    "self_link": "selfLink",
    "enable_logging": "enableLogging",
}


def _google(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    rules = [(one.address, _google_rule(one)) for one in _of_kind(found, "google_compute_firewall")]
    yield from gcp.groups_of(rules)


def _google_rule(one: Resource) -> Json:
    values = {
        _GOOGLE.get(key, key): value
        for key, value in one.values.items()
        if key not in ("project", "timeouts", "params")
    }
    for ours, theirs in (("allow", "allowed"), ("deny", "denied")):
        values[theirs] = [
            {"IPProtocol": text(each, "protocol", place), "ports": list(texts(each, "ports", place))}
            | {key: value for key, value in each.items() if key not in ("protocol", "ports")}
            for place, each in objects(one.values, ours, one.address)
        ]
        values.pop(ours, None)
    return values


# Hetzner, DigitalOcean and Scaleway.


def _hcloud(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    for one in _of_kind(found, "hcloud_firewall"):
        yield hetzner.group(one.address, {"name": _name(one), "rules": one.values.get("rule")})


_DO_ENDS = {
    "addresses": "addresses",
    "droplet_ids": "droplet_ids",
    "load_balancer_uids": "load_balancer_uids",
    "kubernetes_ids": "kubernetes_ids",
    "tags": "tags",
}


def _digitalocean(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    for one in _of_kind(found, "digitalocean_firewall"):
        firewall: dict[str, Any] = {"name": _name(one)}
        for block, side, prefix in (
            ("inbound_rule", "sources", "source"),
            ("outbound_rule", "destinations", "destination"),
        ):
            firewall[f"{block}s"] = [
                _digitalocean_rule(rule, side, prefix) for _, rule in objects(one.values, block, one.address)
            ]
        yield digitalocean.group(one.address, firewall)


def _digitalocean_rule(rule: Json, side: str, prefix: str) -> Json:
    ends = {theirs: rule.get(f"{prefix}_{ours}") for ours, theirs in _DO_ENDS.items()}
    known = {"protocol", "port_range", *(f"{prefix}_{ours}" for ours in _DO_ENDS)}
    rest = {key: value for key, value in rule.items() if key not in known}
    return {"protocol": rule.get("protocol"), "ports": rule.get("port_range"), side: ends, **rest}


_SCW_RULE = words("action protocol ip ip_range port port_range")


def _scaleway(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    groups = _of_kind(found, "scaleway_instance_security_group")
    loose = _each(_of_kind(found, "scaleway_instance_security_group_rules"), _scaleway_rules)
    for group, name, lines in _with_loose(groups, loose, "security_group_id"):
        if group is None:
            yield scaleway.with_policies("", {"name": name, "stateful": True}, lines)
            continue
        own = gathered(_scaleway_rules(group))
        yield scaleway.with_policies(group.address, {**group.values, "name": _name(group)}, own + lines)


def _scaleway_rules(one: Resource) -> Iterator[Line]:
    for side, direction in (("inbound_rule", Direction.IN), ("outbound_rule", Direction.OUT)):
        for where, rule in objects(one.values, side, one.address):
            yield from _scaleway_rule(where, rule, direction)


def _scaleway_rule(where: str, rule: Json, direction: Direction) -> Iterator[Line]:
    action = one_of(rule, "action", where, {"accept": Action.ACCEPT, "drop": Action.DROP})
    word = text(rule, "protocol", where).upper() or "TCP"
    protocol = None if word == "ANY" else known_protocol({"": word}, "", where)
    base = Foreign(where, word, action, direction, protocol, ports=_scaleway_ports(rule, where))
    remote = text(rule, "ip_range", where) or text(rule, "ip", where)
    yield from scaleway.with_remote(base, remote, unknown_keys(rule, _SCW_RULE))


def _scaleway_ports(rule: Json, where: str) -> tuple[tuple[int, int], ...] | None:
    """The ports, None for all: 0 is none that was set."""
    port, many = number(rule, "port", where), text(rule, "port_range", where)
    word = many if many not in ("", "0-0", "0") else str(port) if port else ""
    if not word:
        return None
    ports = port_range(word)
    if ports is None:
        raise bad(where, f"“{shown(word)}” is not a range of ports.")
    return None if ports == ALL_PORTS else (ports,)


_READERS: tuple[Callable[[Sequence[Resource]], Iterator[ReadGroup]], ...] = (
    _aws,
    _azure,
    _google,
    _openstack,
    _hcloud,
    _digitalocean,
    _scaleway,
)
