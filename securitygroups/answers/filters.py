"""Find rules by what a person types or reads on the page: a port, an address, a service, a protocol, a word of the description.

What is typed becomes terms, all of which must hold. Each says what it means twice, in Python for a list that is read
already and for the database; tests hold the two against each other.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, TypeVar

from django.db.models import Q, QuerySet

from securitygroups.firewall.protocols import MAX_PORT, PROTOCOLS
from securitygroups.firewall.services import Service, called
from securitygroups.firewall.several import service_ports
from securitygroups.firewall.texts import mended
from securitygroups.firewall.values import (
    BITS,
    Network,
    Refused,
    parse_address,
    parse_network,
    plain_network,
    whole_number,
)
from securitygroups.firewall.values import Rule as RuleValue
from securitygroups.models import Project, Rule

Some = TypeVar("Some", Rule, RuleValue)
MOST_TERMS = 12
EVERYTHING = (Network(4, 0, 0), Network(6, 0, 0))
_WITH_PORTS = [p.name for p in PROTOCOLS.values() if "port_start" in p.columns]
_WITH_EVERY_PORT = [p.name for p in PROTOCOLS.values() if p.numbers is None]
"""Protocols that cover the packets of the others, whatever port those go to."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must be true of a rule, which stands at a place from 1."""

    holds: Callable[[Rule | RuleValue, int], bool]
    condition: Q


def _any_of(*terms: Term) -> Term:
    return Term(
        lambda rule, place: any(term.holds(rule, place) for term in terms),
        reduce(or_, (term.condition for term in terms)),
    )


def _is(name: str, value: Any) -> Term:
    return Term(lambda rule, _: bool(getattr(rule, name) == value), Q(**{name: value}))


def _at(place: int) -> Term:
    return Term(lambda rule, at: getattr(rule, "position", at) == place, Q(position=place))


def _in_description(word: str) -> Term:
    lowered = word.lower()
    return Term(lambda rule, _: lowered in rule.description.lower(), Q(description__icontains=word))


def _ports(first: int, last: int) -> Term:
    """Rules that cover some of these ports."""

    def holds(rule: Rule | RuleValue, _: int) -> bool:
        if rule.protocol not in _WITH_PORTS:
            return rule.protocol in _WITH_EVERY_PORT
        start = rule.port_start
        return start is None or (start <= last and first <= (start if rule.port_end is None else rule.port_end))

    some = Q(port_start=None) | Q(port_start__lte=last, port_end__gte=first)
    return Term(holds, Q(protocol__in=_WITH_EVERY_PORT) | Q(protocol__in=_WITH_PORTS) & some)


def _every_port() -> Term:
    def holds(rule: Rule | RuleValue, _: int) -> bool:
        every = rule.port_start is None or (rule.port_start, rule.port_end) == (0, MAX_PORT)
        return rule.protocol in _WITH_EVERY_PORT or (rule.protocol in _WITH_PORTS and every)

    every = Q(port_start=None) | Q(port_start=0, port_end=MAX_PORT)
    return Term(holds, Q(protocol__in=_WITH_EVERY_PORT) | Q(protocol__in=_WITH_PORTS) & every)


def _covers(network: Network | None, wanted: Network) -> bool:
    return network is None or (
        network.version == wanted.version and network.first <= wanted.last and wanted.first <= network.last
    )


def _network(wanted: Network) -> Term:
    """Rules that cover some of it; a rule without an address covers all."""

    def holds(rule: Rule | RuleValue, _: int) -> bool:
        return _covers(rule.source, wanted) or (rule.destination is not None and _covers(rule.destination, wanted))

    return Term(holds, Q(source=None) | Q(source__overlaps=wanted) | Q(destination__overlaps=wanted))


def _named(networks: tuple[Network, ...]) -> Term:
    """Rules that name one of these networks itself, as their source or destination."""
    return Term(
        lambda rule, _: rule.source in networks or rule.destination in networks,
        Q(source__in=networks) | Q(destination__in=networks),
    )


