"""What to open, and to whom: services or ports, and where from."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from securitygroups.fields import LineFormField, refusal, to_network
from securitygroups.firewall.opening import opening_rules
from securitygroups.firewall.services import SERVICES, Use
from securitygroups.firewall.several import read_services
from securitygroups.firewall.values import Network, Refused, Rule
from securitygroups.forms.parts import PLAIN, NetworksField, machines_named
from securitygroups.models import Project, VirtualMachine

ANYWHERE, MINE, NETWORK = "anywhere", "mine", "network"
NEW = "new"
"""A new group, among the VM's own."""
QUICK = ("HTTPS", "HTTP", "SSH", "Ping")
"""What is asked for most: one click each."""


class PortsForm(forms.Form):
    """Services from somewhere, for a group. With an empty `ports` nothing is opened, where that is allowed."""

    ports = forms.CharField(
        label="Service or ports",
        max_length=1_000,
        help_text="Such as https, 8000-8100, 53/udp or ping; several by commas. A port alone is a TCP port.",
        widget=forms.TextInput(
            attrs={**PLAIN, "class": "mono", "list": "services", "data-commas": True, "placeholder": "https"}
        ),
    )
    from_where = forms.ChoiceField(label="From where", required=False, widget=forms.RadioSelect)
    network = NetworksField(label="Addresses or networks", help_text="IPv4 or IPv6; several by commas.")
    group_name = LineFormField(
        label="Name of the new group", max_length=100, required=False, help_text="Empty: the VM's name."
    )

    def __init__(self, data: Any = None, *, address: str = "", asked: bool = True, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.address = address
        self.fields["ports"].required = asked
        self.fields["ports"].error_messages["required"] = "Type what to open, such as https or 443."
        mine = [(MINE, "My address")] if address else []
        self.fields["from_where"].choices = [  # type: ignore[attr-defined]
            (ANYWHERE, "Anywhere"),
            *mine,
            (NETWORK, "A network"),
        ]
        self.fields["from_where"].initial = ANYWHERE
        self.rules: tuple[Rule, ...] = ()

    @property
    def services(self) -> list[tuple[str, str]]:
        """What the field offers: (value, label)."""
        return [(one.name, one.told) for one in SERVICES if one.use is Use.PUBLIC or one.port in (22, 3389)]

    @property
    def quick(self) -> list[tuple[str, str]]:
        """What a click fills in: (value, label)."""
        known = {one.name: one for one in reversed(SERVICES)}
        return [(name, known[name].told) for name in QUICK]

    def clean_ports(self) -> Any:
        text = self.cleaned_data["ports"]
        if not text:
            return ()
        try:
            return read_services(text)
        except Refused as refused:
            raise refusal(refused.problem) from None

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        services, sources = cleaned.get("ports"), self._sources(cleaned)
        if services and sources and not self.errors:
            try:
                self.rules = opening_rules(services, sources)
            except Refused as refused:
                self.add_error("ports", refusal(refused.problem))
        return cleaned

    def _sources(self, cleaned: dict[str, Any]) -> tuple[Network | None, ...]:
        """None is anywhere; nothing at all is a refusal, told at its field."""
        where = cleaned.get("from_where") or ANYWHERE
        networks: tuple[Network, ...] = cleaned.get("network") or ()
        if "network" in self.errors:
            return ()
        if where == NETWORK and not networks and cleaned.get("ports"):
            self.add_error("network", "Type an address or a network, or choose Anywhere.")
            return ()
        if networks:
            self._tell_needless(where, cleaned)
        if where == MINE:
            return (to_network(self.address),)
        return networks if where == NETWORK else (None,)

    def _tell_needless(self, where: str, cleaned: dict[str, Any]) -> None:
        """Whoever types networks that nothing is opened for means something else."""
        if not cleaned.get("ports") and "ports" not in self.errors:
            self.add_error("ports", "Type what to open for these addresses, or clear them.")
        if where == ANYWHERE:
            self.add_error("network", "Anywhere is chosen: choose A network, or clear this field.")


class FirstRulesForm(PortsForm):
    """What a new group lets in, and the VMs that it is put on: by name, address or ID."""

    group_name = None  # type: ignore[assignment]
    machines = forms.CharField(
        label="Attach to Virtual Machines",
        max_length=5_000,
        required=False,
        help_text="Names, addresses or IDs; several by commas. You can also do that later.",
        widget=forms.TextInput(attrs={**PLAIN, "list": "machine-names", "data-commas": True}),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, asked=False, **kwargs)
        self.project = project

    def clean_machines(self) -> list[VirtualMachine]:
        words = [word.strip() for word in re.split(r"[,;\r\n]+", self.cleaned_data["machines"]) if word.strip()]
        rows = VirtualMachine.objects.live().filter(project=self.project)
        if words and not rows.exists():
            raise ValidationError("The project has no VM yet: leave this empty, and create the VM after the group.")
        return machines_named(rows, words)


class OpenForm(PortsForm):
    """The same for a VM, with the group that is changed."""

    group = forms.ChoiceField(label="Security Group", widget=forms.RadioSelect)

    def __init__(self, data: Any = None, *, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.fields["ports"].widget.attrs["autofocus"] = True
        self.fields["group"].choices = choices  # type: ignore[attr-defined]
        self.fields["group"].error_messages["invalid_choice"] = (
            "The VM does not have this group any more: choose another."
        )
        self.fields["group"].error_messages["required"] = "Choose a group of the VM, or a new one."
