"""A pasted log line instead of a packet: read as the packet test page reads it."""

from dataclasses import dataclass
from typing import Any

from securitygroups.access import Access
from securitygroups.answers.pasted import same_address, vms_at_ends
from securitygroups.answers.services import service_port
from securitygroups.api.traces import other_way
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.lines.pasted import LONGEST, Line, parse_line
from securitygroups.firewall.lines.replies import Reply, reply_in
from securitygroups.firewall.protocols import Direction
from securitygroups.models import SecurityGroup, VirtualMachine


@dataclass(frozen=True, slots=True)
class On:
    """What a packet is tested on: a group, a VM, or else whichever VM of the project has its address."""

    access: Access
    group: SecurityGroup | None = None
    machine: VirtualMachine | None = None


@dataclass(frozen=True, slots=True)
class Pasted:
    """A line with the packet's document that it makes, `json` what is told of it, and `notes` on it in words."""

    packet: dict[str, Any]
    json: dict[str, Any]
    notes: list[str]


def read_pasted(on: On, line: Any, beside: dict[str, Any]) -> Pasted:
    """The packet of the line. What is said `beside` it holds, whatever the line says. Raises BadDocument."""
    if not isinstance(line, str) or len(line) > LONGEST:
        raise bad("line", f"Write a line in quotes, of {LONGEST} characters at most.")
    read = parse_line(line, service_port)
    if not read.fields:
        raise bad(
            "line", read.advice or "No packet was found in this line: paste one such as tcp 203.0.113.9 > 10.0.0.5:22."
        )
    packet = _document(read.fields) | beside
    if "protocol" not in packet:
        raise bad("protocol", "The line does not say the protocol: write it beside the line.")
    by_address, by_line = _by_address(on, packet), read.fields.get("direction", "")
    first, second = (by_line, by_address) if on.group else (by_address, by_line)
    packet.setdefault("direction", first or second or "in")
    turned = "direction" not in beside and not on.group and by_line and by_address and by_line != by_address
    notes = [read.advice] if read.advice else []
    if turned:
        notes.append(
            f"The line says {by_line.capitalize()}, as the machine that logged it sees it. For the VM, by its address, it is "
            "the other direction."
        )
    return Pasted(packet, {"kind": read.kind, "said": read.said} | _opens(on, read, packet), notes)


def _document(fields: dict[str, str]) -> dict[str, Any]:
    """The packet's document from the fields of the form, as far as they say it."""
    found: dict[str, Any] = {name: fields[name] for name in ("protocol", "source", "destination") if fields.get(name)}
    if found.get("protocol") == "number":
        found["protocol"] = int(fields["number"])
    if fields.get("port"):
        found["port"] = int(fields["port"])
    return found


def _by_address(on: On, packet: dict[str, Any]) -> str:
    """Out where the sender alone is the VM, In where the receiver alone is; "" where neither or both are."""
    source, destination = str(packet.get("source", "")), str(packet.get("destination", ""))
    if on.machine:
        sends, receives = (same_address(end, on.machine.addresses) for end in (source, destination))
    else:
        sends, receives = vms_at_ends(on.access.project.pk, source, destination)
    return "" if sends == receives else "out" if sends else "in"


def _opens(on: On, read: Line, packet: dict[str, Any]) -> dict[str, Any]:
    """What is said of a line whose packet opens no connection: the rules judge the one that did."""
    reply = reply_in(read, service_port)
    opener = _opener(on, reply, packet) if reply and reply.opener else None
    return {"opens_no_connection": {"what": reply.what, "packet": opener} if reply else None}


def _opener(on: On, reply: Reply, packet: dict[str, Any]) -> dict[str, Any]:
    opener = _document(reply.opener)
    if on.group and packet["direction"] in [each.value for each in Direction]:
        its = Direction(packet["direction"])
        return {"direction": (other_way(its) if reply.back else its).value} | opener
    return {"direction": _by_address(on, opener) or "in"} | opener
