"""A group's own fields, and a template's."""

from django import forms

from securitygroups.models import (
    GroupTemplate,
    SecurityGroup,
)


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
