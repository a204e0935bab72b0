"""Find rules by what a person types: a port, an address, a protocol, an action, a word of the description."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from django.db.models import Q

from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import Network, Refused, parse_network, whole_number
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import Rule


@dataclass(slots=True)
class Wanted:
    """All of it must hold. A network finds the rules that cover some of it; a rule without an address covers all."""

    ports: list[int] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    protocols: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    directions: list[str] = field(default_factory=list)
    states: list[bool] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def parse(query: str) -> Wanted:
    """Each word by its shape: 22, port:22, 10.1.2.3, 2001:db8::/32, tcp, accept, in, on, off; anything else is text."""
    wanted = Wanted()
    for word in query.split()[:12]:
        plain = word.lower().removeprefix("port:")
        port = whole_number(plain, MAX_PORT)
        if port is not None:
            wanted.ports.append(port)
        elif plain in PROTOCOLS:
            wanted.protocols.append(plain)
        elif plain in [action.value for action in Action]:
            wanted.actions.append(plain)
        elif plain in [direction.value for direction in Direction]:
            wanted.directions.append(plain)
        elif plain in ("on", "off"):
            wanted.states.append(plain == "on")
        else:
            try:
                wanted.networks.append(parse_network(word))
            except Refused:
                wanted.words.append(word)
    return wanted


def _covers(network: Network | None, wanted: Network) -> bool:
    return network is None or (
        network.version == wanted.version and network.first <= wanted.last and wanted.first <= network.last
    )


Some = TypeVar("Some", Rule, RuleValue)


def _has_port(rule: Rule | RuleValue, port: int) -> bool:
    return rule.port_start is None or rule.port_start <= port <= (rule.port_end or 0)


def _has_address(rule: Rule | RuleValue, wanted: Network) -> bool:
    return _covers(rule.source, wanted) or (rule.destination is not None and _covers(rule.destination, wanted))


def _matches(rule: Rule | RuleValue, wanted: Wanted) -> bool:
    said = (
        (rule.protocol, wanted.protocols),
        (rule.action, wanted.actions),
        (rule.direction, wanted.directions),
        (rule.enabled, wanted.states),
    )
    text = rule.description.lower()
    return (
        all(value == one for value, chosen in said for one in chosen)
        and all(_has_port(rule, port) for port in wanted.ports)
        and all(_has_address(rule, network) for network in wanted.networks)
        and all(word.lower() in text for word in wanted.words)
    )


def finder(query: str) -> Callable[[Rule | RuleValue], bool]:
    """Tells whether the query finds a rule."""
    wanted = parse(query)
    return lambda rule: _matches(rule, wanted)


def matching(rules: Iterable[Some], query: str) -> list[Some]:
    """The rules that the query finds, in order."""
    finds = finder(query)
    return [rule for rule in rules if finds(rule)]


def as_condition(query: str) -> Q:
    """The same as a condition of the database, for the rules of a whole project."""
    wanted = parse(query)
    condition = Q()
    for port in wanted.ports:
        condition &= Q(port_start=None) | Q(port_start__lte=port, port_end__gte=port)
    for network in wanted.networks:
        condition &= Q(source=None) | Q(source__overlaps=network) | Q(destination__overlaps=network)
    for name, chosen in (
        ("protocol", wanted.protocols),
        ("action", wanted.actions),
        ("direction", wanted.directions),
        ("enabled", wanted.states),
    ):
        for value in chosen:
            condition &= Q(**{name: value})
    for word in wanted.words:
        condition &= Q(description__icontains=word)
    return condition
