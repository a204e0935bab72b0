"""What the kernel has of the panel's tables, each piece with the VM that it is of: to be compared, and to be replaced.

Format: libnftables-json(5). A counter's numbers and the handles of objects are no part of what is compared.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from securitygroups.agent.lines import line_of
from securitygroups.agent.nft import Item

HOST = ""
"""Whose the pieces are that are of no VM: what the host loads first and keeps."""
_OF_VM = re.compile(r"(?:vm|hit)\.([A-Za-z0-9_-]{1,48})\..*")
_PASSING = frozenset({"handle", "packets", "bytes", "expires", "used", "index"})
_SETS = ("set", "map")
MOST_LINES, LONGEST = 20, 200
"""Lines that are told of what one VM has otherwise than it should, and characters of each."""


@dataclass(frozen=True)
class Part:
    """The pieces that are of one VM, or of none: what nft listed, rules in their order."""

    pieces: tuple[Item, ...] = ()

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Equal for equal pieces, in an order that is always the same."""
        rules = [piece for piece in self.pieces if "rule" in piece]
        chains = sorted({_chain(piece) for piece in rules})
        ordered = [_text(piece) for chain in chains for piece in rules if _chain(piece) == chain]
        return (*sorted(_text(piece) for piece in self.pieces if "rule" not in piece), *ordered)

    @cached_property
    def hash(self) -> str:
        """SHA-256 in hexadecimal."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        return tuple(map(line_of, map(json.loads, self.texts)))


def difference(should: Sequence[str], has: Sequence[str]) -> list[str]:
    """What is missing of the lines that should be there (“- …”) and what is there besides (“+ …”); at most MOST_LINES."""
    missing, more = Counter(should) - Counter(has), Counter(has) - Counter(should)
    lines = [f"- {line}" for line in missing.elements()] + [f"+ {line}" for line in more.elements()]
    if not lines and list(should) != list(has):
        lines = ["The lines stand in another order."]
    lines = [line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines]
    rest = len(lines) - MOST_LINES
    return lines if rest <= 0 else [*lines[:MOST_LINES], f"… and {rest} more"]


def divided(listed: Iterable[Item]) -> dict[str, Part]:
    """Parts by VM, and HOST. VMs of which nothing is there are not in it."""
    found: dict[str, list[Item]] = {}
    for item in listed:
        for piece in _pieces(item):
            found.setdefault(_owner(piece), []).append(piece)
    return {owner: Part(tuple(pieces)) for owner, pieces in found.items()}


def _pieces(item: Item) -> Iterator[Item]:
    """The item itself; of a set or map its elements one by one, for each may be of another VM."""
    ((kind, body),) = item.items()
    if kind == "metainfo":
        return
    if kind not in _SETS:
        yield item
        return
    yield {kind: {key: value for key, value in body.items() if key != "elem"}}
    for element in body.get("elem", ()):
        where = {key: body[key] for key in ("family", "table", "name")}
        yield {"element": {**where, "elem": [element]}}


def _owner(piece: Item) -> str:
    ((kind, body),) = piece.items()
    name = str(body.get("name", ""))
    if kind == "rule":
        name = str(body["chain"])
    elif kind == "element" and not _OF_VM.fullmatch(name):
        name = led_to(body["elem"][0])
    match = _OF_VM.fullmatch(name)
    return match[1] if match else HOST


def led_to(element: Any) -> str:
    """The chain that an element of a map jumps to, or an empty text."""
    try:
        return str(element[1]["jump"]["target"])
    except (LookupError, TypeError):
        return ""


def parted(host: Part, names: frozenset[str]) -> tuple[Part, tuple[Item, ...]]:
    """Of what is no VM's: what bears one of these names, or stands in a chain that does; and what else is there, but for
    rules, which are gone with their chain."""
    own: list[Item] = []
    strange: list[Item] = []
    for piece in host.pieces:
        ((kind, body),) = piece.items()
        if kind != "element" and (kind == "table" or body.get("chain" if kind == "rule" else "name") in names):
            own.append(piece)
        elif kind != "rule":
            strange.append(piece)
    return Part(tuple(own)), tuple(strange)


def _chain(piece: Item) -> tuple[str, str, str]:
    rule: Mapping[str, Any] = piece["rule"]
    return rule["family"], rule["table"], rule["chain"]


def _text(piece: Item) -> str:
    return json.dumps(_lasting(piece), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(inner) for key, inner in value.items() if key not in _PASSING}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value
