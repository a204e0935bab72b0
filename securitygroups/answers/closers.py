"""Which groups deny everything, so that what stands below them never acts."""

from collections.abc import Collection, Iterable, Sequence

from securitygroups.firewall.protocols import PROTOCOLS, Action, Direction
from securitygroups.models import Rule


def closers(among: Iterable[int], group: int) -> frozenset[int]:
    """Which groups deny all packets of a direction that the group has rules for: what stands below is dead (two queries)."""
    mine = _used([group])[group]
    return frozenset(pk for pk, denied in _denied(set(among) - {group}).items() if denied & mine)


def hidden_below(order: Sequence[int]) -> dict[int, int]:
    """The groups of an order that stand below one that denies all they are about, each with that one (two queries)."""
    if len(order) < 2:
        return {}
    used, denied = _used(order), _denied(order)
    found = {}
    for at, pk in enumerate(order):
        above = (other for other in order[:at] if denied.get(other, set()) & used[pk])
        if (first := next(above, 0)) and pk not in denied:
            found[pk] = first
    return found


def _used(groups: Collection[int]) -> dict[int, set[str]]:
    """The directions that groups have rules for; any, where there are none yet."""
    rows = Rule.objects.filter(group__in=groups, enabled=True).order_by().values_list("group", "direction").distinct()
    found: dict[int, set[str]] = {pk: set() for pk in groups}
    for pk, direction in rows:
        found[pk].add(direction)
    return {pk: directions or {one.value for one in Direction} for pk, directions in found.items()}


def _denied(groups: Collection[int]) -> dict[int, set[str]]:
    """The directions of which groups deny every packet, for those that do."""
    rules = Rule.objects.filter(
        group__in=groups,
        enabled=True,
        action=Action.DROP.value,
        protocol__in=[one.name for one in PROTOCOLS.values() if one.numbers is None],
        source=None,
        destination=None,
    )
    found: dict[int, set[str]] = {}
    for pk, direction in rules.order_by().values_list("group", "direction").distinct():
        found.setdefault(pk, set()).add(direction)
    return found
