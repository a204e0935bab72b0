"""Chains of a Linux firewall, iptables' and nftables', as one list: jumps written out, and the chains of a hook one after the other.

A packet takes the chains of its hooks in turn, and an accept ends only the one that it stands in: what one chain
accepts is judged by the next one. What a RETURN takes out of a chain is taken out of the lines behind it; where that
cannot be said, accepts behind it ask for something that no rule here can, and so are not taken.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TypeAlias

from securitygroups.firewall.formats.cards import by_card, is_first
from securitygroups.firewall.formats.foreign import MOST_RULES, At, Foreign, TooMany, taken
from securitygroups.firewall.formats.reading import Note, ReadGroup, Reading, Taken
from securitygroups.firewall.formats.spans import (
    ANY_ADDRESS,
    ANY_KIND,
    ANY_PORT,
    ANY_PROTOCOL,
    ANYTHING,
    IPV6,
    MULTICAST,
    MULTICASTS,
    Match,
    Spans,
    TooLarge,
    both,
    conjunction,
    networks_of,
    numbers,
    of_family,
    of_networks,
    without,
)
from securitygroups.firewall.formats.strict import BadDocument, bad
from securitygroups.firewall.networks import Network
from securitygroups.firewall.protocols import ICMP, ICMPV6, NAMES, Action, Direction

MOST_STEPS = 40_000
"""Lines that are looked at, those of a chain once for every jump to it, and more for those of many addresses."""
MOST_BASES = 10
MOST_LIVE = 32
MOST_DEPTH = 16
MOST_HOWS = 3
_KIND = "what kind of address the destination is to the machine"
_ICMP_FAMILY = {ICMP: 4, ICMPV6: 6}

_UNSURE = "Which packets it takes out of the chain cannot be told here: accepts behind it that may be about them are not taken."
_UNNAMED = "No rule here is about IP protocol "
"""Said of the first of many."""
_SENTENCES = re.compile(r"(?<=[.)]) (?=[A-Z])")

_OTHERS = "other interfaces than {}, which went to another chain"
_OF_OTHERS = _OTHERS.partition("{")[0]
"""What comes by them may be what comes by the VM's: they are dropped here, and accepts are left to those of the card."""

Key = tuple[str, ...]
"""A chain: family, table and name."""


class Verdict(Enum):
    """What a line does with the packets that it matches."""

    NONE = auto()
    ACCEPT = auto()
    DROP = auto()
    RETURN = auto()
    JUMP = auto()
    GOTO = auto()
    ELSEWHERE = auto()
    """It may be accepted, dropped or sent to another address, and nothing here tells: taken as a drop."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: its place in order, how that is called, and its text."""

    order: int
    where: str
    text: str


_Return: TypeAlias = tuple[Match, Line]
"""Packets that a RETURN takes out of its chain if they fulfil more than can be told here, and its line."""


@dataclass(frozen=True, slots=True)
class Step:
    """A line of a chain, or one of its verdicts. `match` is any of these; `how` says what is to be said of it beside that."""

    line: Line
    match: tuple[Match, ...]
    verdict: Verdict
    target: Key = ()
    how: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """A chain that packets come to by themselves: whose packets it sees, and what becomes of those that it does not judge."""

    key: Key
    sees: Match
    policy: Action
    line: Line
    called: str


@dataclass(frozen=True, slots=True)
class Chains:
    """A whole file. `paths` are the chains that a packet passes on its way in and out, in order."""

    steps: Mapping[Key, Sequence[Step]]
    paths: Mapping[Direction, Sequence[Base]]
    lines: Sequence[Line]
    left: Mapping[int, str] = field(default_factory=dict)
    """Why lines of chains on no path are not taken, by their order."""


@dataclass(slots=True)
class Found:
    """What is known of one line so far: how each rule that came of it was taken, why, and where those stand."""

    taken: list[Taken] = field(default_factory=list)
    hows: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    unmet: str = ""
    why: str = ""

    def add(self, how: Taken, words: str = "", places: Iterable[int] = ()) -> None:
        self.taken.append(how)
        self.places += places
        for sentence in _SENTENCES.split(words) if words else ():
            if sentence.startswith(_UNNAMED) and any(one.startswith(_UNNAMED) for one in self.hows):
                continue
            if sentence not in self.hows and len(self.hows) < MOST_HOWS:
                self.hows.append(sentence)

    def note(self, line: Line) -> Note:
        if not self.taken:
            return Note(line.where, line.text, Taken.EXACT, self.unmet)
        kinds = set(self.taken)
        nothing = not self.places and Taken.NOT_TAKEN in kinds and Taken.NARROWED not in kinds
        how = next(iter(kinds)) if len(kinds) == 1 else Taken.NOT_TAKEN if nothing else Taken.NARROWED
        return Note(line.where, line.text, how, " ".join(self.hows), tuple(sorted(set(self.places))), self.why)


