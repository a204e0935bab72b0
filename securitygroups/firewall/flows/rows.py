"""Columns of text as batches: what each field may say, and which rows open a flow."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows import batch as batches
from securitygroups.firewall.flows.addresses import Local
from securitygroups.firewall.flows.batch import NO_PORT, UNSAID, Batch
from securitygroups.firewall.flows.captures import ICMP_ANSWERS
from securitygroups.firewall.flows.columns import Traits
from securitygroups.firewall.flows.openers import MAYBE, OPENS, REPLIES, Openers, Skip, directed, seem_replies
from securitygroups.firewall.flows.spellings import (
    ICMP_OF_FAMILY,
    NAMES,
    NOT_IP,
    SAID,
    UNKNOWN_WAY,
    UNTOLD,
    WAYS,
    flags_of,
    icmp_type_of,
    netflow_icmp_type_of,
    port_of,
    portless,
    protocol_of,
    turned_of,
    way_of,
)
from securitygroups.firewall.flows.text import Fields, Mask, ipv4, ipv6, key, keys, looked_up, mapped, numbers
from securitygroups.firewall.flows.times import microseconds
from securitygroups.firewall.formats.strict import BadDocument, Fault, bad
from securitygroups.firewall.protocols import MAX_PORT, PORT_NUMBERS
from securitygroups.firewall.values import ICMP, ICMPV6, PACKET_PROTOCOLS, Refused, parse_address

NO_DIRECTION = "Nothing here tells the direction: name the local addresses, the VMs' own."

_LONGEST = 100  # characters of a field that are looked at one by one; no address has as many
_TCP = PACKET_PROTOCOLS["tcp"]
_NO_PROTOCOL = "“{}” is not a protocol: write tcp, udp, sctp, icmp, non-ip or a number up to 255."
_COMMON = tuple((key(name), NAMES[name]) for name in ("tcp", "udp", "icmp"))
_DASH, _MAPPED = ord("-"), 0xFFFF
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
    """(version, upper 64 bits, lower 64 bits) of one address column, 0 in rows that are not wanted.

    An IPv4 address within IPv6 is an IPv4 address: so a program writes it that takes both on one socket.
    """
    fields = table.columns[name]
    low, four = ipv4(fields)
    if not four.all():
        rest = np.flatnonzero(~four)
        low[rest], four[rest] = mapped(fields.take(rest))
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
        inner = rest[(version[rest] == 6) & (high[rest] == 0) & (low[rest] >> np.uint64(32) == _MAPPED)]
        version[inner], low[inner] = 4, low[inner] & np.uint64(0xFFFF_FFFF)
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
        wrong = _spelled(fields, ~taken, protocol, protocol_of)
        table.refuse(wrong, "protocol", _NO_PROTOCOL)
    return protocol


def _tell_portless(table: Table, named: NDArray[np.int64]) -> None:
    """Zeek names few protocols, and reads no ports of the others: those that have none are as well told by their number."""
    rows = np.flatnonzero(named == UNTOLD)
    if rows.size and "portless" in table.columns:
        number, told = looked_up(table.columns["portless"].take(rows), portless)
        named[rows[told]] = number[told]


def _ports(table: Table, name: str, wanted: Mask) -> NDArray[np.int32]:
    """Ports of the wanted rows, NO_PORT in the others and where the field is empty or a dash."""
    fields = table.columns[name]
    port, taken = numbers(fields, 5)
    taken &= port <= MAX_PORT
    if not taken.all():
        wrong = _spelled(fields, wanted & ~taken, port, port_of)
        table.refuse(wrong, name, f"“{{}}” is not a port: write a number from 0 to {MAX_PORT}.")
    if not wanted.all():
        port[~wanted] = NO_PORT
    return port.astype(np.int32)


def _directions(table: Table, rows: int) -> NDArray[np.uint8]:
    fields = table.columns.get("direction")
    direction = np.full(rows, UNKNOWN_WAY, np.uint8)
    if fields is None:
        return direction
    found = keys(fields)
    rest = np.ones(rows, np.bool_)
    for word in ("in", "ingress", "out", "egress"):
        named = found == key(word)
        direction[named] = WAYS[word]
        rest &= ~named
    wrong = _spelled(fields, rest, direction, way_of)
    table.refuse(wrong, "direction", "“{}” is not a direction: write in or out.")
    return direction


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


def _as_begun(
    table: Table, batch: Batch, source_port: NDArray[np.int32], role: NDArray[np.uint8]
) -> tuple[Batch, NDArray[np.int32], NDArray[np.uint8]]:
    """Argus' records, each of which is a whole flow, with who began it as the source: an arrow tells, if it is known."""
    arrow, told = looked_up(table.columns["turned"], turned_of)
    if not told.any():
        return batch, source_port, role
    back = told & (arrow == REPLIES)
    back |= told & (arrow == MAYBE) & seem_replies(batch, source_port, role)
    ends = [
        np.where(back, theirs, ours)
        for ours, theirs in (
            (batch.source_high, batch.destination_high),
            (batch.source_low, batch.destination_low),
            (batch.destination_high, batch.source_high),
            (batch.destination_low, batch.source_low),
        )
    ]
    port, source_port = np.where(back, source_port, batch.port), np.where(back, batch.port, source_port)
    high, low, to_high, to_low = ends
    begun = Batch(batch.direction, batch.version, batch.protocol, high, low, to_high, to_low, port, batch.said)
    return begun, source_port, np.where(told & (arrow != MAYBE), np.uint8(OPENS), role)


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
        said[named] = SAID[word]
        rest &= ~named
    _spelled(fields, rest, said, lambda text: SAID.get(text.strip().lower(), UNSAID))
    return said


