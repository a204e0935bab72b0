"""Rules and packets as frozen values."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from securitygroups.firewall.networks import (
    BITS,
    Network,
    Refused,
    address_text,
    machine_address,
    parse_address,
    parse_network,
    plain_network,
    whole_number,
)
from securitygroups.firewall.protocols import (
    COLUMNS,
    ICMP,
    ICMPV6,
    MAX_PORT,
    NAMES,
    PORT_NUMBERS,
    PROTOCOLS,
    Action,
    Direction,
    Problem,
    shape_errors,
    shown,
)
from securitygroups.firewall.texts import text_problem

MAX_DESCRIPTION = 255
PACKET_PROTOCOLS = {name: number for (_, number), name in NAMES.items() if number in PORT_NUMBERS}
"""Numbers of the protocols with ports, which are the same over both families."""


def description_problem(text: str) -> Problem | None:
    """Why a rule's description, or another line of its length, cannot be kept, or None."""
    return text_problem(text, MAX_DESCRIPTION)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a security group. None means "any"; ports are 0-65535, both ends included.

    `uid` is the rule's identity through edits and moves, "" for one that was never stored; it takes no part in
    equality. Nothing is checked at construction: `problems()` tells what is wrong.
    """

    action: Action
    direction: Direction
    protocol: str
    source: Network | None = None
    destination: Network | None = None
    port_start: int | None = None
    port_end: int | None = None
    description: str = ""
    enabled: bool = True
    uid: str = field(default="", compare=False)

    def problems(self) -> dict[str, Problem]:
        """What is wrong with the rule, by field name; empty when it can be stored."""
        errors = shape_errors(self.protocol, {column: getattr(self, column) for column in COLUMNS})
        problem = description_problem(self.description)
        return errors | {"description": problem} if problem else errors


RULE_FIELDS = tuple(each.name for each in fields(Rule) if each.compare)
"""What a rule says: everything but its identity."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The packet that opens a connection, or a frame that is not IP.

    `version` is 4 or 6, or None where the frame is not IP; then protocol and addresses are None too. `protocol` is the
    IP protocol number 0-255. `port` is the destination port of a TCP, UDP or SCTP packet, else None.
    """

    direction: Direction
    version: int | None = None
    protocol: int | None = None
    source: int | None = None
    destination: int | None = None
    port: int | None = None


NON_IP = "non-ip"


def packet_problems(
    protocol: str | int | None, source: object | None, destination: object | None, port: int | None
) -> dict[str, Problem]:
    """What is missing or too much for a packet of this protocol, by field: "protocol", "source", "destination", "port".

    `protocol` is tcp, udp, sctp, icmp, non-ip or a number 0-255.
    """
    problem = _protocol_problem(protocol)
    if problem:
        return {"protocol": problem}
    errors: dict[str, Problem] = {}
    for name, address in (("source", source), ("destination", destination)):
        if protocol == NON_IP and address is not None:
            errors[name] = Problem("A frame that is not IP has no IP address: leave this empty.")
        if protocol != NON_IP and address is None:
            errors[name] = Problem("Type the packet's address, such as 203.0.113.9 or 2001:db8::9.")
    problem = _packet_port_problem(PACKET_PROTOCOLS.get(protocol) if isinstance(protocol, str) else protocol, port)
    return errors | {"port": problem} if problem else errors


def _protocol_problem(protocol: str | int | None) -> Problem | None:
    if isinstance(protocol, str):
        if protocol in {*NAMES.values(), NON_IP}:
            return None
        said = f"“{shown(protocol)}” is not a packet's protocol"
        return Problem(f"{said}: type tcp, udp, sctp, icmp, non-ip or a number from 0 to 255.")
    if protocol is None or not 0 <= protocol <= 255:
        return Problem("An IP protocol is a number from 0 to 255 (47 is GRE, 50 is ESP): type one of them.")
    return None


def _packet_port_problem(number: int | None, port: int | None) -> Problem | None:
    if number not in PORT_NUMBERS:
        return None if port is None else Problem("Only TCP, UDP and SCTP packets have a port: leave this empty.")
    if port is None:
        return Problem(f"Type the packet's destination port, a number from 0 to {MAX_PORT}.")
    if not 0 <= port <= MAX_PORT:
        return Problem(f"{shown(port)} is not a port: type a number from 0 to {MAX_PORT}.")
    return None


def make_packet(
    direction: Direction,
    protocol: str | int,
    source: tuple[int, int] | None,
    destination: tuple[int, int] | None,
    port: int | None,
) -> Packet:
    """A packet from checked parts (see packet_problems); addresses are (version, number). Raises Refused on mixed families."""
    if source is None or destination is None:
        return Packet(direction)
    version = source[0]
    if destination[0] != version:
        raise Refused(
            Problem(
                f"The source is IPv{version} but the destination is IPv{destination[0]}: "
                f"type an IPv{version} destination, for a packet has one family."
            )
        )
    number = protocol if isinstance(protocol, int) else protocol_number(protocol, version)
    return Packet(direction, version, number, source[1], destination[1], port)


def protocol_number(name: str, version: int) -> int:
    """The IP protocol number of "tcp", "udp", "sctp", or of "icmp", which is another for each family."""
    numbers = PROTOCOLS[name].numbers
    if numbers is None:
        raise ValueError(f"{name} is no protocol of a packet")
    return numbers[version]


def protocol_name(packet: Packet) -> str | int:
    """What a packet's protocol is called where packets are written: a name of the table, "non-ip", or its number."""
    if packet.version is None or packet.protocol is None:
        return NON_IP
    return NAMES.get((packet.version, packet.protocol), packet.protocol)


RuleList = Sequence[Rule]

__all__ = [
    "BITS",
    "ICMP",
    "ICMPV6",
    "NON_IP",
    "PACKET_PROTOCOLS",
    "PROTOCOLS",
    "RULE_FIELDS",
    "Action",
    "Direction",
    "Network",
    "Packet",
    "Problem",
    "Refused",
    "Rule",
    "RuleList",
    "address_text",
    "description_problem",
    "machine_address",
    "make_packet",
    "packet_problems",
    "parse_address",
    "parse_network",
    "plain_network",
    "protocol_name",
    "protocol_number",
    "whole_number",
]
