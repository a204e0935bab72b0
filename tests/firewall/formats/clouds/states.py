"""The same rules in the words of Terraform's resources, as providers write them into a state."""

import random
from dataclasses import replace
from typing import Any

from tests.firewall.formats.clouds import orders, unions
from tests.firewall.formats.clouds.proof import Case, Seen


def state(rng: random.Random, *resources: dict[str, Any]) -> dict[str, Any]:
    """What terraform show -json says of them, or the state's own file."""
    if rng.random() < 0.3:
        return {
            "version": 4,
            "terraform_version": "1.9.0",
            "serial": 3,
            "lineage": "0f1e",
            "outputs": {},
            "resources": [
                {
                    "module": "module.net",
                    "mode": "managed",
                    "type": one["type"],
                    "name": f"r{place}",
                    "instances": [{"schema_version": 1, "attributes": one["values"]}],
                }
                for place, one in enumerate(resources)
            ],
        }
    full = [
        {
            "address": f"module.net.{one['type']}.r{place}",
            "mode": "managed",
            "name": f"r{place}",
            "schema_version": 1,
            **one,
        }
        for place, one in enumerate(resources)
    ]
    child = {"address": "module.net", "resources": full}
    return {
        "format_version": "1.0",
        "terraform_version": "1.9.0",
        "values": {"root_module": {"child_modules": [child]}},
    }


def resources(source: Any, kind: str) -> list[Any]:
    if "resources" in source:
        return [one["instances"][0]["attributes"] for one in source["resources"] if one["type"] == kind]
    found = source["values"]["root_module"]["child_modules"][0]["resources"]
    return [one["values"] for one in found if one["type"] == kind]


MACHINE = "203.0.113.255"


def as_member(source: Any, kind: str, seen: Seen) -> Seen:
    """The packet, of a member of all groups and tags where it is one of the file's machine."""
    return replace(seen, member=True) if resources(source, kind) and seen.remote == MACHINE else seen


# AWS: inline blocks, rules of their own, and the newer single ones.


def block(one: Any) -> dict[str, Any]:
    return {
        "protocol": one["IpProtocol"],
        "from_port": one.get("FromPort", 0),
        "to_port": one.get("ToPort", 0),
        "cidr_blocks": [each["CidrIp"] for each in one["IpRanges"]],
        "ipv6_cidr_blocks": [each["CidrIpv6"] for each in one["Ipv6Ranges"]],
        "prefix_list_ids": [each["PrefixListId"] for each in one["PrefixListIds"]],
        "security_groups": [each["GroupId"] for each in one["UserIdGroupPairs"]],
        "self": False,
        "description": "",
    }


def permission(values: Any) -> dict[str, Any]:
    return {
        "IpProtocol": values["protocol"],
        "FromPort": values["from_port"],
        "ToPort": values["to_port"],
        "IpRanges": [{"CidrIp": each} for each in values["cidr_blocks"]],
        "Ipv6Ranges": [{"CidrIpv6": each} for each in values["ipv6_cidr_blocks"]],
        "PrefixListIds": values["prefix_list_ids"],
        "UserIdGroupPairs": values["security_groups"],
    }


def aws(rng: random.Random) -> Any:
    group = unions.aws(rng)["SecurityGroups"][0]
    ways: dict[str, Any] = {"ingress": group["IpPermissions"], "egress": group["IpPermissionsEgress"]}
    inline = {side: [block(one) for one in rules if rng.random() < 0.5] for side, rules in ways.items()}
    loose: list[dict[str, Any]] = [
        {"type": "aws_security_group_rule", "values": {**block(one), "type": side, "security_group_id": "sg-1"}}
        for side, rules in ways.items()
        for one in rules
        if rng.random() < 0.5
    ]
    for one in loose:
        groups = one["values"].pop("security_groups")
        one["values"]["source_security_group_id"] = groups[0] if groups else None
    own = {"type": "aws_security_group", "values": {"id": "sg-1", "name": "web", "description": "", **inline}}
    return state(rng, own, *loose, *known(rng, "sg-1"))


def known(rng: random.Random, group: str) -> list[dict[str, Any]]:
    """A machine that is a member of the group, and the entries of a list, where the file has them."""
    found: list[dict[str, Any]] = []
    if rng.random() < 0.5:
        address = {"private_ip": MACHINE, "ipv6_addresses": ["2001:db8::1"]}
        found.append({"type": "aws_instance", "values": {**address, "vpc_security_group_ids": [group]}})
    if rng.random() < 0.5:
        entries = [{"cidr": "10.1.0.0/16"}, {"cidr": "2001:db8::/32"}]
        found.append({"type": "aws_ec2_managed_prefix_list", "values": {"id": "pl-1", "entry": entries}})
    return found