class _Walk:
    """One way through the chains: what it emits, in order, each with the line that it comes from."""

    def __init__(self, chains: Chains, direction: Direction, found: dict[int, Found]) -> None:
        self.steps = chains.steps
        self.chains = chains
        self.path: list[Base] = []
        self.direction = direction
        self.found = found
        self.emitted: list[tuple[Line, Foreign, str]] = []
        self.cost = 0
        self.at: Line | None = None
        """The line that is looked at."""

    def begin(self) -> None:
        self.path = _that_matter(self.chains, self.direction)
        self.pass_on(0, ANYTHING, None)

    def pass_on(self, place: int, match: Match, last: Step | None) -> None:
        """The packets come to the chain at this place of the path; behind the last one they are accepted."""
        if place == len(self.path):
            if last is not None:
                self.emit(last, match, Action.ACCEPT)
            return
        if last is not None:
            how = f"What it accepts is judged by {self.path[place].called} as well."
            self.of(last.line).add(Taken.EXACT, how)
        base = self.path[place]
        seen = match.also(base.sees)
        if not seen.is_empty:
            self.judge(base, seen, place, last)
        for part in match.minus(base.sees):
            self.pass_on(place + 1, part, last)

    def judge(self, base: Base, seen: Match, place: int, last: Step | None) -> None:
        """The packets take the chain, and what it leaves is for its policy."""
        self.chain(base.key, seen, place, ())
        step = Step(base.line, (), Verdict.ACCEPT)
        if base.policy is Action.ACCEPT:
            self.pass_on(place + 1, seen, step)
        elif last is None:
            # Nothing of this way comes behind it.
            self.of(base.line).add(Taken.EXACT, "What no rule matches is dropped here too.")
        else:
            self.emit(step, seen, Action.DROP)

    def chain(self, key: Key, match: Match, place: int, above: tuple[Key, ...]) -> list[Match]:
        """Every line of the chain for these packets. Those that may fall out of it without a verdict, of a chain jumped to."""
        live, loose, undecided = [match], list[_Return](), [match] if above else []
        for step in self.steps[key]:
            self.at = step.line
            self.weigh(sum(piece.weight for piece in live) * max(1, len(step.match)) + len(loose))
            met = conjunction(live, [self.seen_from_here(one) for one in step.match])
            if not met:
                self.of(step.line).unmet = step.how or "No packet of a new connection comes here with what it asks for."
                continue
            self.weigh(len(met) * (len(loose) + len(undecided) // 2))
            for one in met:
                fallen = self.step(step, self.unsure(step, one, loose), place, (*above, key))
                undecided = _without(one, undecided, fallen)
                if step.verdict in (Verdict.RETURN, Verdict.GOTO):
                    live = _returned(live, [_asking_for_card(each) for each in fallen], loose, step.line)
                    if _all_went(step, one, live):
                        live = [each.asking(_OTHERS.format(one.card)) for each in live if _may_be_another(one)]
        return undecided

    def step(self, step: Step, match: Match, place: int, above: tuple[Key, ...]) -> list[Match]:
        """What a line does with these packets; those that it leaves without a verdict."""
        verdict = step.verdict
        if verdict is Verdict.ACCEPT:
            self.pass_on(place + 1, match, step)
            return []
        if verdict in (Verdict.DROP, Verdict.ELSEWHERE):
            self.emit(step, match, Action.DROP)
            return []
        if verdict in (Verdict.NONE, Verdict.RETURN):
            self.of(step.line).add(Taken.EXACT, step.how)
            return [match]
        if step.target not in self.steps or step.target in above or len(above) > MOST_DEPTH:
            how = f"The chain {step.target[-1]} is not in the file, or leads back to itself: taken as a drop."
            self.emit(replace(step, verdict=Verdict.ELSEWHERE, how=how), match, Action.DROP)
            return []
        self.of(step.line).add(Taken.EXACT, step.how)
        return self.chain(step.target, match, place, above)

    def unsure(self, step: Step, match: Match, loose: Sequence[_Return]) -> Match:
        """The packets, some of which a RETURN before the line may have taken out of the chain."""
        met = [line for one, line in loose if not one.also(match).is_empty]
        if not met:
            return match
        if step.verdict is not Verdict.NONE:
            for line in met:
                self.of(line).add(Taken.NARROWED, _UNSURE)
        return match.asking("that no RETURN before it took the packet")

    def seen_from_here(self, match: Match) -> Match:
        """Only of what comes in is it known that the machine itself is meant, or many."""
        if match.kind == ANY_KIND or self.direction is Direction.IN:
            return match
        return replace(match, kind=ANY_KIND).asking(_KIND)

    def of(self, line: Line) -> Found:
        return self.found.setdefault(line.order, Found())

    def emit(self, step: Step, match: Match, action: Action) -> None:
        how = step.how if step.verdict is Verdict.ELSEWHERE else ""
        if action is Action.ACCEPT and any(one.startswith(_OF_OTHERS) for one in match.beyond):
            self.of(step.line).unmet = "It is about what comes by other interfaces than the one that the file names."
            return
        self.at = step.line
        for one in _foreign(step, match, action, self.direction):
            self.emitted.append((step.line, one, how))
            self.weigh(1 + (len(one.sources or ()) + len(one.destinations or ())) // 4)

    def weigh(self, more: int) -> None:
        """Count what the way costs. Raises TooMany."""
        self.cost += more
        if self.cost > MOST_STEPS:
            raise TooMany


def _that_matter(chains: Chains, direction: Direction) -> list[Base]:
    """The chains of the path that drop anything; for a family where none does, the one that is asked last."""
    path = list(chains.paths.get(direction, ()))
    matter = [base for base in path if base.policy is Action.DROP or _drops(chains.steps, base.key)]
    if len(matter) > MOST_BASES:
        raise TooMany
    return matter + _harmless(
        path, [version for version in (4, 6) if not any(base.sees.sees(version) for base in matter)]
    )


def _harmless(path: Sequence[Base], free: list[int]) -> list[Base]:
    """The chains that let through what no chain of these families drops."""
    found = []
    for base in sorted(path, key=lambda base: base.key[1] == "filter")[::-1]:
        own = [version for version in free if base.sees.sees(version)]
        if own:
            found.append(base if len(own) == 2 else replace(base, sees=of_family(own[0])))
            free = [version for version in free if version not in own]
    return found


def _drops(steps: Mapping[Key, Sequence[Step]], key: Key) -> bool:
    seen, todo = {key}, [key]
    while todo:
        for step in steps.get(todo.pop(), ()):
            if step.verdict in (Verdict.DROP, Verdict.ELSEWHERE):
                return True
            if step.target:
                if step.target not in steps:
                    return True
                if step.target not in seen:
                    seen.add(step.target)
                    todo.append(step.target)
    return False


def _without(one: Match, undecided: list[Match], fallen: Sequence[Match]) -> list[Match]:
    """What no line has decided yet; more than that where it cannot be told, and of long lists of addresses."""
    if not undecided or one.beyond or fallen == [one]:
        return undecided
    if sum(piece.weight for piece in undecided) > MOST_LIVE // 4 and {one.source, one.destination} != {ANY_ADDRESS}:
        return undecided
    parts = [part for piece in undecided for part in piece.minus(one)] + [*fallen]
    return parts if len(parts) <= MOST_LIVE else undecided


def _returned(live: list[Match], fallen: Sequence[Match], loose: list[_Return], line: Line) -> list[Match]:
    """What is left in the chain behind a RETURN of these; what cannot be taken out exactly goes into `loose`."""
    for one in fallen:
        parts = [] if one.beyond else [part for piece in live for part in piece.minus(one)]
        if one.beyond or len(parts) > MOST_LIVE:
            if len(loose) < MOST_LIVE:
                loose.append((one, line))
            else:
                loose[:] = [(ANYTHING, line)]
        else:
            live = parts
    return live


def _may_be_another(match: Match) -> bool:
    """Whether it asks for a card that need not be the VM's: then a drop behind it stays."""
    return bool(match.card) and not is_first(match.card)


def _asking_for_card(match: Match) -> Match:
    return match.asking(f"the interface {match.card}") if _may_be_another(match) else match


def _all_went(step: Step, match: Match, live: list[Match]) -> bool:
    """Whether all that was left goes to another chain with these packets, out of which none comes back."""
    return step.verdict is Verdict.GOTO and not match.beyond and not any(piece.minus(match) for piece in live)


def _foreign(step: Step, match: Match, action: Action, direction: Direction) -> Iterable[Foreign]:
    """The packets as rules of another system, one for each protocol."""
    match = _kinds_said(match, action)
    families = frozenset(numbers(both(match.family, ((4, 4), (6, 6)))))
    one = Foreign(
        step.line.where,
        step.line.text,
        action,
        direction,
        None,
        families,
        _networks(match.source, families),
        _networks(match.destination, families),
        None if match.port == ANY_PORT else match.port,
        match.beyond,
        " ".join(match.rests),
        match.card,
        step.description,
    )
    for protocol in _protocols(match.protocol, families, action):
        own = _ICMP_FAMILY.get(protocol or 0)
        if own in families and len(families) > 1 and action is Action.ACCEPT:
            # Over the other family nobody sends it, and no rule here lets it in.
            yield replace(one, protocol=protocol, families=frozenset({own or 4}))
        else:
            yield replace(one, protocol=protocol)


def _kinds_said(match: Match, action: Action) -> Match:
    if match.kind == ANY_KIND:
        return match
    if match.kind == ((MULTICAST, MULTICAST),) and action is Action.DROP:
        return replace(match, kind=ANY_KIND, destination=both(match.destination, of_networks(MULTICASTS)))
    return replace(match, kind=ANY_KIND).asking(_KIND)


def _protocols(some: Spans, families: frozenset[int], action: Action) -> list[int | None]:
    """Of a long list those that rules have, and for an accept one more that stands for the others."""
    if some == ANY_PROTOCOL:
        return [None]
    listed = list(numbers(some))
    known = {number for family, number in NAMES if family in families}
    others = [number for number in listed if number not in known]
    if action is Action.DROP or len(others) < 2:
        return [*listed]
    return [*(number for number in listed if number in known), others[0]]


def _networks(some: Spans, families: frozenset[int]) -> tuple[Network, ...] | None:
    whole = [ends for ends in ANY_ADDRESS if (6 if ends[0] >= IPV6 else 4) in families]
    if not without(tuple(whole), some):
        return None
    found = networks_of(some, MOST_RULES)
    if found is None:
        raise TooMany
    return found


def read_chains(system: str, chains: Chains, also: Sequence[Foreign] = (), notes: Sequence[Note] = ()) -> Reading:
    """The file's group, with a note for each of its lines. `also` stands behind all of it. Raises BadDocument."""
    found: dict[int, Found] = {}
    emitted = []
    walk = _Walk(chains, Direction.IN, found)
    try:
        for direction in Direction:
            walk = _Walk(chains, direction, found)
            walk.begin()
            emitted += walk.emitted
        rules, said = taken(by_card([one for _, one, _ in emitted] + list(also)))
    except (TooMany, TooLarge) as error:
        raise too_many(error.at if isinstance(error, TooMany) and error.at else walk.at) from None
    for (line, _, how), note in zip(emitted, said, strict=False):
        one = found.setdefault(line.order, Found())
        became = Taken.NARROWED if how and note.taken is Taken.EXACT else note.taken
        one.add(became, how, note.places)
        one.add(became, note.how)
        one.why = one.why or note.why
    listed = [_note(line, found.get(line.order), chains.left) for line in chains.lines]
    return Reading(system, (ReadGroup("", "", rules, (*listed, *said[len(emitted) :])),), tuple(notes))


def _note(line: Line, found: Found | None, left: Mapping[int, str]) -> Note:
    if found is not None:
        return found.note(line)
    how = left.get(line.order, "Nothing leads to this chain from where packets of the VM come in or go out.")
    return Note(line.where, line.text, Taken.NOT_TAKEN, how)


def too_many(at: At | None = None) -> BadDocument:
    """The refusal of a file whose jumps, written out, become too long a list or too much work; `at` is where."""
    text = f" (“{at.text[:80]}{'…' if len(at.text) > 80 else ''}”)" if at is not None and at.text else ""
    return bad(
        at.where if at is not None else "",
        f"Written out, this would be more than {MOST_RULES:,} rules, or lists of addresses too long to be taken out of each "
        f"other{text}. Leave such a list to the machine's own firewall and bring the file without it, "
        "or import the chains of one machine's own input and output alone.",
    )
