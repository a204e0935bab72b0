"""What a saved view of a list is called, and who sees it."""

from typing import Any

from django import forms

from securitygroups.fields import LineFormField


class ViewForm(forms.Form):
    name = LineFormField(label="Name", max_length=40, error_messages={"required": "Type a name for the view."})
    shared = forms.BooleanField(
        label="Share it with the project",
        required=False,
        help_text="Every member sees it then, and editors can change it.",
    )

    def __init__(self, *args: Any, may_share: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_share:
            del self.fields["shared"]
