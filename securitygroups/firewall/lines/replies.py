"""Pasted lines of packets that open no connection: replies, ends, errors. The rules judge the packet that came first."""

import re
from dataclasses import dataclass

from securitygroups.firewall.lines.line import digits
from securitygroups.firewall.lines.pasted import Line, ServicePort, parse_line, port_number
from securitygroups.firewall.values import PACKET_PROTOCOLS

_SCTP = re.compile(r"sctp \(\d+\) \[([A-Z ]+)\]|\bSCTP \d+ (?:\d+ \S+ \d+ )?([A-Z]{2,}(?:_[A-Z]+)*)")
_REPLY_TYPES = ({0, 14, 16, 18}, {129})
_ERROR_TYPES = ({3, 4, 5, 11, 12}, {1, 2, 3, 4, 137})
"""A redirect is no error, but as much about another packet."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the packet of a line is instead of one that opens a connection: “a SYN-ACK, which answers …”.

    `opener` has the packet form's fields of the one that opened it, as far as the line tells; empty where it tells none.
    `back` says whether that one went the other way.
    """

    what: str
    opener: dict[str, str]
    back: bool = True


def read_reply(line: str, service_port: ServicePort | None = None) -> Reply | None:
    """The reply in a pasted line; None where the packet may open a connection, or there is none."""
    return reply_in(parse_line(line, service_port), service_port)


def reply_in(read: Line, service_port: ServicePort | None = None) -> Reply | None:
    """The same of a line that is read already."""
    if not {"source", "destination"} <= read.fields.keys():
        return None
    protocol = read.fields.get("protocol")
    if protocol == "tcp" and read.flags is not None:
        return _tcp(read, read.flags, service_port)
    if protocol == "icmp":
        return _icmp(read, service_port)
    if read.answer:
        return Reply(read.answer, _opener(read, True, service_port) if read.opener is None else read.opener)
    return _sctp(read, service_port) if protocol == "sctp" else None


def _sctp(read: Line, service_port: ServicePort | None) -> Reply | None:
    chunk = _SCTP.search(read.text)
    name = (chunk[1] or chunk[2]).replace("_", " ") if chunk else "INIT"
    if name == "INIT":
        return None
    back = name == "INIT ACK" or _from_server(read, service_port)
    return Reply(f"an SCTP {name}, which belongs to an association", _opener(read, back, service_port), back)


def _tcp(read: Line, flags: frozenset[str], service_port: ServicePort | None) -> Reply | None:
    if "SYN" in flags and not flags & {"ACK", "RST", "FIN"}:
        return None
    back = flags >= {"SYN", "ACK"} or _from_server(read, service_port)
    return Reply(_tcp_words(flags), _opener(read, back, service_port), back)


def _tcp_words(flags: frozenset[str]) -> str:
    if "RST" in flags:
        return "an RST, which ends a connection or turns one down"
    if "SYN" in flags and "ACK" in flags:
        return "a SYN-ACK, which answers the packet that did"
    if "FIN" in flags:
        return "a FIN, which ends a connection"
    return "an ACK, which belongs to a connection that was opened before" if flags else "a TCP packet without a SYN"


def _from_server(read: Line, service_port: ServicePort | None) -> bool:
    """Whether the sender seems to be the one that was connected to: servers have the lower port. Else it is a reply."""
    source = port_number(read.source_port, "tcp", service_port)
    destination = read.fields.get("port", "")
    return not (digits(source) and digits(destination)) or int(source) <= int(destination)


def _opener(read: Line, back: bool, service_port: ServicePort | None) -> dict[str, str]:
    """The fields of the packet that opened it. In which direction that one went is not said here: `back` tells it."""
    fields = {name: text for name, text in read.fields.items() if name != "direction"}
    if not back:
        return fields
    fields |= {"source": read.fields["destination"], "destination": read.fields["source"]}
    protocol = fields.get("protocol", "")
    if protocol in PACKET_PROTOCOLS or "port" in fields:
        fields["port"] = port_number(read.source_port, protocol, service_port)
    return fields


def _icmp(read: Line, service_port: ServicePort | None) -> Reply | None:
    six = ":" in read.fields["source"]
    if read.icmp in _REPLY_TYPES[six]:
        what = "an echo reply, which answers a ping" if read.icmp in (0, 129) else "a reply, which goes to who asked"
        return Reply(what, _opener(read, True, service_port))
    # An ICMP error is about another packet, which some lines quote.
    if read.icmp in _ERROR_TYPES[six]:
        return Reply("an ICMP error, which is about another packet", read.opener or {})
    return None
