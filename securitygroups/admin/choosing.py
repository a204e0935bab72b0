"""Foreign keys are chosen by typing how the name begins: from a list with a script, in a field of its own without."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest

from securitygroups.admin import search

OFFERED = 8
"""So many are named where several begin as was typed."""


class Typed(str):
    """What stands in the field that is there without a script."""

    __slots__ = ()


class KeySelect(AutocompleteSelect):
    """Django's own fails on a key that is no number, and is an empty list without its script."""

    template_name = "admin/key_select.html"

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        # Digits alone are not enough, since Python makes no number of thousands of them; 18 hold any key there is.
        keys = [key for key in value if str(key).isdecimal() and len(str(key)) < 19]
        return super().optgroups(name, keys, attr)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return super().value_from_datadict(data, files, name) or Typed(data.get(f"{name}_typed", "")[:200].strip())

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        typed = value if isinstance(value, Typed) else ""
        context = super().get_context(name, None if typed else value, attrs)
        return {**context, "typed": typed, "noun": self.field.remote_field.model._meta.verbose_name}


class KeyField(forms.ModelChoiceField[Model]):
    """`found` gives the rows that begin as was typed, each with what tells it apart."""

    def __init__(self, *args: Any, found: Callable[[str], list[tuple[Model, str]]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.found = found

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, Typed) or not value:
            return super().to_python(value)
        rows = self.found(value)
        if not rows:
            raise ValidationError("Nothing begins like this: type less of the name, or the ID.")
        if len(rows) > 1:
            names = "; ".join(text for _, text in rows[:OFFERED]) + ("; …" if len(rows) > OFFERED else "")
            raise ValidationError(f"Several begin like this: {names}. Type the ID or slug of one.")
        return rows[0][0]


class Chooses(admin.options.BaseModelAdmin[Any]):
    """A model's pages with such fields."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", KeySelect(db_field, self.admin_site))
            found = partial(self._begin_so, request, db_field.remote_field.model)
            kwargs.setdefault("form_class", partial(KeyField, found=found))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        around = field.widget if field is not None else None
        if isinstance(around, RelatedFieldWidgetWrapper):
            # Its buttons open other windows: each thing has its page here.
            around.can_add_related = around.can_change_related = around.can_view_related = False
        return field

    def _begin_so(self, request: HttpRequest, model: type[Model], typed: str) -> list[tuple[Model, str]]:
        """What the person could look up in the list of these, too."""
        panel: Any = self.admin_site.get_model_admin(model)
        if not panel.has_view_permission(request):
            return []
        condition = search.find(model, panel.get_search_fields(request), typed).condition
        rows = panel.get_queryset(request).filter(condition).select_related(*panel.list_select_related or ())
        names = [(row, panel.choice(row)) for row in rows.order_by("pk")[: OFFERED + 1]]
        exactly = [each for each in names if typed.lower() in each[1].lower().split(" – ")[1:]]
        return exactly if len(exactly) == 1 else names
