"""Virtual machines and the groups that are attached to them."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from securitygroups import operations
from securitygroups.admin.asking import Plan, agreed, blaming_the_reason
from securitygroups.admin.base import LiveFilter, ThroughOperations, by, into_panel, machine_pages, too_many
from securitygroups.admin.columns import clock
from securitygroups.admin.forms import AdminMachineForm, ChoosesGroups, MoveMachineForm
from securitygroups.admin.machine_plans import plan_change, plan_creation, plan_end, plan_move
from securitygroups.admin.placing import LeadsToPlaces, place_page
from securitygroups.admin.questions import MOST_UNDONE, UNDONE
from securitygroups.enforcement import applied
from securitygroups.forms import MachineForm
from securitygroups.models import VirtualMachine, placement_of
from securitygroups.operations.records import count

MOVED = 100
"""Rows that one action takes: each costs time, and a part done in silence would pass for the whole."""


@admin.register(VirtualMachine)
class VirtualMachineAdmin(LeadsToPlaces, ThroughOperations):
    """A VM with its groups in order. Deleted ones can be looked at, and no more."""

    project_path = "project"
    list_tells = True
    form = AdminMachineForm
    change_form_template = "admin/asking_form.html"
    list_display = ("name", "public_id", "of_project", "ipv4", "ipv6", "deleted_at")
    list_filter = (LiveFilter,)
    list_select_related = ("project",)
    search_fields = ("<public_id", "=external_id", "^name", "=ipv4", "=ipv6", "=project__slug", "^project__name")
    search_help_text = "The beginning of the name, of the ID or of an address, a network, the external ID, or the project's name or slug."
    autocomplete_fields = ("project",)
    readonly_fields = ("public_id", "revision", "created_at", "deleted_at", "in_panel", "stands", "move")
    sections = (
        (None, ("in_panel", "project", "move", "stands", "name", "description", "ipv4", "ipv6", "tags", "external_id")),
        ("Security Groups", ("ordered_groups",)),
        ("Record", ("public_id", "revision", "created_at", "deleted_at")),
    )
    actions = ("move_to_project",)

    @admin.display(description="In the panel")
    def in_panel(self, machine: VirtualMachine) -> SafeString:
        """Links to the VM's pages there."""
        return into_panel(machine_pages(machine))

    @admin.display(description="Where it stands")
    def stands(self, machine: VirtualMachine) -> SafeString:
        """Where its rules are in force, and the way to say where it stands."""
        if not machine.pk or machine.deleted_at:
            return SafeString("–")
        said, placement = applied.of_machine(machine).sentence(clock), placement_of(machine)
        where = f"{said} Interface {placement.tap}." if placement and placement.tap else said
        if not machine.may_place:  # type: ignore[attr-defined]
            return escape(where)
        return format_html('{} <a href="{}">Change where it stands</a>', where, place_page(machine))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.deleted_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.deleted_at)

    def save_model(self, request: HttpRequest, obj: VirtualMachine, form: AdminMachineForm, change: bool) -> None:
        fields = {name: form.cleaned_data[name] for name in (*MachineForm.Meta.fields, "external_id")}
        groups = form.cleaned_data["groups"]
        if not change:
            who = agreed(request, plan_creation(request, VirtualMachine(project=obj.project, **fields), groups))
            made = operations.create_machine(project=obj.project, fields=fields, groups=groups, by=who)
            obj.pk, obj.public_id = made.pk, made.public_id
            obj._state.adding = False
            return
        # `obj` has the form's values already; what is written is the difference to what is stored.
        before = VirtualMachine.objects.select_related("project").get(pk=obj.pk)
        was, base = before.revision, form.cleaned_data["base"]
        if base != was and not before.own_revisions().filter(number=base).exists():
            # It was another customer's when the form was opened, and what was typed is about that one.
            raise operations.Conflict(was)
        plan = plan_change(request, before, fields, groups, base=base)
        who = agreed(request, plan) if plan else by(request)
        operations.save_machine(machine=before, fields=fields, groups=groups, base=was, by=who)
        if before.revision != was:
            self.done(request, f"{obj.name}: its groups were changed.", "groups", before.pk, before.revision)

    def plan_deletion(self, request: HttpRequest, rows: Sequence[VirtualMachine]) -> Plan:
        return plan_end(request, rows)

    def delete_model(self, request: HttpRequest, obj: VirtualMachine) -> None:
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VirtualMachine]) -> None:
        self._delete(request, list(queryset.filter(deleted_at=None).select_related("project")))

    def _delete(self, request: HttpRequest, machines: list[VirtualMachine]) -> None:
        made = self.agreed_deletion(request, machines)
        # By key, as everybody takes locks: two people's deletions never wait for each other.
        for machine in sorted(machines, key=lambda one: one.pk):
            operations.delete_machine(machine=machine, by=made)
        words = f"{machines[0]} was deleted." if len(machines) == 1 else f"{len(machines)} VMs were deleted."
        self.done(request, words, *self._undo_of("deletion", machines))

    @staticmethod
    def _undo_of(what: str, machines: Sequence[VirtualMachine]) -> tuple[object, ...]:
        return (what, *[one.pk for one in machines]) if len(machines) <= MOST_UNDONE else ()

    # ── To another project, and back ──────────────────────────────────────────

    @admin.action(description="Move to another project…", permissions=["change"])
    def move_to_project(self, request: HttpRequest, queryset: QuerySet[VirtualMachine]) -> HttpResponse | None:
        """Where to, then which groups there, with what that means; the groups of now stay behind."""
        live = queryset.filter(deleted_at=None)
        if too_many(request, live, MOVED, f"Up to {MOVED} VMs can be moved"):
            return None
        machines = list(live.select_related("project").order_by("pk"))
        self.remember(request, machines)
        # The list sends the choice of rows and no target: that is the question, and not yet a form to find fault with.
        sent = request.POST if {"target", "find"} & request.POST.keys() else None
        form = MoveMachineForm(sent, site=self.admin_site)
        if not form.is_valid():
            return self._where_to(request, machines, form)
        target = form.cleaned_data["target"]
        there = ChoosesGroups(request.POST)
        there.offer(target.pk)
        plan = plan_move(request, machines, target, there)
        with blaming_the_reason(plan):
            operations.move_machines(machines=machines, target=target, groups=there.chosen(), by=agreed(request, plan))
        # Here and in the log alone: each customer's own record says "another project".
        for machine in machines:
            self.log_change(request, machine, f"Moved from {machine.project} to {target}.")
        self.done(request, f"{count(len(machines), 'VM')} moved to {target}.", *self._undo_of("move", machines))
        self.message_user(request, "", messages.SUCCESS)
        return None

    def _where_to(self, request: HttpRequest, machines: list[VirtualMachine], form: MoveMachineForm) -> HttpResponse:
        context = {
            **self.page_context(request, f"Move {machines[0] if len(machines) == 1 else count(len(machines), 'VM')}"),
            "machines": machines,
            "form": form,
            "media": self.media + form.media,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/move_machines.html", context)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.move_one))
        return [path("<int:pk>/move/", view, name="securitygroups_virtualmachine_move"), *super().get_urls()]

    def move_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The same from the VM's own page."""
        data = request.POST.copy() if {"target", "find"} & request.POST.keys() else QueryDict(mutable=True)
        machine = VirtualMachine.objects.live().filter(pk=pk).first() if "home" in request.POST else None
        if machine and (moved := operations.was_moved(machine)):
            data["target"] = str(moved.source.pk)
            data.setlist("ordered_groups", [one.public_id for one in operations.groups_there(machine, moved)])
        data["action"] = "move_to_project"
        data[ACTION_CHECKBOX_NAME] = str(pk)
        request.POST = data  # type: ignore[assignment]
        response = self.changelist_view(request)
        here = reverse("admin:securitygroups_virtualmachine_change", args=[pk])
        return HttpResponseRedirect(here) if response.status_code == 302 else response

    @admin.display(description="Project and way back")
    def move(self, machine: VirtualMachine) -> SafeString:
        """Buttons of the form that lead away from it."""
        if not machine.pk or machine.deleted_at:
            return SafeString("–")
        there = reverse("admin:securitygroups_virtualmachine_move", args=[machine.pk])
        buttons = [(there, "away", "Move to another project…")]
        if moved := operations.was_moved(machine):
            buttons.append((there, "home", f"Move back to {moved.source}"))
        button = '<button type="submit" class="button" formaction="{}" name="{}" value="1" formnovalidate>{}</button>'
        return format_html_join(" ", button, buttons)

    undoes = frozenset({"groups", "deletion", "move"})

    def undo(self, request: HttpRequest, what: str, numbers: Sequence[int]) -> str:
        keys = numbers[:1] if what == "groups" else numbers
        machines = list(VirtualMachine.objects.select_related("project").filter(pk__in=keys).order_by("pk"))
        if not machines:
            raise Http404
        for machine in machines:
            if what == "groups":
                operations.undo_groups(machine=machine, number=numbers[-1], by=by(request, UNDONE))
            elif what == "move":
                source = operations.undo_move(machine=machine, by=by(request, UNDONE))
                self.log_change(request, machine, f"Moved back from {machine.project} to {source}.")
            else:
                operations.restore_machine(machine=machine, by=by(request, UNDONE))
        return f"{', '.join(map(str, machines))}: {_UNDONE[what]}"


_UNDONE = {
    "groups": "the groups are as they were before.",
    "move": "back in the project of before, with the groups that are still there.",
    "deletion": "back again, with the groups that are still there.",
}
