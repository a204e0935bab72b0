"""What terraform show -json says (and OpenTofu's, and terraform.tfstate) of firewalls of AWS, Azure, Google Cloud, OpenStack,
Hetzner, DigitalOcean and Scaleway: each resource in the words of its cloud, which the cloud's own reader reads.

In a plan, what is known only after apply stands for no address and no group.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from securitygroups.firewall.formats import azure, digitalocean, gcp, scaleway
from securitygroups.firewall.formats.clouds import (
    LATER,
    UNKNOWN,
    Json,
    Line,
    gathered,
    known_protocol,
    number,
    objects,
    one_of,
    port_range,
    reading,
    text,
    texts,
    unknown_keys,
    words,
)
from securitygroups.firewall.formats.foreign import ALL_PORTS, Foreign
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken, Upload
from securitygroups.firewall.formats.strict import BadDocument, bad
from securitygroups.firewall.formats.terraform_groups import each_of, linked, name_of, of_kind, with_loose
from securitygroups.firewall.formats.terraform_members import BEHIND, behind, whole_network
from securitygroups.firewall.formats.terraform_resources import Resource, is_state, resources
from securitygroups.firewall.formats.terraform_unions import aws_groups, hetzner_groups, openstack_groups
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
# Types by whose names one may be about traffic, and those that only tie a group to a machine.
_OF_TRAFFIC = re.compile(r"security_?group|sec_?group|firewall|network_acl|security_rule|network_policy")
_TIES = re.compile(r"(attachment|association|associate|attach|exclusive)\w*$")
_OTHER = "Resources of this kind are not read here: bring what its cloud itself says of it, or add its rules by hand."
# Where the rules of a resource stand in it.
_BLOCKS = {
    "aws_security_group": ("ingress", "egress"),
    "aws_default_security_group": ("ingress", "egress"),
    "azurerm_network_security_group": ("security_rule",),
    "google_compute_firewall": ("allow", "deny"),
    "hcloud_firewall": ("rule",),
    "digitalocean_firewall": ("inbound_rule", "outbound_rule"),
    "scaleway_instance_security_group": ("inbound_rule", "outbound_rule"),
    "scaleway_instance_security_group_rules": ("inbound_rule", "outbound_rule"),
}
_READ = {
    *_BLOCKS,
    "aws_security_group_rule",
    "aws_vpc_security_group_ingress_rule",
    "aws_vpc_security_group_egress_rule",
    "azurerm_network_security_rule",
    "openstack_networking_secgroup_v2",
    "openstack_networking_secgroup_rule_v2",
}


def looks(upload: Upload) -> bool:
    value = upload.value
    if not isinstance(value, dict):
        return False
    return (
        "terraform_version" in value
        or is_state(value)
        or any(isinstance(value.get(key), dict) and "root_module" in value[key] for key in ("values", "planned_values"))
    )


def read(upload: Upload) -> Reading:
    every = resources(upload.value)
    others = [one for one in every if _is_other(one.kind)]
    notes = [Note(one.address, one.kind, Taken.NOT_TAKEN, _OTHERS.get(one.kind, _OTHER)) for one in others]
    found = linked([_without_later(one, notes) for one in every if one.kind in _READ or one.kind in BEHIND], notes)
    result = reading(NAME, (group for kind in _READERS for group in kind(found)), notes)
    if not result.groups:
        raise _without_firewall(others)
    return result


def _without_firewall(others: Sequence[Resource]) -> BadDocument:
    """What is said of a file in which nothing is read."""
    kinds = ", ".join(dict.fromkeys(one.kind for one in others))
    return bad(
        "",
        "No firewall is in it that is read: aws_security_group, azurerm_network_security_group, google_compute_firewall, "
        "openstack_networking_secgroup_v2, hcloud_firewall, digitalocean_firewall or scaleway_instance_security_group."
        + (f" In it stand {shown(kinds)}." if kinds else ""),
    )


def _is_other(kind: str) -> bool:
    return kind in _OTHERS or bool(kind not in _READ and _OF_TRAFFIC.search(kind) and not _TIES.search(kind))


def _without_later(one: Resource, notes: list[Note]) -> Resource:
    """The resource without lists of rules that are known only after apply. Such a list may hold denials, which would have to
    come first: only AWS has none."""
    later = [key for key in _BLOCKS.get(one.kind, ()) if one.values.get(key) == UNKNOWN]
    for key in later:
        if not one.kind.startswith("aws_"):
            raise bad(f"{one.address}.{key}", LATER)
        notes.append(Note(f"{one.address}.{key}", UNKNOWN, Taken.NOT_TAKEN, LATER))
    return replace(one, values={key: value for key, value in one.values.items() if key not in later}) if later else one


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
    groups = of_kind(found, "azurerm_network_security_group")
    known = _AzureGroups(groups)
    loose: dict[str, list[tuple[str, Json]]] = {}
    for one in of_kind(found, "azurerm_network_security_rule"):
        loose.setdefault(known.key(one), []).append((one.address, _azure_rule(one.address, one.values)))
    for group in groups:
        rules = [
            (place, _azure_rule(place, one)) for place, one in objects(group.values, "security_rule", group.address)
        ]
        yield azure.group_of(_once(rules + loose.pop(group.address, [])), name_of(group), "")
    for name, rules in loose.items():
        absent = ("what stands before it in its group, which is not in the file",)
        yield azure.group_of(rules, name.rpartition("/")[2], "", beyond=absent)


class _AzureGroups:
    """The groups by name, and by name and resource group: two of those may each have one of the name."""

    def __init__(self, groups: Sequence[Resource]) -> None:
        self._named: dict[str, list[Resource]] = {}
        self._exact: dict[tuple[str, str], list[Resource]] = {}
        for one in groups:
            name, here = name_of(one).lower(), text(one.values, "resource_group_name", one.address).lower()
            self._named.setdefault(name, []).append(one)
            self._exact.setdefault((name, here), []).append(one)

    def key(self, rule: Resource) -> str:
        """The address of the rule's group, or where it stands when it is none of the file."""
        written = (
            text(rule.values, key, rule.address) for key in ("network_security_group_name", "resource_group_name")
        )
        name, here = (word.lower() for word in written)
        named, exact = self._named.get(name, []), self._exact.get((name, here), [])
        if len(exact) == 1:
            return exact[0].address
        unsure = here in ("", UNKNOWN) or (name, UNKNOWN) in self._exact
        if len(named) == 1 and unsure:
            return named[0].address
        if exact or (named and unsure):
            said = f"Several groups of the name “{shown(name)}” are in the file."
            raise bad(f"{rule.address}.network_security_group_name", said)
        return f"{here}/{name}"


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
    tagged = behind(found, ()).tagged
    rules = [
        pair
        for one in of_kind(found, "google_compute_firewall")
        for pair in _google_rules(one.address, _google_rule(one), tagged)
    ]
    yield from gcp.groups_of(rules)


