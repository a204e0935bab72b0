"""What several forms share: a port, and where a refusal is shown."""

from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.forms.utils import ErrorDict

from securitygroups.firewall.values import Refused, address_text, parse_address
from securitygroups.models import VirtualMachine

Form = TypeVar("Form", bound=forms.BaseForm)


def take_refusal(form: forms.BaseForm, refusal: ValidationError) -> None:
    """Show what an operation refused at the form's fields, or above the form where it has no such field."""
    # Errors of fields that this form does not show stand above it: a refusal never goes unsaid.
    if hasattr(refusal, "error_dict"):
        for name, errors in refusal.error_dict.items():
            for error in errors:
                form.add_error(name if name in form.fields else None, error)
    else:
        form.add_error(None, refusal)


def as_typed(form: Form) -> Form:
    """The form as it was typed, to be drawn: nothing is checked, and nothing is said to be wrong."""
    form._errors = ErrorDict()  # type: ignore[attr-defined]
    return form


def machine_named(rows: QuerySet[VirtualMachine], text: str) -> VirtualMachine:
    """The one of these VMs that has this name, address or ID. Raises ValidationError."""
    wanted = Q(public_id__iexact=text) | Q(name__iexact=text)
    try:
        version, number = parse_address(text)
        wanted |= Q(**{f"ipv{version}": address_text(version, number)})
    except Refused:
        pass
    found = list(rows.filter(wanted)[:2])
    if len(found) != 1:
        what = "Two VMs fit this" if found else "The project has no VM of this name, address or ID"
        raise ValidationError(f"{what}: choose one of the names that are proposed, or copy it from Virtual Machines.")
    return found[0]


class PortField(forms.IntegerField):
    """A port, or nothing. Out of range is the protocol table's refusal, in its words."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "required": False,
                "widget": forms.TextInput(
                    attrs={"inputmode": "numeric", "class": "mono", "autocomplete": "off", "size": 6}
                ),
                "error_messages": {"invalid": "Type a whole number from 0 to 65535."},
                **kwargs,
            }
        )

    def clean(self, value: Any) -> Any:
        # Numbers beyond any column would crash the database driver before a check could speak.
        if isinstance(value, str) and len(value.strip()) > 9:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().clean(value)
