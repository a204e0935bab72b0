"""Parquet files as rows of texts, where pyarrow is installed: clouds keep flow logs so."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.columns import NEEDED, known, looks_like_vpc, standing_for, traits_of
from securitygroups.firewall.flows.columns import VPC as VPC_TRAITS
from securitygroups.firewall.flows.compressed import Readable
from securitygroups.firewall.flows.rows import NO_DIRECTION, Rows, Table
from securitygroups.firewall.flows.text import column, padded, split
from securitygroups.firewall.formats.strict import bad

MAGIC = b"PAR1"

_ROWS = 1 << 15
_BETWEEN = "\x1f"
_MOST_BYTES = 64 << 20
"""What is kept of a stream that cannot be read from its end, where Parquet says what is in it."""


class ParquetLog:
    """Reads a Parquet file, in batches."""

    def __init__(self, stream: Readable, begin: Any, *, directions_known: bool) -> None:
        file = _opened(stream)
        self._names = standing_for(file.schema_arrow.names)
        self._file, self.records = file, 0
        names = file.schema_arrow.names
        missing = [name for name in NEEDED if name not in self._names]
        if missing:
            raise bad("", f"There is no column {missing[0]} in this Parquet file: its columns are {_list(names)}.")
        if "direction" not in self._names and not directions_known:
            raise bad("", NO_DIRECTION)
        self._rows: Rows = begin(VPC_TRAITS if looks_like_vpc(names) and known(names) else traits_of(names))
        self.kind = f"{self._rows.traits.kind} (Parquet)"

    @property
    def guessed(self) -> int:
        return self._rows.guessed

    def __iter__(self) -> Iterator[Batch]:
        import pyarrow as arrow

        wanted = [(name, at) for at, name in enumerate(self._names) if name]
        columns = [self._file.schema_arrow.names[at] for _, at in wanted]
        try:
            for piece in self._file.iter_batches(batch_size=_ROWS, columns=columns):
                yield self._rows.batch(self._table([name for name, _ in wanted], piece, columns))
        except (arrow.ArrowException, OSError, MemoryError):
            raise bad("", "The Parquet file is damaged.") from None

    def _table(self, names: list[str], piece: Any, columns: list[str]) -> Table:
        import pyarrow as arrow
        from pyarrow import compute

        texts = [_as_text(piece.column(piece.schema.get_field_index(name)), arrow, compute) for name in columns]
        # One text a row, which is split again as the lines of a file are.
        lines = compute.binary_join_element_wise(*texts, "\n", _BETWEEN)
        # Bytes, for a damaged file has texts that are none.
        text = b"".join(lines.cast(arrow.binary()).to_pylist())
        data = padded(text.replace(_BETWEEN.encode() + b"\n", b"\n"))
        ends = split(data, ord(_BETWEEN), len(names))
        if ends is None or len(ends) != piece.num_rows:
            raise bad(f"record {self.records + 1}", "A text from here on has line feeds in it.")
        numbers = np.arange(self.records + 1, self.records + 1 + len(ends))
        self.records += len(ends)
        return Table({name: column(data, ends, at) for at, name in enumerate(names)}, numbers, "record")


def _as_text(values: Any, arrow: Any, compute: Any) -> Any:
    if arrow.types.is_timestamp(values.type):
        values = values.cast(arrow.timestamp("us", values.type.tz)).cast(arrow.int64())
    if arrow.types.is_binary(values.type) or arrow.types.is_dictionary(values.type):
        values = values.cast(arrow.string())
    return compute.fill_null(values.cast(arrow.string()), "")


def _opened(stream: Readable) -> Any:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise bad(
            "", "This is a Parquet file, and pyarrow, which reads them, is not installed: write the table as CSV."
        ) from None
    try:
        return parquet.ParquetFile(
            _seekable(stream), thrift_string_size_limit=1 << 20, thrift_container_size_limit=1 << 20
        )
    except (arrow.ArrowException, OSError, ValueError, MemoryError):
        raise bad("", "The Parquet file is damaged or cut short.") from None


def _seekable(stream: Readable) -> Any:
    """The file itself; of a stream that only goes forwards, what it holds."""
    if getattr(stream, "seekable", lambda: False)():
        return stream
    import io

    whole = bytearray()
    while more := stream.read(1 << 20):
        whole += more
        if len(whole) > _MOST_BYTES:
            raise bad("", f"A Parquet file that comes as a stream may have {_MOST_BYTES >> 20} MiB: give it as a file.")
    return io.BytesIO(whole)


def _list(names: list[str]) -> str:
    return ", ".join(str(name)[:40] for name in names[:20]) + (", …" if len(names) > 20 else "")