def aws_passes(source: Any, _: str, seen: Seen) -> bool:
    side = "ingress" if seen.direction == "in" else "egress"
    rules = list(resources(source, "aws_security_group")[0][side])
    for one in resources(source, "aws_security_group_rule"):
        if one["type"] == side:
            rules.append(
                {**one, "security_groups": [one["source_security_group_id"]] if one["source_security_group_id"] else []}
            )
    machines = resources(source, "aws_instance")
    members = {one for each in machines for one in (each["private_ip"], *each["ipv6_addresses"])}
    lists = resources(source, "aws_ec2_managed_prefix_list")
    entries = [each["cidr"] for one in lists for each in one["entry"]]
    for one in rules:
        plain = permission(one)
        if lists and one["prefix_list_ids"]:
            plain |= {"PrefixListIds": [], "IpRanges": [*plain["IpRanges"], *({"CidrIp": each} for each in entries)]}
        if unions.aws_allows(plain, seen):
            return True
        if one["security_groups"] and seen.remote in members and unions.aws_allows(plain, replace(seen, member=True)):
            return True
    return False


# Google Cloud and Azure.


def google(rng: random.Random) -> Any:
    names = {"sourceRanges": "source_ranges", "destinationRanges": "destination_ranges", "sourceTags": "source_tags"}
    names |= {"targetTags": "target_tags"}

    def resource(one: Any) -> dict[str, Any]:
        values = {names.get(key, key): value for key, value in one.items() if key not in ("allowed", "denied", "kind")}
        for ours, theirs in (("allow", "allowed"), ("deny", "denied")):
            values[ours] = [
                {"protocol": each["IPProtocol"], "ports": each.get("ports", [])} for each in one.get(theirs, ())
            ]
        return {"type": "google_compute_firewall", "values": {**values, "project": "p", "log_config": []}}

    rules = [resource(one) for one in orders.google(rng)]
    card = {"network": rules[0]["values"]["network"] if rules else "n", "network_ip": MACHINE}
    tags = [tag for one in rules for tag in one["values"].get("source_tags") or ()]
    machine = {"type": "google_compute_instance", "values": {"tags": tags, "network_interface": [card]}}
    return state(rng, *rules, *([machine] if rng.random() < 0.5 else []))


def google_passes(source: Any, group: str, seen: Seen) -> bool:
    names = {"source_ranges": "sourceRanges", "destination_ranges": "destinationRanges", "source_tags": "sourceTags"}
    names |= {"target_tags": "targetTags"}
    rules = []
    for values in resources(source, "google_compute_firewall"):
        one = {names.get(key, key): value for key, value in values.items() if key not in ("allow", "deny")}
        for ours, theirs in (("allow", "allowed"), ("deny", "denied")):
            if values[ours]:
                one[theirs] = [
                    {"IPProtocol": each["protocol"], "ports": each["ports"] or ["*"]} for each in values[ours]
                ]
        rules.append(one)
    # Who has the machine's address has its tags.
    return orders.google_passes(rules, group, as_member(source, "google_compute_instance", seen))


AZURE = {
    f"{side}{camel}": f"{side}_{snake}"
    for side in ("source", "destination")
    for camel, snake in (
        ("PortRange", "port_range"),
        ("PortRanges", "port_ranges"),
        ("AddressPrefix", "address_prefix"),
        ("AddressPrefixes", "address_prefixes"),
        ("ApplicationSecurityGroups", "application_security_group_ids"),
    )
}


def azure(rng: random.Random) -> Any:
    def values(one: Any) -> dict[str, Any]:
        plain = {AZURE.get(key, key): value for key, value in one.items()}
        for key in ("source_application_security_group_ids", "destination_application_security_group_ids"):
            plain[key] = [each["id"] for each in plain.get(key) or ()]
        return {**plain, "description": "", "source_port_ranges": []}

    rules = [values(one) for one in orders.azure(rng)["securityRules"]]
    inside = [one for one in rules if rng.random() < 0.5]
    group = {"name": "web", "location": "westeurope", "security_rule": inside}
    loose = [
        {"type": "azurerm_network_security_rule", "values": {**one, "network_security_group_name": "web", "id": "x"}}
        for one in rules
        if one not in inside
    ]
    return state(rng, {"type": "azurerm_network_security_group", "values": group}, *loose)


def azure_passes(source: Any, group: str, seen: Seen) -> bool:
    back = {snake: camel for camel, snake in AZURE.items()}
    rules = resources(source, "azurerm_network_security_group")[0]["security_rule"]
    rules = rules + resources(source, "azurerm_network_security_rule")
    return orders.azure_passes(
        {"securityRules": [{back.get(key, key): value for key, value in one.items()} for one in rules]}, group, seen
    )


# Those whose blocks are nearly what their API says.


def hetzner(rng: random.Random) -> Any:
    return state(rng, {"type": "hcloud_firewall", "values": {"name": "web", "rule": unions.hetzner(rng)["rules"]}})


