"""Recorded traffic judged by the lists of the VMs that it was to and from, of one VM as of ten thousand."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.addresses import NOBODY, Addresses, Owners
from securitygroups.firewall.flows.batch import IN, Batch, join
from securitygroups.firewall.flows.compiled import NO_RULE, CompiledList, Places
from securitygroups.firewall.flows.tally import Mask, Tally
from securitygroups.firewall.flows.whatif import Counts
from securitygroups.firewall.values import RuleList

BLOCK = 200_000
A_GROUP = 200
"""Flows that are judged together, and for each group where there are few: one costs as much for a flow as for some hundred."""

KEPT = 250
"""Groups whose tables are kept, half a MiB each. Those of others are made again for each block, in some milliseconds."""

_NO_GROUP = -1


class Lists(NamedTuple):
    """VMs, by number from 0, with their addresses and lists.

    A VM's list is some of the `groups`, one after the other: `orders` are the different ones, and `order_of` tells each
    VM's. `addresses` are (family, address, VM).
    """

    groups: Sequence[RuleList]
    orders: Sequence[Sequence[int]]
    order_of: Sequence[int]
    addresses: Sequence[tuple[int, int, int]]


class ByVm:
    """A judge of an In flow by the list of the VM that has its destination address, of an Out flow by that of its source's.

    Rules are told by number: those of the first group from 1, of the second from there on. The groups are compiled, and
    not the lists that they make: of a list's groups the first that has a matching rule decides, and many lists share few.
    `flows_of` and `denied_of` count by VM. A frame without an address is a single VM's own, and else nobody's.
    """

    def __init__(self, lists: Lists) -> None:
        self._groups, self._kept = lists.groups, dict[int, CompiledList]()
        self.starts = np.cumsum([0, *map(len, lists.groups)])
        self._orders = _padded(lists.orders)
        self._order_of = np.array(lists.order_of, np.int32)
        self._addresses = Addresses(lists.addresses)
        vms = len(lists.order_of)
        self._alone = vms == 1
        self._waiting: list[Batch] = []
        self.now, self.elsewhere = Counts(int(self.starts[-1])), 0
        self.flows_of, self.denied_of = np.zeros(vms, np.int64), np.zeros(vms, np.int64)
        # There is no other list to compare with.
        self.newly_denied, self.newly_allowed = Tally(), Tally()
        self.accepted_after, self.hits_after = 0, np.zeros(0, np.int64)

    def add(self, batch: Batch) -> None:
        self._waiting.append(batch)
        if sum(map(len, self._waiting)) >= min(BLOCK, A_GROUP * len(self._groups)):
            self.finish()

    def finish(self) -> None:
        """Judge what waits for more."""
        whole, self._waiting = join(self._waiting), []
        owners = self.owners(whole)
        own = np.flatnonzero(owners != NOBODY)
        self.elsewhere += len(whole) - len(own)
        batch, owners = whole.take(own), owners.take(own)
        passed, rules = self._judged(batch, self._order_of.take(owners))
        self.now.add(batch, passed, rules)
        for counts, counted in ((self.flows_of, owners), (self.denied_of, owners[~passed])):
            counts += np.bincount(counted, minlength=len(counts))

    def owners(self, batch: Batch) -> Owners:
        """The VM whose list judges each flow, NOBODY where there is none."""
        inwards = batch.direction == IN
        high = np.where(inwards, batch.destination_high, batch.source_high)
        low = np.where(inwards, batch.destination_low, batch.source_low)
        owners = self._addresses.owners(batch.version, high, low)
        if self._alone:
            owners[batch.version == 0] = 0
        return owners

    def _judged(self, batch: Batch, order: NDArray[np.int32]) -> tuple[Mask, Places]:
        """Whether each passes, and the number of the rule that decides: the one of the first group that has any."""
        passed, rules = np.zeros(len(batch), np.bool_), np.full(len(batch), NO_RULE, np.int32)
        decided_at = np.full(len(batch), self._orders.shape[1], np.intp)
        asked = self._orders.take(order, axis=0)
        # Two columns of one table, of which each take() of some rows would copy all.
        rows, steps = map(np.ascontiguousarray, np.nonzero(asked != _NO_GROUP))
        for group, its in _apart(asked[rows, steps]):
            its_rows, its_steps = rows.take(its), steps.take(its)
            its_passed, places = self._compiled(group).judge(batch.take(its_rows))
            first = np.flatnonzero((places != NO_RULE) & (its_steps < decided_at.take(its_rows)))
            at = its_rows.take(first)
            decided_at[at], passed[at] = its_steps.take(first), its_passed.take(first)
            rules[at] = places.take(first) + np.int32(self.starts[group])
        return passed, rules

    def _compiled(self, group: int) -> CompiledList:
        if group not in self._kept:
            compiled = CompiledList(self._groups[group])
            if len(self._kept) == KEPT:
                return compiled
            self._kept[group] = compiled
        return self._kept[group]


def _padded(orders: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """The orders as rows of equal length."""
    table = np.full((len(orders), max(map(len, orders), default=0)), _NO_GROUP, np.int32)
    for row, order in zip(table, orders, strict=True):
        row[: len(order)] = order
    return table


def _apart(groups: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Which of them are the same group, for each."""
    order = np.argsort(groups, kind="stable")
    there, first = np.unique(groups.take(order), return_index=True)
    yield from zip(there.tolist(), np.split(order, first)[1:], strict=True)
