"""Who is signed out in the middle of a form finds it again after signing in: for an hour, and nobody else does.

A script keeps the form on the page and is only told to sign in beside it. Without one, what was sent lies in the cache that
all processes share, under the person whom the form was drawn for, until that person has signed in and fetches it. It is
drawn again for them to look at, and never sent by itself.
"""

import secrets
from dataclasses import astuple
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from karenpanel import errors, marks, sent_again
from karenpanel.counts import KeptCache
from karenpanel.sent_again import Typed
from karenpanel.ways_back import page_to_return_to

KEPT = 60 * 60
AT_ONCE, EVERY = 20, 60
"""So many forms of one person are kept at once, and one more each minute."""
LONGEST = settings.VISITORS_FORM
"""Letters that a form may have: with those numbers, some megabytes a person. What is longer was not typed."""


def sign_in_first(request: HttpRequest, to: str | None = None) -> HttpResponse:
    """To the sign-in page (or to another, where a person shows who they are) and back, with what was typed."""
    if request.headers.get("HX-Request") == "true" and to is None:
        return errors.signed_out(request)
    return redirect_to_login(keep(request) or page_to_return_to(request), to)


def found(request: HttpRequest) -> Typed | None:
    """What was kept for the signed-in person under the name in the address."""
    kept = cache.get(_place(request.user.pk, request.GET.get("form", "")))
    return Typed(*kept) if kept else None


def keep(request: HttpRequest) -> str:
    """Keep what was typed. The address to fetch it from; empty where there is nothing to keep."""
    typed = sent_again.typed(request)
    person = marks.drawn_for(request.POST[marks.FIELD]) if typed else None
    if typed is None or typed.letters > LONGEST or cast(KeptCache, cache).take(f"typed:{person}", AT_ONCE, EVERY):
        return ""
    name = secrets.token_urlsafe(9)
    cache.set(_place(person, name), astuple(typed), KEPT)
    messages.info(request, "Nothing was sent yet. What you typed is kept, and comes back after this.")
    return f"{reverse('typed')}?form={name}"


def _place(person: int | None, name: str) -> str:
    return f"typed:{person}:{name[:40]}"
