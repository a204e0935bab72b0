"""Clouds whose rules have a turn and denials, each by its own documents: Azure, Google, Scaleway, CloudStack's ACLs, OPNsense.

- Azure: learn.microsoft.com/azure/virtual-network/network-security-groups-overview
- Google: cloud.google.com/firewall/docs/firewalls
- Scaleway: www.scaleway.com/en/developers/api/instance, security groups
- CloudStack: docs.cloudstack.apache.org, network ACLs
- OPNsense: docs.opnsense.org/manual/firewall.html, processing order
"""

import csv
import io
import random
from collections.abc import Iterable
from typing import Any

from tests.firewall.formats.clouds.proof import NETS, NETS4, NETS6, Case, Seen, a_range, inside, some, within
from tests.firewall.formats.clouds.unions import cloudstack_matches

WORDS = {6: "tcp", 17: "udp", 1: "icmp", 50: "esp", 132: "sctp"}


def any_range(ranges: Iterable[str], seen: Seen) -> bool:
    """Whether the packet's destination port is in one of "22", "80-90"; "*" is for packets without ports too."""
    for each in ranges:
        if each in ("*", ""):
            return True
        first, _, last = each.partition("-")
        if seen.port is not None and int(first) <= seen.port <= int(last or first):
            return True
    return False


def ranges(rng: random.Random) -> list[str]:
    return [f"{a}-{b}" if a != b else str(a) for a, b in (a_range(rng) for _ in range(rng.randint(1, 2)))]


# Azure


def azure(rng: random.Random) -> Any:
    def end(side: str) -> dict[str, Any]:
        word = rng.choice(("*", "*", "net", "nets", "tag", "asg"))
        one: dict[str, Any] = {f"{side}AddressPrefix": None, f"{side}AddressPrefixes": []}
        if word == "nets":
            one[f"{side}AddressPrefixes"] = some(rng, NETS, 1)
        elif word == "asg":
            one[f"{side}ApplicationSecurityGroups"] = [{"id": "/subscriptions/x/applicationSecurityGroups/web"}]
        else:
            one[f"{side}AddressPrefix"] = {"*": "*", "net": rng.choice(NETS), "tag": "VirtualNetwork"}[word]
        return one

    def rule(priority: int) -> dict[str, Any]:
        direction = rng.choice(("Inbound", "Outbound"))
        local = "destination" if direction == "Inbound" else "source"
        ports = ["*"] if rng.random() < 0.4 else ranges(rng)
        one = {
            "name": f"r{priority}",
            "priority": priority,
            "direction": direction,
            "access": rng.choice(("Allow", "Allow", "Deny")),
            "protocol": rng.choice(("*", "Tcp", "Tcp", "Udp", "Icmp", "Esp")),
            "sourcePortRange": "*" if rng.random() < 0.95 else "53",
            "destinationPortRange": ports[0] if len(ports) == 1 else None,
            "destinationPortRanges": ports if len(ports) > 1 else [],
        }
        one |= end("source") | end("destination")
        if rng.random() < 0.7:
            one |= {
                f"{local}AddressPrefix": "*",
                f"{local}AddressPrefixes": [],
                f"{local}ApplicationSecurityGroups": None,
            }
        return one

    rules = [rule(priority) for priority in rng.sample(range(100, 120), rng.randint(0, 6))]
    return {"name": "web", "securityRules": rules}


def azure_passes(source: Any, _: str, seen: Seen) -> bool:
    side = "Inbound" if seen.direction == "in" else "Outbound"
    for one in sorted(source["securityRules"], key=lambda rule: rule["priority"]):
        if one["direction"] == side and azure_matches(one, seen):
            return bool(one["access"] == "Allow")
    # 65000 to 65500: what the tags stand for is not known to the test, so that nothing is taken for granted.
    return False


def azure_matches(one: Any, seen: Seen) -> bool:
    word = one["protocol"].lower()
    if word not in ("*", {(1, 6): "", (58, 4): ""}.get((seen.protocol, seen.version), WORDS.get(seen.protocol, ""))):
        return False
    ports = [*filter(None, [one["destinationPortRange"]]), *one["destinationPortRanges"]]
    if ports != ["*"] and (seen.protocol not in (6, 17) or not any_range(ports, seen)):
        return False
    if one["sourcePortRange"] != "*" and not seen.member:
        return False
    return azure_end(one, "source", seen.source, seen) and azure_end(one, "destination", seen.destination, seen)


