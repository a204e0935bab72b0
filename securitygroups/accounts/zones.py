"""The time zone that a person reads times in."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from securitygroups.models import User
from securitygroups.operations import time_zone


def in_their_time_zone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Times of a page are told in the zone that its reader has chosen. What is exported and stored stays in UTC."""

    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        zone = user.time_zone if isinstance(user, User) else ""
        with timezone.override(time_zone(zone)):
            return get_response(request)

    return middleware
