"""Zones of firewalld: their XML files, and what firewall-cmd --list-all and --list-all-zones say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.chains import Line
from securitygroups.firewall.formats.entries import Entry, group
from securitygroups.firewall.formats.firewalld_services import BY_ITSELF, SERVICES
from securitygroups.firewall.formats.foreign import BOTH, MOST_RULES, Foreign
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, System, Taken, Upload
from securitygroups.firewall.formats.spans import ANY_ADDRESS, Spans, both, networks_of, of_networks, spans, without
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import Action, Direction

NAME = "firewalld"
_ZONE = re.compile(r"([\w.-]{1,40})(?: \([\w, ]+\))?\s*$")
_KEY = re.compile(r"\s+([a-z][a-z- ]+):\s*(.*)$")
_WORD = re.compile(r"([A-Za-z-]+)(?:=(?:\"([^\"]*)\"|'([^']*)'|(\S+)))?")
_TARGET = re.compile(r"^\s+(?:target: \S+|services: )", re.MULTILINE)
_ELEMENTS = frozenset(
    [
        "source",
        "destination",
        "service",
        "port",
        "protocol",
        "icmp-type",
        "icmp-block",
        "masquerade",
        "forward-port",
        "source-port",
        "log",
        "nflog",
        "audit",
        "accept",
        "reject",
        "drop",
        "mark",
        "limit",
        "tcp-mss-clamp",
    ]
)
_LISTS = {
    "services": "service",
    "protocols": "protocol",
    "icmp-blocks": "icmp-block",
    "interfaces": "interface",
    "sources": "source",
}
_SHIPPED = "The service is taken as firewalld ships it."
_FORWARDS = "It translates or forwards packets; the rules here are about the machine's own."
_OUT = (
    "Zones are about what comes in, and firewalld lets out all that no policy of its stops. "
    "Here nothing goes out without a rule: add an accept, Out, IP."
)
_INACTIVE = "The zone has no source and no network card: nothing comes to it."

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A line of a zone that packets are asked by: its elements, and where it stands among the others."""

    line: Line
    elements: tuple[tuple[str, Attributes], ...]
    priority: int = 0
    family: str = ""

    @property
    def drops(self) -> bool:
        return any(name in ("drop", "reject", "icmp-block") for name, _ in self.elements)


@dataclass(slots=True)
class _Zone:
    name: str
    line: Line
    target: str = "default"
    inversion: bool = False
    sources: list[tuple[Line, Attributes]] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    """Of lines that are no rules."""

    def add(self, line: Line, name: str, attributes: Attributes) -> None:
        """One element of a zone."""
        if name == "source":
            self.sources.append((line, attributes))
        elif name == "interface":
            self.interfaces.append(attributes.get("name", ""))
            self.entries.append(Entry(line, (), Taken.EXACT, "It is taken for the VM's network card."))
        elif name in ("service", "port", "protocol", "source-port"):
            self.rules.append(_Rule(line, ((name, attributes), ("accept", {}))))
        elif name == "icmp-block":
            self.rules.append(_Rule(line, ((name, attributes),)))
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


def looks(upload: Upload) -> bool:
    if _is_xml(upload.text):
        return True
    head = upload.text[:20_000]
    return bool(
        _TARGET.search(head)
        and re.search(r"^\s+(?:services|rich rules):", head, re.MULTILINE)
        and _ZONE.match(_first(head))
    )


def _is_xml(text: str) -> bool:
    """Whether it is an XML file whose first element is a zone."""
    text = text[:8000].lstrip()
    while text.startswith(("<?", "<!--")):
        _, _, text = text.partition("?>" if text.startswith("<?") else "-->")
        text = text.lstrip()
    return text.startswith(("<zone>", "<zone ", "<zone/", "<zone\n"))


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def read(upload: Upload) -> Reading:
    """Raises BadDocument."""
    zones = [_from_xml(upload)] if _is_xml(upload.text) else list(_from_text(upload.text))
    if not zones:
        raise bad(
            "",
            "No zone of firewalld was found: bring what firewall-cmd --list-all says, or a file of /etc/firewalld/zones.",
        )
    active = [zone for zone in zones if zone.sources or zone.interfaces] or zones
    notes = [Note(zone.line.where, zone.name, Taken.NOT_TAKEN, _INACTIVE) for zone in zones if zone not in active]
    zones = active
    everything = {zone.name: _addresses(zone.sources) for zone in zones}
    # Packets come to a zone by their source first, by their network card else.
    ordered = sorted(zones, key=lambda zone: not zone.sources)
    groups = [_group(zone, [some for name, some in everything.items() if name != zone.name]) for zone in ordered]
    return Reading(NAME, tuple(groups), (Note("the file", "what goes out", Taken.NOT_TAKEN, _OUT), *notes))


