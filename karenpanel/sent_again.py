"""What was typed into a form that could not be taken just now, so that it can be sent again from the page that says so."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import Resolver404, resolve
from django.utils.http import escape_leading_slashes

from karenpanel import marks
from karenpanel.ways_back import page_to_return_to

View = TypeVar("View", bound=Callable[..., HttpResponse])
BACK = "back"
"""Sent along, it asks for the form with what was typed, unchecked: nothing is changed."""
# Whoever looks at the page's source later must not find these; without them the form would not be the same.
_SECRET = re.compile(r"passw|secret|code|otp|token|credential|key", re.IGNORECASE)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# What belongs to one page or one click, and not to what was typed.
_PASSING = frozenset({marks.TOKEN, marks.FIELD, BACK, "sure", "seen", "onto", "preview"}) | {
    *("update", "suggest", "fill", "order", "more", "another"),
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A form that was sent: where to, its fields, and whether there was a file, which no page can keep."""

    path: str
    fields: list[tuple[str, str]]
    files: bool

    @property
    def letters(self) -> int:
        return len(self.path) + sum(len(name) + len(value) for name, value in self.fields)


def fields(request: HttpRequest) -> list[tuple[str, str]] | None:
    """The form's fields with what was typed, the token as it came; None where it should not or cannot be sent from here.

    Nobody has been asked who sends it, so no more is read than anybody may send. And only what a page of ours has sent: the
    button below a stranger's form would give it our good name.
    """
    if not _short_form(request):
        return None
    sent = _sent(request) if _is_ours(request) else None
    return None if sent is None or request.FILES else sent


def typed(request: HttpRequest) -> Typed | None:
    """What was typed into a form of a page that draws it again; None where it is none, or another person's.

    Whether it is ours says its mark, for the token may be one of a session that has ended. Forms of accounts are drawn
    again by nobody, and are never kept.
    """
    if request.method != "POST" or not is_drawn_again(request):
        return None
    if not (request.user.is_authenticated or _short_form(request)):
        return None
    sent = _sent(request)
    person = marks.drawn_for(request.POST.get(marks.FIELD, "")) if sent else None
    if sent is None or person is None or request.user.pk not in (None, person):
        return None
    kept = [(name, value) for name, value in sent if name not in _PASSING]
    return Typed(escape_leading_slashes(request.get_full_path()), kept, bool(request.FILES))


def sent_fields(request: HttpRequest, without: Collection[str]) -> list[tuple[str, str]]:
    """What was sent, for a question page to send again with the answer; `without` what that page has itself."""
    without = {*without, marks.TOKEN, marks.FIELD}
    return [(name, text) for name, texts in request.POST.lists() for text in texts if name not in without]


def goes_back(request: HttpRequest) -> bool:
    """Whether the form was sent to be drawn again as it was typed: nothing is checked, and nothing is changed."""
    return request.method == "POST" and BACK in request.POST


def draws_again(view: View) -> View:
    """Marks a view that draws its form again for who goes back."""
    view.draws_again = True  # type: ignore[attr-defined]
    return view


def is_drawn_again(request: HttpRequest) -> bool:
    """Whether the view of this address draws its form again."""
    try:
        match = request.resolver_match or resolve(request.path_info)
    except Resolver404:
        return False
    return draws_again_of(match.func)


def draws_again_of(view: Any) -> bool:
    return bool(getattr(view, "draws_again", False))


class BackToForms:
    """A form that is sent to be drawn again changes nothing: where a view does not know of that, it is not asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if not goes_back(request) or draws_again_of(view):
            return None
        return HttpResponseRedirect(page_to_return_to(request))


def _short_form(request: HttpRequest) -> bool:
    """Whether a form was sent that anybody may send."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if request.method != "POST" or request.content_type not in _FORMS or not length.isdecimal():
        return False
    return int(length[:19]) <= settings.VISITORS_FORM


def _sent(request: HttpRequest) -> list[tuple[str, str]] | None:
    """All fields; None where they cannot be read, or something among them is secret."""
    try:
        sent = [(name, value) for name, values in request.POST.lists() for value in map(str, values)]
    except (BadRequest, SuspiciousOperation, MultiPartParserError, OSError):
        return None
    if any(name != marks.TOKEN and _SECRET.search(name) for name, _ in sent):
        return None
    return sent if not any("\0" in name + value for name, value in sent) else None


class _Look(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        # Django's own shows a page, whose parts ask the database.
        return HttpResponse(status=403)


def _is_ours(request: HttpRequest) -> bool:
    """Whether the form's token is the one of the cookie, and its origin ours: what is asked before any form is taken."""
    look = _Look(lambda request: HttpResponse())
    look.process_request(request)
    try:
        return look.process_view(request, lambda request: HttpResponse(), (), {}) is None
    except (BadRequest, SuspiciousOperation, MultiPartParserError, OSError):
        return False
