"""Lines of BSD firewalls: pf's filterlog (OPNsense, pfSense), ipfw and IP Filter. What tcpdump prints of pflog is tcpdump's."""

import re

from securitygroups.firewall.lines.line import Line, flags_of_letters, packet_fields, protocol_number, verdict_of

_ACTIONS = {"pass", "block", "reject", "scrub", "noscrub", "nat", "nonat", "binat", "nobinat", "rdr", "nordr", "match"}
_TYPES = (
    {"reply": 0, "unreach": 3, "unreachport": 3, "unreachproto": 3, "needfrag": 3, "redirect": 5, "request": 8,
     "timexceed": 11, "paramprob": 12, "tstamp": 13, "tstampreply": 14, "maskreply": 18},
    {"unreach": 1, "unreachport": 1, "timexceed": 3, "paramprob": 4, "request": 128, "reply": 129},
)  # fmt: skip
_SHORT = "The line of pf's filterlog ends too early: paste the whole line, up to the addresses and ports near its end."


def read_filterlog(line: str) -> Line | None:
    """rule, sub rule, anchor, tracker, interface, reason, action, direction, IP version, and what the version has."""
    if ",in,4," not in line and ",in,6," not in line and ",out,4," not in line and ",out,6," not in line:
        return None
    values = line.split(",")
    if len(values) < 9 or values[6] not in _ACTIONS or values[8] not in ("4", "6"):
        return None
    at = 15 if values[8] == "4" else 12
    six = values[8] == "6"
    if len(values) < at + 5:
        return Line(line, {}, kind="pf filterlog", advice=_SHORT)
    # IPv4 has the number before the name, IPv6 behind it.
    number = protocol_number(values[at + six])
    source, destination, rest = values[at + 3], values[at + 4], values[at + 5 :]
    ported = number in (6, 17, 132) and len(rest) > 1
    fields = packet_fields(number, source, destination, rest[1] if ported else "", values[7])
    return Line(
        line,
        fields,
        rest[0] if ported else "",
        flags_of_letters(rest[3]) if number == 6 and len(rest) > 3 else None,
        verdict_of(values[6]),
        "pf filterlog",
        icmp=_TYPES[six].get(rest[0]) if number in (1, 58) and rest else None,
        opener=_about(fields, rest) if rest and rest[0] == "unreachport" else None,
    )


def _about(fields: dict[str, str], rest: list[str]) -> dict[str, str] | None:
    """“unreachport,10.0.0.5,17,53”: the packet that did not get through."""
    if len(rest) < 4:
        return None
    return packet_fields(protocol_number(rest[2]), fields["destination"], rest[1], rest[3])


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
    number = protocol_number(name)
    return Line(
        line,
        packet_fields(number, source, destination, port, direction),
        source_port,
        said=verdict_of(said),
        kind="ipfw log",
        icmp=int(icmp[:3]) if icmp else None,
    )


_IPMON = re.compile(
    r"@\S+ ([pbB-]) ([0-9A-Fa-f.:]+)(?:,(\w+))? -> ([0-9A-Fa-f.:]+)(?:,(\w+))? PR ([\w-]+) len \d+ \d+"
    r"(?: -([A-Z]+))?(?: icmp ([\w-]+)/\S+)?.*?(?: (IN|OUT))?\Z"
)


def read_ipmon(line: str) -> Line | None:
    """IP Filter: “em0 @0:1 b 198.51.100.7,51515 -> 10.0.0.5,22 PR tcp len 20 60 -S IN”."""
    found = _IPMON.search(line) if " PR " in line else None
    if not found:
        return None
    said, source, source_port, destination, port, name, flags, _, direction = found.groups("")
    return Line(
        line,
        packet_fields(protocol_number(name), source, destination, port, direction.lower()),
        source_port,
        flags_of_letters(flags) if flags else None,
        {"p": "accept", "-": ""}.get(said, "drop"),
        "IP Filter log",
    )
