"""Flow logs as batches of the packets that open a flow: CSV, VPC flow log lines, packet captures; gzip or plain.

**CSV**: UTF-8, the first line names the columns, in any order: `direction` (in, out), `protocol` (tcp, udp, sctp, icmp,
icmpv6, non-ip or a number), `source`, `destination`, `port`. Other columns are passed over. Without `direction` the local
addresses tell it. Every line is taken for the packet that opens a flow, unless a column `source_port` allows to pair
flows with their replies (`start`, in whole seconds, then tells which came first).
**VPC flow logs**: fields separated by spaces, with a line that names them or in the default order of version 2. They
hold both ways of a flow; only the record that opened it is judged. `flow-direction` tells the direction where it is
there, the local addresses otherwise; `tcp-flags` are used to tell openers from replies.
**Captures**: pcap and pcapng, see captures.

In CSV and VPC logs, whatever stands in the port column of a protocol without ports (an ICMP type and code) is not looked
at; an empty port or "-" of a protocol with ports is a packet without one, such as a later fragment.
"""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows import batch as batches
from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, IN, NO_PORT, OUT, UNSAID, Batch
from securitygroups.firewall.flows.captures import Capture, is_capture, refuse_others
from securitygroups.firewall.flows.openers import MAYBE, OPENS, REPLIES, Openers, Skip, directed
from securitygroups.firewall.flows.text import Fields, ipv4, ipv6, key, keys, numbers, padded, reads, split
from securitygroups.firewall.formats.strict import BadDocument, Fault
from securitygroups.firewall.protocols import MAX_PORT, PORT_NUMBERS, Problem
from securitygroups.firewall.values import ICMP, ICMPV6, NON_IP, PACKET_PROTOCOLS, Network, Refused, parse_address

VPC_COLUMNS = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
"""The default fields of a VPC flow log, version 2."""

MAX_LINE = 1 << 16

_CHUNK = 1 << 21
_LONGEST = 100  # characters of a field that are looked at one by one; no address has as many
_GZIP = b"\x1f\x8b"
_OURS = {
    "srcaddr": "source",
    "dstaddr": "destination",
    "srcport": "source_port",
    "dstport": "port",
    "flow-direction": "direction",
    "tcp-flags": "tcp_flags",
    "action": "said",
}
_READ = {"protocol", "source", "destination", "port", "direction", "source_port", "start", "tcp_flags", "said"}
_DIRECTIONS = {"in": IN, "ingress": IN, "out": OUT, "egress": OUT}
_SAID = {"accept": ACCEPTED, "reject": DENIED}
_ICMP_OF_FAMILY = 256
_NOT_IP = 257
_DASH = key("-")
_NAMES = {
    **PACKET_PROTOCOLS,
    "icmp": _ICMP_OF_FAMILY,
    **dict.fromkeys(("icmpv6", "icmp6", "ipv6-icmp"), ICMPV6),  # as other programs call it
    NON_IP: _NOT_IP,
}


class Readable(Protocol):
    """All that a log's stream must be able to do; a read may be shorter than asked for, only b"" is the end."""

    def read(self, size: int, /) -> bytes: ...


class _Table(NamedTuple):
    """Lines of a text log: its columns by name, and the number of each line."""

    columns: dict[str, Fields]
    lines: NDArray[np.int64]

    def refuse(self, rows: NDArray[np.bool_], name: str, message: str) -> None:
        """Raise BadDocument for the first of the rows; {} in the message stands for its field's text."""
        bad = np.flatnonzero(rows)
        if bad.size:
            text = self.columns[name].text(int(bad[0]))[:60]
            raise _bad(f"line {self.lines[bad[0]]}, {name}", message.replace("{}", text))


def _bad(where: str, message: str) -> BadDocument:
    return BadDocument([Fault(where, Problem(message))])


