"""Lines of firewall appliances: Cisco ASA, FTD, IOS and NX-OS, Juniper, Palo Alto, MikroTik, NSX."""

import csv
import re

from securitygroups.firewall.lines.dumps import icmp_in
from securitygroups.firewall.lines.line import (
    ANSWER,
    FLAGS,
    NAMES_NOT_NUMBERS,
    Line,
    Told,
    digits,
    flags_of_letters,
    flags_of_number,
    is_address,
    packet_fields,
    protocol_number,
)

# ── Cisco ASA and FTD ─────────────────────────────────────────────────────────

_ASA = re.compile(r"%?(?:ASA|FTD|PIX|FWSM)-(?:\w*-)?\d-(\d{6}):? ?(.*)", re.DOTALL)
_ASA_SIGNS = ("ASA-", "FTD-", "PIX-", "FWSM-")
# ASDM's viewer has the number and the ends in columns before the text.
_ASDM = re.compile(r"\b\d\|[A-Z][a-z]{2} \d{1,2} \d{4}\|[\d:]{8}\|(\d{6})\|(?:[^|]{0,60}\|){4}(.*)", re.DOTALL)
_ASA_WORD = re.compile(
    r"\b(?:Built (?:in|out)bound(?: stub)?|Teardown(?: stub)?|to drop|denied:|Den(?:y|ied)(?: inbound)?(?: \(No xlate\))?|denied|permitted|est-allowed|"
    r"[Ii]nbound|[Dd]uplicate|message:|protocol[ =]|Connection for|failed for|found for|hop for|interface for|stub|an) ?"
    r"(?:protocol )?([A-Za-z][\w-]*|\d{1,3})\b"
)
_ASA_FIRST = re.compile(r"\A(\w+) (?:access|request|Connection|packet|flow)\b", re.IGNORECASE)
_ASA_FLAGS = re.compile(r"\bflags ((?:(?:SYN|ACK|FIN|RST|PSH|URG)\s?)+)")
_ASA_ICMP = re.compile(r"\b(?:ICMP )?type[ =](\d{1,3})\b")
_ASA_USER = re.compile(r" for user ('[^']{0,60}'|\S+)")
_ASA_BETWEEN = ((" src ", " dst "), (" src ", " dest "), (" faddr ", " laddr "), (" from ", " to "), (" for ", " to "))
_ASA_NO_PACKET = (
    "This message of a Cisco ASA tells of no packet with two addresses: paste one such as 106023, 106100 or 302013."
)
_ASA_END = (
    "The line says that a connection ended, not who opened it: the end with the lower port is taken as the one that was "
    "connected to. The “Built” line of the same connection says it."
)
_ASA_NAMES = NAMES_NOT_NUMBERS.format("“no names” in the configuration of the ASA")
_ASA_TEARDOWN = {"302014", "302016", "302018", "302021", "302023", "302025", "302027", "302304"}
_ASA_TRANSLATIONS = {"305009", "305010", "305011", "305012"}
_ASA_ICMP_ERROR = "313005"

End = tuple[str, str]
"""An address, and its port or ""."""


def read_asa(line: str) -> Line | None:
    # What FTD writes of connections is key: value.
    signed = any(map(line.__contains__, _ASA_SIGNS)) and "SrcIP:" not in line
    found = _ASA.search(line) if signed else _ASDM.search(line) if "|" in line else None
    if not found:
        return None
    identity, text = found.groups()
    ends = None if identity in _ASA_TRANSLATIONS else _asa_ends(text)
    if ends is None:
        return Line(line, {}, kind="Cisco ASA log", advice=_ASA_NO_PACKET)
    if ends[0] is None or ends[1] is None:
        return Line(line, {}, kind="Cisco ASA log", advice=_ASA_NAMES)
    return _asa_line(line, identity, text, (ends[0], ends[1]))


