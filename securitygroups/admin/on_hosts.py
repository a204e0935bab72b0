"""Where each VM stands, what is in force there, and what hosts have sent: to look up."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from securitygroups import operations
from securitygroups.admin.asking import agreed, blaming_the_reason, by
from securitygroups.admin.base import ReadOnly
from securitygroups.admin.columns import NOBODY, in_order, link
from securitygroups.admin.placing import (
    FindMachineForm,
    PlacementForm,
    as_typed,
    host_names,
    may_place,
    place_page,
    plan_place,
    standing_of,
)
from securitygroups.admin.questions import Questions
from securitygroups.forms import take_refusal
from securitygroups.models import (
    Host,
    HostNonce,
    InForce,
    MadeOf,
    Placement,
    RuleHits,
    Traffic,
    TrafficHour,
    VirtualMachine,
)
from securitygroups.operations.placements import moved_words


@admin.register(Placement)
class PlacementAdmin(Questions, ReadOnly):
    """On which host a VM stands, by which interface. Changed on a page of its own, which knows VMs that have no placement yet."""

    change_form_template = "admin/placement.html"

    project_path = "machine__project"
    list_display = ("of_machine", "of_project", "host", "tap", "held", "pinned", "since")
    list_display_links = ("since",)
    list_select_related = ("machine__project", "host")
    search_fields = ("<machine__public_id", "^machine__name", "<host__public_id", "^host__name")
    search_help_text = "ID, or the beginning of the name, of the VM or of the host."

    def name_of(self, row: Placement) -> str:
        return f"the placement of {row.machine} ({row.machine.public_id})"

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().change_view(request, object_id, *args, **kwargs)
        context = getattr(response, "context_data", None) or {}
        row = context.get("original")
        if isinstance(row, Placement) and row.machine.deleted_at is None and may_place(request):
            context["place_page"] = place_page(row.machine)
        return response

    # ── Where a VM shall stand ──

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.place_view)
        return [path("place/", view, name="securitygroups_placement_place"), *super().get_urls()]

    def place_view(self, request: HttpRequest) -> HttpResponse:
        """Which VM, then where it stands, then what that means."""
        if not may_place(request):
            raise PermissionDenied
        find = FindMachineForm({"vm": request.GET["vm"]} if "vm" in request.GET else None)
        if not find.is_valid():
            context = {
                **self.page_context(request, "Place a VM"),
                "form": find,
                "kept": [(name, request.GET[name][:60]) for name in ("host", "tap") if name in request.GET],
                "problem": find.errors.get("vm"),
                "media": self.media,
            }
            return TemplateResponse(request, "admin/place_find.html", context, status=422 if find.errors else 200)
        return self.told(request, lambda: self._place(request, find.cleaned_data["vm"]), form=True)

    def _place(self, request: HttpRequest, machine: VirtualMachine) -> HttpResponse:
        """Raises Asked, Conflict, ValidationError."""
        before, number = standing_of(machine)
        now = as_typed(before, number)
        if request.method != "POST":
            named = {name: request.GET[name][:60] for name in ("host", "tap") if name in request.GET}
            return self._place_form(request, machine, PlacementForm(initial=now | _by_name(named)))
        if "form" in request.POST:
            typed = {name: request.POST.get(name, "") for name in now} | {"held": "held" in request.POST}
            return self._place_form(
                request, machine, PlacementForm(initial=typed | {"pinned": "pinned" in request.POST})
            )
        form = PlacementForm(request.POST)
        try:
            place = operations.check_place(form.place, machine) if form.is_valid() else None
        except ValidationError as refusal:
            take_refusal(form, refusal)
            place = None
        if place is None:
            return self._place_form(request, machine, form)
        plan = plan_place(machine, place, form.cleaned_data["base"])
        if plan is None:
            messages.info(request, f"{machine} stands so already: nothing was changed.")
            return HttpResponseRedirect(place_page(machine))
        with blaming_the_reason(plan):
            made = agreed(request, plan)
            row = operations.place_machine(machine=machine, place=place, base=form.cleaned_data["base"], by=made)
        self.log_change(request, row, f"Changed where {machine} stands.")
        messages.success(request, moved_words(machine, before, place))
        return HttpResponseRedirect(reverse("admin:securitygroups_placement_change", args=[row.pk]))

    def _place_form(self, request: HttpRequest, machine: VirtualMachine, form: PlacementForm) -> HttpResponse:
        operations.record_staff_looks(
            looks=[(machine.project, f"where {machine} stands ({machine.public_id})")],
            page=request.path,
            by=by(request),
        )
        context = {
            **self.page_context(request, f"Where {machine} stands"),
            "machine": machine,
            "form": form,
            "host_names": host_names(),
            "problem": bool(form.errors),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/place.html", context, status=422 if form.errors else 200)


def _by_name(named: dict[str, str]) -> dict[str, str]:
    """What links say, with the host as people call it."""
    host = Host.objects.filter(public_id=named.get("host", "")).values_list("name", flat=True).first()
    return named | ({"host": host} if host else {})


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


class ToldOfVm(ReadOnly):
    """What hosts told of the packets of a VM."""

    project_path = "machine__project"
    list_tells = True
    list_select_related: ClassVar[tuple[str, ...]] = ("machine__project",)
    search_fields = ("<machine__public_id", "^machine__name")
    search_help_text = "ID, or the beginning of the name, of the VM."


@admin.register(RuleHits)
class RuleHitsAdmin(ToldOfVm):
    """How many packets met which rule in which hour."""

    list_display = ("hour", "of_machine", "of_project", "kind", "what", "packets", "bytes")

    def name_of(self, row: RuleHits) -> str:
        return f"the hits of {row.what} on {row.machine} ({row.machine.public_id})"


@admin.register(Traffic)
class TrafficAdmin(ToldOfVm):
    """Which packets hosts told of, hour by hour."""

    project_path = "project"
    list_display = ("last_at", "of_machine", "of_project", "direction", "verdict", "peer", "port", "packets")
    list_select_related = ("machine", "project")
    exclude = ("made_of",)

    def name_of(self, row: Traffic) -> str:
        return f"packets told of {row.machine} ({row.machine.public_id})"


@admin.register(TrafficHour)
class TrafficHourAdmin(ToldOfVm):
    """How many rows of packets a VM has of an hour, and how many packets more there were."""

    project_path = "project"
    list_display = ("hour", "of_machine", "of_project", "rows", "beyond")
    list_select_related = ("machine", "project")

    def name_of(self, row: TrafficHour) -> str:
        return f"an hour of packets told of {row.machine} ({row.machine.public_id})"


@admin.register(MadeOf)
class MadeOfAdmin(ToldOfVm):
    """Of which lists the rules of a VM were made when packets met them."""

    list_display = ("digest", "of_machine", "of_project")

    in_words = {"vector": "vector_words"}

    @admin.display(description="Made of")
    def vector_words(self, row: MadeOf) -> Any:
        """Its groups in order, each with the revision of its rules."""
        return in_order(f"{public_id}, revision {number}" for public_id, number in row.groups) if row.groups else NOBODY

    def name_of(self, row: MadeOf) -> str:
        return f"what a list of {row.machine} ({row.machine.public_id}) was made of"


@admin.register(HostNonce)
class HostNonceAdmin(ReadOnly):
    """What hosts have sent lately, and nobody may send again."""

    list_display = ("at", "host", "nonce")
    list_select_related = ("host",)
    search_fields = ("<host__public_id", "^host__name")
    search_help_text = "ID, or the beginning of the name, of the host."
