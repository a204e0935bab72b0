"""Lines of Wireshark and tshark, and bare columns of addresses and ports as their “-T fields” prints them."""

import re

from securitygroups.firewall.lines.dumps import about_in, answer_in, flags_in, icmp_in
from securitygroups.firewall.lines.line import Line, is_address, packet_fields, protocol_number

_SHARK = re.compile(
    r"(?:^|\s)([0-9A-Fa-f.:]{2,45})\s+(?:(?:→|->|>)\s+)?([0-9A-Fa-f.:]{2,45})\s+([A-Z][\w./-]*)\s+\d{1,7}(?:\s+(.*)|\Z)",
    re.S,
)
_PORTS = re.compile(r"(?:^|\s)(?:[\w-]+\()?(\d{1,5})\)?\s(?:→|->|>)\s(?:[\w-]+\()?(\d{1,5})\)?(?=\s|\Z)")
_OVER_TCP = re.compile(r"(?:TLS|SSL|SSH|HTTP|SMTP|FTP|IMAP|POP|BGP|SMB|MySQL|PGSQL|RDP|LDAP)", re.IGNORECASE)
_OVER_UDP = re.compile(r"(?:QUIC|NTP|DHCP|MDNS|SSDP|WireGuard|NBNS|LLMNR|SNMP|TFTP|ISAKMP)", re.IGNORECASE)
_LATER = "a packet of a connection that was opened before"
_SEPARATORS = re.compile(r"[\s,;|\"]+")
_TIME = re.compile(r"\d+\.\d+|\d{4}-\d\d-\d\d[T ]?[\d:.Z+]*|\d\d:\d\d:\d\d[\d.]*")


def read_shark(line: str) -> Line | None:
    """“1 0.000000 198.51.100.7 → 10.0.0.5 TCP 74 51515 → 22 [SYN]”, with the arrow or, copied from the window, without."""
    for found in _SHARK.finditer(line[:400]):
        if is_address(found[1]) and is_address(found[2]):
            break
    else:
        return None
    source, destination, name, told = found[1], found[2], found[3], line[found.start(4) :] if found[4] else ""
    ports = _PORTS.search(told)
    number = protocol_number(name)
    if number is None:
        tcp = _OVER_TCP.match(name) or "Seq=" in told
        number = 6 if tcp else 17 if _OVER_UDP.match(name) else None
    icmp = number in (1, 58)
    # Of TLS and the like, packets are shown that carry it: those come after the one that opened the connection.
    later = number == 6 and name != "TCP" and not ports
    return Line(
        line,
        packet_fields(number, source, destination, ports[2] if ports else ""),
        ports[1] if ports else "",
        flags_in(told) if number == 6 else None,
        kind="tshark",
        icmp=icmp_in(told, six=":" in source) if icmp else None,
        answer=_LATER if later else answer_in(told) if number in (17, None) else "",
        opener={} if later else about_in(told, destination) if icmp else None,
    )


def read_columns(line: str) -> Line | None:
    """Two addresses and two ports in columns, and nothing else but a time and a protocol's name."""
    if len(line) > 200 or not ("." in line or ":" in line):
        return None
    words = [word for word in _SEPARATORS.split(line) if word]
    if not 4 <= len(words) <= 7:
        return None
    places = [at for at, word in enumerate(words) if is_address(word)]
    if len(places) != 2:
        return None
    first, second = places
    rest = [at for at in range(len(words)) if at not in places]
    between = (
        (first + 1, second + 1) if second == first + 2 else (second + 1, second + 2) if second == first + 1 else ()
    )
    if not between or not all(at < len(words) and _port(words[at]) for at in between):
        return None
    names = [words[at] for at in rest if at not in between and not _TIME.fullmatch(words[at])]
    number = protocol_number(names[0]) if len(names) == 1 and names[0].isalpha() else None
    if names and number is None:
        return None
    fields = packet_fields(number, words[first], words[second], words[between[1]])
    return Line(line, fields, words[between[0]], kind="columns")


def _port(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 5 and int(word) <= 65535