def azure_end(one: Any, side: str, address: str, seen: Seen) -> bool:
    prefixes = [*filter(None, [one[f"{side}AddressPrefix"]]), *one[f"{side}AddressPrefixes"]]
    for each in prefixes:
        if each == "*" or (each == "VirtualNetwork" and seen.member) or ("/" in each and inside(address, each)):
            return True
    return bool(one.get(f"{side}ApplicationSecurityGroups")) and seen.member


# Google Cloud


def google(rng: random.Random) -> Any:
    def rule(place: int) -> dict[str, Any]:
        ingress = rng.random() < 0.6
        one: dict[str, Any] = {
            "kind": "compute#firewall",
            "name": f"r{place}",
            "network": "https://www.googleapis.com/compute/v1/projects/p/global/networks/default",
            "direction": "INGRESS" if ingress else "EGRESS",
            "priority": rng.choice((100, 200, 1000, 65534)),
            "disabled": rng.random() < 0.1,
        }
        protocols = []
        for word in some(rng, ("tcp", "udp", "icmp", "all", "esp", "58", "sctp"), 1, 2):
            protocols.append(
                {"IPProtocol": word} | ({"ports": ranges(rng)} if word in ("tcp", "udp") and rng.random() < 0.7 else {})
            )
        one[rng.choice(("allowed", "allowed", "denied"))] = protocols
        if rng.random() < 0.8:
            one["sourceRanges" if ingress else "destinationRanges"] = some(rng, rng.choice((NETS4, NETS6)), 1)
        if ingress and rng.random() < 0.2:
            one["sourceTags"] = ["bastion"]
        if rng.random() < 0.3:
            one["targetTags"] = some(rng, ("web", "db"), 1)
        return one

    return [rule(place) for place in range(rng.randint(1, 6))]


def google_passes(source: Any, group: str, seen: Seen) -> bool:
    """A VM with the tag that the group is named after, or with none."""
    side = "INGRESS" if seen.direction == "in" else "EGRESS"
    hits = [one for one in source if one["direction"] == side and google_matches(one, group, seen)]
    if not hits:
        return side == "EGRESS" and seen.version == 4
    best = min(one["priority"] for one in hits)
    return all("allowed" in one for one in hits if one["priority"] == best)


def google_matches(one: Any, group: str, seen: Seen) -> bool:
    if one["disabled"] or ("targetTags" in one and group not in one["targetTags"]):
        return False
    if seen.direction == "in":
        nets = one.get("sourceRanges", [] if "sourceTags" in one else ["0.0.0.0/0"])
        if not within(seen.source, nets) and not ("sourceTags" in one and seen.member):
            return False
    elif not within(seen.destination, one.get("destinationRanges", ["0.0.0.0/0"])):
        return False
    number = {"tcp": 6, "udp": 17, "icmp": 1, "esp": 50, "58": 58, "sctp": 132}
    return any(
        each["IPProtocol"] == "all"
        or (number[each["IPProtocol"]] == seen.protocol and any_range(each.get("ports", ["*"]), seen))
        for each in one.get("allowed", one.get("denied"))
    )


# Scaleway


def scaleway(rng: random.Random) -> Any:
    def rule(position: int) -> dict[str, Any]:
        word = rng.choice(("TCP", "TCP", "UDP", "ICMP", "ANY"))
        first, last = a_range(rng)
        ports = word in ("TCP", "UDP") and rng.random() < 0.8
        return {
            "id": "r",
            "protocol": word,
            "direction": rng.choice(("inbound", "outbound")),
            "action": rng.choice(("accept", "accept", "drop")),
            "ip_range": rng.choice(NETS),
            "dest_port_from": first if ports else None,
            "dest_port_to": (None if first == last else last) if ports else None,
            "position": position,
            "editable": True,
        }

    rules = [rule(position) for position in rng.sample(range(1, 20), rng.randint(0, 6))]
    group = {
        "id": "g",
        "name": "web",
        "description": "",
        "stateful": rng.random() < 0.8,
        "inbound_default_policy": rng.choice(("accept", "drop")),
        "outbound_default_policy": rng.choice(("accept", "drop")),
        "enable_default_security": rng.random() < 0.5,
    }
    return {"security_group": group, "rules": rules}


