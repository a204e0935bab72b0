"""Random rule lists and packets as files spell them, crowded around the edges where evaluators go wrong."""

from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random
from typing import Any

Json = dict[str, Any]

NETWORKS = {
    4: [
        "0.0.0.0/0",
        "0.0.0.0/32",
        "255.255.255.255/32",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "10.0.0.0/8",
        "10.0.0.0/24",
        "10.0.0.5/32",
        "10.0.0.4/31",
        "192.0.2.128/25",
    ],
    6: [
        "::/0",
        "::/128",
        "::1/128",
        "8000::/1",
        "2001:db8::/32",
        "2001:db8:8000::/33",
        "2001:db8::/64",
        "fe80::/10",
        "::ffff:0:0/96",
        "::a00:0/104",
        "2001:db8::5/128",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
    ],
}
PORTS = [0, 1, 22, 79, 80, 443, 8080, 65534, 65535]
NUMBERS = [0, 1, 2, 6, 17, 47, 50, 58, 132, 254, 255]


def address_text(number: int, version: int) -> str:
    """The address; the family is told, for ipaddress takes every number below 2**32 for IPv4."""
    return str(IPv4Address(number) if version == 4 else IPv6Address(number))


@cache
def ends(network: str) -> tuple[int, int]:
    """The lowest and highest address, as numbers."""
    addresses = ip_network(network)
    return int(addresses[0]), int(addresses[-1])


def random_network(random: Random, version: int) -> str:
    """One of the edge cases, or a prefix of any length over any bits."""
    if random.random() < 0.6:
        return random.choice(NETWORKS[version])
    bits = 32 if version == 4 else 128
    prefix = random.randint(0, bits)
    number = random.getrandbits(bits) >> (bits - prefix) << (bits - prefix)
    return f"{address_text(number, version)}/{prefix}"


def random_rule(random: Random) -> Json:
    """A valid rule; every field that its protocol has is set or not."""
    protocol = random.choice(["tcp", "udp", "sctp", "icmp", "ip", "all"])
    version = random.choice([4, 6])
    rule: Json = {
        "action": random.choice(["accept", "drop"]),
        "direction": random.choice(["in", "in", "out"]),
        "protocol": protocol,
        "source": None,
        "destination": None,
        "port_start": None,
        "port_end": None,
        "description": "",
        "enabled": random.random() < 0.8,
    }
    if protocol != "all" and random.random() < 0.6:
        rule["source"] = random_network(random, version)
    if protocol == "ip" and random.random() < 0.6:
        rule["destination"] = random_network(random, version)
    if protocol in {"tcp", "udp", "sctp"} and random.random() < 0.7:
        pair = [random.choice(PORTS) if random.random() < 0.8 else random.randint(0, 65535) for _ in "se"]
        rule["port_start"], rule["port_end"] = min(pair), max(pair)
    return rule


def random_address(random: Random, version: int, near: list[str]) -> str:
    """An address on the edge of a network in `near`, one step outside it, or anywhere."""
    bits = 32 if version == 4 else 128
    chosen = random.choice(near) if near and random.random() < 0.8 else random.choice(NETWORKS[version])
    if random.random() < 0.1:
        return address_text(random.getrandbits(random.choice([8, 32, bits])) % (1 << bits), version)
    first, last = ends(chosen)
    return address_text(random.choice([first, last, first - 1, last + 1, first + 5]) % (1 << bits), version)


def random_packet(random: Random, rules: list[Json]) -> Json:
    """A packet that is likely to be just inside or just outside what the rules name."""
    kind = random.choice(["tcp", "tcp", "udp", "sctp", "icmp", "icmp", "number", "non-ip"])
    packet: Json = {"direction": random.choice(["in", "in", "out"]), "protocol": kind}
    if kind == "non-ip":
        return packet
    version = random.choice([4, 6])
    for name in ("source", "destination"):
        near = [rule[name] for rule in rules if rule[name] and (":" in rule[name]) == (version == 6)]
        packet[name] = random_address(random, version, near)
    if kind == "number":
        packet["protocol"] = random.choice((*NUMBERS, 1, 58)) if random.random() < 0.8 else random.randint(0, 255)
    if packet["protocol"] in {"tcp", "udp", "sctp", 6, 17, 132}:
        named = [rule[end] for rule in rules for end in ("port_start", "port_end") if rule[end] is not None]
        port = (random.choice(named) + random.choice([-1, 0, 0, 1])) if named else random.choice(PORTS)
        packet["port"] = min(max(port, 0), 65535)
    return packet
