"""One rule, and what is done to one or many of them."""

from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from securitygroups.fields import NetworkFormField, refusal
from securitygroups.firewall.protocols import PROTOCOLS, shape_errors
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.several import PortsRefused, as_typed, combined, read_ports
from securitygroups.firewall.texts import Problem, shown
from securitygroups.firewall.values import Network, Refused
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.forms.parts import LongSelect, NetworksField, NumberField, PortsField
from securitygroups.models import (
    Rule,
    SecurityGroup,
)

PORT_FIELDS = ("port_start", "port_end")
NETWORKS_AND_PORTS = ("source", "destination", *PORT_FIELDS)
TRAFFIC = ("action", "direction", "protocol", *NETWORKS_AND_PORTS)
LOOKED_AT = frozenset({"preview", "seen", "sure", "onto"})
"""What is sent along by who sees, or has seen, how the fields were read."""
OFFERS = 5

Combinations = tuple[tuple[Network | None, Network | None, int | None, int | None], ...]

PRESETS = {service.told.lower().replace(" ", "-"): service for service in SERVICES}


def preset_values(key: str) -> dict[str, str]:
    """The fields that a well-known service fills in, such as "tcp-22" or "icmp"; empty for a key that is none."""
    service = PRESETS.get(key)
    if service is None:
        return {}
    port = "" if service.port is None else str(service.port)
    return {"protocol": service.protocol, "port_start": port, "port_end": "", "description": service.name}


def take_suggestion(data: QueryDict) -> QueryDict:
    """The data with a suggestion taken that was clicked without script: suggest=source=10.0.0.0/24, suggest=port_end=80-90."""
    data = data.copy()
    name, _, value = str(data.get("suggest", "")).partition("=")
    if name in PORT_FIELDS and "-" in value:
        data["port_start"], _, data["port_end"] = value.partition("-")
    elif name and name not in ("csrfmiddlewaretoken", "base"):
        data[name] = value
    return data


