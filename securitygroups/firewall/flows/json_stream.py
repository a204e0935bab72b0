"""JSON values one by one from a stream: one a line, one behind the other, or the elements of a document's long array."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from securitygroups.firewall.formats.strict import BadDocument, bad

MAX_RECORD = 4 << 20
"""Bytes of one record, or of a document that is read whole."""

_BLANKS = re.compile(r"[\s\x1e]*")  # with the mark of JSON text sequences
_BETWEEN = re.compile(r"[\s,\x1e]*")
_LINES_AT_ONCE = 2048
_LONGEST_KEY = 64
_ENOUGH, _LITTLE = MAX_RECORD // 2, MAX_RECORD // 8
"""Characters that are read ahead, and fewer than which that is done again."""


def _no_number(text: str) -> str:
    return text


_DECODER = json.JSONDecoder(parse_constant=_no_number)
_TOO_MUCH = (ValueError, RecursionError)


class JsonStream:
    """The records, each with its number: of its line where `unit` is “line”, counted from 1 where it is “record”.

    `many` are the keys whose array holds a document's records. Iterate once; BadDocument where it is no JSON.
    """

    def __init__(self, data: bytes, read: Callable[[int], bytes], chunk: int, many: tuple[str, ...]) -> None:
        self._data, self._read, self._chunk, self._many = data.removeprefix(b"\xef\xbb\xbf"), read, chunk, many
        self._ended, self._number, self._text = False, 0, ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._key = re.compile(rf'"(?:{"|".join(many)})"\s*:\s*\[')
        self.unit = "line" if self._has_lines() else "record"

    def _has_lines(self) -> bool:
        """Whether the first line is an object of its own."""
        while b"\n" not in self._data.lstrip() and len(self._data) < MAX_RECORD and self._more():
            pass
        first, _, rest = self._data.lstrip().partition(b"\n")
        if not first.startswith(b"{"):
            return False
        try:
            value = json.loads(first.decode("utf-8", "replace"))
        except _TOO_MUCH:
            return False
        return bool(rest.strip()) or not (isinstance(value, dict) and self._within(value))

    def _more(self) -> bool:
        more = b"" if self._ended else self._read(self._chunk)
        self._ended = not more
        self._data += more
        return bool(more)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return self._lines() if self.unit == "line" else self._document()

    def _lines(self) -> Iterator[tuple[int, Any]]:
        while True:
            *whole, self._data = self._data.split(b"\n")
            for at in range(0, len(whole), _LINES_AT_ONCE):
                yield from self._of_lines(whole[at : at + _LINES_AT_ONCE])
            if len(self._data) > MAX_RECORD:
                raise self._too_long(f"line {self._number + 1}")
            if not self._more():
                break
        if self._data.strip():
            yield from self._of_lines([self._data])

    def _of_lines(self, lines: list[bytes]) -> Iterator[tuple[int, Any]]:
        texts = [line.decode("utf-8", "replace").strip(" \t\r\x1e") for line in lines]
        first = self._number + 1
        self._number += len(texts)
        full = [(number, text) for number, text in enumerate(texts, first) if text]
        try:
            values = _DECODER.decode(f"[{','.join([text for _, text in full])}]")
        except _TOO_MUCH:
            values = []
        if len(values) != len(full):
            # One of them is wrong, or holds several.
            values = [self._value(text, f"line {number}") for number, text in full]
        for (number, _), value in zip(full, values, strict=True):
            yield from ((number, record) for record in self._records(value))

    @staticmethod
    def _value(text: str, where: str) -> Any:
        try:
            return _DECODER.decode(text)
        except json.JSONDecodeError as error:
            raise bad(f"{where}, column {error.colno}", f"This is not JSON ({error.msg}).") from None
        except RecursionError:
            raise bad(where, "This is nested too deeply to be a record of a flow.") from None
        except ValueError:
            raise bad(where, "A number here has too many digits.") from None

    def _document(self) -> Iterator[tuple[int, Any]]:
        """Elements of a document's array, or documents one behind the other."""
        self._take(_ENOUGH)
        at, in_array = self._entered()
        by_key = in_array and self._text[: at - 1].strip() != ""
        while True:
            if len(self._text) - at < _LITTLE and not self._ended:
                at = self._drop(at)
                self._take(_ENOUGH)
            at = (_BETWEEN if in_array else _BLANKS).match(self._text, at).end()  # type: ignore[union-attr]
            if at >= len(self._text):
                if in_array:
                    raise self._cut()
                return
            if in_array and self._text[at] == "]":
                at, in_array = self._behind(at + 1, by_key=by_key)
                continue
            if not in_array and self._text[at] == "[":
                at, in_array, by_key = at + 1, True, False
                continue
            value, at = self._next(at)
            for record in self._records(value):
                self._number += 1
                yield self._number, record

    def _take(self, wanted: int) -> bool:
        """Have so many characters, as far as there are; whether any came."""
        before = len(self._text)
        while len(self._text) < wanted and (self._data or self._more()):
            self._text += self._decode(self._data)
            self._data = b""
        return len(self._text) > before

    def _drop(self, at: int) -> int:
        self._text = self._text[at:]
        return 0

    def _entered(self) -> tuple[int, bool]:
        """Where the records begin, and whether in an array."""
        start = _BLANKS.match(self._text).end()  # type: ignore[union-attr]
        if self._text[start : start + 1] == "[":
            return start + 1, True
        if len(self._text) >= _ENOUGH:
            try:
                _DECODER.raw_decode(self._text, start)
            except _TOO_MUCH:
                # Too long to be read whole: its array of records is looked for.
                if found := self._key.search(self._text):
                    return found.end(), True
        return start, False

    def _behind(self, at: int, *, by_key: bool) -> tuple[int, bool]:
        """Where it goes on behind an array, and whether in another one: of a document, or of the next one."""
        while by_key:
            if found := self._key.search(self._text, at):
                return found.end(), True
            # The key may have been cut in two.
            at = self._drop(max(at, len(self._text) - _LONGEST_KEY))
            if not self._take(_ENOUGH):
                return len(self._text), False
        return at, False

    def _next(self, at: int) -> tuple[Any, int]:
        where = f"record {self._number + 1}"
        while True:
            try:
                return _DECODER.raw_decode(self._text, at)
            except json.JSONDecodeError as error:
                at = self._drop(at)
                if len(self._text) > MAX_RECORD:
                    raise self._too_long(where) from None
                if not self._take(max(2 * len(self._text), _ENOUGH)):
                    raise self._wrong(error, where) from None
            except RecursionError:
                raise bad(where, "This is nested too deeply to be a record of a flow.") from None
            except ValueError:
                raise bad(where, "A number here has too many digits.") from None

    def _wrong(self, error: json.JSONDecodeError, where: str) -> BadDocument:
        if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
            return self._cut()
        return bad(where, f"This is not JSON ({error.msg}).")

    @staticmethod
    def _cut() -> BadDocument:
        return bad("", "The JSON document is cut short: its end is missing.")

    @staticmethod
    def _too_long(where: str) -> BadDocument:
        return bad(where, f"It is longer than {MAX_RECORD >> 20} MiB: this is no record of a flow.")

    def _within(self, value: dict[str, Any]) -> list[Any] | None:
        """The records that a document holds, None where it is one itself."""
        found: list[list[Any]] = []
        for key in self._many:
            inner = value.get(key)
            if isinstance(inner, list) and (not inner or isinstance(inner[0], dict | str | list)):
                found.append(inner)
            elif isinstance(inner, dict) and (deeper := self._within(inner)) is not None:
                found.append(deeper)
        return found[0] if len(found) == 1 else [one for each in found for one in each] if found else None

    def _records(self, value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value
            return
        inner = self._within(value) if value and isinstance(value, dict) else None
        if inner is None:
            yield value
        else:
            yield from inner
