"""Test a packet, on a group, on a VM and between two VMs. The evaluator decides; this shows what it says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from securitygroups.access import SUPPORT, Access, enter, find_group, find_machine
from securitygroups.answers.way import Line, Stop, way
from securitygroups.firewall.decide import Decision, Step, decide
from securitygroups.firewall.formats.documents import rules_from_stored
from securitygroups.firewall.nftables.ruleset import PlatformLine, Target, platform_lines
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.values import ICMPV6, PACKET_PROTOCOLS, Packet, Refused, address_text, parse_address
from securitygroups.forms import CaseForm, PacketForm
from securitygroups.models import GroupRevision, MachineRevision, SecurityGroup, VirtualMachine, effective_rules
from securitygroups.packets import Need, read_line, what_accept_needs
from securitygroups.web.pages import FORM_INVALID, address_of, answer

SUGGESTED = 200
"""Addresses of the project's VMs that the fields suggest."""
_LINK_LOCAL = parse_address("fe80::")[1] >> 118
_BROADCAST, _DHCP6_SERVERS = parse_address("255.255.255.255")[1], parse_address("ff02::1:2")[1]
# What a tested packet does not say, and the platform's lines ask for.
_IF = {
    "arp": dict.fromkeys(Direction, "the frame is ARP"),
    "vlan": dict.fromkeys(Direction, "the frame has a VLAN tag"),
    "nd": {
        Direction.IN: "it is a router's advertisement or asks for or tells a neighbour's address, with hop limit 255",
        Direction.OUT: "it asks for routers or asks for or tells a neighbour's address, with hop limit 255",
    },
    "dhcp4": {Direction.IN: "it comes from port 67", Direction.OUT: "it comes from port 68"},
    "dhcp6": {Direction.IN: "it comes from port 547", Direction.OUT: "it comes from port 546"},
}


@dataclass(frozen=True, slots=True)
class Traced:
    """A decision with where its rules stand, for the page.

    `absent` names a VM that was not in the project at the time asked about; `before` are the platform's lines that may
    decide the packet before any rule of a VM does, each with its condition.
    """

    title: str
    decision: Decision
    packet: Packet
    steps: list[tuple[Step, Line]]
    way: list[Stop]
    deciding: Line | None
    need: Need | None
    absent: str = ""
    before: list[tuple[str, PlatformLine]] = field(default_factory=list)


def lines_of_group(group: SecurityGroup) -> list[Line]:
    return [Line(row.as_value(), group.name, group.public_id, row.position) for row in group.rules.in_order()]


def lines_of_machine(machine: VirtualMachine) -> list[Line]:
    return [Line(row.as_value(), row.group.name, row.group.public_id, row.position) for row in effective_rules(machine)]


def _lines_at(group: SecurityGroup, moment: datetime) -> list[Line]:
    """The group's list as it was at a moment; empty before it was made."""
    revision = GroupRevision.objects.filter(group=group, at__lte=moment).order_by("-number").first()
    rules = rules_from_stored(revision.rules) if revision else ()
    return [Line(rule, group.name, group.public_id, place) for place, rule in enumerate(rules, 1)]


def _machine_lines_at(machine: VirtualMachine, moment: datetime) -> list[Line]:
    """The VM's effective list as it was at a moment: the groups it had then, each with the rules it had then.

    Empty where it was in another project then: what held there is that customer's business.
    """
    revision = revision_at(machine, moment)
    ids = [group["id"] for group in revision.groups] if revision else []
    groups = {
        group.public_id: group for group in SecurityGroup.objects.filter(project=machine.project_id, public_id__in=ids)
    }
    return [line for public_id in ids for line in _lines_at(groups[public_id], moment)]


def revision_at(machine: VirtualMachine, moment: datetime) -> MachineRevision | None:
    """The VM's groups at a moment; None where it was not there yet, or in another project."""
    revision = machine.revisions.filter(at__lte=moment).order_by("-number").first()
    return revision if revision and revision.project_id == machine.project_id else None


def _trace(title: str, lines: Sequence[Line], packet: Packet) -> Traced:
    rules = [line.rule for line in lines]
    decision = decide(rules, packet)
    need = what_accept_needs(rules, packet, decision.rule) if decision.action is Action.DROP else None
    steps = [(step, lines[step.place - 1]) for step in decision.steps]
    deciding = lines[decision.rule - 1] if decision.rule else None
    return Traced(title, decision, packet, steps, list(way(decision, lines)), deciding, need)


