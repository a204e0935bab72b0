"""Lines of names and values, as JSON (Suricata, Zeek, GCP, ECS, OCSF, Hubble …) and as key=value (FortiGate, CEF, SonicWall …).

All such logs tell the same few things under many names, which stand in one table here.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from securitygroups.firewall.lines.dumps import SNORT, icmp_in
from securitygroups.firewall.lines.line import (
    ANSWER,
    FLAGS,
    Line,
    Told,
    digits,
    flags_of_letters,
    flags_of_number,
    is_address,
    protocol_number,
)

_KNOWN = {
    "source": "src srcip srcap ipv4srcaddr ipv6srcaddr initiatorip srcaddr srcipaddr srcipv4 srcipv6 saddr source sourceip sourceaddr sourceaddress sourceipaddress"
    " sourceipv4address sourceipv6address ipsrc source.ip source.address src.ip srcendpoint.ip id.origh ip.src ipv6.src"
    " ip.source source.ipaddress ip.saddr ipipsrc ipv6ipv6src idorigh",
    "destination": "dst dstip dstap ipv4dstaddr ipv6dstaddr targetip dstaddr dstipaddr dstipv4 dstipv6 daddr dest destip destaddr destaddress destination"
    " destinationip destinationaddr destinationaddress destinationipaddress destinationipv4address"
    " destinationipv6address ipdst destination.ip destination.address dst.ip dest.ip dstendpoint.ip id.resph ip.dst"
    " ipv6.dst ip.destination destination.ipaddress ip.daddr ipipdst ipv6ipv6dst idresph",
    "from": "srcport initiatorport sport spt sourceport sourcetransportport source.port src.port srcendpoint.port id.origp tcp.srcport"
    " udp.srcport l4srcport srcprt idorigp tcpsrcport udpsrcport sctpsrcport tcptcpsrcport udpudpsrcport sctpsctpsrcport",
    "port": "dstport targetport dport dpt destport destinationport destinationtransportport destination.port dst.port"
    " dest.port dstendpoint.port id.respp tcp.dstport udp.dstport l4dstport dstprt service idrespp tcpdstport udpdstport"
    " sctpdstport tcptcpdstport udpudpdstport sctpsctpdstport",
    "number": "ipproto ipprotocol ip.proto ip.protocol ipv6.nxt protocolid protocolidentifier protocolnumber iananumber"
    " network.iananumber connectioninfo.protocolnum ipipproto ipv6nxt ipv6ipv6nxt",
    "protocol": "proto protocol protocolname protoname transport network.transport connectioninfo.protocolname"
    " transportprotocol l4proto l4protocol",
    "direction": "direction dir trafficdirection network.direction ruledetails.direction",
    "own": "flowdirection",
    "reporter": "reporter",
    "said": "action act disposition verdict verdict.action event.action alert.action logsubtype accesscontrolruleaction"
    " aceaction",
    "status": "status flowstatus",
    "icmp": "icmptype icmp.type icmpv4.type icmpv6.type icmpicmptype icmpv6icmpv6type",
    "flags": "tcpflags tcp.flags tcptcpflags",
    "event": "eventtype",
    "reply": "isreply",
    "entering": "oob.in",
    "leaving": "oob.out",
}
_ROLES = {name: role for role, names in _KNOWN.items() for name in names.split()}
_DIRECTIONS = {"ingress": "in", "egress": "out", "in": "in", "out": "out"}
"""Words that mean the VM; “inbound” and “outbound” mean the device's own network."""
_OWN_DIRECTIONS = _DIRECTIONS | {"i": "in", "o": "out", "inbound": "in", "outbound": "out"}
"""Those of a flow log of the VM's own interface (VPC, Azure)."""
_REPORTERS = {"dest": "in", "src": "out"}
_FLAG = {"syn", "ack", "fin", "rst", "psh", "urg"}
_CARRIED = re.compile("tcp|udp|sctp")
"""Ports by the names that tshark has for them tell the protocol."""
_DEEPEST = 12
_CARRIES = {"message", "msg", "log", "textpayload", "raw", "original", "line", "body", "data", "rawlog", "eventmessage"}
_SHORTEST = 15
_MOST_CARRIED = 4
_CLOSES = {"{": "}", "[": "]"}
_OF_KIND = re.compile(r"_[sdgbt]\Z")
_JSON_SIGNS = re.compile(r'\\.|["{}\[\],]', re.DOTALL)
_NO_PACKET = "This is JSON, but the two addresses of a packet are not in it: paste a record that has them."


