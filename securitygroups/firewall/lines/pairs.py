"""Lines of names and values, as JSON (Suricata, Zeek, GCP, ECS, OCSF, Hubble …) and as key=value (FortiGate, CEF, SonicWall …).

All such logs tell the same few things under many names, which stand in one table here.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from securitygroups.firewall.lines.line import (
    ANSWER,
    Line,
    flags_of_letters,
    is_address,
    packet_fields,
    protocol_number,
    verdict_of,
)

_KNOWN = {
    "source": "src srcip srcaddr srcipaddr srcipv4 srcipv6 saddr source sourceip sourceaddr sourceaddress sourceipaddress"
    " sourceipv4address sourceipv6address ipsrc source.ip source.address src.ip srcendpoint.ip id.origh ip.src ipv6.src"
    " ip.source source.ipaddress",
    "destination": "dst dstip dstaddr dstipaddr dstipv4 dstipv6 daddr dest destip destaddr destaddress destination"
    " destinationip destinationaddr destinationaddress destinationipaddress destinationipv4address"
    " destinationipv6address ipdst destination.ip destination.address dst.ip dest.ip dstendpoint.ip id.resph ip.dst"
    " ipv6.dst ip.destination destination.ipaddress",
    "from": "srcport sport spt sourceport sourcetransportport source.port src.port srcendpoint.port id.origp tcp.srcport"
    " udp.srcport l4srcport srcprt",
    "port": "dstport dport dpt destport destinationport destinationtransportport destination.port dst.port"
    " dest.port dstendpoint.port id.respp tcp.dstport udp.dstport l4dstport dstprt service",
    "number": "ipproto ipprotocol ip.proto ip.protocol ipv6.nxt protocolid protocolidentifier protocolnumber iananumber"
    " network.iananumber connectioninfo.protocolnum",
    "protocol": "proto protocol protocolname protoname transport network.transport connectioninfo.protocolname"
    " transportprotocol l4proto",
    "direction": "direction dir flowdirection trafficdirection network.direction ruledetails.direction",
    "reporter": "reporter",
    "said": "action act disposition verdict verdict.action event.action alert.action logsubtype accesscontrolruleaction"
    " aceaction",
    "status": "status",
    "icmp": "icmptype icmp.type icmpv6.type",
    "flags": "tcpflags",
    "reply": "isreply",
}
_ROLES = {name: role for role, names in _KNOWN.items() for name in names.split()}
_DIRECTIONS = {"ingress": "in", "egress": "out", "in": "in", "out": "out"}
"""Words that mean the VM; “inbound” and “outbound” mean the device's own network."""
_REPORTERS = {"dest": "in", "src": "out"}
_FLAG = {"syn", "ack", "fin", "rst", "psh", "urg"}
_DEEPEST = 12
_NO_PACKET = "This is JSON, but the two addresses of a packet are not in it: paste a record that has them."


# ── JSON ──────────────────────────────────────────────────────────────────────


def read_json(line: str) -> Line | None:
    start = line.find("{")
    if start < 0 or '"' not in line:
        return None
    value = _loaded(line[start:])
    if not isinstance(value, dict):
        return None
    told: dict[str, str] = {}
    flags: set[str] = set()
    for path, leaf in _leaves(value):
        role = _role(path)
        if role and (role not in ("source", "destination") or is_address(leaf)):
            told.setdefault(role, leaf)
        elif path[-1] in _FLAG and leaf == "True" and path[-2:-1] in (["drop"], ["flags"]):
            flags.add(path[-1].upper())
        if len(path) > 1 and path[-3:-2] == ["l4"]:
            told.setdefault("protocol", path[-2])
    direction = _DIRECTIONS.get(told.get("direction", "").lower()) or _REPORTERS.get(
        told.get("reporter", "").lower(), ""
    )
    read = _line(line, told, direction, "JSON")
    if read is None:
        return Line(line, {}, kind="JSON", advice=_NO_PACKET)
    if flags and read.flags is None:
        read = Line(
            line, read.fields, read.source_port, frozenset(flags), read.said, "JSON", icmp=read.icmp, answer=read.answer
        )
    return read


