"""Sets of numbers as ranges, and what a rule of a host's firewall asks of a packet as such sets: exact and, or and not."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from securitygroups.firewall.networks import BITS, Network
from securitygroups.firewall.protocols import MAX_PORT

MOST_PARTS = 20_000

Spans = tuple[tuple[int, int], ...]
"""Ranges of whole numbers, both ends included, in order and apart from each other."""

IPV6 = 1 << 128
"""What is added to an IPv6 address, so that it is no IPv4 one."""
FAMILIES: Spans = ((4, 6),)
ANY_PROTOCOL: Spans = ((0, 255),)
ANY_PORT: Spans = ((0, MAX_PORT),)
ANY_ADDRESS: Spans = ((0, (1 << 32) - 1), (IPV6, IPV6 + (1 << 128) - 1))
LOCAL, MULTICAST, OTHER_KIND = 0, 1, 2
ANY_KIND: Spans = ((LOCAL, OTHER_KIND),)
NOTHING: Spans = ()
MULTICASTS = (Network(4, 0xE0 << 24, 4), Network(6, 0xFF << 120, 8))


def spans(ranges: Iterable[tuple[int, int]]) -> Spans:
    """Any ranges as a set."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def both(some: Spans, others: Spans) -> Spans:
    """What is in both sets."""
    found = []
    one = other = 0
    while one < len(some) and other < len(others):
        first = max(some[one][0], others[other][0])
        last = min(some[one][1], others[other][1])
        if first <= last:
            found.append((first, last))
        if some[one][1] < others[other][1]:
            one += 1
        else:
            other += 1
    return tuple(found)


def without(some: Spans, others: Spans) -> Spans:
    """What is in the first set alone."""
    found = []
    place = 0
    for first, last in some:
        while place < len(others) and others[place][1] < first:
            place += 1
        at = place
        while at < len(others) and others[at][0] <= last:
            if others[at][0] > first:
                found.append((first, others[at][0] - 1))
            first = others[at][1] + 1
            at += 1
        if first <= last:
            found.append((first, last))
    return tuple(found)


def numbers(some: Spans) -> Iterator[int]:
    for first, last in some:
        yield from range(first, last + 1)


def of_networks(networks: Iterable[Network]) -> Spans:
    return spans((key(each.version, each.first), key(each.version, each.last)) for each in networks)


def key(version: int, address: int) -> int:
    """The number of an address among all of both families."""
    return address if version == 4 else IPV6 + address


def networks_of(some: Spans, most: int) -> tuple[Network, ...] | None:
    """The fewest networks that are the set; None where they are more than `most`."""
    found: list[Network] = []
    for first, last in some:
        version, away = (6, IPV6) if first >= IPV6 else (4, 0)
        at, end = first - away, last - away
        while at <= end:
            room = (at & -at).bit_length() - 1 if at else BITS[version]
            size = min(room, (end - at + 1).bit_length() - 1)
            found.append(Network(version, at, BITS[version] - size))
            at += 1 << size
            if len(found) > most:
                return None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Match:
    """Packets: those that are in every one of these sets, and fulfil what is `beyond` them all.

    `kind` is what the destination is to the machine that receives the packet: itself, multicast, or anything else.
    `rests` are sentences that an exact reading takes for granted; `card` is the network card that they have to come by, where
    the file names no other one.
    """

    family: Spans = FAMILIES
    protocol: Spans = ANY_PROTOCOL
    source: Spans = ANY_ADDRESS
    destination: Spans = ANY_ADDRESS
    port: Spans = ANY_PORT
    kind: Spans = ANY_KIND
    beyond: tuple[str, ...] = ()
    rests: tuple[str, ...] = ()
    card: str = ""

    @property
    def is_empty(self) -> bool:
        return any(getattr(self, name) == NOTHING for name in SETS)

    @property
    def weight(self) -> int:
        """What it costs to look at it, 1 where it has few ranges."""
        return 1 + (len(self.source) + len(self.destination) + len(self.port)) // 32

    def sees(self, version: int) -> bool:
        """Whether packets of this family are among them."""
        return bool(both(self.family, ((version, version),)))

    def also(self, other: "Match") -> "Match":
        """The packets of both."""
        sets = {name: _both(name, getattr(self, name), getattr(other, name)) for name in SETS}
        beyond, rests = _union(self.beyond, other.beyond), _union(self.rests, other.rests)
        return Match(**sets, beyond=beyond, rests=rests, card=self.card or other.card)

    def asking(self, *beyond: str) -> "Match":
        return replace(self, beyond=_union(self.beyond, beyond))

    def having(self, name: str, some: Spans) -> "Match":
        """The same with another set in place of the one of this name."""
        changed: Any = {name: some}
        return replace(self, **changed)

    def minus(self, other: "Match") -> "list[Match]":
        """The packets that are not in the other one, which must not ask for anything beyond, as parts without an overlap."""
        if self.also(other).is_empty:
            return [self]
        parts, rest = [], self
        for name in SETS:
            ours, theirs = getattr(rest, name), getattr(other, name)
            outside = without(ours, theirs)
            if outside:
                parts.append(rest.having(name, outside))
                rest = rest.having(name, both(ours, theirs))
        return parts


# Families and protocols first: only among packets with ports does the rest of a set of ports mean anything.
SETS = tuple(each.name for each in fields(Match))[:6]
ANYTHING = Match()
_WHOLE = {name: getattr(ANYTHING, name) for name in SETS}


def _both(name: str, some: Spans, others: Spans) -> Spans:
    """Most are of anything, and then there is nothing to compare."""
    if some is others or others is _WHOLE[name]:
        return some
    return others if some is _WHOLE[name] else both(some, others)


def _union(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(some + others)) if others else some


def of_family(version: int) -> Match:
    return Match(family=((version, version),))


class TooLarge(ValueError):
    """What a line asks for would become more than MOST_PARTS sets of packets."""


def conjunction(one: list[Match], other: list[Match]) -> list[Match]:
    """The packets of any of the first and of any of the other ones. Raises TooLarge."""
    if len(one) * len(other) > MOST_PARTS:
        raise TooLarge
    return [found for a in one for b in other if not (found := a.also(b)).is_empty]