def _platform_s(packet: Packet) -> str:
    """Which of the platform's lines such a packet may meet, by their names."""
    if packet.version is None:
        return "vlan arp"
    if (packet.version, packet.protocol) == (6, ICMPV6):
        return "nd"
    if packet.protocol != PACKET_PROTOCOLS["udp"]:
        return ""
    inbound = packet.direction is Direction.IN
    if packet.version == 4:
        dhcp = packet.port == 68 if inbound else packet.port == 67 and packet.destination == _BROADCAST
        return "dhcp4" if dhcp else ""
    near = [(end or 0) >> 118 == _LINK_LOCAL for end in (packet.source, packet.destination)]
    if inbound:
        return "dhcp6" if packet.port == 546 and all(near) else ""
    return "dhcp6" if packet.port == 547 and near[0] and packet.destination == _DHCP6_SERVERS else ""


def platform_before(packet: Packet) -> list[tuple[str, PlatformLine]]:
    """The platform's lines that may decide the packet on a VM before any rule does, each with its condition in words."""
    names = _platform_s(packet).split()
    lines = [one for one in platform_lines(Target.BRIDGE) if one.direction is packet.direction and one.what in names]
    return [(_IF[line.what][line.direction], line) for line in lines]


def _initial(request: HttpRequest, machine: VirtualMachine | None) -> dict[str, Any]:
    """What the address bar or a pasted line says, and the VM's own address where they say nothing."""
    initial: dict[str, Any] = {"direction": "in", "protocol": "tcp"}
    initial |= {name: request.GET[name] for name in PacketForm.base_fields if name in request.GET}
    pasted = read_line(request.GET.get("line", ""))
    initial |= pasted
    if "mine" in request.GET:
        initial["source" if initial["direction"] == "in" else "destination"] = address_of(request)
    if machine:
        if pasted and _same_address(pasted.get("source", ""), machine.addresses):
            initial["direction"] = "out"
        own, other = ("destination", "source") if initial["direction"] == "in" else ("source", "destination")
        if not initial.get(own):
            family = machine.ipv6 if ":" in initial.get(other, "") else machine.ipv4
            initial[own] = family or machine.ipv6 or machine.ipv4 or ""
    return initial


def _same_address(text: str, addresses: Iterable[str]) -> bool:
    """Whether the address is one of these, however it is written: the kernel's log writes IPv6 in full."""
    try:
        return parse_address(text) in {parse_address(address) for address in addresses}
    except Refused:
        return False


def _moment(request: HttpRequest) -> datetime | None:
    """The time of ?at=, UTC; None where there is none or it is no time."""
    try:
        moment = parse_datetime(request.GET.get("at", ""))
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if timezone.is_naive(moment) else moment.astimezone(UTC)
    except OverflowError:
        return None


def _answer(
    request: HttpRequest,
    access: Access,
    context: dict[str, Any],
    trace: Any,
    machine: VirtualMachine | None = None,
) -> HttpResponse:
    """The form, and with ?test the answer. `trace` gives the traces of a packet."""
    line = request.GET.get("line", "")
    asked = "test" in request.GET and not ("read" in request.GET and line) and "mine" not in request.GET
    pasted = {} if asked else read_line(line)
    form = PacketForm(request.GET) if asked else PacketForm(initial=_initial(request, machine))
    status = 200
    if machine:
        _suggest(form, access, context)
    if asked and form.is_valid():
        context["traces"] = trace(form.packet)
        context["stranger"] = _stranger(machine, form.packet) if machine else ""
        context["case_form"] = CaseForm() if access.role == SUPPORT else None
        context["sent"] = [(name, text) for name, text in request.GET.items() if name in PacketForm.base_fields]
    elif asked:
        status = FORM_INVALID
    context |= {
        "form": form,
        "line": line,
        "unread": bool(line) and not asked and not pasted,
        "no_protocol": bool(pasted) and "protocol" not in pasted,
        "address": address_of(request),
        "at": request.GET.get("at", ""),
        "moment": _moment(request),
        "own_place": "source" if form["direction"].value() == "in" else "destination",
    }
    return answer(
        request, "securitygroups/packet_test/page.html", "securitygroups/packet_test/_page.html", context, status=status
    )


