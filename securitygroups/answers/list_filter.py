"""What the filters of lists have in common: they stand in an address, are shown as chips, and have an order."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode

from django.db.models import BooleanField, F, Field, Func, Q, TextField, Value
from django.db.models.expressions import OrderBy

from securitygroups.answers.addresses import spans
from securitygroups.firewall.texts import mended

LONGEST, MOST_WORDS, MOST_VALUES = 200, 12, 10
Pairs = list[tuple[str, str]]
"""Parameters of an address, in order."""


class Chip(NamedTuple):
    """One thing that a list is filtered by, in words, and the parameters of the same list without it."""

    words: str
    without: str


def said(query: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """What an address says of this name, each value once: fit to be looked for, and to be shown again."""
    values = query.getlist(name) if hasattr(query, "getlist") else query.get(name, ())
    texts = [values] if isinstance(values, str) else values
    return tuple(dict.fromkeys(text for one in texts if (text := mended(str(one)[:LONGEST]))))[:MOST_VALUES]


class IsOneOf(Func):
    """Whether a key is in an array, which is made first: thousands of keys in the text of a query make it long to write."""

    template, arg_joiner = "%(expressions)s)", " = ANY("
    output_field: ClassVar[Field[Any, Any]] = BooleanField()


def is_one_of(keys: Iterable[int]) -> IsOneOf:
    """Whether a row's key is among these, however many."""
    # Without a field, which would look at each of them.
    return IsOneOf(F("pk"), Value(list(keys)))


def sort_of(query: Mapping[str, Any], known: Iterable[str]) -> str:
    """The order that is asked for, empty for the list's own; a dash before it turns it round."""
    text = next(iter(said(query, "sort")), "")
    return text if text.removeprefix("-") in known else ""


def ordered(sort: str, columns: Mapping[str, tuple[str, ...]], plain: tuple[str, ...]) -> list[str | OrderBy]:
    """The columns to order by. What is empty stands at the end, whichever way round; the last one leaves no ties."""
    if not sort:
        return list(plain)
    down = sort.startswith("-")
    found = [F(column) for column in columns[sort.removeprefix("-")]]
    return [*(one.desc(nulls_last=True) if down else one.asc(nulls_last=True) for one in found), "name", "pk"]


def chips(pairs: Pairs, words: Iterable[tuple[str, str, str]]) -> list[Chip]:
    """A chip for each (words, parameter, value)."""
    return [Chip(text, urlencode([one for one in pairs if one != (name, value)])) for text, name, value in words]


class Tags(Func):
    """A VM's tags as one text."""

    function = "array_to_string"

    def __init__(self) -> None:
        super().__init__(F("tags"), Value(" "), output_field=TextField())


# Between what belongs together: a network and its mask or length, the ends of a range, what may be either.
_TOGETHER = (
    (r"\s*;\s*|\s+(?:or|oder)\s+", ","),
    (r"\s*,[\s,]*", ","),
    (r"(\d\.\d+) ((?:255|0)\.\d+\.\d+\.\d*[1-9]\d*|255\.\d+\.\d+\.\d+)(?![.\d])", r"\1/\2"),
    (r"([\d.]+\.\d+|[\da-f:]*:[\da-f:]*)\s+/\s*(\d)", r"\1/\2"),
    (r"(\d\.\d+)\s*(?:[-–—]|\.\.+|\bto\b|\bbis\b)\s*(\d)", r"\1-\2"),
    (r"(?<=[\da-f:])\s+(?:[-–—]|to|bis)\s+(?=[\da-f]*:)", "-"),
    (r"(?:(?<=\s)|^)(?:ip(?:v[46])?|address|host|name|vm|id|tag)\s*[:=]\s*(?=\S)", ""),
)
_JOINED = [(re.compile(shape, re.IGNORECASE), said) for shape, said in _TOGETHER]


def wanted(text: str) -> list[list[str]]:
    """What was typed: of each of these, one has to be found. Commas stand between what may be either: “web-1, web-2”."""
    for shape, said in _JOINED:
        text = shape.sub(said, text)
    words = ([part for part in word.split(",") if part] for word in text.split()[:MOST_WORDS])
    return _either_address([parts[:MOST_WORDS] for parts in words if parts])


def _either_address(words: list[list[str]]) -> list[list[str]]:
    """No VM has two addresses of a family: one of those that stand beside each other has to be found."""
    found: list[list[str]] = []
    first: dict[int, list[str]] = {}
    for parts in words:
        spans_of = spans(parts[0])
        version = spans_of[0].version if len(spans_of) == 1 and spans_of[0].first == spans_of[0].last else 0
        if version in first:
            first[version] += parts
            continue
        found.append(parts)
        if version:
            first[version] = parts
    return [parts for parts in found if parts != ["and"]] if first else found


def has_word(word: str) -> Q:
    """Name, description or ID has the word, without the quotes and marks of a sentence around it."""
    bare = word.strip("\"'“”‘’«»()[]<>;,").rstrip(".") or word
    found = Q()
    # Pages and mails break no line at a hyphen of theirs, which is another sign.
    for text in dict.fromkeys((bare, re.sub("[‐‑–—−]", "-", bare))):
        found |= Q(name__icontains=text) | Q(description__icontains=text) | Q(public_id__iexact=text)
    return found


def has_address(word: str) -> Q:
    """An address of the VM is among those that the word can mean."""
    found = Q()
    for span in spans(word):
        first, last = span.ends
        found |= Q(**{f"ipv{span.version}__gte": first, f"ipv{span.version}__lte": last})
    return found
