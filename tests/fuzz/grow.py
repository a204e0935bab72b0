"""An input made as large as a file may be: what is in it repeated, deeper, longer, each time a little different."""

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.fuzz.mutate import SIGNS, packers, parts_of, zipped

LARGEST = 8 << 20
_NUMBER = re.compile(rb"\d+")
_REPEATED = re.compile(rb"\w+|[^\w\s]|\s")


def grown(kind: str, chance: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """About LARGEST bytes that begin and end as the input does."""
    size = chance.choice((LARGEST, LARGEST, LARGEST // 4)) - 4096
    if kind == "zip":
        return _zip(chance, data)
    if kind == "packed":
        return chance.choice(packers())(
            _text(chance, b"protocol,source,destination,port\ntcp,198.51.100.7,10.0.0.5,22\n", 4 * size)
        )
    if kind in ("capture", "frames"):
        return _capture(chance, data, size)
    if kind == "parquet":
        return _bytes(chance, data, size)
    if data.lstrip()[:1] in (b"{", b"[") and chance.random() < 0.8:
        return _json(chance, data, size)
    return _text(chance, data, size)


def _template(part: bytes, places: Sequence[int]) -> bytes:
    """The part with %d for the numbers at some places."""
    found = list(_NUMBER.finditer(part))
    pieces, last = [], 0
    for place in sorted(places):
        pieces += [part[last : found[place].start()].replace(b"%", b"%%"), b"%d"]
        last = found[place].end()
    return b"".join([*pieces, part[last:].replace(b"%", b"%%")])


def _filled(chance: Random, part: bytes, size: int) -> bytes:
    """The part again and again, the same or each time another."""
    if not part:
        return b""
    many = max(1, size // len(part))
    numbers = len(_NUMBER.findall(part[:2000]))
    if many > 200_000 or not numbers or chance.random() < 0.4:
        return part * many
    places = chance.sample(range(numbers), min(numbers, chance.choice((1, 2, 3))))
    # No two of them are alike.
    template, shifts = _template(part, places), tuple(range(0, 8 * len(places), 8))
    return b"".join(template % tuple(number >> shift & 255 for shift in shifts) for number in range(many))


def _bytes(chance: Random, data: bytes, size: int) -> bytes:
    at = chance.randrange(len(data) + 1)
    part = data[at : at + chance.choice((1, 2, 16, 200))] or b"\0"
    return data[:at] + part * (size // len(part)) + data[at:]


def _text(chance: Random, data: bytes, size: int) -> bytes:
    lines = data.splitlines(keepends=True) or [b"\n"]
    at = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0 | 1:
            some = b"".join(lines[at : at + chance.choice((1, 1, 2, 5, 40))])
            return b"".join(lines[:at]) + _filled(chance, some, size) + b"".join(lines[at:])
        case 2:
            # One line without an end.
            words = _REPEATED.findall(lines[at]) or [b" "]
            place = chance.randrange(len(words))
            some = b"".join(words[place : place + chance.choice((1, 2, 3, 8, 20))])
            words[place:place] = [_filled(chance, some, size)]
            return b"".join(lines[:at]) + b"".join(words) + b"".join(lines[at:])
        case 3:
            sign = chance.choice(SIGNS).encode() or b" "
            place = chance.randrange(len(data) + 1)
            return data[:place] + sign * (size // len(sign)) + data[place:]
    return _bytes(chance, data, size)


def _json(chance: Random, data: bytes, size: int) -> bytes:
    """One list or object of the tree with more in it than anybody has, or a text or a depth without end."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _text(chance, data, size)
    mark = "\ue000grown\ue000"
    branch: Any = value
    while isinstance(branch, dict | list) and branch:
        place: Any = chance.choice(list(branch) if isinstance(branch, dict) else range(len(branch)))
        if chance.random() < 0.3 or not isinstance(branch[place], dict | list):
            break
        branch = branch[place]
    if not isinstance(branch, dict | list) or not branch:
        return _text(chance, data, size)
    one, filling = json.dumps(branch[place]).encode(), b""
    if isinstance(branch, list):
        filling = _filled(chance, one + b",", size)[:-1]
    else:
        match chance.randrange(4):
            case 0:
                filling = b"[" + _filled(chance, one + b",", size) + one + b"]"
            case 1:
                filling = b'"' + b"a" * size + b'"' if chance.random() < 0.5 else b"9" * size
            case 2:
                filling = (
                    b"{" + b",".join(b'"%d":%s' % (number, one) for number in range(size // (len(one) + 9))) + b"}"
                )
            case _:
                depth = chance.choice((50, 900, 100_000))
                filling = b"[" * depth + one + b"]" * depth
    branch[place] = mark
    whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return whole.replace(json.dumps(mark, ensure_ascii=False).encode(), filling or b"0")


def _capture(chance: Random, data: bytes, size: int) -> bytes:
    head = 1 if len(data) < 4 else 24
    if chance.random() < 0.3:
        return _bytes(chance, data, size)
    whole = chance.choice((data[head:], data)) or b"\0"
    return data + whole * max(1, size // len(whole))


def _zip(chance: Random, data: bytes) -> bytes:
    """A part of the archive that is large inside, and still small outside."""
    parts = parts_of(data)
    telling = [name for name in parts if "sheet" in name or "shared" in name or "content" in name]
    if not telling:
        return data
    name = chance.choice(telling)
    part, size = parts[name], chance.choice((4 << 20, 30 << 20, 60 << 20))
    tags = list(re.finditer(rb"<(row|c|si|table:table-row|table:table-cell)\b.*?</\1>|<[^>]+/>", part, re.DOTALL))
    if tags and chance.random() < 0.7:
        found = chance.choice(tags)
        parts[name] = part[: found.start()] + _filled(chance, found[0], size) + part[found.start() :]
    else:
        parts[name] = _text(chance, part, size)
    return zipped(parts)
