"""Hosts that hold the rules of VMs, where each VM stands, and what is in force there."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from securitygroups.admin.base import ReadOnly
from securitygroups.admin.columns import NOBODY, in_order, link
from securitygroups.models import Host, HostNonce, InForce, MadeOf, Placement, RuleHits, Traffic, TrafficHour


@admin.register(Host)
class HostAdmin(ReadOnly):
    """A machine that asks for the rules of its VMs. Of the secret that enrols it nothing is shown."""

    list_display = ("name", "public_id", "target", "seen_at", "agent", "revoked_at")
    search_fields = ("<public_id", "^name")
    search_help_text = "The beginning of the name or of the ID."
    exclude = ("inventory", "conflicts")
    readonly_fields = ("public_id", "agent", "kernel", "clock", "missed")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # The digest is in no form; asked for letter by letter it would be read all the same.
        return not lookup.startswith(("token_", "key")) and super().lookup_allowed(lookup, value, request)


@admin.register(Placement)
class PlacementAdmin(ReadOnly):
    """On which host a VM stands, by which interface."""

    project_path = "machine__project"
    list_display = ("of_machine", "of_project", "host", "tap", "held", "pinned", "since")
    list_display_links = ("since",)
    list_select_related = ("machine__project", "host")
    search_fields = ("<machine__public_id", "^machine__name", "<host__public_id", "^host__name")
    search_help_text = "ID, or the beginning of the name, of the VM or of the host."

    def name_of(self, row: Placement) -> str:
        return f"the placement of {row.machine} ({row.machine.public_id})"


class OnHost(ReadOnly):
    """What a host said of a VM that stands on it."""

    list_tells = True

    @admin.display(description="Virtual machine")
    def of_vm(self, row: Any) -> Any:
        return link(row.placement.machine)

    @admin.display(description="Changed by hand")
    def drift_lines(self, row: InForce) -> Any:
        return in_order(row.drift) if row.drift else NOBODY


@admin.register(InForce)
class InForceAdmin(OnHost):
    """Which rules are in force on the hosts, as they said it last."""

    project_path = "placement__machine__project"
    list_display = ("of_vm", "of_project", "host", "since", "error", "reported_at")
    list_display_links = ("reported_at",)
    list_select_related = ("placement__machine__project", "host")
    search_fields = ("<host__public_id", "^host__name")
    search_help_text = "ID, or the beginning of the name, of the host."
    in_words = {"drift": "drift_lines"}

    def name_of(self, row: InForce) -> str:
        machine = row.placement.machine
        return f"what is in force for {machine} ({machine.public_id})"


@admin.register(RuleHits)
class RuleHitsAdmin(ReadOnly):
    """How many packets met which rule in which hour."""

    project_path = "machine__project"
    list_tells = True
    list_display = ("hour", "of_machine", "of_project", "kind", "what", "packets", "bytes")
    list_select_related = ("machine__project",)
    search_fields = ("<machine__public_id", "^machine__name")
    search_help_text = "ID, or the beginning of the name, of the VM."

    def name_of(self, row: RuleHits) -> str:
        return f"the hits of {row.what} on {row.machine} ({row.machine.public_id})"


@admin.register(Traffic)
class TrafficAdmin(ReadOnly):
    """Which packets hosts told of, hour by hour."""

    project_path = "project"
    list_tells = True
    list_display = ("last_at", "of_machine", "of_project", "direction", "verdict", "reason", "peer", "port", "packets")
    list_select_related = ("machine", "project")
    search_fields = ("<machine__public_id", "^machine__name")
    search_help_text = "ID, or the beginning of the name, of the VM."
    exclude = ("made_of",)

    def name_of(self, row: Traffic) -> str:
        return f"packets told of {row.machine} ({row.machine.public_id})"


@admin.register(TrafficHour)
class TrafficHourAdmin(ReadOnly):
    """How many rows of packets a VM has of an hour, and how many packets more there were."""

    project_path = "project"
    list_tells = True
    list_display = ("hour", "of_machine", "of_project", "rows", "beyond")
    list_select_related = ("machine", "project")
    search_fields = ("<machine__public_id", "^machine__name")
    search_help_text = "ID, or the beginning of the name, of the VM."

    def name_of(self, row: TrafficHour) -> str:
        return f"an hour of packets told of {row.machine} ({row.machine.public_id})"


@admin.register(MadeOf)
class MadeOfAdmin(ReadOnly):
    """Of which lists the rules of a VM were made when packets met them."""

    project_path = "machine__project"
    list_tells = True
    list_display = ("digest", "of_machine", "of_project")
    list_select_related = ("machine__project",)
    search_fields = ("<machine__public_id", "^machine__name")
    search_help_text = "ID, or the beginning of the name, of the VM."

    def name_of(self, row: MadeOf) -> str:
        return f"what a list of {row.machine} ({row.machine.public_id}) was made of"


@admin.register(HostNonce)
class HostNonceAdmin(ReadOnly):
    """What hosts have sent lately, and nobody may send again."""

    list_display = ("at", "host", "nonce")
    list_select_related = ("host",)
    search_fields = ("<host__public_id", "^host__name")
    search_help_text = "ID, or the beginning of the name, of the host."
