"""Rules of OPNsense: the CSV that Firewall → Rules [new] and the migration assistant export.

Floating rules are asked before those of one interface, then by sequence. A quick rule decides at once; of the others the
last that matches does. What no rule lets in is blocked; out of the firewall everything goes.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from securitygroups.firewall.formats.clouds import (
    FAMILY,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Ends,
    Line,
    T,
    aside,
    ends,
    gathered,
    in_turn,
    port_range,
    protocol_number,
    reading,
    split,
    words,
)
from securitygroups.firewall.formats.foreign import BOTH, MOST_RULES, Foreign
from securitygroups.firewall.formats.reading import Note, Reading, Taken, Upload
from securitygroups.firewall.formats.strict import MOST_LISTED, bad, commas, parts
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.registry import PORTS
from securitygroups.firewall.texts import shown

NAME = "OPNsense rules"
Row = Mapping[str, str]
_ACTIONS = {"pass": Action.ACCEPT, "block": Action.DROP, "reject": Action.DROP}
_DIRECTIONS = {"in": (Direction.IN,), "out": (Direction.OUT,), "any": (Direction.IN, Direction.OUT)}
_FAMILIES = {"inet": FAMILY[4], "inet6": FAMILY[6], "inet46": BOTH}
# Without one of these it is not known what a rule is about, and every export has them.
NEEDED = (
    "@uuid", "enabled", "sequence", "action", "quick", "interfacenot", "interface", "direction", "ipprotocol", "protocol",
    "source_net", "source_not", "source_port", "destination_net", "destination_not", "destination_port", "description",
)  # fmt: skip
# What says nothing about which packets a rule is for, nor whether they pass.
_QUIET = words(
    "statetype state-policy log allowopts nosync nopfsync statetimeout udp-first udp-multiple udp-single adaptivestart "
    "adaptiveend set-prio set-prio-low tag categories shaper1 shaper2 replyto reply-to disablereplyto gateway sort_order "
    "prio_group tcpflags_any"
)
# Interfaces that are no groups of others: a rule of one is about no other.
_SINGLE = re.compile(r"lan|opt\d+", re.ASCII)
DENIES = (
    "OPNsense blocks what no rule lets in, and so does the list here. What goes out is taken from no default: add an accept "
    "for it. Rules that are not in the export (automatic and older ones) are not known here."
)
OTHER_SIDE = "It is about {}, and what comes in there leaves the machines behind it: only the rules of wan and floating ones are read."
MOST_COLUMNS = 500
MOST_LINES = 10 * MOST_RULES
"""Descriptions may have several."""
OF_ALIAS = "Put the alias's addresses or ports into the rule, or add a rule with them here."
_KNOWN = frozenset({*NEEDED, *_QUIET})


def looks(upload: Upload) -> bool:
    first = upload.text.lstrip("\ufeff\r\n ").partition("\n")[0]
    return first.strip().strip('"').startswith("@uuid") and "interface" in first


def read(upload: Upload) -> Reading:
    rows = list(islice(_rows(upload.text), MOST_RULES + 1))
    if len(rows) > MOST_RULES:
        raise bad("", f"The file has more than {MOST_RULES:,} rules: split it.")
    if not rows:
        raise bad("line 1", "OPNsense's export has no rules in it: under its header stands nothing.")
    here = [one for one in rows if _applies(*one) is not False]
    lines = gathered(line for one in _in_turn(here) for line in _rule(*one))
    notes = [aside("document", "what no rule is about", DENIES)]
    group = in_turn(lines, "", "", notes)
    others = tuple(
        Note(where, _said(row), Taken.NOT_TAKEN, OTHER_SIDE.format(shown(row["interface"])))
        for where, row in rows
        if _applies(where, row) is False
    )
    return reading(NAME, [replace(group, notes=group.notes + others)])


def _applies(where: str, row: Row) -> bool | None:
    """Whether the rule is about wan, None where that is not known: the name may be of a group of interfaces."""
    names = [name.strip() for name in parts(row["interface"]) if name.strip()]
    if not names:
        return True
    inverted = _switch(where, row, "interfacenot")
    if "wan" in names:
        return not inverted
    return inverted if all(_SINGLE.fullmatch(name) for name in names) else None


def _rows(text: str) -> Iterator[tuple[str, Row]]:
    """(place, row by column) of each rule. Raises BadDocument where columns are missing."""
    if text.count("\n") + text.count("\r") > MOST_LINES:
        raise bad("", f"The file has more than {MOST_LINES:,} lines: split it.")
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    try:
        header = [name.strip() for name in next(iter(reader), [])]
        if len(header) > MOST_COLUMNS:
            raise bad("line 1", f"It names more than {MOST_COLUMNS} columns: OPNsense's export has fewer.")
        missing = [name for name in NEEDED if name not in header]
        if missing:
            raise bad(
                "line 1",
                "This looks like OPNsense's export of rules, but these columns of it are missing: "
                f"{', '.join(missing)}. Without them it is not known what a rule is about: export the rules once more.",
            )
        line, listed = reader.line_num + 1, 0
        for row in reader:
            where, line = f"line {line}", reader.line_num + 1
            if len(row) not in (0, len(header)):
                raise bad(where, f"This has {len(row)} fields instead of {len(header)}.")
            listed += sum(map(commas, row))
            if listed > MOST_LISTED:
                raise bad(where, f"The fields up to here list more than {MOST_LISTED:,} elements: split the file.")
            if any(row):
                yield where, {name: field.strip() for name, field in zip(header, row, strict=True)}
    except csv.Error as error:
        raise bad(f"line {reader.line_num}", f"This is not CSV ({error}).") from None


def _in_turn(rows: Sequence[tuple[str, Row]]) -> list[tuple[str, Row]]:
    """The rules as first match asks them: floating ones, those of groups of interfaces, those of wan, each by sequence.

    A rule that is not quick speaks where no quick one does, and of several such the last: they stand behind, turned round.
    """
    ordered = sorted(rows, key=lambda one: (_rank(one[1]), _sequence(*one)))
    quick = [one for one in ordered if _switch(*one, "quick")]
    return quick + [one for one in reversed(ordered) if not _switch(*one, "quick")]


def _rank(row: Row) -> int:
    if not row["interface"] or "," in row["interface"]:
        return 0
    return 2 if row["interface"] == "wan" else 1


def _sequence(where: str, row: Row) -> int:
    word = row["sequence"]
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise bad(where, f"“{shown(word)}” is not a sequence: the rule's turn is not known.")
    return int(word)


def _switch(where: str, row: Row, name: str) -> bool:
    word = row.get(name, "")
    if word not in ("0", "1", ""):
        raise bad(where, f"{name} is 0 or 1 in OPNsense's export, not “{shown(word)}”.")
    return word == "1"


def _choice(where: str, row: Row, name: str, choices: Mapping[str, T]) -> T:
    if row[name] not in choices:
        raise bad(where, f"{name} is one of {', '.join(choices)} in OPNsense's export, not “{shown(row[name])}”.")
    return choices[row[name]]


def _said(row: Row) -> str:
    ports = f" {row['destination_port']}" if row["destination_port"] else ""
    remote = f"{row['protocol']}{ports} from {row['source_net']} to {row['destination_net']}"
    return f"{row['action']} {row['direction']} {row['interface']} {shown(remote)} {shown(row['description'])}".strip()


def _rule(where: str, row: Row) -> Iterator[Line]:
    """The lines of a row: one for each direction and protocol that it is about."""
    action, families = _choice(where, row, "action", _ACTIONS), _choice(where, row, "ipprotocol", _FAMILIES)
    sources, destinations = _ends(where, row, "source"), _ends(where, row, "destination")
    for direction in _choice(where, row, "direction", _DIRECTIONS):
        base = Foreign(
            where,
            _said(row),
            action,
            direction,
            families=families,
            beyond=_beyond(where, row, action),
            description=row["description"],
            enabled=_switch(where, row, "enabled"),
        )
        for each in _protocols(base, row):
            for line in split(
                Line(each, OF_ALIAS if any("alias" in one for one in each.beyond) else ""), "sources", sources
            ):
                yield from split(line, "destinations", destinations)


def _beyond(where: str, row: Row, action: Action) -> tuple[str, ...]:
    """What the row asks for that no rule here can."""
    found = [f"{name} {shown(value)}" for name, value in row.items() if value not in ("", "0") and name not in _KNOWN]
    if row["source_port"] not in ("", "any"):
        found.append(f"source port {shown(row['source_port'])}")
    if row.get("statetype") == "none" and action is Action.ACCEPT:
        found.append("replies that have rules of their own (it keeps no state)")
    if _applies(where, row) is None:
        found.append(f"the interface {shown(row['interface'])}, which may be a group")
    return tuple(found)


def _ends(where: str, row: Row, side: str) -> Ends:
    """Who stands on the side: addresses, aliases, or anybody but those."""
    net = row[f"{side}_net"]
    if _switch(where, row, f"{side}_not"):
        return Ends((), (f"any {side} but {shown(net)}",))
    names = [name.strip() for name in parts(net) if name.strip()]
    return ends(names, ("any",), "the alias or network") if names else Ends()


def _protocols(base: Foreign, row: Row) -> Iterator[Foreign]:
    """The rule for each protocol that it is about, with its ports."""
    word = row["protocol"].lower()
    if word in ("any", ""):
        yield _with_ports(base, row)
    elif word == "tcp/udp":
        yield from (_with_ports(replace(base, protocol=one), row) for one in (TCP, UDP))
    elif protocol_number(word) == ICMP:
        yield from _icmp(base)
    elif protocol_number(word) is None:
        yield replace(base, beyond=(*base.beyond, f"the protocol {shown(word)}"))
    else:
        yield _with_ports(replace(base, protocol=protocol_number(word)), row)


def _icmp(base: Foreign) -> Iterator[Foreign]:
    """ICMP, and over IPv6 what the same name may mean there: a denial is for that too."""
    if 4 in base.families:
        yield replace(base, protocol=ICMP, families=FAMILY[4])
    if 6 in base.families:
        beyond = () if base.action is Action.DROP else ("ICMPv6 by the name of ICMP",)
        yield replace(base, protocol=ICMPV6, families=FAMILY[6], beyond=base.beyond + beyond)


def _with_ports(base: Foreign, row: Row) -> Foreign:
    word = row["destination_port"].lower()
    if word in ("", "any"):
        return base
    number = PORTS.get(word)
    ports = (number, number) if number else port_range(word)
    if ports is None or base.protocol not in PORT_NUMBERS:
        return replace(base, beyond=(*base.beyond, f"the port or alias {shown(word)}"))
    return replace(base, ports=(ports,))
