"""Flows alike, counted: by direction, family, protocol, port and deciding rules, with the addresses between which most went."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import DIRECTIONS, NO_PORT, Batch
from securitygroups.firewall.flows.compiled import NO_RULE, Places
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet

MAX_GROUPS = 50_000
"""Groups that are counted at once; beyond, those with the fewest flows are forgotten and the answer is not exact."""

MAX_ENDS = 20_000
"""Pairs of addresses that are counted at once, likewise."""

PAIRS = 5
"""Pairs of addresses that a group names."""

# Only the most frequent pairs of a block are counted: one that is rare in every block is no example worth naming.
_PAIRS_OF_BLOCK = 2048

_RULE_BITS = 18

MAX_RULES = (1 << _RULE_BITS) - 1
"""The longest lists that are compared: their places share a number of 36 bits."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pair:
    """Flows between the same two addresses: one packet of them, and how many there are at least."""

    packet: Packet
    flows: int


@dataclass(frozen=True, slots=True)
class Group:
    """Flows alike in direction, family, protocol, port and deciding rules.

    `before` and `after` are the places of the deciding rules in the old and the new list, None where none matches or there
    is no new list. `version` and `protocol` are None for frames that are not IP, `port` where there is none. `pairs` are the busiest
    up to PAIRS pairs of addresses, the busiest first.
    """

    direction: Direction
    version: int | None
    protocol: int | None
    port: int | None
    before: int | None
    after: int | None
    flows: int
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Flows of which the same is to be told, as that a new list denies them. `groups` are the largest, `flows` and `group_count` tell of all.

    `exact` is False where there were more than MAX_GROUPS at once: then `group_count` and the numbers of flows of the
    groups are the least that they can be, while `flows` is still right.
    """

    flows: int
    group_count: int
    groups: tuple[Group, ...]
    exact: bool


_Key = tuple[int, int, int, int, int]
_Name = TypeVar("_Name")


def _prune(counter: Counter[_Name], limit: int) -> None:
    """Forget the smaller half of what is counted once there is more than `limit`."""
    if len(counter) > limit:
        kept = counter.most_common(limit // 2)
        counter.clear()
        counter.update(dict(kept))


def _packed(batch: Batch, rules: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """All that makes a group in one number: rules (36 bits), port, protocol, family, direction."""
    total = rules
    for column, bits in ((batch.port + 1, 17), (batch.protocol, 8), (batch.version >> 1, 2), (batch.direction, 1)):
        total = total << np.uint64(bits) | column.astype(np.uint64)
    return total


def _group(name: int, flows: int, pairs: Sequence[tuple[_Key, int]], *, compares: bool) -> Group:
    """The inverse of _packed."""
    direction, version = DIRECTIONS[name & 1], (name >> 1 & 3) << 1
    protocol, port = name >> 3 & 0xFF, (name >> 11 & 0x1FFFF) - 1
    rules = name >> 28
    before, after = (rules & MAX_RULES, rules >> _RULE_BITS) if compares else (rules, NO_RULE)
    known_port = None if port == NO_PORT else port
    examples = []
    for (_, *ends), count in pairs:
        source, destination = ends[0] << 64 | ends[1], ends[2] << 64 | ends[3]
        packet = Packet(direction, version, protocol, source, destination, known_port) if version else Packet(direction)
        examples.append(Pair(packet, count))
    return Group(
        direction,
        version or None,
        protocol if version else None,
        known_port,
        None if before == NO_RULE else before,
        None if after == NO_RULE else after,
        flows,
        tuple(examples),
    )


class Tally:
    """Counts flows by group, and their pairs of addresses, in bounded memory; `compares` them by the rules of two lists."""

    def __init__(self, *, compares: bool = False) -> None:
        self._compares = compares
        self._flows = 0
        self._exact = True
        self._groups: Counter[int] = Counter()
        self._pairs: Counter[_Key] = Counter()

    def add(self, batch: Batch, chosen: Mask, before: Places, after: Places | None = None) -> None:
        """Count the chosen ones of these flows, with the numbers of the rules that decide them."""
        if not chosen.any():
            return
        batch, rules = batch.take(chosen), before[chosen].astype(np.uint64)
        if after is not None:
            rules |= after[chosen].astype(np.uint64) << np.uint64(_RULE_BITS)
        self._flows += len(batch)
        kinds = _packed(batch, rules)
        names, counts = np.unique(kinds, return_counts=True)
        self._groups.update(dict(zip(names.tolist(), counts.tolist(), strict=True)))
        columns = [batch.destination_low, batch.source_low, kinds]
        # Sorting is the dearest step here, and most blocks have no upper halves of addresses.
        if (batch.version == 6).any():
            columns = [batch.destination_high, batch.source_high, *columns]
        order = np.lexsort(columns)
        ordered = [column.take(order) for column in columns]
        differs = np.any([column[1:] != column[:-1] for column in ordered], axis=0)
        first = np.flatnonzero(np.append(True, differs))
        counts = np.diff(np.append(first, len(order)))
        for index in np.argsort(-counts, kind="stable")[:_PAIRS_OF_BLOCK].tolist():
            row = order[first[index]]
            ends = (batch.source_high, batch.source_low, batch.destination_high, batch.destination_low)
            source_high, source_low, high, low = (int(column[row]) for column in ends)
            self._pairs[int(kinds[row]), source_high, source_low, high, low] += int(counts[index])
        self._exact &= len(self._groups) <= MAX_GROUPS
        _prune(self._groups, MAX_GROUPS)
        _prune(self._pairs, MAX_ENDS)

    def changes(self, limit: int) -> Changes:
        """The `limit` largest groups; of equal ones the order is always the same."""
        ranked = sorted(self._groups.items(), key=lambda item: (-item[1], item[0]))[:limit]
        pairs: dict[int, list[tuple[_Key, int]]] = {name: [] for name, _ in ranked}
        for key, count in sorted(self._pairs.items(), key=lambda item: (-item[1], item[0])):
            named = pairs.get(key[0])
            if named is not None and len(named) < PAIRS:
                named.append((key, count))
        groups = tuple(_group(name, count, pairs[name], compares=self._compares) for name, count in ranked)
        return Changes(self._flows, len(self._groups), groups, self._exact)
