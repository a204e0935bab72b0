"""Records that are no lines of a table: rows of texts put together to tables, and lines of firewalls' logs."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.columns import Traits
from securitygroups.firewall.flows.layouts import decoded
from securitygroups.firewall.flows.openers import MAYBE, OPENS, Skip
from securitygroups.firewall.flows.rows import Rows, Table
from securitygroups.firewall.flows.text import column, padded, split
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.lines.pasted import Line, parse_line
from securitygroups.firewall.lines.replies import reply_in
from securitygroups.firewall.values import NON_IP

COLUMNS = (
    *("protocol", "source", "destination", "port", "source_port", "direction", "start", "tcp_flags", "said"),
    *("icmp_type", "role"),
)
Row = tuple[str, ...]
"""One record: a text for each of COLUMNS."""

LINES = Traits("firewall log", packets=True, icmp_in="icmp_type")

_GATEWAYS = ("pf", "cisco", "juniper", "forti", "asa", "ios", "palo")
_ANSWERS = {"icmp": Skip.ICMP_ANSWER, "tcp": Skip.MIDDLE, "sctp": Skip.MIDDLE}
_BETWEEN = "\x1f"
_MOST_LINES = 50_000
_SHORTEST = 12
"""Letters of a line of a log: a pasted one may be shorter, but no program writes so little about a packet."""
_NOTHING = Line("", {})
_LONGEST = 1 << 16
_BLOCK = 4096
_CONTROL = dict.fromkeys(range(32), "?")


def table_of(rows: Sequence[Row], lines: Sequence[int], unit: str) -> Table:
    """A table of the rows."""
    data = padded("".join(f"{_BETWEEN.join(row)}\n" for row in rows).encode("utf-8", "replace"))
    ends = split(data, ord(_BETWEEN), len(COLUMNS))
    if ends is None or len(ends) != len(rows):
        # A text has a line feed in it, or what stands between texts.
        clean = [[text.translate(_CONTROL) for text in row] for row in rows]
        data = padded("".join(f"{_BETWEEN.join(row)}\n" for row in clean).encode("utf-8", "replace"))
        ends = split(data, ord(_BETWEEN), len(COLUMNS))
    if ends is None:
        ends = np.zeros((0, len(COLUMNS)), np.intp)
    columns = {name: column(data, ends, number) for number, name in enumerate(COLUMNS)}
    return Table(columns, np.array(lines, np.int64), unit)


def _unjudged(line: Line, protocol: str) -> Skip | None:
    if protocol == NON_IP:
        return Skip.NOT_IP
    if not line.fields.get("source") or not line.fields.get("destination"):
        return Skip.NOT_READ
    if not protocol:
        return Skip.NO_PROTOCOL
    return _ANSWERS.get(protocol, Skip.REPLY) if not line.flags and reply_in(line) else None


def row_of(line: Line, *, by_address: bool = False) -> Row | Skip:
    """What a line of a firewall's log tells, or why it is not judged.

    `by_address`: a gateway's direction, which is that of one of its interfaces and not the VM's, is passed over.
    """
    fields = line.fields
    protocol = fields.get("protocol", "")
    if (reason := _unjudged(line, protocol)) is not None:
        return reason
    if protocol == "number":
        protocol = fields.get("number", "")
    ends = (fields["source"], fields["destination"], fields.get("port", ""), line.source_port)
    flags = ",".join(line.flags) if line.flags else ""
    direction = "" if by_address and line.kind.lower().startswith(_GATEWAYS) else fields.get("direction", "")
    kind = "" if line.icmp is None else str(line.icmp)
    return protocol, *ends, direction, "", flags, line.said, kind, str(MAYBE if flags else OPENS)


class Lines:
    """Reads lines of firewalls' logs, each by itself; lines that tell no packet are counted."""

    def __init__(self, rows: Rows, data: bytes, read: Callable[[int], bytes], chunk: int) -> None:
        self._rows, self._data, self._read, self._chunk = rows, data, read, chunk
        self.kind, self.records, self._line, self._found = LINES.kind, 0, 0, False

    @property
    def guessed(self) -> int:
        return self._rows.guessed

    def __iter__(self) -> Iterator[Batch]:
        rows: list[Row] = []
        numbers: list[int] = []
        for text in texts(self._data, self._read, self._chunk):
            self._line += 1
            if not text.strip():
                continue
            self.records += 1
            row = self._row(text)
            if row is not None:
                rows.append(row)
                numbers.append(self._line)
            if len(rows) >= _BLOCK:
                yield self._rows.batch(table_of(rows, numbers, "line"))
                rows, numbers = [], []
        if not self._found:
            raise nothing_known()
        yield self._rows.batch(table_of(rows, numbers, "line"))

    def _row(self, text: str) -> Row | None:
        line = parse_line(text) if len(text) >= _SHORTEST else _NOTHING
        row = row_of(line, by_address=self._rows.knows_directions)
        if isinstance(row, Skip):
            self._rows.count(row)
            self._found |= row is not Skip.NOT_READ
        else:
            if not self._found and line.kind:
                self.kind = line.kind
            self._found = True
        if not self._found and self._line >= _MOST_LINES:
            raise nothing_known()
        return None if isinstance(row, Skip) else row


def texts(data: bytes, read: Callable[[int], bytes], chunk: int) -> Iterator[str]:
    """The lines of a text: `data` is what was read of it so far. Raises BadDocument for one that is too long."""
    number = 0
    while True:
        *whole, data = data.split(b"\n")
        number += len(whole)
        for line in whole:
            yield decoded(line)
        if len(data) > _LONGEST:
            raise bad(f"line {number + 1}", f"It is longer than {_LONGEST} bytes: this is no line of a log.")
        more = read(chunk)
        if not more:
            break
        data += more
    if data:
        yield decoded(data)


def nothing_known() -> Exception:
    return bad(
        "",
        "No line here is one of a flow log that is known, and there is no column protocol: the first line of a table names "
        "its columns, direction, protocol, source, destination, port.",
    )
