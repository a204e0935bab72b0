"""From the fields of a packet test to its answer: on a group, on a VM, or on the VM of a project that the packet means."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from securitygroups import operations
from securitygroups.access import SUPPORT, Access
from securitygroups.answers.desk import open_cases
from securitygroups.answers.packet_test import Answer, ask_group, ask_machine, at_ends, stranger
from securitygroups.answers.pasted import same_address, vms_at_ends
from securitygroups.answers.services import service_port
from securitygroups.firewall.lines.pasted import Line, parse_line
from securitygroups.firewall.lines.replies import Reply, reply_in
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.forms import CaseForm, PacketForm, ProjectPacketForm
from securitygroups.forms.packets import own_place, their_place, turned
from securitygroups.models import SecurityGroup, SupportCase, VirtualMachine
from securitygroups.web.moments import moment_of, to_type
from securitygroups.web.pages import FORM_INVALID, address_of, answer

CASES_OFFERED = 3
"""Open cases to which support can add the packet at one click."""
SUGGESTED = 200
"""Addresses of the project's VMs that the fields suggest."""
FOLLOWS = {
    "hx-include": "closest form",
    "hx-target": "#test",
    "hx-swap": "outerHTML",
    "hx-sync": "closest form:replace",
}
"""A field that others follow: the form is asked for again when it changes."""


@dataclass(slots=True)
class Asking:
    """One request for a test: what it is made on, and what is said of the packet."""

    request: HttpRequest
    access: Access
    machine: VirtualMachine | None = None
    group: SecurityGroup | None = None
    line: str = ""
    reads: bool = False
    asked: bool = False
    read: Line = field(default_factory=lambda: Line("", {}))

    def __post_init__(self) -> None:
        get = self.request.GET
        self.line = get.get("line", "")
        self.reads = bool(self.line) and ("read" in get or not get.keys() & PacketForm.base_fields)
        # "Read" and "My IP" only fill the form in: nothing is asked before it has been seen.
        self.asked = "test" in get and not self.reads and "mine" not in get
        self.read = parse_line(self.line, service_port)

    @property
    def pasted(self) -> dict[str, str]:
        """The fields that the line fills in now."""
        return self.read.fields if self.reads else {}

    @property
    def whole_project(self) -> bool:
        return self.group is None and self.machine is None

    def fields(self) -> dict[str, Any]:
        """What the address bar or a pasted line says, and the VM's own address where they say nothing."""
        get = self.request.GET
        fields: dict[str, Any] = {"protocol": "tcp"}
        fields |= {name: get[name] for name in ProjectPacketForm.base_fields if name in get}
        fields |= self.pasted
        if self.pasted or "direction" not in fields:
            fields["direction"] = self._direction(fields)
        if "mine" in get:
            fields[their_place(fields["direction"])] = address_of(self.request)
        fields = turned(fields, get.get("filled", ""))
        if self.machine and not self.asked:
            own, their = own_place(fields["direction"]), their_place(fields["direction"])
            fields[own] = fields.get(own) or _own_address(self.machine, str(fields.get(their, "")))
        return fields

    def _direction(self, fields: dict[str, Any]) -> str:
        """As the VM at one of its ends tells it, or the line: on a group's page the line first, for what it says there is
        of the machine that logged it."""
        by_address, by_line = self._by_address(fields), self.read.fields.get("direction", "")
        first = (by_line, by_address) if self.group else (by_address, by_line)
        # Where neither says it, on a group's page what is chosen holds.
        return first[0] or first[1] or (str(fields.get("direction", "in")) if self.group else "in")

    def _by_address(self, fields: dict[str, Any]) -> str:
        """Out where the sender alone is the VM, In where the receiver alone is; "" where neither or both are."""
        source, destination = str(fields.get("source", "")), str(fields.get("destination", ""))
        if self.machine:
            sends, receives = (same_address(end, self.machine.addresses) for end in (source, destination))
        else:
            sends, receives = vms_at_ends(self.access.project.pk, source, destination)
        return "" if sends == receives else "out" if sends else "in"

    def turned_by_address(self, fields: dict[str, Any]) -> str:
        """The direction that the line says, where the VM's address says the other."""
        said = self.read.fields.get("direction", "")
        told = "" if self.group or not said else self._by_address(fields)
        return said if told and told != said else ""

    def form(self) -> PacketForm:
        given = {"data": self.fields()} if self.asked else {"initial": self.fields()}
        form = ProjectPacketForm(self.access.project, **given) if self.whole_project else PacketForm(**given)
        if self.machine:
            form.fields["direction"].widget.attrs |= {"hx-get": self.request.path, **FOLLOWS}
        return form


def _own_address(machine: VirtualMachine, other: str) -> str:
    """The VM's address in the family of the other one, as far as it has one."""
    return (machine.ipv6 if ":" in other else machine.ipv4) or machine.ipv6 or machine.ipv4 or ""


def _moment(request: HttpRequest) -> datetime | None:
    """The time of ?at=; None where there is none or it is no time. One without an offset is one of ?zone=, or of UTC:
    an address means the same moment to everybody who opens it."""
    return moment_of(request.GET.get("at", ""), operations.time_zone(request.GET.get("zone", "")))


