"""Would this packet pass, and which rule decides? On a group, on a VM, between two VMs, anywhere in a project."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema

from securitygroups.access import find_group, find_machine
from securitygroups.answers.packet_test import ask_group, ask_machine, at_ends, each, stranger
from securitygroups.api import documents
from securitygroups.api.doors import access_of, operation
from securitygroups.api.moments import LEFT_OUT, At, moment_of
from securitygroups.api.pasted import On, Pasted, read_pasted
from securitygroups.api.problems import Refusal
from securitygroups.api.traces import RuleAt, Tested, Verdict, answer_json, other_way, rule_at
from securitygroups.effective import Home, Listed, of_group, of_machine
from securitygroups.firewall.formats.packets import PACKET_KEYS, packet_from_json
from securitygroups.firewall.formats.strict import MAX_COUNTED, BadDocument, Fault, bad, check_keys
from securitygroups.firewall.guests import Guest
from securitygroups.firewall.lines.pasted import LONGEST
from securitygroups.firewall.protocols import MAX_PORT, NAMES, Direction
from securitygroups.firewall.values import NON_IP, Packet, address_text
from securitygroups.models import Scope, VirtualMachine, guest_of

router = Router(tags=["Packet tests"])
MOST_PACKETS = 1_000
"""In one request."""
MOST_BYTES = 2**20

_ADDRESS = {"type": ["string", "null"], "maxLength": 60, "description": "203.0.113.9"}
_FIELDS: dict[str, Any] = {
    "direction": {"enum": [direction.value for direction in Direction], "description": "As the VM sees it"},
    "protocol": {
        "oneOf": [
            {"enum": [*dict.fromkeys(NAMES.values()), NON_IP]},
            {"type": "integer", "minimum": 0, "maximum": 255},
        ]
    },
    "source": _ADDRESS,
    "destination": _ADDRESS,
    "port": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_PORT, "description": "The destination port"},
}
_PACKET = {
    "type": "object",
    "properties": _FIELDS,
    "required": ["direction", "protocol"],
    "additionalProperties": False,
}
_LINE = {
    "description": "A line of a log instead; what stands beside it holds, whatever the line says.",
    "type": "object",
    "properties": {"line": {"type": "string", "maxLength": LONGEST}} | _FIELDS,
    "required": ["line"],
    "additionalProperties": False,
}
# By name: programs that are made of the schema have one of each.
COMPONENTS = {"PacketToTest": _PACKET, "LineToTest": _LINE}
_ONE = documents.body({"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in COMPONENTS]})
_MANY = documents.body(
    {
        "type": "object",
        "properties": {
            "packets": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/PacketToTest"},
                "maxItems": MOST_PACKETS,
            }
        },
        "required": ["packets"],
        "additionalProperties": False,
    }
)


class Decided(Schema):
    """The verdict on one packet, and the rule that decides it: null where none matches."""

    verdict: Verdict
    rule: RuleAt | None


class AllDecided(Schema):
    """The verdicts on the packets, in their order."""

    answers: list[Decided]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The packet of a request, with the pasted line that it came from, if it did."""

    packet: Packet
    pasted: Pasted | None = None


@operation(router, "POST", "/{project}/groups/{group}/test", Scope.TEST, gives=Tested, extra=_ONE)
def test_packet_on_group(request: HttpRequest, project: str, group: str, at: At = LEFT_OUT) -> HttpResponse:
    """What becomes of a packet on the list of a group, with its way down the list, rule by rule."""
    found, moment = find_group(access_of(request), group), moment_of(at)
    asked = _read(request, On(access_of(request), group=found))
    return _told(answer_json(ask_group(found, asked.packet, moment), moment, Home.of(found)), None, asked)


@operation(router, "POST", "/{project}/machines/{machine}/test", Scope.TEST, gives=Tested, extra=_ONE)
def test_packet_on_machine(request: HttpRequest, project: str, machine: str, at: At = LEFT_OUT) -> HttpResponse:
    """What becomes of a packet on the effective list of a VM.

    Where the other end is a VM of the project too, both are asked: the sender's Out list, then the receiver's In list.
    """
    vm, moment = find_machine(access_of(request), machine), moment_of(at)
    asked = _read(request, On(access_of(request), machine=vm))
    return _told(answer_json(ask_machine(vm, asked.packet, moment), moment), vm, asked, moment)


@operation(router, "POST", "/{project}/test", Scope.TEST, gives=Tested, extra=_ONE)
def test_packet(request: HttpRequest, project: str, at: At = LEFT_OUT) -> HttpResponse:
    """What becomes of a packet on the VM that has its address: of In the destination, of Out the source.

    422 tells where no VM of the project has it; `other` is the VM at the other end then, seen from which the packet goes
    the other way.
    """
    moment, on = moment_of(at), On(access_of(request))
    asked = _read(request, on)
    vm = _meant(on, asked.packet)
    return _told(answer_json(ask_machine(vm, asked.packet, moment), moment), vm, asked, moment)


