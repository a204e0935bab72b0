"""Columns of ours: text by the one rule of firewall/texts.py, and networks, which are PostgreSQL's `cidr` in the database
and firewall.values.Network in Python. Both with good messages in forms.
"""

import socket
from functools import lru_cache
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.lookups import Lookup

from securitygroups.firewall.protocols import Problem
from securitygroups.firewall.texts import clean, clean_lines, mixed_alphabets, text_problem, visible
from securitygroups.firewall.values import Network, Refused, machine_address, parse_network

MOST = 10_000
"""Far beyond any line; each column has its own limit, which it tells in its own words."""


def refusal(problem: Problem, code: str = "refused") -> ValidationError:
    """The problem as Django's error; the values that can be taken with one click go along in `params`."""
    return ValidationError(problem.message.replace("%", "%%"), code=code, params={"suggestions": problem.suggestions})


def one_line(text: str) -> None:
    """Validator: one line of text by which nobody is deceived. Raises ValidationError."""
    problem = text_problem(text, longest=MOST)
    if problem:
        raise refusal(problem)


def _too_long(text: str, longest: int | None) -> bool:
    """Whether cleaning leaves it too long anyway: composing letters takes time by the square of what was sent."""
    return len(text) > 4 * (longest or MOST)


def plain_address(text: str) -> None:
    """Validator: an e-mail address whose every letter is what it seems. Other domains are typed as they travel, beginning
    with xn--. Raises ValidationError."""
    if not text.isascii():
        raise ValidationError(
            "Type plain letters from a to z; a domain with others is written as xn--….", code="refused"
        )


def one_alphabet(text: str) -> None:
    """Validator: a name that imitates no other by letters of another alphabet. Raises ValidationError."""
    problem = mixed_alphabets(text)
    if problem:
        raise refusal(problem)


def begins_focused(form: forms.BaseForm) -> None:
    """Put the focus into the first field of a form that is the page's purpose; of one that was sent, what is wrong has it."""
    shown = form.visible_fields()
    if shown and not form.is_bound:
        shown[0].field.widget.attrs["autofocus"] = True


class LineFormField(forms.CharField):
    """One line of text, as it is kept."""

    default_validators = [one_line]

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        return text if _too_long(text, self.max_length) else clean(text)


class LinesFormField(forms.CharField):
    """Several lines of text, as they are kept."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        return text if _too_long(text, self.max_length) else clean_lines(text)


class LineField(models.CharField[Any, str]):
    """One line that people write, or that is put on record about them.

    It is cleaned on its way in, by whatever door. On its way out, what was kept before there was the rule, or past it,
    has a mark in place of each character that could deceive: no page has to think of it.
    """

    default_validators = [one_line]

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return clean(text) if isinstance(text, str) and not _too_long(text, self.max_length) else text

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value if value is None else visible(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": LineFormField, **kwargs})


class LinesField(models.TextField[Any, str]):
    """Several lines that people write, likewise."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return clean_lines(text) if isinstance(text, str) and not _too_long(text, self.max_length) else text

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return value if value is None else visible(value, "\r\n\t")

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": LinesFormField, **kwargs})


class RecordField(models.JSONField):
    """What is put on record as JSON; its texts come out as those of a LineField do."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        # As it is sent, JSON is one line, and nothing of its own is hidden.
        return super().from_db_value(visible(value) if isinstance(value, str) else value, expression, connection)


@lru_cache(maxsize=8192)
def _stored(text: str) -> Network:
    """A network as PostgreSQL writes it: it was looked at when it came in."""
    host, _, prefix = text.partition("/")
    version, family = (6, socket.AF_INET6) if ":" in host else (4, socket.AF_INET)
    return Network(version, int.from_bytes(socket.inet_pton(family, host)), int(prefix))


def to_network(value: Any) -> Network | None:
    """A network from what a person or a program gave; "" and None mean any. Raises ValidationError."""
    if value is None or isinstance(value, Network):
        return value
    text = str(value).strip()
    if not text:
        return None
    try:
        return parse_network(text)
    except Refused as error:
        raise refusal(error.problem) from None


class NetworkFormField(forms.CharField):
    """One address or network; None when left empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": 200, "strip": True, **kwargs})
        self.widget.attrs |= {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none", "class": "mono"}

    def to_python(self, value: Any) -> Any:
        return to_network(super().to_python(value))

    def run_validators(self, value: Any) -> None:
        super().run_validators("" if value is None else str(value))

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else str(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not self.disabled and bool(self.to_python(data) != to_network(initial))
        except ValidationError:
            return True


class AddressFormField(forms.CharField):
    """The address of a family that a machine has; None when left empty."""

    def __init__(self, *, version: int, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "max_length": 200, "empty_value": None, **kwargs})
        self.version = version
        self.widget.attrs |= {"class": "mono", "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        try:
            return None if text is None else machine_address(text, self.version)
        except Refused as error:
            raise refusal(error.problem) from None


class CidrField(models.Field[Any, Any]):
    """A network or nothing. Read and written as Network; text is parsed."""

    description = "IPv4 or IPv6 network"

    def db_type(self, connection: Any) -> str:
        return "cidr"

    def select_format(self, compiler: Any, sql: str, params: Any) -> Any:
        # As text: the driver would make an object of each, which takes longer than all the rest of reading a rule.
        return f"{sql}::text", params

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Network | None:
        return None if value is None else _stored(str(value))

    def to_python(self, value: Any) -> Network | None:
        return to_network(value)

    def get_prep_value(self, value: Any) -> Any:
        network = to_network(super().get_prep_value(value))
        return None if network is None else str(network)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else str(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": NetworkFormField, "empty_value": None, **kwargs})


@CidrField.register_lookup
class Overlaps(Lookup[Any]):
    """The two networks share an address. Raises ValidationError when the value is no network."""

    lookup_name = "overlaps"

    def get_prep_lookup(self) -> Any:
        if hasattr(self.rhs, "resolve_expression"):
            return self.rhs
        network = to_network(self.rhs)
        if network is None:
            raise ValidationError("Type an address or a network to look for.")
        return str(network)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left}::inet && {right}::inet", [*left_params, *right_params]

    def get_db_prep_lookup(self, value: Any, connection: Any) -> Any:
        return "%s", [value]