def _unset(name: str) -> Term:
    return Term(lambda rule, _: getattr(rule, name) is None, Q(**{name: None}))


def _service(services: Iterable[Service]) -> Term:
    """What “tcp 22” finds, for the port of each of the services; “icmp” for one without a port."""
    return _any_of(*map(_one_service, services))


def _one_service(service: Service) -> Term:
    protocol = _is("protocol", service.protocol)
    return protocol if service.port is None else _all_of(protocol, _ports(service.port, service.port))


def _all_of(*terms: Term) -> Term:
    return Term(
        lambda rule, place: all(term.holds(rule, place) for term in terms),
        reduce(and_, (term.condition for term in terms), Q()),
    )


_ANYWHERE = _any_of(_unset("source"), _named(EVERYTHING))
_WORDS = {
    **{name: _is("protocol", name) for name in PROTOCOLS},
    "everything": _is("protocol", "all"),
    "accept": _is("action", "accept"),
    "drop": _is("action", "drop"),
    "in": _is("direction", "in"),
    "inbound": _is("direction", "in"),
    "out": _is("direction", "out"),
    "outbound": _is("direction", "out"),
    "on": _is("enabled", True),
    "off": _is("enabled", False),
    "anywhere": _ANYWHERE,
}
"""Words that pages say of a rule."""
_OR_TEXT = {
    **dict.fromkeys(("accepted", "allow", "allowed", "permit"), _is("action", "accept")),
    **dict.fromkeys(("dropped", "deny", "denied", "block", "blocked", "reject"), _is("action", "drop")),
    **dict.fromkeys(("incoming", "ingress"), _is("direction", "in")),
    **dict.fromkeys(("outgoing", "egress"), _is("direction", "out")),
    "enabled": _is("enabled", True),
    "disabled": _is("enabled", False),
    "internet": _ANYWHERE,
    "any": _any_of(_unset("source"), _every_port()),
    **({"ping": _is("protocol", "icmp"), "icmpv6": _is("protocol", "icmp")} if "icmp" in PROTOCOLS else {}),
}
"""Words that people have for the same; a description may mean something else by them."""
# Names of fields, before what stands in them: “source: 10.0.2.0/24”, “protocol tcp”, “--dport 22”.
_FIELD = re.compile(
    r"-{0,2}\b(?:source|src|destination|dest|dst|address|protocol|proto|direction|action|[sd]?ports?|dpt|p|s|d)"
    r"(?P<sign>\s*[:=]\s*)?(?(sign)|\s+)(?=\S)",
    re.IGNORECASE,
)
_NOISE = {"", "to", "from", "port", "ports", "-", "–"}
"""Words of the pages' sentences that say nothing by themselves."""


def _port_list(text: str) -> Term | None:
    """Any of “22,80-90”; None where that is no list of ports."""
    spans = []
    for part in text.split(","):
        start, dash, end = re.sub(r"\s*(?:-|:|\.\.|\bto\b)\s*", "-", part.strip()).partition("-")
        first = whole_number(start, MAX_PORT)
        last = whole_number(end, MAX_PORT) if dash else first
        if first is None or last is None:
            return None
        spans.append(_ports(min(first, last), max(first, last)))
    return _any_of(*spans)


def _protocol_and_ports(protocol: str, ports: str) -> Term | None:
    listed = _port_list(ports)
    return None if listed is None else _all_of(_is("protocol", protocol), listed)


def _range_of_addresses(first: str, last: str) -> Term | None:
    """“10.0.2.0-10.0.2.255”: rules that cover some of it, by the networks that it is made of."""
    try:
        (version, low), (other, high) = parse_address(first), parse_address(last)
    except Refused:
        return None
    if version != other or low > high:
        return None
    bits, networks = BITS[version], list[Network]()
    while low <= high and len(networks) < MOST_TERMS:
        # The widest network that begins here and does not end beyond.
        size = min((low & -low).bit_length() - 1 if low else bits, (high - low + 1).bit_length() - 1)
        networks.append(Network(version, low, bits - size))
        low += 1 << size
    return _any_of(*map(_network, networks))


