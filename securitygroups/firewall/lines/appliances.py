"""Lines of firewall appliances: Cisco ASA, FTD, IOS and NX-OS, Juniper, Palo Alto, MikroTik, NSX."""

import csv
import re

from securitygroups.firewall.lines.line import (
    ANSWER,
    NAMES_NOT_NUMBERS,
    Line,
    flags_of_letters,
    is_address,
    packet_fields,
    protocol_number,
    verdict_of,
)

_FLAGS = {"SYN", "ACK", "FIN", "RST", "PSH", "URG"}

# ── Cisco ASA and FTD ─────────────────────────────────────────────────────────

_ASA = re.compile(r"%?(?:ASA|FTD|PIX|FWSM)-(?:\w+-)?\d-(\d{6}):? ?(.*)", re.DOTALL)
_ASA_WORD = re.compile(
    r"\b(?:Built (?:in|out)bound|Teardown|Den(?:y|ied)(?: inbound)?(?: \(No xlate\))?|denied|permitted|est-allowed|"
    r"[Ii]nbound|duplicate|message:|protocol[ =]|Connection for) ?(?:protocol )?([A-Za-z][\w-]*|\d{1,3})\b"
)
_ASA_FIRST = re.compile(r"\A(\w+) (?:access|request|Connection|packet)\b", re.IGNORECASE)
_ASA_FLAGS = re.compile(r"\bflags ((?:(?:SYN|ACK|FIN|RST|PSH|URG)\s?)+)")
_ASA_ICMP = re.compile(r"\btype[ =](\d{1,3})\b")
_ASA_BETWEEN = ((" src ", " dst "), (" src ", " dest "), (" faddr ", " laddr "), (" from ", " to "), (" for ", " to "))
_ASA_NO_PACKET = (
    "This message of a Cisco ASA tells of no packet with two addresses: paste one such as 106023, 106100 or 302013."
)
_ASA_END = (
    "The line says that a connection ended, not who opened it: the end with the lower port is taken as the one that was "
    "connected to. The “Built” line of the same connection says it."
)
_ASA_NAMES = NAMES_NOT_NUMBERS.format("“no names” in the configuration of the ASA")
_ASA_TEARDOWN = {"302014", "302016", "302018", "302021", "302304"}
_ASA_TRANSLATIONS = {"305009", "305010", "305011", "305012"}
_ASA_ICMP_ERROR = "313005"

End = tuple[str, str]
"""An address, and its port or ""."""


def read_asa(line: str) -> Line | None:
    if "ASA-" not in line and "FTD-" not in line and "PIX-" not in line and "FWSM-" not in line:
        return None
    found = _ASA.search(line)
    if not found or "SrcIP:" in line:
        return None
    identity, text = found.groups()
    ends = None if identity in _ASA_TRANSLATIONS else _asa_ends(text)
    if ends is None:
        return Line(line, {}, kind="Cisco ASA log", advice=_ASA_NO_PACKET)
    source, destination = ends
    if source is None or destination is None:
        return Line(line, {}, kind="Cisco ASA log", advice=_ASA_NAMES)
    return _asa_line(line, identity, text, (source, destination))


def _asa_ends(text: str) -> tuple[End | None, End | None] | None:
    """The two ends: None for one that has a name, and None at all where the message has no two."""
    if text.startswith("access-list "):
        left, arrow, right = text.partition(" -> ")
        return (_asa_end(" ".join(left.split()[4:])), _asa_end(right)) if arrow else None
    text = f" {text}"
    for first, second in _ASA_BETWEEN:
        left, found, rest = text.partition(first)
        left, between, right = rest.partition(second)
        if found and between:
            return _asa_end(left), _asa_end(right)
    return None


def _asa_end(text: str) -> End | None:
    """Of “outside:198.51.100.7/51515”, “NP Identity Ifc:10.0.0.1/22” and “outside/198.51.100.7(51515)”; what stands in
    brackets behind it is the address that is mapped to it."""
    for word in text.split()[:3]:
        if word.startswith("("):
            return None
        word, _, behind = word.rstrip(".,:").partition("(")
        port = behind.rstrip(")") if behind.rstrip(")").isdecimal() else ""
        rest, slash, tail = word.rpartition("/")
        if slash and not port and not is_address(tail):
            word, port = rest, tail
        for candidate in (word, word.partition(":")[2], word.rpartition("/")[2]):
            if is_address(candidate):
                return candidate, port
    return None


