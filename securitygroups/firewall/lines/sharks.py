"""Lines of Wireshark and tshark, and bare columns of addresses and ports as their “-T fields” prints them."""

import re

from securitygroups.firewall.lines.dumps import about_in, answer_in, flags_in, icmp_in
from securitygroups.firewall.lines.line import (
    NAMES_NOT_NUMBERS,
    Line,
    Told,
    flags_of_number,
    is_address,
    may_have_two,
    protocol_number,
)

_SHARK = re.compile(
    r"(?:^|\s)([0-9A-Fa-f.:]{2,45})\s+(?:(?:→|->|>)\s+)?([0-9A-Fa-f.:]{2,45})\s+([A-Z][\w./-]*)\s+(\d{1,7}|[a-z][\w-]{0,40} >)(?:\s+(.*)|\Z)",
    re.S,
)
_PORTS = re.compile(r"(?:^|\s)(?:[\w-]+\()?(\d{1,5})\)?\s(?:→|->|>)\s(?:[\w-]+\()?(\d{1,5})\)?(?=\s|\Z)")
# Without -n, one of the two by its service.
_PORT_NAMES = re.compile(r"(?:^|\s)(\d{1,5}|[a-z][\w-]{0,40})\s(?:→|->|>)\s(\d{1,5}|[a-z][\w-]{0,40})\s\[")
_NAMES = re.compile(
    r"(?:^|\s)\d{1,9}\s+[\d.]{1,20}\s+(\S{1,200})\s+(?:→|->)\s+(\S{1,200})\s+([A-Z][\w./-]*)\s+\d{1,7}\s"
)
_OVER_TCP = re.compile(r"(?:TLS|SSL|SSH|HTTP|SMTP|FTP|IMAP|POP|BGP|SMB|MySQL|PGSQL|RDP|LDAP)", re.IGNORECASE)
_OVER_UDP = re.compile(r"(?:QUIC|NTP|DHCP|MDNS|SSDP|WireGuard|NBNS|LLMNR|SNMP|TFTP|ISAKMP)", re.IGNORECASE)
_PIECE = re.compile(r"\(proto=[\w-]{1,20} (\d{1,3}),")
_LATER = "a packet of a connection that was opened before"
_SEPARATORS = re.compile(r"[\s,;|\"]+")
_HEX = re.compile(r"0x[0-9A-Fa-f]{1,8}")
_COLUMNS = (
    "These are columns without their names, so which number is the port is not told: paste it as "
    "tcp 198.51.100.7:51515 > 10.0.0.5:22."
)
_SHAPES = {"apap": (0, 2, 1, 3), "aapp": (0, 1, 2, 3)}
_TIME = re.compile(r"\d+\.\d+|\d{4}-\d\d-\d\d[T ]?[\d:.Z+]*|\d\d:\d\d:\d\d[\d.]*")


def read_shark(line: str) -> Line | None:
    """“1 0.000000 198.51.100.7 → 10.0.0.5 TCP 74 51515 → 22 [SYN]”, with the arrow or, copied from the window, without."""
    for found in _SHARK.finditer(line[:400]) if may_have_two(line) else ():
        if is_address(found[1]) and is_address(found[2]):
            return _shark(line, found)
    named = _NAMES.search(line[:400]) if "→" in line or "->" in line else None
    if named and _carried_by(named[3], ""):
        return Line(line, {}, kind="tshark", advice=NAMES_NOT_NUMBERS.format("tshark -n"))
    return None


def _shark(line: str, found: re.Match[str]) -> Line:
    source, destination, name, _, _ = found.groups()
    told = line[found.start(5) :] if found[5] else ""
    if told.startswith((">", "→", "->")) or found[4].endswith(">"):
        told = line[found.start(4) :]  # older ones print no length
    ports = _PORTS.search(told) or _PORT_NAMES.search(told)
    number = _carried_by(name, told)
    packet = Told(number, source, destination, flags=flags_in(told))
    if ports:
        packet.source_port, packet.port = ports.groups()
    if number in (1, 58):
        packet.icmp, packet.opener = icmp_in(told, six=":" in source), about_in(told, destination)
    elif number != 6:
        packet.answer = answer_in(told)
    elif name != "TCP" and not ports:
        # Of TLS and the like, packets are shown that carry it: those come after the one that opened the connection.
        packet.answer, packet.opener, packet.flags = _LATER, {}, None
    return packet.line(line, "tshark")


def _carried_by(name: str, told: str) -> int | None:
    """The protocol that the column names, or that which the application in it is carried by."""
    if name in ("IPv4", "IPv6"):
        piece = _PIECE.search(told)
        return int(piece[1]) if piece else None
    number = protocol_number(name)
    if number is not None:
        return number
    if _OVER_TCP.match(name) or "Seq=" in told:
        return 6
    return 17 if _OVER_UDP.match(name) else None


def read_columns(line: str) -> Line | None:
    """Two addresses and two ports in columns, and nothing else but a time, a protocol's name, and the flags of TCP."""
    if len(line) > 200 or not may_have_two(line):
        return None
    words = _cells(line)
    flags = flags_of_number(int(words.pop(), 16)) if words and _HEX.fullmatch(words[-1]) else None
    shape = "".join(map(_letter, words[:7]))
    places = _SHAPES.get(shape.strip("w"))
    if places is None or len(shape) > 5:
        return Line(line, {}, kind="columns", advice=_COLUMNS) if _has_more_numbers(shape) else None
    number = protocol_number(words[shape.index("w")]) if "w" in shape else 6 if flags else None
    source, destination, source_port, port = (words[at + shape.startswith("w")] for at in places)
    return Told(number, source, destination, port, source_port, flags=flags).line(line, "columns")


def _cells(line: str) -> list[str]:
    """What stands in the columns, without times."""
    return [word for word in _SEPARATORS.split(line) if word and not _TIME.fullmatch(word)]


def _has_more_numbers(shape: str) -> bool:
    """Whether there are two addresses, and more numbers than the two ports of a connection."""
    return set(shape) <= set("apw") and shape.count("a") == 2 and shape.count("p") > 2


def _letter(word: str) -> str:
    """What a word is: an address, a port, or the name of a protocol."""
    if is_address(word):
        return "a"
    if _port(word):
        return "p"
    return "w" if word.isalpha() and protocol_number(word) is not None else "?"


def _port(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 5 and int(word) <= 65535