def _asa_ends(text: str) -> tuple[End | None, End | None] | None:
    """The two ends: None for one that has a name, and None at all where the message has no two."""
    if text.startswith("access-list "):
        left, arrow, right = _ASA_USER.sub("", text).partition(" -> ")
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
    for at, word in enumerate(text.split()[:4]):
        if word.startswith("("):
            if at:
                return None
            word = word[1:].rstrip(")")
        word, _, behind = word.rstrip(".,:;").partition("(")
        port = behind.rstrip(")") if behind.rstrip(")").isdecimal() else ""
        rest, slash, tail = word.rpartition("/")
        if slash and not port and not is_address(tail):
            word, port = rest, tail
        for candidate in (word, word.partition(":")[2], word.rpartition("/")[2]):
            if is_address(candidate):
                return candidate, port
    return None


def _asa_line(line: str, identity: str, text: str, ends: tuple[End, End]) -> Line:
    source, destination = ends
    if _turned(identity, text, ends):
        source, destination = destination, source
    told = Told(_asa_number(identity, text), source[0], destination[0], destination[1], source[1])
    told.said = "allow" if text.startswith(("Built", "Teardown")) else text.partition(" by ")[0].partition(" from ")[0]
    flags = _ASA_FLAGS.search(text)
    told.flags = frozenset(flags[1].split()) & FLAGS if flags else None
    told.icmp = _asa_type(identity, text, ends[0])
    told.advice = _ASA_END if identity in _ASA_TEARDOWN else ""
    told.answer = ANSWER if "due to DNS Response" in text else ""
    told.opener = _asa_about(text) if identity == _ASA_ICMP_ERROR else None
    return told.line(line, "Cisco ASA log")


def _turned(identity: str, text: str, ends: tuple[End, End]) -> bool:
    """Whether the second end opened it: “for outside … to inside …” names them in the order of their interfaces."""
    if identity in _ASA_TEARDOWN:
        first, second = (end[1] for end in ends)
        return first.isdecimal() and second.isdecimal() and int(first) < int(second)
    # “from … to …” names them as they went.
    return "Built outbound" in text and " for " in text


def _asa_type(identity: str, text: str, source: End) -> str | int | None:
    if identity.startswith("1061") and source[1].isdecimal():
        return source[1]
    kind = _ASA_ICMP.search(text)
    # Those of IPS tell it in words.
    return kind[1] if kind else icmp_in(text, six=":" in source[0])


def _asa_about(text: str) -> dict[str, str] | None:
    """“Original IP payload: udp src 10.0.0.5/53 dst 198.51.100.7/5000”."""
    name, _, rest = text.partition("Original IP payload: ")[2].partition(" ")
    ends = _asa_ends(rest)
    if not ends or not ends[0] or not ends[1]:
        return None
    return packet_fields(protocol_number(name), ends[0][0], ends[1][0], ends[1][1])


def _asa_number(identity: str, text: str) -> int | None:
    if text.startswith("access-list "):
        return protocol_number("".join(text.split()[3:4]))
    for found in (_ASA_FIRST.search(text), *_ASA_WORD.finditer(text)):
        number = protocol_number(found[1]) if found and found[1] != "IP" else None
        if number is not None:
            return number
    if " TCP " in text or " flags " in text:
        return 6
    return 1 if "echo request" in text or "ICMP " in text else None


# ── Cisco IOS, IOS XR ─────────────────────────────────────────────────────────

_IOS = re.compile(
    r"(?:[Ll]ist|access-list) \S+(?: \(\d+\)| [A-Z]\w*\d[\w/.]*)?(?: seq[ #]\d+)? (permitted|denied|permit|deny|Deny|Permit) (\S+) ([0-9A-Fa-f.:]+)(?:\((\d+)\))?"
    r"(?: ?\([^)]*\)| [A-Z]\w*\d)? ?-> ?([0-9A-Fa-f.:]+?)(?:\((\d+)\))?(?: \((\d+)/\d+\))?(?:,|\s|\Z)"
)
_IOS_ZONE = re.compile(
    r"(Dropping|Passing|Start|Stop) (\w+) (?:session|pkt|packet)(?:: initiator)?(?: from \S+)? \(?([0-9A-Fa-f.:]+):(\d+)\)?"
    r"(?: sent \d+ bytes)?(?: --)?(?: responder)? (?:=> )?\(?([0-9A-Fa-f.:]+):(\d+)"
)
_IOS_FLAGS = re.compile(r"\btcp ?flags?[: ]0x([0-9A-Fa-f]{1,4})\b")
_IOS_STANDARD = (
    "A standard access list logs the source alone, so the line says neither where the packet went nor its port: "
    "log an extended list."
)