def scaleway_passes(source: Any, _: str, seen: Seen) -> bool:
    side = {"in": "inbound", "out": "outbound"}[seen.direction]
    for one in sorted(source["rules"], key=lambda rule: rule["position"]):
        if one["direction"] == side and scaleway_matches(one, seen):
            return bool(one["action"] == "accept")
    group = source["security_group"]
    if side == "outbound" and group["enable_default_security"] and seen.protocol == 6 and seen.port in (25, 465, 587):
        return False
    return bool(group[f"{side}_default_policy"] == "accept")


def scaleway_matches(one: Any, seen: Seen) -> bool:
    number = {"TCP": 6, "UDP": 17, "ICMP": 58 if seen.version == 6 else 1, "ANY": seen.protocol}[one["protocol"]]
    nets = [one["ip_range"]]
    if one["action"] == "drop" and nets == ["0.0.0.0/0"]:
        nets.append("::/0")
    if number != seen.protocol or not within(seen.remote, nets):
        return False
    first, last = one["dest_port_from"], one["dest_port_to"]
    return first is None or first <= (-1 if seen.port is None else seen.port) <= (first if last is None else last)


# CloudStack


def acl(rng: random.Random) -> Any:
    def rule(number: int) -> dict[str, Any]:
        word = rng.choice(("tcp", "tcp", "udp", "icmp", "all", "47"))
        one: dict[str, Any] = {"id": "r", "number": number, "protocol": word, "aclname": "web", "state": "Active"}
        if word in ("tcp", "udp"):
            one["startport"], one["endport"] = (str(port) for port in a_range(rng))
        if word == "icmp":
            one["icmptype"], one["icmpcode"] = rng.choice(((-1, -1), (8, 0)))
        one["action"] = rng.choice(("Allow", "Allow", "Deny"))
        one["traffictype"] = rng.choice(("Ingress", "Egress"))
        return one | {"cidrlist": ",".join(some(rng, NETS4, 1))}

    rules = [rule(number) for number in rng.sample(range(1, 30), rng.randint(1, 6))]
    return {"count": len(rules), "networkacl": rules}


def acl_passes(source: Any, _: str, seen: Seen) -> bool:
    side = {"in": "Ingress", "out": "Egress"}[seen.direction]
    for one in sorted(source["networkacl"], key=lambda rule: rule["number"]):
        ports = {name: int(one[name]) for name in ("startport", "endport") if name in one}
        plain = {**one, **ports, "cidr": "0.0.0.0/0" if seen.version == 4 else "::/0"}
        if (
            one["traffictype"] == side
            and within(seen.remote, one["cidrlist"].split(","))
            and cloudstack_matches(plain, seen)
        ):
            return bool(one["action"] == "Allow")
    return False


def egress(rng: random.Random) -> Any:
    def rule() -> dict[str, Any]:
        word = rng.choice(("tcp", "udp", "all"))
        one: dict[str, Any] = {"id": "r", "protocol": word, "traffictype": "Egress", "state": "Active"}
        if word != "all":
            one["startport"], one["endport"] = a_range(rng)
        one["cidrlist"] = rng.choice(("", "10.1.0.0/16"))
        return one | {"destcidrlist": ",".join(some(rng, NETS4, 0))}

    return {"count": 1, "firewallrule": [rule() for _ in range(rng.randint(1, 5))]}


def egress_passes(source: Any, _: str, seen: Seen) -> bool:
    for one in source["firewallrule"]:
        plain = {**one, "cidr": "0.0.0.0/0" if seen.version == 4 else "::/0"}
        from_there = within(seen.source, one["cidrlist"].split(",") if one["cidrlist"] else NETS4[:1] + NETS6[:1])
        to_there = within(seen.destination, (one["destcidrlist"] or "0.0.0.0/0").split(","))
        if seen.direction == "out" and from_there and to_there and cloudstack_matches(plain, seen):
            return True
    return False


# OPNsense

COLUMNS = [
    "@uuid",
    "enabled",
    "statetype",
    "state-policy",
    "sequence",
    "action",
    "quick",
    "interfacenot",
    "interface",
    "direction",
    "ipprotocol",
    "protocol",
    "icmptype",
    "icmp6type",
    "source_net",
    "source_not",
    "source_port",
    "destination_net",
    "destination_not",
    "destination_port",
    "gateway",
    "log",
    "sched",
    "tagged",
    "categories",
    "description",
]


