"""What the internet reaches, as a picture needs it: few ports, few VMs, and how many VMs lie behind each.

What is exposed comes in products that no reader asked for: a port is in several of them, for it is let in by several
rules. Here each VM's ports are put together again, and VMs with the same ports stand together where there are many.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from securitygroups.firewall.analysis.internet import Exposed
from securitygroups.firewall.analysis.products import ALL_PORTS, Product, Span
from securitygroups.firewall.analysis.traffic import KINDS
from securitygroups.firewall.protocols import PROTOCOLS, Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import Rule
from securitygroups.words.traffic import joined, product_ports_text, protocols_text

PORTS, BUNDLES = 8, 12
"""So many ports, and VMs or bundles of VMs, are drawn; how many more there are is told."""
SERVICES_NAMED = 3

Spot = tuple[int, int]
"""A rule by its group's key and its place there."""


class Named(NamedTuple):
    """A VM that a page names."""

    public_id: str
    name: str


class Through(NamedTuple):
    """A rule that lets traffic in, as links need it."""

    group_id: str
    text: str
    place: int
    uid: str


class Port(NamedTuple):
    """What is open: a port, a range of them, or traffic without ports. `services` are better not so open.

    `everyone` gets in, or else a large part of the internet; `through` is the first of `rules` many.
    """

    what: str
    ports: str
    services: str
    everyone: bool
    machines: int
    through: Through
    rules: int


class Bundle(NamedTuple):
    """A VM, or several with the same ports open, of which `first` is named."""

    first: Named
    machines: int
    loud: bool


