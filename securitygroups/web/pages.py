"""Answers: a page or its part, page numbers."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from karenpanel.client_address import address_of as address_of
from karenpanel.sent_again import goes_back, is_drawn_again
from karenpanel.sent_again import sent_fields as sent_fields
from securitygroups import said
from securitygroups.firewall.texts import mended
from securitygroups.paging import BoundedPaginator
from securitygroups.said import MOST_REVISIONS as MOST_REVISIONS
from securitygroups.said import NO_REVISION as NO_REVISION

FORM_INVALID, CONFLICT = 422, 409
RULES_A_PAGE = 100

page_or_form = require_http_methods(["GET", "HEAD", "POST"])


def answer(request: HttpRequest, page: str, part: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """The whole page, or to htmx its part alone. Same URL, same view, same context."""
    is_part = bool(request.htmx)  # type: ignore[attr-defined]
    return render(request, part if is_part else page, {**context, "is_part": is_part}, status=status)


def page_of(place: int) -> int:
    """The page of a list of rules on which this place is, both from 1."""
    return (place - 1) // RULES_A_PAGE + 1


def numbered(request: HttpRequest, rows: QuerySet[Any] | Sequence[Any], size: int | None = None) -> Page[Any]:
    """The page that ?page= names; a number that is none or too large gives the nearest."""
    return Paginator(rows, size or settings.PAGE_SIZE).get_page(request.GET.get("page"))


def bounded(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """The same of a list that no quota keeps short: of its first rows."""
    return BoundedPaginator(rows, settings.PAGE_SIZE).get_page(request.GET.get("page"))


def into_dialog(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """To htmx, the page's #confirm goes into the dialog, whatever the request was to swap; else it is a page."""
    if request.htmx:  # type: ignore[attr-defined]
        response["HX-Retarget"], response["HX-Reswap"], response["HX-Reselect"] = "#dialog", "innerHTML", "#confirm"
    return response


def typed(request: HttpRequest, name: str, longest: int = 200) -> str:
    """What stands in a search box: fit to be looked for, and to be shown again."""
    return mended(request.GET.get(name, "")[:longest])


def number_in(request: HttpRequest, name: str) -> int:
    """A revision number of the form; NO_REVISION for anything else."""
    return said.number_in(request.POST, name)


def reason_of(request: HttpRequest) -> str:
    """Why the change is made, as far as the form says, and as much of it as there is room for."""
    return said.reason_in(request.POST)[:255]


def sent(request: HttpRequest) -> bool:
    """Whether a form was sent to be acted on, and not to be drawn again as it was typed."""
    return request.method == "POST" and not goes_back(request)


def can_go_back(request: HttpRequest) -> bool:
    """Whether a question about what was sent has a form to go back to, filled in as it was."""
    return request.method == "POST" and is_drawn_again(request)


def resend(request: HttpRequest, **fields: str) -> None:
    """Go on as if these fields had been sent too: what a question page repeats must be what was looked at."""
    data = request.POST.copy()
    for name, text in fields.items():
        data[name] = text
    request.POST = data  # type: ignore[assignment]