class RuleForm(forms.ModelForm[Rule]):
    """One rule. Fields that its protocol lacks are disabled: what is sent for them is not read, and the column is cleared."""

    follows_protocol = True
    makes_several = True
    """Whether a list makes several rules, or is refused."""
    combinations: Combinations = ((None, None, None, None),)
    make_several = 0
    """So many rules are made with one click where a list was typed and that was not seen yet."""
    port_start = PortsField(label="Start port")
    port_end = PortsField(label="End port")

    class Meta:
        model = Rule
        fields = (
            "action",
            "direction",
            "protocol",
            "source",
            "destination",
            "port_start",
            "port_end",
            "description",
            "enabled",
        )
        field_classes = {"source": NetworksField, "destination": NetworksField}
        widgets = {"action": forms.RadioSelect, "direction": forms.RadioSelect}
        help_texts = {
            "source": "An address or a network, IPv4 or IPv6. Empty: anywhere.",
            "destination": "An address or a network. Empty: anywhere.",
            "description": "What the rule is for.",
        }

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        chosen = data.get(self.add_prefix("protocol")) if data else None
        if not chosen and "protocol" in self.fields:  # staff who may only look have a form without fields
            # Not self["protocol"], which would remember this initial value when a view sets another.
            chosen = self.get_initial_for_field(self.fields["protocol"], "protocol")
        self.shape = PROTOCOLS.get(str(chosen))
        # A single port is a start alone: an end that says the same again would have to be changed with it.
        if str(self.initial.get("port_end")) == str(self.initial.get("port_start")):
            self.initial["port_end"] = ""
        for name in ("source", "destination", *PORT_FIELDS):
            if self.follows_protocol and self.shape and name not in self.shape.columns:
                self.fields[name].disabled = True
                self.initial[name] = None
                setattr(self.instance, name, None)

    @property
    def presets(self) -> list[tuple[str, str]]:
        """(key, label) of the well-known services, for the list that fills the fields."""
        return [(key, f"{service.name} ({service.told})") for key, service in PRESETS.items()]

    @property
    def has_ports(self) -> bool:
        return not self.fields["port_start"].disabled

    @property
    def untouched(self) -> bool:
        """Whether nothing was typed or chosen yet; of a new rule, nothing that traffic would depend on."""
        changed = set(self.changed_data)
        return not (changed if self.instance.pk else changed & set(TRAFFIC))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "protocol" not in cleaned:
            # What the fields say depends on it, and its own field has said what is wrong.
            return self._first_of(cleaned, ((None, None, None, None),))
        try:
            ranges = read_ports(cleaned.get("port_start") or "", cleaned.get("port_end") or "", cleaned["protocol"])
            sources, destinations = (cleaned.get(name) or (None,) for name in ("source", "destination"))
            self.combinations = combined(sources, destinations, ranges)
        except PortsRefused as refused:
            self.add_error(refused.field, refusal(refused.problem))
        except Refused as refused:
            self.add_error(None, refusal(refused.problem))
        else:
            self._check_all_but_the_first(cleaned["protocol"])
            # What the first is refused for is told by the model, and then there is nothing to ask yet.
            first = dict(zip(NETWORKS_AND_PORTS, self.combinations[0], strict=True))
            if not self.errors and not shape_errors(cleaned["protocol"], first):
                self._ask_how_it_was_read(cleaned)
        return self._first_of(cleaned, self.combinations)

    def _check_all_but_the_first(self, protocol: str) -> None:
        """The first is the model's, and is checked by it; the first of the others that is none is told."""
        for each in self.combinations[1:]:
            problems = shape_errors(protocol, dict(zip(NETWORKS_AND_PORTS, each, strict=True)))
            for name, problem in problems.items():
                self.add_error(name, refusal(problem))
            if problems:
                return

    def _first_of(self, cleaned: dict[str, Any], combinations: Combinations) -> dict[str, Any]:
        """The columns of the model, which are those of the first rule."""
        # The two ports are one range: of one of them alone the model would say that the other is missing.
        refused = {name for name in NETWORKS_AND_PORTS if name in self.errors}
        refused |= set(PORT_FIELDS) if refused & set(PORT_FIELDS) else set()
        first = zip(NETWORKS_AND_PORTS, combinations[0], strict=True)
        kept = {name: value for name, value in cleaned.items() if name not in refused}
        return kept | {name: value for name, value in first if name in kept}

    def _ask_how_it_was_read(self, cleaned: dict[str, Any]) -> None:
        """Refuse what was read as more than stands there, a range, a service or a list, to one who has not seen how."""
        many, read = len(self.combinations), self._read_as(cleaned)
        if many > 1 and not self.makes_several:
            name, offers = self._longest()
            self.add_error(name, refusal(Problem(f"These are {many} rules: type what one rule has.", offers[:OFFERS])))
            return
        if self.data.keys() & LOOKED_AT or self.data.get("rules") == str(many):
            return
        if many > 1:
            self.make_several = many
            name, offers = self._longest()
            why = f"These are {many} rules, and one rule has one of them: make {many} rules, or keep one."
            self.add_error(name, refusal(Problem(why, offers[:OFFERS])))
        elif read:
            # Filled in as it was read, so that sending it again is enough.
            name, typed, (start, end) = read
            filled = {self.add_prefix(field): value for field, value in zip(PORT_FIELDS, (start, end), strict=True)}
            self.data = dict(self.data.items()) | filled
            said = f"{start}–{end}" if end else start
            why = f"“{shown(typed)}” is read as {said}: look, and send it once more if that is meant."
            self.add_error(name, refusal(Problem(why, (f"{start}-{end}" if end else start,))))

    def _read_as(self, cleaned: dict[str, Any]) -> tuple[str, str, tuple[str, str]] | None:
        """The field, what was typed there, and what both fields say, where a port was read out of more than digits."""
        for name in PORT_FIELDS:
            typed = (cleaned.get(name) or "").strip()
            if typed and not typed.isdigit():
                return name, typed, as_typed(*self.combinations[0][2:])
        return None

    def _longest(self) -> tuple[str, tuple[str, ...]]:
        """The field that says most, and what it says one by one."""
        sources, destinations, starts, ends = zip(*self.combinations, strict=True)
        ranges = (filter(None, as_typed(*each)) for each in dict.fromkeys(zip(starts, ends, strict=True)))
        said = {
            "source": tuple(map(str, dict.fromkeys(sources))),
            "destination": tuple(map(str, dict.fromkeys(destinations))),
            "port_start": tuple("-".join(each) for each in ranges),
        }
        name = max(said, key=lambda name: len(said[name]))
        return name, said[name]

    def _post_clean(self) -> None:
        """As ever, but for the check constraints, each of which would be a query: the protocol table has told what they
        refuse, at its field, and they hold when the rule is written. full_clean can leave them out, but a form cannot
        tell it to.
        """
        self.instance.validate_constraints = lambda exclude=None: None  # type: ignore[method-assign]
        try:
            super()._post_clean()  # type: ignore[misc]
        finally:
            del self.instance.validate_constraints

    def as_value(self) -> RuleValue:
        """The rule of a valid form, with the identity of the row it edits ("" for a new one)."""
        value = self.instance.as_value()
        return value if self.instance.pk else replace(value, uid="")

    def as_values(self) -> list[RuleValue]:
        """All rules that a valid form makes; the first has the identity of the row that it edits."""
        first = self.as_value()
        said = (dict(zip(NETWORKS_AND_PORTS, each, strict=True)) for each in self.combinations)
        made = [replace(first, **each, uid="") for each in said]  # type: ignore[arg-type]
        return [first, *made[1:]]


