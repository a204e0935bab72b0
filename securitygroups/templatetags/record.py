"""How records are read: activity by day, and how long somebody waited for an answer."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from securitygroups.models import CaseStanding, Event
from securitygroups.templatetags.ui import moment_tag
from securitygroups.web.told import Day, by_day, said

register = template.Library()


@register.filter
def days(events: Sequence[Event]) -> list[Day]:
    return by_day(list(events))


@register.filter
def in_words(event: Event) -> str:
    """One line of activity, as its project reads it."""
    return said([event])[event.pk]


@register.simple_tag
def day_time(moment: datetime) -> SafeString:
    """The time under the heading of its day."""
    return moment_tag(moment, f"{timezone.localtime(moment):%H:%M}")


@register.filter
def answer_time(standing: CaseStanding) -> str:
    """How long somebody waits for support's word, or waited: "waiting for 2 hours", "in 25 minutes"."""
    if standing.answered_at is None:
        waited = timezone.now() - standing.asked_at
        return "waiting" if waited < timedelta(minutes=1) else f"waiting for {timesince(standing.asked_at, depth=1)}"
    if standing.answered_at - standing.asked_at < timedelta(minutes=1):
        return "at once"
    return f"in {timesince(standing.asked_at, standing.answered_at, depth=1)}"


@register.filter
def verdict_word(verdict: str) -> str:
    return "Accepted" if verdict == "accept" else "Denied"


@register.filter
def line_query(packet: dict[str, str], direction: str) -> str:
    """The packet test's query for a packet that was read from a log. It is asked at once where the line said all of it; one
    that opens no connection goes along with its line, of which the form says so."""
    fields = packet | {"direction": direction}
    return urlencode(fields | ({"test": "1"} if "protocol" in packet and "line" not in packet else {}))
