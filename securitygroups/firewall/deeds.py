"""What can be done with the groups of many VMs at once, as a function from one order of groups to another."""

from dataclasses import dataclass

Order = tuple[int, ...]
"""A VM's groups, by key, in the order in which they are tried."""
ATTACH, DETACH, REPLACE, MOVE = "attach", "detach", "replace", "order"
LAST, FIRST, ABOVE = "last", "first", "above"


@dataclass(frozen=True, slots=True)
class Deed:
    """`do` it with a group, by key: at a `place`, or with the `other` group instead of it.

    `closers` are the groups that deny all that this one is about: below them its rules never act. `most` is how many
    groups a VM can have.
    """

    do: str
    group: int
    most: int
    other: int = 0
    place: str = LAST
    closers: frozenset[int] = frozenset()

    def of(self, order: Order) -> Order:
        """What it makes of a VM's groups; the same where it has nothing to do there, or no room."""
        if self.do == ATTACH:
            return order if self.group in order or self.is_full(order) else self._placed(order)
        if self.group not in order:
            return order
        without = tuple(pk for pk in order if pk != self.group)
        if self.do == MOVE:
            return self._placed(without)
        if self.do == DETACH or self.other in order:
            return without
        return tuple(self.other if pk == self.group else pk for pk in order)

    def is_full(self, order: Order) -> bool:
        """Whether the VM has no room for what should come."""
        return self.do == ATTACH and self.group not in order and len(order) >= self.most

    def _placed(self, others: Order) -> Order:
        at = {FIRST: 0, LAST: len(others), ABOVE: self._below(others)}[self.place]
        return (*others[:at], self.group, *others[at:])

    def _below(self, order: Order) -> int:
        """The place, from 0, of the first group that denies all; behind the last where there is none."""
        return next((at for at, pk in enumerate(order) if pk in self.closers), len(order))

    @property
    def brings(self) -> int:
        """The group that a VM may have afterwards and not before; 0 where there is none."""
        return self.group if self.do == ATTACH else self.other if self.do == REPLACE else 0

    def hides(self, order: Order) -> int:
        """The group, by key, below which this one would never act in that order; 0 where there is none."""
        mine = self.other if self.do == REPLACE else self.group
        at = order.index(mine) if mine in order else 0
        return next((pk for pk in order[:at] if pk in self.closers), 0)
