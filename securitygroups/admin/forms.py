"""The admin's own forms: all fields on one page, and what a page of the panel leads to step by step is typed."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorList

from securitygroups.admin import search
from securitygroups.admin.choosing import KeySelect, Typed
from securitygroups.firewall import lists
from securitygroups.firewall.formats.documents import rule_to_json, rules_from_json
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.protocols import PROTOCOLS
from securitygroups.firewall.values import RuleList, whole_number
from securitygroups.forms import GroupForm, MachineForm, NumberField, RuleForm, reordered
from securitygroups.models import GroupTemplate, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations.people import ABOUT, RIGHTS
from securitygroups.proposals import Edit
from securitygroups.said import MOST_REVISIONS as MOST


class PersonForm(forms.ModelForm[User]):
    """An account and its rights. Without an address nobody can be sent a link to choose a password."""

    class Meta:
        model = User
        fields = ABOUT + RIGHTS
        help_texts: ClassVar[dict[str, str]] = {
            "is_active": "Who is switched off cannot sign in. People are never deleted: they are on record.",
            "is_staff": "May open the administration, and there what the roles below give.",
            "is_superuser": "May do everything, without any role.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            self.fields["email"].required = True

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).lower()

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).lower()

    def _get_validation_exclusions(self) -> set[str]:
        # A name or an address from before both were plain ASCII stays good until it is changed.
        kept = {"username", "email"} - set(self.changed_data)
        return super()._get_validation_exclusions() | kept  # type: ignore[misc,no-any-return]


class AdminGroupForm(GroupForm):
    """In the panel the address says the project; here it is chosen."""

    class Meta(GroupForm.Meta):
        fields = ("project", "name", "description")  # type: ignore[assignment]


class AdminRuleForm(RuleForm):
    """All fields at once: one that the protocol lacks is refused at its field instead of being taken away. With script
    they are hidden as soon as the protocol is chosen.
    """

    follows_protocol = False
    makes_several = False
    place = NumberField(label="Place in the list", min_value=1, help_text="1 is tried first.")
    # The group's revision that the page was drawn from. It is asked of existing rules only: a new one has none.
    base = forms.IntegerField(widget=forms.HiddenInput, required=False, max_value=MOST)

    class Meta(RuleForm.Meta):
        fields = ("group", *RuleForm.Meta.fields)  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"error_class": SuggestingErrors, **kwargs})
        if "protocol" in self.fields:
            columns = {name: shape.columns for name, shape in PROTOCOLS.items()}
            self.fields["protocol"].widget.attrs["data-columns"] = json.dumps(columns, default=sorted)
        if self.instance.pk:
            self.initial["place"] = self.instance.position
            self.initial["base"] = self.instance.group.revision

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        group = self.instance.group if self.instance.pk else cleaned.get("group")
        if group is None:
            # The group's own field has said what is wrong.
            return cleaned
        if self.instance.pk and cleaned.get("base") is None and "base" not in self.errors:
            raise ValidationError("The page was not sent whole: load it again.")
        # A new rule may go behind the last one; one that is moved is already counted.
        last = group.rules.count() + (0 if self.instance.pk else 1)
        if cleaned.get("place") and cleaned["place"] > last:
            self.add_error("place", f"The last possible place is {last}: type a number from 1 to {last}.")
        return cleaned

    @property
    def edit(self) -> Edit:
        """What a valid form does to a list; an existing rule is known by its identity, wherever it stands."""
        value, place = self.as_value(), int(self.cleaned_data["place"])
        uid = self.instance.uid if self.instance.pk else ""

        def change(rules: RuleList) -> RuleList:
            now = lists.place_of(rules, uid)
            return lists.move(lists.change(rules, now, value), [now], place)

        return change if uid else lambda rules: lists.insert(rules, place, value)


class SuggestingErrors(ErrorList):
    """What is wrong with a field, with what to type instead as buttons, which also work without script."""

    template_name = template_name_ul = "admin/field_errors.html"

    def get_context(self) -> dict[str, Any]:
        found = [one for error in self.as_data() for one in (error.params or {}).get("suggestions", ())]
        name = str(getattr(self, "field_id", None) or "").removeprefix("id_")
        return {**super().get_context(), "name": name, "suggestions": found if name else []}


class AdminTemplateForm(forms.ModelForm[GroupTemplate]):
    """The rules as the JSON list of a group document, checked as an import is."""

    class Meta:
        model = GroupTemplate
        fields = ("project", "name", "description", "rules")
        help_texts: ClassVar[dict[str, str]] = {
            "project": "Empty: on offer in every project.",
            "rules": 'As in the file of an exported group: [{"action": "accept", "direction": "in", "protocol": "tcp",'
            ' "port_start": 443}]',
        }

    def clean_rules(self) -> Any:
        try:
            return [rule_to_json(rule) for rule in rules_from_json(self.cleaned_data["rules"])]
        except BadDocument as error:
            raise ValidationError([str(fault) for fault in error.faults]) from None


class OrderedGroups(forms.Widget):
    """A select for each group that is chosen, in order, and empty ones for more; buttons draw it in another order."""

    template_name = "admin/ordered_groups.html"
    SPARE = 2

    def __init__(self) -> None:
        super().__init__()
        self.groups: Sequence[SecurityGroup] = ()

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        sent = data.getlist(name) if hasattr(data, "getlist") else [data.get(name, "")]
        # IDs one a line are understood too.
        ids = [text for one in sent for text in str(one).split()]
        return "\n".join(reordered(ids, data.get("redraw", "")))

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        chosen = str(value or "").split()
        spare = max(0, min(self.SPARE, settings.MAX_GROUPS_PER_MACHINE - len(chosen)))
        return {
            **super().get_context(name, value, attrs),
            "slots": [*chosen, *[""] * spare],
            "groups": self.groups,
            "known": {group.public_id for group in self.groups},
        }


class ChoosesGroups(forms.Form):
    """Groups of one project, in an order that matters: no choice of Django's keeps one."""

    ordered_groups = forms.CharField(
        label="Security groups, in order",
        required=False,
        widget=OrderedGroups,
        help_text="The rules of the first group come first. Without a group everything is denied.",
    )

    def offer(self, project: int | None) -> None:
        """The groups of this project to choose from."""
        rows = SecurityGroup.objects.live().filter(project=project).only("public_id", "name", "project_id", "revision")
        self.fields["ordered_groups"].widget.groups = list(rows) if project else []

    def chosen(self) -> list[SecurityGroup]:
        """Those that were chosen, in their order."""
        ids = str(self.cleaned_data.get("ordered_groups", "")).split()
        found = {g.public_id: g for g in self.fields["ordered_groups"].widget.groups}
        # A foreign group's ID is told like one that does not exist: whose it is, is not said.
        unknown = [text for text in ids if text not in found]
        if unknown:
            self.add_error("ordered_groups", f"The project has no group {unknown[0][:40]}: choose of its own groups.")
        twice = sorted({found[text].name for text in ids if text in found and ids.count(text) > 1})
        if twice:
            self.add_error("ordered_groups", f"{', '.join(twice)} stands twice in the list: choose each group once.")
        return [found[text] for text in ids if text in found]


