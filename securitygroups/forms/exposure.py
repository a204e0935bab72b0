"""What the exposure page can be asked."""

from typing import Any

from django import forms

from securitygroups.fields import LineFormField
from securitygroups.firewall.protocols import MAX_PORT
from securitygroups.forms.parts import PortField, machine_named
from securitygroups.models import Project, VirtualMachine
from securitygroups.words.rules import ports_text

PROTOCOLS = (("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP"), ("icmp", "ICMP (ping)"))


class AskForm(forms.Form):
    """A protocol and a port, sent by GET so that the answer's address can be passed on."""

    protocol = forms.ChoiceField(label="Protocol", choices=PROTOCOLS)
    port = PortField(label="Port", required=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["port"].error_messages["required"] = "Type the port, such as 443."
        if self["protocol"].value() == "icmp":
            self.fields["port"].required = False
            self.fields["port"].help_text = "ICMP has none."

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        port = cleaned.get("port")
        if cleaned.get("protocol") == "icmp":
            cleaned["port"] = None
        elif port is not None and not 0 <= port <= MAX_PORT:
            self.add_error("port", f"Type a port from 0 to {MAX_PORT}.")
        return cleaned

    @property
    def words(self) -> str:
        """What was asked for: "TCP port 22 (SSH)"."""
        protocol, port = self.cleaned_data["protocol"], self.cleaned_data["port"]
        name = dict(PROTOCOLS)[protocol].partition(" ")[0]
        return name if port is None else f"{name} {ports_text(port, port, protocol)}"


class SendersForm(AskForm):
    """Which port of which VM."""

    field_order = ["vm", "protocol", "port"]
    vm = LineFormField(
        label="Virtual machine",
        max_length=200,
        help_text="Its name, an address or its ID.",
        error_messages={"required": "Type the VM's name, an address or its ID."},
        widget=forms.TextInput(attrs={"list": "vm-names", "autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, project: Project, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._machines = VirtualMachine.objects.live().filter(project=project)

    def clean_vm(self) -> VirtualMachine:
        """The VM of the project that the text names."""
        return machine_named(self._machines, self.cleaned_data["vm"].strip())


class BetweenForm(AskForm):
    """Which VMs, in which family, and how they are put into lines."""

    family = forms.ChoiceField(label="Addresses", choices=[("4", "IPv4"), ("6", "IPv6")])
    by = forms.ChoiceField(
        label="Lines",
        choices=[("auto", "Automatic"), ("vm", "One for each VM"), ("groups", "VMs with equal groups together")],
    )
    q = LineFormField(
        label="Only VMs with",
        required=False,
        max_length=100,
        help_text="In their name, description or a group's name.",
    )
