"""The administration's templates, and the way there from the panel."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import template
from django.db.models import Model
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from securitygroups.templatetags.ui import icon

register = template.Library()


@register.filter
def labelled(cells: Iterable[str], headers: Sequence[dict[str, Any]]) -> list[SafeString]:
    """The cells of a row, each with the name of its column, for where a row is a card and has no head above it."""
    named = zip(cells, headers, strict=False)
    return [_labelled(cell, str(header["text"])) for cell, header in named]


def _labelled(cell: str, name: str) -> SafeString:
    # The column of check boxes has markup for its name.
    if "<" in name:
        return SafeString(cell)
    label = f' data-label="{escape(name[:1].upper() + name[1:])}"'
    return SafeString(cell[:3] + label + cell[3:])


@register.simple_tag(takes_context=True)
def in_admin(context: template.Context, row: Model, kind: str = "btn") -> SafeString:
    """A link to the row's page in the administration, for whom it opens there. A customer never gets to see it."""
    user, name = context.get("user"), row._meta.model_name
    # Of customers no permission is asked: that would cost them a query.
    if not getattr(user, "is_staff", False) or not any(
        user.has_perm(f"securitygroups.{deed}_{name}")  # type: ignore[union-attr]
        for deed in ("view", "change")
    ):
        return SafeString("")
    page = reverse(f"admin:securitygroups_{name}_change", args=[row.pk])
    return format_html('<a class="{}" href="{}">{} Open in admin</a>', kind, page, icon("wrench"))