class AdminMachineForm(ChoosesGroups, MachineForm):
    """A VM with its groups."""

    base = forms.IntegerField(widget=forms.HiddenInput, required=False, max_value=MOST)

    class Meta(MachineForm.Meta):
        fields = ("project", *MachineForm.Meta.fields, "external_id")  # type: ignore[assignment]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            attached = self.instance.attachments.select_related("group").order_by("position")
            self.initial["ordered_groups"] = "\n".join(a.group.public_id for a in attached)
            self.initial["base"] = self.instance.revision
        if "ordered_groups" in self.fields:  # staff who may only look have a form without fields
            self.offer(self.instance.project_id or self._project())

    def _project(self) -> int | None:
        """The one that a new VM is to be in, as far as that was said."""
        if "project" not in self.fields:
            return None
        value = self["project"].value()
        if isinstance(value, Typed):
            with suppress(ValidationError):
                value = getattr(self.fields["project"].to_python(value), "pk", None)
        return whole_number(str(value or ""), MOST)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.instance.pk and cleaned.get("base") is None and "base" not in self.errors:
            raise ValidationError("The page was not sent whole: load it again.")
        cleaned["groups"] = self.chosen()
        return cleaned


class MoveMachineForm(forms.Form):
    """Where to: chosen by typing a part of the name, or without script among those that begin as was typed."""

    target = forms.ModelChoiceField(
        label="Project",
        queryset=Project.objects.all(),
        required=False,
        error_messages={"invalid_choice": "There is no such project any more: choose again."},
    )
    find = forms.CharField(label="Name or slug of the project", required=False, max_length=200)

    def __init__(self, data: Any = None, *, site: AdminSite) -> None:
        super().__init__(data)
        self.fields["target"].widget = KeySelect(VirtualMachine._meta.get_field("project"), site)
        self.fields["target"].widget.choices = self.fields["target"].choices  # type: ignore[attr-defined]
        self.found: list[Project] = []

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("target") or self.errors:
            return cleaned
        if not cleaned.get("find"):
            raise ValidationError("Choose the project that they go to.")
        condition = search.find(Project, ("^name", "=slug"), cleaned["find"]).condition
        self.found = list(Project.objects.filter(condition).order_by("name", "pk")[: self.MOST_FOUND])
        if not self.found:
            raise ValidationError("No project begins like this, and none has this slug: type less of its name.")
        if len(self.found) > 1:
            raise ValidationError("Several projects begin like this: choose one of them.")
        cleaned["target"] = self.found[0]
        return cleaned

    MOST_FOUND = 20
