"""Good inputs made strange, each by what it is: trees of JSON, cells, words, bytes, and what is packed."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutator = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""(chance, input, other inputs): the input with something in it changed."""

EDGES = (0, 1, 2, 3, 7, 8, 12, 15, 16, 20, 24, 28, 40, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # fmt: skip
_WORDS = """
0 1 -1 22 65535 65536 99999999999999999999 1e400 1.5 nan 0x10 ١ ² null true None * any - -- ! @x 0.0.0.0/0 ::/0 10.0.0.5
10.0.0.0/33 198.51.100.7 255.255.255.255 2001:db8::1 ::ffff:10.0.0.5 fe80::1%eth0 2001:db8::/129 10.0.0.1-10.0.0.9 tcp udp
icmp ipv6-icmp esp 47 in out accept drop < > <a/> <![CDATA[ & &#0; ( ) [ ] { } , ; : = " ' \\ / | # % $ `` é 日本 {} [] [[]]
{{}} a=b a.b.c 22:80 22-80 22,80 2026-01-02T03:04:05Z 1700000000 -j -m -p -s --dport 0-65535 ACCEPT RETURN
"""
_NOT_SEEN = ("", " ", "\t", "\r", "\n", "\r\n", "\0", "\x1f", "\x0b", "\x85", "\u2028", "\u202e", "\ufeff", "\u200b")
SIGNS = (*_WORDS.split(), *_NOT_SEEN, "\U0001f600", "x" * 300, "9" * 5000, "a " * 200)
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 22, 65535, 65536, 10**30, 1.5, -0.0, 1e308, "", [], [None], {}, {"": {}}, [[[]]], [{}], "\ud800", {"a": None},
)  # fmt: skip
_TOKENS = re.compile(r"[^\W_]+|\s+|.", re.DOTALL)
_SIGNS_OF_TABLES = ",;\t|"


