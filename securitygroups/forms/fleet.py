"""What is done with the groups of many VMs."""

from typing import Any

from django import forms
from django.conf import settings

from securitygroups.firewall.deeds import ABOVE, ATTACH, DETACH, FIRST, LAST, MOVE, REPLACE, Deed
from securitygroups.forms.parts import LongSelect
from securitygroups.models import Project, SecurityGroup

DEEDS = [
    (ATTACH, "Attach a group"),
    (DETACH, "Detach a group"),
    (REPLACE, "Replace a group by another"),
    (MOVE, "Move a group in the order"),
]
PLACES = [
    (LAST, "Last, after the VM's other groups"),
    (FIRST, "First, before the VM's other groups"),
    (ABOVE, "Above the group that denies all, or last where there is none"),
]


GONE = "This group has been deleted in the meantime: choose another."


class FleetForm(forms.Form):
    """One thing to do with one group. Works without script: what belongs to another choice is passed over."""

    do = forms.ChoiceField(label="What to do", choices=DEEDS, widget=forms.RadioSelect(attrs={"class": "cards"}))
    group = forms.TypedChoiceField(
        label="Security Group",
        widget=LongSelect,
        empty_value=None,
        error_messages={"required": "Choose a security group.", "invalid_choice": GONE},
    )
    other = forms.TypedChoiceField(
        label="Replace it by",
        widget=LongSelect,
        required=False,
        empty_value=None,
        help_text="It takes the same place. A VM that has it already only loses the first.",
        error_messages={"invalid_choice": GONE},
    )
    place = forms.ChoiceField(
        label="Place", choices=PLACES, required=False, widget=forms.RadioSelect(attrs={"class": "cards"}), initial=LAST
    )

    def __init__(self, data: Any = None, *, project: Project, initial: Any = None) -> None:
        super().__init__(data, initial={"do": ATTACH, "place": LAST, **(initial or {})})
        # Read once for both.
        rows = SecurityGroup.objects.live().filter(project=project).only("public_id", "name")
        groups = {group.public_id: group for group in rows}
        for name in ("group", "other"):
            field = self.fields[name]
            field.choices = [("", "Choose a group"), *((key, group.name) for key, group in groups.items())]  # type: ignore[attr-defined]
            field.coerce = groups.__getitem__  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("do") == REPLACE and "other" not in self.errors:
            if cleaned.get("other") is None:
                self.add_error("other", "Choose the group that comes instead.")
            elif cleaned["other"] == cleaned.get("group"):
                self.add_error("other", "This is the same group: choose another.")
        return cleaned

    @property
    def names(self) -> list[str]:
        """The groups that it is about, as they are called."""
        both = [self.cleaned_data["group"], self.cleaned_data["other"]]
        return [group.name for group in both[: 2 if self.cleaned_data["do"] == REPLACE else 1]]

    def deed(self) -> Deed:
        cleaned = self.cleaned_data
        other = cleaned["other"].pk if cleaned["do"] == REPLACE else 0
        place = cleaned["place"] or LAST
        return Deed(cleaned["do"], cleaned["group"].pk, settings.MAX_GROUPS_PER_MACHINE, other, place)
