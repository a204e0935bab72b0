"""Sets of traffic as products, small enough to read: ports × sources × destinations, folded over protocols and families."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.analysis.traffic import KINDS, NO_PORT, Piece, TrafficClass, class_of
from securitygroups.firewall.protocols import MAX_PORT, Direction
from securitygroups.firewall.values import BITS, Packet

Span = tuple[int, int]
"""First and last value, both included."""
Label = TypeVar("Label")
Chosen = tuple[list[int], list[int], list[int]]
"""Cells of a product on the axes port, destination, source."""

ALL_PORTS: tuple[Span, ...] = ((0, MAX_PORT),)


class AddressRange(NamedTuple):
    """Addresses of one family from `first` to `last`, both included."""

    version: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """How many addresses."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Product:
    """Every packet that has one of the protocols, one of the ports, one of the sources and one of the destinations.

    `protocols` are names of rule protocols; None in it stands for every IP protocol number that none of them asks for.
    `ports` restrict only the protocols that have them; `portless` tells whether their packets without a port (later
    fragments) belong to the set too. Source and destination are of one family, as in every packet. `non_ip` adds the
    frames that are not IP. Ranges are sorted, disjoint and never adjacent.
    """

    direction: Direction
    protocols: tuple[str | None, ...] = ()
    ports: tuple[Span, ...] = ()
    portless: bool = False
    sources: tuple[AddressRange, ...] = ()
    destinations: tuple[AddressRange, ...] = ()
    non_ip: bool = False

    @property
    def versions(self) -> tuple[int, ...]:
        """The families of its packets: (4,), (6,), (4, 6), or () where it has frames that are not IP only."""
        return tuple(sorted({r.version for r in self.sources}))

    @property
    def any_port(self) -> bool:
        """Whether the port makes no difference."""
        return self.portless and self.ports == ALL_PORTS

    @property
    def every_protocol(self) -> bool:
        """Whether it has every IP protocol."""
        return self.protocols == KINDS

    def __contains__(self, packet: Packet) -> bool:
        if packet.direction is not self.direction:
            return False
        if packet.version is None:
            return self.non_ip
        kind = class_of(packet.direction, packet.version, packet.protocol)
        if kind.protocol not in self.protocols:
            return False
        if kind.has_ports:
            port = packet.port
            if not (self.portless if port is None else any(a <= port <= b for a, b in self.ports)):
                return False
        return _within(self.sources, packet.version, packet.source) and _within(
            self.destinations, packet.version, packet.destination
        )


def _within(ranges: Iterable[AddressRange], version: int, address: int | None) -> bool:
    return address is not None and any(v == version and a <= address <= b for v, a, b in ranges)


def is_whole(ranges: Iterable[AddressRange], version: int) -> bool:
    """Whether the ranges are all addresses of a family."""
    return count(ranges, version) == 1 << BITS[version]


def count(ranges: Iterable[AddressRange], version: int) -> int:
    """How many addresses of a family the (disjoint) ranges have."""
    return sum(r.size for r in ranges if r.version == version)


def fold(mask: NDArray[np.bool_], limit: int) -> tuple[list[Chosen], int]:
    """The true cells of a piece (axes port, destination, source) as products, and how many products there are.

    Ports that go with the same addresses form one product, or addresses that go with the same ports, whichever gives
    fewer. More than `limit` are not made; then the number tells only that there are at least so many.
    """
    found, total = _fold(mask, limit)
    if total > 1:
        # Grouping by source instead of by port may give fewer, and only the count tells.
        turned, other = _fold(np.ascontiguousarray(mask.transpose(2, 1, 0)), min(limit, total))
        if other < total:
            return [(port, destination, source) for source, destination, port in turned], other
    return found, total


def _equal_rows(table: NDArray[np.bool_]) -> list[list[int]]:
    """Numbers of the rows that are equal and not empty, in the order in which they first occur."""
    groups: dict[bytes, list[int]] = {}
    full = table.any(axis=1)
    packed = np.packbits(table, axis=1)
    for row in np.flatnonzero(full).tolist():
        groups.setdefault(packed[row].tobytes(), []).append(row)
    return list(groups.values())


def _fold(mask: NDArray[np.bool_], limit: int) -> tuple[list[Chosen], int]:
    found: list[Chosen] = []
    for outer in _equal_rows(mask.reshape(mask.shape[0], -1)):
        plane = mask[outer[0]]
        for middle in _equal_rows(plane):
            if len(found) >= limit:
                return found, len(found) + 1
            found.append((outer, middle, plane[middle[0]].nonzero()[0].tolist()))
    return found, len(found)


def spans(cells: Sequence[int], cuts: Sequence[int]) -> list[Span]:
    """Sorted cells of one axis as ranges of values; neighbours are joined."""
    found: list[Span] = []
    for cell in cells:
        first, last = cuts[cell], cuts[cell + 1] - 1
        if found and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def product(piece: Piece, cells: Chosen) -> Product:
    """The product of these cells of a piece."""
    port, destination, source = (spans(chosen, cuts) for chosen, cuts in zip(cells, piece.cuts, strict=True))
    return of_spans(piece.kind, port, destination, source)


def hull(piece: Piece) -> Product:
    """All of a piece as one product."""
    port, destination, source = ([(cuts[0], cuts[-1] - 1)] for cuts in piece.cuts)
    return of_spans(piece.kind, port, destination, source)


def of_spans(kind: TrafficClass, port: list[Span], destination: list[Span], source: list[Span]) -> Product:
    """A product of one class from its ranges on the three axes."""
    version = kind.version
    if version is None:
        return Product(kind.direction, non_ip=True)
    sources, destinations = (tuple(AddressRange(version, *s) for s in spans) for spans in (source, destination))
    return of_ranges(kind, port, destinations, sources)


