"""What was done in a project, by whom and when."""

from datetime import datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.db.models.lookups import StartsWith
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_safe

from securitygroups.access import Access
from securitygroups.firewall.values import whole_number
from securitygroups.models import Event
from securitygroups.web.doors import enter
from securitygroups.web.moments import moment_of
from securitygroups.web.pages import answer, bounded, typed

MOST_KEY = 2**63 - 1


@require_safe
def activity(request: HttpRequest, slug: str) -> HttpResponse:
    events, said = events_found(request, enter(request, slug))
    context = {"page": bounded(request, events), "verbs": Event.Verb.choices, **said}
    return answer(request, "securitygroups/projects/activity.html", "securitygroups/projects/_activity.html", context)


def events_found(request: HttpRequest, access: Access) -> tuple[QuerySet[Event], dict[str, Any]]:
    """What happened of what the address asks for, and what it asks for."""
    events = Event.objects.filter(project=access.project).select_related("group", "machine")
    verb, who, until = request.GET.get("what", ""), typed(request, "who"), typed(request, "until")
    if verb in Event.Verb.values:
        events = events.filter(verb=verb)
    if who:
        events = events.filter(StartsWith(Lower("actor_name"), who.lower()))
    # What it was called says the record, to whoever may read that: it is looked up nowhere.
    token = whole_number(request.GET.get("token", ""), MOST_KEY)
    if token is not None:
        events = events.filter(token=token)
    events, since = _since(events, typed(request, "since"))
    said = {"verb": verb, "who": who, "until": until, "since": since, "token": token}
    return _up_to(events, until), said


def _since(events: QuerySet[Event], text: str) -> tuple[QuerySet[Event], datetime | None]:
    """Those after the moment that the overview's link names; all of them where it is none."""
    moment = moment_of(text)
    return (events.filter(at__gt=moment), moment) if moment else (events, None)


def _up_to(events: QuerySet[Event], day: str) -> QuerySet[Event]:
    """Those until the end of the reader's day; all of them where it is none."""
    try:
        last = parse_date(day)
        end = datetime.combine(last + timedelta(days=1), time(), timezone.get_current_timezone()) if last else None
        return events.filter(at__lt=end) if end else events
    except (ValueError, OverflowError):
        return events
