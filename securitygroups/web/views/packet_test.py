"""Test a packet, on a group, on a VM and between two VMs. The evaluator decides; this shows what it says."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from securitygroups import operations
from securitygroups.access import SUPPORT, Access, find_group, find_machine
from securitygroups.answers.packet_test import Answer, ask_group, ask_machine, stranger
from securitygroups.firewall.formats.pasted import read_line
from securitygroups.firewall.values import Packet, Refused, parse_address
from securitygroups.forms import CaseForm, PacketForm
from securitygroups.models import VirtualMachine
from securitygroups.web.doors import enter
from securitygroups.web.pages import FORM_INVALID, address_of, answer
from securitygroups.web.services import service_port

SUGGESTED = 200
"""Addresses of the project's VMs that the fields suggest."""


def _initial(request: HttpRequest, machine: VirtualMachine | None, pasted: dict[str, str]) -> dict[str, Any]:
    """What the address bar or a pasted line says, and the VM's own address where they say nothing."""
    initial: dict[str, Any] = {"direction": "in", "protocol": "tcp"}
    initial |= {name: request.GET[name] for name in PacketForm.base_fields if name in request.GET}
    initial |= pasted
    if "mine" in request.GET:
        initial[_their_place(initial)] = address_of(request)
    if machine:
        # A log of the VM itself tells the direction by who sent.
        if pasted and _same_address(pasted.get("source", ""), machine.addresses):
            initial["direction"] = "out"
        own = _own_place(initial)
        initial[own] = initial.get(own) or _own_address(machine, str(initial.get(_their_place(initial), "")))
    return initial


def _own_place(fields: dict[str, Any]) -> str:
    """The address of the packet that is the VM's."""
    return "destination" if fields["direction"] == "in" else "source"


def _their_place(fields: dict[str, Any]) -> str:
    return "source" if fields["direction"] == "in" else "destination"


def _own_address(machine: VirtualMachine, other: str) -> str:
    """The VM's address in the family of the other one, as far as it has one."""
    return (machine.ipv6 if ":" in other else machine.ipv4) or machine.ipv6 or machine.ipv4 or ""


def _same_address(text: str, addresses: Iterable[str]) -> bool:
    """Whether the address is one of these, however it is written: the kernel's log writes IPv6 in full."""
    try:
        return parse_address(text) in {parse_address(address) for address in addresses}
    except Refused:
        return False


def _zone(request: HttpRequest) -> ZoneInfo:
    name = request.GET.get("zone", "")
    return ZoneInfo(name if name in operations.TIME_ZONES else "UTC")


def _moment(request: HttpRequest) -> datetime | None:
    """The time of ?at=; None where there is none or it is no time. One without an offset is one of ?zone=, or of UTC:
    an address means the same moment to everybody who opens it."""
    try:
        moment = parse_datetime(request.GET.get("at", ""))
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        aware = moment.replace(tzinfo=_zone(request)) if timezone.is_naive(moment) else moment
        return aware.astimezone(UTC)
    except OverflowError:
        return None


def _shown(typed: str, moment: datetime | None) -> str:
    """The time in the reader's zone, as the field takes it; what is no time stays as it was typed."""
    return f"{timezone.localtime(moment):%Y-%m-%dT%H:%M:%S}" if moment else typed


def _answer(
    request: HttpRequest,
    access: Access,
    context: dict[str, Any],
    ask: Callable[[Packet], Answer],
    machine: VirtualMachine | None = None,
) -> HttpResponse:
    """The form, and with ?test the answer that `ask` gives to the packet."""
    line = request.GET.get("line", "")
    # "Read" and "My IP" only fill the form in: nothing is asked before it has been seen.
    asked = "test" in request.GET and not ("read" in request.GET and line) and "mine" not in request.GET
    pasted = {} if asked else read_line(line, service_port)
    form = PacketForm(request.GET) if asked else PacketForm(initial=_initial(request, machine, pasted))
    if machine:
        _suggest(form, access, context)
    if asked and form.is_valid():
        context |= _asked(request, access, form, ask(form.packet))
        context["stranger"] = stranger(machine, form.packet) if machine else ""
    moment = _moment(request)
    context |= {
        "form": form,
        "line": line,
        "unread": bool(line) and not asked and not pasted,
        "no_protocol": bool(pasted) and "protocol" not in pasted,
        "address": address_of(request),
        "at": _shown(request.GET.get("at", ""), moment),
        "moment": moment,
        "zone": timezone.get_current_timezone_name(),
        "own_place": _their_place({"direction": form["direction"].value()}),
    }
    page, part = "securitygroups/packet_test/page.html", "securitygroups/packet_test/_page.html"
    return answer(request, page, part, context, status=FORM_INVALID if form.errors else 200)


def _asked(request: HttpRequest, access: Access, form: PacketForm, answered: Answer) -> dict[str, Any]:
    """The answer; support can keep it as a case, with the packet as it was sent."""
    return {
        "traces": answered.traces,
        "overall": answered.overall,
        "case_form": CaseForm() if access.role == SUPPORT else None,
        "sent": [(name, text) for name, text in request.GET.items() if name in form.base_fields],
    }


def _suggest(form: PacketForm, access: Access, context: dict[str, Any]) -> None:
    """Offer the addresses of the project's VMs in the address fields: between two of them both lists are asked."""
    for name in ("source", "destination"):
        form.fields[name].widget.attrs["list"] = "vm-addresses"
    rows = VirtualMachine.objects.live().filter(project=access.project).order_by("name")
    known = rows.values_list("name", "ipv4", "ipv6")[:SUGGESTED]
    context["known"] = [(address, name) for name, *both in known for address in both if address][:SUGGESTED]


@require_safe
def group_test(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """A packet against the group's list, as it is or as it was ?at=."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    context = {"group": group, "tab": "test", "target": group, "machine_count": group.attachments.count()}
    return _answer(request, access, context, lambda packet: ask_group(group, packet, _moment(request)))


@require_safe
def machine_test(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """A packet against the VM's effective list. Between two VMs of the project both lists are asked: the sender's Out
    list, then the receiver's In list."""
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    context: dict[str, Any] = {"machine": machine, "group": None, "target": machine, "tab": "test"}
    return _answer(request, access, context, lambda packet: ask_machine(machine, packet, _moment(request)), machine)
