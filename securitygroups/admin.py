"""The platform operators' admin: everything can be found, and whatever is changed goes through operations."""

from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlencode

import structlog
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.core.exceptions import ValidationError
from django.db import DataError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from securitygroups import operations
from securitygroups.firewall import lists
from securitygroups.firewall.analysis.findings import findings
from securitygroups.firewall.formats.documents import BadDocument, rule_to_json, rules_from_json, write_group
from securitygroups.forms import GroupForm, MachineForm, RuleForm, take_refusal
from securitygroups.models import (
    Attachment,
    CaseNote,
    Event,
    GroupRevision,
    GroupTemplate,
    MachineRevision,
    Membership,
    Project,
    Role,
    Rule,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
    values,
)
from securitygroups.operations import By
from securitygroups.words.findings import findings_summary
from securitygroups.words.rules import rule_sentence

logger = structlog.get_logger()

RULES_SHOWN, MACHINES_SHOWN = 200, 100
"""On a group's page; the rest is a list of its own."""
EXPORTED, CHECKED, MOVED = 100, 50, 100
"""Rows that one action takes: each costs time, and a part done in silence would pass for the whole."""


def _by(request: HttpRequest) -> By:
    return By(cast(User, request.user), staff=True)


def _link(instance: Model, text: str = "") -> SafeString:
    name = f"admin:{instance._meta.app_label}_{instance._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[instance.pk]), text or str(instance))


def _into_panel(pages: Sequence[tuple[str, str, Sequence[object]]]) -> SafeString:
    """Links to pages of the panel, each by its text, its name and its parameters. Support staff are asked for a reason
    there first."""
    links = ((reverse(name, args=at), text) for text, name, at in pages)
    return format_html_join(" · ", '<a href="{}">{}</a>', links) or SafeString("–")


def _group_pages(group: SecurityGroup | None, first: str = "Open") -> list[tuple[str, str, Sequence[object]]]:
    """A group's pages in the panel; a deleted one has none."""
    if group is None or not group.pk or group.deleted_at:
        return []
    at = [group.project.slug, group.public_id]
    return [(first, "group", at), ("Test a packet", "group_test", at), ("History", "group_history", at)]


def _machine_pages(machine: VirtualMachine | None, first: str = "Open") -> list[tuple[str, str, Sequence[object]]]:
    """A VM's pages in the panel; a deleted one has none."""
    if machine is None or not machine.pk or machine.deleted_at:
        return []
    at = [machine.project.slug, machine.public_id]
    return [(first, "machine", at), ("Test a packet", "machine_test", at), ("History", "machine_history", at)]


def _case_pages(case: SupportCase) -> list[tuple[str, str, Sequence[object]]]:
    """The case, and a packet test on what it is about."""
    here: list[tuple[str, str, Sequence[object]]] = [("Open", "case", [case.project.slug, case.public_id])]
    about = _machine_pages(case.machine, "Its VM") if case.machine else _group_pages(case.group, "Its group")
    return here + about


def _and_more(number: int, model: type[Model], query: str) -> SafeString:
    """What a page that shows the first rows says of the others, with the list that has them; nothing without any."""
    if number < 1:
        return SafeString("")
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">and {} more</a>', address, urlencode({"q": query}), number)


def _too_many(request: HttpRequest, rows: QuerySet[Any], limit: int, what: str) -> bool:
    """Refuse an action on more rows than it takes, in words."""
    number = rows.count()
    if number > limit:
        messages.error(request, f"{what} at once, and these are {number:,}: choose fewer. Nothing was done.")
    return number > limit


class Panel(admin.ModelAdmin[Any]):
    """What all lists have. A filter or choice in the address that the database cannot read is told, not crashed on."""

    show_full_result_count = False
    list_per_page = 50

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            with transaction.atomic():  # what is done to chosen rows is done to all of them or to none
                return super().changelist_view(request, *args, **kwargs)
        except ValidationError:
            raise
        except (DataError, ValueError) as error:
            logger.warning("unreadable list", address=request.get_full_path()[:500], error=str(error)[:500])
            messages.error(request, "A filter or choice in the address cannot be read. This is the whole list.")
            return HttpResponseRedirect(request.path)


