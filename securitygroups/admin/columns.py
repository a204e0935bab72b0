"""Columns that lists have in common: to whom a row belongs, as a link, and what the panel shows as a badge."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

NOBODY = SafeString('<span class="muted">–</span>')


def link(instance: Model, text: str = "") -> SafeString:
    """To the object's own page in the admin."""
    name = f"admin:{instance._meta.app_label}_{instance._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[instance.pk]), text or str(instance))


@lru_cache(maxsize=64)
def _badge(kind: str, value: str = "") -> SafeString:
    """As the panel draws it. There are few, and each stands in many rows."""
    return SafeString(render_to_string("admin/badge.html", {"kind": kind, "value": value}).strip())


def _of(row: Any, path: str) -> SafeString:
    """What a row refers to, some steps away."""
    for name in path.split("__"):
        row = getattr(row, name) if row is not None else None
    return link(row) if row is not None else NOBODY


def in_order(lines: Iterable[str]) -> SafeString:
    """One line after the other, counted."""
    told = format_html_join("", "<li>{}</li>", ((line,) for line in lines))
    return format_html("<ol>{}</ol>", told) if told else NOBODY


def clock(moment: datetime) -> str:
    """The time of a moment of today; of another one with its day."""
    local, today = timezone.localtime(moment), timezone.localdate()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%-d %B %Y, %H:%M}"


class Columns(admin.ModelAdmin[Any]):
    """A list that names one of these has to join what it shows: list_select_related."""

    project_path: str | None = None

    def choice(self, row: Any) -> str:
        """What tells it apart where it is chosen by typing."""
        told = (
            str(getattr(row, name, None) or "") for name in ("public_id", "slug", "email", "ipv4", "ipv6", "project")
        )
        return " – ".join([str(row), *filter(None, told)])

    @admin.display(description="Project")
    def of_project(self, row: Any) -> SafeString:
        return _of(row, self.project_path or "project")

    @admin.display(description="Group")
    def of_group(self, row: Any) -> SafeString:
        return _of(row, "group")

    @admin.display(description="Virtual machine")
    def of_machine(self, row: Any) -> SafeString:
        return _of(row, "machine")

    @admin.display(description="Case")
    def of_case(self, row: Any) -> SafeString:
        return _of(row, "case")

    @admin.display(description="Person")
    def of_user(self, row: Any) -> SafeString:
        return _of(row, "user")

    @admin.display(description="Actor name")
    def by_whom(self, row: Any) -> str:
        """As the customer's own pages say it: with the token, where it was a program."""
        return str(row.who)

    @admin.display(description="Action")
    def action_badge(self, row: Any) -> SafeString:
        badge = _badge("action", row.action)
        return badge if row.enabled else format_html("{} {}", badge, _badge("off"))

    @admin.display(description="Verdict")
    def verdict_badge(self, row: Any) -> SafeString:
        return _badge("action", row.verdict)

    @admin.display(description="Direction")
    def direction_mark(self, row: Any) -> SafeString:
        return _badge("direction", row.direction)

    @admin.display(description="Protocol")
    def protocol_badge(self, row: Any) -> SafeString:
        return _badge("protocol", row.get_protocol_display())

    @admin.display(description="Browser")
    def browser(self, row: Any) -> SafeString:
        """As people call it; what it said of itself is on the row's own page."""
        return _badge("browser", row.agent) if row.agent else NOBODY

    @admin.display(description="Addresses")
    def addresses(self, row: Any) -> SafeString:
        """In one column: few rules have both."""
        ends = [(word, end) for word, end in (("from", row.source), ("to", row.destination)) if end]
        told = format_html_join("", '<span class="end">{} {}</span>', ends)
        return told or SafeString("–")

    @admin.display(description="Ports")
    def port_range(self, row: Any) -> str:
        first, last = row.port_start, row.port_end
        return "–" if first is None else str(first) if first == last else f"{first}–{last}"