def _beginning(text: str) -> Term | None:
    """“10.0.2.”, the beginning of an address."""
    parts = text.rstrip(".*").split(".")
    found = plain_network(f"{'.'.join(parts + ['0'] * (4 - len(parts)))}/{8 * len(parts)}")
    return _network(found) if found else None


def _socket(address: str, port: str) -> Term | None:
    """“10.0.2.15:22”"""
    found, ports = _address(address), _port_list(port)
    return None if found is None or ports is None else _all_of(found, ports)


def _address(text: str) -> Term | None:
    """An address or a network; of what is nearly one, what was meant: “10.0.2.15/24” is a VM's address."""
    for _ in range(2):
        try:
            return _network(parse_network(text))
        except Refused as refused:
            if not refused.problem.suggestions:
                return None
            text = refused.problem.suggestions[0]
    return None


# The wide shapes of plain signs, which keyboards of East Asia type.
_WIDE = {sign: sign - 0xFEE0 for sign in range(0xFF01, 0xFF5F)}
# One port or a range of them: 22, 80-90, 80–90, 8000:8010, “80 to 90”.
_ONE = r"\d{1,5}(?:\s*(?:-|:|\.\.)\s*\d{1,5}|\s+to\s+\d{1,5})?"
_MANY = rf"{_ONE}(?:\s*,\s*{_ONE})*"
_ENDING = r"(?=[\s,;]|\Z)"
_SHAPES: tuple[tuple[str, Callable[..., Term | None]], ...] = (
    (r'"([^"]+)"', _in_description),
    (r"(?:any|every)\s+ports?|all\s+ports|\(?all of them\)?", lambda: _every_port()),
    (r"any\s+(?:ipv4\s+address|ipv4)", lambda: _named(EVERYTHING[:1])),
    (r"any\s+(?:ipv6\s+address|ipv6)", lambda: _named(EVERYTHING[1:])),
    (r"any\s+(?:address|source)", lambda: _ANYWHERE),
    (r"\(?switched\s+(on|off)\)?", lambda word: _WORDS[word]),
    (r"(?:rule\s*#?|#)\s*(\d{1,6})", lambda number: _at(int(number))),
    (rf"({'|'.join(_WITH_PORTS)})[/:]({_MANY})", _protocol_and_ports),
    (rf"({_MANY})/({'|'.join(_WITH_PORTS)})", lambda ports, protocol: _protocol_and_ports(protocol, ports)),
    (rf"(?:ports?\s*:?\s*)?({_MANY})", _port_list),
    (rf"\(({_MANY})\)", _port_list),
    (r"([\d.]+|[\da-f:]+)\s*-\s*([\d.]+|[\da-f:]+)", _range_of_addresses),
    (r"(\d{1,3}(?:\.\d{1,3}){1,2}\.\*?)", _beginning),
    (rf"\[?([\d.]+|(?<=\[)[\da-f:.]+(?=\]))\]?:({_ONE})", _socket),
)
_COMPILED = [(re.compile(rf"(?:{shape}){_ENDING}", re.ASCII | re.IGNORECASE), make) for shape, make in _SHAPES]


def _shaped(text: str, at: int) -> tuple[Term | None, int]:
    """The term of several words or of a shape that stands here, and where it ends; None where none does."""
    for pattern, make in _COMPILED:
        match = pattern.match(text.translate(_WIDE), at)
        term = make(*(group.lower() for group in match.groups())) if match else None
        if match and term:
            return term, match.end()
    return None, at


