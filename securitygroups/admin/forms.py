"""The admin's own forms: all fields on one page, and what a page of the panel leads to step by step is typed."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from securitygroups.firewall.formats.documents import rule_to_json, rules_from_json
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.forms import GroupForm, MachineForm, RuleForm
from securitygroups.models import GroupTemplate, Project, SecurityGroup, User
from securitygroups.operations.people import ABOUT, RIGHTS


class PersonForm(forms.ModelForm[User]):
    """An account and its rights. Without an address nobody can be sent a link to choose a password."""

    class Meta:
        model = User
        fields = ABOUT + RIGHTS

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
    """All fields at once: one that the protocol lacks is refused at its field instead of being taken away."""

    follows_protocol = False
    place = forms.IntegerField(label="Place in the list", min_value=1)
    # The group's revision that the page was drawn from. It is asked of existing rules only: a new one has none.
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
            # The group's own field has said what is wrong.
            return cleaned
        if self.instance.pk and cleaned.get("base") != group.revision:
            raise ValidationError("The group's rules were changed in the meantime: load the page again.")
        # A new rule may go behind the last one; one that is moved is already counted.
        last = group.rules.count() + (0 if self.instance.pk else 1)
        if cleaned.get("place") and cleaned["place"] > last:
            self.add_error("place", f"The last possible place is {last}: type a number from 1 to {last}.")
        return cleaned


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


class AdminMachineForm(MachineForm):
    """A VM with its groups, which are typed: their order matters, and no choice of Django's keeps one."""

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
        cleaned["groups"] = self._groups(str(cleaned.get("ordered_groups", "")).split())
        return cleaned

    def _groups(self, ids: list[str]) -> list[SecurityGroup]:
        """The project's groups of these IDs, in their order."""
        project = self.instance.project_id or getattr(self.cleaned_data.get("project"), "pk", None)
        # A foreign group's ID is told like one that does not exist: whose it is, is not said.
        found = {g.public_id: g for g in SecurityGroup.objects.live().filter(public_id__in=ids, project=project)}
        unknown = [text for text in ids if text not in found]
        if unknown:
            self.add_error("ordered_groups", f"The project has no group {unknown[0][:40]}: type IDs of its own groups.")
        # As often as it was typed: that a group is there twice, the operation refuses in its own words.
        return [found[text] for text in ids if text in found]


class MoveMachineForm(forms.Form):
    """Where to. Typed, because a list to choose from would be as long as the platform has projects."""

    target = forms.ModelChoiceField(
        label="Slug of the other project",
        queryset=Project.objects.all(),
        to_field_name="slug",
        widget=forms.TextInput,
        error_messages={"invalid_choice": "There is no project of this slug: look it up under Projects."},
    )