def read_ios(line: str) -> Line | None:
    """“%SEC-6-IPACCESSLOGP: list 101 denied tcp 198.51.100.7(51515) -> 10.0.0.5(22), 1 packet”, and its kin."""
    if "ACCESSLOG" not in line and "ACL" not in line:
        return _zone(line)
    found = _IOS.search(line)
    if found:
        said, name, source, source_port, destination, port, icmp = found.groups("")
        if source_port == port == "0":
            # So it writes what it did not look at, where no line of the list asks for ports.
            source_port = port = ""
        return Told(name, source, destination, port, source_port, said=said, icmp=icmp).line(line, "Cisco IOS log")
    standard = "ACCESSLOGS:" in line or "ACCESSLOGS :" in line
    return Line(line, {}, kind="Cisco IOS log", advice=_IOS_STANDARD) if standard else None


def _zone(line: str) -> Line | None:
    """The firewall of IOS: “%FW-6-DROP_PKT: Dropping tcp session 198.51.100.7:51515 10.0.0.5:22 on zone-pair …”."""
    found = _IOS_ZONE.search(line) if "%FW-" in line or "%IOSXE-" in line else None
    if not found:
        return None
    said, name, source, source_port, destination, port = found.groups()
    told = Told(name, source, destination, port, source_port, said="drop" if said == "Dropping" else "pass")
    told.icmp, flags = source_port, _IOS_FLAGS.search(line)
    told.flags = flags_of_number(int(flags[1], 16)) if flags else None
    return told.line(line, "Cisco IOS log")


# ── Juniper ───────────────────────────────────────────────────────────────────

_JUNOS = re.compile(
    r"session (created|denied|closed)[^/]{0,200}?(?<![0-9A-Fa-f.:])([0-9A-Fa-f.:]+)/(\d+)->([0-9A-Fa-f.:]+)/(\d+)(.*)",
    re.DOTALL,
)
_JUNOS_DENIED = re.compile(r"\b(\d{1,3})\((\d{1,3})\) ")
_JUNOS_NAT = re.compile(r" [0-9A-Fa-f.:]+/\d+->[0-9A-Fa-f.:]+/\d+ (.*)", re.DOTALL)
_JUNOS_NUMBER = re.compile(r"(?:^| )(\d{1,3}) \S+ \S+ \S+ \d+")
_STRUCTURED = re.compile(
    r'(?<![\w-])(source-address|destination-address|source-port|destination-port|protocol-id|protocol-name|icmp-type)="([^"]*)"'
)
_PFE = re.compile(
    r"FW: \S+ +(\w) +(?:[0-9a-f]{4}(?::[0-9a-f]{4})? [0-9a-f:]{17} -> [0-9a-f:]{17} +|(?:[0-9a-f:]{17} ){2}(?:[0-9a-f:]{1,9} +){1,4})?(\w+) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) +(\d+) +(\d+)"
)
_SESSION = re.compile(r"\b(In|Out): ([0-9A-Fa-f.:]+)/(\d{1,5}) --> ([0-9A-Fa-f.:]+)/(\d{1,5});(\w+)")


def read_junos(line: str) -> Line | None:
    if "RT_" in line and 'source-address="' in line:
        return _structured(line)
    if "session " in line and (found := _JUNOS.search(line)):
        return _session(line, found)
    if ";" in line and (found := _SESSION.search(line)):
        return _wing(line, found)
    found = _PFE.search(line) if "FW: " in line else None
    return _filtered(line, found) if found else None


def _wing(line: str, found: re.Match[str]) -> Line:
    """One of the two ways of a session in a listing: what goes “Out” answers what came “In”."""
    way, source, source_port, destination, port, name = found.groups()
    told = Told(name, source, destination, port, source_port, answer=ANSWER if way == "Out" else "")
    return told.line(line, "Juniper session")


