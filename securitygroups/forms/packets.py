"""A sample packet."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from securitygroups.fields import LineFormField, refusal
from securitygroups.firewall.protocols import PORT_NUMBERS, Direction
from securitygroups.firewall.values import (
    NON_IP,
    Packet,
    Refused,
    make_packet,
    packet_problems,
    parse_address,
)
from securitygroups.forms.parts import NumberField, PortField, machine_named
from securitygroups.models import Project, VirtualMachine

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


ENDS = ("source", "destination")


def own_place(direction: object) -> str:
    """The address of the packet that is the VM's."""
    return "source" if direction == "out" else "destination"


def their_place(direction: object) -> str:
    return "destination" if direction == "out" else "source"


def turned(fields: dict[str, Any], filled: str) -> dict[str, Any]:
    """The fields with the VM's address at the end where their direction has it, when it still stands at the other one as
    the page had `filled` it in: “destination=10.0.1.11”. What stood in its way takes the place that it leaves."""
    place, _, address = filled.partition("=")
    own = own_place(fields.get("direction"))
    if place not in ENDS or place == own or not address or fields.get(place) != address:
        return fields
    return fields | {own: address, place: fields.get(own, "")}


class PacketForm(forms.Form):
    """A sample packet, sent by GET so that its address can be passed on."""

    always = {"direction", "protocol"}

    direction = forms.ChoiceField(
        label="Direction",
        choices=[(direction.value, direction.label) for direction in Direction],
        widget=forms.RadioSelect,
    )
    protocol = forms.ChoiceField(label="Protocol", choices=PACKET_CHOICES)
    number = NumberField(
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
        for name in ENDS:
            self.fields[name].widget.attrs |= {"class": "mono", "autocomplete": "off", "spellcheck": "false"}
        chosen = str(self["protocol"].value() or "tcp")
        self.shown = set(self.always)
        if chosen != NON_IP:
            self.shown |= {"source", "destination"}
        if chosen in ("tcp", "udp", "sctp"):
            self.shown.add("port")
        if chosen == "number":
            self.shown.add("number")
            if str(self["number"].value()) in {str(number) for number in PORT_NUMBERS}:
                self.shown.add("port")
        for name in self.shown - self.always:
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


class ProjectPacketForm(PacketForm):
    """A sample packet for one of a project's VMs, which its addresses tell; a name where they do not."""

    always = PacketForm.always | {"vm"}
    vm = LineFormField(
        label="Virtual Machine",
        required=False,
        max_length=200,
        help_text="Its name, an address or its ID. Only where the packet's addresses do not tell which VM is meant.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, project: Project, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._machines = VirtualMachine.objects.live().filter(project=project)

    def clean_vm(self) -> VirtualMachine | None:
        text = self.cleaned_data["vm"].strip()
        if text:
            return machine_named(self._machines, text)
        if self.cleaned_data.get("protocol") == NON_IP:
            raise ValidationError("Type the VM: a frame that is not IP has no address that tells it.")
        return None
