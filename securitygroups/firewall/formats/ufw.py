"""What `ufw status` says: plain, verbose and numbered."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from securitygroups.firewall.formats import hosts
from securitygroups.firewall.formats.chains import Line, too_many
from securitygroups.firewall.formats.entries import Entry, group
from securitygroups.firewall.formats.foreign import MOST_RULES, Foreign
from securitygroups.firewall.formats.reading import Note, Reading, System, Taken, Upload
from securitygroups.firewall.formats.spans import ANY_PORT, Spans, networks_of
from securitygroups.firewall.formats.strict import bad
from securitygroups.firewall.networks import Network
from securitygroups.firewall.protocols import Action, Direction

NAME = "ufw status"
MOST_WIDE = 1_000
_HEAD = re.compile(r"^[ \t]*(?:Status: active|To +Action +From[ \t\r]*$)", re.MULTILINE)
_COMMANDS = re.compile(r"^[ \t]*(?:[#$] )?(?:sudo )?ufw (?:allow|deny|reject|limit|default|route) ", re.MULTILINE)
_INACTIVE = re.compile(r"^\s*Status: inactive", re.MULTILINE)
_NO_RULE = re.compile(r"Status|Logging|New profiles|Skipping|To +Action|-- +-|$")
_RULE = re.compile(r"(?:\[ *(\d+)\] +)?(\S.*?) +(ALLOW|DENY|REJECT|LIMIT)(?: +(IN|OUT|FWD))? +(\S.*)")
_DEFAULT = re.compile(r"(\w+) \((incoming|outgoing|routed)\)")
_ON = re.compile(r" on ([\w.:@+-]{1,15})")
_DIGITS = re.compile(r"[0-9,:]+")
_LIMIT = "LIMIT stops a sender that comes too often, and no rule here counts: nothing is let in. Add an accept if that will do."
_OUT_UNSAID = "What ufw does with other packets that go out is not in this; here they are dropped. Bring what ufw status verbose says."


class _NotRead(ValueError):
    """What an end of a rule asks for and no rule here can, in words."""


@dataclass(frozen=True, slots=True)
class _End:
    """One side of a rule: an address, ports with their protocols, a network card."""

    address: Spans | None = None
    ports: Spans | None = None
    protocols: tuple[int, ...] = ()
    card: str = ""
    six: bool = False


def looks(upload: Upload) -> bool:
    head = upload.text[:20_000]
    return bool(_HEAD.search(head) or _INACTIVE.match(upload.text[:200]) or _COMMANDS.search(head))


def read(upload: Upload) -> Reading:
    """Raises BadDocument."""
    lines = _shown(upload.text)
    cards = _cards(lines)
    entries: list[Entry] = []
    defaults: dict[str, tuple[Line, str]] = {}
    for line in (Line(order, f"line {order}", raw.strip()) for order, raw in enumerate(lines, 1)):
        if line.text.startswith("Default:"):
            defaults |= {where: (line, what) for what, where in _DEFAULT.findall(line.text[:MOST_WIDE])}
        elif not _NO_RULE.match(line.text):
            entries.append(_entry(line, cards))
        if len(entries) > MOST_RULES:
            raise too_many(line)
    entries += _defaults(defaults)
    notes = [] if "outgoing" in defaults else [Note("the file", "no defaults", Taken.NOT_TAKEN, _OUT_UNSAID)]
    if not entries:
        raise bad("", "This says that ufw is active, and no rule: bring what ufw status verbose says.")
    return Reading(NAME, (group("", entries),), tuple(notes))


def _shown(text: str) -> list[str]:
    """The lines of what ufw status says. Raises BadDocument where it is something else, or too much."""
    if not _HEAD.search(text):
        if _COMMANDS.search(text):
            raise bad("", "These are commands of ufw. Run them, then ufw status verbose, and bring what that says.")
        raise bad(
            "",
            "ufw is inactive, and then shows no rules. Bring what iptables-save says, or ufw status once it is active.",
        )
    lines = hosts.lines_of(text)
    if len(lines) > hosts.MOST_LINES:
        raise bad("", f"The text has more than {hosts.MOST_LINES:,} lines: split it.")
    return lines


def _cards(lines: list[str]) -> frozenset[str]:
    """The network cards that rules name."""
    return frozenset(card for line in lines for card in _ON.findall(line[:MOST_WIDE].partition(" # ")[0]))


def _defaults(found: dict[str, tuple[Line, str]]) -> Iterator[Entry]:
    for name, direction in (("incoming", Direction.IN), ("outgoing", Direction.OUT)):
        if name not in found:
            continue
        line, what = found[name]
        if what == "allow":
            how = f"What no rule matches passes ({name})."
            yield Entry(line, (Foreign(line.where, line.text, Action.ACCEPT, direction),), Taken.EXACT, how)
        else:
            yield Entry(line, (), Taken.EXACT, f"What no rule matches is dropped here too ({name}).")


def _entry(line: Line, cards: frozenset[str]) -> Entry:
    said, _, comment = line.text.partition(" # ")
    found = _RULE.match(said) if len(said) <= MOST_WIDE else None
    if found is None:
        return _unread(line, "It is not understood, and may be a drop")
    _, to, action, way, source = found.groups()
    if way == "FWD":
        return Entry(
            line,
            (),
            Taken.NOT_TAKEN,
            "It is about packets that the machine forwards; the rules here are about its own.",
        )
    direction = Direction.OUT if way == "OUT" else Direction.IN
    accepts = action == "ALLOW"
    one = Foreign(
        line.where, line.text, Action.ACCEPT if accepts else Action.DROP, direction, description=comment.strip()
    )
    source = re.sub(r" \((?:log|log-all|out)\)", "", f"{source} ").strip()
    ends, beyond = [], list[str]()
    for text in (to, source):
        try:
            ends.append(_end(text))
        except _NotRead as words:
            ends.append(_End())
            beyond.append(str(words))
    if action == "LIMIT":
        return Entry(
            line, tuple(_rules(one, (ends[0], ends[1]), [*beyond, "a rate limit"], cards)), Taken.NARROWED, _LIMIT
        )
    rules = tuple(_rules(one, (ends[0], ends[1]), beyond, cards))
    return Entry(line, rules, Taken.EXACT, "" if rules else hosts.INNER)


def _unread(line: Line, how: str) -> Entry:
    rules = tuple(Foreign(line.where, line.text, Action.DROP, direction) for direction in Direction)
    return Entry(line, rules, Taken.NARROWED, f"{how}: taken as one of everything.")


def _rules(one: Foreign, ends: tuple[_End, _End], beyond: list[str], cards: frozenset[str]) -> Iterator[Foreign]:
    """The rule for each protocol that it is about."""
    to, source = ends
    unsaid = _cards_unsaid(ends, cards)
    if unsaid is None:
        return
    beyond += unsaid + ["a source port"] * bool(source.ports)
    six = to.six or source.six
    one = replace(one, families=frozenset({6 if six else 4}), beyond=tuple(beyond), sources=_networks(source.address),
                  destinations=_networks(to.address), ports=None if to.ports == ANY_PORT else to.ports,
                  card="" if unsaid else to.card or source.card)  # fmt: skip
    for protocol in to.protocols or source.protocols or (None,):
        yield replace(one, protocol=protocol)


def _cards_unsaid(ends: tuple[_End, _End], cards: frozenset[str]) -> list[str] | None:
    """What no rule can say of the network cards that are named; None where packets never come by one of them."""
    known = [hosts.interface(end.card, cards) for end in ends if end.card]
    return None if False in known else [one for one in known if isinstance(one, str)]


def _networks(some: Spans | None) -> tuple[Network, ...] | None:
    return None if some is None else networks_of(some, MOST_RULES)


def _end(text: str) -> _End:
    """“Anywhere”, “192.0.2.1 22/tcp on eth0”, “80,443/tcp (v6)”. Raises _NotRead."""
    text, _, card = text.partition(" on ")
    six = "(v6)" in text + card
    card = card.replace("(v6)", "").strip()
    words = re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)?\)", " ", text).split()
    address: Spans | None = None
    ports: Spans | None = None
    protocols: tuple[int, ...] = ()
    if words and not words[0].startswith("Anywhere"):
        address = hosts.addresses([_bare(words[0])])
    if words and (address or words[0].startswith("Anywhere")):
        protocols = _protocol(words.pop(0))
    if words:
        ports, protocols = _ports(words)
    return _End(address, ports, protocols, card, six or bool(address and hosts.families_of(address) == ((6, 6),)))


def _ports(words: list[str]) -> tuple[Spans, tuple[int, ...]]:
    """(ports, their protocols) of “80,443/tcp”. Raises _NotRead."""
    listed, _, name = words[0].partition("/")
    # A name is that of a profile, whatever service is called so: ufw shows ports in digits.
    ports = hosts.port_list(listed, ":") if len(words) == 1 and _DIGITS.fullmatch(listed) else None
    if ports is None:
        raise _NotRead(f"“{' '.join(words)[:60]}”, whose ports are not in this (bring what ufw status verbose says)")
    return ports, _named(name) if name else (6, 17)


def _bare(word: str) -> str:
    """An address without the protocol that ufw writes behind it."""
    host, slash, rest = word.rpartition("/")
    return host if slash and not rest.isdigit() and "." not in rest else word


def _protocol(word: str) -> tuple[int, ...]:
    rest = word.rpartition("/")[2]
    return () if rest == word or rest.isdigit() or "." in rest else _named(rest)


def _named(name: str) -> tuple[int, ...]:
    number = hosts.protocol(name)
    if number is None:
        raise _NotRead(f"the protocol {name[:20]}")
    return (number,)


UFW = System(NAME, looks, read)