class Reached(NamedTuple):
    """`bands` are (place of a port, place of a bundle, VMs). Behind the last bundle stand `more_machines`, whose bands name
    the place after it; `more_ports` are left out."""

    ports: tuple[Port, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    bands: tuple[tuple[int, int, int], ...] = ()
    more_ports: int = 0
    more_machines: int = 0


NOTHING = Reached()


def sensitive(protocols: Collection[str | None], spans: Iterable[Span]) -> str:
    """The services on these ports that are rarely meant for all, in words."""
    spans = list(spans)
    names = [
        service.name
        for service in SERVICES
        if service.sensitive
        and service.port is not None
        and service.protocol in protocols
        and any(first <= service.port <= last for first, last in spans)
    ]
    more = len(names) - SERVICES_NAMED
    return joined(names if more <= 1 else [*names[:SERVICES_NAMED], f"{more} more"])


_Open = tuple[tuple[str | None, ...], tuple[Span, ...]]
"""Protocols, and the one span of ports that is open; none where they have no ports."""


@dataclass(slots=True)
class _Found:
    machines: set[int] = field(default_factory=set)
    spots: dict[Spot, None] = field(default_factory=dict)
    everyone: bool = False


def reached(
    exposed: Iterable[Exposed],
    spots: Callable[[Exposed], Iterable[Spot]],
    rule_at: Callable[[Spot], Rule],
    through: Callable[[Spot], Through],
    named: Callable[[int], Named],
) -> Reached:
    """The picture of what is exposed; VMs are known by numbers, in the order in which they are named."""
    found: dict[_Open, _Found] = {}
    for (_, *machines), its in _alike(exposed).items():
        for opening, ones in _openings(its).items():
            at = found.setdefault(opening, _Found())
            at.machines.update(int(key) for key in machines)
            at.spots.update(
                dict.fromkeys(spot for one in ones for spot in spots(one) if _opens(rule_at(spot), opening))
            )
            at.everyone |= any(share == 1 for one in ones for _, share in one.shares)
    ports = sorted(
        ((_port(opening, at, through), at.machines) for opening, at in found.items()),
        key=lambda pair: (not pair[0].services, -pair[0].machines, pair[0].what, pair[0].ports),
    )
    return _drawn(ports[:PORTS], len(ports) - len(ports[:PORTS]), named)


def _alike(exposed: Iterable[Exposed]) -> dict[tuple[int | str, ...], list[Exposed]]:
    """By the list and the VMs that they are of."""
    alike: dict[tuple[int | str, ...], list[Exposed]] = {}
    for one in exposed:
        alike.setdefault((one.sequence, *one.machines), []).append(one)
    return alike


def _openings(same: Sequence[Exposed]) -> dict[_Open, list[Exposed]]:
    """What is open on VMs that these products are all of, each with the products that it is put together from."""
    spans, others = _by_protocol(same)
    if len(others) + sum(span == ALL_PORTS[0] for _, span in spans) == len(KINDS):
        return {(KINDS, ALL_PORTS): list(same)}
    found: dict[_Open, list[Exposed]] = {((protocol,), (span,)): ones for (protocol, span), ones in spans.items()}
    if others:
        kinds = tuple(kind for kind in KINDS if kind in others)
        found[kinds, ()] = [one for ones in others.values() for one in ones]
    return found


def _by_protocol(
    same: Iterable[Exposed],
) -> tuple[dict[tuple[str, Span], list[Exposed]], dict[str | None, list[Exposed]]]:
    """The products of each protocol: by their spans, put together, where it has ports; the others without."""
    with_ports: dict[str, list[tuple[Span, Exposed]]] = {}
    others: dict[str | None, list[Exposed]] = {}
    for one in same:
        for protocol in one.product.protocols:
            if protocol and PROTOCOLS[protocol].has_ports:
                with_ports.setdefault(protocol, []).extend((span, one) for span in one.product.ports)
            else:
                others.setdefault(protocol, []).append(one)
    spans = {(protocol, span): ones for protocol, its in with_ports.items() for span, ones in _united(its).items()}
    return spans, others


def _united(spans: Iterable[tuple[Span, Exposed]]) -> dict[Span, list[Exposed]]:
    """Spans that touch become one."""
    found: list[tuple[Span, list[Exposed]]] = []
    for (first, last), one in sorted(spans, key=lambda pair: pair[0]):
        if found and first <= found[-1][0][1] + 1:
            (start, end), ones = found[-1]
            found[-1] = (start, max(end, last)), [*ones, one]
        else:
            found.append(((first, last), [one]))
    return dict(found)


def _opens(rule: Rule, opening: _Open) -> bool:
    """Whether the rule has a part in it: a product names the rules of all its ports."""
    protocols, spans = opening
    covers = PROTOCOLS[rule.protocol].numbers is None or rule.protocol in protocols
    start, end = rule.port_start, rule.port_end
    return covers and (start is None or end is None or any(start <= last and first <= end for first, last in spans))


def _port(opening: _Open, at: _Found, through: Callable[[Spot], Through]) -> Port:
    protocols, spans = opening
    product = Product(Direction.IN, protocols, spans, portless=spans == ALL_PORTS)
    return Port(
        what="Everything" if product.every_protocol else protocols_text(product),
        ports="" if product.every_protocol else product_ports_text(product),
        services=sensitive(protocols, spans),
        everyone=at.everyone,
        machines=len(at.machines),
        through=through(next(iter(at.spots))),
        rules=len(at.spots),
    )


def _drawn(ports: Sequence[tuple[Port, set[int]]], more_ports: int, named: Callable[[int], Named]) -> Reached:
    """VMs that have the same of these ports stand together, unless all of them can stand alone."""
    has: dict[int, list[int]] = {}
    for place, (_, machines) in enumerate(ports):
        for machine in machines:
            has.setdefault(machine, []).append(place)
    loud = {place for place, (port, _) in enumerate(ports) if port.services}
    order = sorted(_bundled(has), key=lambda its: (loud.isdisjoint(has[its[0]]), has[its[0]], -len(its), its[0]))
    rest = [machine for its in order[BUNDLES:] for machine in its]
    return Reached(
        ports=tuple(port for port, _ in ports),
        bundles=tuple(Bundle(named(its[0]), len(its), not loud.isdisjoint(has[its[0]])) for its in order[:BUNDLES]),
        bands=(*_bands(order[:BUNDLES], has), *_behind(rest, has, len(order[:BUNDLES]))),
        more_ports=more_ports,
        more_machines=len(rest),
    )


def _bundled(has: Mapping[int, list[int]]) -> Iterable[list[int]]:
    """The VMs, those with the same ports together; each alone where there is room for all."""
    same: dict[tuple[int, ...], list[int]] = {}
    for machine in sorted(has):
        same.setdefault((*has[machine], *([-1, machine] if len(has) <= BUNDLES else [])), []).append(machine)
    return same.values()


def _bands(bundles: Sequence[list[int]], has: Mapping[int, list[int]]) -> Iterator[tuple[int, int, int]]:
    """Those to what is drawn. VMs of a bundle have the same ports, so the first one's stand for all."""
    return ((at, place, len(its)) for place, its in enumerate(bundles) for at in has[its[0]])


def _behind(rest: Sequence[int], has: Mapping[int, list[int]], place: int) -> Iterator[tuple[int, int, int]]:
    """Those to the VMs that are not drawn, as one bundle at this place, port by port."""
    counted = Counter(at for machine in rest for at in has[machine])
    return ((at, place, counted[at]) for at in sorted(counted))


def read(written: Sequence[Any]) -> Reached:
    """As JSON has kept it."""
    ports, bundles, bands, *more = written
    return Reached(
        tuple(Port._make([*said, Through._make(rule), number]) for *said, rule, number in ports),
        tuple(Bundle._make([Named._make(first), *rest]) for first, *rest in bundles),
        tuple((port, bundle, number) for port, bundle, number in bands),
        *more,
    )
