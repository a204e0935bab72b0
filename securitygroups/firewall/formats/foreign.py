"""Rules of other systems said in ours, so that nothing passes ours that theirs would have dropped.

An accept is taken only where it can be said exactly, or as less than it was. A drop that cannot be said is said as more
than it was, or else bars the accepts behind it that it may meet. So of any packet that ours accepts by a rule, theirs has
no earlier drop, and the same rule accepts it there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Protocol

from securitygroups.firewall.formats.reading import Note, Taken
from securitygroups.firewall.networks import BITS, Network
from securitygroups.firewall.protocols import NAMES, PROTOCOLS, Action, Direction
from securitygroups.firewall.texts import clean, visible
from securitygroups.firewall.values import MAX_DESCRIPTION, Rule

MOST_RULES = 20_000
"""Rules that one file may become, and lines that it may have."""
NO_PACKET = "No packet has all that it asks for, so no rule here stands for it."
MOST_BARS = 16
"""Drops that are kept apart as bars; where there are more, all accepts behind them are barred."""
MOST_COMPARED = 64
"""Pairs of networks that are held against each other; longer lists meet where their hulls do."""
MOST_SAID = 5
_LOST = {Direction.OUT: "out to a network", Direction.IN: "in to one address of the VM"}
"""Why lines of protocols with ports are lost: only IP rules have a destination."""

_WITHOUT = "Add an accept without that, if it will do."
_INSTEAD = {
    "not in the file": "Add an accept for the addresses that are meant.",
    "not known here": "Add an accept for each port of it.",
    "(no address)": "Add an accept for its address.",
    "ICMP type": "Add an accept for icmp, if every type of it may pass.",
    "source port": "If it is for replies, nothing is missing: they pass here by themselves.",
    "extension header": "Add an accept for the protocol, if those with extension headers may pass as well.",
    "interface": "Add an accept without that, if it is the one of the VM.",
    "no RETURN before": "Add accepts for those that none of these lines is about.",
} | dict.fromkeys(
    (
        "rate limit",
        "how many connections",
        "sent something lately",
        "quota",
        "chance",
        "time of day",
        "the day",
        "user who sends",
        "group that sends",
    ),
    _WITHOUT,
)
"""What to do where an accept asks for something, by a part of the phrase that says for what."""

BOTH = frozenset({4, 6})
WHOLE = {version: Network(version, 0, 0) for version in BITS}
ALL_PORTS = (0, 65535)


@dataclass(frozen=True, slots=True)
class Foreign:
    """One rule of another system, which is first in its turn: the first that matches decides there, too.

    `protocol` is an IP protocol number, None for any. `sources`, `destinations` and `ports` (first and last, both
    included) are None for any, and match where one of them does. `families` are those of the packets that the rule sees.
    `beyond` are conditions that no rule here can ask for, as “it asks for …” goes on: "source port 53", "a rate limit".
    `rests_on` is what an exact reading takes for granted, in a sentence. `card` is the network card that the rule asks for, if
    the file names no other.
    """

    where: str
    text: str
    action: Action
    direction: Direction
    protocol: int | None = None
    families: frozenset[int] = BOTH
    sources: tuple[Network, ...] | None = None
    destinations: tuple[Network, ...] | None = None
    ports: tuple[tuple[int, int], ...] | None = None
    beyond: tuple[str, ...] = ()
    rests_on: str = ""
    card: str = ""
    description: str = ""
    enabled: bool = True


class At(Protocol):
    """A line of a file: how its place is called, and its text."""

    @property
    def where(self) -> str: ...
    @property
    def text(self) -> str: ...


class TooMany(ValueError):
    """The file has more than MOST_RULES lines, or would become more rules; `at` is a line with many of them."""

    def __init__(self, at: At | None = None) -> None:
        super().__init__("too many rules")
        self.at = at


@dataclass(frozen=True, slots=True)
class _Bar:
    """A drop that stands in no rule of ours: accepts behind it that it may meet are not taken."""

    rule: Foreign
    family: int


def taken(foreign: Iterable[Foreign]) -> tuple[tuple[Rule, ...], tuple[Note, ...]]:
    """(rules, notes): the list that stands for theirs, and of each of theirs what became of it. Raises TooMany."""
    rules: list[Rule] = []
    notes: list[Note] = []
    bars: list[_Bar] = []
    longest: tuple[int, Foreign | None] = (0, None)
    for one in foreign:
        read = _accept(one, bars) if one.action is Action.ACCEPT else _drop(one, bars)
        if len(read.rules) > longest[0]:
            longest = len(read.rules), one
        first = len(rules) + 1
        rules += read.rules
        if len(rules) > MOST_RULES or len(notes) >= MOST_RULES:
            raise TooMany(longest[1])
        places = tuple(range(first, len(rules) + 1))
        notes.append(Note(one.where, one.text, read.taken, read.how, places, read.why))
    return tuple(rules), tuple(notes)


@dataclass(frozen=True, slots=True)
class _Read:
    taken: Taken
    how: str = ""
    rules: tuple[Rule, ...] = ()
    why: str = ""


def _accept(one: Foreign, bars: Sequence[_Bar]) -> _Read:
    if one.beyond:
        how = f"It asks for {phrase(one.beyond)}, which no rule here can: it would let more through."
        return _Read(Taken.NOT_TAKEN, f"{how} {_instead(one.beyond)}".strip())
    rules: list[Rule] = []
    left: list[str] = []
    aimed: list[Foreign] = []
    for part in _by_family(one):
        said, why = _said(part)
        bar = _barring(part, bars)
        if bar is not None:
            said, why = _around(part, bars), f"A drop before it cannot be said here ({bar.rule.where}), and bars it."
        elif _is_aimed(part):
            aimed.append(part)
            continue
        rules += said
        left.append(why)
    if aimed:
        left.append(_of_aimed(aimed))
    how = _once(left)
    if not how:
        return _exact(one, rules)
    lost = _LOST[one.direction] if aimed else ""
    return _Read(Taken.NARROWED if rules else Taken.NOT_TAKEN, how, _joined(rules), lost)


def _barring(part: Foreign, bars: Iterable[_Bar]) -> _Bar | None:
    """The first drop that bars the accept; one that is switched off lets nothing through, and is barred by none."""
    return next((bar for bar in bars if _meets(bar, part)), None) if part.enabled else None


def _once(sentences: Iterable[str]) -> str:
    """The sentences, each one once."""
    return " ".join(dict.fromkeys(filter(None, sentences)))


def _is_aimed(part: Foreign) -> bool:
    """Whether it has a destination, which rules of its protocol have not."""
    (version,) = part.families
    name = _name(version, part.protocol)
    return name is not None and not is_any(part.destinations) and "destination" not in PROTOCOLS[name].columns


def _of_aimed(parts: Sequence[Foreign]) -> str:
    """Why accepts with a destination are not taken, and what to do: one sentence for all families."""
    one = parts[0]
    (version,) = one.families
    to = _listed(tuple(network for part in parts for network in part.destinations or ()))
    what = f"{PROTOCOLS[_name(version, one.protocol) or 'ip'].label} {_listed_ports(one.ports or ())}".strip()
    if one.direction is Direction.IN:
        return f"Only IP rules have a destination here, not {what}: add it without {to} to a group for the VM of that address."
    return (
        f"Only IP rules have a destination here, not {what}. If so much may pass, add Accept, Out, IP to {to}, or Accept, Out, "
        f"{what} to anywhere."
    )


def _exact(one: Foreign, rules: Sequence[Rule]) -> _Read:
    return _Read(Taken.EXACT, one.rests_on if rules else NO_PACKET, _joined(rules))


def _drop(one: Foreign, bars: list[_Bar]) -> _Read:
    """A drop as it is, or as a larger one that can be said; where that would be every protocol, it bars instead."""
    rules: list[Rule] = []
    left: list[str] = []
    if one.beyond:
        asks = f"asks for {phrase(one.beyond)}, which no rule here can"
        if not one.enabled:
            return _Read(Taken.NOT_TAKEN, f"It is switched off, and {asks}.")
        left.append(f"It {asks}: it drops without asking, and so more. Delete the rule if that is too much.")
    barred = False
    for part in _by_family(one):
        said, why = _said(part)
        if why and part.enabled:
            said, why = _larger(part)
            if not said:
                _bar(bars, part)
                barred = True
        rules += said
        left.append(why)
    how = _once(left)
    if not how:
        return _exact(one, rules)
    return _Read(Taken.NOT_TAKEN if barred and not rules else Taken.NARROWED, how, _joined(rules))


def _bar(bars: list[_Bar], part: Foreign) -> None:
    """Keep the drop as a bar; of too many, a last one of each family stands for all."""
    (family,) = part.families
    if len(bars) >= MOST_BARS:
        part = replace(part, protocol=None, sources=None, destinations=None, ports=None)
    bar = _Bar(part, family)
    if not any((one.family, one.rule.direction) == (family, part.direction) and _is_total(one.rule) for one in bars):
        bars.append(bar)


def _is_total(rule: Foreign) -> bool:
    return rule.protocol is None and rule.sources is None and rule.destinations is None


def _by_family(one: Foreign) -> Iterator[Foreign]:
    """The rule for each family that it sees packets of, with the networks of that family alone."""
    for version in sorted(one.families):
        sources, destinations = (
            None if networks is None else tuple(network for network in networks if network.version == version)
            for networks in (one.sources, one.destinations)
        )
        if sources != () and destinations != () and one.ports != ():
            yield replace(one, families=frozenset({version}), sources=sources, destinations=destinations)


def _name(version: int, number: int | None) -> str | None:
    """What the protocol is called in a rule, None where no rule has it alone."""
    return "ip" if number is None else NAMES.get((version, number))


def is_any(networks: tuple[Network, ...] | None) -> bool:
    return networks is None or any(network.is_everything for network in networks)


def _said(part: Foreign) -> tuple[list[Rule], str]:
    """(rules, why there are none): the part of one family, exactly."""
    (version,) = part.families
    name = _name(version, part.protocol)
    if name is None:
        return [], f"No rule here is about IP protocol {part.protocol} over IPv{version} alone."
    if _asks_odd_ports(part, name):
        return [], "It asks for ports of a protocol that has none here."
    columns = PROTOCOLS[name].columns
    if _is_aimed(part):
        return [], "Only IP rules have a destination here."
    sources, targets = _said_ends(part, version, "destination" in columns)
    ports = _ports(part) if PROTOCOLS[name].has_ports else [(None, None)]
    if len(sources) * len(targets) * len(ports) > MOST_RULES:
        raise TooMany(part)
    told = _description(part.description)
    return [
        Rule(part.action, part.direction, name, source, destination, start, end, told, part.enabled)
        for source, destination, (start, end) in product(sources, targets, ports)
    ], ""


def _asks_odd_ports(part: Foreign, name: str) -> bool:
    return not PROTOCOLS[name].has_ports and part.ports is not None


def _said_ends(
    part: Foreign, version: int, with_target: bool
) -> tuple[Sequence[Network | None], Sequence[Network | None]]:
    """(sources, destinations) of its rules; where it is for anybody, one of them tells the family."""
    anywhere = is_any(part.destinations)
    targets: Sequence[Network | None] = [None] if anywhere else part.destinations or ()
    if not is_any(part.sources):
        return part.sources or (), targets
    if part.direction is Direction.OUT and with_target:
        # The family is told by the end that is asked for.
        return [None], [WHOLE[version]] if anywhere else targets
    return [WHOLE[version]] if anywhere else [None], targets


def _ports(part: Foreign) -> list[tuple[int | None, int | None]]:
    if part.ports is None or ALL_PORTS in part.ports:
        return [(None, None)]
    return list(part.ports)


def _larger(part: Foreign) -> tuple[list[Rule], str]:
    """A drop as a larger one of the same protocol: of every port, to anywhere. None of a protocol that no rule has alone."""
    (version,) = part.families
    name = _name(version, part.protocol)
    if name is None:
        return (
            [],
            f"No rule here is about IP protocol {part.protocol} alone: accepts behind it that it meets are barred.",
        )
    how: list[str] = []
    if _asks_odd_ports(part, name):
        part = replace(part, ports=None)
        how.append("It asks for ports of a protocol that has none here: it drops without asking, and so more.")
    said, why = _said(part)
    if why:
        where = _listed(part.destinations)
        how.append(f"Only IP rules have a destination here: it drops to every destination, not to {where} alone.")
        said, _ = _said(replace(part, destinations=None))
    return said, " ".join(how)


def _around(part: Foreign, bars: Sequence[_Bar]) -> list[Rule]:
    """An accept of every protocol as accepts of those that no drop bars; nothing of any other one."""
    if part.protocol is not None:
        return []
    (version,) = part.families
    rules: list[Rule] = []
    for number in sorted(number for family, number in NAMES if family == version):
        one = replace(part, protocol=number)
        if not any(_meets(bar, one) for bar in bars):
            rules += _said(one)[0]
    return rules


def _meets(bar: _Bar, part: Foreign) -> bool:
    """Whether a packet may be both in the barring drop and in the accept, both of one family."""
    drop = bar.rule
    if bar.family not in part.families or drop.direction is not part.direction:
        return False
    if None not in (drop.protocol, part.protocol) and drop.protocol != part.protocol:
        return False
    return _overlap(drop.sources, part.sources) and _overlap(drop.destinations, part.destinations)


def _overlap(some: tuple[Network, ...] | None, others: tuple[Network, ...] | None) -> bool:
    if some is None or others is None:
        return True
    if len(some) * len(others) > MOST_COMPARED:
        some, others = (_hull(some),), (_hull(others),)
    return any(a.version == b.version and a.first <= b.last and b.first <= a.last for a in some for b in others)


def _hull(networks: tuple[Network, ...]) -> Network:
    """A network that holds all of these, which are of one family."""
    first, last = min(one.first for one in networks), max(one.last for one in networks)
    version = networks[0].version
    prefix = BITS[version] - (first ^ last).bit_length()
    return Network(version, first >> (BITS[version] - prefix) << (BITS[version] - prefix), prefix)


def _joined(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules of one line: a pair that is alike but for all of IPv4 and all of IPv6 is one for any address.

    They stand for one rule of theirs, so that their order among each other decides nothing.
    """
    found = list(dict.fromkeys(rules))
    for rule in tuple(found) if len(found) > 1 else ():
        for end in ("source", "destination"):
            if getattr(rule, end) == WHOLE[4] and (twin := _with_end(rule, end, WHOLE[6])) in found:
                found.remove(twin)
                found[found.index(rule)] = _with_end(rule, end, None)
    return tuple(found)


def _with_end(rule: Rule, end: str, network: Network | None) -> Rule:
    return replace(rule, source=network) if end == "source" else replace(rule, destination=network)


@lru_cache(maxsize=64)
def _description(text: str) -> str:
    """As a rule may have it. A line that is several rules, one for each family, asks for the same again."""
    return visible(clean(text))[:MAX_DESCRIPTION].strip()


def phrase(some: Sequence[str]) -> str:
    return some[0] if len(some) == 1 else f"{', '.join(some[:-1])} and {some[-1]}"


def _instead(beyond: Sequence[str]) -> str:
    """What to do where an accept asks for these, if something can be done."""
    return next((words for asked, words in _INSTEAD.items() if any(asked in one for one in beyond)), "")


def _listed(networks: tuple[Network, ...] | None) -> str:
    texts = [str(network) for network in networks or ()]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def _listed_ports(ports: Sequence[tuple[int, int]]) -> str:
    texts = [f"{a}" if a == b else f"{a}–{b}" for a, b in ports[:MOST_SAID]]
    return ", ".join([*texts, "…"] if len(ports) > MOST_SAID else texts)
