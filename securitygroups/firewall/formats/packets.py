"""Packets as files: one JSON object a line."""

from typing import Any

from securitygroups.firewall.formats.strict import (
    MAX_COUNTED,
    BadDocument,
    Fault,
    check_keys,
    choice,
    decode,
    load_json,
    port_number,
)
from securitygroups.firewall.protocols import MAX_PORT, Direction, Problem
from securitygroups.firewall.values import (
    NON_IP,
    Packet,
    Refused,
    address_text,
    make_packet,
    packet_problems,
    parse_address,
    protocol_name,
)

PACKET_KEYS = ("direction", "protocol", "source", "destination", "port")


def packet_from_json(value: Any, where: str = "") -> Packet:
    """A packet from its JSON object. Raises BadDocument."""
    faults = list(check_keys(value, PACKET_KEYS, ("direction", "protocol"), where))
    if faults:
        raise BadDocument(faults)
    fields = {
        "direction": choice(value["direction"], Direction),
        "protocol": _packet_protocol(value["protocol"]),
        "port": _packet_port(value.get("port")),
        "source": _address(value.get("source")),
        "destination": _address(value.get("destination")),
    }
    problems = {name: field for name, field in fields.items() if isinstance(field, Problem)}
    if not problems:
        direction = fields.pop("direction")
        problems = packet_problems(**fields)
        if not problems:
            try:
                return make_packet(direction, **fields)
            except Refused as refusal:
                problems["destination"] = refusal.problem
    glue = ", " if where else ""
    raise BadDocument([Fault(f"{where}{glue}{name}", problem) for name, problem in problems.items()])


def _packet_protocol(value: Any) -> str | int | Problem:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return Problem("Write tcp, udp, sctp, icmp, non-ip in quotes, or a number from 0 to 255.")
    return value


def _packet_port(value: Any) -> int | Problem | None:
    port = port_number(value)
    return Problem(f"Write a whole number from 0 to {MAX_PORT} without quotes.") if isinstance(port, Problem) else port


def _address(value: Any) -> tuple[int, int] | Problem | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return Problem('Write an address in quotes, such as "203.0.113.9".')
    try:
        return parse_address(value)
    except Refused as refusal:
        return refusal.problem


def packet_to_json(packet: Packet) -> dict[str, Any]:
    """The packet's JSON object, keys in the order of the format."""
    if packet.version is None:
        return {"direction": packet.direction.value, "protocol": NON_IP}
    value: dict[str, Any] = {
        "direction": packet.direction.value,
        "protocol": protocol_name(packet),
        "source": address_text(packet.version, packet.source or 0),
        "destination": address_text(packet.version, packet.destination or 0),
    }
    return value if packet.port is None else value | {"port": packet.port}


def read_packets(data: bytes) -> list[Packet]:
    """Packets, one JSON object a line; empty lines are passed over. Raises BadDocument with line and field."""
    packets: list[Packet] = []
    faults: list[Fault] = []
    for number, line in enumerate(decode(data).split("\n"), 1):
        if not line.strip():
            continue
        try:
            packets.append(packet_from_json(load_json(line, f"line {number}"), f"line {number}"))
        except BadDocument as error:
            faults += error.faults
            if len(faults) >= MAX_COUNTED:
                break
    if faults:
        raise BadDocument(faults)
    return packets
