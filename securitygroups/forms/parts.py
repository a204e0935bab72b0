"""What several forms share: a port, and where a refusal is shown."""

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.forms.utils import ErrorDict
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString

from securitygroups.fields import NetworkFormField, refusal
from securitygroups.firewall.several import read_networks
from securitygroups.firewall.texts import shown
from securitygroups.firewall.values import Network, Refused, address_text, parse_address, whole_number
from securitygroups.models import VirtualMachine

Form = TypeVar("Form", bound=forms.BaseForm)
MOST_NAMED = 100
"""VMs that are named in one field."""
MOST_DIGITS = 999_999_999
PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


def options(choices: Iterable[Any]) -> SafeString:
    """The options of a select with very many: what Django's own cost is felt from some hundred on."""
    return format_html_join("", '<option value="{}">{}</option>', choices)


def chosen_in(drawn: SafeString, value: Any) -> SafeString:
    """The same with this value selected."""
    # In what is escaped no text has quotation marks: a value is found nowhere but at its own option.
    at = f'<option value="{escape("" if value is None else value)}"'
    return SafeString(drawn.replace(f"{at}>", f"{at} selected>", 1))


class LongSelect(forms.Select):
    """A select that may have a thousand options; it draws the same."""

    template_name = "ui/long_select.html"

    def optgroups(self, name: str, value: list[str], attrs: dict[str, Any] | None = None) -> list[Any]:
        return []

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        context["options"] = chosen_in(options(self.choices), value)
        return context


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


def _wanted(text: str) -> tuple[Q, str]:
    """How the VM of this name, address or ID is found, and the address as it is kept, "" for none."""
    wanted = Q(public_id__iexact=text) | Q(name__iexact=text)
    try:
        version, number = parse_address(text)
    except Refused:
        return wanted, ""
    address = address_text(version, number)
    return wanted | Q(**{f"ipv{version}": address}), address


def machines_named(rows: QuerySet[VirtualMachine], texts: Sequence[str]) -> list[VirtualMachine]:
    """The VMs that have these names, addresses or IDs, each once (one query). Raises ValidationError."""
    if len(texts) > MOST_NAMED:
        raise ValidationError(f"These are {len(texts)} VMs, and {MOST_NAMED} at once is the most: type fewer.")
    asked = {text: _wanted(text) for text in texts}
    found = list(rows.filter(reduce(or_, (q for q, _ in asked.values())))) if asked else []
    chosen: dict[int, VirtualMachine] = {}
    for text, (_, address) in asked.items():
        its = [
            vm
            for vm in found
            if text.casefold() in (vm.name.casefold(), vm.public_id) or (address and address in vm.addresses)
        ]
        if len(its) != 1:
            what = "Two VMs fit" if its else "The project has no VM"
            raise ValidationError(f"{what} “{shown(text)}”: type the name, address or ID of one.")
        chosen[its[0].pk] = its[0]
    return list(chosen.values())


def machine_named(rows: QuerySet[VirtualMachine], text: str) -> VirtualMachine:
    """The one of these VMs that has this name, address or ID. Raises ValidationError."""
    found = list(rows.filter(_wanted(text)[0])[:2])
    if len(found) != 1:
        what = "Two VMs fit this" if found else "The project has no VM of this name, address or ID"
        raise ValidationError(f"{what}: choose one of the names that are proposed, or copy it from Virtual Machines.")
    return found[0]


class NumberField(forms.IntegerField):
    """A whole number in plain digits."""

    default_error_messages = {"invalid": "Type a whole number in digits, such as 1."}

    def clean(self, value: Any) -> Any:
        # Python reads more as a number than people write as one: 2_2, +22, digits of other scripts. Numbers beyond any
        # column would crash the database driver before a check could speak.
        if isinstance(value, str) and value.strip() and whole_number(value.strip(), MOST_DIGITS) is None:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().clean(value)


class PortField(NumberField):
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


class PortsField(forms.CharField):
    """One of the two fields that say ports, as it was typed: what both say together is the form's to read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "required": False,
                "max_length": 1_000,
                "widget": forms.TextInput(attrs={"class": "mono", **PLAIN, "size": 6}),
                **kwargs,
            }
        )

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and str(initial if initial is not None else "") != str(data or "").strip()


class NetworksField(NetworkFormField):
    """One address or network, or several: a list of them makes several rules. Gives a tuple, empty for any address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "max_length": 5_000})

    def to_python(self, value: Any) -> Any:
        if isinstance(value, Network):
            return (value,)
        text = forms.CharField.to_python(self, value) or ""
        try:
            return read_networks(text)
        except Refused as refused:
            raise refusal(refused.problem) from None

    def run_validators(self, value: Any) -> None:
        forms.CharField.run_validators(self, ", ".join(map(str, value or ())))

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not self.disabled and self.to_python(data) != self.to_python(initial)
        except ValidationError:
            return True
