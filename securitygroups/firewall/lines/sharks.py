"""Lines of Wireshark and tshark, and bare columns of addresses and ports as their “-T fields” prints them."""

import re

from securitygroups.firewall.lines.dumps import about_in, answer_in, flags_in, icmp_in
from securitygroups.firewall.lines.line import Line, Told, is_address, protocol_number

_SHARK = re.compile(
    r"(?:^|\s)([0-9A-Fa-f.:]{2,45})\s+(?:(?:→|->|>)\s+)?([0-9A-Fa-f.:]{2,45})\s+([A-Z][\w./-]*)\s+\d{1,7}(?:\s+(.*)|\Z)",
    re.S,
)
_PORTS = re.compile(r"(?:^|\s)(?:[\w-]+\()?(\d{1,5})\)?\s(?:→|->|>)\s(?:[\w-]+\()?(\d{1,5})\)?(?=\s|\Z)")
_OVER_TCP = re.compile(r"(?:TLS|SSL|SSH|HTTP|SMTP|FTP|IMAP|POP|BGP|SMB|MySQL|PGSQL|RDP|LDAP)", re.IGNORECASE)
_OVER_UDP = re.compile(r"(?:QUIC|NTP|DHCP|MDNS|SSDP|WireGuard|NBNS|LLMNR|SNMP|TFTP|ISAKMP)", re.IGNORECASE)
_LATER = "a packet of a connection that was opened before"
_SEPARATORS = re.compile(r"[\s,;|\"]+")
_SHAPES = {"apap": (0, 2, 1, 3), "aapp": (0, 1, 2, 3)}
_TIME = re.compile(r"\d+\.\d+|\d{4}-\d\d-\d\d[T ]?[\d:.Z+]*|\d\d:\d\d:\d\d[\d.]*")


def read_shark(line: str) -> Line | None:
    """“1 0.000000 198.51.100.7 → 10.0.0.5 TCP 74 51515 → 22 [SYN]”, with the arrow or, copied from the window, without."""
    for found in _SHARK.finditer(line[:400]):
        if is_address(found[1]) and is_address(found[2]):
            return _shark(line, found)
    return None


def _shark(line: str, found: re.Match[str]) -> Line:
    source, destination, name, _ = found.groups()
    told = line[found.start(4) :] if found[4] else ""
    ports = _PORTS.search(told)
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
    number = protocol_number(name)
    if number is not None:
        return number
    if _OVER_TCP.match(name) or "Seq=" in told:
        return 6
    return 17 if _OVER_UDP.match(name) else None


def read_columns(line: str) -> Line | None:
    """Two addresses and two ports in columns, and nothing else but a time and a protocol's name."""
    if len(line) > 200:
        return None
    words = [word for word in _SEPARATORS.split(line) if word and not _TIME.fullmatch(word)]
    shape = "".join(map(_letter, words[:6]))
    places = _SHAPES.get(shape.strip("w"))
    if places is None or len(shape) > 5:
        return None
    number = protocol_number(words[shape.index("w")]) if "w" in shape else None
    source, destination, source_port, port = (words[at + shape.startswith("w")] for at in places)
    return Told(number, source, destination, port, source_port).line(line, "columns")


def _letter(word: str) -> str:
    """What a word is: an address, a port, or the name of a protocol."""
    if is_address(word):
        return "a"
    if _port(word):
        return "p"
    return "w" if word.isalpha() and protocol_number(word) is not None else "?"


def _port(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 5 and int(word) <= 65535