class AddRuleForm(RuleForm):
    """A new rule and its place in the list."""

    place = NumberField(label="Place in the list", min_value=1)

    def __init__(self, *args: Any, places: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["place"]
        field.widget.attrs |= {"max": places, "inputmode": "numeric"}
        field.help_text = f"1 is tried first, {places} last."
        self.places = places

    def clean_place(self) -> int:
        place = int(self.cleaned_data["place"])
        if place > self.places:
            raise ValidationError(f"The last possible place is {self.places}: type a number from 1 to {self.places}.")
        return place


class MoveForm(forms.Form):
    """Where a rule goes."""

    position = NumberField(label="New place", min_value=1)

    def __init__(self, *args: Any, places: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = places
        self.fields["position"].widget.attrs |= {"max": places, "inputmode": "numeric"}
        self.fields["position"].help_text = f"A number from 1 to {places}."

    def clean_position(self) -> int:
        position = int(self.cleaned_data["position"])
        if position > self.places:
            raise ValidationError(f"The list has {self.places} rules: type a number from 1 to {self.places}.")
        return position


BULK_CHOICES = [
    ("off", "Switch off"),
    ("on", "Switch on"),
    ("source", "Set the source"),
    ("move", "Move together"),
    ("copy", "Copy to another group"),
    ("delete", "Delete"),
]


class BulkForm(forms.Form):
    """What to do with the chosen rules; one extra field, depending on it."""

    do = forms.ChoiceField(label="What to do", choices=BULK_CHOICES, widget=forms.RadioSelect(attrs={"class": "cards"}))
    source = NetworkFormField(
        label="Source IP Address",
        help_text="For “Set the source”. Empty: any address. All rules have none and stay as they are.",
    )
    position = NumberField(
        label="New place of the first", required=False, min_value=1, help_text="For “Move together”."
    )
    target = forms.ModelChoiceField(
        label="Group",
        queryset=SecurityGroup.objects.none(),
        widget=LongSelect,
        to_field_name="public_id",
        required=False,
        empty_label="Choose a group",
        help_text="For “Copy to another group”: they go to the end of its list.",
    )

    def __init__(self, data: Any = None, *, group: SecurityGroup) -> None:
        super().__init__(data)
        target = self.fields["target"]
        target.queryset = SecurityGroup.objects.live().filter(project=group.project).exclude(pk=group.pk)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("do") == "move" and "position" not in self.errors and cleaned.get("position") is None:
            self.add_error("position", "Type the place that the first of the rules goes to.")
        if cleaned.get("do") == "copy" and "target" not in self.errors and cleaned.get("target") is None:
            self.add_error("target", "Choose the group to copy to.")
        return cleaned
