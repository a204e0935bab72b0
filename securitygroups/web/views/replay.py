"""Replay a flow log against a group's list, and against what the list could become. Nothing is written."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from karenpanel import turns
from securitygroups.access import find_group
from securitygroups.answers.replay import OutOfTime, replay, summary
from securitygroups.effective import rules_of_group
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import RuleList
from securitygroups.forms.replay import FAULTS, MAX_LOCAL, ReplayForm
from securitygroups.models import SecurityGroup, VirtualMachine
from securitygroups.web.doors import enter, takes_files
from securitygroups.web.pages import FORM_INVALID, page_or_form
from securitygroups.words.rules import WAY

BUSY, OWN = 503, 429
WAITING = {
    BUSY: "Other people's large logs and lists are being worked out right now: try again in a few seconds.",
    OWN: "Another page of yours is still being worked out: try again in a few seconds.",
}


def _own_addresses(group: SecurityGroup) -> str:
    """The addresses of the VMs that have the group, up to the limit of the field."""
    rows = VirtualMachine.objects.live().filter(attachments__group=group).order_by("name")
    pairs = rows.values_list("ipv4", "ipv6")[:MAX_LOCAL]
    return ", ".join([address for pair in pairs for address in pair if address][:MAX_LOCAL])


@takes_files
@page_or_form
def group_replay(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """The form, and to a POST the report. Whoever may look may do this: a log is sent, but nothing is kept of it."""
    access = enter(request, slug, support_writes=True)
    group = find_group(access, group_id)
    old = rules_of_group(group)
    context: dict[str, Any] = {
        "group": group,
        "tab": "replay",
        "machine_count": group.attachments.count(),
        "seconds": settings.REPLAY_SECONDS,
    }
    posted = request.method == "POST"
    sent = (request.POST, request.FILES) if posted else ()
    form = ReplayForm(group, *sent, initial={"local": _own_addresses(group)})
    status = 200
    if posted:
        status, found = _replayed(form, old) if form.is_valid() else (FORM_INVALID, {})
        context |= found
    return render(request, "securitygroups/replay/page.html", {**context, "form": form, "ways": WAY}, status=status)


def _replayed(form: ReplayForm, old: RuleList) -> tuple[int, dict[str, Any]]:
    """The answer's status and its report; what went wrong stands in the form."""
    data, seconds = form.cleaned_data, settings.REPLAY_SECONDS
    try:
        turns.take()
        report = replay(data["log"], old, form.proposed, data["local"], seconds)
        return 200, summary(report, old, form.proposed, form.proposed_name)
    except turns.NoTurn as none:
        # In its form, for a page in between would lose which log it was.
        status = OWN if none.own else BUSY
        form.add_error(None, WAITING[status])
        return status, {}
    except BadDocument as error:
        for fault in error.faults[:FAULTS]:
            form.add_error("log", str(fault))
    except OutOfTime:
        form.add_error("log", f"There is no flow to judge in what could be read within {seconds:g} s.")
    return FORM_INVALID, {}
