"""Columns of text as batches: what each field may say, and which rows open a flow."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows import batch as batches
from securitygroups.firewall.flows.addresses import Local
from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, IN, NO_PORT, OUT, UNSAID, Batch
from securitygroups.firewall.flows.captures import ICMP_ANSWERS
from securitygroups.firewall.flows.columns import Traits
from securitygroups.firewall.flows.openers import MAYBE, OPENS, REPLIES, Openers, Skip, directed
from securitygroups.firewall.flows.text import Fields, Mask, ipv4, ipv6, key, keys, looked_up, numbers
from securitygroups.firewall.flows.times import microseconds
from securitygroups.firewall.formats.strict import BadDocument, Fault, bad
from securitygroups.firewall.protocols import MAX_PORT, PORT_NUMBERS
from securitygroups.firewall.values import ICMP, ICMPV6, NON_IP, PACKET_PROTOCOLS, Refused, parse_address

UNKNOWN_WAY = 255
"""The direction of a row that tells none."""

NO_DIRECTION = "Nothing here tells the direction: name the local addresses, the VMs' own."

_LONGEST = 100  # characters of a field that are looked at one by one; no address has as many
_TCP = PACKET_PROTOCOLS["tcp"]
_ICMP_OF_FAMILY, _NOT_IP, _UNTOLD = 256, 257, 258
_NAMES = {
    **{name.lower(): number for name, number in PACKET_PROTOCOLS.items()},
    "icmp": _ICMP_OF_FAMILY,
    **dict.fromkeys(("icmpv6", "icmp6", "ipv6-icmp"), ICMPV6),  # as other programs call it
    **dict.fromkeys((NON_IP, "arp"), _NOT_IP),
    "t": _TCP,
    "u": PACKET_PROTOCOLS["udp"],
    **dict.fromkeys(("unknown_transport", "unknown", "-", ""), _UNTOLD),
    "hopopt": 0,
    "igmp": 2,
    "ggp": 3,
    "ipip": 4,
    "ipencap": 4,
    "ipv4": 4,
    "egp": 8,
    "igp": 9,
    "dccp": 33,
    "ipv6": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-nonxt": 59,
    "eigrp": 88,
    "ospf": 89,
    "ospfigp": 89,
    "etherip": 97,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "udplite": 136,
    "ipv6-opts": 60,
    "mobility": 135,
    "mpls-in-ip": 137,
    "carp": 112,
}
_NO_PROTOCOL = "“{}” is not a protocol: write tcp, udp, sctp, icmp, non-ip or a number up to 255."
_COMMON = tuple((key(name), _NAMES[name]) for name in ("tcp", "udp", "icmp"))
_DASH = ord("-")
_NOTHING = {"", "-", "nan", "null", "none", "n/a", "na", "\\n", "(empty)", "<na>"}
_WAYS = {
    **dict.fromkeys(("in", "ingress", "inbound", "incoming", "i", "rx", "receive", "dest"), IN),
    **dict.fromkeys(("out", "egress", "outbound", "outgoing", "o", "tx", "send", "src"), OUT),
    # Numbers are those of an exporter's interface, which is not the VM's.
    **dict.fromkeys((*_NOTHING, "forward", "unknown", "0", "1", "255"), UNKNOWN_WAY),
}
_SAID = {
    **dict.fromkeys(("accept", "accepted", "allow", "allowed", "pass", "passed", "permit", "permitted", "a"), ACCEPTED),
    **dict.fromkeys(("reject", "rejected", "deny", "denied", "drop", "dropped", "block", "blocked", "d"), DENIED),
}
_FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128, "N": 256}
_FLAG_NAMES = {
    "FIN": 1,
    "SYN": 2,
    "RST": 4,
    "RESET": 4,
    "PSH": 8,
    "PUSH": 8,
    "ACK": 16,
    "URG": 32,
    "ECE": 64,
    "ECN": 64,
    "CWR": 128,
    "NS": 256,
    "AE": 256,
}
_SYN, _ACK = 2, 16
_MIDDLE = 3  # a role that only packets have
_HAS_PORT = np.isin(np.arange(256), list(PORT_NUMBERS))


class Table(NamedTuple):
    """Rows of a log: their columns by name, and the number of each row's line or entry."""

    columns: dict[str, Fields]
    lines: NDArray[np.int64]
    unit: str = "line"

    def refuse(self, rows: Mask, name: str, message: str) -> None:
        """Raise BadDocument for the first of the rows; {} in the message stands for its field's text."""
        refused = np.flatnonzero(rows)
        if refused.size:
            text = self.columns[name].text(int(refused[0]))[:60]
            raise bad(f"{self.unit} {self.lines[refused[0]]}, {name}", message.replace("{}", text))

    def take(self, rows: NDArray[np.intp]) -> "Table":
        return Table({name: fields.take(rows) for name, fields in self.columns.items()}, self.lines[rows], self.unit)


