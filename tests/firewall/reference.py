"""First match, word for word, and deliberately naive: what the evaluator is held against.

It reads rules and packets as files spell them, and shares no code with the product; imports the standard library only.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Json = Mapping[str, Any]

network = cache(ip_network)
address = cache(ip_address)


def ip_protocol(packet: Json) -> int | None:
    """The packet's IP protocol number, None for a frame that is not IP."""
    name = packet["protocol"]
    if name == "non-ip":
        return None
    if name == "icmp":
        return 1 if ":" not in packet["source"] else 58
    if name == "tcp":
        return 6
    if name == "udp":
        return 17
    if name == "sctp":
        return 132
    assert isinstance(name, int)
    return name


def covers(rule: Json, packet: Json) -> bool:
    """Whether the rule's protocol covers the packet."""
    number = ip_protocol(packet)
    if rule["protocol"] == "all":
        return True
    if rule["protocol"] == "ip":
        return number is not None
    if rule["protocol"] == "icmp":
        return number is not None and number == (58 if ":" in packet["source"] else 1)
    return number == {"tcp": 6, "udp": 17, "sctp": 132}[rule["protocol"]]


def inside(text: str | None, where: str | None) -> bool:
    """Whether the packet's address `text` is in the network `where`; one that is not set holds everything."""
    if where is None:
        return True
    if text is None:
        return False
    one: IPv4Address | IPv6Address = address(text)
    many: IPv4Network | IPv6Network = network(where)
    if one.version != many.version:
        return False
    return one in many


def port_fits(rule: Json, packet: Json) -> bool:
    """Whether the packet's port is in the rule's range; a range that is not set holds everything."""
    if rule.get("port_start") is None:
        return True
    if packet.get("port") is None:
        return False
    return packet["port"] in range(rule["port_start"], rule["port_end"] + 1)


def differing(rule: Json, packet: Json) -> list[str]:
    """The names of the conditions that the packet does not meet."""
    names = []
    if rule["direction"] != packet["direction"]:
        names.append("direction")
    if not covers(rule, packet):
        names.append("protocol")
    if not inside(packet.get("source"), rule.get("source")):
        names.append("source")
    if not inside(packet.get("destination"), rule.get("destination")):
        names.append("destination")
    if not port_fits(rule, packet):
        names.append("port")
    return names


def verdict(rules: Sequence[Json], packet: Json) -> tuple[str, int | None]:
    """What happens to the packet, and the place of the rule that decides, from 1."""
    for place, rule in enumerate(rules, 1):
        if rule["enabled"] and not differing(rule, packet):
            return rule["action"], place
    return "drop", None
