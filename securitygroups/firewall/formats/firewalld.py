"""Zones of firewalld: their XML files, and what firewall-cmd --list-all and --list-all-zones say."""

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.chains import Line, too_many
from securitygroups.firewall.formats.firewalld_rules import Attributes, Zone, ZoneRule, zone_group
from securitygroups.firewall.formats.foreign import MOST_RULES
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, System, Taken, Upload
from securitygroups.firewall.formats.strict import bad

NAME = "firewalld"
MOST_ZONES = 100
"""Each is held against all others: what comes to their sources comes to none else."""
MOST_TAGS = 8 * hosts.MOST_LINES
_ZONE = re.compile(r"([\w.-]{1,40})(?: \([\w, ]+\))?\s*$")
_KEY = re.compile(r"\s+([a-z][a-z- ]+):\s*(.*)$")
_WORD = re.compile(r"([A-Za-z-]+)(?:=(?:\"([^\"]*)\"|'([^']*)'|(\S+)))?")
_COMMANDS = re.compile(r"^[ \t]*(?:[#$] )?(?:sudo )?firewall-cmd [^\n]{0,200}--add-", re.MULTILINE)
_HEAD = re.compile(
    r"^ *[\w.-]{1,40}(?: \([\w, ]+\))?[ \t]*\r?\n\s+(?:target|interfaces|icmp-block-inversion|ingress-priority):",
    re.MULTILINE,
)
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
    "ports": "port",
    "source-ports": "source-port",
    "forward-ports": "forward-port",
    "services": "service",
    "protocols": "protocol",
    "icmp-blocks": "icmp-block",
    "interfaces": "interface",
    "sources": "source",
}
_OUT = (
    "Zones are about what comes in, and firewalld lets out all that no policy of its stops. "
    "Here nothing goes out without a rule: add an accept, Out, IP."
)
_FLAGS = {"limit": "limit", "NOT": "invert", "not": "invert"}
_INACTIVE = "The zone has no source and no network card: nothing comes to it."


def looks(upload: Upload) -> bool:
    if _is_xml(upload.text):
        return True
    head = upload.text[:20_000]
    return bool(_HEAD.search(head) or _COMMANDS.search(head))


def _is_xml(text: str) -> bool:
    """Whether it is an XML file whose first element is a zone."""
    text = text[:8000].lstrip()
    while text.startswith(("<?", "<!--")):
        _, _, text = text.partition("?>" if text.startswith("<?") else "-->")
        text = text.lstrip()
    return text.startswith(("<zone>", "<zone ", "<zone/", "<zone\n"))


def read(upload: Upload) -> Reading:
    """Raises BadDocument."""
    zones = _zones(upload)
    active = [zone for zone in zones if zone.is_active] or zones
    notes = [Note(zone.line.where, zone.name, Taken.NOT_TAKEN, _INACTIVE) for zone in zones if zone not in active]
    # Packets come to a zone by their source first, by their network card else.
    groups, rules = list[ReadGroup](), 0
    for zone in sorted(active, key=lambda zone: not zone.sources):
        groups.append(zone_group(zone, active))
        rules += len(groups[-1].rules)
        if rules > MOST_RULES:
            raise bad("", f"The file has more than {MOST_RULES:,} rules: bring some zones at a time.")
    return Reading(NAME, tuple(groups), (Note("the file", "what goes out", Taken.NOT_TAKEN, _OUT), *notes))


def _zones(upload: Upload) -> list[Zone]:
    """All of the file, one at least. Raises BadDocument."""
    if not _is_xml(upload.text) and not _HEAD.search(upload.text):
        raise bad(
            "",
            "These are commands of firewalld. Run them, then firewall-cmd --list-all-zones, and bring what that says.",
        )
    zones = [_from_xml(upload)] if _is_xml(upload.text) else list(_from_text(upload.text))
    if not zones:
        raise bad(
            "",
            "No zone of firewalld was found: bring what firewall-cmd --list-all says, or a file of /etc/firewalld/zones.",
        )
    if len(zones) > MOST_ZONES:
        raise bad(
            "", f"The text has more than {MOST_ZONES} zones: bring those that firewall-cmd --get-active-zones names."
        )
    return zones