# ── JSON ──────────────────────────────────────────────────────────────────────


def read_json(line: str) -> Line | None:
    start = line.find("{")
    value = _loaded(line[start:]) if start >= 0 and '"' in line else None
    if not isinstance(value, dict):
        return None
    told: dict[str, str] = {}
    flags: set[str] = set()
    for path, leaf in _leaves(value):
        _take(told, flags, path, leaf)
    packet = _packet(line, told)
    if packet is None:
        return Line(line, {}, kind="JSON", advice=_NO_PACKET)
    packet.direction, packet.flags = _direction(told), packet.flags or frozenset(flags) or None
    return packet.line(line, "JSON")


def _direction(told: dict[str, str]) -> str:
    if "entering" in told or "leaving" in told:
        # The interfaces, of which the kernel has both of what it forwards.
        ways = bool(told.get("entering")), bool(told.get("leaving"))
        return {(True, False): "in", (False, True): "out"}.get(ways, "")
    said = _OWN_DIRECTIONS.get(told.get("own", "").lower()) or _DIRECTIONS.get(told.get("direction", "").lower())
    return said or _REPORTERS.get(told.get("reporter", "").lower(), "")


def _take(told: dict[str, str], flags: set[str], path: list[str], leaf: str) -> None:
    """One value, where its name is known; of a role the first is kept, which is the shallowest."""
    role = _role(path)
    if role in ("source", "destination") and not (leaf := _ended(role, leaf, told)):
        return
    if role in ("port", "protocol") and not _tells(role, leaf):
        return
    if role:
        told.setdefault(role, leaf)
    elif _is_flag(path) and leaf in ("True", "1"):
        flags.add(path[-1].rpartition(".")[2].upper())
    if path[-3:-2] == ["l4"]:
        told.setdefault("protocol", path[-2])
    elif role in ("port", "from") and (carried := _CARRIED.match(path[-1])):
        told.setdefault("carried", carried[0])


def _tells(role: str, text: str) -> bool:
    """Whether it is a port, or a protocol: some logs have the application's name under the same word, before either."""
    return bool(digits(text.removesuffix(".0"))) if role == "port" else _protocol_in(text) is not None


def _is_flag(path: list[str]) -> bool:
    """“syn” of Suricata's “drop” and of Hubble's “flags”, and “tcp.syn” of the kernel's log as JSON."""
    below, _, name = path[-1].rpartition(".")
    return name in _FLAG and (below == "tcp" or path[-2:-1] in (["drop"], ["flags"]))


def lines_in(line: str) -> Iterator[str]:
    """The lines of logs that a record of JSON carries: CloudWatch's “message”, Docker's “log” …"""
    start = line.find("{")
    value = _loaded(line[start:]) if start >= 0 else None
    texts = (
        (leaf for path, leaf in _leaves(value) if path[-1].strip("@") in _CARRIES) if isinstance(value, dict) else ()
    )
    yield from islice((text for text in texts if len(text) > _SHORTEST), _MOST_CARRIED)


def _loaded(text: str) -> Any:
    """The value; of a line that was cut off, what comes before the cut."""
    value = _decoded(text)
    return _decoded(_closed(text)) if value is None else value