def _from_xml(upload: Upload) -> _Zone:
    if "<!DOCTYPE" in upload.text or "<!ENTITY" in upload.text:
        raise bad("", "The file declares a document type, which a zone of firewalld has not: take that out.")
    try:
        # Its text, whose encoding is known; without a document type it has no entities of its own.
        root = ElementTree.fromstring(upload.text)  # noqa: S314
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise bad("", f"This is not XML ({str(error)[:100]}).") from None
    name = re.sub(r"\.xml(\.old)?$", "", upload.file_name.rpartition("/")[2])
    zone = _Zone(
        name if name != upload.file_name or _ZONE.match(name) else "",
        Line(0, "zone", "<zone>"),
        root.get("target", "default"),
    )
    if len(root) > hosts.MOST_LINES:
        raise bad("", f"The zone has more than {hosts.MOST_LINES:,} elements.")
    counts: dict[str, int] = {}
    for order, child in enumerate(root, 1):
        tag = str(child.tag)
        counts[tag] = counts.get(tag, 0) + 1
        line = Line(order, f"{tag}[{counts[tag]}]", _shown(child))
        if tag == "rule":
            elements = tuple((str(one.tag), dict(one.attrib) | _inner(one)) for one in child)
            zone.rules.append(_rule(line, elements, child.attrib))
        else:
            zone.add(
                line,
                tag,
                dict(child.attrib) | ({"port": child.get("port", ""), "port-protocol": child.get("protocol", "")}),
            )
    return zone


def _inner(element: ElementTree.Element) -> dict[str, str]:
    return {"limit": "yes"} if any(str(one.tag) == "limit" for one in element) else {}


def _shown(element: ElementTree.Element, depth: int = 0) -> str:
    own = " ".join([str(element.tag), *(f'{key}="{value}"' for key, value in element.attrib.items())])
    inner = [] if depth > 2 else [_shown(one, depth + 1) for one in list(element)[:12]]
    return f"<{own}>{' '.join(inner)}"[:400]


def _rule(line: Line, elements: tuple[tuple[str, Attributes], ...], attributes: Attributes) -> _Rule:
    try:
        priority = int(attributes.get("priority", "0")[:6])
    except ValueError:
        priority = 0
    return _Rule(line, elements, priority, attributes.get("family", ""))


def _from_text(text: str) -> Iterator[_Zone]:
    lines = text.splitlines()
    if len(lines) > hosts.MOST_LINES:
        raise bad("", f"The text has more than {hosts.MOST_LINES:,} lines: split it.")
    zone: _Zone | None = None
    under = ""
    for order, raw in enumerate(lines, 1):
        line = Line(order, f"line {order}", raw.strip())
        if not line.text:
            continue
        if not raw[0].isspace():
            if zone:
                yield zone
            found = _ZONE.match(raw[:200])
            zone = _Zone(found[1], line) if found else None
        elif zone and line.text.startswith("rule "):
            zone.rules.append(_rich(line))
        elif zone and (found := _KEY.match(raw[:2000])):
            under = found[1].strip()
            _key(zone, line, under, found[2].split())
        elif zone:
            zone.add(line, "forward-port" if under == "forward-ports" else "", {})
    if zone:
        yield zone