def _asa_line(line: str, identity: str, text: str, ends: tuple[End, End]) -> Line:
    (source, source_port), (destination, port) = ends
    number, advice = _asa_number(identity, text, source), ""
    # “for outside … to inside …” names the ends in the order of their interfaces: of what goes out, the second opened it.
    if "Built outbound" in text:
        source, source_port, destination, port = destination, port, source, source_port
    elif identity in _ASA_TEARDOWN:
        advice = _ASA_END
        if source_port.isdecimal() and port.isdecimal() and int(source_port) < int(port):
            source, source_port, destination, port = destination, port, source, source_port
    icmp = number in (1, 58)
    flags = _ASA_FLAGS.search(text)
    return Line(
        line,
        packet_fields(number, source, destination, "" if icmp else port),
        "" if icmp else source_port,
        frozenset(flags[1].split()) & _FLAGS if flags else None,
        "accept"
        if text.startswith(("Built", "Teardown"))
        else verdict_of(text.partition(" by ")[0].partition(" from ")[0]),
        "Cisco ASA log",
        advice,
        icmp=_asa_type(identity, text, source_port) if icmp else None,
        answer=ANSWER if "due to DNS Response" in text else "",
        opener=_asa_about(text) if identity == _ASA_ICMP_ERROR else None,
    )


def _asa_type(identity: str, text: str, source_port: str) -> int | None:
    if identity.startswith("1061") and source_port.isdecimal():
        return int(source_port)
    kind = _ASA_ICMP.search(text)
    return int(kind[1]) if kind else None


def _asa_about(text: str) -> dict[str, str] | None:
    """“Original IP payload: udp src 10.0.0.5/53 dst 198.51.100.7/5000”."""
    name, _, rest = text.partition("Original IP payload: ")[2].partition(" ")
    ends = _asa_ends(rest)
    if not ends or not ends[0] or not ends[1]:
        return None
    return packet_fields(protocol_number(name), ends[0][0], ends[1][0], ends[1][1])


def _asa_number(identity: str, text: str, source: str) -> int | None:
    for found in (_ASA_FIRST.search(text), *_ASA_WORD.finditer(text)):
        number = protocol_number(found[1]) if found and found[1] != "IP" else None
        if number is not None:
            return 58 if number == 1 and ":" in source else number
    return 6 if " flags " in text else None


# ── Cisco IOS, IOS XR ─────────────────────────────────────────────────────────

_IOS = re.compile(
    r"(?:list|access-list) (\S+)(?: \(\d+\))?(?: seq \d+)? (permitted|denied|permit|deny|Deny|Permit) (\S+) ([0-9A-Fa-f.:]+)(?:\((\d+)\))?"
    r"(?: ?\([^)]*\))? ?-> ([0-9A-Fa-f.:]+?)(?:\((\d+)\))?(?: \((\d+)/\d+\))?(?:,|\s|\Z)"
)
_IOS_ZONE = re.compile(
    r"(?:Dropping|Passing|Start) (\w+) (?:session|pkt|packet)(?:: initiator)? \(?([0-9A-Fa-f.:]+):(\d+)\)?(?: --)?(?: responder)? "
    r"(?:=> )?\(?([0-9A-Fa-f.:]+):(\d+)"
)
_IOS_STANDARD = (
    "A standard access list logs the source alone, so the line says neither where the packet went nor its port: "
    "log an extended list."
)


def read_ios(line: str) -> Line | None:
    """“%SEC-6-IPACCESSLOGP: list 101 denied tcp 198.51.100.7(51515) -> 10.0.0.5(22), 1 packet”, and its kin."""
    if "ACCESSLOG" in line or "ACL-" in line:
        found = _IOS.search(line)
        if not found:
            short = "ACCESSLOGS:" in line or "ACCESSLOGS :" in line
            return Line(line, {}, kind="Cisco IOS log", advice=_IOS_STANDARD) if short else None
        _, said, name, source, source_port, destination, port, icmp = found.groups("")
        number = protocol_number(name)
        if number == 1 and ":" in source:
            number = 58
        fields = packet_fields(number, source, destination, port if number not in (1, 58) else "")
        return Line(
            line, fields, source_port, said=verdict_of(said), kind="Cisco IOS log", icmp=int(icmp[:3]) if icmp else None
        )
    found = _IOS_ZONE.search(line) if "%FW-" in line or "%IOSXE-" in line else None
    if not found:
        return None
    name, source, source_port, destination, port = found.groups()
    fields = packet_fields(protocol_number(name), source, destination, port)
    return Line(line, fields, source_port, said="drop" if "Dropping" in line else "accept", kind="Cisco IOS log")


# ── Juniper ───────────────────────────────────────────────────────────────────

_JUNOS = re.compile(
    r"session (created|denied|closed)[^/]*? ?([0-9A-Fa-f.:]+)/(\d+)->([0-9A-Fa-f.:]+)/(\d+)(.*)", re.DOTALL
)
_JUNOS_DENIED = re.compile(r"\b(\d{1,3})\((\d{1,3})\) ")
_JUNOS_NAT = re.compile(r" [0-9A-Fa-f.:]+/\d+->[0-9A-Fa-f.:]+/\d+ (.*)", re.DOTALL)
_JUNOS_NUMBER = re.compile(r"(?:^| )(\d{1,3}) \S+ \S+ \S+ \d+")
_STRUCTURED = re.compile(
    r'\b(source-address|destination-address|source-port|destination-port|protocol-id|icmp-type)="([^"]*)"'
)
_PFE = re.compile(r"FW: \S+ +(\w) +(\S+) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) +(\d+) +(\d+)")


