"""Where rules are in force, as pages show it: in words with an icon, and in a word or two in lists."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from securitygroups.enforcement.applied import Kind, Standing
from securitygroups.templatetags.ui import badge

register = template.Library()

# How it looks, and its icon.
_LOOKS = {
    Kind.NOWHERE: ("warning", "ban"),
    Kind.NO_AGENT: ("warning", "ban"),
    Kind.REVOKED: ("danger", "ban"),
    Kind.SILENT: ("warning", "clock"),
    Kind.REFUSED: ("danger", "circle-alert"),
    Kind.DRIFTED: ("warning", "pencil"),
    Kind.IN_FORCE: ("accept", "shield-check"),
    Kind.APPLYING: ("info", "hourglass"),
}


def near(moment: datetime) -> str:
    """The time of a moment of today, and the day before it of any other, in the reader's zone."""
    local, now = timezone.localtime(moment), timezone.localtime()
    if local.date() == now.date():
        return f"{local:%H:%M}"
    return f"{local:%-d %B, %H:%M}" if local.year == now.year else f"{local:%-d %B %Y, %H:%M}"


@register.filter
def standing_words(standing: Standing) -> str:
    return standing.sentence(near)


@register.filter
def drift_lines(standing: Standing) -> str:
    return "\n".join(standing.drift)


@register.filter
def standing_look(standing: Standing) -> str:
    return _LOOKS[standing.kind][0]


@register.filter
def standing_icon(standing: Standing) -> str:
    return _LOOKS[standing.kind][1]


@register.filter
def is_quiet(standing: Standing) -> bool:
    """Whether nobody has to do anything about it."""
    return standing.kind in (Kind.IN_FORCE, Kind.APPLYING)


@register.simple_tag
def standing_badge(standing: Standing | None) -> SafeString:
    """Of a VM in a list: nothing where its rules are in force, or where nothing is known of hosts."""
    if standing is None or standing.is_in_force:
        return SafeString("")
    look, shape = _LOOKS[standing.kind]
    kind = {"danger": "drop"}.get(look, look)
    return format_html('<span title="{}">{}</span>', standing_words(standing), badge(kind, shape, standing.short))