def hetzner_passes(source: Any, group: str, seen: Seen) -> bool:
    return unions.hetzner_passes({"rules": resources(source, "hcloud_firewall")[0]["rule"]}, group, seen)


def digitalocean(rng: random.Random) -> Any:
    firewall = unions.digitalocean(rng)[0]

    def values(one: Any, side: str, prefix: str) -> dict[str, Any]:
        ends = {f"{prefix}_{key}": value for key, value in one[side].items()}
        rest = {"action": one["action"]} if "action" in one else {}
        return {
            "protocol": one["protocol"],
            "port_range": "" if one["protocol"] == "icmp" else one["ports"],
            **ends,
            **rest,
        }

    inbound = [values(one, "sources", "source") for one in firewall["inbound_rules"]]
    outbound = [values(one, "destinations", "destination") for one in firewall["outbound_rules"]]
    both = {"name": "web", "inbound_rule": inbound, "outbound_rule": outbound}
    return state(rng, {"type": "digitalocean_firewall", "values": both})


def digitalocean_passes(source: Any, group: str, seen: Seen) -> bool:
    one = resources(source, "digitalocean_firewall")[0]
    firewall = {}
    for key, side, prefix in (
        ("inbound_rule", "sources", "source_"),
        ("outbound_rule", "destinations", "destination_"),
    ):
        firewall[f"{key}s"] = [
            {"protocol": rule["protocol"], "ports": rule["port_range"] or "0"}
            | {side: {name.removeprefix(prefix): value for name, value in rule.items() if name.startswith(prefix)}}
            | ({"action": rule["action"]} if "action" in rule else {})
            for rule in one[key]
        ]
    return unions.digitalocean_passes([firewall], group, seen)


def openstack(rng: random.Random) -> Any:
    group = unions.openstack(rng)["security_group"]

    def values(one: Any) -> dict[str, Any]:
        # The provider keeps what is not set as an empty text or 0.
        empty = {
            "protocol": "",
            "port_range_min": 0,
            "port_range_max": 0,
            "remote_ip_prefix": "",
            "remote_group_id": "",
        }
        filled = {key: value for key, value in one.items() if value is not None}
        return {**empty, **filled, "security_group_id": "sg-1"}

    rules = [values(one) for one in group["security_group_rules"] if one["port_range_min"] != 0]
    own = {"id": "sg-1", "name": "web", "description": "", "stateful": True}
    port = {"all_security_group_ids": ["other"], "all_fixed_ips": [MACHINE]}
    ports = [{"type": "openstack_networking_port_v2", "values": port}] if rng.random() < 0.5 else []
    return state(
        rng,
        {"type": "openstack_networking_secgroup_v2", "values": own},
        *({"type": "openstack_networking_secgroup_rule_v2", "values": one} for one in rules),
        *ports,
    )


def openstack_passes(source: Any, _: str, seen: Seen) -> bool:
    for values in resources(source, "openstack_networking_secgroup_rule_v2"):
        one = {key: value or None for key, value in values.items()}
        if unions.openstack_allows(one, as_member(source, "openstack_networking_port_v2", seen)):
            return True
    return False


def scaleway(rng: random.Random) -> Any:
    source = orders.scaleway(rng)
    ways: dict[str, list[Any]] = {"inbound_rule": [], "outbound_rule": []}
    for one in sorted(source["rules"], key=lambda rule: rule["position"]):
        first, last = one["dest_port_from"], one["dest_port_to"]
        ports = {"port": first or 0, "port_range": ""} if last is None else {"port": 0, "port_range": f"{first}-{last}"}
        if first == 0 and last is None:
            continue
        rule = {"action": one["action"], "protocol": one["protocol"], "ip_range": one["ip_range"], "ip": "", **ports}
        ways[f"{one['direction']}_rule"].append(rule)
    return state(rng, {"type": "scaleway_instance_security_group", "values": {**source["security_group"], **ways}})


def scaleway_passes(source: Any, group: str, seen: Seen) -> bool:
    values = resources(source, "scaleway_instance_security_group")[0]
    rules = []
    for side in ("inbound", "outbound"):
        for position, one in enumerate(values[f"{side}_rule"]):
            first, _, last = one["port_range"].partition("-")
            start = int(first) if first else one["port"] or None
            ends = {"dest_port_from": start, "dest_port_to": int(last) if last else None}
            rules.append({**one, **ends, "direction": side, "position": position})
    return orders.scaleway_passes({"security_group": values, "rules": rules}, group, seen)


CASES = (
    Case("Terraform AWS", aws, aws_passes),
    Case("Terraform Google Cloud", google, google_passes),
    Case("Terraform Azure", azure, azure_passes),
    Case("Terraform Hetzner", hetzner, hetzner_passes),
    Case("Terraform DigitalOcean", digitalocean, digitalocean_passes),
    Case("Terraform OpenStack", openstack, openstack_passes),
    Case("Terraform Scaleway", scaleway, scaleway_passes),
)
