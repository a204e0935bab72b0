"""Who stands behind a name in Terraform's files: entries of lists of addresses, and machines that are members of groups.

A list is whole. A group may have members besides those of the file, so that theirs are never all addresses that are meant.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import TypeVar

from securitygroups.firewall.formats.clouds import UNKNOWN, Json, objects, some, text, texts
from securitygroups.firewall.formats.terraform_groups import name_of, of_kind
from securitygroups.firewall.formats.terraform_resources import Resource

Key = TypeVar("Key", str, tuple[str, str])
Addresses = Mapping[str, tuple[str, ...]]
# Machines and their ports: the keys of their groups, and those of their addresses.
_MACHINES = {
    "aws_instance": (("vpc_security_group_ids",), ("private_ip", "secondary_private_ips", "ipv6_addresses")),
    "aws_network_interface": (("security_groups",), ("private_ips", "ipv6_addresses")),
    "openstack_networking_port_v2": (("all_security_group_ids", "security_group_ids"), ("all_fixed_ips",)),
}
_LISTS = ("aws_ec2_managed_prefix_list", "aws_ec2_managed_prefix_list_entry", "openstack_networking_address_group_v2")
BEHIND = {*_MACHINES, *_LISTS, "google_compute_instance", "google_compute_network"}
"""Kinds of resources that are no rules, and say who is meant in one."""


@dataclass(frozen=True, slots=True)
class Behind:
    """Networks by the id of a list, addresses by the id of a group and by network and tag, and names of groups by id."""

    lists: Addresses = field(default_factory=dict)
    members: Addresses = field(default_factory=dict)
    tagged: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def others(self, group: str, *, itself: bool = False) -> str:
        """The group's name, where it is another one, and which of its members are taken."""
        known = self.members.get(group, ())
        besides = f"besides {some(known)}" if known else ""
        return besides if itself else f"{self.names.get(group, '')} {besides}".strip()


def behind(found: Sequence[Resource], groups: Iterable[Resource]) -> Behind:
    """What the file knows of its lists and machines."""
    names = {text(one.values, "id", one.address): name_of(one) for one in groups}
    return Behind(_joined(_entries(found)), _joined(_members(found)), _joined(_tagged(found)), names)


def _joined(pairs: Iterable[tuple[Key, str]]) -> dict[Key, tuple[str, ...]]:
    """The addresses by key. Of a list with one that is known later, and of a group that is, there is nothing to say."""
    joined: dict[Key, dict[str, None]] = {}
    for key, address in pairs:
        if UNKNOWN not in key and key:
            joined.setdefault(key, {})[address] = None
    return {key: tuple(addresses) for key, addresses in joined.items() if UNKNOWN not in addresses}


def _entries(found: Sequence[Resource]) -> Iterator[tuple[str, str]]:
    for one in of_kind(found, *_LISTS):
        if one.kind == "aws_ec2_managed_prefix_list_entry":
            yield text(one.values, "prefix_list_id", one.address), text(one.values, "cidr", one.address) or UNKNOWN
            continue
        key = text(one.values, "id", one.address)
        if one.values.get("entry") == UNKNOWN:
            yield key, UNKNOWN
        else:
            for where, entry in objects(one.values, "entry", one.address):
                yield key, text(entry, "cidr", where) or UNKNOWN
            for address in texts(one.values, "addresses", one.address):
                yield key, address


def _members(found: Sequence[Resource]) -> Iterator[tuple[str, str]]:
    for one in of_kind(found, *_MACHINES):
        groups, addresses = (
            [each for key in keys for each in texts(one.values, key, one.address)] for keys in _MACHINES[one.kind]
        )
        yield from ((group, address) for group in groups for address in addresses if _is_address(address))


def _tagged(found: Sequence[Resource]) -> Iterator[tuple[tuple[str, str], str]]:
    """Of Google's machines, by the network and the tag: the first address of each card."""
    for one in of_kind(found, "google_compute_instance"):
        project = text(one.values, "project", one.address)
        for where, card in objects(one.values, "network_interface", one.address):
            network = whole_network(text(card, "network", where), text(card, "network_project", where) or project)
            address = text(card, "network_ip", where)
            for tag in texts(one.values, "tags", one.address):
                if _is_address(address):
                    yield (network, tag), address


def whole_network(network: str, project: str) -> str:
    """The network with its project, for two projects may each have one of the name."""
    _, mark, rest = network.partition("projects/")
    if mark or not project or UNKNOWN in (network, project):
        return mark + rest or network
    return f"projects/{project}/global/networks/{network}"


def _is_address(word: str) -> bool:
    """Whether it is one address, and not one that is known later."""
    try:
        return ip_interface(word).network.num_addresses == 1
    except ValueError:
        return False


def by_family(addresses: Iterable[str]) -> Json:
    """The ranges of a permission of AWS."""
    found: dict[str, list[Json]] = {"IpRanges": [], "Ipv6Ranges": []}
    for one in addresses:
        found["Ipv6Ranges" if ":" in one else "IpRanges"].append({"CidrIpv6" if ":" in one else "CidrIp": one})
    return found