def of_ranges(
    kind: TrafficClass, port: list[Span], destinations: tuple[AddressRange, ...], sources: tuple[AddressRange, ...]
) -> Product:
    """The same of a class that has addresses, where their ranges are made already."""
    ports, portless = ALL_PORTS, True
    if kind.has_ports:
        portless = port[-1][1] == NO_PORT
        ports = tuple((first, min(last, MAX_PORT)) for first, last in port if first <= MAX_PORT)
    return Product(kind.direction, (kind.protocol,), ports, portless, sources, destinations)


def _union(*many: tuple[Any, ...]) -> tuple[Any, ...]:
    """Ranges (whatever stands before first and last is equal among neighbours that are joined), sorted and joined."""
    found: list[Any] = []
    for item in sorted(chain.from_iterable(many)):
        *kind, first, last = item
        if found and [*found[-1][:-2]] == kind and found[-1][-1] + 1 >= first:
            found[-1] = (
                type(item)(*kind, found[-1][-2], max(last, found[-1][-1]))
                if kind
                else (found[-1][0], max(last, found[-1][-1]))
            )
        else:
            found.append(item)
    return tuple(found)


_protocol_key = KINDS.index


def _join(field: str, one: Product, other: Product) -> Product:
    if field == "ports":
        return replace(one, ports=_union(one.ports, other.ports), portless=one.portless or other.portless)
    if field == "protocols":
        return replace(one, protocols=tuple(sorted({*one.protocols, *other.protocols}, key=_protocol_key)))
    if field == "sources":
        return replace(one, sources=_union(one.sources, other.sources))
    return replace(one, destinations=_union(one.destinations, other.destinations))


_ALIKE: dict[str, Callable[[Product], tuple[Any, ...]]] = {
    "ports": lambda p: (p.direction, p.non_ip, p.protocols, p.sources, p.destinations),
    "sources": lambda p: (p.direction, p.non_ip, p.protocols, p.ports, p.portless, p.destinations),
    "destinations": lambda p: (p.direction, p.non_ip, p.protocols, p.ports, p.portless, p.sources),
    "protocols": lambda p: (p.direction, p.non_ip, p.ports, p.portless, p.sources, p.destinations),
}


def merge(items: Sequence[tuple[Product, Label]], join: Callable[[Label, Label], Label]) -> list[tuple[Product, Label]]:
    """Fewer products of the same traffic, in a stable order; the labels of products that become one are joined.

    Two products become one where all but one of ports, sources, destinations and protocols are equal, where only
    their families differ, or where one is all IP traffic and the other the frames that are not IP.
    """
    found = list(items)
    before = -1
    while len(found) != before:
        before = len(found)
        # Joining on one axis can make products alike on another: again, until nothing is joined any more.
        for field, key in _ALIKE.items():
            groups: dict[tuple[Any, ...], tuple[Product, Label]] = {}
            for p, label in found:
                at = key(p)
                if at in groups:
                    held, other = groups[at]
                    groups[at] = (_join(field, held, p), join(other, label))
                else:
                    groups[at] = (p, label)
            found = list(groups.values())
    found.sort(key=lambda item: order(item[0]))
    return _with_frames(_across_families(found, join), join)


def _across_families(
    found: list[tuple[Product, Label]], join: Callable[[Label, Label], Label]
) -> list[tuple[Product, Label]]:
    """IPv4 and IPv6 products of the same protocols and ports in one, pair by pair."""
    waiting: dict[tuple[Any, ...], list[int]] = {}
    joined: list[tuple[Product, Label]] = []
    for p, label in found:
        key = (p.direction, p.protocols, p.ports, p.portless, p.versions == (4,))
        # An IPv4 product looks for an IPv6 one that waits, and the other way round.
        partner = waiting.get((*key[:-1], p.versions != (4,)))
        if len(p.versions) == 1 and partner:
            at = partner.pop(0)
            held, other = joined[at]
            both = replace(
                held, sources=_union(held.sources, p.sources), destinations=_union(held.destinations, p.destinations)
            )
            joined[at] = (both, join(other, label))
            continue
        if len(p.versions) == 1:
            waiting.setdefault(key, []).append(len(joined))
        joined.append((p, label))
    return joined


def is_every_ip(p: Product) -> bool:
    """Whether it has every IPv4 and IPv6 packet of its direction."""
    return p.every_protocol and p.any_port and all(is_whole(r, v) for r in (p.sources, p.destinations) for v in (4, 6))


def _with_frames(
    found: list[tuple[Product, Label]], join: Callable[[Label, Label], Label]
) -> list[tuple[Product, Label]]:
    """Frames that are not IP beside all IP traffic of the same direction become "everything"."""
    frames = {p.direction: at for at, (p, _) in enumerate(found) if p.non_ip}
    gone: set[int] = set()
    for at, (p, label) in enumerate(found):
        if p.direction in frames and is_every_ip(p):
            found[at] = (replace(p, non_ip=True), join(label, found[frames[p.direction]][1]))
            gone.add(frames.pop(p.direction))
    return [item for at, item in enumerate(found) if at not in gone]


def order(p: Product) -> tuple[Any, ...]:
    """A stable order for reading: inbound first, then by protocol, port, source."""
    return (
        p.direction is not Direction.IN,
        p.non_ip,
        tuple(map(_protocol_key, p.protocols)),
        p.ports,
        p.portless,
        p.sources,
        p.destinations,
    )