def _addresses(table: _Table, name: str, wanted: NDArray[np.bool_]) -> tuple[Any, Any, Any]:
    """(version, upper 64 bits, lower 64 bits) of one address column, 0 in rows that are not wanted."""
    fields = table.columns[name]
    low, four = ipv4(fields)
    version, high = four.astype(np.uint8) * np.uint8(4), np.zeros(len(low), np.uint64)
    rest = np.flatnonzero(wanted & ~four)
    if rest.size:
        high[rest], low[rest], taken = ipv6(fields.take(rest))
        version[rest] = taken * np.uint8(6)
        for row in rest[~taken].tolist():
            try:
                family, number = parse_address(fields.text(row)[:_LONGEST])
            except Refused as refusal:
                raise BadDocument([Fault(f"line {table.lines[row]}, {name}", refusal.problem)]) from None
            version[row], high[row], low[row] = family, number >> 64, number & ((1 << 64) - 1)
    for column in (version, high, low):
        column[~wanted] = 0
    return version, high, low


def _protocols(table: _Table) -> NDArray[np.int64]:
    """IP protocol numbers, or the two stand-ins beyond 255."""
    fields = table.columns["protocol"]
    protocol, taken = numbers(fields, 3)
    taken &= protocol < 256
    for name, number in _NAMES.items():
        named = reads(fields, name)
        protocol[named] = number
        taken |= named
    table.refuse(
        ~taken, "protocol", "“{}” is not a protocol: write tcp, udp, sctp, icmp, non-ip or a number up to 255."
    )
    return protocol


