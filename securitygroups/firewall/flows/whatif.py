"""What a new rule list would have done with recorded traffic: the flows that it newly denies and newly allows, ranked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import DIRECTIONS, NO_PORT, Batch
from securitygroups.firewall.flows.compiled import NO_RULE, CompiledList, Places, hits
from securitygroups.firewall.flows.logs import FlowLog, Readable
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Network, Packet, RuleList

MAX_GROUPS = 50_000
"""Groups that are counted at once; beyond, those with the fewest flows are forgotten and the answer is not exact."""

MAX_ENDS = 20_000
"""Pairs of addresses that are counted at once, likewise."""

MAX_RULES = (1 << 18) - 1
"""The longest list: places are counted in 18 bits."""

PAIRS = 5
"""Pairs of addresses that a group names."""

# Only the most frequent pairs of a block are counted: one that is rare in every block is no example worth naming.
_PAIRS_OF_BLOCK = 2048

Observer = Callable[[Batch, Places, Places], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Flows between the same two addresses: one packet of them, and how many there are at least."""

    packet: Packet
    flows: int


@dataclass(frozen=True, slots=True)
class Group:
    """Changed flows alike in direction, family, protocol, port and deciding rules.

    `before` and `after` are the places of the deciding rules in the old and the new list, None where none matches.
    `version` and `protocol` are None for frames that are not IP, `port` where there is none. `pairs` are the busiest
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
    """Flows whose verdict changes one way. `groups` are the largest, `flows` and `group_count` tell of all.

    `exact` is False where there were more than MAX_GROUPS at once: then `group_count` and the numbers of flows of the
    groups are the least that they can be, while `flows` is still right.
    """

    flows: int
    group_count: int
    groups: tuple[Group, ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What two lists do with one log.

    `kind` is the log's, `records` its lines or packets read, `rows` the flows judged, `skipped` the records that were
    not and why. `accepted_before` and `accepted_after` count flows. `hits_before` and `hits_after` count the flows that
    each rule decides: index = place from 1, index 0 = no rule matches. `cut` is "rows" or "seconds" where that limit
    ended the reading before the log ended, else None.
    """

    kind: str
    records: int
    rows: int
    skipped: dict[Skip, int]
    accepted_before: int
    accepted_after: int
    newly_denied: Changes
    newly_allowed: Changes
    hits_before: tuple[int, ...]
    hits_after: tuple[int, ...]
    cut: str | None


_Key = tuple[int, int, int, int, int]
_Name = TypeVar("_Name")


