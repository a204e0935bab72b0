"""What nfdump prints for people to read: lines of flows with an arrow between their two ends."""

import re
from collections.abc import Callable, Iterator, Sequence

from securitygroups.firewall.flows.batch import Batch
from securitygroups.firewall.flows.columns import NETFLOW, Traits
from securitygroups.firewall.flows.entries import Row, table_of, texts
from securitygroups.firewall.flows.openers import MAYBE, Skip
from securitygroups.firewall.flows.rows import Rows
from securitygroups.firewall.formats.strict import bad

_HEADER = re.compile(r"\s*Date (?:first seen|flow start|event)\b")
_BEGINS = re.compile(r"\s*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? ")
_FLAGS = re.compile(r"[.CEUAPRSFN]{6,9}\Z")
_PROTOCOL = re.compile(r"[0-9A-Za-z-]+\Z")
_ARROWS = ("->", "<->")
_BEFORE, _WITHIN = 4, 9  # words before an arrow at least, and up to which it is looked for
_LOOKED_AT = 20
_BLOCK = 8192
_LONG = "list the flows with “-o long”, or with “-o csv”"


def is_listing(data: bytes) -> bool:
    """Whether a text begins as nfdump's listing of flows does, with its header or, without one, with a flow."""
    first = [line.decode("latin-1") for line in data.split(b"\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip()]
    if any(_HEADER.match(line) and "Proto" in line for line in first):
        return True
    words = first[0].split() if first and _BEGINS.match(first[0]) else []
    place = _arrow(words[:_WITHIN])
    return place >= _BEFORE and bool(_PROTOCOL.match(words[place - 2]))


def _arrow(words: Sequence[str]) -> int:
    return next((place for place, word in enumerate(words) if word in _ARROWS), 0)


class Listing:
    """Reads such a listing: `data` is what was read of it so far, `read` gives the rest in pieces of `chunk`."""

    def __init__(self, begin: Callable[[Traits], Rows], data: bytes, read: Callable[[int], bytes], chunk: int) -> None:
        self._rows, self._data, self._read, self._chunk = begin(NETFLOW), data, read, chunk
        self.kind, self.records = NETFLOW.kind, 0

    @property
    def guessed(self) -> int:
        return self._rows.guessed

    def __iter__(self) -> Iterator[Batch]:
        rows: list[Row] = []
        numbers: list[int] = []
        ended = False
        for number, text in enumerate(texts(self._data, self._read, self._chunk), 1):
            if not text.strip() or _HEADER.match(text):
                ended = False
            elif text.startswith("Summary"):
                # Until the next header, what follows tells of them all together.
                ended = True
            elif not ended:
                self.records += 1
                if _BEGINS.match(text):
                    rows.append(_row(text, number))
                    numbers.append(number)
                else:
                    self._rows.count(Skip.NOT_READ)
            if len(rows) >= _BLOCK:
                yield self._rows.batch(table_of(rows, numbers, "line"))
                rows, numbers = [], []
        yield self._rows.batch(table_of(rows, numbers, "line"))


def _row(text: str, number: int) -> Row:
    words = text.split()
    place = _arrow(words)
    if place < _BEFORE or place + 1 >= len(words):
        raise bad(f"line {number}", f"No flow with both ends stands in this line of nfdump: {_LONG}.")
    source, source_port = _end(words[place - 1], number)
    destination, port = _end(words[place + 1], number)
    flags = words[place + 2] if place + 2 < len(words) and _FLAGS.match(words[place + 2]) else ""
    start = f"{words[0]} {words[1]}"
    return words[place - 2], source, destination, port, source_port, "", start, flags, "", "", str(MAYBE)


def _end(text: str, number: int) -> tuple[str, str]:
    """Address and port, which a dot separates after IPv6."""
    address, mark, port = text.rpartition(":") if text.count(":") == 1 else text.partition(".")
    if ".." in text:
        raise bad(f"line {number}", "IPv6 addresses are shortened here: list the flows with “nfdump -6”.")
    if not mark or ("." in text and ":" not in text):
        raise bad(f"line {number}", f"No port stands behind “{text[:60]}”: {_LONG}.")
    return address, port
