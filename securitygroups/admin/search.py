"""What is typed above a list: an ID, a slug or an address as it is, or the beginning of a name.

Never a part from the middle: an index has the beginnings in order, and anything else reads every row that there is. Several
words have to be found each, in whichever column. The tables that a list refers to are asked first, so that it is found by keys and not by joining what has nothing to do with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import GenericIPAddressField, Model, Q
from django.db.models.functions import Lower
from django.db.models.lookups import StartsWith

from securitygroups.firewall.texts import clean
from securitygroups.firewall.values import Network, address_text, plain_network

KEYS = 1_000
"""Rows of another table that a search goes on with."""
WORDS = 4
"""So many words are looked for one by one: each asks every table that a list refers to."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows, as a condition; `more` says that it leaves out some that the text would find."""

    condition: Q
    more: bool = False

    def __or__(self, other: "Found") -> "Found":
        return Found(self.condition | other.condition, self.more or other.more)


NOTHING = Found(Q(pk__in=[]))


def find(model: type[Model], fields: Sequence[str], text: str) -> Found:
    """The rows in one of whose columns stands what was typed, or each word of it in some column.

    `fields` are written as Django's search_fields are: "=" for columns that have to be equal, "^" for those that begin so,
    and two underscores for a column of another table; "<" is for IDs that begin so, which are in small letters.
    """
    text = clean(text.strip()[:200])
    # PostgreSQL has no such character in a text.
    if not text or "\x00" in text:
        return NOTHING
    found, words = _find(model, fields, text), text.split()
    return found | _all_words(model, fields, words) if 1 < len(words) <= WORDS else found


def _all_words(model: type[Model], fields: Sequence[str], words: Sequence[str]) -> Found:
    """A name and a project, or a first and a last name."""
    found = [_find(model, fields, word) for word in words]
    condition = Q()
    for each in found:
        condition &= each.condition
    return Found(condition, any(each.more for each in found))


def _find(model: type[Model], fields: Sequence[str], text: str) -> Found:
    found, elsewhere = NOTHING, dict[str, list[str]]()
    for field in fields:
        how, (name, _, column) = field[0], field[1:].partition("__")
        if column:
            elsewhere.setdefault(name, []).append(how + column)
        elif how == "<":
            found |= Found(Q(**{f"{name}__startswith": text.lower()}))
        else:
            found |= _equal(model, name, text) if how == "=" else Found(Q(StartsWith(Lower(name), text.lower())))
    for name, columns in elsewhere.items():
        found |= _through(model, name, columns, text)
    return found


def _through(model: type[Model], name: str, columns: Sequence[str], text: str) -> Found:
    """Rows that refer to what was found in another table."""
    field: Any = model._meta.get_field(name)
    found = _find(field.related_model, columns, text)
    # Rows of the other table that refer to this one name its keys; one that this one refers to is named by its own.
    here, there = ("pk", field.field.attname) if field.one_to_many else (name, "pk")
    rows = field.related_model._base_manager.filter(found.condition).order_by()
    keys = list(rows.values_list(there, flat=True)[: KEYS + 1])
    return Found(Q(**{f"{here}__in": keys[:KEYS]}), found.more or len(keys) > KEYS)


def _equal(model: type[Model], name: str, text: str) -> Found:
    field = model._meta.get_field(name)
    if not isinstance(field, GenericIPAddressField):
        return Found(Q(**{f"{name}__in": sorted({text, text.lower()})}))
    network = _network(text)
    if network is None or field.protocol.lower() not in (f"ipv{network.version}", "both"):
        return NOTHING
    first, last = address_text(network.version, network.first), address_text(network.version, network.last)
    return Found(Q(**{name: first}) if first == last else Q(**{f"{name}__gte": first, f"{name}__lte": last}))


def _network(text: str) -> Network | None:
    """An address, a network, or the beginning of an address."""
    parts = text.rstrip(":").split(":")
    if ":" in text and "::" not in text and "/" not in text and len(parts) < 8:
        text = f"{':'.join(parts)}::/{16 * len(parts)}"
    bytes_ = text.rstrip(".").split(".")
    if "." in text and len(bytes_) < 4:
        text = f"{'.'.join(bytes_ + ['0'] * (4 - len(bytes_)))}/{8 * len(bytes_)}"
    return plain_network(text)