def _begun(text: str) -> Term | None:
    """“10.0.2”, “2001:db8”: an address, as far as it was typed."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){2}", text, re.ASCII):
        return _beginning(text)
    match = re.fullmatch(r"((?:[0-9a-f]{1,4}:){1,6}[0-9a-f]{1,4}):?|([0-9a-f]{1,4}):", text)
    begun = (match[1] or match[2]) if match else ""
    found = plain_network(f"{begun}::/{16 * len(begun.split(':'))}") if begun else None
    return _network(found) if found else None


def _known(word: str, plain: str) -> Term | None:
    """What pages say, or an address."""
    return _WORDS[plain] if plain in _WORDS else _address(word)


def _word(word: str, text: Callable[[str], Term]) -> Term | None:
    """The term of a single word, None for one that says nothing. One of several between commas has to hold."""
    parts = [part for part in word.split(",") if part]
    if len(parts) > 1:
        terms = [term for part in parts[:MOST_TERMS] if (term := _word(part, text))]
        return _any_of(*terms) if terms else None
    # Quotes and brackets of the sentence around it are not looked for.
    bare = word.strip("()“”‘’\"',;.")
    plain = bare.translate(_WIDE).lower()
    if plain.rstrip(":=") in _NOISE:
        return None
    if known := _known(word.translate(_WIDE), plain):
        return known
    meanings = [text(bare)]
    if begun := _begun(plain):
        meanings.append(begun)
    if plain in _OR_TEXT:
        meanings.append(_OR_TEXT[plain])
    services = called(plain)
    if services:
        meanings.append(_service(services))
    else:
        named = service_ports(plain).items()
        meanings += [_all_of(_is("protocol", protocol), _ports(port, port)) for protocol, port in named]
    return _any_of(*meanings)


def _after_field(query: str, at: int) -> int:
    """Where what is looked for begins, behind the name of its field; `at` where no such name stands before it."""
    field = _FIELD.match(query, at)
    if not field:
        return at
    word = query[field.end() :].split(maxsplit=1)[0]
    said = field["sign"] or _shaped(query, field.end())[0] or _known(word, word.lower().strip("()“”\"',;."))
    return field.end() if said else at


def parse(query: str, text: Callable[[str], Term] = _in_description) -> list[Term]:
    """What was typed as terms. Words that pages have of a rule mean that; anything else is a `text` to look for."""
    # As pages write ranges, without what is not seen.
    query = re.sub(r"[–—−‐‑]", "-", mended(query[:2000]))
    query, at, terms = re.sub(r"\s+(?:or|oder)\s+", ",", query, flags=re.IGNORECASE), 0, list[Term]()
    while at < len(query) and len(terms) < MOST_TERMS:
        if query[at].isspace() or query[at] in ",;":
            at += 1
            continue
        at = _after_field(query, at)
        term, end = _shaped(query, at)
        if term is None:
            end = at + len(query[at:].split(maxsplit=1)[0])
            term = _word(query[at:end], text)
        at = end
        if term is not None:
            terms.append(term)
    return terms


def finder(query: str) -> Callable[[Rule | RuleValue, int], bool]:
    """Tells whether the query finds a rule that stands at a place."""
    wanted = parse(query)
    return lambda rule, place: all(term.holds(rule, place) for term in wanted)


def matching(rules: Iterable[Some], query: str) -> list[Some]:
    """The rules that the query finds, in order."""
    finds = finder(query)
    return [rule for place, rule in enumerate(rules, 1) if finds(rule, place)]


def as_condition(query: str, text: Callable[[str], Term] = _in_description) -> Q:
    """The same as a condition of the database."""
    return reduce(and_, (term.condition for term in parse(query, text)), Q())


def _in_description_or_group(word: str) -> Term:
    description = _in_description(word)
    return Term(description.holds, description.condition | Q(group__name__icontains=word))


def of_project(project: Project, query: str) -> QuerySet[Rule]:
    """The rules of all groups of a project that the query finds; there, the name of the group stands beside each."""
    rows = Rule.objects.filter(group__project=project, group__deleted_at=None).select_related("group")
    return rows.filter(as_condition(query, _in_description_or_group))
