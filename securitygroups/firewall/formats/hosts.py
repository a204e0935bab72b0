"""What the firewalls of Linux hosts have in common: ports, protocols and networks as they write them, interfaces, connection states."""

import re
from collections.abc import Iterable
from functools import lru_cache

from securitygroups.firewall.formats.spans import (
    IPV6,
    NOTHING,
    Match,
    Spans,
    key,
    of_networks,
    spans,
)
from securitygroups.firewall.networks import Network, plain_address, whole_number
from securitygroups.firewall.protocols import MAX_PORT
from securitygroups.firewall.registry import PORTS, PROTOCOL_NUMBERS

MOST_LINES, MOST_LETTERS = 20_000, 10_000

INSIDE = re.compile(
    r"(docker|br-[0-9a-f]{12}|virbr|veth|cni|flannel|cali|cilium|tun|tap|wg|vxlan|lxc|lxd|podman|kube|nodelocal|tailscale|zt|dummy)"
)
"""Bridges, tunnels and cables inside a machine: what comes by them came by no network card."""
LOOPBACK = "Packets of the machine to itself never come to the rules here, and always pass."
INNER = "It is about a bridge, a tunnel or a cable inside the machine, by which no packet of its network card comes."
OPENS = "The rules here judge the packet that opens a connection; for TCP that is a lone SYN."
REPLIES = "Replies, and errors about accepted connections, pass here by themselves."
INVALID = "Packets that belong to no connection and open none are dropped here by themselves."
# ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
_MAPPED = key(6, 0xFFFF << 32), key(6, (0xFFFF << 32) + 0xFFFFFFFF)
KNOWN_STATES = frozenset({"new", "established", "related", "invalid", "untracked"})


def lines_of(text: str) -> list[str]:
    """As their programs end them. What else Python takes for an end, such as U+2028, may stand in a remark, and what is behind
    it there is no line."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def port(word: str) -> int | None:
    found = whole_number(word, MAX_PORT)
    return PORTS.get(word.lower()) if found is None else found


def ports(word: str, between: str = ":-") -> Spans | None:
    """A port, or a range with one of these signs between, either end of which may be missing; None where it is none."""
    named = port(word)
    if named is not None:
        return ((named, named),)
    for sign in between:
        first, found, last = word.partition(sign)
        if found:
            start, end = port(first) if first else 0, port(last) if last else MAX_PORT
            return None if start is None or end is None or start > end else ((start, end),)
    return None


def port_list(text: str, between: str = ":-") -> Spans | None:
    """Ports and ranges with commas between."""
    found = [ports(word.strip(), between) for word in text.split(",")]
    return None if None in found else spans(ends for each in found if each for ends in each)


def protocol(word: str) -> int | None:
    """The number of a protocol, None where it is no word or number of one."""
    word = word.lower()
    return PROTOCOL_NUMBERS[word] if word in PROTOCOL_NUMBERS else whole_number(word, 255)


def network(word: str) -> Network | None:
    """A network with a prefix length or a mask; bits behind the prefix are cut off, as these firewalls do. None else."""
    host, slash, length = word.partition("/")
    address = plain_address(host.strip())
    if address is None:
        return None
    bits = address.max_prefixlen
    prefix = bits if not slash else whole_number(length, bits)
    if prefix is None:
        prefix = _mask(length, address.version)
    return (
        None if prefix is None else Network(address.version, int(address) >> (bits - prefix) << (bits - prefix), prefix)
    )


def _mask(text: str, version: int) -> int | None:
    """The prefix length that a mask such as 255.255.0.0 stands for."""
    mask = plain_address(text.strip())
    if mask is None or mask.version != version:
        return None
    hosts = (1 << mask.max_prefixlen) - 1 ^ int(mask)
    return mask.max_prefixlen - hosts.bit_length() if hosts & (hosts + 1) == 0 else None


def addresses(words: Iterable[str]) -> Spans | None:
    """Networks and ranges such as 10.0.0.1-10.0.0.9; None where one of them is none, or a part of the IPv4 addresses that are
    written as IPv6: packets carry those as IPv4, and no rule here is about some of them."""
    found: list[tuple[int, int]] = []
    for word in words:
        first, dash, last = word.partition("-")
        one = network(word)
        if one is not None:
            found += of_networks([one])
        elif dash:
            start, end = plain_address(first.strip()), plain_address(last.strip())
            if start is None or end is None or start.version != end.version or int(start) > int(end):
                return None
            found.append((key(start.version, int(start)), key(end.version, int(end))))
        else:
            return None
    return None if any(map(_parts_mapped, found)) else spans(found)


def _parts_mapped(ends: tuple[int, int]) -> bool:
    first, last = _MAPPED
    return first < ends[0] <= last or first <= ends[1] < last


def families_of(some: Spans) -> Spans:
    """The families that addresses of the set are of."""
    versions = [(version, version) for version in (4, 6) if any((ends[0] >= IPV6) == (version == 6) for ends in some)]
    return spans(versions) if versions else NOTHING


def interface(name: str, named: frozenset[str]) -> bool | str:
    """Whether packets come by it: yes, never, or what it would take to know. `named` are all that the file names."""
    if name in ("lo", "lo*", "lo+") or INSIDE.match(name):
        return False
    return True if _cards(named) == 1 else f"the interface {name}, one of several in the file"


@lru_cache(maxsize=8)
def _cards(named: frozenset[str]) -> int:
    """How many of the interfaces packets come by from outside; asked for each line of a file."""
    return sum(each != "lo" and not INSIDE.match(each) for each in named)


def state(words: Iterable[str], negated: bool, notrack: bool) -> bool | str:
    """Whether a packet that opens a connection is in one of these states: yes, never, or what it asks for."""
    asked = frozenset(word.lower() for word in words)
    unknown = asked - KNOWN_STATES
    if notrack and asked & {"new", "untracked"}:
        return "a connection that is tracked, and the file takes some from tracking"
    if "new" in asked:
        return not negated
    if unknown:
        return f"the state {', '.join(sorted(unknown))}"
    return negated


def state_told(words: Iterable[str]) -> str:
    """Why a packet that opens a connection is in none of these states."""
    asked = set(words)
    return " ".join([REPLIES] * bool(asked & {"established", "related"}) + [INVALID] * ("invalid" in asked)) or OPENS


def ports_of(some: Spans, protocols: Iterable[int]) -> Match:
    return Match(protocol=spans((number, number) for number in protocols), port=some)