class PersonForm(UserChangeForm):  # type: ignore[type-arg]
    def clean_is_active(self) -> bool:
        active = bool(self.cleaned_data["is_active"])
        alone = [] if active else operations.owned_alone(self.instance)
        if alone:
            names = ", ".join(project.name for project in alone[:5])
            raise ValidationError(f"This is the last owner of {names}: make somebody else an owner there first.")
        return active


@admin.register(User)
class PersonAdmin(Panel, UserAdmin):  # type: ignore[type-arg]
    """People who are members somewhere are switched off or removed there first: a project must keep its owner."""

    form = PersonForm

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.memberships.exists())


class KeySelect(AutocompleteSelect):
    """Django's own fails on a key that is no number."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        keys = [key for key in value if str(key).isdecimal() and len(str(key)) < 19]
        return super().optgroups(name, keys, attr)


class Chooses(admin.options.BaseModelAdmin[Any]):
    """Foreign keys are chosen by typing a part of the name."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", KeySelect(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class ThroughOperations(Chooses, Panel):
    """What an operation refuses is shown in the form or as a message, and nothing of it is written."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        def view() -> Any:
            return super(ThroughOperations, self).changeform_view(request, *args, **kwargs)

        try:
            return view()
        except ValidationError as refusal:
            # Once more, with a form that has it among its errors: what was typed stays.
            request.refusal = refusal  # type: ignore[attr-defined]
            return view()
        except (operations.Conflict, lists.NoSuchPlace) as gone:
            messages.error(request, str(gone))
            return HttpResponseRedirect(request.get_full_path())

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, *args, **kwargs)
        refusal = getattr(request, "refusal", None)
        if not isinstance(refusal, ValidationError):
            return form

        def clean(self: Any) -> Any:
            cleaned = form.clean(self)
            take_refusal(self, refusal)
            return cleaned

        return type(form.__name__, (form,), {"clean": clean})

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._told(request, lambda: super(ThroughOperations, self).delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._told(request, lambda: super(ThroughOperations, self).changelist_view(request, *args, **kwargs))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes along is the operations' matter, and what is on record stays: nothing of that protects a row."""
        rows = list(objs)
        names = {str(self.opts.verbose_name) for row in rows if not self.has_delete_permission(request, row)}
        return [str(row) for row in rows], {str(self.opts.verbose_name_plural): len(rows)}, names, []

    def _told(self, request: HttpRequest, view: Callable[[], Any]) -> HttpResponse:
        try:
            return view()  # type: ignore[no-any-return]
        except operations.Conflict as conflict:
            messages.error(request, str(conflict))
        except lists.NoSuchPlace as error:
            messages.error(request, str(error))
        except ValidationError as refusal:
            for message in refusal.messages:
                messages.error(request, message)
        return HttpResponseRedirect(request.get_full_path())


class ReadOnly(Panel):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(Chooses, admin.TabularInline[Membership, Project]):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)
    readonly_fields = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("user")


