"""Security groups, their rules, and templates of rules."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from karenpanel.client_address import address_of
from securitygroups import operations
from securitygroups.admin.asking import (
    Part,
    Plan,
    RulesEdit,
    change_rules,
    group_name,
    token,
)
from securitygroups.admin.base import (
    LiveFilter,
    ThroughOperations,
    and_more,
    by,
    group_pages,
    into_panel,
    too_many,
)
from securitygroups.admin.columns import link
from securitygroups.admin.forms import AdminGroupForm, AdminRuleForm, AdminTemplateForm
from securitygroups.admin.questions import MOST_UNDONE, UNDONE
from securitygroups.answers.findings import findings_of
from securitygroups.answers.preview import preview_together
from securitygroups.effective import rules_of_group, rules_of_groups
from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.formats.documents import rules_from_json, write_group
from securitygroups.firewall.values import RuleList, whole_number
from securitygroups.models import Attachment, GroupTemplate, Rule, SecurityGroup, VirtualMachine
from securitygroups.operations.records import count
from securitygroups.said import MOST_REVISIONS as MOST
from securitygroups.words.changes import change_sentence
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
    list_display = ("name", "public_id", "of_project", "revision", "changed_at", "deleted_at")
    list_filter = (LiveFilter,)
    list_select_related = ("project",)
    search_fields = ("<public_id", "^name", "=project__slug", "^project__name")
    search_help_text = "The beginning of the name, of the ID, or of the project's name, or the project's slug."
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
    sections = (
        (None, ("in_panel", "project", "name", "description")),
        ("Rules", ("rules_in_order",)),
        ("Virtual Machines", ("on_machines",)),
        ("Record", ("public_id", "revision", "created_at", "changed_at", "deleted_at")),
    )
    actions = ("export", "recheck")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else ()

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
            return format_html("No rules: everything is denied. {}", self._add_rule(group))
        more = group.rules.count() - RULES_SHOWN if len(rows) > RULES_SHOWN else 0
        add = self._add_rule(group)
        lines = format_html_join(
            "", "<li>{}{}</li>", ((link(row, words), note) for row, words, note in map(_rule_line, rows[:RULES_SHOWN]))
        )
        return format_html("{}<ol>{}</ol>{}", add, lines, and_more(more, Rule, group.public_id))

    @staticmethod
    def _add_rule(group: SecurityGroup) -> SafeString:
        """To the form of a new rule, which has the group already and goes to the end of its list."""
        if not group.pk or group.deleted_at:
            return SafeString("")
        address = f"{reverse('admin:securitygroups_rule_add')}?group={group.pk}"
        return format_html('<a class="addlink" href="{}">Add rule</a>', address)

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

    def plan_deletion(self, request: HttpRequest, rows: Sequence[SecurityGroup]) -> Plan:
        groups = sorted(rows, key=lambda group: group.pk)
        stored, on = rules_of_groups(group.pk for group in groups), self._machines_with(groups)
        changes = [(group, stored[group.pk], ()) for group in groups]
        parts = [
            Part(
                group.project,
                group_name(group),
                list_change(old, ()),
                lines=(f"On {count(on.get(group.pk, 0), 'VM')}.",),
            )
            for group, old, _ in changes
        ]
        one = len(groups) == 1
        return Plan(
            f"Delete {groups[0] if one else count(len(groups), 'security group')}?",
            "Delete",
            tuple(parts),
            token("end", operations.groups_mark(groups)),
            partial(preview_together, changes, address=address_of(request)),
            notes=(
                "It is taken off its VMs. Its history stays, and it can be brought back."
                if one
                else "They are taken off their VMs. Their history stays, and they can be brought back.",
            ),
            deletes=True,
        )

    @staticmethod
    def _machines_with(groups: Sequence[SecurityGroup]) -> dict[int, int]:
        rows = Attachment.objects.filter(group__in=groups).order_by()
        return dict(rows.values_list("group").annotate(Count("pk")))

    def delete_model(self, request: HttpRequest, obj: SecurityGroup) -> None:
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SecurityGroup]) -> None:
        self._delete(request, list(queryset.select_related("project")))

    def _delete(self, request: HttpRequest, groups: list[SecurityGroup]) -> None:
        # Before the plan is made: what is deleted is what that was made of.
        seen = operations.groups_mark(groups)
        operations.delete_groups(groups=groups, by=self.agreed_deletion(request, groups), seen=seen)
        words = f"{groups[0]} was deleted." if len(groups) == 1 else f"{len(groups)} security groups were deleted."
        self.done(request, words, "deletion", *[group.pk for group in groups[:MOST_UNDONE]])

    undoes = frozenset({"deletion"})

    def undo(self, request: HttpRequest, what: str, numbers: Sequence[int]) -> str:
        groups = list(SecurityGroup.objects.select_related("project").filter(pk__in=numbers).order_by("pk"))
        if not groups:
            raise Http404
        operations.restore_groups(groups=groups, by=by(request, UNDONE))
        for group in groups:
            self.log_change(request, group, "Brought back.")
        return f"{', '.join(map(str, groups))}: back again, with the VMs whose groups nobody has changed since."


@admin.register(Rule)
class RuleAdmin(ThroughOperations):
    """Every rule of every group in use. A change of one is a new list, committed like any other."""

    project_path = "group__project"
    list_tells = True
    form = AdminRuleForm
    change_form_template = "admin/asking_form.html"
    list_display = (
        "placed",
        "of_project",
        "action_badge",
        "direction_mark",
        "protocol_badge",
        "addresses",
        "port_range",
        "description",
    )
    list_filter = ("action", "direction", "protocol", "enabled")
    list_select_related = ("group__project",)
    search_fields = ("<group__public_id", "^group__name", "=group__project__slug")
    search_help_text = "The group's ID, the beginning of its name, or its project's slug."
    autocomplete_fields = ("group",)
    readonly_fields = ("in_panel", "added", "changed")
    ordering = ("group_id", "position")

    class Media:
        js = (Script("admin-rule.js", defer=True),)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        group = whole_number(str(initial.get("group", "")), MOST)
        if group and "place" not in initial:
            initial["place"] = Rule.objects.filter(group=group).count() + 1
        return initial

    def name_of(self, row: Rule) -> str:
        return f"rule {row.position} of {row.group}"

    @admin.display(description="Rule")
    def placed(self, rule: Rule) -> str:
        """As the panel says it."""
        return f"{rule.group}, rule\N{NO-BREAK SPACE}{rule.position}"

    @admin.display(description="Added in revision")
    def added(self, rule: Rule) -> str:
        return f"{rule.added_in} of {rule.group}"

    @admin.display(description="Changed in revision")
    def changed(self, rule: Rule) -> str:
        return f"{rule.changed_in} of {rule.group}"

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
        return ("group", *self.readonly_fields) if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = list(super().get_fields(request, obj))
        # Of which group it is says more than anything else of it.
        return ["group", "in_panel", *(name for name in fields if name not in ("group", "in_panel"))] if obj else fields

    def response_add(self, request: HttpRequest, obj: Rule, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().response_add(request, obj, *args, **kwargs)
        if "_addanother" in request.POST and isinstance(response, HttpResponseRedirect):
            # The next one is for the same group.
            return HttpResponseRedirect(f"{request.path}?group={obj.group_id}")
        return response

    def save_model(self, request: HttpRequest, obj: Rule, form: AdminRuleForm, change: bool) -> None:
        group, base = obj.group, form.cleaned_data["base"]
        title = f"Change rule {form.initial['place']} of {group}?" if change else f"Add a rule to {group}?"
        one = RulesEdit(
            group=group,
            now=rules_of_group(group),
            edit=form.edit,
            base=group.revision if base is None else base,
            title=title,
            button="Make this change",
        )
        made = change_rules(request, one)
        self._say(request, group, made)
        if not change and made:
            # The commit wrote the row; Django logs the addition and leads on with the object that it has.
            row = group.rules.get(uid=made.added[0].new.uid)  # type: ignore[union-attr]
            obj.pk, obj.uid, obj.position = row.pk, row.uid, row.position
            obj._state.adding = False

    def _say(self, request: HttpRequest, group: SecurityGroup, made: ListChange | None) -> None:
        if made:
            words = f"{change_sentence(made)} This is {group} of {group.project}."
            self.done(request, words, "rules", group.pk, group.revision)
        else:
            self.done(request, "Nothing was changed.")

    def plan_deletion(self, request: HttpRequest, rows: Sequence[Rule]) -> Plan:
        lists = self._without(rows)
        stored = rules_of_groups(group.pk for group in lists)
        changes = [(group, stored[group.pk], new) for group, new in lists.items()]
        number = sum(len(old) - len(new) for _, old, new in changes)
        return Plan(
            f"Delete {count(number, 'rule')}?",
            "Delete",
            tuple(Part(group.project, group_name(group), list_change(old, new)) for group, old, new in changes),
            token("rules", operations.groups_mark(list(lists)), sorted(rule.pk for rule in rows)),
            partial(preview_together, changes, address=address_of(request)),
            deletes=True,
        )

    @staticmethod
    def _without(rows: Sequence[Rule]) -> dict[SecurityGroup, RuleList]:
        """The lists of the rules' groups without these: by identity, for places may have changed since they were chosen."""
        chosen: dict[int, set[str]] = {}
        for row in rows:
            chosen.setdefault(row.group_id, set()).add(row.uid)
        # Their revisions first: rules that came in between are then found to be none of them.
        groups = list(SecurityGroup.objects.filter(pk__in=chosen).select_related("project").order_by("pk"))
        stored = rules_of_groups(chosen)
        return {one: tuple(rule for rule in stored[one.pk] if rule.uid not in chosen[one.pk]) for one in groups}

    def delete_model(self, request: HttpRequest, obj: Rule) -> None:
        self._delete(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        self._delete(request, list(queryset))

    def _delete(self, request: HttpRequest, rows: list[Rule]) -> None:
        # A group's rules go in one commit: a revision a rule would say less.
        lists = self._without(rows)
        seen = operations.groups_mark(list(lists))
        operations.commit_lists(lists=lists, seen=seen, by=self.agreed_deletion(request, rows))
        keys = [key for group in lists for key in (group.pk, group.revision)]
        where = next(iter(lists)) if len(lists) == 1 else count(len(lists), "group")
        words = f"{count(len(rows), 'rule')} of {where} deleted."
        self.done(request, words, *(("rules", *keys) if len(lists) <= MOST_UNDONE else ()))

    undoes = frozenset({"rules"})

    def undo(self, request: HttpRequest, what: str, numbers: Sequence[int]) -> str:
        revisions = dict(zip(numbers[::2], numbers[1::2], strict=len(numbers) % 2 == 0))
        groups = list(SecurityGroup.objects.live().select_related("project").filter(pk__in=revisions).order_by("pk"))
        if not groups:
            raise Http404
        operations.undo_lists(numbers={group: revisions[group.pk] for group in groups}, by=by(request, UNDONE))
        return f"Undone: the rules of {', '.join(map(str, groups))} are as they were before."


@admin.register(GroupTemplate)
class GroupTemplateAdmin(ThroughOperations):
    """The platform's templates are those without a project; they are on offer in every project."""

    project_path = "project"
    list_tells = True
    form = AdminTemplateForm
    list_display = ("name", "of_project", "description", "created_at")
    list_select_related = ("project",)
    search_fields = ("^name", "=project__slug", "^project__name")
    search_help_text = "The beginning of the name or of the project's, or the project's slug."
    autocomplete_fields = ("project",)
    readonly_fields = ("in_words",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else ()

    @admin.display(description="In words")
    def in_words(self, template: GroupTemplate) -> SafeString:
        """What a group that is made from it begins with."""
        rules = ((rule_sentence(rule),) for rule in rules_from_json(template.rules))
        return format_html("<ol>{}</ol>", format_html_join("", "<li>{}</li>", rules))

    def save_model(self, request: HttpRequest, obj: GroupTemplate, form: Any, change: bool) -> None:
        operations.write_template(template=obj, by=by(request))

    def delete_model(self, request: HttpRequest, obj: GroupTemplate) -> None:
        operations.delete_template(template=obj, by=by(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[GroupTemplate]) -> None:
        for template in queryset.select_related("project").order_by("pk"):
            self.delete_model(request, template)