def _loaded(text: str) -> Any:
    """The value; of a line that was cut off, what comes before the cut."""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except RecursionError:
        return None
    except ValueError:
        pass
    closing: list[str] = []
    kept, quoted, escaped = "", False, False
    for at, letter in enumerate(text):
        if quoted:
            quoted, escaped = escaped or letter != '"', letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            closing.append("}" if letter == "{" else "]")
        elif letter in "}]" and closing:
            closing.pop()
        elif letter == ",":
            kept, ends = text[:at], "".join(reversed(closing))
    try:
        return json.loads(kept + ends) if kept else None
    except (ValueError, RecursionError):
        return None


def _leaves(value: Any) -> Iterator[tuple[list[str], str]]:
    """Each plain value with the names on the way to it, the shallowest first; of a list its first."""
    waiting: list[tuple[list[str], Any]] = [([], value)]
    for path, one in waiting:
        if isinstance(one, list):
            one = one[0] if one else None
        if isinstance(one, dict) and len(path) < _DEEPEST:
            waiting += [([*path, _plain(str(name))], item) for name, item in one.items()]
        elif isinstance(one, list) and len(path) < _DEEPEST:
            waiting.append(([*path, ""], one))
        elif isinstance(one, str | int | float) and path:
            yield path, str(one)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _role(path: list[str]) -> str | None:
    return _ROLES.get(path[-1]) or (_ROLES.get(".".join(path[-2:])) if len(path) > 1 else None)


# ── key=value ─────────────────────────────────────────────────────────────────

# A value is no name of a further pair, which an address is not either: it has no letter behind f before its first colon.
_PAIR = re.compile(
    r"([A-Za-z][\w.-]{0,40}(?: (?:IP|Port|Address|Action))?)\s?[=:]\s{0,4}\"?(?![A-Za-z]*[G-Zg-z]\w*(?: IP)?[:=])([^\s\"|;,=]{1,60})"
)
_SYNONYMS = ("dst", "dest")


def read_pairs(line: str) -> Line | None:
    low = line.lower()
    if not any(map(low.__contains__, _SYNONYMS)) or not ("src" in low or "source" in low):
        return None
    told: dict[str, str] = {}
    for name, value in _PAIR.findall(line):
        role = _ROLES.get(_plain(name))
        if role in ("source", "destination"):
            value = _ended(role, value, told)
        if role and value:
            told.setdefault(role, value)
    return _line(line, told, "", _kind(line))


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


def _line(line: str, told: dict[str, str], direction: str, kind: str) -> Line | None:
    if "source" not in told or "destination" not in told:
        return None
    number = _number(told)
    if number == 1 and ":" in told["source"]:
        number = 58
    port = told.get("port", "").removesuffix(".0")
    icmp = told.get("icmp", "")
    source_port = told.get("from", "").removesuffix(".0")
    # Zeek has the ICMP type where others have the sender's port.
    zeek = number in (1, 58) and '"id.orig' in line and source_port.isdecimal()
    flags = told.get("flags", "")
    return Line(
        line,
        packet_fields(number, told["source"], told["destination"], port if port.isdecimal() else "", direction),
        source_port,
        flags_of_letters(flags) if number == 6 and re.fullmatch(r"[SAFRPUEWC.]{1,8}", flags) else None,
        verdict_of(told.get("said", told.get("status", ""))),
        kind,
        icmp=int(source_port[:3]) if zeek else int(icmp) if icmp.isdecimal() and len(icmp) < 4 else None,
        answer=ANSWER if told.get("reply") == "True" or _dns_answer(line, told) else "",
    )


def _number(told: dict[str, str]) -> int | None:
    """By number first: a log that has both may have the application as its protocol."""
    for role in ("number", "protocol"):
        text = told.get(role, "").removesuffix(".0")
        number = protocol_number(text) if text else None
        if number is None and text:
            number = protocol_number(re.split(r"[/(]", text)[0])
        if number is not None:
            return number
    return None


def _dns_answer(line: str, told: dict[str, str]) -> bool:
    """Suricata's “dns” event of an answer, which goes from the server's port 53 to the one who asked."""
    return told.get("from") == "53" and told.get("port") != "53" and '"answer"' in line