@admin.register(Project)
class ProjectAdmin(ThroughOperations):
    list_display = ("name", "slug", "max_groups", "max_rules", "max_machines", "created_at")
    search_fields = ("name", "slug")
    inlines = (MembershipInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # its record must stay

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("slug", "created_at", "in_panel") if obj else ()

    @admin.display(description="In the panel")
    def in_panel(self, project: Project) -> SafeString:
        names = [("Open", "overview"), ("Security Groups", "groups"), ("Virtual Machines", "machines")]
        names += [("Support cases", "cases"), ("Activity", "activity")]
        return _into_panel([(text, name, [project.slug]) for text, name in names])

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        if change:
            operations.update_project(project=obj, by=_by(request))
            return
        made = operations.create_project(
            name=obj.name,
            slug=obj.slug,
            quotas={name: getattr(obj, name) for name in ("max_groups", "max_rules", "max_machines")},
            by=_by(request),
        )
        obj.pk = made.pk
        obj._state.adding = False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if any("user" in each.changed_data for each in formset.initial_forms):
            raise ValidationError("A membership stays its person's: remove it, and add the other person.")
        # Owners first, so that one form can hand a project over.
        for member in sorted(formset.save(commit=False), key=lambda member: member.role != Role.OWNER):
            if member.pk:
                operations.change_role(member=member, role=member.role, by=_by(request))
            else:
                operations.add_member(project=form.instance, user=member.user, role=member.role, by=_by(request))
        for member in formset.deleted_objects:
            operations.remove_member(member=member, by=_by(request))


class LiveFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "In use"), ("deleted", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(deleted_at__isnull=self.value() == "live")


def _rule_line(rule: Rule) -> tuple[Rule, str, str]:
    """A row, the rule in the words of the panel, and what its people wrote about it."""
    return rule, rule_sentence(rule.as_value()), f" – {rule.description}" if rule.description else ""


class AdminGroupForm(GroupForm):
    class Meta(GroupForm.Meta):
        fields = ("project", "name", "description")  # type: ignore[assignment]


@admin.register(SecurityGroup)
class SecurityGroupAdmin(ThroughOperations):
    form = AdminGroupForm
    list_display = ("name", "public_id", "project", "revision", "changed_at", "deleted_at")
    list_filter = (LiveFilter,)
    list_select_related = ("project",)
    search_fields = ("public_id", "name", "project__slug")
    search_help_text = "Name, ID, or the project's slug."
    autocomplete_fields = ("project",)
    readonly_fields = (
        "public_id",
        "revision",
        "created_at",
        "changed_at",
        "deleted_at",
        "rules_in_order",
        "in_panel",
        "on_machines",
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.deleted_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.deleted_at)

    actions = ("export", "recheck")

    @admin.action(description="Export as JSON", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> HttpResponse | None:
        """One group gives its document; several a JSON list of documents' texts, one a line."""
        if _too_many(request, queryset, EXPORTED, f"Up to {EXPORTED} groups can be exported"):
            return None
        texts = [
            write_group(group.name, group.description, values(list(group.rules.in_order())))
            for group in queryset.order_by("pk")
        ]
        name = "group.json" if len(texts) == 1 else "groups.jsonl"
        body = texts[0] if len(texts) == 1 else "".join(" ".join(text.split("\n")) + "\n" for text in texts)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(body, content_type="application/json", headers=headers)

    @admin.action(description="Check rules for findings", permissions=["view"])
    def recheck(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> None:
        if _too_many(request, queryset, CHECKED, f"The rules of up to {CHECKED} groups can be checked"):
            return
        for group in queryset.order_by("pk"):
            found = findings(values(list(group.rules.in_order())))
            messages.info(request, f"{group.name} ({group.public_id}): {findings_summary(found)}")

    @admin.display(description="In the panel")
    def in_panel(self, group: SecurityGroup) -> SafeString:
        return _into_panel(_group_pages(group))

    @admin.display(description="Rules in order")
    def rules_in_order(self, group: SecurityGroup) -> SafeString:
        rows = list(group.rules.in_order()[: RULES_SHOWN + 1]) if group.pk else []
        if not rows:
            return SafeString("No rules: everything is denied.")
        more = group.rules.count() - RULES_SHOWN if len(rows) > RULES_SHOWN else 0
        lines = format_html_join(
            "", "<li>{}{}</li>", ((_link(row, words), note) for row, words, note in map(_rule_line, rows[:RULES_SHOWN]))
        )
        return format_html("<ol>{}</ol>{}", lines, _and_more(more, Rule, group.public_id))

    @admin.display(description="Virtual machines")
    def on_machines(self, group: SecurityGroup) -> SafeString:
        found = VirtualMachine.objects.live().filter(attachments__group=group) if group.pk else None
        rows = list(found[: MACHINES_SHOWN + 1]) if found is not None else []
        if found is None or not rows:
            return SafeString("None")
        more = found.count() - MACHINES_SHOWN if len(rows) > MACHINES_SHOWN else 0
        links = [_link(machine) for machine in rows[:MACHINES_SHOWN]]
        rest = _and_more(more, Attachment, group.public_id)
        return format_html_join(", ", "{}", ((link,) for link in (*links, *([rest] if rest else []))))

    def save_model(self, request: HttpRequest, obj: SecurityGroup, form: Any, change: bool) -> None:
        if change:
            before = SecurityGroup.objects.select_related("project").get(pk=obj.pk)
            operations.update_group(group=before, name=obj.name, description=obj.description, by=_by(request))
            return
        made = operations.create_group(project=obj.project, name=obj.name, description=obj.description, by=_by(request))
        obj.pk, obj.public_id = made.pk, made.public_id
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: SecurityGroup) -> None:
        operations.delete_group(group=obj, base=obj.revision, by=_by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> None:
        operations.delete_groups(groups=list(queryset), by=_by(request))


class AdminRuleForm(RuleForm):
    """All fields at once: one that the protocol lacks is refused at its field instead of being taken away."""

    follows_protocol = False
    place = forms.IntegerField(label="Place in the list", min_value=1)
    base = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta(RuleForm.Meta):
        fields = ("group", *RuleForm.Meta.fields)  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["place"] = self.instance.position
            self.initial["base"] = self.instance.group.revision

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        group = self.instance.group if self.instance.pk else cleaned.get("group")
        if group is None:
            return cleaned
        if self.instance.pk and cleaned.get("base") != group.revision:
            raise ValidationError("The group's rules were changed in the meantime: load the page again.")
        last = group.rules.count() + (0 if self.instance.pk else 1)
        if cleaned.get("place") and cleaned["place"] > last:
            self.add_error("place", f"The last possible place is {last}: type a number from 1 to {last}.")
        return cleaned


@admin.register(Rule)
class RuleAdmin(ThroughOperations):
    form = AdminRuleForm
    list_display = (
        "group",
        "position",
        "action",
        "direction",
        "protocol",
        "source",
        "destination",
        "port_start",
        "port_end",
        "enabled",
        "description",
    )
    list_display_links = ("position",)
    list_filter = ("action", "direction", "protocol", "enabled")
    list_select_related = ("group",)
    search_fields = ("group__public_id", "group__name", "description")
    autocomplete_fields = ("group",)
    readonly_fields = ("uid", "added_in", "changed_in", "in_panel")
    ordering = ("group", "position")

    @admin.display(description="In the panel")
    def in_panel(self, rule: Rule) -> SafeString:
        return _into_panel(_group_pages(rule.group, "Its group") if rule.pk else [])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(group__deleted_at=None).select_related("group__project")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "group") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Rule, form: AdminRuleForm, change: bool) -> None:
        group = obj.group
        rules = values(list(group.rules.in_order()))
        place = form.cleaned_data["place"]
        if change:
            now = lists.place_of(rules, obj.uid)
            rules = lists.move(lists.change(rules, now, form.as_value()), [now], place)
            base = form.cleaned_data["base"]
        else:
            rules = lists.insert(rules, place, form.as_value())
            base = group.revision
        operations.commit_rules(group=group, rules=rules, base=base, by=_by(request))
        if not change:
            row = group.rules.get(position=place)
            obj.pk, obj.uid, obj.position = row.pk, row.uid, row.position
            obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        self.delete_queryset(request, Rule.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        chosen: dict[int, set[str]] = {}
        for group_id, uid in queryset.values_list("group_id", "uid"):
            chosen.setdefault(group_id, set()).add(uid)
        for group in SecurityGroup.objects.filter(pk__in=chosen).select_related("project").order_by("pk"):
            # By identity: places may have changed since they were chosen.
            rules = [rule for rule in values(list(group.rules.in_order())) if rule.uid not in chosen[group.pk]]
            operations.commit_rules(group=group, rules=rules, base=group.revision, by=_by(request))


class AdminTemplateForm(forms.ModelForm[GroupTemplate]):
    """The rules as the JSON list of a group document, checked as an import is."""

    class Meta:
        model = GroupTemplate
        fields = ("project", "name", "description", "rules")

    def clean_rules(self) -> Any:
        try:
            return [rule_to_json(rule) for rule in rules_from_json(self.cleaned_data["rules"])]
        except BadDocument as error:
            raise ValidationError([str(fault) for fault in error.faults]) from None


class MoveMachineForm(forms.Form):
    target = forms.ModelChoiceField(
        label="Slug of the other project",
        queryset=Project.objects.all(),
        to_field_name="slug",
        widget=forms.TextInput,
        error_messages={"invalid_choice": "There is no project of this slug: look it up under Projects."},
    )


class AdminMachineForm(MachineForm):
    ordered_groups = forms.CharField(
        label="Security groups, in order",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="IDs such as sg-1a2b3c4d5e, one a line; the first is tried first.",
    )
    base = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta(MachineForm.Meta):
        fields = ("project", *MachineForm.Meta.fields)  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            attached = self.instance.attachments.select_related("group").order_by("position")
            self.initial["ordered_groups"] = "\n".join(a.group.public_id for a in attached)
            self.initial["base"] = self.instance.revision

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("base") != self.instance.revision:
            raise ValidationError("The VM's groups were changed in the meantime: load the page again.")
        ids = str(cleaned.get("ordered_groups", "")).split()
        project = self.instance.project_id or getattr(cleaned.get("project"), "pk", None)
        found = {g.public_id: g for g in SecurityGroup.objects.live().filter(public_id__in=ids, project=project)}
        unknown = [text for text in ids if text not in found]
        if unknown:
            self.add_error("ordered_groups", f"The project has no group {unknown[0][:40]}: type IDs of its own groups.")
        cleaned["groups"] = [found[text] for text in ids if text in found]
        return cleaned


@admin.register(VirtualMachine)
class VirtualMachineAdmin(ThroughOperations):
    form = AdminMachineForm
    list_display = ("name", "public_id", "project", "ipv4", "ipv6", "deleted_at")
    list_filter = (LiveFilter,)
    list_select_related = ("project",)
    search_fields = ("public_id", "name", "ipv4", "ipv6", "project__slug")
    autocomplete_fields = ("project",)
    readonly_fields = ("public_id", "revision", "created_at", "deleted_at", "in_panel")
    actions = ("move_to_project",)

    @admin.display(description="In the panel")
    def in_panel(self, machine: VirtualMachine) -> SafeString:
        return _into_panel(_machine_pages(machine))

    @admin.action(description="Move to another project…", permissions=["change"])
    def move_to_project(self, request: HttpRequest, queryset: QuerySet[VirtualMachine]) -> HttpResponse | None:
        """Names the consequences first: the groups stay behind."""
        live = queryset.filter(deleted_at=None)
        if _too_many(request, live, MOVED, f"Up to {MOVED} VMs can be moved"):
            return None
        machines = list(live.select_related("project").order_by("pk"))
        form = MoveMachineForm(request.POST if "target" in request.POST else None)
        if form.is_valid():
            target = form.cleaned_data["target"]
            operations.move_machines(machines=machines, target=target, by=_by(request))
            messages.success(request, f"{len(machines)} VM(s) moved to {target}.")
            return None
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
            before = VirtualMachine.objects.select_related("project").get(pk=obj.pk)
            operations.save_machine(
                machine=before, fields=fields, groups=groups, base=form.cleaned_data["base"], by=_by(request)
            )
            return
        made = operations.create_machine(project=obj.project, fields=fields, groups=groups, by=_by(request))
        obj.pk, obj.public_id = made.pk, made.public_id
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: VirtualMachine) -> None:
        operations.delete_machine(machine=obj, by=_by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VirtualMachine]) -> None:
        for machine in queryset.filter(deleted_at=None).select_related("project").order_by("pk"):
            self.delete_model(request, machine)


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """To look up; changed on the project's page."""

    list_display = ("user", "project", "role", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "project")
    search_fields = ("user__username", "user__email", "project__slug")


