"""Reading JSON that people write: every fault with its place, nothing guessed, nothing passed over."""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from securitygroups.firewall.protocols import MAX_PORT, Action, Direction, Problem, shown

MAX_PROBLEMS = 20
MAX_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file: where (such as "line 5, rules[2].source" or "line 3, port") and what to write instead."""

    where: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem.message


class BadDocument(ValueError):
    """A file that is refused whole; `faults` has the first MAX_PROBLEMS of what is wrong, `total` their number.

    Reading ends where MAX_COUNTED are found, so that a file of nothing but faults costs no more than a good one.
    """

    def __init__(self, faults: list[Fault], total: int | None = None) -> None:
        super().__init__("\n".join(str(fault) for fault in faults[:MAX_PROBLEMS]))
        self.faults = faults[:MAX_PROBLEMS]
        self.total = len(faults) if total is None else total


def bad(where: str, message: str) -> BadDocument:
    return BadDocument([Fault(where, Problem(message))])


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key, value in pairs:
        if key in keys:
            raise bad("", f"The key “{shown(key)}” stands twice in one object: keep one of them.")
        keys[key] = value
    return keys


def no_constant(name: str) -> None:
    raise bad("", f"{name} is not a JSON number: write a whole number.")


def decode(data: bytes, where: str = "") -> str:
    """UTF-8 text of a file's bytes. Raises BadDocument naming the line and byte that is not."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise bad(where, "The file is UTF-16: save it as UTF-8.")
    # Editors and spreadsheets of Windows begin UTF-8 with a mark.
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = error.start - data.rfind(b"\n", 0, error.start)
        place = f"{where}, line {line}" if where else f"line {line}"
        raise bad(place, f"Byte {byte} of this line is not UTF-8: save the file as UTF-8.") from None


def load_json(text: str, where: str = "") -> Any:
    """One JSON value, duplicate keys and NaN refused. Raises BadDocument with line and column."""
    try:
        return json.loads(text, object_pairs_hook=unique_keys, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        place = f"{where}, column {error.colno}" if where else f"line {error.lineno}, column {error.colno}"
        raise bad(place, f"This is not JSON ({error.msg}).") from None
    except RecursionError:
        raise bad(where, "This is nested too deeply to be a document of this kind.") from None
    except BadDocument as error:
        raise BadDocument([Fault(where, fault.problem) for fault in error.faults]) from None
    except ValueError:
        # Python reads no number of more than 4,300 digits.
        raise bad(where, "A number here has too many digits.") from None


def check_keys(value: Any, allowed: tuple[str, ...], required: tuple[str, ...], where: str) -> Iterator[Fault]:
    """Unknown and missing keys of an object, or that it is none."""
    if not isinstance(value, dict):
        yield Fault(where, Problem("Write an object in braces: {…}."))
        return
    for key in islice((key for key in value if key not in allowed), MAX_COUNTED):
        yield Fault(where, Problem(f"“{shown(key)}” is not a key here: write only {', '.join(allowed)}."))
    for key in required:
        if key not in value:
            yield Fault(where, Problem(f"“{key}” is missing: add it."))


def port_number(value: Any) -> int | Problem | None:
    # To Python true is an int, and no port.
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return Problem(f"Write a whole number from 0 to {MAX_PORT} without quotes, or null for every port.")


def choice(value: Any, choices: type[Action] | type[Direction]) -> Any:
    if isinstance(value, str) and value in [choice.value for choice in choices]:
        return choices(value)
    return Problem(f"Write {' or '.join(repr(choice.value) for choice in choices)}.".replace("'", '"'))
