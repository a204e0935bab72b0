"""Members, visits of support and what is written to cases."""

from typing import Any

from django import forms

from securitygroups.fields import LineFormField, LinesFormField
from securitygroups.models import Invitation, Membership


class InviteForm(forms.ModelForm[Invitation]):
    """Ask an e-mail address into the project. There is no list of people to choose from."""

    class Meta:
        model = Invitation
        fields = ("email", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].error_messages["required"] = "Type the address of the person whom you want to invite."


class RoleForm(forms.ModelForm[Membership]):
    class Meta:
        model = Membership
        fields = ("role",)


class VisitForm(forms.Form):
    """Why support looks into a customer's project; the customer reads it."""

    reason = LineFormField(
        label="Reason",
        max_length=255,
        help_text="The customer can read it.",
        error_messages={"required": "Type why you look into this project."},
    )
    ticket = LineFormField(
        label="Ticket",
        max_length=100,
        error_messages={"required": "Type the number of the customer's ticket."},
    )


class CaseForm(forms.Form):
    note = LinesFormField(label="Note", max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class NoteForm(forms.Form):
    text = LinesFormField(label="Add a note", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))


class CloseForm(forms.Form):
    word = LineFormField(
        label="How it ended",
        max_length=255,
        help_text="The customer reads it.",
        error_messages={"required": "Type a word on how it ended, such as: rule 3 of web was missing port 8443."},
    )
