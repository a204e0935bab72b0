"""Parquet files as rows of texts, where pyarrow is installed: clouds keep flow logs so."""

import json
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.columns import NEEDED, known, looks_like_vpc, standing_for, traits_of
from securitygroups.firewall.flows.columns import VPC as VPC_TRAITS
from securitygroups.firewall.flows.compressed import Readable
from securitygroups.firewall.flows.rows import NO_DIRECTION, Rows, Table
from securitygroups.firewall.flows.text import column, padded, split
from securitygroups.firewall.formats.strict import BadDocument, bad

MAGIC = b"PAR1"

_PROGRAM = "securitygroups.firewall.flows.parquet_child"
_BETWEEN = "\x1f"
_MOST_BYTES = 64 << 20
"""What is kept of a stream that cannot be read from its end, where Parquet says what is in it."""
_MOST_OF_LINE = 16 << 20
_MOST_OF_BATCH = 128 << 20
# Where Python finds its packages and libraries, and nothing else that this process was told.
_TOLD = ("PYTHONPATH", "LD_LIBRARY_PATH")


class ParquetLog:
    """Reads a Parquet file, in batches."""

    def __init__(self, stream: Readable, begin: Any, *, directions_known: bool) -> None:
        self._child, self._stream, self.records = _Child(stream), stream, 0
        said = self._child.heard()
        self._places, self._rows_there = [tuple(place) for place in said["columns"]], said["rows"]
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
        wanted = {name: place for name, place in zip(self._names, self._places, strict=True) if name not in ("", "day")}
        self._child.tell({"wanted": list(wanted.values()), "between": _BETWEEN})
        while "end" not in (said := self._child.heard()):
            table = self._table(self._child.taken(said["bytes"]), said["rows"], list(wanted))
            self._show()
            yield self._rows.batch(table)

    def _table(self, text: bytes, rows: int, names: Sequence[str]) -> Table:
        data = padded(text)
        ends = split(data, ord(_BETWEEN), len(names))
        if ends is None or len(ends) != rows:
            raise bad(f"record {self.records + 1}", "A text from here on has line feeds in it.")
        numbers = np.arange(self.records + 1, self.records + 1 + rows)
        self.records += rows
        return Table({name: column(data, ends, at) for at, name in enumerate(names)}, numbers, "record")

    def _show(self) -> None:
        """Read the stream where the child may be by now: whoever looks on sees how far it is, and may end it."""
        if _can_seek(self._stream):
            stream: Any = self._stream
            stream.seek(stream.seek(0, 2) * self.records // max(self._rows_there, self.records, 1))
            stream.read(1)


class _Child:
    """The program that reads the file, until nobody needs it any more."""

    def __init__(self, stream: Readable) -> None:
        """Raises BadDocument where there is no such program, or too much to give it."""
        if find_spec("pyarrow") is None:
            raise bad(
                "", "This is a Parquet file, and pyarrow, which reads them, is not installed: write the table as CSV."
            )
        if (descriptor := _descriptor(stream)) is not None:
            self._process = _started(descriptor)
        else:
            with _copied(stream) as file:
                self._process = _started(file.fileno())
        self._end = weakref.finalize(self, _ended, self._process)

    def heard(self) -> dict[str, Any]:
        """What it says next. Raises BadDocument for a fault, and where it says nothing any more."""
        try:
            said: dict[str, Any] = json.loads(_pipe(self._process.stdout).readline(_MOST_OF_LINE))
        except ValueError:
            raise self._died() from None
        if "fault" in said:
            self._end()
            raise bad("", said["fault"])
        return said

    def taken(self, size: int) -> bytes:
        """So many bytes after what it said."""
        data = b"" if size > _MOST_OF_BATCH else _pipe(self._process.stdout).read(size)
        if len(data) < size:
            raise self._died()
        return data

    def tell(self, what: Mapping[str, Any]) -> None:
        try:
            _pipe(self._process.stdin).write(json.dumps(what).encode() + b"\n")
            _pipe(self._process.stdin).flush()
        except BrokenPipeError:
            raise self._died() from None

    def _died(self) -> BadDocument:
        """Its last words are missing: the file was too much for it."""
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            code = 0
        self._end()
        if code == -signal.SIGXCPU:
            return bad("", "This Parquet file takes too long to read: write it in smaller row groups.")
        return bad("", "The Parquet file is damaged or cut short.")


def _started(descriptor: int) -> "subprocess.Popen[bytes]":
    program = find_spec(_PROGRAM)
    told = {name: os.environ[name] for name in _TOLD if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-P", str(program and program.origin), str(descriptor)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[descriptor],
        # What it may have of memory is counted in what it asks the system for.
        env=told | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
    )


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        try:
            _pipe(pipe).close()
        except BrokenPipeError:
            continue
    process.wait()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "It was started with pipes."  # noqa: S101
    return pipe


def _can_seek(stream: Any) -> bool:
    return bool(getattr(stream, "seekable", lambda: False)())


def _descriptor(stream: Any) -> int | None:
    """The file's, where the stream is one as it stands on a disk."""
    try:
        return int(stream.fileno()) if _can_seek(stream) else None
    except (AttributeError, OSError):
        return None


def _copied(stream: Readable) -> IO[bytes]:
    file = TemporaryFile()  # noqa: SIM115 - the caller closes it
    while more := stream.read(1 << 20):
        file.write(more)
        if file.tell() > _MOST_BYTES:
            file.close()
            raise bad("", f"A Parquet file that comes as a stream may have {_MOST_BYTES >> 20} MiB: give it as a file.")
    file.flush()
    return file


def _list(names: list[str]) -> str:
    return ", ".join(str(name)[:40] for name in names[:20]) + (", …" if len(names) > 20 else "")
