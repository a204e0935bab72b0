"""Reading JSON that people write: every fault with its place, nothing guessed, nothing passed over."""

import codecs
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from securitygroups.firewall.protocols import MAX_PORT, Action, Direction, Problem, shown

MAX_PROBLEMS = 20
MAX_COUNTED = 1000
MAX_WHERE = 500
MOST_NESTED = 400_000
"""Objects and lists of one JSON value; rules, as many as a file may have, and all that stands in them are fewer."""
MOST_LISTED = 150_000
"""What stands in all lists of one JSON value, those included whose parts a comma separates within a text."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file: where (such as "line 5, rules[2].source" or "line 3, port") and what to write instead."""

    where: str
    problem: Problem

    def __post_init__(self) -> None:
        # Keys of a path may be as long as the file.
        if len(self.where) > MAX_WHERE:
            object.__setattr__(self, "where", f"{self.where[:MAX_WHERE]} …")

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


def commas(text: str) -> int:
    """How many separate parts of a text; one that has quotes in it, as JSON within JSON does, is no list."""
    return 0 if '"' in text else text.count(",")


def parts(text: str) -> list[str]:
    """What its commas separate."""
    return text.split(",") if commas(text) else [text]


def _object(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """Makes the objects of one JSON value, and counts what stands in their lists."""
    listed = 0

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal listed
        for _, value in pairs:
            if isinstance(value, list):
                listed += len(value)
            elif isinstance(value, str):
                listed += commas(value)
        if listed > MOST_LISTED:
            raise bad(where, f"The lists in it have more than {MOST_LISTED:,} elements: bring it in parts.")
        return unique_keys(pairs)

    return made


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
    """One JSON value, duplicate keys and NaN refused. Raises BadDocument with line and column.

    So that a small file costs no more than a large one, MOST_NESTED and MOST_LISTED are all that it may have.
    """
    if text.count("{") + text.count("[") > MOST_NESTED:
        raise bad(
            where or "document", f"There are more than {MOST_NESTED:,} objects and lists in it: bring it in parts."
        )
    try:
        return json.loads(text, object_pairs_hook=_object(where or "document"), parse_constant=no_constant)
    except json.JSONDecodeError as error:
        place = f"{where}, column {error.colno}" if where else f"line {error.lineno}, column {error.colno}"
        raise bad(place, f"This is not JSON ({error.msg}).") from None
    except RecursionError:
        raise bad(where, "This is nested too deeply to be a document of this kind.") from None
    except BadDocument as error:
        raise BadDocument([Fault(fault.where or where, fault.problem) for fault in error.faults]) from None
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
