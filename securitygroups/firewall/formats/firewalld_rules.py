"""What a zone of firewalld lets in, as rules in the order in which it asks them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.cards import another
from securitygroups.firewall.formats.chains import Line, too_many
from securitygroups.firewall.formats.entries import Entry, group, within_limits
from securitygroups.firewall.formats.firewalld_services import BY_ITSELF, SERVICES
from securitygroups.firewall.formats.foreign import BOTH, MOST_RULES, At, Foreign
from securitygroups.firewall.formats.reading import ReadGroup, Taken
from securitygroups.firewall.formats.spans import ANY_ADDRESS, Spans, both, networks_of, of_networks, spans, without
from securitygroups.firewall.networks import Network
from securitygroups.firewall.protocols import ICMP, ICMPV6, Action, Direction
from securitygroups.firewall.registry import WITH_PORTS

_ICMP_FAMILY = {ICMP: 4, ICMPV6: 6}
_SHIPPED = "The service is taken as firewalld ships it."
_FORWARDS = "It translates or forwards packets; the rules here are about the machine's own."

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ZoneRule:
    """A line of a zone that packets are asked by: its elements, and where it stands among the others."""

    line: Line
    elements: tuple[tuple[str, Attributes], ...]
    priority: int = 0
    family: str = ""

    @property
    def service(self) -> str:
        return next((one.get("name", "") for name, one in self.elements if name == "service"), "")

    @property
    def drops(self) -> bool:
        return any(name in ("drop", "reject", "icmp-block") for name, _ in self.elements)


@dataclass(slots=True)
class Zone:
    name: str
    line: Line
    target: str = "default"
    inversion: bool = False
    sources: list[tuple[Line, Attributes]] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    rules: list[ZoneRule] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    """Of lines that are no rules."""
    _addresses: tuple[Spans | None] | None = None

    @property
    def is_active(self) -> bool:
        return bool(self.sources or self.interfaces)

    @property
    def of_sources(self) -> bool:
        """Whether packets come to it by their source alone."""
        return bool(self.sources and not self.interfaces)

    def addresses(self) -> Spans | None:
        """All that its sources are, None where one of them is not known. Worked out once: each other zone asks."""
        if self._addresses is None:
            found = [hosts.addresses([one["address"]]) if one.get("address") else None for _, one in self.sources]
            known = None if None in found else spans(ends for each in found if each for ends in each)
            self._addresses = (known,)
        return self._addresses[0]

    def add(self, line: Line, name: str, attributes: Attributes) -> None:
        """One element of a zone. Raises BadDocument for more than a zone has."""
        if len(self.rules) > MOST_RULES or len(self.sources) > 2 * MOST_RULES:
            raise too_many(line)
        if name == "source":
            self.sources.append((line, attributes))
        elif name == "interface":
            self.interfaces.append(attributes.get("name", ""))
            self.entries.append(_of_card(line, attributes.get("name", "")))
        elif name in ("service", "port", "protocol", "source-port"):
            self.rules.append(ZoneRule(line, ((name, attributes), ("accept", {}))))
        elif name == "icmp-block":
            self.rules.append(ZoneRule(line, ((name, attributes),)))
        elif name == "icmp-block-inversion":
            self.inversion = True
            self.entries.append(Entry(line, (), Taken.NARROWED, "ICMP of all types is dropped here, not of some."))
        elif name in ("masquerade", "forward", "forward-port"):
            self.entries.append(Entry(line, (), Taken.NOT_TAKEN, _FORWARDS))
        elif name not in ("short", "description"):
            drops = (Foreign(line.where, line.text, Action.DROP, Direction.IN),)
            self.entries.append(
                Entry(line, drops, Taken.NARROWED, "It is not understood: taken as a drop of everything.")
            )


def zone_group(zone: Zone, zones: Sequence[Zone]) -> ReadGroup:
    """The zone among all that packets come to."""
    # A drop and an accept of the same priority: the drop comes first, whatever stands first in the file.
    ordered = sorted(zone.rules, key=lambda rule: (rule.priority, not rule.drops))
    listed = chain(
        _elsewhere(zone, zones),
        (one for one in zone.entries if one.rules),
        (one for rule in ordered for one in _entries(rule, zone)),
        _ends(zone),
    )
    entries = within_limits(_of_sources(zone, listed) if zone.of_sources else listed)
    how = "Its network card brings packets from anywhere."
    if zone.of_sources:
        how = "The rules of the zone are about these sources."
    entries += [Entry(line, (), Taken.EXACT, how) for line, _ in zone.sources]
    return group(zone.name, [*entries, *(one for one in zone.entries if not one.rules)])


def _of_sources(zone: Zone, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The same for packets of the zone's sources, and a drop of what else they send."""
    own = zone.addresses()
    unknown = ("a source that is not in the file",) if own is None else ()
    for one in entries:
        yield replace(one, rules=tuple(_within(rule, own, unknown, zone.line) for rule in one.rules))
    if own is not None:
        line = replace(zone.line, order=10**9)
        last = Foreign("the zone", "its sources", Action.DROP, Direction.IN, sources=_networks(own, line))
        yield Entry(line, (last,), Taken.EXACT, "All else from the sources of the zone is dropped.")


