"""A program of its own that reads a Parquet file: `parquet_child.py DESCRIPTOR`.

The library for such files is native code, which ends its process at some damaged ones. So it runs here and not among other
people's requests, knows no settings and no secrets, and has but so much memory, and time for each batch.

It says on its standard output a line of JSON: `columns`, each as the path to it, and `rows`. It is told a line of JSON with
the `wanted` ones and what to put `between` their texts. Then, for each batch, come a line with `rows` and `bytes`, and so many
bytes: a row is a line of texts. The last line is `{"end": true}`, or has a `fault`. Where neither comes it has died, which
says that the file is damaged.
"""

import json
import mmap
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as arrow
from pyarrow import compute, parquet, types

_ROWS = 1 << 15
_LONGEST = 200
_MOST_OF_COLUMN = 256 << 20
_MOST_MEMORY = 512 << 20
_MOST_SECONDS = 5
_LIMITS = {"thrift_string_size_limit": 1 << 20, "thrift_container_size_limit": 1 << 20}


class Fault(Exception):
    """What is wrong with the file, for whoever brought it."""


def main(descriptor: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _read(descriptor)
        _say({"end": True})
    except Fault as fault:
        _say({"fault": str(fault)})
    except MemoryError:
        most = f"{_MOST_MEMORY >> 20} MiB"
        _say({"fault": f"Reading this Parquet file takes more than {most} of memory: write it in smaller row groups."})


def _read(descriptor: int) -> None:
    _go_on()
    file = _opened(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
    _say({"columns": [place for place, _ in _leaves(file.schema_arrow)], "rows": file.metadata.num_rows})
    told = json.loads(sys.stdin.buffer.readline())
    columns = [".".join(place) for place in told["wanted"]]
    _check_sizes(file.metadata, set(columns))
    for piece in file.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False):
        text = _text(piece, told["wanted"], told["between"])
        _say({"rows": piece.num_rows, "bytes": len(text)}, text)
        _go_on()


def _say(what: Mapping[str, Any], more: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n" + more)
    sys.stdout.buffer.flush()


def _go_on() -> None:
    """So much time of the processor again, until the next batch is there."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + _MOST_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _opened(whole: mmap.mmap) -> Any:
    file = parquet.ParquetFile(arrow.py_buffer(whole), **_LIMITS)
    texts = [".".join(place) for place, kind in _leaves(file.schema_arrow) if _is_text(kind)]
    # A text is then held once, however many rows have it: a few bytes may stand for very much.
    return parquet.ParquetFile(arrow.py_buffer(whole), metadata=file.metadata, read_dictionary=texts, **_LIMITS)


def _leaves(fields: Any, before: Sequence[str] = ()) -> Iterator[tuple[Sequence[str], Any]]:
    """Where each column stands, which may be one of a group of columns, and its type."""
    for field in fields:
        place = (*before, field.name)
        if str(field.type).startswith("struct<"):
            yield from _leaves(field.type, place)
        else:
            yield place, field.type


def _check_sizes(metadata: Any, columns: set[str]) -> None:
    for group in range(metadata.num_row_groups):
        parts = metadata.row_group(group)
        for part in (parts.column(at) for at in range(parts.num_columns)):
            if part.path_in_schema in columns and part.total_uncompressed_size > _MOST_OF_COLUMN:
                most = f"{_MOST_OF_COLUMN >> 20} MiB of one column"
                raise Fault(f"A row group of this Parquet file has more than {most}: write the table in smaller ones.")


def _text(piece: Any, wanted: Sequence[Sequence[str]], between: str) -> bytes:
    """The rows as lines."""
    texts = []
    for first, *within in wanted:
        values = piece.column(piece.schema.get_field_index(first))
        texts.append(_as_text(compute.struct_field(values, within) if within else values))
    lines = compute.binary_join_element_wise(*texts, "\n", between)
    # Bytes, for a damaged file has texts that are none.
    text = b"".join(lines.cast(arrow.binary()).to_pylist())
    return text.replace(between.encode() + b"\n", b"\n")


def _as_text(values: Any) -> Any:
    values = _short(values)
    if types.is_timestamp(values.type):
        values = values.cast(arrow.timestamp("us", values.type.tz), safe=False).cast(arrow.int64())
    if types.is_binary(values.type) or types.is_dictionary(values.type):
        values = values.cast(arrow.string())
    return compute.fill_null(values.cast(arrow.string()), "")


def _short(values: Any) -> Any:
    """The texts, none of which is long: each is kept once until that is known, however many rows have it."""
    if not types.is_dictionary(values.type) or not _is_text(values.type.value_type):
        return values
    if (compute.max(compute.binary_length(values.dictionary)).as_py() or 0) > _LONGEST:
        raise Fault(f"A text in this Parquet file is longer than {_LONGEST} bytes: that is no flow log.")
    return values.cast(values.type.value_type)


def _is_text(kind: Any) -> bool:
    return bool(
        types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind)
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
