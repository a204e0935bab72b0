"""From a sent flow log to the page that tells of it: at once, or with lines that say how far the reading has come."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from django.conf import settings
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string

from karenpanel import turns
from securitygroups.answers.replay import OutOfTime, Progress, Replay, Target
from securitygroups.answers.replayed import summary
from securitygroups.effective import TooLarge
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.forms.replay import FAULTS, LogForm
from securitygroups.web.pages import FORM_INVALID
from securitygroups.words.rules import WAY

PART = "securitygroups/replay/_page.html"
LINES = "application/x-ndjson"
"""What a script asks for that shows how far it has come: lines of JSON, the last of which has the page's part."""
EVERY = 0.2
"""Seconds between two such lines."""
BUSY, OWN = 503, 429
WAITING = {
    BUSY: "Other people's large logs and lists are being worked out right now: try again in a few seconds.",
    OWN: "Another page of yours is still being worked out: try again in a few seconds.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A page to replay a log on: its form, what is judged by what once the form is good, and its own `context`."""

    request: HttpRequest
    page: str
    form: LogForm
    begin: Callable[[LogForm], Target]
    context: dict[str, Any]


@dataclass(slots=True)
class _Answer:
    """What the page says when all is read."""

    status: int = 200
    found: dict[str, Any] = field(default_factory=dict)


def answer_replay(asked: Asked) -> HttpResponseBase:
    """The form, and to a POST the report."""
    request, answer = asked.request, _Answer()
    if request.method == "POST" and request.headers.get("Accept") == LINES:
        response = StreamingHttpResponse(_lines(asked, answer), content_type=LINES)
        # A proxy that collects an answer before it passes it on would show nothing until the end.
        response["X-Accel-Buffering"] = "no"
        return response
    if request.method == "POST":
        for _ in _steps(asked, answer):
            pass
    return render(request, asked.page, _context(asked, answer), status=answer.status)


def _context(asked: Asked, answer: _Answer) -> dict[str, Any]:
    return {"seconds": settings.REPLAY_SECONDS, "ways": WAY, **asked.context, **answer.found, "form": asked.form}


def _lines(asked: Asked, answer: _Answer) -> Iterator[str]:
    """How far it has come, every now and then, and the page's part.

    The middleware has given back the request's turn by then, so it takes its own. Who has gone away meanwhile is told by
    the server, which closes this, and the turn is free.
    """
    yield _line(records=0, taken=0, size=0)
    person, said = asked.request.user.pk or 0, monotonic()
    with turns.may_take(person):
        for step in _steps(asked, answer):
            if monotonic() - said >= EVERY:
                said = monotonic()
                yield _line(records=step.records, taken=step.taken, size=step.size)
    part = render_to_string(PART, _context(asked, answer), asked.request)
    yield _line(status=answer.status, part=part)


def _line(**said: Any) -> str:
    return json.dumps(said) + "\n"


def _steps(asked: Asked, answer: _Answer) -> Iterator[Progress]:
    """How far it has come, and then the answer: its report, or what went wrong, which stands in the form."""
    form, seconds = asked.form, settings.REPLAY_SECONDS
    answer.status = FORM_INVALID
    if not form.is_valid():
        return
    try:
        turns.take()
        target = asked.begin(form)
        replay = Replay(target, form.cleaned_data["log"], seconds)
        yield from replay
        answer.found = summary(target, replay.report(), form.proposed, form.proposed_name)
        answer.status = 200
    except turns.NoTurn as none:
        # In its form, for a page in between would lose which log it was.
        answer.status = OWN if none.own else BUSY
        form.add_error(None, WAITING[answer.status])
    except TooLarge as large:
        form.add_error(
            None, f"The VMs have {large.rules:,} rules together, which are too many: replay it on single VMs."
        )
    except BadDocument as error:
        for fault in error.faults[:FAULTS]:
            form.add_error("log", str(fault))
    except OutOfTime:
        form.add_error("log", f"There is no flow to judge in what could be read within {seconds:g} s.")
