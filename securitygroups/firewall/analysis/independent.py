"""Whether two edits of one list have nothing to do with each other, so that either may come first."""

from collections.abc import Sequence, Set

from securitygroups.firewall.analysis.overlaps import area
from securitygroups.firewall.changes import ListChange, list_change
from securitygroups.firewall.values import Rule, RuleList


def independent(base: RuleList, mine: RuleList, theirs: RuleList) -> bool:
    """Whether `mine` and `theirs`, both made from `base`, touch other rules and leave no doubt about the order.

    Where both put rules between the same two, the order is open; it does not matter as long as no packet tells them
    apart. The same rule added by both is in doubt too: it may be one click that came twice.
    """
    my_change, their_change = list_change(base, mine), list_change(base, theirs)
    added = {line.new for line in their_change.added}
    if _touched(my_change) & _touched(their_change) or any(line.new in added for line in my_change.added):
        return False
    placed = {id(line.new) for line in (*my_change.added, *my_change.moved)}
    gone = {line.old.uid for line in my_change.removed if line.old} | {
        line.new.uid for line in my_change.moved if line.new
    }
    return _order_is_clear(mine, theirs, placed, gone)


def _touched(change: ListChange) -> set[str]:
    lines = (*change.added, *change.removed, *change.changed, *change.moved)
    return {rule.uid for line in lines for rule in (line.old, line.new) if rule and rule.uid}


def _order_is_clear(mine: RuleList, theirs: RuleList, placed: Set[int], gone: Set[str]) -> bool:
    """Whether each run of rules that mine placed has one place in theirs: between the two that it stands between."""
    standing = {rule.uid: place for place, rule in enumerate(theirs, 1)}
    above, run = 0, list[Rule]()
    for rule in (*mine, None):
        if rule and id(rule) in placed:
            run.append(rule)
            continue
        below = standing.get(rule.uid) if rule else len(theirs) + 1
        if below is None:
            continue
        if run:
            between = [other for other in theirs[above : below - 1] if other.uid not in gone]
            if below <= above or not _commute(run, between):
                return False
        above, run = below, []
    return True


def _commute(some: Sequence[Rule], others: Sequence[Rule]) -> bool:
    return not any(_told_apart(one, other) for one in some for other in others)


def _told_apart(one: Rule, other: Rule) -> bool:
    """Whether some packet gets another verdict when the two change places. One that is off may be switched on."""
    if one.action is other.action or one.direction is not other.direction:
        return False
    a, b = area(one), area(other)
    return a[0] & b[0] != 0 and all(a[at] <= b[at + 1] and b[at] <= a[at + 1] for at in (1, 3, 5))