def of_bytes(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    raw = bytearray(data or b"\0")
    at = chance.randrange(len(raw))
    length = chance.choice((1, 1, 2, 4, 8, 16, chance.randrange(1, 200)))
    match chance.randrange(9):
        case 0:
            raw[at] = chance.randrange(256)
        case 1:
            raw[at] ^= 1 << chance.randrange(8)
        case 2:
            size = chance.choice((1, 2, 4))
            number = chance.choice(EDGES) & ((1 << 8 * size) - 1)
            raw[at : at + size] = number.to_bytes(size, chance.choice(("big", "little")))
        case 3:
            del raw[at : at + length]
        case 4:
            raw[at:at] = raw[max(0, at - length) : at] * chance.choice((1, 1, 2, 30))
        case 5:
            raw[at : at + length] = bytes(chance.choice((0, 0, 255, chance.randrange(256))) for _ in range(length))
        case 6:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            raw[at : at + chance.choice((0, length))] = other[start : start + chance.choice((length, 60, 400))]
        case 7:
            raw[at:at] = chance.choice(SIGNS).encode()
        case _:
            del raw[chance.randrange(len(raw)) :]
    return bytes(raw)


def of_text(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Words and lines of it changed, doubled, left out, taken from another one."""
    text = data.decode("utf-8", "replace")
    return (_of_lines if chance.random() < 0.3 else _of_words)(chance, text, others).encode("utf-8", "replace")


def _of_lines(chance: Random, text: str, others: Sequence[bytes]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    other = chance.choice(others).decode("utf-8", "replace").splitlines(keepends=True) or [""]
    at = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[at : at + chance.randrange(1, 4)]
        case 1:
            lines[at:at] = lines[at : at + chance.randrange(1, 4)] * chance.choice((1, 2, 20))
        case 2:
            lines[at] = lines[chance.randrange(len(lines))]
        case 3:
            chance.shuffle(lines)
        case 4:
            lines[at:at] = other[chance.randrange(len(other)) :][: chance.randrange(1, 6)]
        case _:
            lines[at] = lines[at].rstrip("\r\n") + chance.choice(("", " ", "\\\n", "\r", "\n\n", "\x00\n", "\u2028"))
    return "".join(lines)


def _of_words(chance: Random, text: str, others: Sequence[bytes]) -> str:
    words = _TOKENS.findall(text) or [""]
    other = _TOKENS.findall(chance.choice(others)[:20_000].decode("utf-8", "replace")) or [""]
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(words))
        match chance.randrange(7):
            case 0:
                words[at] = chance.choice(SIGNS)
            case 1:
                words[at : at + chance.randrange(1, 6)] = [""]
            case 2:
                words[at:at] = words[max(0, at - chance.randrange(1, 12)) : at] * chance.choice((1, 2, 20))
            case 3:
                start = chance.randrange(len(other))
                words[at : at + chance.randrange(3)] = other[start : start + chance.randrange(1, 12)]
            case 4:
                words.insert(at, chance.choice(SIGNS))
            case 5:
                words[at] = chance.choice(
                    (words[at].upper(), words[at].lower(), words[at] * 2, words[at][:-1], words[at] + "_")
                )
            case _:
                words[at] = chance.choice(words)
    return "".join(words)


def of_json(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One place of the tree changed; text that is no JSON as text."""
    try:
        value = json.loads(data)
        other = json.loads(chance.choice(others))
    except (ValueError, RecursionError):
        return of_text(chance, data, others)
    if chance.random() < 0.1:
        return of_text(chance, data, others)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        value = _changed(chance, value, other)
    return json.dumps(value, indent=chance.choice((None, None, 1)), ensure_ascii=chance.random() < 0.5).encode(
        "utf-8", "replace"
    )


def _changed(chance: Random, value: Any, other: Any) -> Any:
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return _instead(chance, value, other)
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    place = chance.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    match chance.randrange(12):
        case 0:
            del copy[place]
        case 1 if isinstance(copy, dict):
            copy[chance.choice((*copy, *SIGNS[:60], *_keys(other)))] = copy.pop(place)
        case 1:
            copy[place:place] = copy[place : place + chance.randrange(1, 4)] * chance.choice((1, 1, 20))
        case 2 if isinstance(copy, dict):
            copy[chance.choice((*copy, *_keys(other)))] = _part(chance, other)
        case _:
            copy[place] = _changed(chance, copy[place], other)
    return copy


def _instead(chance: Random, value: Any, other: Any) -> Any:
    match chance.randrange(6):
        case 0 | 1 if isinstance(value, str):
            return _of_words(chance, value, [b"0 x"])
        case 2:
            return _part(chance, other)
        case 3:
            return chance.choice(([value], {"a": value}, str(value), [value, value]))
        case 4:
            return chance.choice(SIGNS)
    return chance.choice(JUNK)


def _part(chance: Random, value: Any) -> Any:
    while isinstance(value, dict | list) and value and chance.random() < 0.75:
        value = chance.choice(list(value.values()) if isinstance(value, dict) else value)
    return value


def _keys(value: Any) -> list[str]:
    """Names of a tree, those of its first branches."""
    found: list[str] = []
    waiting = [value]
    while waiting and len(found) < 200:
        one = waiting.pop()
        if isinstance(one, dict):
            found += one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one[:3]
    return found or ["a"]


def of_table(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Cells, columns and signs of it changed."""
    text = data.decode("utf-8", "replace")
    sign = max(_SIGNS_OF_TABLES, key=text[:2000].count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=sign))
    except csv.Error:
        return of_text(chance, data, others)
    rows = [row for row in rows if row]
    if not rows or chance.random() < 0.2:
        return of_text(chance, data, others)
    row = chance.choice(rows)
    at = chance.randrange(len(row))
    match chance.randrange(8):
        case 0 | 1 | 2:
            row[at] = chance.choice((*SIGNS, *row, *rows[0]))
        case 3:
            row[at] = _of_words(chance, row[at], others)
        case 4:
            row[at : at + 1] = chance.choice(([], [row[at]] * 2, ["", row[at]]))
        case 5:
            for one in rows:
                one.insert(min(at, len(one)), chance.choice(one))
        case 6:
            sign = chance.choice(_SIGNS_OF_TABLES)
        case _:
            rows.insert(chance.randrange(len(rows)), chance.choice(rows)[:])
    out = io.StringIO()
    csv.writer(out, delimiter=sign, lineterminator=chance.choice(("\n", "\r\n", "\r")), quoting=chance.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))).writerows(rows)  # fmt: skip
    return _encoded(chance, out.getvalue())


def _encoded(chance: Random, text: str) -> bytes:
    charset = chance.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1251", "shift-jis"))
    return text.encode(charset, "replace")


def of_capture(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """As bytes, most often at the places of numbers; the mark at its start stays."""
    if chance.random() < 0.4 and len(data) > 28:
        raw = bytearray(data)
        at = chance.randrange(4, len(raw) - 4) & ~3
        number = chance.choice((*EDGES, chance.randrange(300), 0x0A0D0D0A, len(raw)))
        struct.pack_into(chance.choice("<>") + "I", raw, at, number)
        return bytes(raw)
    if chance.random() < 0.05:
        return data + chance.choice(others)
    return data[:4] + of_bytes(chance, data[4:], others)


def of_frames(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Frames behind each other, see targets.frames: first bytes hold their link type."""
    return of_bytes(chance, data, others)


def of_zip(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One part of it changed inside; one time of eight the bytes of the whole."""
    if chance.random() < 0.12:
        return of_bytes(chance, data, others)
    parts, more = parts_of(data), parts_of(chance.choice(others))
    if not parts:
        return of_bytes(chance, data, others)
    telling = [name for name in parts if re.search(r"sheet\d|sharedStr|workbook|styles|content", name)] or list(parts)
    name = chance.choice(telling if chance.random() < 0.9 else list(parts))
    match chance.randrange(12):
        case 0:
            del parts[name]
        case 1:
            parts[chance.choice([*parts, *more, "xl/worksheets/../x.xml"])] = parts[name]
        case 2 if name in more:
            parts[name] = more[name]
        case 3:
            parts[name] = of_bytes(chance, parts[name], list(more.values()) or [b""])
        case _:
            parts[name] = of_text(chance, parts[name], list(more.values()) or [b""])
    return zipped(parts, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def parts_of(data: bytes) -> dict[str, bytes]:
    """What is in an archive; nothing of a damaged one, whatever is wrong with it."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {one.filename: archive.read(one) for one in archive.infolist()[:60] if one.file_size < 2**20}
    except Exception:
        return {}


def zipped(parts: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def packers() -> tuple[Callable[[bytes], bytes], ...]:
    from securitygroups.firewall.flows import compressed

    return (gzip.compress, bz2.compress, lzma.compress, compressed.zstd.compress)  # type: ignore[attr-defined]


def of_packed(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Packed again, in layers, behind each other, or with changed bytes."""
    match chance.randrange(6):
        case 0:
            return chance.choice(packers())(data)
        case 1:
            return data + chance.choice((chance.choice(others), bytes(chance.randrange(40)), data))
        case 2:
            return chance.choice(packers())(of_text(chance, b"protocol,source,destination,port\ntcp,198.51.100.7,10.0.0.5,22\n", others))  # fmt: skip
    return of_bytes(chance, data, others)


def of_parquet(chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """A table of another shape, or the bytes of one changed."""
    if chance.random() < 0.5:
        return of_bytes(chance, data, others)
    import pyarrow as arrow
    from pyarrow import parquet

    names = ["protocol", "srcaddr", "srcport", "dstaddr", "dstport", "action", "start", "tcp_flags", "flow_direction"]
    rows = chance.choice((0, 1, 3))
    columns = []
    for name in names:
        values = [chance.choice(_cells(chance, name)) for _ in range(rows)]
        try:
            columns.append(arrow.array(values, from_pandas=chance.random() < 0.5))
        except (arrow.ArrowException, TypeError, ValueError, OverflowError):
            columns.append(arrow.array([str(value) for value in values]))
    names = [name if chance.random() < 0.9 else chance.choice((*names, "", "é", "a.b")) for name in names]
    out = io.BytesIO()
    try:
        parquet.write_table(
            arrow.table(columns, names=names), out, compression=chance.choice(("none", "snappy", "zstd", "gzip"))
        )
    except (arrow.ArrowException, TypeError, ValueError):
        return of_bytes(chance, data, others)
    return out.getvalue()


def _cells(chance: Random, name: str) -> list[Any]:
    from datetime import UTC, date, datetime
    from decimal import Decimal

    known: dict[str, list[Any]] = {
        "srcaddr": ["198.51.100.7"], "dstaddr": ["10.0.0.5"], "protocol": [6, 17], "action": ["ACCEPT", "REJECT"],
    }  # fmt: skip
    good = known.get(name, [22, 443])
    if chance.random() < 0.7:
        return good
    strange: tuple[list[Any], ...] = (
        [None], [1.5, float("nan")], ["", "x\n", "\x1f"], [b"\xff\0", b"6"], [[1], []], [{"a": 1}], [True], [date(2026, 1, 2)],
        [datetime(2026, 1, 2, tzinfo=UTC)], [Decimal("1.50")], [2**63 - 1], ["x" * 3000],
    )  # fmt: skip
    return chance.choice(strange)


MUTATORS: dict[str, Mutator] = {
    "text": of_text,
    "json": of_json,
    "table": of_table,
    "capture": of_capture,
    "frames": of_frames,
    "zip": of_zip,
    "packed": of_packed,
    "parquet": of_parquet,
}


def mutated(kind: str, chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The input after a few changes of its kind, and now and then of its bytes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        data = (of_bytes if chance.random() < 0.05 else MUTATORS[kind])(chance, data, others)
    return data
