"""One rule, and what is done to one or many of them."""

from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from securitygroups.fields import NetworkFormField
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.forms.parts import PortField
from securitygroups.models import (
    Rule,
    SecurityGroup,
)

PORT_FIELDS = ("port_start", "port_end")


PRESETS = {service.told.lower().replace(" ", "-"): service for service in SERVICES}


def preset_values(key: str) -> dict[str, str]:
    """The fields that a well-known service fills in, such as "tcp-22" or "icmp"; empty for a key that is none."""
    service = PRESETS.get(key)
    if service is None:
        return {}
    port = "" if service.port is None else str(service.port)
    return {"protocol": service.protocol, "port_start": port, "port_end": port, "description": service.name}


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
    port_start = PortField(label="Start port", help_text="Both empty: every port.")
    port_end = PortField(label="End port", help_text="Empty: the start port alone.")

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
        widgets = {"action": forms.RadioSelect, "direction": forms.RadioSelect}
        help_texts = {
            "source": "One address or a network, IPv4 or IPv6. Empty: any address.",
            "destination": "One address or a network. Empty: any address.",
            "description": "What the rule is for.",
        }

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(data, *args, **kwargs)
        chosen = data.get(self.add_prefix("protocol")) if data else None
        if not chosen and "protocol" in self.fields:  # staff who may only look have a form without fields
            # Not self["protocol"], which would remember this initial value when a view sets another.
            chosen = self.get_initial_for_field(self.fields["protocol"], "protocol")
        self.shape = PROTOCOLS.get(str(chosen))
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

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("port_end") is None and "port_end" in cleaned:
            cleaned["port_end"] = cleaned.get("port_start")
        return cleaned

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


class AddRuleForm(RuleForm):
    """A new rule and its place in the list."""

    place = forms.IntegerField(label="Place in the list", min_value=1)

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

    position = forms.IntegerField(label="New place", min_value=1)

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
    position = forms.IntegerField(
        label="New place of the first", required=False, min_value=1, help_text="For “Move together”."
    )
    target = forms.ModelChoiceField(
        label="Group",
        queryset=SecurityGroup.objects.none(),
        to_field_name="public_id",
        required=False,
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
