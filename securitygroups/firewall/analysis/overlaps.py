"""How rules of opposite action overlap, pair by pair: correlated, or one general rule and its exceptions.

The terms are those of E. Al-Shaer and H. Hamed, "Discovery of policy anomalies in distributed firewalls" (2004).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import BITS, Network, Rule, RuleList

MAX_RULES = 8_000
"""Longer lists are not counted: the work grows with the square."""
_BLOCK = 2_000_000
_START = {4: 0, 6: 1 << BITS[4]}
_END = _START[6] + (1 << BITS[6]) - 1
"""Both families on one axis: IPv4 first, IPv6 behind it."""
_BIT = {p.name: 1 << at for at, p in enumerate(p for p in PROTOCOLS.values() if p.numbers)}
_OTHER, _FRAMES = 1 << len(_BIT), 2 << len(_BIT)
Area = tuple[int, int, int, int, int, int, int]
"""Protocols as bits; first and last of ports, destinations, sources."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Counts by place (from 1; entry 0 is unused) and of pairs in the whole list; `first` is the first rule that each is
    correlated with, 0 where there is none."""

    correlated: list[int]
    first: list[int]
    generalises: list[int]
    correlated_pairs: int
    generalised_pairs: int


def _addresses(network: Network | None, version: int | None) -> tuple[int, int]:
    if network is not None:
        return _START[network.version] + network.first, _START[network.version] + network.last
    if version is None:
        return 0, _END
    return _START[version], _START[version] + (1 << BITS[version]) - 1


def area(rule: Rule) -> Area:
    """What a rule matches, its direction aside; where one network is set, the other address is of its family too."""
    protocol = PROTOCOLS[rule.protocol]
    bits = _BIT.get(rule.protocol) or sum(_BIT.values()) | _OTHER | (0 if protocol.only_ip else _FRAMES)
    networks = [network for network in (rule.source, rule.destination) if network is not None]
    version = networks[0].version if networks else None
    start, end = rule.port_start, rule.port_end
    # Without ports a rule takes later fragments too, which lie behind the last port.
    ports = (0, MAX_PORT + 1) if start is None else (start, start if end is None else end)
    return bits, *ports, *_addresses(rule.destination, version), *_addresses(rule.source, version)


def contains(outer: Rule, inner: Rule) -> bool:
    """Whether every packet that `inner` matches is matched by `outer` too."""
    if outer.direction is not inner.direction:
        return False
    one, other = area(outer), area(inner)
    return other[0] & ~one[0] == 0 and all(one[at] <= other[at] and other[at + 1] <= one[at + 1] for at in (1, 3, 5))


def meets(one: Rule, other: Rule) -> bool:
    """Whether some packet is matched by both."""
    if one.direction is not other.direction:
        return False
    a, b = area(one), area(other)
    return a[0] & b[0] != 0 and all(a[at] <= b[at + 1] and b[at] <= a[at + 1] for at in (1, 3, 5))


def overlaps(rules: RuleList) -> Overlaps | None:
    """Counts of correlated and generalising pairs of enabled rules; None for lists beyond MAX_RULES."""
    if len(rules) > MAX_RULES:
        return None
    size = len(rules) + 1
    tally = _Tally(np.zeros(size, np.int64), np.full(size, size, np.int64), np.zeros(size, np.int64))
    for direction in Direction:
        held = [(at, rule) for at, rule in enumerate(rules, 1) if rule.enabled and rule.direction is direction]
        if held:
            _count_pairs(held, tally)
    correlated, generalises = tally.correlated, tally.generalises
    first = np.where(correlated, tally.first, 0).tolist()
    # A correlated pair was counted at both of its rules, a generalising one only at the general rule.
    return Overlaps(
        correlated.tolist(), first, generalises.tolist(), int(correlated.sum()) // 2, int(generalises.sum())
    )


@dataclass(slots=True)
class _Tally:
    """Counts by place, while they are added up."""

    correlated: NDArray[np.int64]
    first: NDArray[np.int64]
    generalises: NDArray[np.int64]


def _count_pairs(held: list[tuple[int, Rule]], tally: _Tally) -> None:
    """Add the pairs of opposite action among rules of one direction, a block at a time for the sake of memory."""
    areas = _ranked([area(rule) for _, rule in held])
    places = np.array([place for place, _ in held])
    accepts = np.array([rule.action is Action.ACCEPT for _, rule in held])
    ours, theirs = np.flatnonzero(accepts), np.flatnonzero(~accepts)
    step = max(_BLOCK // max(len(theirs), 1), 1)
    for start in range(0, len(ours), step):
        _count(areas, places, (ours[start : start + step], theirs), tally)


def _ranked(areas: list[Area]) -> NDArray[np.int32]:
    """Areas with their values as ranks, which fit in 32 bits; shape (rules, 7)."""
    ranked = np.empty((len(areas), 7), np.int32)
    ranked[:, 0] = [a[0] for a in areas]
    for at in (1, 3, 5):
        values = {value: rank for rank, value in enumerate(sorted({v for a in areas for v in a[at : at + 2]}))}
        ranked[:, at] = [values[a[at]] for a in areas]
        ranked[:, at + 1] = [values[a[at + 1]] for a in areas]
    return ranked


def _count(
    areas: NDArray[np.int32],
    places: NDArray[np.int64],
    sides: tuple[NDArray[np.int64], NDArray[np.int64]],
    tally: _Tally,
) -> None:
    """Add the pairs of one block of accepting rules with all dropping ones to the counts."""
    ours, theirs = sides
    a, b = areas[ours][:, None, :], areas[theirs][None, :, :]
    meet = (a[..., 0] & b[..., 0]) != 0
    for at in (1, 3, 5):
        meet &= (a[..., at] <= b[..., at + 1]) & (b[..., at] <= a[..., at + 1])
    # Few pairs meet on every axis: what the others would be asked is saved.
    row, column = np.nonzero(meet)
    one, other = ours[row], theirs[column]
    early, late = np.minimum(one, other), np.maximum(one, other)
    early_in_late, late_in_early = _inside(areas[early], areas[late]), _inside(areas[late], areas[early])
    partial = ~early_in_late & ~late_in_early
    for side in (early, late):
        np.add.at(tally.correlated, places[side[partial]], 1)
    for side, others in ((one, other), (other, one)):
        # Later assignments win, and the pairs are in order: running backwards leaves the first rule of each.
        first = np.full_like(tally.first, len(tally.first))
        first[places[side[partial]][::-1]] = places[others[partial]][::-1]
        np.minimum(tally.first, first, out=tally.first)
    np.add.at(tally.generalises, places[late[early_in_late & ~late_in_early]], 1)


def _inside(inner: NDArray[np.int32], outer: NDArray[np.int32]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (inner[:, 0] & ~outer[:, 0]) == 0
    for at in (1, 3, 5):
        found &= (outer[:, at] <= inner[:, at]) & (inner[:, at + 1] <= outer[:, at + 1])
    return found
