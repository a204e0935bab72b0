"""A document of rules, and which of its groups are to be made."""

from collections.abc import Mapping
from typing import Any

from django import forms

from securitygroups.fields import LineFormField
from securitygroups.firewall.formats.documents import MAX_NAME


class ImportForm(forms.Form):
    """A document, uploaded or pasted, and for a new group its name."""

    name = LineFormField(label="Name", max_length=MAX_NAME, required=False)
    file = forms.FileField(
        label="File",
        required=False,
        help_text="As exported here, a table with named columns (CSV, Excel, OpenDocument), or the rules of another system.",
    )
    text = forms.CharField(
        label="Or paste it",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "mono", "spellcheck": "false"}),
    )

    def __init__(self, data: Any = None, *, new: bool) -> None:
        super().__init__(data)
        if new:
            self.fields["name"].help_text = "Empty: the name in the file. Several groups in one file keep theirs."
        else:
            del self.fields["name"]


class PickForm(forms.Form):
    """Which groups of a file are made, and under which names: `names` has those that the file gives them, by their places
    there, `fit` the places of those that are ticked at first."""

    def __init__(self, data: Any = None, *, names: Mapping[int, str], fit: frozenset[int]) -> None:
        super().__init__(data)
        for at, name in names.items():
            # Not required by itself: a group that is left out needs no name.
            self.fields[f"name-{at}"] = LineFormField(
                label=name or "A group without a name", max_length=MAX_NAME, required=False, initial=name
            )
            self.fields[f"take-{at}"] = forms.BooleanField(
                label=f"Import {name or 'this group'}", required=False, initial=at in fit
            )
        self._places = tuple(names)

    def clean(self) -> dict[str, Any]:
        found = self.cleaned_data
        left_out = [at for at in self._places if not found.get(f"take-{at}")]
        for at in left_out:
            # What is wrong with its name is wrong with nothing.
            self.errors.pop(f"name-{at}", None)
        for at in set(self._places).difference(left_out):
            if f"name-{at}" in found and not found[f"name-{at}"]:
                self.add_error(f"name-{at}", "Type a name for the group.")
        if len(left_out) == len(self._places):
            self.add_error(None, "Tick at least one group.")
        return found

    @property
    def picked(self) -> dict[int, str]:
        """The name of each group that is ticked, by its place in the file."""
        found = self.cleaned_data
        return {at: found.get(f"name-{at}", "") for at in self._places if found.get(f"take-{at}")}
