"""A project seen from outside and from within: what the internet reaches, who reaches a port, which VM reaches which.

Many VMs share few lists. Each distinct effective list is one "sequence" here, and a VM names its sequence by index.
The verdicts are those for the packet that opens a connection; replies of an accepted connection always pass.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.analysis.painting import paint
from securitygroups.firewall.analysis.products import AddressRange, spans
from securitygroups.firewall.analysis.traffic import (
    NO_PORT,
    Box,
    Budget,
    Layer,
    TrafficClass,
    boxes,
    class_of,
    pieces,
)
from securitygroups.firewall.protocols import MAX_PORT, Action, Direction
from securitygroups.firewall.values import BITS, RuleList


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A VM: what the caller knows it by, the index of its sequence, its addresses as numbers (None = it has none)."""

    key: int | str
    sequence: int
    ipv4: int | None = None
    ipv6: int | None = None

    def address(self, version: int) -> int | None:
        """Its address of a family."""
        return self.ipv4 if version == 4 else self.ipv6


@dataclass(frozen=True, slots=True)
class Senders:
    """Sources whose packets one accepting rule (its place) lets in."""

    rule: int
    sources: tuple[AddressRange, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Which machine's packet reaches which; arrays of shape (machines, machines), row = sender, column = receiver.

    `sends`: the sender's outbound rules accept. `receives`: the receiver's inbound rules do. `present`: both have an
    address of the family. The diagonal says what the rules say, although a machine reaches itself in any case.
    """

    keys: tuple[int | str, ...]
    sends: NDArray[np.bool_]
    receives: NDArray[np.bool_]
    present: NDArray[np.bool_]

    @property
    def reaches(self) -> NDArray[np.bool_]:
        """Whether the packet arrives."""
        both: NDArray[np.bool_] = self.sends & self.receives
        return both


def _connected(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Disjoint ranges sorted, neighbours joined."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)


def _on_port_axis(kind: TrafficClass, port: int | None) -> int:
    return NO_PORT if port is None or not kind.has_ports else port


def who_can_reach(
    rules: RuleList, version: int, address: int, protocol: int | None, port: int | None = None
) -> tuple[Senders, ...]:
    """Sources of a family whose packets to an address, protocol number and port a list lets in, by accepting rule.

    `port` is None for protocols without ports, and for later fragments of those with.
    """
    kind = class_of(Direction.IN, version, protocol)
    at = _on_port_axis(kind, port)
    layer = boxes(rules).get(kind, [])
    clip: Box = (at, at, address, address, 0, (1 << BITS[version]) - 1)
    found: dict[int, list[tuple[int, int]]] = {}
    # One axis is left, about two cells a rule: never too fine.
    for piece in pieces(kind, [layer], Budget(units=1 << 62), clip=clip):
        places = piece.layers[0][0].tolist()
        cells: dict[int, list[int]] = {}
        for cell, owner in enumerate(paint(piece, 0).first[0, 0].tolist()):
            cells.setdefault(owner, []).append(cell)
        for owner, its in cells.items():
            if owner and rules[places[owner - 1] - 1].action is Action.ACCEPT:
                found.setdefault(places[owner - 1], []).extend(spans(its, piece.cuts[2]))
    return tuple(
        Senders(place, tuple(AddressRange(version, *s) for s in _connected(ranges)))
        for place, ranges in sorted(found.items())
    )


def matrix(
    sequences: Sequence[RuleList],
    machines: Sequence[Endpoint],
    protocol: int | None,
    port: int | None = None,
    version: int = 4,
) -> Matrix:
    """Which machine reaches which with a protocol number and port: the sender's Out list, then the receiver's In list.

    Along sorted addresses each rule is a rectangle, so a sequence is painted once for all of its machines.
    """
    if port is not None and not 0 <= port <= MAX_PORT:
        raise ValueError(f"{port} is not a port")
    size = len(machines)
    order, ranked = _by_address(machines, version)
    columns, sequence_of = np.array(order, np.int64), np.array([machines[at].sequence for at in order], np.int64)
    present = np.zeros(size, np.bool_)
    present[columns] = True
    sends, receives = np.zeros((size, size), np.bool_), np.zeros((size, size), np.bool_)
    for sequence in set(sequence_of.tolist()):
        rules = sequences[sequence]
        own = np.flatnonzero(sequence_of == sequence)
        mine, near = columns[own], [ranked[at] for at in own.tolist()]
        layers = boxes(rules)
        for direction in Direction:
            kind = class_of(direction, version, protocol)
            layer = _with_port(layers.get(kind, []), _on_port_axis(kind, port))
            table = _verdicts(rules, layer, direction, (near, ranked))
            if direction is Direction.OUT:
                sends[np.ix_(mine, columns)] = table
            else:
                receives[np.ix_(columns, mine)] = table.T
    return Matrix(tuple(m.key for m in machines), sends, receives, present[:, None] & present[None, :])


def _by_address(machines: Sequence[Endpoint], version: int) -> tuple[list[int], list[int]]:
    """The machines that have an address of the family, by index, and those addresses; sorted by address."""
    held = sorted((a, at) for at, machine in enumerate(machines) if (a := machine.address(version)) is not None)
    return [at for _, at in held], [address for address, _ in held]


def _with_port(layer: Layer, port: int) -> Layer:
    return [(place, box) for place, box in layer if box[0] <= port <= box[1]]


def _verdicts(
    rules: RuleList, layer: Layer, direction: Direction, sorted_addresses: tuple[list[int], list[int]]
) -> NDArray[np.bool_]:
    """Whether the rules accept, row = a machine of theirs, column = the machine at the other end; each by address."""
    own, others = sorted_addresses
    table = np.zeros((len(own), len(others)), np.bool_)
    # Backwards, so that the first rule that matches is painted last.
    for place, (_, _, d0, d1, s0, s1) in reversed(layer):
        # The rules' own machines are the source of what they send, the destination of what comes in.
        near, far = ((s0, s1), (d0, d1)) if direction is Direction.OUT else ((d0, d1), (s0, s1))
        table[_between(own, *near), _between(others, *far)] = rules[place - 1].action is Action.ACCEPT
    return table


def _between(ranked: list[int], first: int, last: int) -> slice:
    """Where sorted numbers lie between two values, both included."""
    return slice(bisect_right(ranked, first - 1), bisect_right(ranked, last))
