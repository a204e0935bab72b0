"""Parquet files as rows of texts, where pyarrow is installed: clouds keep flow logs so."""

from collections.abc import Iterator, Mapping
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
_MOST_OF_COLUMN = 256 << 20
_LONGEST = 200
_LIMITS = {"thrift_string_size_limit": 1 << 20, "thrift_container_size_limit": 1 << 20}


Place = tuple[str, ...]


class ParquetLog:
    """Reads a Parquet file, in batches."""

    def __init__(self, stream: Readable, begin: Any, *, directions_known: bool) -> None:
        self._file, self.records = _opened(stream), 0
        self._places = [place for place, _ in _leaves(self._file.schema_arrow)]
        names = [".".join(place) for place in self._places]
        self._names = standing_for(names)
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

        wanted = {name: place for name, place in zip(self._names, self._places, strict=True) if name}
        columns = [".".join(place) for place in wanted.values()]
        _check_sizes(self._file.metadata, set(columns))
        try:
            for piece in self._file.iter_batches(batch_size=_ROWS, columns=columns):
                yield self._rows.batch(self._table(piece, wanted))
        except (arrow.ArrowException, OSError, MemoryError):
            raise bad("", "The Parquet file is damaged.") from None

    def _table(self, piece: Any, wanted: Mapping[str, Place]) -> Table:
        import pyarrow as arrow
        from pyarrow import compute

        texts = []
        for first, *within in wanted.values():
            values = piece.column(piece.schema.get_field_index(first))
            texts.append(_as_text(compute.struct_field(values, within) if within else values, arrow, compute))
        # One text a row, which is split again as the lines of a file are.
        lines = compute.binary_join_element_wise(*texts, "\n", _BETWEEN)
        # Bytes, for a damaged file has texts that are none.
        text = b"".join(lines.cast(arrow.binary()).to_pylist())
        data = padded(text.replace(_BETWEEN.encode() + b"\n", b"\n"))
        ends = split(data, ord(_BETWEEN), len(wanted))
        if ends is None or len(ends) != piece.num_rows:
            raise bad(f"record {self.records + 1}", "A text from here on has line feeds in it.")
        numbers = np.arange(self.records + 1, self.records + 1 + len(ends))
        self.records += len(ends)
        return Table({name: column(data, ends, at) for at, name in enumerate(wanted)}, numbers, "record")


def _leaves(fields: Any, before: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Where each column stands, which may be one of a group of columns, and its type."""
    for field in fields:
        place = (*before, field.name)
        if str(field.type).startswith("struct<"):
            yield from _leaves(field.type, place)
        else:
            yield place, field.type


def _check_sizes(metadata: Any, columns: set[str]) -> None:
    """Raises BadDocument for a file that cannot be read in little memory."""
    for group in range(metadata.num_row_groups):
        parts = metadata.row_group(group)
        for part in (parts.column(at) for at in range(parts.num_columns)):
            if part.path_in_schema in columns and part.total_uncompressed_size > _MOST_OF_COLUMN:
                most = f"{_MOST_OF_COLUMN >> 20} MiB of one column"
                raise bad(
                    "", f"A row group of this Parquet file has more than {most}: write the table in smaller ones."
                )


def _as_text(values: Any, arrow: Any, compute: Any) -> Any:
    values = _short(values, arrow, compute)
    if arrow.types.is_timestamp(values.type):
        values = values.cast(arrow.timestamp("us", values.type.tz), safe=False).cast(arrow.int64())
    if arrow.types.is_binary(values.type) or arrow.types.is_dictionary(values.type):
        values = values.cast(arrow.string())
    return compute.fill_null(values.cast(arrow.string()), "")


def _short(values: Any, arrow: Any, compute: Any) -> Any:
    """The texts, none of which is long: each is kept once until that is known, however many rows have it."""
    if not arrow.types.is_dictionary(values.type) or not _is_text(values.type.value_type, arrow):
        return values
    if (compute.max(compute.binary_length(values.dictionary)).as_py() or 0) > _LONGEST:
        raise bad("", f"A text in this Parquet file is longer than {_LONGEST} bytes: that is no flow log.")
    return values.cast(values.type.value_type)


def _is_text(kind: Any, arrow: Any) -> bool:
    kinds = arrow.types
    return bool(
        kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_binary(kind) or kinds.is_large_binary(kind)
    )


def _opened(stream: Readable) -> Any:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise bad(
            "", "This is a Parquet file, and pyarrow, which reads them, is not installed: write the table as CSV."
        ) from None
    try:
        source = _seekable(stream)
        file = parquet.ParquetFile(source, **_LIMITS)
        texts = [".".join(place) for place, kind in _leaves(file.schema_arrow) if _is_text(kind, arrow)]
        # A text is then held once, however many rows have it: a few bytes may stand for very much.
        return parquet.ParquetFile(source, metadata=file.metadata, read_dictionary=texts, **_LIMITS)
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