def opnsense(rng: random.Random) -> str:
    def rule(place: int) -> dict[str, str]:
        family = rng.choice(("inet", "inet", "inet6", "inet46"))
        nets = {"inet": NETS4, "inet6": NETS6, "inet46": NETS}[family]
        word = rng.choice(("any", "any", "TCP", "TCP", "TCP", "UDP", "TCP/UDP", "ICMP", "ESP"))
        ports = word in ("TCP", "UDP", "TCP/UDP") and rng.random() < 0.7
        return {
            "@uuid": str(place),
            "enabled": "1" if rng.random() < 0.9 else "0",
            "statetype": "keep",
            "sequence": str(rng.randint(1, 9) * 100 + place),
            "action": rng.choice(("pass", "pass", "block", "reject")),
            "quick": "1" if rng.random() < 0.5 else "0",
            "interfacenot": "1" if rng.random() < 0.05 else "0",
            "interface": rng.choice((*["wan"] * 8, "", "lan", "wan,lan", "servers")),
            "direction": rng.choice(("in", "in", "out", "any")),
            "ipprotocol": family,
            "protocol": word,
            "source_net": rng.choice(("any", "any", *[",".join(some(rng, nets, 1))] * 3, "office_alias")),
            "source_not": "1" if rng.random() < 0.05 else "0",
            "destination_net": rng.choice((*["any"] * 8, rng.choice(nets), "lan")),
            "destination_not": "0",
            "destination_port": rng.choice((rng.choice(ranges(rng)), "https")) if ports else "",
            "sched": "nights" if rng.random() < 0.05 else "",
            "description": "x",
        }

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", delimiter=rng.choice(",;"))
    writer.writeheader()
    writer.writerows(rule(place) for place in range(rng.randint(1, 7)))
    return text.getvalue()


def opnsense_passes(source: str, _: str, seen: Seen) -> bool:
    """pf, word for word: the last that matches decides, unless a quick one matched before."""
    rows = list(csv.DictReader(io.StringIO(source), delimiter=";" if ";" in source.partition("\n")[0] else ","))

    def turn(row: dict[str, str]) -> tuple[int, int]:
        single = row["interface"] and "," not in row["interface"]
        return (0 if not single else 1 if row["interface"] == "servers" else 2), int(row["sequence"])

    verdict = False
    for row in sorted(rows, key=turn):
        if pf_matches(row, seen):
            verdict = row["action"] == "pass"
            if row["quick"] == "1":
                return verdict
    return verdict


def pf_matches(row: dict[str, str], seen: Seen) -> bool:
    # Whether “servers” is a group with wan in it, who is in an alias, and whether it is night: the packet's own luck.
    names = row["interface"].split(",") if row["interface"] else []
    here = not names or "wan" in names or ("servers" in names and seen.member)
    if names and row["interfacenot"] == "1":
        here = not here
    if row["enabled"] != "1" or not here or (row["sched"] and not seen.member):
        return False
    if (
        row["direction"] not in ("any", seen.direction)
        or str(seen.version) not in {"inet": "4", "inet6": "6", "inet46": "46"}[row["ipprotocol"]]
    ):
        return False
    word = row["protocol"]
    numbers = {"TCP": [6], "UDP": [17], "TCP/UDP": [6, 17], "ESP": [50], "ICMP": [58 if seen.version == 6 else 1]}
    if word != "any" and seen.protocol not in numbers[word]:
        return False
    ports = row["destination_port"].replace("https", "443")
    if ports and not any_range([ports], seen):
        return False
    return all(
        pf_end(row[f"{side}_net"], address, seen) != (row[f"{side}_not"] == "1")
        for side, address in (("source", seen.source), ("destination", seen.destination))
    )


def pf_end(net: str, address: str, seen: Seen) -> bool:
    if net == "any":
        return True
    return seen.member if net in ("office_alias", "lan") else within(address, net.split(","))


CASES = (
    Case("Azure", azure, azure_passes),
    Case("Google Cloud", google, google_passes),
    Case("Scaleway", scaleway, scaleway_passes),
    Case("CloudStack ACLs", acl, acl_passes),
    Case("CloudStack egress", egress, egress_passes),
    Case("OPNsense", opnsense, opnsense_passes),
)
