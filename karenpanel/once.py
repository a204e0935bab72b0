"""A form is good for one answer: an impatient second click is answered as the first.

What is sent with the same mark (see marks.py), to the same address, with the same fields, is the same click: the second
waits for the first and is sent where that went; of many the last one does. Where the first went nowhere, because a field was
wrong or a question was asked, the second is looked at by itself. All web processes share the note of it, in the cache that counts are in.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.crypto import salted_hmac

from karenpanel import errors, marks, turns
from karenpanel.turns import NoTurn

logger = structlog.get_logger()

KEPT = 60
"""Seconds after the answer in which a click is the second one."""
LONGEST = 60
"""Seconds after which a first click that nobody has heard of again, as of a killed process, is no longer waited for."""
PATIENCE, PAUSE = 5.0, 0.05
"""Seconds that a second click waits for the first, and between two looks."""
_UNDER_WAY = ""
_waits: list[object] = [None]
"""The click that waits in this process, if one does."""


class Once:
    """Behind everything that may refuse a form, right before its view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        text = request.POST.get(marks.FIELD, "") if request.method == "POST" else ""
        if not text or not request.user.is_authenticated:
            return None
        if marks.drawn_for(text) != request.user.pk:
            # Somebody else has signed in at this browser since: what one person typed is not the other's to send.
            return errors.csrf_failure(request)
        # A script sends one request after the other by itself, and what it swaps in is no address.
        return None if request.headers.get("HX-Request") == "true" else _claim(request, text)


def settled(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Tells the second click what became of the first, once its messages are kept: outside of the sessions."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if name := getattr(request, "claim", ""):
            try:
                went = response.get("Location", "")
                # Who was first asked to show who they are has done nothing yet, and comes back to do it.
                if went and not went.startswith(resolve_url(settings.LOGIN_URL)):
                    cache.set(name, went, KEPT)
                else:
                    cache.delete(name)
            except DatabaseError as error:
                # The answer is there already, and a second click is looked at by itself.
                logger.warning("once.failed", error=str(error).strip())
        return response

    return middleware


def _name(request: HttpRequest, text: str) -> str:
    """What a click is known by. Keyed, for a form may hold what nobody should be able to guess from it."""
    sent = [(field, values) for field, values in sorted(request.POST.lists()) if field != marks.TOKEN]
    files = [(field, [(each.name, each.size) for each in found]) for field, found in request.FILES.lists()]
    whole = repr((text, request.get_full_path(), sent, files)).encode(errors="surrogatepass")
    return f"once:{salted_hmac('karenpanel.once', whole, algorithm='sha256').hexdigest()}"


def _claim(request: HttpRequest, text: str) -> HttpResponse | None:
    name = _name(request, text)
    try:
        went = _answered(name)
        went = _wait(name) if went is None else went
    except NoTurn as none:
        # From that page too it is the same click.
        request._mark = text  # type: ignore[attr-defined]
        return errors.busy(request, none, second=True)
    if went:
        # The session that this request has read may be older than the message that the first has put into it.
        request.session.modified = False
        return HttpResponseRedirect(went)
    request.claim = name  # type: ignore[attr-defined]
    return None


def _answered(name: str) -> str | None:
    """Where the first click went; None while it is under way; empty where this one is the first, or the first went
    nowhere."""
    return "" if cache.add(name, _UNDER_WAY, LONGEST) else cache.get(name, _UNDER_WAY) or None


def _wait(name: str) -> str:
    """What becomes of the first click. Raises NoTurn.

    One thread of a process waits so, or they would all stand behind a first click that is dear. It is the last that came:
    of many clicks a browser shows the answer to the last alone.
    """
    me, until = object(), time.monotonic() + PATIENCE
    _waits[0] = me
    with turns.behind_own_request(patience=3 * PAUSE):
        while (went := _answered(name)) is None:
            if _waits[0] is not me or time.monotonic() > until:
                raise NoTurn(own=True)
            time.sleep(PAUSE)
    return went
