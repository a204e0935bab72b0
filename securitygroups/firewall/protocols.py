"""The one table of what each protocol asks for, and the check of a rule's shape against it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from securitygroups.firewall.texts import Problem as Problem
from securitygroups.firewall.texts import shown as shown

MAX_PORT = 65535


class Action(StrEnum):
    """What a rule does with a packet that it matches."""

    ACCEPT = "accept"
    DROP = "drop"

    @property
    def label(self) -> str:
        return self.value.capitalize()


class Direction(StrEnum):
    """Seen from the VM: In = towards it, Out = from it."""

    IN = "in"
    OUT = "out"

    @property
    def other(self) -> "Direction":
        return Direction.OUT if self is Direction.IN else Direction.IN

    @property
    def label(self) -> str:
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class Protocol:
    """What one protocol of the rule form covers and which fields it has.

    `numbers` are the IP protocol number that it matches over each family, None where it matches every number; `only_ip`
    tells whether frames that are not IP (ARP and others) are beyond it; `columns` are the optional fields that a rule of
    it may set.
    """

    name: str
    label: str
    numbers: Mapping[int, int] | None
    only_ip: bool
    columns: frozenset[str]
    covers: str

    @property
    def has_ports(self) -> bool:
        """Whether a rule of it may set ports, and its packets have one."""
        return self.columns >= _PORTS

    def covers_number(self, version: int | None, number: int | None) -> bool:
        """Whether it matches packets of the family with this number; `number` None is any that no other protocol names."""
        return self.numbers is None or (version is not None and self.numbers[version] == number)


ICMP, ICMPV6 = 1, 58
_PORTS = frozenset({"port_start", "port_end"})
COLUMNS = ("source", "destination", "port_start", "port_end")
COLUMN_LABELS = {
    "source": "Source IP Address",
    "destination": "Destination IP Address",
    "port_start": "Destination Port Range",
    "port_end": "Destination Port Range",
}

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("tcp", "TCP", {4: 6, 6: 6}, True, _PORTS | {"source"}, "TCP over IPv4 and IPv6"),
        Protocol("udp", "UDP", {4: 17, 6: 17}, True, _PORTS | {"source"}, "UDP over IPv4 and IPv6"),
        Protocol("sctp", "SCTP", {4: 132, 6: 132}, True, _PORTS | {"source"}, "SCTP over IPv4 and IPv6"),
        Protocol(
            "icmp",
            "ICMP",
            {4: ICMP, 6: ICMPV6},
            True,
            frozenset({"source"}),
            "ICMP over IPv4 and ICMPv6 over IPv6: ping and error messages",
        ),
        Protocol(
            "ip",
            "IP",
            None,
            True,
            frozenset({"source", "destination"}),
            "every IPv4 or IPv6 packet: TCP, UDP, ICMP and all others",
        ),
        Protocol("all", "All", None, False, frozenset(), "every packet, frames that are not IP (ARP) too"),
    )
}
NAMES: Mapping[tuple[int, int], str] = {
    (version, number): p.name for p in PROTOCOLS.values() for version, number in (p.numbers or {}).items()
}
"""Which protocol of the table a packet's family and IP protocol number are, where they are one."""
PORT_NUMBERS = frozenset(number for (_, number), name in NAMES.items() if PROTOCOLS[name].has_ports)
"""IP protocol numbers whose packets carry a destination port here: 6, 17 and 132."""


def with_column(column: str) -> str:
    """The protocols that have `column`, in words: "TCP, UDP or SCTP"."""
    labels = [p.label for p in PROTOCOLS.values() if column in p.columns]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} or {labels[-1]}"


def _foreign(protocol: Protocol, values: Mapping[str, Any]) -> Iterator[tuple[str, Problem]]:
    """Fields that are set although the protocol does not have them."""
    for column in COLUMNS:
        if values.get(column) is not None and column not in protocol.columns:
            yield (
                column,
                Problem(
                    f"{protocol.label} rules have no {COLUMN_LABELS[column]}: leave it empty, "
                    f"or choose {with_column(column)} as the protocol."
                ),
            )


def _ports(start: int | None, end: int | None) -> dict[str, Problem]:
    """Ports out of 0-65535; else what is wrong with the range that they make."""
    # A start alone was made a range of one: what is wrong with it is told once, where it was typed.
    ends = {"port_start": start} if start == end else {"port_start": start, "port_end": end}
    beyond = {
        column: Problem(f"{shown(port)} is not a port: type a number from 0 to {MAX_PORT}.")
        for column, port in ends.items()
        if port is not None and not 0 <= port <= MAX_PORT
    }
    return beyond or _range(start, end)


def _range(start: int | None, end: int | None) -> dict[str, Problem]:
    """An end without a start, a start without an end, a start after the end."""
    if start == end:
        return {}
    if start is None:
        why = f"The range has no start: type {end} here for that one port, or clear the end port for every port."
        return {"port_start": Problem(why, (str(end),))}
    if end is None:
        return {"port_end": Problem(f"The range has no end: type {start} here for that one port.", (str(start),))}
    if start < end:
        return {}
    why = f"The range starts at {start} but ends at {end}. Did you mean {end}–{start}?"
    return {"port_end": Problem(why, (f"{end}-{start}",))}


def shape_errors(protocol: str, values: Mapping[str, Any]) -> dict[str, Problem]:
    """What is wrong with a rule's optional fields for its protocol, by field name; empty when all is well.

    `values` maps the names in COLUMNS to a network (with `version`), a port number, or None where nothing is set.
    """
    known = PROTOCOLS.get(protocol)
    if known is None:
        meant = protocol.strip().lower()
        return {
            "protocol": Problem(
                f"“{shown(protocol)}” is not a protocol of a rule: write one of {', '.join(PROTOCOLS)}.",
                (meant,) if meant in PROTOCOLS else (),
            )
        }
    errors = dict(_foreign(known, values))
    if known.has_ports:
        errors |= _ports(values.get("port_start"), values.get("port_end"))
    source, destination = values.get("source"), values.get("destination")
    sound = not {"source", "destination"} & errors.keys()
    if sound and source is not None and destination is not None and source.version != destination.version:
        errors["destination"] = Problem(
            f"The source is IPv{source.version} but the destination is IPv{destination.version}: no packet has both. "
            f"Type an IPv{source.version} destination, or make two rules."
        )
    return errors
