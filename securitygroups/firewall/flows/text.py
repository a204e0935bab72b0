"""Columns of text turned into columns of numbers, thousands of lines at once.

The fast paths here take only what is certainly well-formed; each tells which rows it did not take, and the caller hands
those to the parser of single values, whose messages people see.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PAD = 64
"""Bytes that must follow the last line, so that looking a little beyond a field stays inside the array."""

_NEWLINE, _DOT, _COLON, _ZERO = 10, 46, 58, 48
_MOST_BLANKS = 16
_NO_GAP = 9  # groups are 8 at most: no “::” stands behind as many
_HEX = np.full(256, 255, np.uint8)
for _digits, _value in ((b"0123456789", 0), (b"abcdef", 10), (b"ABCDEF", 10)):
    _HEX[list(_digits)] = np.arange(_value, _value + len(_digits))
_KEPT = np.array([(1 << 8 * length) - 1 for length in range(9)] + [0], np.uint64)
_LOWER = np.uint64(0x2020_2020_2020_2020)

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.intp]
Mask = NDArray[np.bool_]


def _is_blank(characters: Bytes) -> Mask:
    blank: Mask = (characters == 32) | (characters == 9)
    return blank


class Fields(NamedTuple):
    """One column: row i is data[start[i]:end[i]]. PAD bytes follow the last field."""

    data: Bytes
    start: Offsets
    end: Offsets

    def take(self, rows: Offsets) -> "Fields":
        return Fields(self.data, self.start.take(rows), self.end.take(rows))

    def trimmed(self) -> "Fields":
        """Without the spaces and tabs around each field, up to _MOST_BLANKS on either side."""
        start, end = self.start, self.end
        for _ in range(_MOST_BLANKS):
            blank = (start < end) & _is_blank(self.data.take(start))
            if not blank.any():
                break
            start = start + blank
        for _ in range(_MOST_BLANKS):
            blank = (start < end) & _is_blank(self.data.take(np.maximum(end - 1, 0)))
            if not blank.any():
                break
            end = end - blank
        return Fields(self.data, start, end)

    def text(self, row: int) -> str:
        """One field as text, bytes that are not UTF-8 shown as �."""
        return self.data[self.start[row] : self.end[row]].tobytes().decode("utf-8", "replace")


def padded(block: bytes) -> Bytes:
    """The bytes as an array, with PAD zero bytes behind."""
    return np.frombuffer(block + bytes(PAD), np.uint8)


def split(data: Bytes, separator: int, columns: int) -> list[Fields] | None:
    """The columns (at least 2) of lines that all have as many fields; None where one has more or fewer, or is empty.

    Every line ends in a line feed, the carriage return before it is dropped. Quotes are not looked at.
    """
    stops = np.flatnonzero((data == separator) | (data == _NEWLINE))
    if len(stops) % columns:
        return None
    ends = stops.reshape(-1, columns)
    newlines = data.take(ends) == _NEWLINE
    if not newlines[:, -1].all() or newlines[:, :-1].any():
        return None
    starts = np.empty_like(ends)
    starts[:, 1:] = ends[:, :-1] + 1
    starts[1:, 0] = ends[:-1, -1] + 1
    starts[:1, 0] = 0
    last = ends[:, -1] - (data.take(np.maximum(ends[:, -1] - 1, 0)) == 13)
    fields = [
        Fields(data, np.ascontiguousarray(starts[:, c]), np.ascontiguousarray(ends[:, c])) for c in range(columns)
    ]
    fields[-1] = Fields(data, fields[-1].start, np.maximum(last, fields[-1].start))
    return fields


def keys(fields: Fields) -> NDArray[np.uint64]:
    """Up to 8 bytes of each field, ASCII letters in lower case, as a number to compare with `key`; 0 for longer ones."""
    words = np.ndarray((len(fields.data) - 7,), "<u8", fields.data.data, strides=(1,))
    kept = _KEPT.take(np.minimum(fields.end - fields.start, 9))
    found: NDArray[np.uint64] = (words[fields.start].astype(np.uint64) | _LOWER) & kept
    return found


def key(word: str) -> np.uint64:
    """What `keys` gives for a field that reads `word` (at most 8 ASCII letters, digits or hyphens)."""
    return np.uint64(int.from_bytes(word.lower().encode("ascii"), "little"))


def reads(fields: Fields, word: str) -> Mask:
    """Which fields read `word`, of at most 16 ASCII letters, digits or hyphens."""
    found: Mask = fields.end - fields.start == len(word)
    rows = np.flatnonzero(found)
    if rows.size:
        start, end = fields.start.take(rows), fields.end.take(rows)
        # The first eight and the last eight letters, which may be the same ones.
        first = Fields(fields.data, start, np.minimum(end, start + 8))
        last = Fields(fields.data, np.maximum(start, end - 8), end)
        found[rows] = (keys(first) == key(word[:8])) & (keys(last) == key(word[-8:]))
    return found


def numbers(fields: Fields, digits: int) -> tuple[NDArray[np.int64], Mask]:
    """(value, taken): whole numbers of 1 to `digits` decimal digits."""
    length = fields.end - fields.start
    values, taken = np.zeros(len(length), np.int64), (length > 0) & (length <= digits)
    for place in range(min(digits, int(length.max(initial=0)))):
        digit = fields.data.take(fields.start + place) - np.uint8(_ZERO)
        inside = place < length
        taken &= (digit < 10) | ~inside
        values = np.where(inside, values * 10 + digit, values)
    return values, taken


def ipv4(fields: Fields) -> tuple[NDArray[np.uint64], Mask]:
    """(address, taken): four decimal numbers up to 255 without leading zeros."""
    data, at = fields.data, fields.start.copy()
    address, taken = np.zeros(len(at), np.uint64), np.ones(len(at), np.bool_)
    for octet in range(4):
        # Wraps below "0", so that one comparison tells digits from all else.
        first, second, third = (data.take(at + place) - np.uint8(_ZERO) for place in range(3))
        two = second < 10
        three = two & (third < 10)
        value = first.astype(np.uint16)
        value = np.where(two, value * 10 + second, value)
        value = np.where(three, value * 10 + third, value)
        taken &= (first < 10) & (value < 256) & ~(two & (first == 0))
        address = (address << np.uint64(8)) | value
        at += two
        at += three
        at += 1
        if octet < 3:
            taken &= data.take(at) == _DOT
            at += 1
        np.minimum(at, fields.end + 1, out=at)  # A field that is no address must not lead beyond the data.
    taken &= at == fields.end
    return address, taken


def ipv6(fields: Fields) -> tuple[NDArray[np.uint64], NDArray[np.uint64], Mask]:
    """(upper 64 bits, lower 64 bits, taken): hexadecimal groups with or without "::"; a dotted end is not taken."""
    data, at, end = fields.data, fields.start.copy(), fields.end
    rows = np.arange(len(at))
    groups, count, gap = np.zeros((8, len(at)), np.uint64), np.zeros(len(at), np.intp), np.full(len(at), _NO_GAP)
    leading = (data.take(at) == _COLON) & (data.take(at + 1) == _COLON) & (end - at >= 2)
    gap[leading] = 0
    at += leading * 2
    taken = end > fields.start
    for number in range(8):
        live = taken & (at < end)
        if not live.any():
            break
        digits = [_HEX.take(data.take(at + place)) for place in range(4)]
        value, going, length = np.zeros(len(at), np.uint64), live, np.zeros(len(at), np.intp)
        for digit in digits:
            going = going & (digit < 16)
            value = np.where(going, value << np.uint64(4) | digit, value)
            length += going
        taken &= ~live | (length > 0)
        groups[number] = value
        count += live
        at += length
        more = live & (at < end)
        taken &= ~more | (data.take(at) == _COLON)
        at += more
        double = more & (at < end) & (data.take(at) == _COLON)
        taken &= ~double | (gap == _NO_GAP)
        taken &= ~more | (at < end)  # A single colon ends nothing.
        gap = np.where(double, number + 1, gap)
        at += double
    taken &= (at == end) & np.where(gap == _NO_GAP, count == 8, count < 8)
    halves = np.zeros((2, len(at)), np.uint64)
    for number in range(8):
        place = np.where(number < gap, number, number + 8 - count) % 8
        value = np.where(number < count, groups[number], np.uint64(0))
        halves[place >> 2, rows] |= value << ((3 - (place & 3)) * 16).astype(np.uint64)
    return halves[0], halves[1], taken
