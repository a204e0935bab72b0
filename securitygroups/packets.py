"""Packets from what people paste, and what an accept would need. Pure words and values; no Django.

Imports firewall. Called by the packet test.
"""

import re
from dataclasses import dataclass

from securitygroups.firewall.decide import Field, differences
from securitygroups.firewall.protocols import Action
from securitygroups.firewall.values import PACKET_PROTOCOLS, Packet, Refused, RuleList, address_text, parse_address

_ENDS = re.compile(
    r"(?:^|\s)(?:IP6?\s+)?(?P<source>\[?[0-9A-Fa-f:.]+\]?(?:[.:]\d+)?)\s*(?:>|->|→)\s*(?P<destination>\[?[0-9A-Fa-f:.]+\]?(?:[.:]\d+)?)"
)
_KERNEL = re.compile(r"\b(SRC|DST|PROTO|DPT|IN|OUT)=(\S*)")


def _end(text: str, *, tcpdump: bool) -> tuple[str, str] | None:
    """(address, port or "") of "10.0.0.5:22", "[2001:db8::5]:22", or tcpdump's "10.0.0.5.22"; None if it is neither."""
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?:?", text)
    tries = [bracketed.groups("")] if bracketed else [(text, "")]
    # tcpdump ends the destination with a colon; of an address such as fe80::, two more are its own.
    text = text.removesuffix(":")
    tries.append((text, ""))
    for mark in (":", ".") if not tcpdump else (".", ":"):
        head, _, tail = text.rpartition(mark)
        if head and tail.isdigit() and len(tail) < 6:
            tries.append((head, tail))
    for address, port in tries:
        try:
            parse_address(address)
        except Refused:
            continue
        return address, port
    return None


def _protocol(words: str, port: str) -> str:
    if "Flags [" in words:
        return "tcp"  # tcpdump prints the flags of every TCP segment
    named = re.search(rf"\b({'|'.join((*PACKET_PROTOCOLS, 'icmp'))})", words.lower())
    return named[1] if named else "tcp" if port else "icmp"


def read_line(line: str) -> dict[str, str]:
    """The form's fields from a pasted line: "tcp 203.0.113.9 > 10.0.0.5:22", a tcpdump line, or a kernel log line with
    SRC= DST= PROTO= DPT=. Empty when nothing of the kind is in it."""
    line = line.strip()[:2000]
    pairs: dict[str, str] = {}
    for name, text in _KERNEL.findall(line):
        pairs.setdefault(name, text)  # an ICMP error quotes the packet that it is about behind its own
    if pairs.get("SRC") and pairs.get("DST"):
        name = pairs.get("PROTO", "").lower()
        fields = {"source": pairs["SRC"], "destination": pairs["DST"]}
        if name in PACKET_PROTOCOLS:
            return fields | {"protocol": name, "port": pairs.get("DPT", "")}
        if name.startswith("icmp"):
            return fields | {"protocol": "icmp"}
        if name.isdecimal():
            return fields | {"protocol": "number", "number": name}
        return fields | {"protocol": "tcp"}
    match = _ENDS.search(line)
    if not match:
        return {}
    dump = bool(re.search(r"\bIP6?\b", line))
    source, destination = _end(match["source"], tcpdump=dump), _end(match["destination"], tcpdump=dump)
    if not source or not destination:
        return {}
    rest = line[: match.start("source")] + " " + line[match.end("destination") :]
    protocol = _protocol(rest, destination[1])
    if dump and protocol == "tcp" and "Flags [" not in rest:
        protocol = "udp"
    fields = {"source": source[0], "destination": destination[0], "protocol": protocol}
    if protocol in PACKET_PROTOCOLS:
        fields["port"] = destination[1]
    return fields


@dataclass(frozen=True, slots=True)
class Need:
    """What an accept would need: the nearest accept rule and what stands in its way, and the rule that would do.

    In its way: conditions that the packet does not meet; being switched `off`; standing `below` the rule that drops the
    packet. `stop` is the place of that one, None where none matches: the new rule belongs above it.
    """

    nearest: int | None
    in_the_way: tuple[Field, ...]
    off: bool
    below: bool
    fields: dict[str, str]
    stop: int | None


def what_accept_needs(rules: RuleList, packet: Packet, stop: int | None) -> Need:
    """For a packet that is not accepted. The nearest accept rule has the fewest things in its way; the first of those."""

    def off_and_below(place: int) -> tuple[bool, bool]:
        return not rules[place - 1].enabled, stop is not None and place > stop

    best: tuple[int, int] | None = None
    for place, rule in enumerate(rules, 1):
        if rule.action is Action.ACCEPT:
            missed = len(differences(rule, packet)) + sum(off_and_below(place))
            if best is None or missed < best[0]:
                best = (missed, place)
    nearest = best[1] if best else None
    off, below = off_and_below(nearest) if nearest else (False, False)
    return Need(
        nearest=nearest,
        in_the_way=differences(rules[nearest - 1], packet) if nearest else (),
        off=off,
        below=below,
        fields=_rule_fields(packet),
        stop=stop,
    )


def _rule_fields(packet: Packet) -> dict[str, str]:
    """Add Rule filled in with the narrowest rule that accepts the packet."""
    fields = {"action": "accept", "direction": packet.direction.value}
    if packet.version is None:
        return fields | {"protocol": "all"}
    names = {number: name for name, number in PACKET_PROTOCOLS.items()}
    protocol = names.get(packet.protocol or 0)
    source, destination = (_one(packet.version, address or 0) for address in (packet.source, packet.destination))
    if protocol is None:
        return fields | {"protocol": "ip", "source": source, "destination": destination}
    ports = {} if packet.port is None else {"port_start": str(packet.port), "port_end": str(packet.port)}
    return fields | {"protocol": protocol, "source": source} | ports


def _one(version: int, address: int) -> str:
    """The smallest network with the address that a rule can have: IPv4 written as IPv6 has but one."""
    text = address_text(version, address)
    if version == 6 and text.startswith("::ffff:") and "." in text:
        return "::ffff:0:0/96"
    return f"{text}/{32 if version == 4 else 128}"


def packet_json(packet: Packet) -> dict[str, object]:
    """The packet's JSON object, as packet files have it."""
    if packet.version is None:
        return {"direction": packet.direction.value, "protocol": "non-ip"}
    names: dict[int | None, str | int | None] = {number: name for name, number in PACKET_PROTOCOLS.items()}
    value: dict[str, object] = {
        "direction": packet.direction.value,
        "protocol": names.get(packet.protocol, packet.protocol),
        "source": address_text(packet.version, packet.source or 0),
        "destination": address_text(packet.version, packet.destination or 0),
    }
    return value if packet.port is None else value | {"port": packet.port}
