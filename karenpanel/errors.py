"""Error pages in words."""

import math
import sys
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.utils.http import escape_leading_slashes

from karenpanel import marks, outage, sent_again
from karenpanel.outage import Trouble
from karenpanel.turns import NoTurn
from karenpanel.ways_back import page_to_return_to

RETRY_SECONDS = 3
STALE, SIGN_IN = "Stale-Form", "Sign-In"
"""Headers for the script: the form is of another session; where to sign in."""


def page(request: HttpRequest, status: int, **context: Any) -> HttpResponse:
    """The page templates/<status>.html with that status."""
    return render(
        request, f"{status}.html", {"request_id": getattr(request, "request_id", ""), **context}, status=status
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return too_large(request)
    if answer := _database_trouble(request, exception):
        return answer
    # Django's own words, of other exceptions, repeat what was sent.
    return page(request, 400, why=str(exception) if isinstance(exception, BadRequest) else "")


def too_large(request: HttpRequest) -> HttpResponse:
    return unread(
        request,
        413,
        log_mib=settings.REPLAY_MAX_MB,
        document_mib=settings.DOCUMENT_MAX_MB,
        form_mib=settings.MEMBERS_FORM // 2**20,
        visitors_kib=settings.VISITORS_FORM // 2**10,
    )


def length_required(request: HttpRequest) -> HttpResponse:
    return unread(request, 411)


def unread(request: HttpRequest, status: int, **context: Any) -> HttpResponse:
    """The page for what is not to be read: without request context, which could read it after all."""
    context |= {"request_id": getattr(request, "request_id", "")}
    return HttpResponse(render_to_string(f"{status}.html", context), status=status)


def too_many(request: HttpRequest, seconds: int, *, signing_in: bool = False) -> HttpResponse:
    """Attempts beyond a limit, which has room again after so many seconds."""
    response = page(request, 429, minutes=math.ceil(seconds / 60), signing_in=signing_in)
    response["Retry-After"] = str(seconds)
    return response


AGAIN_SECONDS = 5
# What the page that says so has itself.
_OWN = (marks.TOKEN, marks.FIELD)


def busy(request: HttpRequest, why: NoTurn, *, second: bool = False) -> HttpResponse:
    """There was no turn for this: what was sent to a project can be sent again from here, but for files, which a page
    cannot keep. Forms outside of projects are about accounts, and may hold secrets. `second`: a click whose first is under
    way, which nobody may say has changed nothing.

    429 where the person's own other request is why, 503 otherwise.
    """
    match = request.resolver_match
    kept = match is not None and "slug" in match.kwargs and not request.FILES
    sent = [(name, text) for name, texts in request.POST.lists() for text in texts if name not in _OWN]
    context = {
        "request_id": getattr(request, "request_id", ""),
        "own": why.own,
        "second": second,
        "to": escape_leading_slashes(request.get_full_path()),
        "posted": request.method == "POST",
        "kept": kept,
        "fields": sent if kept else (),
    }
    status = 429 if why.own else 503
    # To htmx the words alone: the form that it sent is still there.
    if request.headers.get("HX-Request") == "true":
        response = _as_text("busy.txt", context, status)
    else:
        response = render(request, "busy.html", context, status=status)
    response["Retry-After"] = str(AGAIN_SECONDS)
    # For those who count them.
    response.no_turn = why  # type: ignore[attr-defined]
    # It is no fault, and on a busy day there are many: not an error in the log for each.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _as_text(template: str, context: dict[str, Any], status: int, **more: Any) -> HttpResponse:
    """One line of words for a script, which shows them above what is there."""
    return HttpResponse(
        " ".join(render_to_string(template, context).split()),
        status=status,
        content_type="text/plain; charset=utf-8",
        **more,
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 403, why=str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 404)


def unavailable(request: HttpRequest, trouble: Trouble, *, untouched: bool) -> HttpResponse:
    """The database cannot be asked. `untouched`: so nothing of this request can have been written.

    In words, for htmx as one sentence that is shown above the form, and else with the form to be sent again.
    """
    changes = request.method not in ("GET", "HEAD", "OPTIONS")
    words: dict[str, Any] = {
        "trouble": trouble.name,
        "changes": changes,
        "untouched": untouched or trouble is Trouble.READ_ONLY,
        "request_id": getattr(request, "request_id", ""),
    }
    headers = {"Retry-After": str(RETRY_SECONDS), "Vary": "HX-Request"}
    if request.headers.get("HX-Request") == "true":
        return _as_text("503.txt", words, 503, headers=headers)
    # Without request context, whose parts ask the database.
    words |= {"path": escape_leading_slashes(request.get_full_path()), "back": page_to_return_to(request)}
    words["fields"] = sent_again.fields(request) if changes else None
    return HttpResponse(render_to_string("503.html", words), status=503, headers=headers)


def _database_trouble(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    trouble = outage.trouble(error)
    if error is None or trouble is None:
        return None
    if trouble is Trouble.AWAY:
        outage.watch.look()
    return unavailable(request, trouble, untouched=outage.before_anything(error))


def server_error(request: HttpRequest) -> HttpResponse:
    if answer := _database_trouble(request, sys.exception()):
        return answer
    # Without request context: whatever is broken may be what a context processor needs.
    return HttpResponse(render_to_string("500.html", {"request_id": getattr(request, "request_id", "")}), status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was drawn for another session. What was typed is kept in the page, where it is known to be this person's;
    it goes back into its form and not on: nobody but a person sends it again. A script gets a token from elsewhere."""
    headers = {"Vary": "HX-Request"}
    if request.headers.get("HX-Request") == "true":
        return _as_text("403_csrf.txt", {}, 403, headers=headers | {STALE: "yes"})
    context = {"request_id": getattr(request, "request_id", ""), "typed": sent_again.typed(request)}
    return render(request, "403_csrf.html", context, status=403)


def signed_out(request: HttpRequest) -> HttpResponse:
    """To a script, which says it above the form that is still there; in another tab one signs in and comes back."""
    headers = {"Vary": "HX-Request", SIGN_IN: f"{resolve_url(settings.LOGIN_URL)}?next={resolve_url('signed_in')}"}
    return _as_text("signed_out.txt", {}, 401, headers=headers)
