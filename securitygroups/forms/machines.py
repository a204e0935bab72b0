"""A VM's own fields and its ordered groups."""

from typing import Any, TypeVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from securitygroups.fields import AddressFormField
from securitygroups.firewall.values import whole_number
from securitygroups.forms.parts import chosen_in, options
from securitygroups.models import (
    MOST_TAGS,
    Project,
    SecurityGroup,
    VirtualMachine,
    to_tags,
)

T = TypeVar("T")


def reordered(chosen: list[T], order: str) -> list[T]:
    """The groups in the order that a button asked for: "up 2", "down 1", "remove 3", "above 3 1", places counted from 0."""
    do, *words = order.split(" ")
    chosen = list(chosen)
    index, to = ([whole_number(word, len(chosen) - 1) for word in words] + [None, None])[:2]
    if index is not None:
        group = chosen.pop(index)
        if do == "above" and to is not None:
            chosen.insert(to, group)
        elif do != "remove":
            chosen.insert(max(0, index + {"down": 1, "up": -1}.get(do, 0)), group)
    return chosen


class TagsField(forms.CharField):
    """Tags as a list with commas; what is wrong with one the column says."""

    def prepare_value(self, value: Any) -> Any:
        return value if value is None or isinstance(value, str) else ", ".join(value)

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, list) else to_tags(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and bool(self.to_python(data) != self.to_python(initial or ""))


class MachineForm(forms.ModelForm[VirtualMachine]):
    ipv4 = AddressFormField(version=4, label="IPv4 address")
    ipv6 = AddressFormField(version=6, label="IPv6 address")
    tags = TagsField(
        label="Tags",
        required=False,
        help_text=f"Up to {MOST_TAGS} words to find VMs by, such as web or env=prod, with commas between them.",
    )

    class Meta:
        model = VirtualMachine
        fields = ("name", "description", "ipv4", "ipv6", "tags")
        error_messages = {"name": {"required": "Type a name for the VM."}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "tags" in self.fields:
            self.fields["tags"].widget.attrs |= {
                "autocomplete": "off",
                "autocapitalize": "none",
                "spellcheck": "false",
                "list": "tag-names",
                "data-commas": True,
            }


class OrderedGroupsForm(forms.Form):
    """The groups of a VM, in order: as many selects as there are groups, and empty ones for more.

    Works without script: an empty select is passed over; "More groups" and the arrows re-draw the form.
    """

    def __init__(self, data: Any = None, *, project: Project, chosen: list[SecurityGroup], spare: int = 1) -> None:
        super().__init__(data)
        groups = list(
            SecurityGroup.objects.live().filter(project=project).only("public_id", "name", "project_id", "revision")
        )
        self.by_id = {group.public_id: group for group in groups}
        # The sent order is the list's order; the selects have one name, so a browser keeps it.
        if data is not None:
            picked = [value for value in data.getlist("group") if value]
            # Empty places that were there stay, and one more is asked for beside them.
            spare = max(spare, data.getlist("group").count("")) + ("more" in data)
        else:
            picked = [group.public_id for group in chosen]
        self.unknown = [value for value in picked if value not in self.by_id]
        self.picked = [value for value in picked if value in self.by_id]
        self.spare = spare
        self.hidden: dict[str, str] = {}
        """Groups below one that denies all they are about, each with that one, as the view has found out."""
        self.limit = settings.MAX_GROUPS_PER_MACHINE

    @property
    def slots(self) -> list[str]:
        """The chosen public ids and the empty places behind them."""
        empty = max(0, min(self.spare, self.limit - len(self.picked)))
        return self.picked + [""] * empty

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The slots, each with its options, the group that hides it and that one's place, counted from 0, where there is one.
        By its `key` a group is known again when it stands elsewhere."""
        above = {one: self.picked.index(hides) for one, hides in self.hidden.items()}
        every = options([("", "No group"), *((public_id, group.name) for public_id, group in self.by_id.items())])
        slots = self.slots
        return [
            {
                "slot": slot,
                "key": f"{slot or 'none'}-{slots[:at].count(slot)}",
                "options": chosen_in(every, slot) if slot else every,
                "by": self.by_id.get(self.hidden.get(slot, "")),
                "to": above.get(slot),
            }
            for at, slot in enumerate(slots)
        ]

    @property
    def choices(self) -> list[SecurityGroup]:
        return list(self.by_id.values())

    def groups(self) -> list[SecurityGroup]:
        return [self.by_id[value] for value in self.picked]

    def clean(self) -> dict[str, Any]:
        if self.unknown:
            raise ValidationError(
                "One of the groups has been deleted in the meantime: look through the list and try again."
            )
        twice = {self.by_id[value].name for value in self.picked if self.picked.count(value) > 1}
        if twice:
            raise ValidationError(f"{', '.join(sorted(twice))} stands twice in the list: choose each group once.")
        if len(self.picked) > self.limit:
            raise ValidationError(f"A VM can have {self.limit} groups, these are {len(self.picked)}: choose fewer.")
        return self.cleaned_data