def _decoded(text: str) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _closed(text: str) -> str:
    """The text up to its last comma that is none of a string, with the brackets closed that are open there."""
    kept = text[: max((at for at, letter in _outside_strings(text) if letter == ","), default=0)]
    closing: list[str] = []
    for _, letter in _outside_strings(kept):
        if letter in _CLOSES:
            closing.append(_CLOSES[letter])
        elif closing and letter != ",":
            closing.pop()
    return kept + "".join(reversed(closing))


def _outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """The brackets and commas that are none of a string."""
    quoted = False
    for found in _JSON_SIGNS.finditer(text):
        if found[0] == '"':
            quoted = not quoted
        elif not quoted and len(found[0]) == 1:
            yield found.start(), found[0]


def _leaves(value: Any) -> Iterator[tuple[list[str], str]]:
    """Each plain value with the names on the way to it, the shallowest first; of a list its first."""
    waiting: list[tuple[list[str], Any]] = [([], value)]
    for path, one in waiting:
        if isinstance(one, dict | list) and len(path) < _DEEPEST:
            waiting += _within(path, one)
        elif isinstance(one, str | int | float) and path:
            yield path, str(one)


def _within(path: list[str], one: Any) -> list[tuple[list[str], Any]]:
    if isinstance(one, list):
        return [(path, item) for item in one[:1] if not isinstance(item, list)]
    return [([*path, _plain(str(name))], item) for name, item in one.items()]


def _plain(name: str) -> str:
    """The name as the table has it; Azure's workspaces put the kind of the value behind: “DestPort_d”."""
    return _OF_KIND.sub("", name).lower().replace("_", "").replace("-", "").replace(" ", "")


def _role(path: list[str]) -> str | None:
    return _ROLES.get(path[-1]) or (_ROLES.get(".".join(path[-2:])) if len(path) > 1 else None)


# ── key=value ─────────────────────────────────────────────────────────────────

# A value is no name of a further pair, which an address is not either: it has no letter behind f before its first colon.
_PAIR = re.compile(
    r"(?<![\w.-])([A-Za-z][\w.-]{0,40}(?: (?:IP|Port|Address|Action))?)\s?[=:]\s{0,4}\"?(?![A-Za-z]{0,40}[G-Zg-z]\w{0,40}(?: IP)?[:=])([^\s\"|;,=]{1,60})"
)
_SHORT = {"T": "tcp", "U": "udp"}
_DISSECTED = {"Transmission Control Protocol, ": "tcp", "User Datagram Protocol, ": "udp"}
_TO, _FROM = ("dst", "dest", "daddr"), ("src", "source", "saddr")
_LETTERS = re.compile(r"[SAFRPUEWC.*12]{1,8}")
_WORDS = r"(?:SYN|ACK|FIN|RST|PSH|PUSH|URG|ECE|CWR)"
_IN_WORDS = re.compile(rf"{_WORDS}(?:[ ,|+/-]{{1,2}}{_WORDS})*", re.IGNORECASE)
_FLAGS_PAIR = re.compile(rf"\btcp_?flags\s?[=:]\s?\"?({_IN_WORDS.pattern})", re.IGNORECASE)


def read_pairs(line: str) -> Line | None:
    low = line.lower()
    if not any(map(low.__contains__, _TO)) or not any(map(low.__contains__, _FROM)):
        return None
    told = _roles_in(line)
    if words := _FLAGS_PAIR.search(line):
        told["flags"] = words[1]
    elif letters := SNORT.search(line):
        told["flags"] = letters[1]
    for name, protocol in _DISSECTED.items():
        if name in line:
            told |= {"carried": protocol, "flags": _of_summary(line) if protocol == "tcp" else ""}
    packet = _packet(line, told)
    return packet.line(line, _kind(line)) if packet else None


