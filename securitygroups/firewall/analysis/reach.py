"""A project seen from outside and from within: what the internet reaches, who reaches a port, which VM reaches which.

Many VMs share few lists. Each distinct effective list is one "sequence" here, and a VM names its sequence by index.
The verdicts are those for the packet that opens a connection; replies of an accepted connection always pass.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.analysis.painting import paint
from securitygroups.firewall.analysis.products import AddressRange, Product, count, merge, of_spans, spans
from securitygroups.firewall.analysis.traffic import (
    CLASSES,
    NO_PORT,
    Box,
    Budget,
    Layer,
    Piece,
    TrafficClass,
    boxes,
    pieces,
    sample,
)
from securitygroups.firewall.protocols import MAX_PORT, Action, Direction
from securitygroups.firewall.values import BITS, Packet, RuleList, parse_network

LARGE = 1 / 8
"""The share of a family's public addresses from which on sources count as a large part of the world."""

_NOT_PUBLIC = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
)
"""IPv4 that no packet from the internet has as its source (RFC 6890, RFC 5771, RFC 1112)."""


def _public() -> dict[int, tuple[AddressRange, ...]]:
    """Addresses that a packet from the internet can come from. IPv6: global unicast is 2000::/3 (RFC 4291)."""
    found: list[AddressRange] = []
    start = 0
    for network in map(parse_network, _NOT_PUBLIC.split()):
        if network.first > start:
            found.append(AddressRange(4, start, network.first - 1))
        start = network.last + 1
    unicast, documentation = parse_network("2000::/3"), parse_network("2001:db8::/32")
    return {
        4: tuple(found),
        6: (
            AddressRange(6, unicast.first, documentation.first - 1),
            AddressRange(6, documentation.last + 1, unicast.last),
        ),
    }


PUBLIC = _public()


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
class Exposed:
    """Inbound traffic that the same machines accept from the internet, or a large part of it.

    `shares` tells for each family of the product which part of its public addresses gets in, 0 to 1; 1 is everyone.
    `rules` are the places of the accepting rules in the sequence. The product's destinations are whole families and
    mean nothing: the machines are the destination. `sample` goes to the first of them.
    """

    sequence: int
    machines: tuple[int | str, ...]
    product: Product
    shares: tuple[tuple[int, float], ...]
    rules: tuple[int, ...]
    sample: Packet


@dataclass(frozen=True, slots=True)
class Exposures:
    """What the internet reaches in a project. `too_fine` are keys of machines of which not all could be looked at,
    `unseen` those that time did not suffice for.
    """

    exposed: tuple[Exposed, ...]
    too_fine: tuple[int | str, ...] = ()
    unseen: tuple[int | str, ...] = ()


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


def share(ranges: Iterable[AddressRange], version: int) -> float:
    """Which part of a family's public addresses the (disjoint) ranges have, 0 to 1; exactly 1 only for all of them."""
    public, total = 0, count(PUBLIC[version], version)
    for held in ranges:
        if held.version == version:
            for _, first, last in PUBLIC[version]:
                public += max(min(last, held.last) - max(first, held.first) + 1, 0)
    # Rounding must not make almost everyone everyone.
    return 1.0 if public == total else min(public / total, 1 - 2**-40)


def internet_exposure(
    sequences: Sequence[RuleList],
    machines: Sequence[Endpoint],
    least: float = LARGE,
    late: Callable[[], bool] = lambda: False,
) -> Exposures:
    """What all of the internet, or at least the part `least` of it, reaches on which machines, and through which rules.

    Machines of one sequence that no destination of its rules tells apart are looked at once. Once `late` says so, no
    further ones are begun.
    """
    found: list[Exposed] = []
    too_fine: list[int | str] = []
    unseen: list[int | str] = []
    for sequence, its in _by_sequence(machines):
        if late():
            unseen += [machine.key for machine in its]
            continue
        layers, accepting = _inbound(sequences[sequence])
        # A rule with a destination may tell VMs with the same list apart, by their addresses.
        for alike in _alike(layers, its):
            keys = tuple(machine.key for machine in alike)
            if late():
                unseen += keys
                continue
            one = _exposed(layers, accepting, alike[0], least)
            if one is None:
                too_fine += keys
            else:
                found += [replace(e, sequence=sequence, machines=keys) for e in one]
    return Exposures(tuple(found), tuple(too_fine), tuple(unseen))


def _inbound(rules: RuleList) -> tuple[dict[TrafficClass, Layer], set[int]]:
    """The boxes of the In rules by class, and the places of all accepting rules."""
    layers = {kind: layer for kind, layer in boxes(rules).items() if kind.direction is Direction.IN}
    return layers, {place for place, rule in enumerate(rules, 1) if rule.action is Action.ACCEPT}


def _by_sequence(machines: Sequence[Endpoint]) -> list[tuple[int, list[Endpoint]]]:
    """The machines of each sequence."""
    members: dict[int, list[Endpoint]] = {}
    for machine in machines:
        members.setdefault(machine.sequence, []).append(machine)
    return sorted(members.items())


def _alike(layers: dict[TrafficClass, Layer], machines: Sequence[Endpoint]) -> list[list[Endpoint]]:
    """The machines in groups whose addresses lie in the same destinations of all rules."""
    edges = {
        version: sorted(
            {
                edge
                for kind, layer in layers.items()
                if kind.version == version
                for _, b in layer
                for edge in (b[2], b[3] + 1)
            }
        )
        for version in (4, 6)
    }
    groups: dict[tuple[int | None, ...], list[Endpoint]] = {}
    for machine in machines:
        where = tuple(
            None if (address := machine.address(version)) is None else bisect_right(edges[version], address)
            for version in (4, 6)
        )
        groups.setdefault(where, []).append(machine)
    return list(groups.values())