def _filtered(line: str, found: re.Match[str]) -> Line:
    """What the filter of an interface took or threw away."""
    # Of ICMP, the type stands where others have the sender's port.
    said, name, source, destination, first, second = found.groups()
    told = Told(name, source, destination, second, first, said="accept" if said == "A" else "drop", icmp=first)
    return told.line(line, "Juniper log")


def _session(line: str, found: re.Match[str]) -> Line:
    what, source, source_port, destination, port, rest = found.groups()
    told = Told(None, source, destination, port, source_port, said="accept")
    if what == "denied":
        said = _JUNOS_DENIED.search(rest)
        told.said, told.icmp = "deny", said[2] if said else None
    else:
        translated = _JUNOS_NAT.search(rest)
        said = _JUNOS_NUMBER.search(translated[1]) if translated else None
    told.protocol = said[1] if said else None
    return told.line(line, "Juniper log")


def _structured(line: str) -> Line | None:
    told = dict(_STRUCTURED.findall(line))
    source, destination = told.get("source-address", ""), told.get("destination-address", "")
    if not source or not destination:
        return None
    packet = Told(told.get("protocol-id", told.get("protocol-name")), source, destination)
    packet.port, packet.source_port = told.get("destination-port", ""), told.get("source-port", "")
    packet.said, packet.icmp = (
        "deny" if "DENY" in line or 'action="drop"' in line.lower() else "accept",
        told.get("icmp-type"),
    )
    return packet.line(line, "Juniper log")


# ── Palo Alto, MikroTik, NSX ──────────────────────────────────────────────────


def read_palo_alto(line: str) -> Line | None:
    """The CSV of a TRAFFIC or THREAT log, whose places are the same up to the verdict."""
    if ",TRAFFIC," not in line and ",THREAT," not in line:
        return None
    # Names of rules may have commas in quotes.
    values = next(csv.reader([line.replace("\n", " ").replace("\r", " ")]), [])
    at = next((at for at, value in enumerate(values) if value in ("TRAFFIC", "THREAT")), len(values))
    values = values[at:]
    if len(values) < 28 or not is_address(values[4]):
        return None
    told = Told(values[26], values[4], values[5], digits(values[22]), values[21], said=values[27])
    return told.line(line, "Palo Alto log")


_MIKROTIK = re.compile(
    r"\b\w+: in:([^,]{1,60}?) out:([^,]{1,60}?), [^>]{0,120}?proto (\w+)(?: \(([^)]{0,60})\))?, "
    r"\[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?->\[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?, "
)

_NONE = ("(unknown", "(none")


def read_mikrotik(line: str) -> Line | None:
    found = _MIKROTIK.search(line) if " in:" in line and "proto " in line else None
    if not found:
        return None
    entering, leaving, name, told, source, source_port, destination, port = found.groups("")
    packet = Told(name, source, destination, port, source_port, said=line[: found.start()])
    ways = not entering.startswith(_NONE), not leaving.startswith(_NONE)
    packet.direction = {(True, False): "in", (False, True): "out"}.get(ways, "")
    packet.flags = frozenset(told.replace(" ", "").split(",")) & FLAGS or None
    packet.icmp = told.partition("type ")[2].partition(",")[0]
    return packet.line(line, "MikroTik log")


_NSX = re.compile(
    r"\bmatch (\w+) \S+ (IN|OUT) \d+ (?:PROTO )?(\w+) ([0-9A-Fa-f.:]+)(?:/(\d+))?->([0-9A-Fa-f.:]+)(?:/(\d+))?(?: ([SAFRPUEWC]{1,8})(?:\s|\Z))?"
)


def read_nsx(line: str) -> Line | None:
    """“INET match DROP 1001 IN 60 TCP 198.51.100.7/51515->10.0.0.5/22 S”, whose direction is that of the VM's interface."""
    found = _NSX.search(line) if " match " in line and "->" in line else None
    if not found:
        return None
    said, way, name, source, source_port, destination, port, flags = found.groups("")
    told = Told(name, source, destination, port, source_port, way.lower(), said)
    told.flags = flags_of_letters(flags) if flags else None
    return told.line(line, "NSX log")
