"""Security groups, their rules, and templates of rules."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from securitygroups import operations
from securitygroups.admin.base import (
    LiveFilter,
    ThroughOperations,
    and_more,
    by,
    group_pages,
    into_panel,
    link,
    too_many,
)
from securitygroups.admin.forms import AdminGroupForm, AdminRuleForm, AdminTemplateForm
from securitygroups.answers.findings import findings_of
from securitygroups.effective import rules_of_group
from securitygroups.firewall import lists
from securitygroups.firewall.formats.documents import write_group
from securitygroups.models import Attachment, GroupTemplate, Rule, SecurityGroup, VirtualMachine
from securitygroups.words.rules import rule_sentence

RULES_SHOWN, MACHINES_SHOWN = 200, 100
"""On a group's page; the rest is a list of its own."""
EXPORTED, CHECKED = 100, 50
"""Rows that one action takes: each costs time, and a part done in silence would pass for the whole."""


def _rule_line(rule: Rule) -> tuple[Rule, str, str]:
    """A row, the rule in the words of the panel, and what its people wrote about it."""
    return rule, rule_sentence(rule.as_value()), f" – {rule.description}" if rule.description else ""


@admin.register(SecurityGroup)
class SecurityGroupAdmin(ThroughOperations):
    """A group with its rules in words and its VMs. Deleted ones can be looked at, and no more."""

    project_path = "project"
    form = AdminGroupForm
    list_display = ("name", "public_id", "project", "revision", "changed_at", "deleted_at")
    list_filter = (LiveFilter,)
    list_select_related = ("project",)
    search_fields = ("=public_id", "^name", "=project__slug")
    search_help_text = "The beginning of the name, the ID, or the project's slug."
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
    actions = ("export", "recheck")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else self.readonly_fields

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.deleted_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.deleted_at)

    @admin.action(description="Export as JSON", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> HttpResponse | None:
        """One group gives its document; several a JSON list of documents' texts, one a line."""
        if too_many(request, queryset, EXPORTED, f"Up to {EXPORTED} groups can be exported"):
            return None
        groups = list(queryset.order_by("pk"))
        texts = [write_group(group.name, group.description, rules_of_group(group)) for group in groups]
        name = "group.json" if len(texts) == 1 else "groups.jsonl"
        # JSON spells a line break within a text as \n, so those in the document only lay it out.
        body = texts[0] if len(texts) == 1 else "".join(" ".join(text.split("\n")) + "\n" for text in texts)
        self.looked_at(request, groups)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(body, content_type="application/json", headers=headers)

    @admin.action(description="Check rules for findings", permissions=["view"])
    def recheck(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> None:
        if too_many(request, queryset, CHECKED, f"The rules of up to {CHECKED} groups can be checked"):
            return
        groups = list(queryset.order_by("pk"))
        self.looked_at(request, groups)
        for group in groups:
            found = findings_of(group.project_id, rules_of_group(group))
            messages.info(request, f"{group.name} ({group.public_id}): {found.summary}")

    @admin.display(description="In the panel")
    def in_panel(self, group: SecurityGroup) -> SafeString:
        """Links to the group's pages there."""
        return into_panel(group_pages(group))

    @admin.display(description="Rules in order")
    def rules_in_order(self, group: SecurityGroup) -> SafeString:
        """The first rules in the panel's words, each a link, and how many there are beside them."""
        # One more than is shown tells whether any is left: only then they are counted.
        rows = list(group.rules.in_order()[: RULES_SHOWN + 1]) if group.pk else []
        if not rows:
            return SafeString("No rules: everything is denied.")
        more = group.rules.count() - RULES_SHOWN if len(rows) > RULES_SHOWN else 0
        lines = format_html_join(
            "", "<li>{}{}</li>", ((link(row, words), note) for row, words, note in map(_rule_line, rows[:RULES_SHOWN]))
        )
        return format_html("<ol>{}</ol>{}", lines, and_more(more, Rule, group.public_id))

    @admin.display(description="Virtual machines")
    def on_machines(self, group: SecurityGroup) -> SafeString:
        """The first VMs that the group is attached to, and how many there are beside them."""
        found = VirtualMachine.objects.live().filter(attachments__group=group) if group.pk else None
        rows = list(found[: MACHINES_SHOWN + 1]) if found is not None else []
        if found is None or not rows:
            return SafeString("None")
        more = found.count() - MACHINES_SHOWN if len(rows) > MACHINES_SHOWN else 0
        links = [link(machine) for machine in rows[:MACHINES_SHOWN]]
        rest = and_more(more, Attachment, group.public_id)
        return format_html_join(", ", "{}", ((link,) for link in (*links, *([rest] if rest else []))))

    def save_model(self, request: HttpRequest, obj: SecurityGroup, form: Any, change: bool) -> None:
        if change:
            # `obj` has the form's values already; what is written is the difference to what is stored.
            before = SecurityGroup.objects.select_related("project").get(pk=obj.pk)
            operations.update_group(group=before, name=obj.name, description=obj.description, by=by(request))
            return
        made = operations.create_group(project=obj.project, name=obj.name, description=obj.description, by=by(request))
        obj.pk, obj.public_id = made.pk, made.public_id
        obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: SecurityGroup) -> None:
        operations.delete_group(group=obj, base=obj.revision, by=by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> None:
        operations.delete_groups(groups=list(queryset), by=by(request))


@admin.register(Rule)
class RuleAdmin(ThroughOperations):
    """Every rule of every group in use. A change of one is a new list, committed like any other."""

    project_path = "group__project"
    list_tells = True
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
    search_fields = ("=group__public_id", "^group__name", "=group__project__slug")
    search_help_text = "The group's ID, the beginning of its name, or its project's slug."
    autocomplete_fields = ("group",)
    readonly_fields = ("uid", "added_in", "changed_in", "in_panel")
    ordering = ("group_id", "position")

    def name_of(self, row: Rule) -> str:
        return f"rule {row.position} of {row.group}"

    @admin.display(description="In the panel")
    def in_panel(self, rule: Rule) -> SafeString:
        """Links to its group's pages there."""
        return into_panel(group_pages(rule.group, "Its group") if rule.pk else [])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(group__deleted_at=None).select_related("group__project")

    def get_list_filter(self, request: HttpRequest) -> Any:
        # Of what a search found; of all customers' rules it would read one after the other for a kind that is rare.
        return self.list_filter if request.GET.get("q") else ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "group") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Rule, form: AdminRuleForm, change: bool) -> None:
        group = obj.group
        rules = rules_of_group(group)
        place = form.cleaned_data["place"]
        if change:
            now = lists.place_of(rules, obj.uid)
            rules = lists.move(lists.change(rules, now, form.as_value()), [now], place)
            base = form.cleaned_data["base"]
        else:
            rules = lists.insert(rules, place, form.as_value())
            base = group.revision
        operations.commit_rules(group=group, rules=rules, base=base, by=by(request))
        if not change:
            # The commit wrote the row; Django logs the addition and leads on with the object that it has.
            row = group.rules.get(position=place)
            obj.pk, obj.uid, obj.position = row.pk, row.uid, row.position
            obj._state.adding = False

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        self.delete_queryset(request, Rule.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        # A group's rules go in one commit: a revision a rule would say less, and each writes the whole list.
        chosen: dict[int, set[str]] = {}
        for group_id, uid in queryset.values_list("group_id", "uid"):
            chosen.setdefault(group_id, set()).add(uid)
        for group in SecurityGroup.objects.filter(pk__in=chosen).select_related("project").order_by("pk"):
            # By identity: places may have changed since they were chosen.
            rules = [rule for rule in rules_of_group(group) if rule.uid not in chosen[group.pk]]
            operations.commit_rules(group=group, rules=rules, base=group.revision, by=by(request))


@admin.register(GroupTemplate)
class GroupTemplateAdmin(ThroughOperations):
    """The platform's templates are those without a project; they are on offer in every project."""

    project_path = "project"
    list_tells = True
    form = AdminTemplateForm
    list_display = ("name", "project", "description", "created_at")
    list_select_related = ("project",)
    search_fields = ("^name", "=project__slug")
    search_help_text = "The beginning of the name, or the project's slug."
    autocomplete_fields = ("project",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("project",) if obj else ()

    def save_model(self, request: HttpRequest, obj: GroupTemplate, form: Any, change: bool) -> None:
        operations.write_template(template=obj, by=by(request))

    def delete_model(self, request: HttpRequest, obj: GroupTemplate) -> None:
        operations.delete_template(template=obj, by=by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[GroupTemplate]) -> None:
        for template in queryset.select_related("project").order_by("pk"):
            self.delete_model(request, template)
