"""Clouds whose groups are unions of accepts, each by its own documents: AWS, OpenStack, Hetzner, DigitalOcean, CloudStack.

- AWS: docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html and API_IpPermission
- OpenStack: docs.openstack.org/api-ref/network/v2, security groups
- Hetzner: docs.hetzner.com/cloud/firewalls/faq
- DigitalOcean: docs.digitalocean.com/products/networking/firewalls
- CloudStack: docs.cloudstack.apache.org, security groups
"""

import random
from typing import Any

from tests.firewall.formats.clouds.proof import NETS, NETS4, NETS6, Case, Seen, a_range, inside, some, within

NUMBER = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "58": 58, "47": 47, "gre": 47, "esp": 50, "50": 50, "sctp": 132}


# AWS


def aws(rng: random.Random) -> Any:
    def permission() -> dict[str, Any]:
        word = rng.choice(("tcp", "tcp", "udp", "icmp", "icmpv6", "-1", "47", "50"))
        one: dict[str, Any] = {"IpProtocol": word}
        if word in ("tcp", "udp"):
            one["FromPort"], one["ToPort"] = rng.choice((a_range(rng), (0, 65535)))
        elif word.startswith("icmp"):
            one["FromPort"], one["ToPort"] = rng.choice(((-1, -1), (8, -1), (0, 0)))
        one["IpRanges"] = [{"CidrIp": net, "Description": "x"} for net in some(rng, NETS4)]
        one["Ipv6Ranges"] = [{"CidrIpv6": net} for net in some(rng, NETS6, most=1)]
        one["PrefixListIds"] = [{"PrefixListId": "pl-1"}] if rng.random() < 0.1 else []
        one["UserIdGroupPairs"] = [{"GroupId": "sg-1", "UserId": "1"}] if rng.random() < 0.1 else []
        return one

    return {
        "SecurityGroups": [
            {
                "GroupName": "web",
                "Description": "",
                "IpPermissions": [permission() for _ in range(rng.randint(0, 4))],
                "IpPermissionsEgress": [permission() for _ in range(rng.randint(0, 3))],
            }
        ]
    }


def aws_passes(source: Any, _: str, seen: Seen) -> bool:
    group = source["SecurityGroups"][0]
    return any(
        aws_allows(one, seen) for one in group["IpPermissions" if seen.direction == "in" else "IpPermissionsEgress"]
    )


def aws_allows(one: Any, seen: Seen) -> bool:
    word = one["IpProtocol"]
    if word != "-1" and NUMBER[word] != seen.protocol:
        return False
    if word in ("tcp", "udp") and not one["FromPort"] <= (seen.port or 0) <= one["ToPort"]:
        return False
    if word.startswith("icmp") and one["FromPort"] not in (-1, seen.kind):
        return False
    nets = [each["CidrIp"] for each in one["IpRanges"]] + [each["CidrIpv6"] for each in one["Ipv6Ranges"]]
    named = one["PrefixListIds"] or one["UserIdGroupPairs"]
    return within(seen.remote, nets) or bool(named and seen.member)


def aws_rules(rng: random.Random) -> Any:
    """The same groups as a list of single rules."""
    group = aws(rng)["SecurityGroups"][0]
    rules = []
    for key in ("IpPermissions", "IpPermissionsEgress"):
        for one in group[key]:
            base = {"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-9", "IsEgress": key.endswith("Egress"), "Tags": []}
            base |= {name: one[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in one}
            rules += [base | {"CidrIpv4": each["CidrIp"]} for each in one["IpRanges"]]
            rules += [base | {"CidrIpv6": each["CidrIpv6"]} for each in one["Ipv6Ranges"]]
            rules += [base | {"PrefixListId": each["PrefixListId"]} for each in one["PrefixListIds"]]
            rules += [base | {"ReferencedGroupInfo": {"GroupId": "sg-1"}} for _ in one["UserIdGroupPairs"]]
    return {"SecurityGroupRules": rules}


def aws_rules_pass(source: Any, _: str, seen: Seen) -> bool:
    for rule in source["SecurityGroupRules"]:
        one = rule | {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
        one["IpRanges"] = [{"CidrIp": rule["CidrIpv4"]}] if "CidrIpv4" in rule else []
        one["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"]}] if "CidrIpv6" in rule else []
        one["PrefixListIds"] = [1] if "PrefixListId" in rule or "ReferencedGroupInfo" in rule else []
        if rule["IsEgress"] == (seen.direction == "out") and aws_allows(one, seen):
            return True
    return False


# OpenStack


