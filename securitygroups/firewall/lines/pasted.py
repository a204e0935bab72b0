"""Packets from lines that people paste: what tcpdump prints, what the kernel logs, and what is typed by hand."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import ICMP, ICMPV6, PACKET_PROTOCOLS, Refused, parse_address, whole_number

ServicePort = Callable[[str, str], int | None]
"""The port of a service by its name and protocol ("tcp", or "udp" …), None where nobody knows it."""

_ENDS = re.compile(r"(?:^|\s)(?P<source>[\w\[\]:.-]+?)\s*(?:>|->|→)\s*(?P<destination>[\w\[\]:.-]+)")
_KERNEL = re.compile(r"\b(SRC|DST|PROTO|SPT|DPT|IN|OUT)=(\S*)")
_PORTS_BEHIND = re.compile(r"\s(\d{1,5}) (?:→|->|>) (\d{1,5})(?=\s|\Z)")
_DUMP = re.compile(r"\bIP6?\b|\bethertype IPv[46]\b")
# "proto TCP (6)" and "next-header UDP (17)" of tcpdump -v, "ip-proto-89" of what it does not know, "proto 50" by hand.
_SAID = re.compile(r"\b(?:proto|next-header) [^()]*\((\d{1,3})\)|\b(?:ip-proto-|proto(?:col)?[ =])(\d{1,3})\b")
# The flags of TCP, today's and as tcpdump printed them before version 4: "S 1:1(0) win 5840", ". ack 1".
_SEGMENT = re.compile(r"[\s:]*(?:Flags \[|(?:[SFRPWE]{1,4}|\.) (?:\d+:\d+\(\d+\)|ack \d))")
_HEADERS = re.compile(r"[\s:,]*(?:(?:HBH|DSTOPT|frag|srcrt)\b|\([^()]*\)|\[[^\]]*\]|[\s:,])*")
"""What tcpdump prints of IPv6 headers before it names the protocol, and of a checksum."""
_EXTENSIONS = {0, 43, 44, 60}
"""IPv6 headers that stand before the protocol's."""

_NUMBERS = {
    "icmp": ICMP, "icmp6": ICMPV6, "icmpv6": ICMPV6, "igmp": 2, "ipip": 4, "ip": 4, "tcp": 6, "udp": 17,
    "dccp": 33, "ip6": 41, "ipv6": 41, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "eigrp": 88, "ospf": 89,
    "pim": 103, "vrrp": 112, "carp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""IP protocol numbers by the names that tcpdump and the kernel's log print (IANA registry of protocol numbers)."""
_WITH_PORTS = {6, 17, 33, 132, 136}
_WORDS = {"ah", "ip", "ip6", "ipv6", "pim", "carp"}
"""Names of protocols that are words of other sentences too."""

_PORTS = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69,
    "http": 80, "www": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137,
    "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143, "imap2": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179,
    "ldap": 389, "https": 443, "microsoft-ds": 445, "submissions": 465, "isakmp": 500, "syslog": 514,
    "submission": 587, "ldaps": 636, "domain-s": 853, "rsync": 873, "imaps": 993, "pop3s": 995, "openvpn": 1194,
    "ms-sql-s": 1433, "radius": 1812, "nfs": 2049, "mysql": 3306, "ms-wbt-server": 3389, "ipsec-nat-t": 4500,
    "sip": 5060, "mdns": 5353, "postgresql": 5432, "amqp": 5672, "x11": 6000, "redis": 6379, "http-alt": 8080,
} | {service.name.lower(): service.port for service in SERVICES if service.port is not None}  # fmt: skip
"""Ports by the names that tcpdump prints for them where it is not told -n, and by our own."""


def port_number(text: str, protocol: str, service_port: ServicePort | None) -> str:
    """The port's number, of a name too; empty where nobody knows the name."""
    if not text or text.isdigit():
        return text
    port = _PORTS.get(text)
    if port is None and service_port is not None:
        port = service_port(text, protocol or "tcp")
    return "" if port is None else str(port)


def _end(text: str, *, tcpdump: bool) -> tuple[str, str] | None:
    """(address, port or "") of "10.0.0.5:22", "[2001:db8::5]:22", or tcpdump's "10.0.0.5.22" and "10.0.0.5.ssh"; None
    if it is neither."""
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}|[a-z][\w-]*))?:?", text)
    tries = [bracketed.groups("")] if bracketed else [(text, "")]
    # tcpdump ends the destination with a colon; of an address such as fe80::, two more are its own.
    text = text.removesuffix(":")
    tries.append((text, ""))
    for mark in (":", ".") if not tcpdump else (".", ":"):
        head, _, tail = text.rpartition(mark)
        if head and re.fullmatch(r"[0-9]{1,5}|[a-z][\w-]{0,40}", tail):
            tries.append((head, tail))
    for address, port in tries:
        try:
            parse_address(address)
        except Refused:
            continue
        return address, port
    return None


def _named(word: str) -> int | None:
    """The protocol that a word names: "UDP", "ICMP6", "GREv0"."""
    word = word.lower()
    return _NUMBERS.get(word, _NUMBERS.get(re.sub(r"v\d+\Z", "", word)))