def answer_packet(asking: Asking, page: str, context: dict[str, Any]) -> HttpResponse:
    """The form, and with ?test what becomes of the packet."""
    request, form = asking.request, asking.form()
    if not asking.group:
        _suggest(form, asking.access, context)
    if asking.asked and form.is_valid():
        context |= _asked(asking, form)
    direction = form["direction"].value()
    own, moment = str(form[own_place(direction)].value() or ""), _moment(request)
    # What is no time stays as it was typed.
    at, zone = to_type(moment) if moment else (request.GET.get("at", ""), timezone.get_current_timezone_name())
    context |= {
        "form": form,
        "line": asking.line,
        **_as_read(asking),
        "address": address_of(request),
        "at": at,
        "moment": moment,
        "zone": zone,
        "own_place": their_place(direction),
        # By this the answer knows the VM's address again when the direction has changed.
        "filled": f"{own_place(direction)}={own}" if asking.machine and own in asking.machine.addresses else "",
        **_reply(asking, str(direction)),
    }
    part = "securitygroups/packet_test/_page.html"
    return answer(request, page, part, context, status=FORM_INVALID if form.errors else 200)


def _as_read(asking: Asking) -> dict[str, Any]:
    """What is said of the line that is read now."""
    read = asking.read
    return {
        "unread": asking.reads and not read.fields,
        "read": read if asking.pasted else None,
        "advice": read.advice,
        "said_direction": asking.turned_by_address(asking.pasted) if asking.pasted else "",
        "no_protocol": bool(asking.pasted) and "protocol" not in read.fields,
    }


def _asked(asking: Asking, form: PacketForm) -> dict[str, Any]:
    """The answer; support can keep it as a case, with the packet as it was sent."""
    found: dict[str, Any] = {}
    if asking.whole_project:
        found = _meant(asking, form)
    machine = found.get("machine") or asking.machine
    answered = _ask(asking, machine, form.packet)
    if answered is None:
        return found
    return found | {
        "traces": answered.traces,
        "overall": answered.overall,
        "stranger": stranger(machine, form.packet, _moment(asking.request)) if machine else "",
        "case_form": CaseForm() if asking.access.role == SUPPORT else None,
        "open_cases": _open_cases(asking.access),
        "sent": [(name, text) for name, text in form.data.items() if name in PacketForm.base_fields],
    }


def _open_cases(access: Access) -> list[SupportCase]:
    return open_cases(access.project, access.visit.ticket, CASES_OFFERED) if access.visit else []


def _ask(asking: Asking, machine: VirtualMachine | None, packet: Packet) -> Answer | None:
    at = _moment(asking.request)
    if machine:
        return ask_machine(machine, packet, at)
    return ask_group(asking.group, packet, at) if asking.group else None


def _meant(asking: Asking, form: PacketForm) -> dict[str, Any]:
    """The VM that a packet of the project is tested on: the one that is named, else the one at the packet's end."""
    packet = form.packet
    ends = at_ends(asking.access.project.pk, packet.version, packet.source, packet.destination)
    own, other = ends if packet.direction is Direction.OUT else ends[::-1]
    machine = form.cleaned_data.get("vm") or own
    if machine:
        machine.project = asking.access.project
        return {"machine": machine, "target": machine, "found": True}
    turn = {**form.data, "direction": "in" if packet.direction is Direction.OUT else "out", "test": "1"}
    place = own_place(packet.direction.value)
    return {"nobody": form.cleaned_data[place], "other": other, "turn": urlencode(turn), "other_way": turn["direction"]}


def _reply(asking: Asking, direction: str) -> dict[str, Any]:
    """What is said of a line whose packet opens no connection, as long as it is that packet that is looked at."""
    if not asking.line:
        return {}
    get = asking.request.GET
    as_read = {name: text for name, text in asking.read.fields.items() if name != "direction"}
    if not asking.pasted and any(get.get(name, "") != text for name, text in as_read.items()):
        return {}
    reply = reply_in(asking.read, service_port)
    return {"reply": reply, "opener": _opener(asking, reply, direction)} if reply else {}


def _opener(asking: Asking, reply: Reply, direction: str) -> str:
    """The query of the test of the packet that opened the connection; "" where the line does not tell it."""
    if not reply.opener:
        return ""
    fields = reply.opener | {"test": "1"}
    if asking.group:
        other = "out" if direction == "in" else "in"
        fields["direction"] = other if reply.back else direction
    elif asking.machine:
        fields["direction"] = "out" if same_address(fields["source"], asking.machine.addresses) else "in"
    return urlencode(fields)


def _suggest(form: PacketForm, access: Access, context: dict[str, Any]) -> None:
    """Offer the addresses of the project's VMs in the address fields: between two of them both lists are asked."""
    for name in form.fields.keys() & {"source", "destination", "vm"}:
        form.fields[name].widget.attrs["list"] = "vm-addresses"
    rows = VirtualMachine.objects.live().filter(project=access.project).order_by("name")
    known = rows.values_list("name", "ipv4", "ipv6")[:SUGGESTED]
    context["known"] = [(address, name) for name, *both in known for address in both if address][:SUGGESTED]
