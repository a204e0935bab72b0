"""Flows alike, counted: by direction, family, protocol, port and deciding rules, with the addresses between which most went."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import DIRECTIONS, NO_PORT, Batch
from securitygroups.firewall.flows.compiled import NO_RULE, Places
from securitygroups.firewall.flows.openers import scrambled
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


Numbers = NDArray[np.uint64]
_Key = tuple[int, int, int, int, int]
_ENDS = ("source_high", "source_low", "destination_high", "destination_low")


class _Counted:
    """How often each number was met, with what belongs to it in further columns. What is met is counted together once there
    is more than `limit` of it, and the less frequent half is forgotten where there are more numbers than that."""

    def __init__(self, columns: int) -> None:
        self._waiting = [(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros((columns, 0), np.uint64))]
        self.exact = True

    def add(self, numbers: Numbers, counts: NDArray[np.int64], columns: Numbers, limit: int) -> None:
        self._waiting.append((numbers, counts, columns))
        if sum(len(one) for one, _, _ in self._waiting) > limit:
            numbers, counts, columns = self.all()
            if len(numbers) > limit:
                self.exact = False
                kept = np.argsort(-counts, kind="stable")[: limit // 2]
                self._waiting = [(numbers[kept], counts[kept], columns[:, kept])]

    def all(self) -> tuple[Numbers, NDArray[np.int64], Numbers]:
        """Each number once, with its count and columns."""
        numbers, counts = (np.concatenate([one[at] for one in self._waiting]) for at in (0, 1))
        columns = np.concatenate([one[2] for one in self._waiting], axis=1)
        order = np.argsort(numbers, kind="stable")
        first = _firsts(numbers.take(order))
        if first.size:
            counts = np.add.reduceat(counts.take(order), first)
        self._waiting = [(numbers.take(order.take(first)), counts, columns[:, order.take(first)])]
        return self._waiting[0]


def _firsts(ordered: Numbers) -> NDArray[np.intp]:
    """Where another number begins."""
    return np.flatnonzero(np.append(len(ordered) > 0, ordered[1:] != ordered[:-1]))


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
        self._compares, self._flows = compares, 0
        self._groups, self._pairs = _Counted(0), _Counted(1 + len(_ENDS))

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
        self._groups.add(names, counts, np.zeros((0, len(names)), np.uint64), MAX_GROUPS)
        columns = [kinds, *(getattr(batch, name) for name in _ENDS)]
        # One number for all of them: sorting by five columns is the dearest step here.
        pairs = scrambled(*columns)
        order = np.argsort(pairs)
        first = _firsts(pairs.take(order))
        counts = np.diff(np.append(first, len(order)))
        busy = np.argsort(-counts, kind="stable")[:_PAIRS_OF_BLOCK]
        rows = order.take(first.take(busy))
        self._pairs.add(pairs.take(rows), counts.take(busy), np.array([one.take(rows) for one in columns]), MAX_ENDS)

    def changes(self, limit: int) -> Changes:
        """The `limit` largest groups; of equal ones the order is always the same."""
        names, counts, _ = self._groups.all()
        ranked = np.lexsort((names, -counts))[:limit]
        pairs = self._busiest(names.take(ranked))
        groups = tuple(
            _group(name, count, pairs[name], compares=self._compares)
            for name, count in zip(names.take(ranked).tolist(), counts.take(ranked).tolist(), strict=True)
        )
        return Changes(self._flows, len(names), groups, self._groups.exact)

    def _busiest(self, names: Numbers) -> dict[int, list[tuple[_Key, int]]]:
        """The busiest pairs of each of these groups."""
        _, counts, columns = self._pairs.all()
        pairs: dict[int, list[tuple[_Key, int]]] = {name: [] for name in names.tolist()}
        for at in np.lexsort((*columns[::-1], -counts)).tolist():
            key, count = tuple(columns[:, at].tolist()), int(counts[at])
            named = pairs.get(key[0])
            if named is not None and len(named) < PAIRS:
                named.append((key, count))
        return pairs
