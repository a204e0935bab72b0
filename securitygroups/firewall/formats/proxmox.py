"""Firewall files of Proxmox VE: of a VM, of a host, and of the cluster with its groups."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.chains import Line, too_many
from securitygroups.firewall.formats.entries import Entry, group, within_limits
from securitygroups.firewall.formats.foreign import BOTH, MOST_RULES, Foreign
from securitygroups.firewall.formats.proxmox_macros import MACROS
from securitygroups.firewall.formats.reading import Note, Reading, System, Taken, Upload
from securitygroups.firewall.formats.spans import ANY_ADDRESS, ANY_PORT, Spans, networks_of, spans, without
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.protocols import Action, Direction
from securitygroups.firewall.registry import WITH_PORTS

NAME = "Proxmox VE firewall"
MOST_LINES = 400_000
"""Most of them of sets, whose members are kept as they stand until a rule names the set."""
_SECTION = re.compile(r"\[\s*(OPTIONS|ALIASES|RULES|(?:group|ipset)\s+[^\]\s]+)\s*\]", re.IGNORECASE)
_ACTION = re.compile(r"(?:([A-Za-z0-9-]+)\()?(ACCEPT|DROP|REJECT)\)?$", re.IGNORECASE)
_OWN_RULES = re.compile(r"^\|?(IN|OUT|GROUP|FORWARD)\s", re.MULTILINE)
_DIRECTIONS = {"IN": Direction.IN, "OUT": Direction.OUT}
_NO_RULES = "The file has no rules: bring one with a section [RULES] or [group …]."
_ELSEWHERE = Note("the file", "no [IPSET blacklist]", Taken.NOT_TAKEN, (
    "If cluster.fw has a set of that name, Proxmox drops what its addresses send before any rule: put that section behind this."
))  # fmt: skip
_UNREAD = "an address of the set that is not known"
_SETTINGS = frozenset(("i", "iface", "source", "dest", "p", "proto", "dport", "sport", "icmp-type", "log", "enable"))


@dataclass(slots=True)
class _File:
    """A file by its sections; names without regard to case, as Proxmox has them."""

    options: dict[str, tuple[Line, str]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)
    rules: list[Line] = field(default_factory=list)
    groups: dict[str, list[Line]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def looks(upload: Upload) -> bool:
    text = upload.text
    found = {
        match[1].upper() for match in re.finditer(r"^[ \t]*" + _SECTION.pattern, text, re.MULTILINE | re.IGNORECASE)
    }
    return bool(
        found
        and (
            _OWN_RULES.search(text)
            or "policy_in" in text
            or "policy_out" in text
            or found >= {"OPTIONS", "RULES"}
            or _SECTION.match(text.lstrip())
        )
    )


def read(upload: Upload) -> Reading:
    """Raises BadDocument."""
    file = _parsed(upload.text)
    if not file.rules and not file.groups and not file.options.keys() & {"policy_in", "policy_out"}:
        raise bad("", _NO_RULES)
    reader = _Reader(file, _cards(file))
    groups = [group(name, [*reader.blacklist(), *reader.all(lines)]) for name, lines in file.groups.items()]
    if file.rules or file.options:
        entries = reader.all(file.rules)
        groups.insert(0, group("", [*reader.blacklist(), *reader.filters(), *entries, *reader.policies()]))
    if not any(one.notes for one in groups):
        raise bad("", _NO_RULES)
    elsewhere = [] if file.groups or "blacklist" in file.sets else [_ELSEWHERE]
    return Reading(NAME, tuple(groups), (*elsewhere, *file.notes))


def _cards(file: _File) -> frozenset[str]:
    """The network cards that rules of the file name, in groups too."""
    lines = chain(file.rules, *file.groups.values())
    return frozenset(card for line in lines for card in re.findall(r"-{1,2}(?:i|iface)\s+(\S+)", line.text))


def _parsed(text: str) -> _File:
    file, section, name = _File(), "", ""
    lines = hosts.lines_of(text)
    if len(lines) > MOST_LINES:
        raise bad(
            "", f"The file has more than {MOST_LINES:,} lines: leave out sets and groups that the rules do not name."
        )
    for order, raw in enumerate(lines, 1):
        said = raw.strip()
        if len(said) > hosts.MOST_LETTERS:
            raise bad(
                f"line {order}", f"It is longer than {hosts.MOST_LETTERS:,} letters, which no rule of Proxmox is."
            )
        line = Line(order, f"line {order}", said)
        if not said or said.startswith("#"):
            continue
        if said.startswith("["):
            found = _SECTION.match(said)
            section, _, name = found[1].partition(" ") if found else ("", "", "")
            section, name = section.lower(), name.strip()
            if section == "group":
                file.groups.setdefault(name, [])
            elif section == "ipset":
                file.sets.setdefault(name.lower(), [])
            elif not section:
                file.notes.append(Note(line.where, said, Taken.NOT_TAKEN, "This section is not known."))
            continue
        _in_section(file, line, section, name)
    # Each of these is told of, and a line of a set is not.
    if len(file.notes) + len(file.rules) + sum(map(len, file.groups.values())) > hosts.MOST_LINES:
        raise bad(
            "", f"The file has more than {hosts.MOST_LINES:,} lines of rules: leave out groups that no rule names."
        )
    return file


def _in_section(file: _File, line: Line, section: str, name: str) -> None:
    bare = line.text.partition("#")[0].strip()
    if section == "options":
        key, _, value = bare.partition(":")
        file.options[key.strip().lower()] = line, value.strip()
    elif section == "aliases":
        words = bare.split()
        if len(words) >= 2:
            file.aliases[words[0].lower()] = words[1]
    elif section == "ipset":
        file.sets[name.lower()].append(bare)
    elif section == "rules":
        file.rules.append(line)
    elif section == "group":
        file.groups[name].append(line)
    else:
        file.notes.append(Note(line.where, line.text, Taken.NOT_TAKEN, "It stands in no section that is known."))


@dataclass(frozen=True, slots=True)
class _Reader:
    file: _File
    cards: frozenset[str]
    known: dict[str, Spans | None] = field(default_factory=dict)
    """Sets that were read already."""

    def all(self, lines: list[Line]) -> list[Entry]:
        return within_limits(entry for line in lines for entry in self.entries(line))

    def entries(self, line: Line, depth: int = 0, card: str = "") -> Iterator[Entry]:
        """A line of rules; one that names a group stands for that group's lines, and those for themselves."""
        text, _, comment = line.text.partition("#")
        words = text.removeprefix("|").split()
        kind = words[0].upper() if words else ""
        settings, strange = _settings(words[2:])
        enabled = not text.startswith("|") and settings.get("enable") != "0"
        kind = kind if len(words) > 1 else ""
        if kind == "GROUP":
            yield from self._group(line, words[1], settings, enabled, depth)
        elif kind in _DIRECTIONS:
            settings = ({"i": card} if card else {}) | settings
            rules, how = self._rules(line, kind, words[1], settings, strange)
            rules = [replace(one, description=comment.strip(), enabled=enabled) for one in rules]
            yield Entry(line, tuple(rules), Taken.EXACT if rules else Taken.NOT_TAKEN, how)
        elif kind == "FORWARD":
            yield Entry(
                line, (), Taken.NOT_TAKEN, "It is about packets that a network forwards; the rules here are of a VM."
            )
        else:
            # It is no rule to Proxmox either, which passes it by with a warning.
            yield Entry(line, (), Taken.NOT_TAKEN, "It is not understood: a rule begins with IN, OUT or GROUP.")

    def _group(self, line: Line, name: str, settings: Mapping[str, str], enabled: bool, depth: int) -> Iterator[Entry]:
        known = next((lines for key, lines in self.file.groups.items() if key.lower() == name.lower()), None)
        if not enabled:
            yield Entry(line, (), Taken.EXACT, "It is switched off.")
        elif known is None or depth:
            how = f"The group {name} is not in the file, and may drop anything: put its section [group {name}] of cluster.fw behind this."
            rules = [Foreign(line.where, line.text, Action.DROP, direction) for direction in Direction]
            yield Entry(line, tuple(rules), Taken.NARROWED, how)
        else:
            yield Entry(line, (), Taken.EXACT, f"The rules of the group {name} stand here.")
            for one in known:
                for entry in self.entries(one, 1, settings.get("i", "")):
                    # They are lines of the group, whose notes stand there; here each counts for this line.
                    yield replace(entry, line=line)

    def _rules(
        self, line: Line, kind: str, action: str, settings: Mapping[str, str], strange: list[str]
    ) -> tuple[list[Foreign], str]:
        found = _ACTION.match(action)
        if found is None:
            name, _, rest = action.partition("(")
            return [], f"{rest.rstrip(')') or name} is no action: it is not understood, and Proxmox passes it by."
        one = Foreign(
            line.where, line.text, Action.ACCEPT if found[2].upper() == "ACCEPT" else Action.DROP, _DIRECTIONS[kind]
        )
        card = settings.get("i") or settings.get("iface") or ""
        alone = len(self.cards) == 1
        beyond = [*strange, *[f"the interface {card}, one of several in the file"] * bool(card and not alone)]
        for side, column in (("source", "sources"), ("dest", "destinations")):
            if side in settings:
                some = self._addresses(settings[side])
                if some is None:
                    beyond.append(f"{settings[side]}, which is not in the file")
                else:
                    one = _narrowed(one, column, some)
        one = replace(one, beyond=tuple(beyond), card=card if alone else "")
        return (_of_macro(one, found[1], settings) if found[1] else [_transport(one, settings)]), ""

    def _addresses(self, text: str) -> Spans | None:
        """Networks, ranges, names and sets with commas between; None where one is not known."""
        found: list[tuple[int, int]] = []
        for word in text.split(","):
            some = self._set(word[1:]) if word.startswith("+") else self._named(word)
            if some is None:
                return None
            found += some
        return spans(found)

    def _named(self, word: str) -> Spans | None:
        name = word.lower().removeprefix("dc/").removeprefix("guest/")
        return hosts.addresses([self.file.aliases.get(name, word)])

    def _set(self, name: str) -> Spans | None:
        name = name.lower().removeprefix("dc/").removeprefix("guest/")
        if name not in self.known:
            self.known[name] = self._read_set(self.file.sets.get(name))
        return self.known[name]

    def _read_set(self, members: list[str] | None) -> Spans | None:
        if members is None:
            return None
        by_size: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
        for member in members:
            some = self._named(member.removeprefix("!").strip())
            if some is None:
                return None
            size = sum(last - first for first, last in some)
            by_size.setdefault(size, ([], []))[member.startswith("!")].extend(some)
        found: Spans = ()
        # Of several networks that hold an address the smallest decides.
        for size in sorted(by_size, reverse=True):
            inside, outside = by_size[size]
            found = without(spans([*found, *inside]), spans(outside))
        return found

    def blacklist(self) -> list[Entry]:
        """A drop of what comes from a set of this name, which Proxmox has before every rule of each machine."""
        if "blacklist" not in self.file.sets:
            return []
        at = Line(0, "the file", "[IPSET blacklist]")
        some = self._set("blacklist")
        drop = Foreign(at.where, at.text, Action.DROP, Direction.IN)
        drop = replace(drop, beyond=(_UNREAD,)) if some is None else _narrowed(drop, "sources", some)
        return [Entry(at, (drop,), Taken.EXACT, "Proxmox drops what comes from this set before any rule.")]

    def filters(self) -> list[Entry]:
        """What the VM may send from, where the file limits that."""
        line, on = self.file.options.get("ipfilter", (None, "0"))
        cards = sorted(name for name in self.file.sets if name.startswith("ipfilter-"))
        if not cards and on != "1":
            return []
        some = self._set(cards[0]) if len(cards) == 1 else None
        at = line or Line(0, "the file", f"[IPSET {cards[0] if cards else 'ipfilter'}]")
        drop = Foreign(at.where, at.text, Action.DROP, Direction.OUT)
        if some is None:
            return [Entry(at, (replace(drop, beyond=("the addresses of the VM's network cards",)),))]
        return [Entry(at, (_narrowed(drop, "sources", without(ANY_ADDRESS, some)),))]

    def policies(self) -> list[Entry]:
        """What becomes of packets that no rule matches: what comes in is dropped, and what goes out passes, if nothing is said."""
        entries = []
        for direction, key, default in ((Direction.IN, "policy_in", "DROP"), (Direction.OUT, "policy_out", "ACCEPT")):
            line, policy = self.file.options.get(
                key, (Line(10**9 + (direction is Direction.OUT), "the file", f"no {key}"), default)
            )
            if policy.upper() == "ACCEPT":
                rule = Foreign(line.where, line.text, Action.ACCEPT, direction, rests_on="What no rule matches passes.")
                entries.append(Entry(line, (rule,)))
            else:
                entries.append(Entry(line, (), Taken.EXACT, "What no rule matches is dropped here too."))
        for key, (line, value) in self.file.options.items():
            if key not in ("policy_in", "policy_out", "ipfilter"):
                entries.append(Entry(line, (), *_option(key, value)))
        return entries