def _within(rule: Foreign, own: Spans | None, unknown: tuple[str, ...], line: Line) -> Foreign:
    if own is None:
        return replace(rule, beyond=(*rule.beyond, *unknown))
    some = own if rule.sources is None else both(of_networks(rule.sources), own)
    return replace(rule, sources=_networks(some, line))


def _networks(some: Spans, at: At) -> tuple[Network, ...]:
    found = networks_of(some, MOST_RULES)
    if found is None:
        raise too_many(at)
    return found


def _elsewhere(zone: Zone, zones: Sequence[Zone]) -> Iterator[Entry]:
    """A drop of what comes to another zone of the file by its source."""
    if zone.of_sources:
        return
    others = [one.addresses() for one in zones if one is not zone]
    known = spans(ends for some in others for ends in some or ())
    if not known and None not in others:
        return
    drop = Foreign(
        zone.line.where, "sources of other zones", Action.DROP, Direction.IN, sources=_networks(known, zone.line)
    )
    if None in others:
        drop = replace(drop, sources=None, beyond=("a source of another zone that is not in the file",))
    yield Entry(zone.line, (drop,), Taken.EXACT, "Packets of other zones' sources come to those, and not to this one.")


def _ends(zone: Zone) -> Iterator[Entry]:
    """What becomes of packets that no rule of the zone is about."""
    target = zone.target.strip("%").upper()
    line = Line(10**8, "target", f"target {zone.target}")
    if target == "ACCEPT":
        yield Entry(
            line,
            (Foreign(line.where, line.text, Action.ACCEPT, Direction.IN),),
            Taken.EXACT,
            "What no rule matches passes.",
        )
    elif target == "DEFAULT" and not zone.inversion:
        icmp = [
            Foreign(line.where, line.text, Action.ACCEPT, Direction.IN, number, frozenset({family}))
            for number, family in _ICMP_FAMILY.items()
        ]
        yield Entry(
            line, tuple(icmp), Taken.EXACT, "The default target lets ICMP in, and drops what else no rule matches."
        )
    else:
        yield Entry(line, (), Taken.EXACT, "What no rule matches is dropped here too.")


def _entries(rule: ZoneRule, zone: Zone) -> Iterator[Entry]:
    """What one rule, or one element of the zone, stands for."""
    line, names = rule.line, {name for name, _ in rule.elements}
    if names & {"masquerade", "forward-port", "tcp-mss-clamp"}:
        yield Entry(line, (), Taken.NOT_TAKEN, _FORWARDS)
    elif not names & {"accept", "drop", "reject", "icmp-block"}:
        yield Entry(line, (), Taken.EXACT, "It decides nothing: it logs or marks.")
    elif "accept" in names and rule.service in BY_ITSELF:
        yield Entry(line, (), Taken.EXACT, "DHCP passes here by itself.")
    else:
        # What is blocked is let in where the zone turns that round, and then says no more.
        turned = zone.inversion and not names & {"drop", "reject"}
        yield Entry(line, _parts(rule, Action.ACCEPT if "accept" in names or turned else Action.DROP))


def _parts(rule: ZoneRule, action: Action) -> tuple[Foreign, ...]:
    families = {"ipv4": frozenset({4}), "ipv6": frozenset({6})}.get(rule.family, BOTH)
    parts = [Foreign(rule.line.where, rule.line.text, action, Direction.IN, families=families)]
    for name, attributes in rule.elements:
        parts = [found for part in parts for found in _asked(part, name, attributes)]
    return tuple(parts)