def _root(text: str) -> ElementTree.Element:
    """Raises BadDocument."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise bad("", "The file declares a document type, which a zone of firewalld has not: take that out.")
    if text.count("<") > MOST_TAGS:
        raise bad("", f"The zone has more than {hosts.MOST_LINES:,} elements.")
    try:
        # Its text, whose encoding is known; without a document type it has no entities of its own.
        root = ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise bad("", f"This is not XML ({str(error)[:100]}).") from None
    if len(root) > hosts.MOST_LINES:
        raise bad("", f"The zone has more than {hosts.MOST_LINES:,} elements.")
    return root


def _from_xml(upload: Upload) -> Zone:
    root = _root(upload.text)
    name = re.sub(r"\.xml(\.old)?$", "", upload.file_name.rpartition("/")[2])
    zone = Zone(
        name if name != upload.file_name or _ZONE.match(name) else "",
        Line(0, "zone", "<zone>"),
        root.get("target", "default"),
    )
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


def _rule(line: Line, elements: tuple[tuple[str, Attributes], ...], attributes: Attributes) -> ZoneRule:
    try:
        priority = int(attributes.get("priority", "0")[:6])
    except ValueError:
        priority = 0
    return ZoneRule(line, elements, priority, attributes.get("family", ""))


def _from_text(text: str) -> Iterator[Zone]:
    zone: Zone | None = None
    under = ""
    for order, raw in enumerate(_lines(text), 1):
        line = Line(order, f"line {order}", raw.strip())
        if not line.text:
            continue
        if not raw[0].isspace():
            found = _ZONE.match(raw[:200])
            zone = Zone(found[1], line) if found else None
            if zone:
                yield zone
        elif zone:
            under = _inside(zone, line, raw, under)


def _lines(text: str) -> list[str]:
    found = _HEAD.search(text)
    # Pasted out of a page or a terminal it may be indented, and have a command before it.
    shift = len(found[0]) - len(found[0].lstrip(" ")) if found else 0
    lines = [line[shift:] if not line[:shift].strip() else line for line in hosts.lines_of(text)]
    if len(lines) > hosts.MOST_LINES:
        raise bad("", f"The text has more than {hosts.MOST_LINES:,} lines: split it.")
    return lines


def _inside(zone: Zone, line: Line, raw: str, under: str) -> str:
    """A line of a zone; the key that it is, or stands under."""
    if line.text.startswith("rule "):
        zone.rules.append(_rich(line))
    elif found := _KEY.match(raw):
        under = found[1].strip()
        _key(zone, line, under, found[2].split())
    else:
        zone.add(line, "forward-port" if under == "forward-ports" else "", {})
    return under


def _key(zone: Zone, line: Line, key: str, words: Sequence[str]) -> None:
    if len(words) > MOST_RULES and key != "sources":
        raise too_many(line)
    if key == "target" and words:
        zone.target = words[0]
    elif key in ("icmp-block-inversion", "masquerade", "forward") and words == ["yes"]:
        zone.add(line, key, {})
    elif key in _LISTS:
        for word in words:
            port, _, protocol = word.partition("/")
            own = {"port": port, "port-protocol": protocol} if key.endswith("ports") else _source(word)
            zone.add(line, _LISTS[key], {"name": word, "value": word, **own})


def _source(word: str) -> dict[str, str]:
    return {"ipset": word[6:]} if word.startswith("ipset:") else {"address": word}


def _rich(line: Line) -> ZoneRule:
    """A rich rule as firewall-cmd writes it."""
    own: dict[str, str] = {}
    elements: list[tuple[str, dict[str, str]]] = []
    # Lists of sources and ports may be longer.
    if len(line.text) > hosts.MOST_LETTERS:
        raise bad(line.where, f"It is longer than {hosts.MOST_LETTERS:,} letters, which no rich rule is.")
    for found in _WORD.finditer(line.text[5:]):
        name = found[1]
        value = next((one for one in found.groups()[1:] if one is not None), None)
        if value is not None:
            (elements[-1][1] if elements else own)[name] = value
        elif elements and name in _FLAGS:
            elements[-1][1][_FLAGS[name]] = "yes"
        else:
            elements.append((name, {}))
    return _rule(line, tuple((name, _as_xml(name, one)) for name, one in elements), own)


def _as_xml(name: str, attributes: dict[str, str]) -> dict[str, str]:
    return attributes | {"port-protocol": attributes["protocol"]} if "protocol" in attributes else attributes


FIREWALLD = System(NAME, looks, read)
