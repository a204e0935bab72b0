"""Test a packet, on a group, on a VM, between two VMs, anywhere in a project. The evaluator decides."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from securitygroups.access import find_group, find_machine
from securitygroups.web.asking import Asking, answer_packet
from securitygroups.web.doors import enter

PAGE = "securitygroups/packet_test/page.html"


@require_safe
def group_test(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """A packet against the group's list, as it is or as it was ?at=."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    context = {"group": group, "tab": "test", "target": group, "machine_count": group.attachments.count()}
    return answer_packet(Asking(request, access, group=group), PAGE, context)


@require_safe
def machine_test(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """A packet against the VM's effective list. Between two VMs of the project both lists are asked: the sender's Out
    list, then the receiver's In list."""
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    context: dict[str, Any] = {"machine": machine, "group": None, "target": machine, "tab": "test"}
    return answer_packet(Asking(request, access, machine), PAGE, context)


@require_safe
def project_test(request: HttpRequest, slug: str) -> HttpResponse:
    """A packet against the VM of the project that has its address: of In the destination, of Out the source."""
    access = enter(request, slug)
    return answer_packet(Asking(request, access), "securitygroups/packet_test/project.html", {"group": None})