def _asked(one: Foreign, name: str, attributes: Attributes) -> list[Foreign]:
    """The rule with what one of its elements asks for."""
    reader = _ELEMENTS.get(name)
    return [_beyond(one, f"“{name}”")] if reader is None else reader(one, attributes)


def _service(one: Foreign, attributes: Attributes) -> list[Foreign]:
    name = attributes.get("name", "")
    known = SERVICES.get(name)
    if known is None:
        told = f"firewall-cmd --info-service={name[:40]} tells them"
        return [_beyond(one, f"the service {name[:40]}, whose ports are not known here ({told})")]
    return [replace(_port(one, protocol, port), rests_on=_SHIPPED) for protocol, port in known]


def _own_port(one: Foreign, attributes: Attributes) -> list[Foreign]:
    return [_port(one, attributes.get("port-protocol") or attributes.get("protocol", ""), attributes.get("port", ""))]


def _of_card(line: Line, name: str) -> Entry:
    if told := another(name):
        how = f"The zone is for {name}{told}, and others may be for the VM's network card: take this list for a VM whose card stands for {name}."
        return Entry(line, (), Taken.NOT_TAKEN, how)
    return Entry(line, (), Taken.EXACT, "It is taken for the VM's network card.")


def _source_port(one: Foreign, attributes: Attributes) -> list[Foreign]:
    protocol = attributes.get("port-protocol") or attributes.get("protocol", "")
    return [_beyond(_port(one, protocol, ""), f"source port {attributes.get('port', '')}")]


def _icmp(one: Foreign, attributes: Attributes) -> list[Foreign]:
    kinds = [(family, number) for number, family in _ICMP_FAMILY.items() if family in one.families]
    asked = _beyond(one, f"ICMP type {attributes.get('name', '')}")
    return [replace(asked, protocol=number, families=frozenset({family})) for family, number in kinds]


def _action(one: Foreign, attributes: Attributes) -> list[Foreign]:
    return [_beyond(one, "a rate limit")] if attributes.get("limit") else [one]


_ELEMENTS: dict[str, Callable[[Foreign, Attributes], list[Foreign]]] = {
    "source": lambda one, attributes: [_side(one, "sources", attributes)],
    "destination": lambda one, attributes: [_side(one, "destinations", attributes)],
    "service": _service,
    "port": _own_port,
    "protocol": lambda one, attributes: [_port(one, attributes.get("value", ""), "")],
    "source-port": _source_port,
    **dict.fromkeys(("icmp-type", "icmp-block"), _icmp),
    **dict.fromkeys(("accept", "drop", "reject"), _action),
    **dict.fromkeys(("log", "nflog", "audit"), lambda one, attributes: [one]),
}


def _beyond(one: Foreign, *words: str) -> Foreign:
    return replace(one, beyond=(*one.beyond, *words))


def _side(one: Foreign, column: str, attributes: Attributes) -> Foreign:
    some = hosts.addresses([attributes.get("address", "")])
    if some is None:
        said = next(
            (f"the {key} {value}" for key, value in attributes.items() if key in ("ipset", "mac", "address")),
            "a source",
        )
        return _beyond(one, f"{said}, which is not in the file")
    if attributes.get("invert", "").lower() in ("yes", "true", "1"):
        family = hosts.families_of(some)[0][0]
        whole = ANY_ADDRESS[:1] if family == 4 else ANY_ADDRESS[1:]
        some = without(whole, some)
    networks = _networks(some, one)
    return replace(one, sources=networks) if column == "sources" else replace(one, destinations=networks)


def _port(one: Foreign, protocol: str, text: str) -> Foreign:
    number = hosts.protocol(protocol)
    if number is None:
        return _beyond(one, f"the protocol {protocol[:30]}")
    one = replace(one, protocol=number)
    if one.action is Action.ACCEPT and number in _ICMP_FAMILY:
        # Over the other family nobody sends it, and no rule here lets it in.
        one = replace(one, families=one.families & {_ICMP_FAMILY[number]} or one.families)
    if not text:
        return one
    found = hosts.port_list(text, "-:")
    return _beyond(one, f"port {text[:30]}") if found is None or number not in WITH_PORTS else replace(one, ports=found)