def _said(before: str, after: str) -> int | None:
    """The protocol number that stands in the text as a number, not that of an extension header."""
    said = _SAID.search(before) or _SAID.search(after)
    number = int(said[1] or said[2]) if said else None
    return None if number in _EXTENSIONS else number


def _named_first(after: str) -> int | None:
    """The protocol that the first word behind the addresses names."""
    first = re.match(r"[\s:,]*([A-Za-z]\w*)", after)
    return _named(first[1]) if first else None


def _dumped_number(before: str, after: str, ports: bool) -> int | None:
    """The IP protocol number that a line of tcpdump tells around the addresses; None where it tells none."""
    # tcpdump prints the flags of every TCP segment, and ports of few protocols but TCP and UDP, which it names.
    if _SEGMENT.match(after):
        return 6
    after = _HEADERS.sub("", after, count=1)
    # What comes later in the line is what the packet carries.
    said = _said(before, after[:16])
    if said is not None:
        return said
    number = _named_first(after)
    return 17 if ports and number not in _WITH_PORTS else number


def _typed_number(before: str, after: str) -> int | None:
    """The IP protocol number that any other text around the addresses tells: the word next to them, else any."""
    said = _said(before, after)
    if said is not None:
        return said
    last = re.search(r"(\w+)[\s:]*\Z", before)
    words = (word for word in re.findall(r"\w+", f"{before} {after}") if word.lower() not in _WORDS)
    tries = (_named_first(after), _named(last[1]) if last else None, *map(_named, words))
    return next((number for number in tries if number is not None), None)


def _protocol_fields(number: int | None, address: str) -> dict[str, str]:
    """The form's protocol: one of its names, else the number; nothing where none was read."""
    if number is None or number > 255:
        return {}
    names = {known: name for name, known in PACKET_PROTOCOLS.items()}
    names[ICMPV6 if ":" in address else ICMP] = "icmp"
    return {"protocol": names[number]} if number in names else {"protocol": "number", "number": str(number)}


@dataclass(frozen=True, slots=True)
class Line:
    """What a pasted line tells: the form's fields, and what the form has no field for.

    `source_port` is the sender's port as it stands there, `flags` the names of the TCP flags ("SYN", "ACK"), None where the line
    tells none, `said` the verdict that it reports ("accept", "drop" or ""), `kind` what it was read as ("pf filterlog") and
    `advice` what to do where it was not ("the line has names instead of addresses: …").
    """

    text: str
    fields: dict[str, str]
    source_port: str = ""
    flags: frozenset[str] | None = None
    said: str = ""
    kind: str = ""
    advice: str = ""


def read_line(line: str, service_port: ServicePort | None = None) -> dict[str, str]:
    """The form's fields from a pasted line: "tcp 203.0.113.9 > 10.0.0.5:22", a tcpdump line, or a kernel log line with
    SRC= DST= PROTO= DPT=. Empty when nothing of the kind is in it; what the line does not tell is not in it either.

    tcpdump prints names of services after the machine that it runs on: `service_port` is asked for those that are not
    known here.
    """
    return parse_line(line, service_port).fields


def parse_line(line: str, service_port: ServicePort | None = None) -> Line:
    """The same with what else the line tells."""
    line = line.strip()[:2000]
    fields, source_port = _logged(line) or _dumped(line, service_port) or ({}, "")
    return Line(line, fields, source_port)


def _logged(line: str) -> tuple[dict[str, str], str] | None:
    """From a line of the kernel's log."""
    pairs: dict[str, str] = {}
    for name, text in _KERNEL.findall(line):
        pairs.setdefault(name, text)  # an ICMP error quotes the packet that it is about behind its own
    if not pairs.get("SRC") or not pairs.get("DST"):
        return None
    name = pairs.get("PROTO", "")
    written = whole_number(name, 999)
    number = _named(name) if written is None else written
    fields = {"source": pairs["SRC"], "destination": pairs["DST"]} | _protocol_fields(number, pairs["SRC"])
    fields |= {"port": pairs.get("DPT", "")} if fields.get("protocol") in PACKET_PROTOCOLS else {}
    return fields, pairs.get("SPT", "")


def _dumped(line: str, service_port: ServicePort | None) -> tuple[dict[str, str], str] | None:
    """From a line with "source > destination" in it."""
    dump = bool(_DUMP.search(line))
    for match in _ENDS.finditer(line):
        source, destination = _end(match["source"], tcpdump=dump), _end(match["destination"], tcpdump=dump)
        if source and destination:
            break
    else:
        return None
    before, after = line[: match.start("source")], line[match.end("destination") :]
    # tshark prints the ports behind the protocol's name.
    shark = None if source[1] or destination[1] else _PORTS_BEHIND.search(after)
    from_port, behind = shark.groups() if shark else (source[1], "")
    ports = bool(source[1] or destination[1])
    number = _dumped_number(before, after, ports) if dump else _typed_number(before, after)
    fields = {"source": source[0], "destination": destination[0]} | _protocol_fields(number, source[0])
    protocol = fields.get("protocol", "")
    if protocol in PACKET_PROTOCOLS or (not protocol and destination[1]):
        fields["port"] = port_number(destination[1] or behind, protocol, service_port)
    return fields, from_port
