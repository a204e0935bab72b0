"""Forms of the panel and the admin. They say what is wrong; operations write."""

from dataclasses import replace
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import QueryDict

from securitygroups.fields import NetworkFormField, refusal
from securitygroups.firewall.protocols import PORT_NUMBERS, PROTOCOLS, Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import (
    NON_IP,
    Packet,
    Refused,
    make_packet,
    packet_problems,
    parse_address,
)
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import (
    GroupTemplate,
    Membership,
    Project,
    Role,
    Rule,
    SecurityGroup,
    User,
    VirtualMachine,
    one_line,
)


def take_refusal(form: forms.BaseForm, refusal: ValidationError) -> None:
    """Show what an operation refused at the form's fields, or above the form where it has no such field."""
    if hasattr(refusal, "error_dict"):
        for name, errors in refusal.error_dict.items():
            for error in errors:
                form.add_error(name if name in form.fields else None, error)
    else:
        form.add_error(None, refusal)


PORT_FIELDS = ("port_start", "port_end")


PRESETS = {f"{service.protocol}-{service.port}": service for service in SERVICES}


def preset_values(key: str) -> dict[str, str]:
    """The fields that a well-known service fills in, such as "tcp-22"; empty for a key that is none."""
    service = PRESETS.get(key)
    if service is None:
        return {}
    return {
        "protocol": service.protocol,
        "port_start": str(service.port),
        "port_end": str(service.port),
        "description": service.name,
    }


def take_suggestion(data: QueryDict) -> QueryDict:
    """The data with a suggestion taken that was clicked without script: suggest=source=10.0.0.0/24, suggest=port_end=80-90."""
    data = data.copy()
    name, _, value = str(data.get("suggest", "")).partition("=")
    if name in PORT_FIELDS and "-" in value:
        data["port_start"], _, data["port_end"] = value.partition("-")
    elif name and name not in ("csrfmiddlewaretoken", "base"):
        data[name] = value
    return data