def _times(table: Table, rows: int) -> NDArray[np.int64]:
    if "start" not in table.columns:
        return np.zeros(rows, np.int64)
    start, known = microseconds(table.columns["start"])
    table.refuse(~known, "start", "“{}” is not a time: write seconds since 1970, or 2026-06-28 23:17:41.125.")
    return start


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
        _tell_portless(table, named)
        untold = named == UNTOLD
        if untold.any():
            table, named = self._without(table, untold, Skip.NO_PROTOCOL), named[~untold]
        batch = _packets(table, named)
        answers, requests = self._icmp(table, batch)
        if answers.any():
            table, batch = self._without(table, answers, Skip.ICMP_ANSWER), batch.take(~answers)
            requests = requests[~answers]
        if "source_port" in table.columns:
            batch = self._opening(table, batch, requests)
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

    def _icmp(self, table: Table, batch: Batch) -> tuple[Mask, Mask]:
        """(replies and errors, requests), where the log tells the type."""
        answers, requests = np.zeros(len(batch), np.bool_), np.zeros(len(batch), np.bool_)
        fields = table.columns.get(self.traits.icmp_in)
        if fields is None:
            return answers, requests
        find = netflow_icmp_type_of if self.traits.icmp_in == "port" else icmp_type_of
        for protocol, types in ICMP_ANSWERS.items():
            rows = np.flatnonzero((batch.protocol == protocol) & (batch.version > 0))
            if rows.size:
                kind, told = looked_up(fields.take(rows), find)
                answer = types.take(np.minimum(kind, 255))
                answers[rows[told & answer]] = True
                # Of NetFlow's replies nothing may be told, and then they are those of a request.
                requests[rows[told & ~answer]] = self.traits.icmp_in != "port"
        return answers, requests

    def _opening(self, table: Table, batch: Batch, requests: Mask) -> Batch:
        """The rows that open a flow, of tables with both ports."""
        has_port = _HAS_PORT.take(batch.protocol) & (batch.version > 0)
        source_port = _ports(table, "source_port", has_port)
        role = _roles(table, (batch.protocol == _TCP) & (batch.version > 0), self.traits)
        middle = role == _MIDDLE
        if middle.any():
            self._skipped[Skip.MIDDLE] += int(np.count_nonzero(middle))
        told = batch.direction != UNKNOWN_WAY
        if "turned" in table.columns:
            batch, source_port, role = _as_begun(table, batch, source_port, role)
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
                    one_way=requests[rows],
                    by_direction=by_direction,
                    in_order=self.traits.packets,
                    # A firewall that logs a packet has judged it as one that opens something.
                    by_ports=not self.traits.packets,
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
    is_ip = named != NOT_IP
    version, source_high, source_low = _addresses(table, "source", is_ip)
    family, high, low = _addresses(table, "destination", is_ip)
    table.refuse(version != family, "destination", "“{}” is of another family than the source: a packet has one.")
    named[(named == ICMP_OF_FAMILY) & (version == 6)] = ICMPV6
    named[named == ICMP_OF_FAMILY] = ICMP
    named[~is_ip] = 0
    protocol = named.astype(np.uint8)
    port = _ports(table, "port", _HAS_PORT.take(protocol) & is_ip)
    rows = len(protocol)
    directions = _directions(table, rows)
    return Batch(directions, version, protocol, source_high, source_low, high, low, port, _said(table, rows))