def _roles_in(line: str) -> dict[str, str]:
    """What the pairs of the line tell of a packet, by what they are of it; the first of each is taken."""
    told: dict[str, str] = {}
    for name, value in _PAIR.findall(line):
        role = _ROLES.get(_plain(name), "icmp" if name == "type" and digits(value) else "")
        value = _ended(role, value, told) if role in ("source", "destination") else value
        if role and value and (role not in ("port", "protocol") or _tells(role, value)):
            told.setdefault(role, value)
    return told


def _of_summary(line: str) -> str:
    """The flags as Wireshark's summary of a segment tells them: one that opens a connection acknowledges nothing."""
    return "" if "Ack: " not in line else "SYN ACK" if "Seq: 0," in line else "ACK"


def _ended(role: str, value: str, told: dict[str, str]) -> str:
    """The address; SonicWall writes its port and interface behind it: “198.51.100.7:51515:X1”."""
    if is_address(value):
        return value
    address, _, rest = value.partition(":")
    if not is_address(address):
        return ""
    if port := rest.partition(":")[0]:
        told.setdefault("from" if role == "source" else "port", port)
    return address


def _kind(line: str) -> str:
    for sign, kind in (("CEF:", "CEF"), ("LEEF:", "LEEF"), ("devname=", "FortiGate log"), ("logid=", "FortiGate log")):
        if sign in line:
            return kind
    return "key=value log"


def _packet(line: str, told: dict[str, str]) -> Told | None:
    if "source" not in told or "destination" not in told:
        return None
    port, source_port = (told.get(role, "").removesuffix(".0") for role in ("port", "from"))
    packet = Told(_number(told), told["source"], told["destination"], digits(port), source_port)
    packet.said = told.get("said", told.get("status", ""))
    # What a flow says of its flags is said of all its packets.
    packet.flags = None if told.get("event") in ("flow", "netflow") else _flags(told.get("flags", ""))
    # Zeek has the ICMP type where others have the sender's port.
    packet.icmp = source_port if 'orig_h"' in line else told.get("icmp")
    if not digits(packet.icmp or "0"):
        packet.icmp = icmp_in(line, six=":" in packet.source)
    if told.get("reply") == "True" or told.get("direction") in ("to_client", "S2C") or _goes_back(line, told):
        packet.answer = ANSWER
    return packet


def _flags(text: str) -> frozenset[str] | None:
    """By letters, in words or as a number: of a flow log's, which sums a flow up, a SYN alone tells something."""
    if _LETTERS.fullmatch(text):
        return flags_of_letters(text)
    if _IN_WORDS.fullmatch(text):
        return frozenset(word.upper()[:3].replace("PUS", "PSH") for word in re.findall(r"[A-Za-z]+", text)) & FLAGS
    if re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", text):
        # None at all is what a log writes that did not look.
        return flags_of_number(int(text, 16)) or None
    summed = flags_of_number(int(text[:3])) if digits(text) else frozenset[str]()
    return summed & {"SYN", "ACK"} if "SYN" in summed else None


def _number(told: dict[str, str]) -> int | None:
    """By number first: a log that has both may have the application as its protocol."""
    numbers = (_protocol_in(told.get(role, "")) for role in ("number", "protocol", "carried"))
    return next((number for number in numbers if number is not None), None)


def _protocol_in(text: str) -> int | None:
    text = text.removesuffix(".0")
    text = _SHORT.get(text, text)
    number = protocol_number(text)
    return protocol_number(re.split(r"[/(]", text)[0]) if number is None else number


def _goes_back(line: str, told: dict[str, str]) -> bool:
    """Suricata's “dns” event of an answer, which goes from the server's port 53 to the one who asked, and “fileinfo”, of a
    file that went from the lower port."""
    if told.get("event") == "fileinfo":
        ports = [digits(told.get(role, "")) for role in ("from", "port")]
        return all(ports) and int(ports[0]) < int(ports[1])
    said = '"answer"' in line or '"response"' in line
    return told.get("from") == "53" and told.get("port") != "53" and said