@operation(router, "POST", "/{project}/groups/{group}/tests", Scope.TEST, gives=AllDecided, extra=_MANY)
def test_packets_on_group(request: HttpRequest, project: str, group: str, at: At = LEFT_OUT) -> HttpResponse:
    """The verdicts on up to 1,000 packets by the list of a group, each with the rule that decides it."""
    found, moment = find_group(access_of(request), group), moment_of(at)
    packets = _read_many(request)
    return _all_told(of_group(found, moment), packets)


@operation(router, "POST", "/{project}/machines/{machine}/tests", Scope.TEST, gives=AllDecided, extra=_MANY)
def test_packets_on_machine(request: HttpRequest, project: str, machine: str, at: At = LEFT_OUT) -> HttpResponse:
    """The verdicts on up to 1,000 packets by the effective list of a VM, each with the rule that decides it.

    What no host passes, whatever the rules say, is denied by none of them. This VM's list alone is asked: what the list of a VM at the other end says, tells the test of a single packet.
    """
    found, moment = find_machine(access_of(request), machine), moment_of(at)
    packets = _read_many(request)
    return _all_told(of_machine(found, moment), packets, guest_of(found, moment))


def _read(request: HttpRequest, on: On) -> _Asked:
    """The packet that was sent, or the one of the line. Raises BadDocument, Refusal."""
    sent = documents.read_body(request, MOST_BYTES)
    if "line" not in sent:
        return _Asked(packet_from_json(sent))
    if faults := list(check_keys(sent, ("line", *PACKET_KEYS), (), "")):
        raise BadDocument(faults)
    pasted = read_pasted(on, sent.pop("line"), sent)
    return _Asked(packet_from_json(pasted.packet), pasted)


def _read_many(request: HttpRequest) -> list[Packet]:
    """The packets that were sent, or every fault of them by its place. Raises BadDocument, Refusal."""
    sent = documents.read_body(request, MOST_BYTES)
    if faults := list(check_keys(sent, ("packets",), ("packets",), "")):
        raise BadDocument(faults)
    values = sent["packets"]
    if not isinstance(values, list) or len(values) > MOST_PACKETS:
        raise bad("packets", f"Write a list of {MOST_PACKETS:,} packets at most.")
    packets, found = list[Packet](), list[Fault]()
    for at, value in enumerate(values):
        try:
            packets.append(packet_from_json(value))
        except BadDocument as error:
            found += [
                Fault(f"packets[{at}]{fault.where and '.'}{fault.where}", fault.problem) for fault in error.faults
            ]
            if len(found) >= MAX_COUNTED:
                break
    if found:
        raise BadDocument(found)
    return packets


def _meant(on: On, packet: Packet) -> VirtualMachine:
    """The VM at the packet's own end. Raises Refusal where there is none, with the one at the other end."""
    if packet.version is None:
        raise bad("protocol", "A frame that is not IP has no address that tells the VM: test it on the VM itself.")
    ends = at_ends(on.access.project.pk, packet.version, packet.source, packet.destination)
    outbound = packet.direction is Direction.OUT
    own, other = ends if outbound else ends[::-1]
    if own is not None:
        own.project = on.access.project
        return own
    place, number = ("source", packet.source) if outbound else ("destination", packet.destination)
    nobody = f"No VM of {on.access.project.name} has the address {address_text(packet.version, number or 0)}."
    if other is None:
        detail = f"{nobody} Correct the address, or test it on the VM that is meant."
        raise Refusal("invalid", detail, [{"pointer": f"/{place}", "detail": detail}])
    turned = other_way(packet.direction)
    detail = f"{nobody} {other.name} has the other one: seen from it, this packet goes {turned.label}."
    fault = {"pointer": f"/{place}", "detail": detail}
    told = {"id": other.public_id, "name": other.name, "direction": turned.value}
    raise Refusal("invalid", detail, [fault], other=told)


def _told(
    answer: dict[str, Any], vm: VirtualMachine | None, asked: _Asked, moment: datetime | None = None
) -> HttpResponse:
    """Not by way of the schema, which would look at each of a thousand steps once more."""
    notes = list(asked.pasted.notes) if asked.pasted else []
    if vm and (address := stranger(vm, asked.packet, moment)):
        notes.append(f"{address} is not an address of {vm.name}.")
    known = {
        "machine": {"id": vm.public_id, "name": vm.name} if vm else None,
        "notes": notes,
        "read": asked.pasted.json if asked.pasted else None,
    }
    return JsonResponse(answer | known)


def _all_told(listed: Listed, packets: list[Packet], guest: Guest | None = None) -> HttpResponse:
    answers = [
        {"verdict": action.value, "rule": rule_at(rule, listed[rule - 1]) if rule else None}
        for action, rule in each(listed, packets, guest)
    ]
    return JsonResponse({"answers": answers})
