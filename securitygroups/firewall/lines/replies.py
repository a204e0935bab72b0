"""Pasted lines of packets that open no connection: replies, ends, errors. The rules judge the packet that came first."""

import re
from dataclasses import dataclass

from securitygroups.firewall.lines.pasted import Line, ServicePort, parse_line, port_number
from securitygroups.firewall.values import PACKET_PROTOCOLS

_FLAGS = "FIN|SYN|RST|PSH|ACK|URG|ECN|ECE|CWR|NS|AE"
_TCPDUMP = re.compile(r"Flags \[([^\]]*)\]")
_OLD_TCPDUMP = re.compile(r":\s([SFRPWE]{1,4}|\.) (?:\d+:\d+\(\d+\) )?(ack )?")
_TSHARK = re.compile(rf"\[((?:{_FLAGS})(?:, ?(?:{_FLAGS}))*)\]")
_KERNEL = re.compile(r"PROTO=TCP\b([^\[]*)")
# As they are typed, or printed by other programs: “SYN-ACK”, “flags=SA”, “tcp_flags 0x12”, behind the addresses.
_BEHIND = re.compile(rf"(?:>|\u2192)\s*\S+\s+\(?((?:{_FLAGS})(?:[\s,/+|_-]+(?:{_FLAGS}))*)\b", re.IGNORECASE)
_AS_NUMBER = re.compile(r"\b(?:tcp[_ -]?)?flags?[ =:]+0x([0-9a-f]{1,4})\b", re.IGNORECASE)
_AS_LETTERS = re.compile(
    r"(?:\b(?:[Tt][Cc][Pp][_ -]?)?[Ff]lags?[ =:]+|(?:>|\u2192)\s*\S+\s+)\[?([SAFRPUEWC.]{1,8})\]?(?=[\s,]|\Z)"
)
_BITS = {0x01: "FIN", 0x02: "SYN", 0x04: "RST", 0x08: "PSH", 0x10: "ACK"}
_LETTERS = {"S": "SYN", "F": "FIN", "R": "RST", "P": "PSH", ".": "ACK", "A": "ACK"}
_SCTP = re.compile(r"sctp \(\d+\) \[([A-Z ]+)\]")
_DNS_ANSWER = re.compile(r":\s\d+[*|$%-]*\s(?:q:.*?\s)?(?:NXDomain|ServFail|Refused|FormErr|NotImp|\d+/\d+/\d+)\b")
_UDP_ANSWER = re.compile(r"Standard query response|NTPv\d, (?:Server|server)|NTP Version \d, server")
_ECHO_REPLY = re.compile(r"echo[ -](?:\(ping\) )?reply|time ?stamp reply", re.IGNORECASE)
_ERROR = re.compile(
    r"unreachable|exceeded|too big|need to frag|fragmentation needed|parameter problem|source quench", re.IGNORECASE
)
_ABOUT_PORT = re.compile(r"([0-9A-Fa-f.:]+) (tcp|udp|sctp) port ([\w-]+)")
_QUOTED = re.compile(r"\[(SRC=[^\]]*)")
_KERNEL_TYPE = re.compile(r"(?:PROTO=ICMP(v6)? TYPE=|\btype[ =:]+)(\d{1,3})\b")
_REPLY_TYPES = {"": (0, 14), "v6": (129,)}
_ERROR_TYPES = {"": (3, 4, 11, 12), "v6": (1, 2, 3, 4)}


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
    read = parse_line(line, service_port)
    protocol = read.fields.get("protocol")
    if protocol == "tcp":
        return _tcp(read, service_port)
    if protocol == "udp" and (_DNS_ANSWER.search(read.text) or _UDP_ANSWER.search(read.text)):
        return Reply("an answer, which goes to who asked", _opener(read, True, service_port))
    if protocol == "sctp":
        chunk = _SCTP.search(read.text)
        if chunk and chunk[1] != "INIT":
            back = chunk[1] == "INIT ACK" or _from_server(read, service_port)
            return Reply(
                f"an SCTP {chunk[1]}, which belongs to an association", _opener(read, back, service_port), back
            )
    return _icmp(read, service_port) if protocol == "icmp" else None