def read_junos(line: str) -> Line | None:
    if "RT_" in line and 'source-address="' in line:
        return _structured(line)
    if "RT_FLOW" in line or "session " in line:
        found = _JUNOS.search(line)
        return _session(line, found) if found else None
    found = _PFE.search(line) if "FW: " in line else None
    if not found:
        return None
    said, name, source, destination, first, second = found.groups()
    number = protocol_number(name)
    icmp = number in (1, 58)
    fields = packet_fields(number, source, destination, "" if icmp else second)
    verdict = "accept" if said == "A" else "drop"
    return Line(line, fields, first, said=verdict, kind="Juniper log", icmp=int(first[:3]) if icmp else None)


def _session(line: str, found: re.Match[str]) -> Line:
    what, source, source_port, destination, port, rest = found.groups()
    if what == "denied":
        told = _JUNOS_DENIED.search(rest)
    else:
        translated = _JUNOS_NAT.search(rest)
        told = _JUNOS_NUMBER.search(translated[1]) if translated else None
    number = protocol_number(told[1]) if told else None
    icmp = int(told[2]) if what == "denied" and told and number in (1, 58) else None
    fields = packet_fields(number, source, destination, port)
    verdict = "drop" if what == "denied" else "accept"
    return Line(line, fields, source_port, said=verdict, kind="Juniper log", icmp=icmp)


def _structured(line: str) -> Line | None:
    told = dict(_STRUCTURED.findall(line))
    source, destination = told.get("source-address", ""), told.get("destination-address", "")
    if not source or not destination:
        return None
    fields = packet_fields(
        protocol_number(told.get("protocol-id", "")), source, destination, told.get("destination-port", "")
    )
    denied = "DENY" in line or 'action="drop"' in line
    return Line(line, fields, told.get("source-port", ""), said="drop" if denied else "accept", kind="Juniper log")


# ── Palo Alto, MikroTik, NSX ──────────────────────────────────────────────────


def read_palo_alto(line: str) -> Line | None:
    """The CSV of a TRAFFIC or THREAT log, whose places are the same up to the verdict."""
    if ",TRAFFIC," not in line and ",THREAT," not in line:
        return None
    try:
        values = next(csv.reader([line]))
    except (csv.Error, StopIteration):
        return None
    at = values.index("TRAFFIC") if "TRAFFIC" in values else values.index("THREAT") if "THREAT" in values else 99
    values = values[at:]
    if len(values) < 28 or not is_address(values[4]):
        return None
    number = protocol_number(values[26])
    fields = packet_fields(number, values[4], values[5], values[22])
    return Line(line, fields, values[21], said=verdict_of(values[27]), kind="Palo Alto log")


_MIKROTIK = re.compile(
    r"\b(\w+): in:(\S.*?) out:(\S.*?), .*?proto (\w+)(?: \(([^)]*)\))?, \[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?->\[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?, "
)


def read_mikrotik(line: str) -> Line | None:
    if " in:" not in line or " out:" not in line or "proto " not in line:
        return None
    found = _MIKROTIK.search(line)
    if not found:
        return None
    _, entering, leaving, name, told, source, source_port, destination, port = found.groups("")
    ways = "(unknown" not in entering, "(unknown" not in leaving
    number = protocol_number(name)
    if number == 1 and ":" in source:
        number = 58
    icmp = re.match(r"type (\d{1,3})", told)
    return Line(
        line,
        packet_fields(number, source, destination, port, "" if ways[0] == ways[1] else "in" if ways[0] else "out"),
        source_port,
        frozenset(told.replace(" ", "").split(",")) & _FLAGS or None if number == 6 else None,
        verdict_of(line[: found.start()]),
        "MikroTik log",
        icmp=int(icmp[1]) if icmp else None,
    )


_NSX = re.compile(
    r"\bmatch (\w+) \S+ (IN|OUT) \d+ (?:PROTO )?(\w+) ([0-9A-Fa-f.:]+)(?:/(\d+))?->([0-9A-Fa-f.:]+)(?:/(\d+))?(?: ([SAFRPUEWC]{1,8})(?:\s|\Z))?"
)


def read_nsx(line: str) -> Line | None:
    """“INET match DROP 1001 IN 60 TCP 198.51.100.7/51515->10.0.0.5/22 S”, whose direction is that of the VM's interface."""
    found = _NSX.search(line) if " match " in line and "->" in line else None
    if not found:
        return None
    said, way, name, source, source_port, destination, port, flags = found.groups("")
    number = protocol_number(name)
    fields = packet_fields(number, source, destination, port, way.lower())
    return Line(line, fields, source_port, flags_of_letters(flags) if flags else None, verdict_of(said), "NSX log")