def _option(key: str, value: str) -> tuple[Taken, str]:
    if key != "enable":
        return Taken.NOT_TAKEN, "It is no rule: nothing here stands for it."
    if value == "0":
        return Taken.NOT_TAKEN, "The firewall is switched off there, and all passes: here the rules hold."
    return Taken.EXACT, "The rules hold there, as they do here."


def _settings(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """(the settings by name, what is not understood)."""
    found: dict[str, str] = {}
    strange = list[str]()
    place = 0
    while place < len(words):
        name = words[place].lstrip("-").lower()
        if words[place].startswith("-") and name in _SETTINGS and place + 1 < len(words):
            found[{"iface": "i", "proto": "p"}.get(name, name)] = words[place + 1]
            place += 2
        else:
            strange.append(f"“{words[place][:40]}”")
            place += 1
    return found, strange


def _narrowed(one: Foreign, column: str, some: Spans) -> Foreign:
    found = networks_of(some, MOST_RULES)
    if found is None:
        raise too_many(one)
    return replace(one, sources=found) if column == "sources" else replace(one, destinations=found)


def _of_macro(one: Foreign, name: str, settings: Mapping[str, str]) -> list[Foreign]:
    parts = MACROS.get(name.lower())
    if parts is None:
        return [replace(one, beyond=(*one.beyond, f"the macro {name}, which is not known here"))]
    return [_transport(one, dict(settings) | part) for part in parts]


def _transport(one: Foreign, settings: Mapping[str, str]) -> Foreign:
    """The rule with its protocol, ports and what else is asked for of those."""
    number = hosts.protocol(settings.get("p", ""))
    ports = hosts.port_list(settings.get("dport", ""), ":") if number in WITH_PORTS else None
    beyond = [*one.beyond, *_beyond(settings, number, ports)]
    families = {1: frozenset({4}), 58: frozenset({6})}.get(number or 0, BOTH)
    return replace(
        one, protocol=number, ports=None if ports == ANY_PORT else ports, beyond=tuple(beyond), families=families
    )


def _beyond(settings: Mapping[str, str], number: int | None, ports: Spans | None) -> Iterator[str]:
    if "p" in settings and number is None:
        yield f"the protocol {settings['p']}"
    kind = settings.get("icmp-type") or settings.get("dport")
    if kind and ports is None:
        yield f"ICMP type {kind}" if number in (1, 58) or "icmp-type" in settings else f"port {kind}"
    if "sport" in settings:
        yield f"source port {settings['sport']}"


PROXMOX = System(NAME, looks, read)
