"""How records are read: activity by day."""

from collections.abc import Sequence
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from securitygroups.models import Event
from securitygroups.web.told import Day, by_day

register = template.Library()


@register.filter
def days(events: Sequence[Event]) -> list[Day]:
    return by_day(list(events))


@register.simple_tag
def day_time(moment: datetime) -> SafeString:
    """The time under the heading of its day; the whole moment is one hover away and machine-readable."""
    there = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        there.isoformat(),
        f"{there:%-d %B %Y, %H:%M:%S %Z}",
        f"{there:%H:%M}",
    )
