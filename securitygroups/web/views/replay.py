"""Replay a flow log: on a group's list, on a VM's effective list, on all VMs of a project. Nothing is written."""

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from securitygroups.access import find_group, find_machine
from securitygroups.answers.replay import OnGroup, on_vms
from securitygroups.effective import rules_of_group
from securitygroups.forms.replay import LogForm, ReplayForm, own_addresses
from securitygroups.models import VirtualMachine
from securitygroups.web.doors import enter, takes_files
from securitygroups.web.pages import page_or_form
from securitygroups.web.replaying import Asked, answer_replay

PAGE = "securitygroups/replay/page.html"


@takes_files
@page_or_form
def group_replay(request: HttpRequest, slug: str, group_id: str) -> HttpResponseBase:
    """The form, and to a POST the report. Whoever may look may do this: a log is sent, but nothing is kept of it."""
    access = enter(request, slug, support_writes=True)
    group = find_group(access, group_id)
    rules = rules_of_group(group)
    sent = (request.POST, request.FILES) if request.method == "POST" else ()
    form = ReplayForm(group, *sent, initial={"local": own_addresses(group)})
    context = {"group": group, "tab": "replay", "machine_count": group.attachments.count(), "test": "group_test"}

    def begin(form: LogForm) -> OnGroup:
        return OnGroup(group, rules, form.proposed, form.cleaned_data["local"])

    return answer_replay(Asked(request, PAGE, form, begin, context))


@takes_files
@page_or_form
def machine_replay(request: HttpRequest, slug: str, machine_id: str) -> HttpResponseBase:
    """The same on a VM's effective list: of its own flows alone."""
    access = enter(request, slug, support_writes=True)
    machine = find_machine(access, machine_id)
    form = LogForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    context: dict[str, Any] = {"machine": machine, "group": None, "tab": "replay", "test": "machine_test"}
    context |= {"no_address": not machine.addresses}
    rows = VirtualMachine.objects.filter(pk=machine.pk)
    return answer_replay(Asked(request, PAGE, form, lambda form: on_vms(rows), context))


@takes_files
@page_or_form
def project_replay(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The same on a whole project: each flow by the list of the VM that it came to, or went from."""
    access = enter(request, slug, support_writes=True)
    form = LogForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
    rows = VirtualMachine.objects.live().filter(project=access.project)
    context = {"group": None, "test": "project_test", "no_address": not rows.exclude(ipv4=None, ipv6=None).exists()}
    page = "securitygroups/replay/project.html"
    return answer_replay(Asked(request, page, form, lambda form: on_vms(rows), context))
