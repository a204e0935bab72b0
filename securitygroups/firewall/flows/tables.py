"""Tables of text as batches: thousands of lines at once where they are regular, one by one where they are not."""

import re
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.columns import standing_for
from securitygroups.firewall.flows.layouts import Layout, decoded, split_line
from securitygroups.firewall.flows.rows import Rows, Table
from securitygroups.firewall.flows.text import PAD, Fields, column, columns, padded, split, unquoted
from securitygroups.firewall.formats.strict import bad

MAX_LINE = 1 << 16

Lines = NDArray[np.int64]

_CLOCK = re.compile(r"\d{1,2}:\d\d")
_BETWEEN = "\x1f"
_CONTROL = dict.fromkeys((10, 13, ord(_BETWEEN)), "?")


class TextTable:
    """Reads the records of a table: `data` is what was read of it so far, `read` gives the rest in pieces of `chunk`."""

    def __init__(self, layout: Layout, rows: Rows, data: bytes, read: Callable[[int], bytes], chunk: int) -> None:
        self._layout, self._rows, self._read = layout, rows, read
        # As many rows at a time as narrow tables have.
        self._chunk = chunk * min(4, max(1, len(layout.names) // 10))
        for _ in range(layout.line - 1):
            data = data.partition(b"\n")[2]
        self._data, self._line, self.records, self._ended = data, layout.line, 0, False
        named = {name: number for number, name in enumerate(layout.names) if name}
        if "source_port" not in named:
            named = {name: number for name, number in named.items() if name != "start"}
        self._columns = named
        self._read_up_to = max(named.values()) + 1
        self._header = layout.header
        self._headers = tuple(layout.header + end for end in (b"\n", b"\r\n")) if layout.header else ()
        self._trailer = rows.traits.trailer

    @property
    def kind(self) -> str:
        return self._rows.traits.kind

    @property
    def guessed(self) -> int:
        return self._rows.guessed

    def __iter__(self) -> Iterator[Batch]:
        rest, block = b"", self._data
        self._data = b""
        while True:
            more = self._read(self._chunk)
            # The last line may lack its line feed. It is judged with those before it: of a flow's records all are compared.
            last = b"\n" if block and not more and not block.endswith(b"\n") else b""
            # One copy, with what must follow the last line: the lines are looked at where they are.
            data = b"".join((rest, _without_marks(block), last, bytes(PAD)))
            length = len(data) - PAD - len(last)
            end = data.rfind(b"\n", 0, length) + 1
            if length - end > MAX_LINE:
                lines = data.count(b"\n", 0, end)
                raise bad(
                    f"line {self._line + lines}",
                    f"It is longer than {MAX_LINE} bytes: this is not a line of a flow log.",
                )
            end = len(data) - PAD if last else end
            rest, block = data[end:-PAD], more
            if end:
                yield from self._batches(data, end)
            if not more:
                return

    def _batches(self, data: bytes, end: int) -> Iterator[Batch]:
        """The batches of the lines before `end`, behind which PAD bytes follow at least: one, unless a word that begins what
        is told of all records stands among them, and the header of others behind it."""
        while True:
            if self._ended:
                at = _line_at(data, self._headers, end)
                self._line += data.count(b"\n", 0, at)
                if at == end:
                    return
                self._ended = False
                data, end = data[at:], end - at
            at = _line_at(data, (self._trailer,) if self._trailer else (), end)
            self._ended = at < end
            if at:
                # What follows is no padding, and need not be: it is not read.
                table = self._table(data if at == end else data[:at] + bytes(PAD), at)
                self.records += len(table.lines)
                yield self._rows.batch(table)
            if not self._ended:
                return
            data, end = data[at:], end - at

    def _table(self, data: bytes, end: int) -> Table:
        table = self._regular(data, end)
        if table is None:
            block = data[:end]
            named, lines, _ = self._without_others(block) or self._tidied(block)
            self._line += block.count(b"\n")
        else:
            named, lines, self._line = table
        if self._layout.separator not in " \t":
            named = {name: fields.trimmed() for name, fields in named.items()}
        if (day := named.pop("day", None)) is not None and "start" in named:
            named["start"] = _at_the_clock(day, named["start"])
        return Table(named, lines)

    def _regular(
        self, block: bytes, end: int, lines: Lines | None = None
    ) -> tuple[dict[str, Fields], Lines, int] | None:
        """The columns of a block whose lines are all records of as many fields, and the number of the line behind."""
        data = np.frombuffer(block, np.uint8, end + PAD)
        names = self._columns
        ends = split(data, ord(self._layout.separator), len(self._layout.names))
        if ends is None or self._has_others(block, data, ends):
            return None
        fields = columns(data, ends, list(names.values()))
        if self._layout.separator != " " and block.find(b'"', 0, end) >= 0:
            bare = unquoted(data, ends, fields)
            if bare is None:
                return None
            fields = bare
        if lines is None:
            lines = np.arange(self._line, self._line + len(ends))
        full = self._full(data, ends)
        if full is not None:
            fields, lines = [field.take(full) for field in fields], lines[full]
        return dict(zip(names, fields, strict=True)), lines, self._line + len(ends)

    def _has_others(self, block: bytes, data: NDArray[np.uint8], ends: NDArray[np.intp]) -> bool:
        """Whether there are remarks among these lines, or the header once more."""
        if not len(ends):
            return False
        starts = np.append(0, ends[:-1, -1] + 1)
        first = data.take(starts)
        if (first == ord("#")).any():
            return True
        if not self._headers:
            return False
        alike = np.flatnonzero(first == self._header[0])
        if not alike.size:
            return False
        long = ends[alike, -1] - starts[alike] - len(self._header) - 1
        return any(block.startswith(self._headers, at) for at in starts[alike[(long >= -1) & (long <= 1)]].tolist())

    def _without_others(self, block: bytes) -> tuple[dict[str, Fields], Lines, int] | None:
        """The columns of a block that is regular but for remarks, empty lines and the header once more."""
        lines = block.split(b"\n")[:-1]
        others = {b"", b"\r", self._header, self._header + b"\r"}
        kept = [
            (number, line)
            for number, line in enumerate(lines, self._line)
            if line not in others and not line.startswith(b"#")
        ]
        if not 0 < len(kept) < len(lines) or (self.kind == "Zeek" and b"\n#fields" in block):
            return None
        text = b"\n".join([line for _, line in kept]) + b"\n"
        return self._regular(text + bytes(PAD), len(text), np.array([number for number, _ in kept], np.int64))

    def _full(self, data: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.intp] | None:
        """The rows in which anything stands, None for all of them."""
        if self._layout.separator == " ":
            return None
        width = ends[:, -1].copy()
        width[1:] -= ends[:-1, -1] + 1
        # Separators, and perhaps a carriage return.
        short = np.flatnonzero(width <= ends.shape[1])
        if not short.size:
            return None
        returned = data.take(np.maximum(ends[short, -1] - 1, 0)) == 13
        empty = short[width[short] == ends.shape[1] - 1 + returned]
        if not empty.size:
            return None
        full = np.ones(len(ends), np.bool_)
        full[empty] = False
        return np.flatnonzero(full)

    def _tidied(self, block: bytes) -> tuple[dict[str, Fields], Lines, int]:
        """Lines with quotes, among remarks and empty lines, or of a wrong length: one by one.

        Raises BadDocument for the last.
        """
        rows: list[str] = []
        lines: list[int] = []
        for number, raw in enumerate(block.split(b"\n")[:-1] if block.strip() else (), self._line):
            fields = self._fields(raw, number)
            if fields:
                # None behind the last that is read: a header may have far more columns than any line has fields.
                rows.append(_BETWEEN.join(field.translate(_CONTROL) for field in fields[: self._read_up_to]))
                lines.append(number)
        count = self._read_up_to
        data = padded("".join(f"{row}\n" for row in rows).encode())
        ends = split(data, ord(_BETWEEN), count)
        if ends is None:
            ends = np.zeros((0, count), np.intp)
        named = {name: column(data, ends, at) for name, at in self._columns.items()}
        return named, np.array(lines, np.int64), self._line

    def _fields(self, raw: bytes, number: int) -> list[str]:
        """The fields of a record, none of any other line. Raises BadDocument where there are too few or too many."""
        line = decoded(raw).rstrip("\r")
        if line.startswith("#"):
            self._check_remark(line, number)
            return []
        if not line.strip() or line == decoded(self._header):
            return []
        fields = split_line(line, self._layout.separator, number)
        if not any(fields):
            return []
        count = len(self._layout.names)
        if not any(fields[count:]):
            fields = fields[:count]
        # Spreadsheets leave out what is empty at the end of a line.
        cut = self._read_up_to <= len(fields) < count and self._layout.separator != " "
        if len(fields) != count and not cut:
            raise bad(f"line {number}", f"It has {len(fields)} fields instead of {count}.")
        return fields

    def _check_remark(self, line: str, number: int) -> None:
        """Zeek's files that were put together may have other columns from some line on."""
        if line.lower().startswith("#fields") and "\t" in line and self.kind == "Zeek":
            names = line.split("\t")[1:]
            if tuple(standing_for(names)) != self._layout.names:
                raise bad(f"line {number}", "Other columns begin here: give this part as a file of its own.")


def _line_at(data: bytes, beginnings: tuple[bytes, ...], end: int) -> int:
    """Where the first line before `end` stands that begins so, `end` where none does."""
    if not beginnings or data.startswith(beginnings):
        return 0 if beginnings else end
    return min((at for one in beginnings if (at := data.find(b"\n" + one, 0, end) + 1)), default=end)


def _without_marks(block: bytes) -> bytes:
    """Without the marks of UTF-8 that begin the files which were put together."""
    return block.replace(b"\n\xef\xbb\xbf", b"\n") if b"\n\xef\xbb\xbf" in block else block


def _at_the_clock(day: Fields, clock: Fields) -> Fields:
    """Dates with the times of the column beside them, where those have none themselves."""
    if not len(clock.start) or not _CLOCK.match(clock.text(0)):
        return clock
    texts = [f"{day.text(row)} {clock.text(row)}".encode() for row in range(len(clock.start))]
    ends = np.cumsum([len(text) + 1 for text in texts], dtype=np.intp) - 1
    return Fields(padded(b"\n".join(texts) + b"\n"), np.append(0, ends[:-1] + 1), ends)
