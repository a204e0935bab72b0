"""What a reader of pasted lines gives back, and how lines write protocols, ports, flags and verdicts."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from securitygroups.firewall.registry import IN_LOGS, PORTS
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import ICMP, ICMPV6, NON_IP, PACKET_PROTOCOLS, whole_number

ServicePort = Callable[[str, str], int | None]
"""The port of a service by its name and protocol ("tcp", or "udp" …), None where nobody knows it."""

_TCP = 6
EXTENSIONS = frozenset({0, 43, 44, 60})
"""IPv6 headers that stand before the protocol's."""
_PROTOCOLS = IN_LOGS | {"ip": 4, "ip6": 41}
_NAMES = {number: name for name, number in PACKET_PROTOCOLS.items()}

_PORTS = PORTS | {service.name.lower(): service.port for service in SERVICES if service.port is not None}
"""Ports by the names that tcpdump prints for them where it is not told -n, and by our own."""

_BITS = {0x01: "FIN", 0x02: "SYN", 0x04: "RST", 0x08: "PSH", 0x10: "ACK", 0x20: "URG"}
FLAGS = frozenset(_BITS.values())
_LETTERS = {"S": "SYN", "F": "FIN", "R": "RST", "P": "PSH", ".": "ACK", "A": "ACK", "U": "URG"}
_DIRECTIONS = ("in", "out")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_FOUR = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """What a pasted line tells: the form's fields, and what the form has no field for.

    `source_port` is the sender's port as it stands there, `flags` the names of the TCP flags ("SYN", "ACK"), None where the line
    tells none, `said` the verdict that it reports ("accept", "drop" or ""), `kind` what it was read as ("pf filterlog") and
    `advice` what to do where it was not ("the line has names instead of addresses: …"). `icmp` is the ICMP type, `answer` says
    what the packet is where the line itself tells that it opens nothing, and `opener` are the fields of the packet that did.
    """

    text: str
    fields: dict[str, str]
    source_port: str = ""
    flags: frozenset[str] | None = None
    said: str = ""
    kind: str = ""
    advice: str = ""
    icmp: int | None = None
    answer: str = ""
    opener: dict[str, str] | None = None


_IN_SIX: dict[int | None, int | None] = {ICMP: ICMPV6, **dict.fromkeys(EXTENSIONS)}
"""What some numbers mean in IPv6; an extension header tells nothing of what is behind it."""


@dataclass(slots=True)
class Told:
    """What a reader took from a line, as it stands there: names or numbers, ports of protocols that have none, words."""

    protocol: str | int | None
    source: str
    destination: str
    port: str = ""
    source_port: str = ""
    direction: str = ""
    said: str = ""
    flags: frozenset[str] | None = None
    icmp: str | int | None = None
    answer: str = ""
    opener: dict[str, str] | None = None
    advice: str = ""

    def line(self, text: str, kind: str) -> Line:
        number = protocol_number(self.protocol) if isinstance(self.protocol, str) else self.protocol
        if ":" in self.source:
            number = _IN_SIX.get(number, number)
        icmp = number in (ICMP, ICMPV6)
        return Line(
            text,
            packet_fields(number, self.source, self.destination, self.port, self.direction),
            "" if icmp else self.source_port,
            self.flags if number == _TCP else None,
            verdict_of(self.said) if self.said else "",
            kind,
            self.advice,
            whole_number(str(self.icmp), 255) if icmp and self.icmp is not None else None,
            self.answer,
            self.opener,
        )


def digits(text: str) -> str:
    """The number, or "" of what is none: “-”."""
    return text if text.isascii() and text.isdecimal() else ""


def is_address(text: str) -> bool:
    """Whether it is one IP address, without a zone."""
    if _FOUR.match(text):
        return True
    try:
        return ":" in text and "%" not in text and ipaddress.IPv6Address(text) is not None
    except ValueError:
        return False


def may_have_two(text: str) -> bool:
    """Whether two addresses may stand there, of which each has three dots, or two colons."""
    return text.count(".") + text.count(":") >= 4


def protocol_number(text: str) -> int | None:
    """The IP protocol of a name or number: "UDP", "ICMP6", "GREv0", "17"."""
    if text.isascii() and text.isdigit():
        number = int(text[:4])
        return number if number < 256 else None
    word = text.lower()
    return _PROTOCOLS.get(word, _PROTOCOLS.get(re.sub(r"v\d+\Z", "", word)))


def packet_fields(
    number: int | None, source: str, destination: str, port: str = "", direction: str = ""
) -> dict[str, str]:
    """The form's fields. The protocol is one of the form's names, else its number; nothing where none was read."""
    fields = {"source": source, "destination": destination}
    if number is None:
        if port:
            fields["port"] = port
    elif number in _NAMES:
        fields["protocol"] = _NAMES[number]
        fields["port"] = port
    elif number == (ICMPV6 if ":" in source else ICMP):
        fields["protocol"] = "icmp"
    else:
        fields["protocol"] = "number"
        fields["number"] = str(number)
    if direction in _DIRECTIONS:
        fields["direction"] = direction
    return fields


def no_ip(text: str, kind: str, direction: str = "") -> Line:
    """A frame that is not IP: ARP and others."""
    return Line(text, {"protocol": NON_IP} | ({"direction": direction} if direction in _DIRECTIONS else {}), kind=kind)


def port_number(text: str, protocol: str, service_port: ServicePort | None) -> str:
    """The port's number, of a name too; empty where nobody knows the name."""
    if not text or digits(text):
        return text
    port = _PORTS.get(text)
    if port is None and service_port is not None:
        port = service_port(text, protocol or "tcp")
    return "" if port is None else str(port)


def flags_of_number(number: int) -> frozenset[str]:
    return frozenset(name for bit, name in _BITS.items() if number & bit)


def flags_of_letters(letters: str) -> frozenset[str]:
    """Of tcpdump's "S." and of pf's "SA"."""
    return frozenset(_LETTERS[letter] for letter in letters if letter in _LETTERS)


_DROPS = ("drop", "deny", "deni", "block", "reject", "refus", "discard")
_ACCEPTS = ("accept", "allow", "permit", "pass")


def verdict_of(words: str) -> str:
    """What words of a log say of the packet: "accept" or "drop"; "" where they say neither, or both."""
    words = words.lower()
    drops, accepts = any(map(words.__contains__, _DROPS)), any(map(words.__contains__, _ACCEPTS))
    return "" if drops == accepts else "drop" if drops else "accept"


ICMP_TYPES = (
    {
        "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
        "router-advertisement": 9, "router-solicitation": 10, "time-exceeded": 11, "parameter-problem": 12,
        "timestamp-request": 13, "timestamp-reply": 14, "info-request": 15, "info-reply": 16,
        "address-mask-request": 17, "address-mask-reply": 18,
    },
    {
        "destination-unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4,
        "echo-request": 128, "echo-reply": 129, "mld-listener-query": 130, "mld-listener-report": 131,
        "nd-router-solicit": 133, "nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136,
    },
)  # fmt: skip
"""ICMP types by nftables' names for them, over IPv4 and over IPv6."""

NAMES_NOT_NUMBERS = "The line has names instead of numbers: have it printed with numbers ({}), and paste that."
A_NETWORK = "The line has a network, or any address, where a packet has one: it is a rule or a summed-up flow. Paste a packet's line."
ANSWER = "an answer, which goes to who asked"
