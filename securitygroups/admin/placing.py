"""On which host a VM stands, by which interface, and as what it may send: said by operators, and asked about first."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from securitygroups.admin.asking import Part, Plan, token
from securitygroups.admin.machine_plans import machine_name
from securitygroups.fields import LineFormField
from securitygroups.firewall.texts import clean, mended
from securitygroups.models import Host, Placement, VirtualMachine
from securitygroups.models.names import SameName, same_names
from securitygroups.operations import Place
from securitygroups.operations.placements import to_addresses, to_mac

OFFERED = 200
"""Names of hosts that the field offers while it is typed into."""
_LABELS = {
    "host": "Host",
    "tap": "Interface",
    "mac": "MAC address",
    "addresses": "Addresses",
    "held": "Sends only as itself",
    "pinned": "Pinned",
}


class FindMachineForm(forms.Form):
    """Which VM: by its ID, or by the external ID where one VM alone has it."""

    vm = LineFormField(
        label="Virtual machine",
        max_length=200,
        help_text="Its ID, such as vm-…, or its external ID.",
        error_messages={"required": "Type the VM's ID: it stands on its page, and in the list of VMs."},
    )

    def clean_vm(self) -> VirtualMachine:
        typed = clean(self.cleaned_data["vm"])
        live = VirtualMachine.objects.live().select_related("project")
        found = list(live.filter(public_id=typed.lower())) or list(
            live.exclude(external_id="").filter(external_id=typed)[:2]
        )
        if len(found) != 1:
            raise ValidationError(
                "VMs of several projects have this external ID: type the ID of one."
                if found
                else "There is no VM of this ID: look it up in the list of VMs."
            )
        machine: VirtualMachine = found[0]
        return machine


class PlacementForm(forms.Form):
    """Where it stands, and as what it may send."""

    host = LineFormField(
        label="Host",
        required=False,
        max_length=60,
        help_text="Its name or ID. Empty: the VM stands on no host, and no agent enforces its rules.",
    )
    tap = LineFormField(
        label="Interface", required=False, max_length=15, help_text="Its name on the host, such as tap3 or vnet3."
    )
    mac = LineFormField(
        label="MAC address",
        required=False,
        max_length=60,
        help_text="Empty: it is not known, and the VM is not held to one.",
    )
    addresses = forms.CharField(
        label="Addresses",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="That it may send from, one a line. Empty: those that its project gave it.",
    )
    held = forms.BooleanField(
        label="Sends only as itself",
        required=False,
        help_text="It may send with its own MAC and addresses alone. Switch it off for routers and VPN gateways.",
    )
    pinned = forms.BooleanField(
        label="Pinned", required=False, help_text="Whatever hosts report, it stays where it stands here."
    )
    base = forms.IntegerField(widget=forms.HiddenInput, min_value=0, max_value=2**31 - 1)

    def __init__(self, data: Any = None, *, initial: Any = None) -> None:
        super().__init__(data, initial=initial, label_suffix="")
        for name in ("host", "tap", "mac", "addresses"):
            self.fields[name].widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        self.fields["host"].widget.attrs["list"] = "host-names"

    def clean_host(self) -> Host | None:
        typed = mended(self.cleaned_data["host"])
        if not typed:
            return None
        name = same_names({typed})[typed]
        by_id = Host.objects.filter(public_id=typed.lower()).first()
        found = by_id or Host.objects.alias(same=SameName("name")).filter(same=name).first()
        if found is None:
            raise ValidationError("There is no host of this name or ID: look it up under Hosts.")
        return found

    def clean_mac(self) -> str:
        return to_mac(self.cleaned_data["mac"])

    def clean_addresses(self) -> tuple[str, ...]:
        return to_addresses(self.cleaned_data["addresses"].replace(",", " ").split())

    @property
    def place(self) -> Place:
        """What a valid form says."""
        said = self.cleaned_data
        return Place(said["host"], said["tap"], said["mac"], said["addresses"], said["held"], said["pinned"])


def standing_of(machine: VirtualMachine) -> tuple[Place, int]:
    """Where the VM stands, and the number of that; nowhere, and 0, where nobody has said."""
    row = Placement.objects.select_related("host").filter(machine=machine).first()
    return (Place.of(row), row.number) if row else (Place(), 0)


def as_typed(place: Place, number: int) -> dict[str, Any]:
    """As the form is filled in with it."""
    return {
        "host": place.host.name if place.host else "",
        "tap": place.tap,
        "mac": place.mac,
        "addresses": "\n".join(place.addresses),
        "held": place.held,
        "pinned": place.pinned,
        "base": number,
    }


def host_names() -> list[str]:
    """Of those that VMs can be placed on."""
    return list(Host.objects.filter(revoked_at=None).order_by("name").values_list("name", flat=True)[:OFFERED])


def may_place(request: HttpRequest) -> bool:
    return request.user.has_perm("securitygroups.change_placement")


class LeadsToPlaces(admin.ModelAdmin[Any]):
    """A page with links to where VMs are placed. Columns know of no request: whether its reader may place them is `may_place` of
    the row."""

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        row: Any = super().get_object(request, *args, **kwargs)
        if row is not None:
            row.may_place = may_place(request)
        return row


def place_page(machine: VirtualMachine) -> str:
    return f"{reverse('admin:securitygroups_placement_place')}?vm={machine.public_id}"


def plan_place(machine: VirtualMachine, place: Place, base: int) -> Plan | None:
    """What the operator wants; None where it is so already."""
    before, number = standing_of(machine)
    if place == before:
        return None
    notes = list(_notes(before, place))
    if base != number:
        now = "; ".join(_line(name, before) for name in _LABELS)
        notes.insert(0, f"Somebody else, or a host, has said where it stands in the meantime. Now: {now}.")
    lines = [
        f"{label}: {_said(before, name)} → {_said(place, name)}"
        for name, label in _LABELS.items()
        if getattr(before, name) != getattr(place, name)
    ]
    told = replace(place, host=None), place.host and place.host.pk
    return Plan(
        f"Change where {machine} stands?",
        "Put mine instead" if base != number else "Make this change",
        (Part(machine.project, machine_name(machine), lines=tuple(lines)),),
        token("place", machine.pk, number, told),
        notes=tuple(notes),
        hidden=(("base", str(number)),),
        overtaken=base != number,
    )


def _line(name: str, place: Place) -> str:
    return f"{_LABELS[name].lower()} {_said(place, name)}"


def _said(place: Place, name: str) -> str:
    value = getattr(place, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) and value else str(value or "none")


def _notes(before: Place, after: Place) -> list[str]:
    """What it means for packets."""
    notes = []
    if before.host is not None and after.host != before.host:
        notes.append(f"{before.host} takes its rules away, and passes nothing of it from then on.")
    if after.host is None:
        notes.append("On no host: no agent enforces its rules.")
    elif after.host != before.host:
        there = "its agent asks within seconds" if after.host.listens else "it has no agent yet, so nothing is enforced"
        notes.append(f"{after.host} holds its rules from then on: {there}.")
    if before.held and not after.held:
        notes.append("It may send in the name of others: with any MAC and any address.")
    elif after.held and after.told != before.told and after.host is not None:
        notes.append("What it sends with another MAC or another address is dropped.")
    return notes
