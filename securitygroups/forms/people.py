"""Members, visits of support and what is written to cases."""

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q

from securitygroups.models import (
    Membership,
    Role,
    User,
    one_line,
)


class MemberForm(forms.Form):
    """Add a person who has an account, by user name or e-mail address."""

    person = forms.CharField(
        label="User name or e-mail address", max_length=254, error_messages={"required": "Type who you want to add."}
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)

    def clean_person(self) -> User:
        text = self.cleaned_data["person"].strip()
        users = list(User.objects.filter(Q(username__iexact=text) | Q(email__iexact=text), is_active=True)[:2])
        if len(users) != 1:
            raise ValidationError(
                "Nobody here has this name or address: check the spelling, or ask the platform's support to make an account."
            )
        return users[0]


class RoleForm(forms.ModelForm[Membership]):
    class Meta:
        model = Membership
        fields = ("role",)


class VisitForm(forms.Form):
    """Why support looks into a customer's project; the customer reads it."""

    reason = forms.CharField(
        label="Reason",
        max_length=255,
        validators=[one_line],
        help_text="The customer can read it.",
        error_messages={"required": "Type why you look into this project."},
    )
    ticket = forms.CharField(
        label="Ticket",
        max_length=100,
        validators=[one_line],
        error_messages={"required": "Type the number of the customer's ticket."},
    )


class CaseForm(forms.Form):
    note = forms.CharField(label="Note", max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class NoteForm(forms.Form):
    text = forms.CharField(label="Add a note", max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
