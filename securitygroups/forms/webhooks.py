"""Where a project wants to be told what happens in it, and of what."""

from django import forms

from securitygroups.fields import LineFormField
from securitygroups.models import Event

CHOICES = [each for each in Event.Verb.choices if each[0] != Event.Verb.WEBHOOK_TESTED]
"""A test is sent where it was asked for, and nowhere else."""


class WebhookForm(forms.Form):
    name = LineFormField(
        label="Name",
        max_length=60,
        help_text="What it is for, such as: tickets, or the chat of the night shift.",
        error_messages={"required": "Type a name, such as what the receiver is for."},
    )
    url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="It begins with https://, and the internet reaches it.",
        widget=forms.URLInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Type the address of your receiver, such as https://hooks.example.com/karenpanel."},
    )
    kinds = forms.MultipleChoiceField(
        label="What is sent",
        choices=CHOICES,
        required=False,
        help_text="Choose none, and everything is sent, also what later versions have in addition.",
        widget=forms.CheckboxSelectMultiple(attrs={"class": "kinds"}),
    )