def _addresses(table: Table, name: str, wanted: Mask) -> tuple[Any, Any, Any]:
    """(version, upper 64 bits, lower 64 bits) of one address column, 0 in rows that are not wanted."""
    fields = table.columns[name]
    low, four = ipv4(fields)
    version, high = four.astype(np.uint8) * np.uint8(4), np.zeros(len(low), np.uint64)
    everywhere = bool(wanted.all())
    rest = np.flatnonzero(~four) if everywhere else np.flatnonzero(wanted & ~four)
    if rest.size:
        high[rest], low[rest], taken = ipv6(fields.take(rest))
        version[rest] = taken * np.uint8(6)
        for row in rest[~taken].tolist():
            try:
                family, number = parse_address(fields.text(row)[:_LONGEST])
            except Refused as refusal:
                where = f"{table.unit} {table.lines[row]}, {name}"
                raise BadDocument([Fault(where, refusal.problem)]) from None
            version[row], high[row], low[row] = family, number >> 64, number & ((1 << 64) - 1)
    if not everywhere:
        for column in (version, high, low):
            column[~wanted] = 0
    return version, high, low


def _spelled(fields: Fields, rest: Mask, values: NDArray[Any], find: Callable[[str], int | None]) -> Mask:
    """Give the rows of `rest` what `find` says of them; those of which it says nothing."""
    rows = np.flatnonzero(rest)
    unknown = np.zeros(len(rest), np.bool_)
    if rows.size:
        found, taken = looked_up(fields.take(rows), find)
        values[rows] = found
        unknown[rows[~taken]] = True
    return unknown


def _protocol_named(text: str) -> int | None:
    text = text.strip().lower()
    if text in _NAMES:
        return _NAMES[text]
    # “6.0” of pandas, “TCP (6)” and “6 (TCP)” of reports.
    number = text.removesuffix(".0")
    if number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < 256:
        return int(number)
    first, _, rest = text.partition(" ")
    if rest.startswith("(") and rest.endswith(")"):
        numbers_in = [_protocol_named(first), _protocol_named(rest[1:-1])]
        told = {ICMP if number == _ICMP_OF_FAMILY else number for number in numbers_in}
        return numbers_in[0] if len(told) == 1 else None
    return None


def _protocols(table: Table) -> NDArray[np.int64]:
    """IP protocol numbers, or the stand-ins beyond 255."""
    fields = table.columns["protocol"]
    protocol, taken = numbers(fields, 3)
    taken &= protocol < 256
    if not taken.all():
        found = keys(fields)
        for name, number in _COMMON:
            named = found == name
            protocol[named] = number
            taken |= named
        wrong = _spelled(fields, ~taken, protocol, _protocol_named)
        table.refuse(wrong, "protocol", _NO_PROTOCOL)
    return protocol


def _port(text: str) -> int | None:
    text = text.strip().lower()
    if text in _NOTHING:
        return NO_PORT
    # As pandas writes a column of whole numbers with gaps.
    text = text.removesuffix(".0")
    if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= MAX_PORT:
        return int(text)
    return None


def _ports(table: Table, name: str, wanted: Mask) -> NDArray[np.int32]:
    """Ports of the wanted rows, NO_PORT in the others and where the field is empty or a dash."""
    fields = table.columns[name]
    port, taken = numbers(fields, 5)
    taken &= port <= MAX_PORT
    if not taken.all():
        wrong = _spelled(fields, wanted & ~taken, port, _port)
        table.refuse(wrong, name, f"“{{}}” is not a port: write a number from 0 to {MAX_PORT}.")
    if not wanted.all():
        port[~wanted] = NO_PORT
    return port.astype(np.int32)


def _way(text: str) -> int | None:
    return _WAYS.get(text.strip().lower())


def _directions(table: Table, rows: int) -> NDArray[np.uint8]:
    fields = table.columns.get("direction")
    direction = np.full(rows, UNKNOWN_WAY, np.uint8)
    if fields is None:
        return direction
    found = keys(fields)
    rest = np.ones(rows, np.bool_)
    for word in ("in", "ingress", "out", "egress"):
        named = found == key(word)
        direction[named] = _WAYS[word]
        rest &= ~named
    wrong = _spelled(fields, rest, direction, _way)
    table.refuse(wrong, "direction", "“{}” is not a direction: write in or out.")
    return direction


