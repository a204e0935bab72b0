"""The time zone that a person reads times in."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from securitygroups.models import User
from securitygroups.operations import TIME_ZONES


def in_their_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Times of a page are told in the zone that its reader has chosen. What is exported and stored stays in UTC."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        zone = user.time_zone if isinstance(user, User) else ""
        # A newer database of zones may have lost one that somebody chose long ago.
        with timezone.override(ZoneInfo(zone) if zone in TIME_ZONES else None):
            return get_response(request)

    return middleware
