"""Virtual machines and the groups that are attached to them."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from securitygroups import operations
from securitygroups.admin.base import LiveFilter, ThroughOperations, by, into_panel, machine_pages, too_many
from securitygroups.admin.forms import AdminMachineForm, MoveMachineForm
from securitygroups.forms import MachineForm
from securitygroups.models import VirtualMachine

MOVED = 100
"""Rows that one action takes: each costs time, and a part done in silence would pass for the whole."""


@admin.register(VirtualMachine)
class VirtualMachineAdmin(ThroughOperations):
    """A VM with its groups in order. Deleted ones can be looked at, and no more."""

    project_path = "project"
    list_tells = True
    form = AdminMachineForm
    list_display = ("name", "public_id", "project", "ipv4", "ipv6", "deleted_at")
    list_filter = (LiveFilter,)
    list_select_related = ("project",)
    search_fields = ("=public_id", "^name", "=ipv4", "=ipv6", "=project__slug")
    search_help_text = "The beginning of the name, the ID, an address, or the project's slug."
    autocomplete_fields = ("project",)
    readonly_fields = ("public_id", "revision", "created_at", "deleted_at", "in_panel")
    actions = ("move_to_project",)

    @admin.display(description="In the panel")
    def in_panel(self, machine: VirtualMachine) -> SafeString:
        """Links to the VM's pages there."""
        return into_panel(machine_pages(machine))

    @admin.action(description="Move to another project…", permissions=["change"])
    def move_to_project(self, request: HttpRequest, queryset: QuerySet[VirtualMachine]) -> HttpResponse | None:
        """Names the consequences first: the groups stay behind."""
        live = queryset.filter(deleted_at=None)
        if too_many(request, live, MOVED, f"Up to {MOVED} VMs can be moved"):
            return None
        machines = list(live.select_related("project").order_by("pk"))
        # The list sends the choice of rows and no target: that is the question, and not yet a form to find fault with.
        form = MoveMachineForm(request.POST if "target" in request.POST else None)
        if form.is_valid():
            target = form.cleaned_data["target"]
            operations.move_machines(machines=machines, target=target, by=by(request))
            # Here and in the log alone: each customer's own record says "another project".
            for machine in machines:
                self.log_change(request, machine, f"Moved from {machine.project} to {target}.")
            messages.success(request, f"{len(machines)} VM(s) moved to {target}.")
            return None
        self.remember(request, machines)
        context = {
            **self.admin_site.each_context(request),
            "title": "Move to another project",
            "machines": machines,
            "form": form,
            "opts": self.opts,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/move_machines.html", context)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.deleted_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.deleted_at)

    def save_model(self, request: HttpRequest, obj: VirtualMachine, form: AdminMachineForm, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in MachineForm.Meta.fields}
        groups = form.cleaned_data["groups"]
        if change:
            # `obj` has the form's values already; what is written is the difference to what is stored.
            before = VirtualMachine.objects.select_related("project").get(pk=obj.pk)
            operations.save_machine(
                machine=before, fields=fields, groups=groups, base=form.cleaned_data["base"], by=by(request)
            )
            return
        made = operations.create_machine(project=obj.project, fields=fields, groups=groups, by=by(request))
        obj.pk, obj.public_id = made.pk, made.public_id
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: VirtualMachine) -> None:
        operations.delete_machine(machine=obj, by=by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VirtualMachine]) -> None:
        # By key, as everybody takes locks: two people's deletions never wait for each other.
        for machine in queryset.filter(deleted_at=None).select_related("project").order_by("pk"):
            self.delete_model(request, machine)