def flags_of(text: str) -> int | None:
    """The bits of TCP flags, however they are written: 18, 0x12, SA, ...A..S., SYN,ACK; None where it is not read."""
    text = text.strip().upper()
    if text.lower() in _NOTHING:
        return 0
    if match := _FLAG_NUMBER.match(text):
        return int(match[1]) if match[1] else int(match[2], 16)
    words = text.replace("[", " ").replace("]", " ").translate(_SEPARATORS).split()
    if words and _FLAG_NAMES.keys() >= set(words):
        return sum({_FLAG_NAMES[word] for word in words})
    # Dots, tshark's middle ones, and Silk's blanks stand for flags that are not there.
    letters = set(text) - set(".·*- ")
    return sum(_FLAGS[letter] for letter in letters) if letters <= _FLAGS.keys() and len(text) <= 12 else None


_FLAG_NUMBER = re.compile(r"(?:([0-9]{1,6})(?:\.0)?|0X([0-9A-F]{1,8}))\Z")
_SEPARATORS = str.maketrans(dict.fromkeys(",|/+;_-&", " "))


def _roles(table: Table, tcp: Mask, traits: Traits) -> NDArray[np.uint8]:
    """What a record tells about its role; of flags that are collected over many packets, as far as they can."""
    role = np.full(len(tcp), OPENS if traits.opens else MAYBE, np.uint8)
    if "role" in table.columns:
        role = numbers(table.columns["role"], 1)[0].astype(np.uint8)
    if "tcp_flags" not in table.columns:
        return role
    fields = table.columns["tcp_flags"]
    flags, taken = numbers(fields, 3)
    if not taken.all():
        wrong = _spelled(fields, tcp & ~taken, flags, flags_of)
        spellings = "write their sum (18), 0x12, SA, .A..S. or SYN,ACK"
        table.refuse(wrong, "tcp_flags", f"“{{}}” are no TCP flags: {spellings}, or leave the column out.")
    syn, ack = tcp & (flags & _SYN > 0), flags & _ACK > 0
    role[syn & ~ack] = OPENS
    if traits.beside >= 0:
        # With data or an end among them they are those of a whole connection, which both sides have.
        role[syn & ack & ((flags & ~(traits.beside | _SYN | _ACK) & 0x3F) == 0)] = REPLIES
    if traits.packets:
        role[tcp & ~syn & (flags != 0)] = _MIDDLE
    return role


def _said(table: Table, rows: int) -> NDArray[np.uint8]:
    """What the log says of the verdict; words that are none of its say nothing."""
    fields = table.columns.get("said")
    said = np.full(rows, UNSAID, np.uint8)
    if fields is None:
        return said
    found = keys(fields)
    rest = np.ones(rows, np.bool_)
    for word in ("accept", "reject"):
        named = found == key(word)
        said[named] = _SAID[word]
        rest &= ~named
    _spelled(fields, rest, said, lambda text: _SAID.get(text.strip().lower(), UNSAID))
    return said


def _times(table: Table, rows: int) -> NDArray[np.int64]:
    if "start" not in table.columns:
        return np.zeros(rows, np.int64)
    start, known = microseconds(table.columns["start"])
    table.refuse(~known, "start", "“{}” is not a time: write seconds since 1970, or 2026-06-28 23:17:41.125.")
    return start


def _icmp_type(text: str) -> int | None:
    head = text.strip().partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() and len(head) <= 5 else None


def _netflow_icmp_type(text: str) -> int | None:
    """From “type.code” or type · 256 + code; 0 is also what exporters write that do not tell."""
    number = _icmp_type(text)
    if not number:
        return None
    return number if "." in text else number >> 8 or None


