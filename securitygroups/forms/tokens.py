"""API tokens: what a new one is called, what it is good for, from where, and until when."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from securitygroups.fields import LineFormField, begins_focused
from securitygroups.firewall.texts import shown
from securitygroups.forms.parts import PLAIN
from securitygroups.models import MOST_NETWORKS, ApiToken, Project, Scope

SCOPES = {
    Scope.READ: "Look at groups, rules, VMs and what was done, as a viewer does.",
    Scope.TEST: "Ask what becomes of a packet, and what the internet reaches.",
    Scope.WRITE: "Create, change and delete groups, rules and VMs, as an editor does.",
    Scope.MEMBERS: "Invite and remove members and change their roles, as an owner does.",
    Scope.INVENTORY: "Bring the list of VMs into line with your inventory: VMs are created, changed and deleted.",
    Scope.UNASKED: "Make also what the panel asks a person about first, such as opening SSH to the world.",
}
"""What each lets a program do. It never gets further than whoever it acts for."""

DAY, NEVER = "day", "never"
LASTS = {
    "30": ("30 days", "For a try, or for work that ends."),
    "90": ("90 days", "Good for most: make another one before it ends."),
    "366": ("366 days", "As long as one with an end may last."),
    DAY: ("Until a day", "That day is its last, in your time zone."),
    NEVER: (
        "Without an end",
        "Unwise: found years later in an old backup or log, it still opens everything that it does today.",
    ),
}
LONGEST = 365
"""Days until the last one that can be chosen: it ends with that day."""


class TokenForm(forms.Form):
    """`projects` are those a person's own token may be limited to, None for a project's; `strong` says whether the session
    has a second factor, without which a token opens no project that asks for one; `others` are the tokens beside it."""

    name = LineFormField(
        label="Name",
        max_length=60,
        help_text="Which program has it, such as: deployment. It stands on record with everything that the program does.",
        error_messages={"required": "Type a name by which you will know the program, such as: deployment."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick what the program needs, and no more."},
    )
    projects = forms.MultipleChoiceField(
        label="Projects",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all of yours, those too that you join later.",
    )
    networks = forms.CharField(
        label="From where",
        required=False,
        max_length=MOST_NETWORKS * 60,
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono short", **PLAIN}),
        help_text="One address or network a line, such as 203.0.113.0/24. Empty: from everywhere.",
    )
    lasts = forms.ChoiceField(
        label="Good for",
        choices=[(value, label) for value, (label, _) in LASTS.items()],
        initial="90",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose how long it is good."},
    )
    until = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={"invalid": "Type a day as year, month and day, such as 2027-03-31."},
    )

    def __init__(
        self,
        *args: Any,
        projects: Sequence[Project] | None,
        strong: bool,
        others: Sequence[ApiToken],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.of_projects = {project.slug: project for project in projects or ()}
        self.strong, self.others = strong, others
        if projects is None:
            del self.fields["projects"]
        else:
            self.fields["projects"].choices = [(each.slug, each.name) for each in projects]  # type: ignore[attr-defined]
        begins_focused(self)

    @property
    def scope_choices(self) -> list[tuple[Any, str]]:
        """Each box with the sentence beside it."""
        return [(box, SCOPES[Scope(box.data["value"])]) for box in self["scopes"]]

    @property
    def lasts_choices(self) -> list[tuple[Any, str]]:
        return [(button, LASTS[button.data["value"]][1]) for button in self["lasts"]]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if any(other.name.casefold() == name.casefold() for other in self.others):
            # The record would not tell the two apart, and who sends the page of a secret once more makes no second one.
            raise ValidationError("There is a good token of this name already: type another, or revoke that one first.")
        return name

    def clean_scopes(self) -> list[str]:
        scopes: list[str] = self.cleaned_data["scopes"]
        if Scope.UNASKED in scopes and not {Scope.WRITE, Scope.INVENTORY} & set(scopes):
            raise ValidationError(
                f"“{Scope.UNASKED.label}” is of use only with “{Scope.WRITE.label}” or “{Scope.INVENTORY.label}”: tick one, or untick it."
            )
        return scopes

    def clean_projects(self) -> list[Project]:
        chosen = [self.of_projects[slug] for slug in self.cleaned_data["projects"]]
        closed = [project for project in chosen if project.second_factor and not self.strong]
        if closed:
            raise ValidationError(
                f"{shown(closed[0].name)} asks for a second factor: sign in with one before you make a token for it."
            )
        return chosen

    def clean_networks(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["networks"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        today, until, lasts = timezone.localdate(), cleaned.get("until"), cleaned.get("lasts")
        latest = today + timedelta(days=LONGEST)
        if lasts == DAY and until is None and "until" not in self.errors:
            self.add_error("until", "Type the last day on which it is good.")
        elif lasts == DAY and until is not None and not today <= until <= latest:
            self.add_error("until", f"Type a day from today up to {latest:%-d %B %Y}.")
        elif lasts != DAY and until is not None:
            self.add_error("until", f"Choose “{LASTS[DAY][0]}” for this day to count, or leave it empty.")
        return cleaned

    def expires_at(self) -> datetime | None:
        """When it ends, of a form that is valid."""
        lasts = self.cleaned_data["lasts"]
        if lasts == NEVER:
            return None
        if lasts != DAY:
            return timezone.now() + timedelta(days=int(lasts))
        after = self.cleaned_data["until"] + timedelta(days=1)
        return datetime.combine(after, time(), timezone.get_current_timezone())