def _suggest(form: PacketForm, access: Access, context: dict[str, Any]) -> None:
    """Offer the addresses of the project's VMs in the address fields: between two of them both lists are asked."""
    for name in ("source", "destination"):
        form.fields[name].widget.attrs["list"] = "vm-addresses"
    rows = VirtualMachine.objects.live().filter(project=access.project).order_by("name")
    known = rows.values_list("name", "ipv4", "ipv6")[:SUGGESTED]
    context["known"] = [(address, name) for name, *both in known for address in both if address][:SUGGESTED]


def _stranger(machine: VirtualMachine, packet: Packet) -> str:
    """The packet's address on the VM's side where it is none of the VM's."""
    own = packet.destination if packet.direction is Direction.IN else packet.source
    if packet.version is None or own is None or not machine.addresses:
        return ""
    text = address_text(packet.version, own)
    return "" if text in machine.addresses else text


@require_safe
def group_test(request: HttpRequest, slug: str, group_id: str) -> HttpResponse:
    """A packet against the group's list, as it is or as it was ?at=."""
    access = enter(request, slug)
    group = find_group(access, group_id)
    moment = _moment(request)
    lines = _lines_at(group, moment) if moment else lines_of_group(group)
    context = {"group": group, "tab": "test", "target": group, "machine_count": group.attachments.count()}
    return _answer(request, access, context, lambda packet: [_trace("", lines, packet)])


def _other(machine: VirtualMachine, packet: Packet, access: Access) -> VirtualMachine | None:
    """The project's VM at the other end of the packet, if there is one."""
    end = packet.source if packet.direction is Direction.IN else packet.destination
    if packet.version is None or end is None:
        return None
    column = f"ipv{packet.version}"
    others = VirtualMachine.objects.live().filter(project=access.project, **{column: address_text(packet.version, end)})
    return others.exclude(pk=machine.pk).first()


@require_safe
def machine_test(request: HttpRequest, slug: str, machine_id: str) -> HttpResponse:
    """A packet against the VM's effective list. Between two VMs of the project both lists are asked: the sender's Out
    list, then the receiver's In list."""
    access = enter(request, slug)
    machine = find_machine(access, machine_id)
    moment = _moment(request)

    def lines(vm: VirtualMachine) -> list[Line]:
        return _machine_lines_at(vm, moment) if moment else lines_of_machine(vm)

    def traced(title: str, vm: VirtualMachine, packet: Packet) -> Traced:
        absent = vm.name if moment and revision_at(vm, moment) is None else ""
        return replace(_trace(title, lines(vm), packet), absent=absent, before=platform_before(packet))

    def trace(packet: Packet) -> list[Traced]:
        other = _other(machine, packet, access)
        if other is None:
            return [traced("", machine, packet)]
        sender, receiver = (other, machine) if packet.direction is Direction.IN else (machine, other)
        ends = (Direction.OUT, sender), (Direction.IN, receiver)
        both = [traced(f"{direction.label} of {vm.name}", vm, _turned(packet, direction)) for direction, vm in ends]
        context["overall"] = overall(sender, receiver, both)
        return both

    context: dict[str, Any] = {"machine": machine, "group": None, "target": machine, "tab": "test"}
    return _answer(request, access, context, trace, machine)


@dataclass(frozen=True, slots=True)
class Overall:
    """What becomes of a packet between two VMs of the project."""

    passes: bool
    text: str


def overall(sender: VirtualMachine, receiver: VirtualMachine, both: Sequence[Traced]) -> Overall:
    out, into = (one.decision.action is Action.ACCEPT for one in both)
    if out and into:
        text = f"The Out list of {sender.name} lets it out, and the In list of {receiver.name} lets it in."
    elif out:
        text = f"It leaves {sender.name}, but the In list of {receiver.name} denies it."
    else:
        text = (
            f"The Out list of {sender.name} denies it, so it never reaches {receiver.name}. "
            f"What {receiver.name} would answer is shown for information."
        )
    return Overall(out and into, text)


def _turned(packet: Packet, direction: Direction) -> Packet:
    """The same packet as the VM at its other end sees it."""
    return replace(packet, direction=direction)
