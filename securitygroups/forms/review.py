"""The rows of a review's page, each with what is decided about its rule, and the signature."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from django import forms

from securitygroups.fields import LineFormField, NetworkFormField, refusal
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.firewall.values import Network, Rule
from securitygroups.forms.parts import PortField
from securitygroups.models import DecidedRule, Verdict

MOST_ROWS = 200
"""Rows of a form that are read: more than any page has."""
NARROWED = ("source", "destination", "port_start", "port_end")
FIELDS = ("verdict", "remark", *NARROWED)
_DRAWN = re.compile(r"([a-z0-9-]{1,20}) ([0-9a-f]{1,12}) (\d{1,9}) (\d{1,9}) ([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row as it was drawn: of which rule, at which revision of its group, and with which decision in it."""

    prefix: str
    group: str
    uid: str
    revision: int
    version: int
    digest: str

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.uid

    def touched(self, data: Mapping[str, Any]) -> bool:
        """Whether somebody typed or chose something in the row."""
        return digest({name: data.get(f"{self.prefix}-{name}", "") for name in FIELDS}) != self.digest

    def decides(self, data: Mapping[str, Any]) -> bool:
        """Whether the row says something new, if only by the button that keeps the rest."""
        return self.touched(data) or ("keep_rest" in data and not data.get(f"{self.prefix}-verdict"))


def digest(values: Mapping[str, str]) -> str:
    """Stands for what is in the fields of a row."""
    return sha256("\0".join(values.get(name, "").strip() for name in FIELDS).encode(errors="replace")).hexdigest()[:12]


def drawn_in(data: Mapping[str, Any]) -> Iterator[Drawn]:
    """The rows that were sent."""
    for number in range(MOST_ROWS):
        if found := _DRAWN.fullmatch(data.get(f"{number}-row", "")):
            group, uid, revision, version, mark = found.groups()
            yield Drawn(str(number), group, uid, int(revision), int(version), mark)


def values_of(rule: Rule, decided: DecidedRule | None) -> dict[str, str]:
    """What stands in the fields of a row: the decision, and the fields of the rule for who narrows it."""
    said = {name: getattr(rule, name) for name in NARROWED}
    if decided and decided.narrowed:
        said |= decided.narrowed
    if said["port_end"] == said["port_start"]:
        said["port_end"] = None
    ends = {name: "" if value is None else str(value) for name, value in said.items()}
    return {"verdict": decided.verdict if decided else "", "remark": decided.remark if decided else "", **ends}


class DecisionForm(forms.Form):
    """What is decided about a rule. The fields of a narrower rule are read where it is to be narrowed."""

    verdict = forms.ChoiceField(choices=[("", "Later"), *Verdict.choices], required=False)
    remark = LineFormField(label="Remark", max_length=255, required=False)
    source = NetworkFormField(label="Source IP Address")
    destination = NetworkFormField(label="Destination IP Address")
    port_start = PortField(label="Start port")
    port_end = PortField(label="End port")

    def __init__(self, data: Mapping[str, Any], *, prefix: str, rule: Rule) -> None:
        super().__init__(data, prefix=prefix)
        self.rule = rule
        narrows = data.get(f"{prefix}-verdict") == Verdict.NARROW
        for name in NARROWED:
            if not narrows or name not in PROTOCOLS[rule.protocol].columns:
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("verdict") == Verdict.NARROW and not self.errors:
            self._narrower(cleaned)
        return cleaned

    def _narrower(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("port_end") is None and "port_end" in cleaned:
            cleaned["port_end"] = cleaned["port_start"]
        fields: dict[str, Any] = {name: cleaned[name] for name in NARROWED if name in cleaned}
        new = replace(self.rule, **fields)
        for name, problem in new.problems().items():
            self.add_error(name if name in self.fields else None, refusal(problem))
        if not self.errors:
            self._must_be_narrower(new, list(fields))

    def _must_be_narrower(self, new: Rule, fields: list[str]) -> None:
        if not fields:
            self.add_error("verdict", "A rule for all packets has nothing to narrow: choose another decision.")
        elif new == self.rule:
            self.add_error(fields[0], "Type a smaller network or fewer ports: this is the rule as it is.")
        else:
            for name, words in _wider(self.rule, new):
                self.add_error(name, words)

    @property
    def narrowed(self) -> dict[str, Any] | None:
        """The fields of the narrower rule, as documents have them."""
        fields = {name: self.cleaned_data[name] for name in NARROWED if name in self.cleaned_data}
        said = {name: str(value) if isinstance(value, Network) else value for name, value in fields.items()}
        return said if self.cleaned_data["verdict"] == Verdict.NARROW else None


def _wider(old: Rule, new: Rule) -> Iterator[tuple[str, str]]:
    """Where the new rule takes packets that the old one does not, and what to type instead."""
    for name in ("source", "destination"):
        was = getattr(old, name)
        if was and not _within(getattr(new, name), was):
            yield name, f"This is more than the rule takes now: type a network within {was}."
    if _more_ports(old, new):
        allowed = f"from {old.port_start} to {old.port_end}" if old.port_start != old.port_end else f"{old.port_start}"
        yield "port_start", f"These are more ports than the rule takes now: stay with {allowed}."


def _more_ports(old: Rule, new: Rule) -> bool:
    if old.port_start is None:
        return False
    return new.port_start is None or new.port_start < old.port_start or (new.port_end or 0) > (old.port_end or 0)


def _within(new: Network | None, old: Network) -> bool:
    return new is not None and new.version == old.version and old.first <= new.first and new.last <= old.last


class SignForm(forms.Form):
    """The name under a review."""

    name = LineFormField(
        label="Name",
        max_length=150,
        help_text="Signs the review, with the date. It stands on the record beside your user name.",
        error_messages={"required": "Type your name: it signs the review."},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    remark = LineFormField(
        label="Remark", max_length=255, required=False, help_text="Such as why some rules were left for the next time."
    )