def _key(zone: _Zone, line: Line, key: str, words: Sequence[str]) -> None:
    if key == "target" and words:
        zone.target = words[0]
    elif key == "icmp-block-inversion" and words == ["yes"]:
        zone.add(line, key, {})
    elif key in ("ports", "source-ports"):
        for word in words:
            port, _, protocol = word.partition("/")
            zone.add(line, key[:-1], {"port": port, "port-protocol": protocol})
    elif key in _LISTS:
        for word in words:
            zone.add(line, _LISTS[key], {"name": word, "value": word, **_source(word)})
    elif (key in ("masquerade", "forward") and words == ["yes"]) or (key == "forward-ports" and words):
        zone.add(line, "masquerade", {})


def _source(word: str) -> dict[str, str]:
    return {"ipset": word[6:]} if word.startswith("ipset:") else {"address": word}


def _rich(line: Line) -> _Rule:
    """A rich rule as firewall-cmd writes it."""
    own: dict[str, str] = {}
    elements: list[tuple[str, dict[str, str]]] = []
    for found in _WORD.finditer(line.text[5:4000]):
        name = found[1]
        value = next((one for one in found.groups()[1:] if one is not None), None)
        if value is not None:
            (elements[-1][1] if elements else own)[name] = value
        elif name == "limit" and elements:
            elements[-1][1]["limit"] = "yes"
        elif name in ("NOT", "not") and elements:
            elements[-1][1]["invert"] = "yes"
        else:
            elements.append((name, {}))
    return _rule(line, tuple((name, _as_xml(name, one)) for name, one in elements), own)


def _as_xml(name: str, attributes: dict[str, str]) -> dict[str, str]:
    return attributes | {"port-protocol": attributes["protocol"]} if "protocol" in attributes else attributes


def _addresses(sources: Sequence[tuple[Line, Attributes]]) -> Spans | None:
    """All that the sources are, None where one of them is not known."""
    found = [hosts.addresses([one["address"]]) if one.get("address") else None for _, one in sources]
    return None if None in found else spans(ends for each in found if each for ends in each)


def _group(zone: _Zone, others: Sequence[Spans | None]) -> ReadGroup:
    # A drop and an accept of the same priority: the drop comes first, whatever stands first in the file.
    ordered = sorted(zone.rules, key=lambda rule: (rule.priority, not rule.drops))
    own = _addresses(zone.sources)
    within = None if not zone.sources or zone.interfaces else own
    elsewhere = list(_elsewhere(zone, others))
    entries = [
        *elsewhere,
        *(one for one in zone.entries if one.rules),
        *(one for rule in ordered for one in _entries(rule, zone)),
    ]
    entries += _ends(zone)
    if zone.sources and not zone.interfaces:
        unknown = ("a source that is not in the file",) if own is None else ()
        entries = [replace(one, rules=tuple(_within(rule, within, unknown) for rule in one.rules)) for one in entries]
        entries += [
            Entry(line, (), Taken.EXACT, "The rules of the zone are about these sources.") for line, _ in zone.sources
        ]
        if own is not None:
            last = Foreign("the zone", "its sources", Action.DROP, Direction.IN, sources=networks_of(own, MOST_RULES))
            entries.append(
                Entry(
                    replace(zone.line, order=10**9),
                    (last,),
                    Taken.EXACT,
                    "All else from the sources of the zone is dropped.",
                )
            )
    else:
        entries += [
            Entry(line, (), Taken.EXACT, "Its network card brings packets from anywhere.") for line, _ in zone.sources
        ]
    return group(zone.name, [*entries, *(one for one in zone.entries if not one.rules)])


def _within(rule: Foreign, own: Spans | None, unknown: tuple[str, ...]) -> Foreign:
    if own is None or rule.text == "sources of other zones":
        return replace(rule, beyond=(*rule.beyond, *unknown))
    some = own if rule.sources is None else _both(rule, own)
    return replace(rule, sources=networks_of(some, MOST_RULES))


def _both(rule: Foreign, own: Spans) -> Spans:
    return both(of_networks(rule.sources or ()), own)


def _elsewhere(zone: _Zone, others: Sequence[Spans | None]) -> Iterator[Entry]:
    """A drop of what comes to another zone of the file by its source."""
    if not others or (zone.sources and not zone.interfaces):
        return
    known = spans(ends for some in others if some for ends in some)
    beyond = ("a source of another zone that is not in the file",) if None in others else ()
    if known or beyond:
        sources = None if beyond else networks_of(known, MOST_RULES)
        drop = Foreign(
            zone.line.where, "sources of other zones", Action.DROP, Direction.IN, sources=sources, beyond=beyond
        )
        yield Entry(
            zone.line, (drop,), Taken.EXACT, "Packets of other zones' sources come to those, and not to this one."
        )