def _prune(counter: Counter[_Name], limit: int) -> None:
    """Forget the smaller half of what is counted once there is more than `limit`."""
    if len(counter) > limit:
        kept = counter.most_common(limit // 2)
        counter.clear()
        counter.update(dict(kept))


def _packed(batch: Batch, before: Places, after: Places) -> NDArray[np.uint64]:
    """All that makes a group in one number: rules after and before (18 bits each), port, protocol, family, direction."""
    total = after.astype(np.uint64)
    for column, bits in (
        (before, 18),
        (batch.port + 1, 17),
        (batch.protocol, 8),
        (batch.version >> 1, 2),
        (batch.direction, 1),
    ):
        total = total << np.uint64(bits) | column.astype(np.uint64)
    return total


def _group(name: int, flows: int, pairs: Sequence[tuple[_Key, int]]) -> Group:
    """The inverse of _packed."""
    direction, version = DIRECTIONS[name & 1], (name >> 1 & 3) << 1
    protocol, port = name >> 3 & 0xFF, (name >> 11 & 0x1FFFF) - 1
    before, after = name >> 28 & 0x3FFFF, name >> 46
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


class _Tally:
    """Counts changed flows by group, and their pairs of addresses, in bounded memory."""

    def __init__(self) -> None:
        self._flows = 0
        self._exact = True
        self._groups: Counter[int] = Counter()
        self._pairs: Counter[_Key] = Counter()

    def add(self, batch: Batch, before: Places, after: Places) -> None:
        """Count these flows, all of which change."""
        if not len(batch):
            return
        self._flows += len(batch)
        kinds = _packed(batch, before, after)
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
        groups = tuple(_group(name, count, pairs[name]) for name, count in ranked)
        return Changes(self._flows, len(self._groups), groups, self._exact)


def what_if(
    old_rules: RuleList,
    new_rules: RuleList,
    stream: Readable,
    *,
    local: Sequence[Network] = (),
    limit_rows: int | None = None,
    limit_seconds: float | None = None,
    clock: Callable[[], float] | None = None,
    limit_groups: int = 100,
    observer: Observer | None = None,
) -> Report:
    """Judge the flows of a log (see FlowLog, also for `local`) by two lists and compare.

    Reading ends after `limit_rows` flows, or when `limit_seconds` have passed by `clock` (such as time.monotonic, needed
    for that), which is looked at after each block of some ten thousand flows; the report then tells so. Memory is bounded whatever the log's length (about 150 MB
    beside the lists' own tables). `observer` is given every batch with the places of both lists' deciding rules.
    Raises BadDocument where the log is none or damaged, with line and field, and ValueError for lists of more than
    MAX_RULES and for a limit without a clock. The rules must be valid. The same list twice is judged once.
    """
    if max(len(old_rules), len(new_rules)) > MAX_RULES:
        raise ValueError(f"A list has more than {MAX_RULES} rules.")
    late = _deadline(limit_seconds, clock)
    log = FlowLog(stream, local)
    counts = _Counts(old_rules, new_rules)
    cut = None
    for whole in log:
        batch = whole
        if limit_rows is not None and counts.rows + len(batch) > limit_rows:
            # A block is cut to the row, so that a limit means the same whatever the blocks' size.
            batch, cut = whole.take(slice(0, limit_rows - counts.rows)), "rows"
        before, after = counts.add(batch)
        if observer:
            observer(batch, before, after)
        if cut is None and late():
            cut = "seconds"
        if cut:
            break
    return Report(
        kind=log.kind,
        records=log.records,
        rows=counts.rows,
        skipped={reason: count for reason, count in log.skipped.items() if count},
        accepted_before=counts.accepted_before,
        accepted_after=counts.accepted_after,
        newly_denied=counts.denied.changes(limit_groups),
        newly_allowed=counts.allowed.changes(limit_groups),
        hits_before=tuple(counts.hits_before.tolist()),
        hits_after=tuple(counts.hits_after.tolist()),
        cut=cut,
    )


def _deadline(seconds: float | None, clock: Callable[[], float] | None) -> Callable[[], bool]:
    """Whether so many seconds have passed from now on."""
    if seconds is None:
        return lambda: False
    if clock is None:
        raise ValueError("limit_seconds needs a clock.")
    started, now, limit = clock(), clock, seconds
    return lambda: now() - started >= limit


class _Counts:
    """What two lists do with the flows seen so far."""

    def __init__(self, old_rules: RuleList, new_rules: RuleList) -> None:
        self._old = CompiledList(old_rules)
        self._new = self._old if new_rules is old_rules else CompiledList(new_rules)
        none = np.zeros(0, np.int32)
        self.rows, self.accepted_before, self.accepted_after = 0, 0, 0
        self.hits_before, self.hits_after = hits(self._old.rules, none), hits(self._new.rules, none)
        self.denied, self.allowed = _Tally(), _Tally()

    def add(self, batch: Batch) -> tuple[Places, Places]:
        """Judge these flows too: the places of the deciding rules, in the old list and in the new one."""
        passed_before, before = self._old.judge(batch)
        passed_after, after = (passed_before, before) if self._new is self._old else self._new.judge(batch)
        self.rows += len(batch)
        self.accepted_before += int(np.count_nonzero(passed_before))
        self.accepted_after += int(np.count_nonzero(passed_after))
        self.hits_before += hits(self._old.rules, before)
        self.hits_after += hits(self._new.rules, after)
        for tally, changed in (
            (self.denied, passed_before & ~passed_after),
            (self.allowed, ~passed_before & passed_after),
        ):
            tally.add(batch.take(changed), before[changed], after[changed])
        return before, after
