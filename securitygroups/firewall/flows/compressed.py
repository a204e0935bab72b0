"""Packed logs as streams: gzip, zstd, bzip2 and xz, told by their first bytes, each in bounded memory."""

import bz2
import gzip
import lzma
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from securitygroups.firewall.formats.strict import BadDocument, bad

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LOOKED_AT = 1024
"""Bytes at the beginning of a file that tell what it is."""

_CHUNK = 1 << 18
_MOST_MEMORY = 128 << 20
_LAYERS = 3
_MEMORY = re.compile("memory", re.IGNORECASE)  # in what zstd and xz say where they would need too much of it


class Readable(Protocol):
    """All that a log's stream must be able to do; a read may be shorter than asked for, only b"" is the end."""

    def read(self, size: int, /) -> bytes: ...


class Peeked:
    """A stream whose first bytes were looked at. Reads may be shorter than asked for; only b"" is the end."""

    def __init__(self, stream: Readable) -> None:
        self.stream = stream
        self._pending = b""
        while len(self._pending) < LOOKED_AT and (more := stream.read(LOOKED_AT - len(self._pending))):
            self._pending += more
        self.head = self._pending

    def read(self, size: int, /) -> bytes:
        data, self._pending = self._pending[:size], self._pending[size:]
        return data or self.stream.read(size)


class Through:
    """A stream that something looks at as it is read: a subclass reads. What stands at a file's end, as in Parquet, is sought."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def seekable(self) -> bool:
        """Whether the stream is."""
        return bool(self._stream.seekable())

    def seek(self, place: int, whence: int = 0) -> int:
        """Go on elsewhere, as files do."""
        return int(self._stream.seek(place, whence))

    def tell(self) -> int:
        """Where it is read next."""
        return int(self._stream.tell())

    def fileno(self) -> int:
        """The file's descriptor, as files have it. Raises OSError where it is none."""
        return int(self._stream.fileno())


class _Gzip:
    def __init__(self, source: Readable) -> None:
        self._file = gzip.GzipFile(fileobj=source)  # type: ignore[call-overload]

    def read(self, size: int, /) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise _damaged("gzip") from None
        return data


class _Unpacked:
    """One stream after another, as these programs write them."""

    def __init__(
        self, source: Readable, name: str, begin: Callable[[], Any], errors: tuple[type[Exception], ...]
    ) -> None:
        self._source, self._name, self._begin, self._errors = source, name, begin, errors
        self._decoder, self._rest, self._within = begin(), b"", False

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decoder.eof:
                # What may stand between two of them, or at the end, are zeros.
                self._rest = (self._decoder.unused_data or self._source.read(_CHUNK)).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._decoder, self._within = self._begin(), False
            if self._decoder.needs_input and not self._rest:
                self._rest = self._source.read(_CHUNK)
                if not self._rest:
                    raise _damaged(self._name)
            if data := self._decoded(size):
                return data

    def _decoded(self, size: int) -> bytes:
        given, self._rest = (self._rest, b"") if self._decoder.needs_input else (b"", self._rest)
        try:
            data: bytes = self._decoder.decompress(given, size)
        except self._errors as error:
            raise _too_wide(self._name) if _MEMORY.search(str(error)) else _damaged(self._name) from None
        return data


def _damaged(name: str) -> BadDocument:
    return bad("", f"The {name} data is damaged or cut short.")


def _too_wide(name: str) -> BadDocument:
    most = f"{_MOST_MEMORY >> 20} MiB"
    return bad("", f"Unpacking this {name} data takes more than {most} of memory: pack it again, with the usual level.")


def _xz() -> Any:
    return lzma.LZMADecompressor(memlimit=_MOST_MEMORY)


_PACKED: dict[bytes, Callable[[Readable], Readable]] = {
    b"\x1f\x8b": _Gzip,
    b"\x28\xb5\x2f\xfd": lambda source: _Unpacked(source, "zstd", zstd.ZstdDecompressor, (zstd.ZstdError, EOFError)),
    b"BZh": lambda source: _Unpacked(source, "bzip2", bz2.BZ2Decompressor, (OSError, EOFError, ValueError)),
    b"\xfd7zXZ\x00": lambda source: _Unpacked(source, "xz", _xz, (lzma.LZMAError, EOFError)),
}


def unpacked(stream: Readable) -> Peeked:
    """The stream, or what is packed in it. Reading it raises BadDocument where that is damaged."""
    source = Peeked(stream)
    for _ in range(_LAYERS + 1):
        unpack = next((unpack for magic, unpack in _PACKED.items() if source.head.startswith(magic)), None)
        if unpack is None:
            return source
        source = Peeked(unpack(source))
    raise bad("", f"The log is packed more than {_LAYERS} times: unpack it.")