def _ends(zone: _Zone) -> Iterator[Entry]:
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
            for family, number in ((4, 1), (6, 58))
        ]
        yield Entry(
            line, tuple(icmp), Taken.EXACT, "The default target lets ICMP in, and drops what else no rule matches."
        )
    else:
        yield Entry(line, (), Taken.EXACT, "What no rule matches is dropped here too.")


def _entries(rule: _Rule, zone: _Zone) -> Iterator[Entry]:
    """What one rule, or one element of the zone, stands for."""
    line, names = rule.line, [name for name, _ in rule.elements]
    action = next((name for name in names if name in ("accept", "drop", "reject", "mark")), "")
    if {"masquerade", "forward-port", "tcp-mss-clamp"} & {*names}:
        yield Entry(line, (), Taken.NOT_TAKEN, _FORWARDS)
        return
    if action == "mark" or (not action and "icmp-block" not in names):
        yield Entry(line, (), Taken.EXACT, "It decides nothing: it logs or marks.")
        return
    accepts = action == "accept" or ("icmp-block" in names and zone.inversion and not action)
    one = Foreign(line.where, line.text, Action.ACCEPT if accepts else Action.DROP, Direction.IN,
                  families={"ipv4": frozenset({4}), "ipv6": frozenset({6})}.get(rule.family, BOTH))  # fmt: skip
    parts, rests = [one], ""
    for name, attributes in rule.elements:
        if name == "service" and attributes.get("name") in BY_ITSELF and accepts:
            yield Entry(line, (), Taken.EXACT, "DHCP passes here by itself.")
            return
        rests = _SHIPPED if name == "service" else rests
        parts = [found for part in parts for found in _asked(part, name, attributes)]
    yield Entry(line, tuple(replace(part, rests_on=rests) for part in parts))


def _asked(one: Foreign, name: str, attributes: Attributes) -> list[Foreign]:
    """The rule with what one of its elements asks for."""
    limited = ["a rate limit"] if attributes.get("limit") and name in ("accept", "drop", "reject") else []
    if name in ("source", "destination"):
        return [_side(one, "sources" if name == "source" else "destinations", attributes)]
    if name == "service":
        known = SERVICES.get(attributes.get("name", ""))
        if known is None:
            return [_beyond(one, f"the service {attributes.get('name', '')}, whose ports are not known here")]
        return [_port(one, protocol, port) for protocol, port in known]
    if name == "port":
        return [
            _port(one, attributes.get("port-protocol") or attributes.get("protocol", ""), attributes.get("port", ""))
        ]
    if name == "protocol":
        return [_port(one, attributes.get("value", ""), "")]
    if name in ("icmp-type", "icmp-block"):
        return [_beyond(replace(one, protocol=number, families=frozenset({family})), f"ICMP type {attributes.get('name', '')}")
                for family, number in ((4, 1), (6, 58)) if family in one.families]  # fmt: skip
    if name == "source-port":
        return [
            _beyond(_port(one, attributes.get("port-protocol", ""), ""), f"source port {attributes.get('port', '')}")
        ]
    if name in ("accept", "drop", "reject", "log", "nflog", "audit"):
        return [_beyond(one, *limited)]
    return [_beyond(one, f"“{name}”")]


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
    networks = networks_of(some, MOST_RULES)
    return replace(one, sources=networks) if column == "sources" else replace(one, destinations=networks)


def _port(one: Foreign, protocol: str, text: str) -> Foreign:
    number = hosts.protocol(protocol)
    if number is None:
        return _beyond(one, f"the protocol {protocol[:30]}")
    one = replace(one, protocol=number)
    if not text:
        return one
    found = hosts.port_list(text, "-:")
    return (
        _beyond(one, f"port {text[:30]}")
        if found is None or number not in hosts.WITH_PORTS
        else replace(one, ports=found)
    )


FIREWALLD = System(NAME, looks, read)