def _ports(table: _Table, name: str, wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Ports of the wanted rows, NO_PORT in the others and where the field is empty or a dash."""
    fields = table.columns[name]
    port, taken = numbers(fields, 5)
    nothing = (fields.start == fields.end) | (keys(fields) == _DASH)
    wrong = wanted & ~nothing & ~(taken & (port <= MAX_PORT))
    table.refuse(wrong, name, f"“{{}}” is not a port: write a number from 0 to {MAX_PORT}.")
    return np.where(wanted & ~nothing, port, NO_PORT).astype(np.int32)


def _directions(table: _Table) -> NDArray[np.uint8]:
    found = keys(table.columns["direction"])
    direction = np.full(len(found), 255, np.uint8)
    for word, value in _DIRECTIONS.items():
        direction[found == key(word)] = value
    table.refuse(direction == 255, "direction", "“{}” is not a direction: write in or out.")
    return direction


def _roles(table: _Table, tcp: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What the TCP flags of a record, collected over its packets, tell about its role."""
    role = np.full(len(tcp), MAYBE, np.uint8)
    if "tcp_flags" in table.columns:
        flags, taken = numbers(table.columns["tcp_flags"], 3)
        syn = tcp & taken & (flags & 2 > 0)
        role[syn] = np.where(flags[syn] & 16 > 0, REPLIES, OPENS)
    return role


def _said(table: _Table, rows: int) -> NDArray[np.uint8]:
    """What the log says of the verdict; words that are none of its say nothing."""
    said = np.full(rows, UNSAID, np.uint8)
    if "said" in table.columns:
        for word, value in _SAID.items():
            said[reads(table.columns["said"], word)] = value
    return said


class _Text:
    """Reads a text log whose first line names its columns."""

    def __init__(self, read: Callable[[int], bytes], skipped: Counter[Skip], *, directions_known: bool) -> None:
        self._read, self._skipped = read, skipped
        self._data, self._line, self.records = b"", 1, 0
        head, rest = self._head()
        line = head.decode("utf-8-sig", "replace").strip()
        self.kind = "CSV" if "," in line or not line else "VPC flow log"
        self._separator = "," if self.kind == "CSV" else " "
        names = self._fields(line, 1)
        if self.kind == "VPC flow log" and names[0] == "2" and len(names) == len(VPC_COLUMNS):
            # The first line is a record already: the default format, without a header.
            names = list(VPC_COLUMNS)
        else:
            self._data, self._line = rest, 2
        self._names = [_OURS.get(name.lower(), name.lower()) for name in names]
        self._check_names(directions_known)
        self.has_direction = "direction" in self._names
        self._openers = Openers() if "source_port" in self._names else None

    def _head(self) -> tuple[bytes, bytes]:
        """The first line, and what was read beyond it. Raises BadDocument where this is no text."""
        while b"\n" not in self._data and len(self._data) <= MAX_LINE and (more := self._read(_CHUNK)):
            self._data += more
        head, _, rest = self._data.partition(b"\n")
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise _bad("line 1", "The file is UTF-16: save it as UTF-8.")
        if len(head) > MAX_LINE or b"\0" in head:
            raise _bad("", "This is neither CSV, a VPC flow log nor a packet capture (pcap, pcapng), plain or gzip.")
        return head, rest

    def _check_names(self, directions_known: bool) -> None:
        needed = ["protocol", "source", "destination", "port"]
        missing = [name for name in needed if name not in self._names]
        if missing:
            hint = "direction, protocol, source, destination, port"
            raise _bad("line 1", f"There is no column {missing[0]}: the first line names the columns, {hint}.")
        for name in (*needed, "direction", "source_port", "start"):
            if self._names.count(name) > 1:
                raise _bad("line 1", f"The column {name} stands twice: keep one of them.")
        if "direction" not in self._names and not directions_known:
            raise _bad("line 1", "Nothing here tells the direction: name the local addresses, the VMs' own.")

    def _fields(self, line: str, number: int) -> list[str]:
        """The fields of one line, spaces around them dropped. Raises BadDocument for a quote that does not end."""
        if self._separator == " ":
            return line.split()
        try:
            return [field.strip() for field in next(csv.reader([line], strict=True), [])]
        except csv.Error as error:
            raise _bad(f"line {number}", f"This is not a line of CSV ({error}).") from None

    def __iter__(self) -> Iterator[Batch]:
        while True:
            block, newline, rest = self._data.rpartition(b"\n")
            if newline:
                self._data = rest
                yield self._batch(self._table(block + newline))
            if len(self._data) > MAX_LINE:
                where = f"line {self._line}"
                raise _bad(where, f"It is longer than {MAX_LINE} bytes: this is not a line of a flow log.")
            more = self._read(_CHUNK)
            if not more:
                break
            self._data += more
        if self._data:
            # The last line may lack its line feed.
            yield self._batch(self._table(self._data + b"\n"))

    def _table(self, block: bytes) -> _Table:
        data = padded(block)
        fields = None if b'"' in block else split(data, ord(self._separator), len(self._names))
        if fields is None:
            fields, lines = self._irregular(block)
        else:
            lines = np.arange(self._line, self._line + len(fields[0].start))
        self._line += block.count(b"\n")
        self.records += len(lines)
        columns = {name: field for name, field in zip(self._names, fields, strict=True) if name in _READ}
        if self._separator == ",":
            columns = {name: field.trimmed() for name, field in columns.items()}
        return _Table(columns, lines)

    def _irregular(self, block: bytes) -> tuple[list[Fields], NDArray[np.int64]]:
        """Lines with quotes, among empty lines or of a wrong length: one by one. Raises BadDocument for the last."""
        rows: list[str] = []
        lines: list[int] = []
        for number, line in enumerate(block.decode("utf-8", "replace").split("\n")[:-1], self._line):
            fields = self._fields(line.rstrip("\r"), number) if line.strip() else []
            if not fields:
                continue
            if len(fields) != len(self._names):
                message = f"It has {len(fields)} fields instead of {len(self._names)}."
                raise _bad(f"line {number}", message)
            # A separator or line feed can only come from quotes, where no column that is read has one that is right.
            rows.append(self._separator.join(field.replace(self._separator, ";") for field in fields))
            lines.append(number)
        text = "".join(f"{row}\n" for row in rows).encode()
        split_again = split(padded(text), ord(self._separator), len(self._names))
        return split_again or [], np.array(lines, np.int64)

    def _batch(self, table: _Table) -> Batch:
        if not len(table.lines):
            return batches.empty()
        if self.kind == "VPC flow log":
            table = self._without_empty(table)
        named = _protocols(table)
        is_ip = named != _NOT_IP
        version, source_high, source_low = _addresses(table, "source", is_ip)
        family, high, low = _addresses(table, "destination", is_ip)
        mixed = "“{}” is of another family than the source: a packet has one."
        table.refuse(version != family, "destination", mixed)
        protocol = np.where(named == _ICMP_OF_FAMILY, np.where(version == 4, ICMP, ICMPV6), named)
        protocol[~is_ip] = 0
        has_port = is_ip & np.isin(protocol, list(PORT_NUMBERS))
        direction = _directions(table) if self.has_direction else np.zeros(len(version), np.uint8)
        port = _ports(table, "port", has_port)
        batch = Batch(
            direction,
            version,
            protocol.astype(np.uint8),
            source_high,
            source_low,
            high,
            low,
            port,
            _said(table, len(version)),
        )
        if self._openers is None:
            return batch
        start = np.zeros(len(version), np.int64)
        if "start" in table.columns:
            start, taken = numbers(table.columns["start"], 11)
            table.refuse(~taken, "start", "“{}” is not a time: write whole seconds since 1970.")
        source_port = _ports(table, "source_port", has_port)
        role = _roles(table, protocol == PACKET_PROTOCOLS["tcp"])
        opens = self._openers.choose(batch, source_port, role, start, self._skipped, by_direction=self.has_direction)
        return batch.take(opens)

    def _without_empty(self, table: _Table) -> _Table:
        """The table without the records that say that there was nothing to record, or no room for it."""
        full = keys(table.columns["source"]) != _DASH
        dropped = len(full) - int(np.count_nonzero(full))
        if not dropped:
            return table
        self._skipped[Skip.NO_DATA] += dropped
        rows = np.flatnonzero(full)
        return _Table({name: fields.take(rows) for name, fields in table.columns.items()}, table.lines[rows])


class _Peeked:
    """A stream whose first four bytes were looked at. Reads may be shorter than asked for; only b"" is the end."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._pending = b""
        while len(self._pending) < 4 and (more := self.read_on(4 - len(self._pending))):
            self._pending += more
        self.head = self._pending

    def read_on(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise _bad("", "The gzip data is damaged or cut short.") from None
        return data

    def read(self, size: int) -> bytes:
        data, self._pending = self._pending[:size], self._pending[size:]
        return data or self.read_on(size)


class FlowLog:
    """A flow log of any kind that this module reads, told by its first bytes: iterate once over it for its batches.

    `local` are the VMs' own addresses: they give the direction where the log has none. Batches have up to some
    ten thousands of rows; memory does not grow with the log. `kind` is "CSV", "VPC flow log" or "capture"; `records` counts
    the lines or packets read so far, `skipped` those of them that are not judged.
    """

    def __init__(self, stream: Readable, local: Sequence[Network] = ()) -> None:
        """Raises BadDocument where the log is none, or has no direction and there is no `local`."""
        self._local, self.skipped = tuple(local), Counter[Skip]()
        source = _Peeked(stream)
        if source.head.startswith(_GZIP):
            source = _Peeked(gzip.GzipFile(fileobj=source))  # type: ignore[call-overload]
        self._log: _Text | Capture
        refuse_others(source.head)
        if is_capture(source.head):
            self.kind, self._log = "capture", Capture(source.read, self.skipped, local)
            self._infer = False  # a capture gives directions itself: some frames tell them
        else:
            if not source.head:
                raise _bad("", "The file is empty.")
            text = _Text(source.read, self.skipped, directions_known=bool(local))
            self.kind, self._log, self._infer = text.kind, text, not text.has_direction

    @property
    def records(self) -> int:
        return self._log.records

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._log:
            judged = directed(batch, self._local, self.skipped) if self._infer else batch
            if len(judged):
                yield judged