def flags_in(text: str) -> set[str] | None:
    """The TCP flags that a line of tcpdump, tshark or a kernel's log tells; None where it tells none."""
    if found := _TCPDUMP.search(text):
        return {_LETTERS[letter] for letter in found[1] if letter in _LETTERS}
    if found := _KERNEL.search(text):
        return set(re.findall(rf"(?<=\s)(?:{_FLAGS})(?=\s|\Z)", found[1])) or None
    if found := _TSHARK.search(text):
        return set(re.findall(r"[A-Z]+", found[1]))
    if found := _OLD_TCPDUMP.search(text):
        return {_LETTERS[letter] for letter in found[1] if letter in _LETTERS} | ({"ACK"} if found[2] else set())
    return _written_flags(text)


def _written_flags(text: str) -> set[str] | None:
    if found := _AS_NUMBER.search(text):
        return {name for bit, name in _BITS.items() if int(found[1], 16) & bit}
    if found := _BEHIND.search(text):
        return set(re.findall(r"[A-Z]+", found[1].upper()))
    if found := _AS_LETTERS.search(text):
        return {_LETTERS[letter] for letter in found[1] if letter in _LETTERS}
    return None


def _tcp(read: Line, service_port: ServicePort | None) -> Reply | None:
    flags = flags_in(read.text)
    if flags is None or ("SYN" in flags and not flags & {"ACK", "RST", "FIN"}):
        return None
    back = flags >= {"SYN", "ACK"} or _from_server(read, service_port)
    return Reply(_tcp_words(flags), _opener(read, back, service_port), back)


def _tcp_words(flags: set[str]) -> str:
    if "RST" in flags:
        return "an RST, which ends a connection or turns one down"
    if "SYN" in flags:
        return "a SYN-ACK, which answers the packet that did"
    if "FIN" in flags:
        return "a FIN, which ends a connection"
    return "an ACK, which belongs to a connection that was opened before" if flags else "a TCP packet without a SYN"


def _from_server(read: Line, service_port: ServicePort | None) -> bool:
    """Whether the sender seems to be the one that was connected to: servers have the lower port. Else it is a reply."""
    source = port_number(read.source_port, "tcp", service_port)
    destination = read.fields.get("port", "")
    return not (source.isdigit() and destination.isdigit()) or int(source) <= int(destination)


def _opener(read: Line, back: bool, service_port: ServicePort | None) -> dict[str, str]:
    fields = dict(read.fields)
    if not back:
        return fields
    fields |= {"source": read.fields["destination"], "destination": read.fields["source"]}
    if fields["protocol"] in PACKET_PROTOCOLS:
        fields["port"] = port_number(read.source_port, fields["protocol"], service_port)
    return fields


def _icmp(read: Line, service_port: ServicePort | None) -> Reply | None:
    typed = _KERNEL_TYPE.search(read.text)
    six = "v6" if ":" in read.fields["source"] else ""
    family, number = (typed[1] or six, int(typed[2])) if typed else ("", -1)
    # tcpdump prints its words behind the addresses; what stands before is the link's.
    if number in _REPLY_TYPES[family] or (not typed and _ECHO_REPLY.search(read.text)):
        return Reply("an echo reply, which answers a ping", _opener(read, True, service_port))
    if number in _ERROR_TYPES[family] or (not typed and _ERROR.search(read.text)):
        return _error(read, service_port)
    return None


def _error(read: Line, service_port: ServicePort | None) -> Reply:
    """An ICMP error is about another packet, which some lines quote."""
    opener: dict[str, str] = {}
    if quoted := _QUOTED.search(read.text):
        opener = parse_line(quoted[1]).fields
    elif about := _ABOUT_PORT.search(read.text):
        opener = {"source": read.fields["destination"], "destination": about[1], "protocol": about[2]}
        opener["port"] = port_number(about[3], about[2], service_port)
    return Reply("an ICMP error, which is about another packet", opener)