def openstack(rng: random.Random) -> Any:
    def rule() -> dict[str, Any]:
        family = rng.choice(("IPv4", "IPv4", "IPv6"))
        word = rng.choice((None, "tcp", "tcp", "udp", "icmp", "ipv6-icmp", "47", "sctp"))
        first: int | None = None
        last: int | None = None
        if word in ("tcp", "udp", "sctp") and rng.random() < 0.8:
            first, last = a_range(rng)
        elif word in ("icmp", "ipv6-icmp") and rng.random() < 0.3:
            first = 8
        return {
            "id": "r",
            "direction": rng.choice(("ingress", "egress")),
            "ethertype": family,
            "protocol": word,
            "port_range_min": first,
            "port_range_max": last,
            "remote_ip_prefix": rng.choice((None, rng.choice(NETS4 if family == "IPv4" else NETS6))),
            "remote_group_id": None,
            "description": "",
        }

    rules = [rule() for _ in range(rng.randint(0, 6))]
    for one in rules:
        if one["remote_ip_prefix"] is None and rng.random() < 0.2:
            one["remote_group_id"] = "other"
    return {
        "security_group": {
            "name": "web",
            "description": "",
            "stateful": rng.random() < 0.8,
            "security_group_rules": rules,
        }
    }


def openstack_passes(source: Any, _: str, seen: Seen) -> bool:
    rules = source["security_group"]["security_group_rules"]
    return any(openstack_allows(one, seen) for one in rules)


def openstack_allows(one: Any, seen: Seen) -> bool:
    if (
        one["direction"] != {"in": "ingress", "out": "egress"}[seen.direction]
        or one["ethertype"] != f"IPv{seen.version}"
    ):
        return False
    word = one["protocol"]
    if word is not None:
        number = 58 if word == "ipv6-icmp" or (word == "icmp" and seen.version == 6) else NUMBER[word]
        if number != seen.protocol:
            return False
    ports = word in ("tcp", "udp", "sctp") and one["port_range_min"] is not None
    if ports and not one["port_range_min"] <= (seen.port or 0) <= one["port_range_max"]:
        return False
    if word in ("icmp", "ipv6-icmp") and one["port_range_min"] not in (None, seen.kind):
        return False
    if one["remote_group_id"]:
        return seen.member
    return one["remote_ip_prefix"] is None or inside(seen.remote, one["remote_ip_prefix"])


def openstack_list(rng: random.Random) -> Any:
    """The same rules as openstack security group rule list -f json writes them."""
    rules = openstack(rng)["security_group"]["security_group_rules"] or openstack_list(rng)
    return [openstack_row(one) if "id" in one else one for one in rules]


def openstack_row(one: Any) -> Any:
    first, last = one["port_range_min"], one["port_range_max"]
    ports = "" if first is None else f"type={first}" if last is None else f"{first}:{last}"
    family = "0.0.0.0/0" if one["ethertype"] == "IPv4" else "::/0"
    return {
        "ID": "r",
        "IP Protocol": one["protocol"],
        "Ethertype": one["ethertype"],
        "IP Range": one["remote_ip_prefix"] or family,
        "Port Range": ports,
        "Direction": one["direction"],
        "Remote Security Group": one["remote_group_id"],
        "Remote Address Group": None,
    }


def openstack_list_passes(source: Any, _: str, seen: Seen) -> bool:
    for row in source:
        first, _colon, last = row["Port Range"].removeprefix("type=").partition(":")
        one = {
            "direction": row["Direction"],
            "ethertype": row["Ethertype"],
            "protocol": row["IP Protocol"],
            "port_range_min": int(first) if first else None,
            "port_range_max": int(last) if last else None,
            "remote_ip_prefix": row["IP Range"],
            "remote_group_id": None,
        }
        if openstack_allows(one, seen) and (not row["Remote Security Group"] or seen.member):
            return True
    return False


# Hetzner


def hetzner(rng: random.Random) -> Any:
    def rule() -> dict[str, Any]:
        direction, word = rng.choice(("in", "in", "out")), rng.choice(("tcp", "tcp", "udp", "icmp", "gre", "esp"))
        first, last = a_range(rng)
        ports = rng.choice(("any", f"{first}-{last}", str(first)))
        nets = some(rng, NETS, 1)
        return {
            "direction": direction,
            "protocol": word,
            "port": ports if word in ("tcp", "udp") else None,
            "source_ips": nets if direction == "in" else [],
            "destination_ips": nets if direction == "out" else [],
            "description": None,
        }

    return {"id": 1, "name": "web", "applied_to": [], "rules": [rule() for _ in range(rng.randint(0, 5))]}