@admin.register(Attachment)
class AttachmentAdmin(ReadOnly):
    """To look up; changed on the VM's page."""

    list_display = ("machine", "position", "group")
    list_display_links = ("position",)
    list_select_related = ("machine", "group")
    search_fields = ("machine__public_id", "machine__name", "group__public_id", "group__name")


@admin.register(GroupRevision)
class GroupRevisionAdmin(ReadOnly):
    list_display = ("group", "number", "at", "actor_name", "by_staff", "summary", "reason")
    list_select_related = ("group",)
    search_fields = ("group__public_id", "group__name", "actor_name")
    ordering = ("-pk",)
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("rules")  # long, and in no list

    @admin.display(description="In the panel")
    def in_panel(self, revision: GroupRevision) -> SafeString:
        pages = _group_pages(revision.group, "Its group")
        at = [revision.group.project.slug, revision.group.public_id, revision.number]
        return _into_panel([("Open", "group_revision", at), *pages] if pages else [])


@admin.register(MachineRevision)
class MachineRevisionAdmin(ReadOnly):
    list_display = ("machine", "number", "at", "actor_name", "by_staff", "summary", "reason")
    list_select_related = ("machine",)
    search_fields = ("machine__public_id", "machine__name", "actor_name")
    ordering = ("-pk",)
    readonly_fields = ("in_panel",)

    @admin.display(description="In the panel")
    def in_panel(self, revision: MachineRevision) -> SafeString:
        return _into_panel(_machine_pages(revision.machine, "Its VM"))


