"""A group's own fields, and a document of rules."""

from typing import Any

from django import forms

from securitygroups.fields import LineFormField
from securitygroups.models import (
    GroupTemplate,
    SecurityGroup,
)


class ImportForm(forms.Form):
    """A document, uploaded or pasted, and for a new group its name."""

    name = LineFormField(label="Name", max_length=100, required=False)
    file = forms.FileField(label="File", required=False, help_text="JSON or CSV, as exported here.")
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, data: Any = None, *, new: bool) -> None:
        super().__init__(data)
        if new:
            self.fields["name"].help_text = "Empty: the name in the document."
        else:
            del self.fields["name"]


class GroupForm(forms.ModelForm[SecurityGroup]):
    class Meta:
        model = SecurityGroup
        fields = ("name", "description")
        help_texts = {"description": "What the group is for."}
        error_messages = {"name": {"required": "Type a name for the group."}}


class TemplateForm(forms.ModelForm[GroupTemplate]):
    class Meta:
        model = GroupTemplate
        fields = ("name", "description")
        error_messages = {"name": {"required": "Type a name for the template."}}
