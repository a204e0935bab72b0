"""What the internet reaches of a project, as the exposure page and the overview show it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import chain
from json import dumps, loads
from time import monotonic
from typing import Any, NamedTuple, overload

from securitygroups.answers.exposure import LIMITS, Landscape, chosen, load
from securitygroups.answers.kept import kept, known
from securitygroups.answers.reached import NOTHING, Named, Reached, Spot, Through, reached, read, sensitive
from securitygroups.effective import Limits, Placed, TooLarge, Vm, mark
from securitygroups.firewall.analysis.internet import Exposed, internet_exposure
from securitygroups.firewall.analysis.products import Product, Span
from securitygroups.firewall.formats.packets import packet_from_json, packet_to_json
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import Project, VirtualMachine
from securitygroups.words.traffic import joined, product_ports_text, protocols_text, ranges_text, share_text

MAX_OVERVIEW_RULES, MAX_OVERVIEW_MACHINES = 5_000, 500
"""What the overview looks at by the way; a larger project is looked at on its exposure page alone."""
SECONDS = 5.0
"""How long one page goes on with new lists."""
MACHINES_NAMED, RULES_NAMED = 20, 6

Clock = Callable[[], float]


class Some(NamedTuple):
    """How many VMs there are, of which the first are named."""

    first: tuple[Named, ...]
    number: int

    @property
    def unnamed(self) -> int:
        return self.number - len(self.first)


@dataclass(frozen=True, slots=True)
class Opening:
    """Traffic that the internet gets in with on some VMs, through the same rules. `services` are better not so open.

    `through` are the first of the `rules` many.
    """

    what: str
    ports: str
    sources: str
    who: str
    everyone: bool
    services: str
    rules: int
    machines: Some
    through: tuple[Through, ...]
    sample: Packet

    @property
    def unnamed_rules(self) -> int:
        return self.rules - len(self.through)


@dataclass(frozen=True, slots=True)
class Internet:
    """What the internet reaches. `open` and `loud` count VMs: reachable at all, and with such services open. `reached` are
    the keys of the open ones, `groups` those of the groups whose rules let it in; `drawn` is the picture.

    `unsettled` are VMs that could not be looked at whole; `unseen` counts those that time ran out for.
    """

    openings: Sequence[Opening]
    machines: int
    open: int
    loud: int
    without_address: Some
    unsettled: Some
    unseen: int = 0
    reached: Sequence[int] = ()
    drawn: Reached = NOTHING
    groups: Sequence[int] = ()

    @property
    def complete(self) -> bool:
        return not (self.unsettled.number or self.unseen or self.without_address.number)


def _some(machines: Sequence[Vm]) -> Some:
    return Some(tuple(Named(vm.public_id, vm.name) for vm in machines[:MACHINES_NAMED]), len(machines))


Shares = tuple[tuple[int, float], ...]
"""Of each family, the part of the internet."""


def _who(shares: Shares) -> str:
    texts = {share_text(share) for _, share in shares}
    if len(texts) == 1:
        return texts.pop()
    return joined([f"{share_text(share)} (IPv{version})" for version, share in shares])


def _opening(land: Landscape, same: list[Exposed], spots: tuple[Spot, ...], words: tuple[str, str, str]) -> Opening:
    one = same[0]
    what, ports, services = words
    machines = sorted(int(key) for each in same for key in each.machines)
    return Opening(
        what=what,
        ports=ports,
        sources=ranges_text(one.product.sources),
        who=_who(one.shares),
        everyone=all(share == 1 for _, share in one.shares),
        services=services,
        machines=Some(_names(land, machines[:MACHINES_NAMED]), len(machines)),
        through=tuple(_through(land, *spot) for spot in spots[:RULES_NAMED]),
        rules=len(spots),
        sample=one.sample,
    )


def _names(land: Landscape, indexes: Iterable[int]) -> tuple[Named, ...]:
    return tuple(Named(land.machines[at].public_id, land.machines[at].name) for at in indexes)


def _through(land: Landscape, group: int, place: int) -> Through:
    held = land.fleet.groups[group]
    one = Placed(held.rules[place - 1], held.home, place)
    return Through(one.group_id, one.text, place, one.uid)


def internet(land: Landscape, seconds: float = SECONDS, clock: Clock = monotonic) -> Internet:
    """What the internet reaches on these VMs; nothing new is begun once the seconds have passed."""
    # Seconds, not work: pictures of a project are looked at, nothing is decided by them.
    end = clock() + seconds
    found = internet_exposure(land.parts, land.values, late=lambda: clock() > end)
    same: dict[tuple[Product, Shares, tuple[Spot, ...]], list[Exposed]] = {}
    for one in found.exposed:
        spots = tuple(land.fleet.spot(one.sequence, place) for place in one.rules)
        same.setdefault((one.product, one.shares, spots), []).append(one)

    # Many products are of the same ports.
    @cache
    def words(protocols: tuple[str | None, ...], ports: tuple[Span, ...], portless: bool) -> tuple[str, str, str]:
        product = Product(Direction.IN, protocols, ports, portless)
        return protocols_text(product), product_ports_text(product), sensitive(protocols, ports)

    openings = [
        _opening(land, ones, spots, words(product.protocols, product.ports, product.portless))
        for (product, _, spots), ones in same.items()
    ]
    openings.sort(key=lambda one: (not one.services, -one.machines.number, one.what, one.ports))
    open_ones = {key for one in found.exposed for key in one.machines}
    loud = {
        key
        for (product, _, _), ones in same.items()
        if words(product.protocols, product.ports, product.portless)[2]
        for key in chain.from_iterable(one.machines for one in ones)
    }
    return Internet(
        openings=tuple(openings),
        machines=len(land.machines),
        open=len(open_ones),
        loud=len(loud),
        without_address=_some(land.without_address),
        unsettled=_some([land.machines[int(key)] for key in found.too_fine]),
        unseen=len(found.unseen),
        reached=tuple(sorted(land.machines[int(key)].pk for key in open_ones)),
        drawn=reached(
            found.exposed,
            lambda one: (land.fleet.spot(one.sequence, place) for place in one.rules),
            lambda spot: land.fleet.groups[spot[0]].rules[spot[1] - 1],
            lambda spot: _through(land, *spot),
            lambda at: _names(land, [at])[0],
        ),
        groups=tuple(sorted({group for _, _, spots in same for group, _ in spots})),
    )


_SAID = tuple(each.name for each in fields(Opening) if each.name != "sample")
_NUMBERS = tuple(each.name for each in fields(Internet) if each.name != "openings")


def look(project: Project, query: str = "", limits: Limits = LIMITS, seconds: float = SECONDS) -> Internet:
    """What the internet reaches on the project's VMs, or those that a search finds; kept once it is known whole.

    Raises TooLarge.
    """
    rows = chosen(project, query)
    found = kept(
        "internet",
        lambda: mark(project, rows),
        lambda: _written(internet(load(rows, limits=limits), seconds)),
        lambda written: not written["unseen"],
    )
    return _read(found)


def _written(found: Internet) -> dict[str, Any]:
    """As JSON; each opening as a line of its own, for a page shows few of thousands."""
    return {**{name: getattr(found, name) for name in _NUMBERS}, "openings": list(map(_line, found.openings))}


def _line(one: Opening) -> str:
    return dumps([getattr(one, name) for name in _SAID] + [packet_to_json(one.sample)])


def _opened(line: str) -> Opening:
    *said, sample = loads(line)
    parts = dict(zip(_SAID, said, strict=True))
    parts["machines"] = _some_of(parts["machines"])
    parts["through"] = tuple(Through(*one) for one in parts["through"])
    return Opening(**parts, sample=packet_from_json(sample))


def _some_of(written: Any) -> Some:
    first, number = written
    return Some(tuple(Named(*one) for one in first), number)


def _read(written: dict[str, Any]) -> Internet:
    unsettled, without = _some_of(written["unsettled"]), _some_of(written["without_address"])
    keys = {name: tuple(written[name]) for name in ("reached", "groups")} | {"drawn": read(written["drawn"])}
    lines = Lines(written["openings"])
    return Internet(**{**written, **keys, "openings": lines, "unsettled": unsettled, "without_address": without})


class Lines(Sequence[Opening]):
    """Openings that are read when they are looked at."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, at: int) -> Opening: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Opening]: ...
    def __getitem__(self, at: int | slice) -> Opening | Sequence[Opening]:
        return Lines(self._lines[at]) if isinstance(at, slice) else _opened(self._lines[at])


def is_large(project: Project) -> bool:
    """Whether the project has more VMs than are looked at by the way (one query, of no more rows)."""
    rows = VirtualMachine.objects.live().filter(project=project).order_by()
    found: int = rows[: MAX_OVERVIEW_MACHINES + 1].count()
    return found > MAX_OVERVIEW_MACHINES


def glance(project: Project, machine_count: int) -> Internet | None:
    """The same for the overview, where that is cheap; None where it takes a page of its own, as for a large project, and
    is not known yet."""
    if machine_count > MAX_OVERVIEW_MACHINES:
        found = known("internet", mark(project, chosen(project)))
        return _read(found) if found else None
    try:
        found = look(project, limits=Limits(MAX_OVERVIEW_RULES, LIMITS.effective, aside=True), seconds=0.3)
    except TooLarge:
        return None
    return None if found.unseen else found