@admin.register(GroupTemplate)
class GroupTemplateAdmin(ThroughOperations):
    """The platform's templates are those without a project; they are on offer in every project."""

    form = AdminTemplateForm
    list_display = ("name", "project", "description", "created_at")
    list_select_related = ("project",)
    search_fields = ("name", "project__slug")
    autocomplete_fields = ("project",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("project",) if obj else ()

    def save_model(self, request: HttpRequest, obj: GroupTemplate, form: Any, change: bool) -> None:
        operations.write_template(template=obj, by=_by(request))

    def delete_model(self, request: HttpRequest, obj: GroupTemplate) -> None:
        operations.delete_template(template=obj, by=_by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[GroupTemplate]) -> None:
        for template in queryset.select_related("project").order_by("pk"):
            self.delete_model(request, template)


@admin.register(SupportVisit)
class SupportVisitAdmin(ReadOnly):
    list_display = ("at", "staff", "project", "ticket", "reason", "until")
    list_select_related = ("staff", "project")
    search_fields = ("staff__username", "project__slug", "ticket")
    ordering = ("-pk",)


@admin.register(SupportCase)
class SupportCaseAdmin(ReadOnly):
    list_display = ("public_id", "project", "machine", "group", "verdict", "ticket", "opened_by", "at")
    list_select_related = ("project", "machine", "group", "opened_by")
    search_fields = ("public_id", "project__slug", "ticket")
    ordering = ("-pk",)
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("rules")

    @admin.display(description="In the panel")
    def in_panel(self, case: SupportCase) -> SafeString:
        return _into_panel(_case_pages(case))


@admin.register(CaseNote)
class CaseNoteAdmin(ReadOnly):
    list_display = ("case", "at", "author_name", "by_staff", "text")
    list_select_related = ("case",)
    search_fields = ("case__public_id", "author_name", "text")
    ordering = ("-pk",)
    readonly_fields = ("in_panel",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("case__rules")

    @admin.display(description="In the panel")
    def in_panel(self, note: CaseNote) -> SafeString:
        return _into_panel(_case_pages(note.case))


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ("at", "project", "actor_name", "by_staff", "verb", "summary")
    list_filter = ("verb", "by_staff")
    list_select_related = ("project",)
    search_fields = ("project__slug", "actor_name", "summary")
    ordering = ("-pk",)