class PortField(forms.IntegerField):
    """A port, or nothing. Out of range is the protocol table's refusal, in its words."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "required": False,
                "widget": forms.TextInput(
                    attrs={"inputmode": "numeric", "class": "mono", "autocomplete": "off", "size": 6}
                ),
                "error_messages": {"invalid": "Type a whole number from 0 to 65535."},
                **kwargs,
            }
        )

    def clean(self, value: Any) -> Any:
        # Numbers beyond any column would crash the database driver before a check could speak.
        if isinstance(value, str) and len(value.strip()) > 9:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().clean(value)


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
        return [(key, f"{s.name} ({s.protocol.upper()} {s.port})") for key, s in PRESETS.items()]

    @property
    def has_ports(self) -> bool:
        return not self.fields["port_start"].disabled

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("port_end") is None and "port_end" in cleaned:
            cleaned["port_end"] = cleaned.get("port_start")
        return cleaned

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


class ImportForm(forms.Form):
    """A document, uploaded or pasted, and for a new group its name."""

    name = forms.CharField(label="Name", max_length=100, required=False, validators=[one_line])
    file = forms.FileField(label="File", required=False, help_text="JSON or CSV, as exported here.")
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, data: Any = None, *, new: bool) -> None:
        super().__init__(data)
        if new:
            self.fields["name"].help_text = "Empty: the name in the document."
        else:
            del self.fields["name"]


class GroupForm(forms.ModelForm[SecurityGroup]):
    class Meta:
        model = SecurityGroup
        fields = ("name", "description")
        help_texts = {"description": "Optional: what the group is for."}
        error_messages = {"name": {"required": "Type a name for the group."}}


class MachineForm(forms.ModelForm[VirtualMachine]):
    class Meta:
        model = VirtualMachine
        fields = ("name", "description", "ipv4", "ipv6", "tap")
        error_messages = {
            "name": {"required": "Type a name for the VM."},
            "ipv4": {"invalid": "This is not an IPv4 address: type one such as 10.0.0.5."},
            "ipv6": {"invalid": "This is not an IPv6 address: type one such as 2001:db8::5."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in {"ipv4", "ipv6", "tap"} & self.fields.keys():
            self.fields[name].widget.attrs |= {"class": "mono", "autocomplete": "off", "spellcheck": "false"}

    def _address(self, name: str, version: int) -> str | None:
        text = self.cleaned_data.get(name)
        if not text:
            return None
        try:
            # As it was typed: Django's field takes a zone id away without a word.
            found = parse_address(str(self.data.get(self.add_prefix(name), "")))[0]
        except Refused as error:
            raise refusal(error.problem) from None
        if found != version:
            raise ValidationError(f"This is not an IPv{version} address.")
        return str(text)

    def clean_ipv4(self) -> str | None:
        return self._address("ipv4", 4)

    def clean_ipv6(self) -> str | None:
        return self._address("ipv6", 6)


class OrderedGroupsForm(forms.Form):
    """The groups of a VM, in order: as many selects as there are groups, and empty ones for more.

    Works without script: an empty select is passed over; "More groups" and the arrows re-draw the form.
    """

    def __init__(self, data: Any = None, *, project: Project, chosen: list[SecurityGroup], spare: int = 1) -> None:
        super().__init__(data)
        groups = list(
            SecurityGroup.objects.live().filter(project=project).only("public_id", "name", "project_id", "revision")
        )
        self.by_id = {group.public_id: group for group in groups}
        if data is not None:
            picked = [value for value in data.getlist("group") if value]
        else:
            picked = [group.public_id for group in chosen]
        self.unknown = [value for value in picked if value not in self.by_id]
        self.picked = [value for value in picked if value in self.by_id]
        self.spare = spare
        self.limit = settings.MAX_GROUPS_PER_MACHINE

    @property
    def slots(self) -> list[str]:
        """The chosen public ids and the empty places behind them."""
        empty = max(0, min(self.spare, self.limit - len(self.picked)))
        return self.picked + [""] * empty

    @property
    def choices(self) -> list[SecurityGroup]:
        return list(self.by_id.values())

    def groups(self) -> list[SecurityGroup]:
        return [self.by_id[value] for value in self.picked]

    def clean(self) -> dict[str, Any]:
        if self.unknown:
            raise ValidationError(
                "One of the groups has been deleted in the meantime: look through the list and try again."
            )
        twice = {self.by_id[value].name for value in self.picked if self.picked.count(value) > 1}
        if twice:
            raise ValidationError(f"{', '.join(sorted(twice))} stands twice in the list: choose each group once.")
        if len(self.picked) > self.limit:
            raise ValidationError(f"A VM can have {self.limit} groups, these are {len(self.picked)}: choose fewer.")
        return self.cleaned_data


PACKET_CHOICES = [
    ("tcp", "TCP"),
    ("udp", "UDP"),
    ("sctp", "SCTP"),
    ("icmp", "ICMP (ICMPv6 between IPv6 addresses)"),
    ("number", "Another IP protocol"),
    (NON_IP, "Not IP (ARP and others)"),
]


_MISSING = {
    "number": "Type the IP protocol's number, from 0 to 255.",
    "source": "Type the packet's address, such as 203.0.113.9 or 2001:db8::9.",
    "destination": "Type the packet's address, such as 203.0.113.9 or 2001:db8::9.",
    "port": "Type the packet's destination port, a number from 0 to 65535.",
}


class PacketForm(forms.Form):
    """A sample packet, sent by GET so that its address can be passed on."""

    direction = forms.ChoiceField(
        label="Direction",
        choices=[(direction.value, direction.label) for direction in Direction],
        widget=forms.RadioSelect,
    )
    protocol = forms.ChoiceField(label="Protocol", choices=PACKET_CHOICES)
    number = forms.IntegerField(
        label="IP protocol number",
        required=False,
        min_value=0,
        max_value=255,
        help_text="From 0 to 255: 47 is GRE, 50 is ESP.",
    )
    source = forms.CharField(label="Source IP Address", required=False, max_length=200)
    destination = forms.CharField(label="Destination IP Address", required=False, max_length=200)
    port = PortField(label="Destination port")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("source", "destination"):
            self.fields[name].widget.attrs |= {"class": "mono", "autocomplete": "off", "spellcheck": "false"}
        chosen = str(self["protocol"].value() or "tcp")
        self.shown = {"direction", "protocol"}
        if chosen != NON_IP:
            self.shown |= {"source", "destination"}
        if chosen in ("tcp", "udp", "sctp"):
            self.shown.add("port")
        if chosen == "number":
            self.shown.add("number")
            if str(self["number"].value()) in {str(number) for number in PORT_NUMBERS}:
                self.shown.add("port")
        for name in self.shown - {"direction", "protocol"}:
            self.fields[name].required = True
            self.fields[name].error_messages["required"] = _MISSING[name]
        for name in set(self.fields) - self.shown:
            self.fields[name].disabled = True
            self.initial[name] = None

    def _address(self, name: str) -> tuple[int, int] | None:
        text = self.cleaned_data.get(name)
        if not text:
            return None
        try:
            return parse_address(text)
        except Refused as error:
            self.add_error(name, refusal(error.problem))
            return None

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        ends = self._address("source"), self._address("destination")
        protocol = cleaned.get("protocol")
        if protocol == "number":
            protocol = cleaned.get("number")
        if self.errors:
            return cleaned
        problems = packet_problems(protocol, *ends, cleaned.get("port"))
        if not problems:
            try:
                self.packet: Packet = make_packet(
                    Direction(cleaned["direction"]), protocol or 0, *ends, cleaned.get("port")
                )
            except Refused as error:
                problems = {"destination": error.problem}
        for name, problem in problems.items():
            self.add_error(name, refusal(problem))
        return cleaned


class MemberForm(forms.Form):
    """Add a person who has an account, by user name or e-mail address."""

    person = forms.CharField(
        label="User name or e-mail address", max_length=254, error_messages={"required": "Type who you want to add."}
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)

    def clean_person(self) -> User:
        text = self.cleaned_data["person"].strip()
        users = list(User.objects.filter(Q(username__iexact=text) | Q(email__iexact=text), is_active=True)[:2])
        if len(users) != 1:
            raise ValidationError(
                "Nobody here has this name or address: check the spelling, or ask the platform's support to make an account."
            )
        return users[0]


class RoleForm(forms.ModelForm[Membership]):
    class Meta:
        model = Membership
        fields = ("role",)


class VisitForm(forms.Form):
    """Why support looks into a customer's project; the customer reads it."""

    reason = forms.CharField(
        label="Reason",
        max_length=255,
        validators=[one_line],
        help_text="The customer can read it.",
        error_messages={"required": "Type why you look into this project."},
    )
    ticket = forms.CharField(
        label="Ticket",
        max_length=100,
        validators=[one_line],
        error_messages={"required": "Type the number of the customer's ticket."},
    )


class CaseForm(forms.Form):
    note = forms.CharField(label="Note", max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class NoteForm(forms.Form):
    text = forms.CharField(label="Add a note", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class TemplateForm(forms.ModelForm[GroupTemplate]):
    class Meta:
        model = GroupTemplate
        fields = ("name", "description")
        error_messages = {"name": {"required": "Type a name for the template."}}
