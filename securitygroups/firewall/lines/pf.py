"""Lines of BSD firewalls: pf's filterlog (OPNsense, pfSense), ipfw and IP Filter. What tcpdump prints of pflog is tcpdump's."""

import re

from securitygroups.firewall.lines.line import Line, Told, flags_of_letters, packet_fields, protocol_number

_ACTIONS = {"pass", "block", "reject", "scrub", "noscrub", "nat", "nonat", "binat", "nobinat", "rdr", "nordr", "match"}
_SIGNS = (",in,4,", ",in,6,", ",out,4,", ",out,6,")
_PORTED = {"6", "17", "132"}
_TYPES = (
    {"reply": 0, "unreach": 3, "unreachport": 3, "unreachproto": 3, "needfrag": 3, "redirect": 5, "request": 8,
     "timexceed": 11, "paramprob": 12, "tstamp": 13, "tstampreply": 14, "maskreply": 18},
    {"unreach": 1, "unreachport": 1, "timexceed": 3, "paramprob": 4, "request": 128, "reply": 129},
)  # fmt: skip
_FLAGS = re.compile(r"[SAFRPUEWC]{1,9}")
_SHORT = "The line of pf's filterlog ends too early: paste the whole line, up to the addresses and ports near its end."


def read_filterlog(line: str) -> Line | None:
    """rule, sub rule, anchor, tracker, interface, reason, action, direction, IP version, and what the version has."""
    if not any(map(line.__contains__, _SIGNS)):
        return None
    values = line.split(",")
    if len(values) < 9 or values[6] not in _ACTIONS or values[8] not in ("4", "6"):
        return None
    six = values[8] == "6"
    # IPv4 has the number before the name, IPv6 behind it.
    at, name = (12, 13) if six else (15, 15)
    if len(values) < at + 5:
        return Line(line, {}, kind="pf filterlog", advice=_SHORT)
    told = Told(values[name], values[at + 3], values[at + 4], direction=values[7], said=values[6])
    _carried(told, values[at + 5 :], six=six)
    return told.line(line, "pf filterlog")


def _carried(told: Told, rest: list[str], *, six: bool) -> None:
    """Ports and flags, or the ICMP type by its word: “unreachport,10.0.0.5,17,53” has the packet that did not get through."""
    first, second, third, fourth = (*rest[:4], "", "", "", "")[:4]
    if told.protocol in _PORTED:
        told.source_port, told.port = first, second
        told.flags = flags_of_letters(fourth) if _FLAGS.fullmatch(fourth) else None
        return
    told.icmp = _TYPES[six].get(first)
    if first == "unreachport" and fourth:
        told.opener = packet_fields(protocol_number(third), told.destination, second, fourth)


_IPFW = re.compile(
    r"\bipfw: (?:\d+|limit \d+ reached) (\w+) ([\w-]+?)(?::(\d+)\.\d+)? \[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))?"
    r" \[?([0-9A-Fa-f.:]+?)\]?(?::(\d{1,5}))? (in|out) via"
)


def read_ipfw(line: str) -> Line | None:
    """“ipfw: 65534 Deny TCP 198.51.100.7:51515 10.0.0.5:22 in via em0”."""
    found = _IPFW.search(line) if "ipfw: " in line else None
    if not found:
        return None
    said, name, icmp, source, source_port, destination, port, direction = found.groups("")
    return Told(name, source, destination, port, source_port, direction, said, icmp=icmp).line(line, "ipfw log")


_IPMON_SAID = {"p": "pass", "-": ""}
_IPMON = re.compile(
    r"@[^\s@]+ ([pbB-]) ([0-9A-Fa-f.:]+)(?:,(\w+))? -> ([0-9A-Fa-f.:]+)(?:,(\w+))? PR ([\w-]+) len \d+ \d+"
    r"(?: -([A-Z]+))?.*?(?: (IN|OUT))?\Z"
)


def read_ipmon(line: str) -> Line | None:
    """IP Filter: “em0 @0:1 b 198.51.100.7,51515 -> 10.0.0.5,22 PR tcp len 20 60 -S IN”."""
    found = _IPMON.search(line) if " PR " in line else None
    if not found:
        return None
    said, source, source_port, destination, port, name, flags, direction = found.groups("")
    told = Told(name, source, destination, port, source_port, direction.lower(), _IPMON_SAID.get(said, "block"))
    told.flags = flags_of_letters(flags) if flags else None
    return told.line(line, "IP Filter log")
