"""What a rule matches, as nft reads it."""

from dataclasses import replace

from securitygroups.firewall.nftables.taps import TRANSPORT
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS
from securitygroups.firewall.values import BITS, Rule

FAMILY_KEY = {Target.BRIDGE: "protocol", Target.BRIDGE_MARK: "protocol", Target.INET: "nfproto"}
"""What nft asks for to tell IPv4 from IPv6: `meta protocol`, or `meta nfproto`."""


def family(version: int, target: Target) -> str:
    """The family as a value of that key."""
    names = {4: "ipv4", 6: "ipv6"} if target is Target.INET else {4: "ip", 6: "ip6"}
    return names[version]


def conditions(rule: Rule, target: Target) -> list[str]:
    """What the rule matches, apart from its direction, as nft reads it, in one line or in two of which a packet matches one
    at most; "" matches every frame.

    None looks anything up in a set: see `firewall/platform.py`.
    """
    protocol = PROTOCOLS[rule.protocol]
    network = rule.source or rule.destination
    ends = " ".join(
        f"{'ip' if one.version == 4 else 'ip6'} {field} {one}"
        for one, field in ((rule.source, "saddr"), (rule.destination, "daddr"))
        if one is not None
    )
    if protocol.numbers is None:
        if not protocol.only_ip or ends:
            return [ends]
        return [f"meta {FAMILY_KEY[target]} {family(version, target)}" for version in BITS]
    if len({*protocol.numbers.values()}) == 1:
        number = protocol.numbers[4]
        return [f"{ends} {_ports(rule, number) or f'meta l4proto {number}'}".lstrip()]
    if network is not None:
        return [f"{ends} meta l4proto {protocol.numbers[network.version]}"]
    # Each number belongs to one family: ICMP over IPv6 is nothing that the rule covers.
    return [
        f"meta {FAMILY_KEY[target]} {family(version, target)} meta l4proto {number}"
        for version, number in protocol.numbers.items()
    ]


def answering(rule: Rule, target: Target) -> list[str]:
    """The same of the first packet that answers what the rule matches: its ends are the other way round."""
    turned = conditions(replace(rule, source=rule.destination, destination=rule.source), target)
    return [line.replace(" dport ", " sport ") for line in turned]


def _ports(rule: Rule, number: int) -> str:
    start, end = rule.port_start, rule.port_end
    if start is None or (start, end) == (0, MAX_PORT):
        return ""
    return f"{TRANSPORT[number]} dport {start}" + (f"-{end}" if end != start else "")