def _google_rules(
    where: str, rule: Json, tagged: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterator[tuple[str, Json]]:
    """The rule, and one more for the machines of the file that have a tag which an accept comes from."""
    yield where, rule
    network = text(rule, "network", where)
    for tag in texts(rule, "sourceTags", where) if rule.get("allowed") else ():
        addresses = tagged.get((network, tag), ())
        said = f"{text(rule, 'description', where) or text(rule, 'name', where)}: VMs with the tag {tag}"
        if addresses:
            plain = {"sourceTags": None, "sourceServiceAccounts": None, "sourceRanges": list(addresses)}
            yield where, {**rule, **plain, "description": said}


def _google_rule(one: Resource) -> Json:
    values = {
        _GOOGLE.get(key, key): value
        for key, value in one.values.items()
        if key not in ("project", "timeouts", "params") and not _left_to_the_cloud(one, key)
    }
    project = text(one.values, "project", one.address)
    values["network"] = whole_network(text(one.values, "network", one.address), project)
    for ours, theirs in (("allow", "allowed"), ("deny", "denied")):
        values[theirs] = [
            {"IPProtocol": text(each, "protocol", place), "ports": list(texts(each, "ports", place))}
            | {key: value for key, value in each.items() if key not in ("protocol", "ports")}
            for place, each in objects(one.values, ours, one.address)
        ]
        values.pop(ours, None)
    return values


def _left_to_the_cloud(one: Resource, key: str) -> bool:
    """Whether the configuration says nothing of these addresses: Google fills in the side that a rule is not about."""
    return (
        key in ("source_ranges", "destination_ranges")
        and bool(one.names)
        and key not in one.names
        and UNKNOWN in texts(one.values, key, one.address)
    )


# DigitalOcean and Scaleway.


_DO_ENDS = {
    "addresses": "addresses",
    "droplet_ids": "droplet_ids",
    "load_balancer_uids": "load_balancer_uids",
    "kubernetes_ids": "kubernetes_ids",
    "tags": "tags",
}


def _digitalocean(found: Sequence[Resource]) -> Iterator[ReadGroup]:
    for one in of_kind(found, "digitalocean_firewall"):
        firewall: dict[str, Any] = {"name": name_of(one)}
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
    groups = of_kind(found, "scaleway_instance_security_group")
    loose = each_of(of_kind(found, "scaleway_instance_security_group_rules"), _scaleway_rules)
    for group, name, lines in with_loose(groups, loose):
        if group is None:
            yield scaleway.with_policies("", {"name": name, "stateful": True}, lines)
            continue
        own = gathered(_scaleway_rules(group))
        yield scaleway.with_policies(group.address, {**group.values, "name": name_of(group)}, own + lines)


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
    aws_groups,
    _azure,
    _google,
    openstack_groups,
    hetzner_groups,
    _digitalocean,
    _scaleway,
)