def _exposed(
    layers: dict[TrafficClass, Layer], accepting: set[int], machine: Endpoint, least: float
) -> list[Exposed] | None:
    """What one machine accepts from so much of the internet; None where its rules are too fine."""
    items: list[tuple[Product, Exposed]] = []
    budget = Budget()
    for kind, layer in layers.items():
        address = None if kind.version is None else machine.address(kind.version)
        if kind.version is None or address is None:
            continue
        by_port = _by_port(kind, layer, accepting, address, budget)
        if by_port is None:
            return None
        everywhere = (0, (1 << BITS[kind.version]) - 1)
        for ports, (sources, rules) in by_port:
            part = share((AddressRange(kind.version, *s) for s in sources), kind.version)
            if part >= least:
                product = of_spans(kind, ports, [everywhere], sources)
                box = (*ports[0], address, address, *sources[0])
                shares = ((kind.version, part),)
                items.append((product, Exposed(0, (), product, shares, tuple(sorted(rules)), sample(kind, box))))
    return [replace(exposed, product=product) for product, exposed in merge(items, _joined)]


def _joined(one: Exposed, other: Exposed) -> Exposed:
    shares = dict(one.shares)
    for version, part in other.shares:
        shares[version] = min(shares.get(version, part), part)
    return replace(one, shares=tuple(sorted(shares.items())), rules=tuple(sorted({*one.rules, *other.rules})))


_Sources = tuple[list[tuple[int, int]], set[int]]


def _by_port(
    kind: TrafficClass, layer: Layer, accepting: set[int], address: int, budget: Budget
) -> list[tuple[list[tuple[int, int]], _Sources]] | None:
    """Ports with the sources that are accepted there and the accepting rules; ports with equal sources together."""
    low, high = kind.whole[0], kind.whole[1]
    accepted: list[_Accepted] = []
    clip: Box = (low, high, address, address, *kind.whole[4:])
    for piece in pieces(kind, [layer], budget, clip=clip):
        if piece.left_out:
            return None
        accepted += _accepted(piece, accepting)
    return _put_together(accepted)


_Accepted = tuple[list[tuple[int, int]], list[tuple[int, int]], set[int]]
"""Ports, the sources that are accepted there, and the accepting rules."""


def _accepted(piece: Piece, accepting: set[int]) -> Iterator[_Accepted]:
    """What is accepted in a piece with one destination, ports with equal deciding rules together."""
    places = [0, *piece.layers[0][0].tolist()]
    verdict = np.array([place in accepting for place in places])
    first = paint(piece, 0).first[:, 0, :]
    rows: dict[bytes, list[int]] = {}
    for row in range(len(first)):
        rows.setdefault(first[row].tobytes(), []).append(row)
    for same in rows.values():
        line = first[same[0]]
        cells = np.flatnonzero(verdict[line]).tolist()
        if cells:
            rules = {places[owner] for owner in np.unique(line[cells]).tolist()}
            yield spans(same, piece.cuts[0]), spans(cells, piece.cuts[2]), rules


def _put_together(accepted: list[_Accepted]) -> list[tuple[list[tuple[int, int]], _Sources]]:
    """What belongs to one port, whose sources the pieces may have cut; then ports with equal sources."""
    cuts, here = _by_port_range(accepted)
    groups: dict[tuple[tuple[int, int], ...], tuple[list[int], set[int]]] = {}
    for at, those in enumerate(here):
        if those:
            sources = _connected(chain.from_iterable(some for _, some, _ in those))
            chosen, rules = groups.setdefault(sources, ([], set()))
            chosen.append(at)
            rules.update(*(its for _, _, its in those))
    return [(spans(chosen, cuts), ([*sources], rules)) for sources, (chosen, rules) in groups.items()]


def _by_port_range(accepted: list[_Accepted]) -> tuple[list[int], list[list[_Accepted]]]:
    """The ports where something starts or has ended, and what is accepted from each of them to the next."""
    spans_of_ports = chain.from_iterable(ports for ports, _, _ in accepted)
    cuts = sorted({edge for first, last in spans_of_ports for edge in (first, last + 1)})
    rank = {value: at for at, value in enumerate(cuts)}
    here: list[list[_Accepted]] = [[] for _ in cuts]
    for one in accepted:
        for first, last in one[0]:
            for at in range(rank[first], rank[last + 1]):
                here[at].append(one)
    return cuts, here


def _connected(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Disjoint ranges sorted, neighbours joined."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and found[-1][1] + 1 == first:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)


def _class_of(direction: Direction, version: int, protocol: int | None) -> TrafficClass:
    """The class of a packet's protocol number; numbers without ports in rules share one."""
    known = TrafficClass(direction, version, protocol)
    return known if known in CLASSES else TrafficClass(direction, version, None)


def _on_port_axis(kind: TrafficClass, port: int | None) -> int:
    return NO_PORT if port is None or not kind.has_ports else port


def who_can_reach(
    rules: RuleList, version: int, address: int, protocol: int | None, port: int | None = None
) -> tuple[Senders, ...]:
    """Sources of a family whose packets to an address, protocol number and port a list lets in, by accepting rule.

    `port` is None for protocols without ports, and for later fragments of those with.
    """
    kind = _class_of(Direction.IN, version, protocol)
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
            kind = _class_of(direction, version, protocol)
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