class Rows:
    """Turns tables of one log into batches of the packets that open a flow, with their direction."""

    def __init__(self, traits: Traits, local: Local, skipped: Counter[Skip]) -> None:
        self.traits, self._local, self._skipped = traits, local, skipped
        self._openers = Openers()

    @property
    def guessed(self) -> int:
        return self._openers.guessed

    @property
    def knows_directions(self) -> bool:
        return bool(self._local)

    def count(self, reason: Skip, records: int = 1) -> None:
        """Count records that are not judged."""
        self._skipped[reason] += records

    def batch(self, table: Table) -> Batch:
        if self.traits.empty and len(table.lines):
            table = self._without(table, _dashes(table.columns["source"]), Skip.NO_DATA)
        if not len(table.lines):
            return batches.empty()
        named = _protocols(table)
        untold = named == _UNTOLD
        if untold.any():
            table, named = self._without(table, untold, Skip.NO_PROTOCOL), named[~untold]
        batch = _packets(table, named)
        answers = self._icmp_answers(table, batch)
        if answers.any():
            table, batch = self._without(table, answers, Skip.ICMP_ANSWER), batch.take(~answers)
        if "source_port" in table.columns:
            batch = self._opening(table, batch)
        elif "tcp_flags" in table.columns:
            batch = self._without_answers(table, batch)
        return self._directed(table, batch)

    def _without(self, table: Table, rows: Mask, reason: Skip) -> Table:
        """The table without these rows, counted for the reason."""
        dropped = int(np.count_nonzero(rows))
        if not dropped:
            return table
        self._skipped[reason] += dropped
        return table.take(np.flatnonzero(~rows))

    def _icmp_answers(self, table: Table, batch: Batch) -> Mask:
        """Replies and errors, where the log tells the type."""
        answers = np.zeros(len(batch), np.bool_)
        fields = table.columns.get(self.traits.icmp_in)
        if fields is None:
            return answers
        find = _netflow_icmp_type if self.traits.icmp_in == "port" else _icmp_type
        for protocol, types in ICMP_ANSWERS.items():
            rows = np.flatnonzero((batch.protocol == protocol) & (batch.version > 0))
            if rows.size:
                kind, told = looked_up(fields.take(rows), find)
                answers[rows[told & types.take(np.minimum(kind, 255))]] = True
        return answers

    def _opening(self, table: Table, batch: Batch) -> Batch:
        """The rows that open a flow, of tables with both ports."""
        has_port = _HAS_PORT.take(batch.protocol) & (batch.version > 0)
        source_port = _ports(table, "source_port", has_port)
        role = _roles(table, (batch.protocol == _TCP) & (batch.version > 0), self.traits)
        middle = role == _MIDDLE
        if middle.any():
            self._skipped[Skip.MIDDLE] += int(np.count_nonzero(middle))
        told = batch.direction != UNKNOWN_WAY
        start = _times(table, len(batch))
        opens = np.zeros(len(batch), np.bool_)
        for rows, by_direction in ((np.flatnonzero(told & ~middle), True), (np.flatnonzero(~told & ~middle), False)):
            if rows.size:
                every = rows.size == len(batch)
                opens[rows] = self._openers.choose(
                    batch if every else batch.take(rows),
                    source_port[rows],
                    role[rows],
                    start[rows],
                    self._skipped,
                    by_direction=by_direction,
                    in_order=self.traits.packets,
                )
        return batch.take(np.flatnonzero(opens))

    def _without_answers(self, table: Table, batch: Batch) -> Batch:
        """Without what its flags show to be a reply, of tables that do not tell both ports."""
        role = _roles(table, (batch.protocol == _TCP) & (batch.version > 0), self.traits)
        for reason, rows in ((Skip.REPLY, role == REPLIES), (Skip.MIDDLE, role == _MIDDLE)):
            self._skipped[reason] += int(np.count_nonzero(rows))
        return batch.take(np.flatnonzero(role < REPLIES))

    def _directed(self, table: Table, batch: Batch) -> Batch:
        """With the direction of the local addresses where the log tells none."""
        untold = batch.direction == UNKNOWN_WAY
        if not untold.any():
            return batch
        if not self._local:
            raise bad(f"{table.unit} {table.lines[0]}", NO_DIRECTION)
        inferred = directed(batch.take(untold), self._local, self._skipped)
        return inferred if untold.all() else batches.join([batch.take(~untold), inferred])


def _dashes(fields: Fields) -> Mask:
    """Which fields have nothing but a dash."""
    dashes: Mask = (fields.data.take(fields.start) == _DASH) & (fields.end - fields.start == 1)
    return dashes


def _packets(table: Table, named: NDArray[np.int64]) -> Batch:
    is_ip = named != _NOT_IP
    version, source_high, source_low = _addresses(table, "source", is_ip)
    family, high, low = _addresses(table, "destination", is_ip)
    table.refuse(version != family, "destination", "“{}” is of another family than the source: a packet has one.")
    named[(named == _ICMP_OF_FAMILY) & (version == 6)] = ICMPV6
    named[named == _ICMP_OF_FAMILY] = ICMP
    named[~is_ip] = 0
    protocol = named.astype(np.uint8)
    port = _ports(table, "port", _HAS_PORT.take(protocol) & is_ip)
    rows = len(protocol)
    directions = _directions(table, rows)
    return Batch(directions, version, protocol, source_high, source_low, high, low, port, _said(table, rows))