def hetzner_passes(source: Any, _: str, seen: Seen) -> bool:
    rules = [one for one in source["rules"] if one["direction"] == seen.direction]
    if seen.direction == "out" and not rules:
        return True
    for one in rules:
        number = 58 if one["protocol"] == "icmp" and seen.version == 6 else NUMBER[one["protocol"]]
        nets = one["source_ips"] if seen.direction == "in" else one["destination_ips"]
        if number == seen.protocol and within(seen.remote, nets) and in_ports(one["port"] or "any", seen):
            return True
    return False


def in_ports(word: str, seen: Seen) -> bool:
    if word in ("any", "all"):
        return True
    first, _, last = word.partition("-")
    return int(first) <= (-1 if seen.port is None else seen.port) <= int(last or first)


# DigitalOcean


def digitalocean(rng: random.Random) -> Any:
    def rule(side: str) -> dict[str, Any]:
        word = rng.choice(("tcp", "tcp", "udp", "icmp"))
        first, last = sorted(rng.sample(range(1, 600), 2)) if rng.random() < 0.3 else (22, 80)
        ends: dict[str, Any] = {"addresses": some(rng, NETS, 1)}
        if rng.random() < 0.2:
            ends = {"tags": ["web"], "droplet_ids": [7]} | (ends if rng.random() < 0.5 else {})
        one = {
            "protocol": word,
            "ports": "0" if word == "icmp" else rng.choice(("0", "all", str(first), f"{first}-{last}")),
        }
        return one | {side: ends} | ({"action": rng.choice(("allow", "deny"))} if rng.random() < 0.2 else {})

    return [
        {
            "id": "1",
            "name": "web",
            "status": "succeeded",
            "inbound_rules": [rule("sources") for _ in range(rng.randint(0, 4))],
            "outbound_rules": [rule("destinations") for _ in range(rng.randint(0, 3))],
            "droplet_ids": [],
            "tags": [],
        }
    ]


def digitalocean_passes(source: Any, _: str, seen: Seen) -> bool:
    side = "sources" if seen.direction == "in" else "destinations"
    rules = source[0]["inbound_rules" if seen.direction == "in" else "outbound_rules"]

    def matches(one: Any) -> bool:
        number = 58 if one["protocol"] == "icmp" and seen.version == 6 else NUMBER[one["protocol"]]
        ends = one[side]
        who = within(seen.remote, ends.get("addresses", ())) or ("tags" in ends and seen.member)
        return number == seen.protocol and who and (one["ports"] == "0" or in_ports(one["ports"], seen))

    # Which of the two is asked first is not said: a packet passes for sure only where no denial is about it.
    if any(one.get("action") == "deny" and matches(one) for one in rules):
        return False
    return any(one.get("action") != "deny" and matches(one) for one in rules)


# CloudStack


def cloudstack(rng: random.Random) -> Any:
    def rule() -> dict[str, Any]:
        word = rng.choice(("tcp", "tcp", "udp", "icmp", "all", "47"))
        one: dict[str, Any] = {"ruleid": "r", "protocol": word, "tags": []}
        if word in ("tcp", "udp"):
            one["startport"], one["endport"] = a_range(rng)
        if word == "icmp":
            one["icmptype"], one["icmpcode"] = rng.choice(((-1, -1), (8, 0)))
        if rng.random() < 0.2:
            return one | {"securitygroupname": "db", "account": "a"}
        return one | {"cidr": rng.choice(NETS)}

    return {
        "count": 1,
        "securitygroup": [
            {
                "name": "web",
                "description": "",
                "ingressrule": [rule() for _ in range(rng.randint(0, 4))],
                "egressrule": [rule() for _ in range(rng.randint(0, 2))],
            }
        ],
    }


def cloudstack_passes(source: Any, _: str, seen: Seen) -> bool:
    group = source["securitygroup"][0]
    rules = group["ingressrule" if seen.direction == "in" else "egressrule"]
    if seen.direction == "out" and not rules:
        return True
    return any(cloudstack_matches(one, seen) for one in rules)


def cloudstack_matches(one: Any, seen: Seen) -> bool:
    word = one["protocol"]
    if word != "all" and NUMBER[word] != seen.protocol:
        return False
    if word in ("tcp", "udp") and not one["startport"] <= (seen.port or 0) <= one["endport"]:
        return False
    if word == "icmp" and one.get("icmptype", -1) not in (-1, seen.kind):
        return False
    return seen.member if "securitygroupname" in one else inside(seen.remote, one["cidr"])


CASES = (
    Case("AWS groups", aws, aws_passes),
    Case("AWS rules", aws_rules, aws_rules_pass),
    Case("OpenStack API", openstack, openstack_passes),
    Case("OpenStack list", openstack_list, openstack_list_passes),
    Case("Hetzner", hetzner, hetzner_passes),
    Case("DigitalOcean", digitalocean, digitalocean_passes),
    Case("CloudStack groups", cloudstack, cloudstack_passes),
)
