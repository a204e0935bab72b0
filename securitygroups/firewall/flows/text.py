"""Columns of text turned into columns of numbers, thousands of lines at once.

The fast paths here take only what is certainly well-formed; each tells which rows it did not take, and the caller hands
those to the parser of single values, whose messages people see.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PAD = 64
"""Bytes that must follow the last line, so that looking a little beyond a field stays inside the array."""

_NEWLINE, _QUOTE, _DOT, _COLON, _ZERO = 10, 34, 46, 58, 48
_SPELLINGS = 10_000
_BLANKS = (9, 32)
_MOST_BLANKS = 16
_MAPPED = "::ffff:"
_NO_GAP = 9  # groups are 8 at most: no “::” stands behind as many
_HEX = np.full(256, 255, np.uint8)
for _digits, _value in ((b"0123456789", 0), (b"abcdef", 10), (b"ABCDEF", 10)):
    _HEX[list(_digits)] = np.arange(_value, _value + len(_digits))
_KEPT = np.array([(1 << 8 * length) - 1 for length in range(9)] + [0], np.uint64)
_LOWER = np.uint64(0x2020_2020_2020_2020)
_HIGH, _LOW, _FOUR = np.uint64(0xF0F0F0F0F0F0F0F0), np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(4)
_SIXES, _THREES = np.uint64(0x0606060606060606), np.uint64(0x3333333333333333)
_SHIFTS = np.array([4 * (8 - length) for length in range(9)], np.uint64)
_FILLS = np.array([0x3030303030303030 & ((1 << 8 * (8 - length)) - 1) for length in range(9)], np.uint64)
_STEPS = (
    (np.uint64(2561), np.uint64(8), np.uint64(0x00FF00FF00FF00FF)),
    (np.uint64(6553601), np.uint64(16), np.uint64(0x0000FFFF0000FFFF)),
    (np.uint64(42949672960001), np.uint64(32), np.uint64(0)),
)
"""Pairs of digits, then of pairs, then of fours, put together."""

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.intp]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]


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


def split(data: Bytes, separator: int, columns: int) -> NDArray[np.intp] | None:
    """Where each field (at least 2 columns) of each line ends; None where a line has more or fewer, or is empty.

    Every line ends in a line feed. Quotes are not looked at.
    """
    lines = data[:-PAD]
    if separator in _BLANKS:
        # One comparison does where nothing else is as low.
        ends = _rows(np.flatnonzero(lines <= max(separator, _NEWLINE)), lines, columns)
        if ends is not None:
            return ends
    return _rows(np.flatnonzero((lines == separator) | (lines == _NEWLINE)), lines, columns)


def _rows(stops: Offsets, data: Bytes, columns: int) -> NDArray[np.intp] | None:
    if len(stops) % columns:
        return None
    ends = stops.reshape(-1, columns)
    last = data.take(ends[:, -1])
    # As many line feeds as lines, and one at the end of each: then there is none elsewhere.
    if not (last == _NEWLINE).all() or np.count_nonzero(data == _NEWLINE) != len(ends):
        return None
    return ends


def column(data: Bytes, ends: NDArray[np.intp], number: int) -> Fields:
    """One column of the lines that `split` told of; of the last one, the carriage return is dropped."""
    return columns(data, ends, [number])[0]


def columns(data: Bytes, ends: NDArray[np.intp], numbers: Sequence[int]) -> list[Fields]:
    """The same of several, each a number."""
    wanted = sorted({before for number in numbers for before in (number - 1, number) if before >= 0})
    # Those that are needed, side by side first: a wide table is not gone through once for each.
    some = dict(zip(wanted, ends.take(wanted, axis=1).T.copy(), strict=True))
    found = []
    for number in numbers:
        if number:
            start = some[number - 1] + 1
        else:
            start = np.zeros(len(ends), np.intp)
            np.add(ends[:-1, -1], 1, out=start[1:])
        end = some[number]
        if number == ends.shape[1] - 1:
            end = np.maximum(end - (data.take(np.maximum(end - 1, 0)) == 13), start)
        found.append(Fields(data, start, end))
    return found


def unquoted(data: Bytes, ends: NDArray[np.intp], fields: list[Fields]) -> list[Fields] | None:
    """The columns without the quotes around them; None where quotes stand within fields."""
    whole = 0
    for number in range(ends.shape[1]):
        field = column(data, ends, number).trimmed()
        whole += 2 * int(np.count_nonzero(_quoted(field)))
    if whole != np.count_nonzero(data[:-PAD] == _QUOTE):
        return None
    bare = []
    for field in (field.trimmed() for field in fields):
        quoted = _quoted(field)
        bare.append(Fields(data, field.start + quoted, field.end - quoted))
    return bare


def _quoted(field: Fields) -> Mask:
    first, last = field.data.take(field.start), field.data.take(np.maximum(field.end - 1, 0))
    quoted: Mask = (field.end - field.start >= 2) & (first == _QUOTE) & (last == _QUOTE)
    return quoted


def _words(fields: Fields) -> Words:
    """Up to 8 bytes of each field as a number, the first byte the lowest; 0 for longer ones."""
    words = np.ndarray((len(fields.data) - 7,), "<u8", fields.data.data, strides=(1,))
    # Not take(), which would first make a copy of all these overlapping words.
    found: Words = words[fields.start] & _KEPT.take(np.minimum(fields.end - fields.start, 9))
    return found


def keys(fields: Fields) -> Words:
    """Up to 8 bytes of each field, ASCII letters in lower case, as a number to compare with `key`; 0 for longer ones."""
    found: Words = _words(fields) | (_LOWER & _KEPT.take(np.minimum(fields.end - fields.start, 9)))
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


def looked_up(fields: Fields, find: Callable[[str], int | None]) -> tuple[NDArray[np.int64], Mask]:
    """(value, found): what `find` says of each field; it is asked once for each spelling."""
    values, found = np.zeros(len(fields.start), np.int64), np.zeros(len(fields.start), np.bool_)
    short = np.flatnonzero(fields.end - fields.start <= 8)
    if short.size:
        _, first, same = np.unique(_words(fields.take(short)), return_index=True, return_inverse=True)
        answers = [find(fields.text(int(short[row]))) for row in first.tolist()]
        values[short] = np.array([answer or 0 for answer in answers], np.int64)[same]
        found[short] = np.array([answer is not None for answer in answers], np.bool_)[same]
    known: dict[str, int | None] = {}
    for row in np.flatnonzero(fields.end - fields.start > 8).tolist():
        text = fields.text(row)
        if text not in known:
            if len(known) >= _SPELLINGS:
                known.clear()
            known[text] = find(text)
        answer = known[text]
        if answer is not None:
            values[row], found[row] = answer, True
    return values, found


def numbers(fields: Fields, digits: int) -> tuple[NDArray[np.int64], Mask]:
    """(value, taken): whole numbers of 1 to `digits` (18 at most) decimal digits."""
    start, end = fields.start, fields.end
    length = end - start
    taken = (length > 0) & (length <= digits)
    values = np.zeros(len(length), np.uint64)
    if not length.max(initial=0) > 8:
        values, sound = _eight_digits(fields)
        return values.astype(np.int64), taken & sound
    for eights in range(-(-min(digits, int(length.max(initial=0))) // 8)):
        # Eight digits at a time, from the right.
        begin = np.maximum(end - 8, start)
        part = Fields(fields.data, begin, end)
        value, sound = _eight_digits(part)
        values += value * np.uint64(10 ** (8 * eights))
        taken &= sound
        end = begin
    return values.astype(np.int64), taken


def _eight_digits(fields: Fields) -> tuple[Words, Mask]:
    """(value, sound): of fields of up to 8 digits, all in one word each, with zeros before them."""
    length = np.minimum(fields.end - fields.start, 8)
    words = np.ndarray((len(fields.data) - 7,), "<u8", fields.data.data, strides=(1,))
    word: Words = words[fields.start]
    shift = _SHIFTS.take(length)
    # A word is not shifted by its whole width: two steps.
    word <<= shift
    word <<= shift
    word |= _FILLS.take(length)
    above = word + _SIXES
    above &= _HIGH
    above >>= _FOUR
    above |= word & _HIGH
    sound = above == _THREES
    word &= _LOW
    for factor, bits, mask in _STEPS:
        word *= factor
        word >>= bits
        if mask:
            word &= mask
    return word, sound


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


def mapped(fields: Fields) -> tuple[NDArray[np.uint64], Mask]:
    """(address, taken): IPv4 addresses as programs write them that listen for both families, ::ffff:203.0.113.7."""
    inner = np.minimum(fields.start + len(_MAPPED), fields.end)
    address, taken = ipv4(Fields(fields.data, inner, fields.end))
    return address, taken & (keys(Fields(fields.data, fields.start, inner)) == key(_MAPPED))


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
