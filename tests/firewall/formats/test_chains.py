"""Chains of Linux firewalls as one list, held against a walk of the chains word for word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random

import pytest

from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats import chains as written_out
from securitygroups.firewall.formats.chains import Base, Chains, Key, Line, Step, Verdict, read_chains
from securitygroups.firewall.formats.reading import Reading, Taken
from securitygroups.firewall.formats.spans import (
    ANYTHING,
    LOCAL,
    MULTICAST,
    MULTICASTS,
    OTHER_KIND,
    Match,
    Spans,
    key,
    of_family,
    of_networks,
    spans,
)
from securitygroups.firewall.formats.strict import BadDocument
from securitygroups.firewall.values import Action, Direction, Packet, parse_network

NETWORKS = {
    4: tuple(map(parse_network, ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "198.51.100.0/24", "224.0.0.0/4"))),
    6: tuple(map(parse_network, ("2001:db8::/32", "2001:db8:1::/48", "ff02::/16"))),
}
PROTOCOLS = (1, 6, 17, 47, 50, 58)
PORTS = ((22, 22), (80, 90), (443, 65535), (0, 1023))
FINAL = (Verdict.ACCEPT, Verdict.ACCEPT, Verdict.ACCEPT, Verdict.DROP, Verdict.DROP, Verdict.ELSEWHERE)
PASSING = (Verdict.NONE, Verdict.RETURN, Verdict.RETURN, Verdict.JUMP, Verdict.JUMP, Verdict.GOTO)


@dataclass(frozen=True)
class Seen:
    """A packet, what its destination is to the machine, and whether it fulfils what nothing here can ask for."""

    packet: Packet
    kind: int
    lucky: bool

    def is_in(self, match: Match) -> bool:
        one = self.packet
        version = one.version or 0
        values = (
            (match.family, version),
            (match.protocol, one.protocol or 0),
            (match.source, key(version, one.source or 0)),
            (match.destination, key(version, one.destination or 0)),
            (match.port, one.port or 0),
            (match.kind, self.kind),
        )
        return all(has(some, value) for some, value in values) and (self.lucky or not match.beyond)


def has(some: Spans, value: int) -> bool:
    return any(first <= value <= last for first, last in some)


def verdict_of(chains: Chains, chain: Key, seen: Seen) -> str:
    """ "accept", "drop", or "" where the packet falls out of the chain."""
    for step in chains.steps[chain]:
        if not any(seen.is_in(match) for match in step.match):
            continue
        if step.verdict is Verdict.ACCEPT:
            return "accept"
        if step.verdict in (Verdict.DROP, Verdict.ELSEWHERE):
            return "drop"
        if step.verdict is Verdict.RETURN:
            return ""
        if step.verdict in (Verdict.JUMP, Verdict.GOTO):
            found = verdict_of(chains, step.target, seen) if step.target in chains.steps else "drop"
            if found or step.verdict is Verdict.GOTO:
                return found
    return ""


def passes(chains: Chains, seen: Seen) -> bool:
    """Each chain of the way is asked, whatever the one before it accepted."""
    for base in chains.paths[seen.packet.direction]:
        if base.sees.sees(seen.packet.version or 0):
            verdict = verdict_of(chains, base.key, seen)
            if (verdict or base.policy.value) != "accept":
                return False
    return True


def judged(chains: Chains, seen: Seen) -> bool:
    """Whether any chain sees such packets: what none judges passes there, and takes a rule here."""
    return any(base.sees.sees(seen.packet.version or 0) for base in chains.paths[seen.packet.direction])


@dataclass
class Maker:
    """Random chains; a jump leads to a later chain, or to one that is not there. `plain` ones can be said exactly."""

    random: Random
    plain: bool
    lines: list[Line] = field(default_factory=list)

    def line(self, text: str) -> Line:
        self.lines.append(Line(len(self.lines), f"line {len(self.lines) + 1}", text))
        return self.lines[-1]

    def some(self, version: int) -> Spans:
        return of_networks(self.random.sample(NETWORKS[version], self.random.randint(1, 2)))

    def match(self) -> Match:
        rng, found = self.random, ANYTHING
        version = rng.choice((4, 4, 6))
        if rng.random() < 0.5:
            found = found.also(of_family(version)).having("source", self.some(version))
        if not self.plain and rng.random() < 0.2:
            found = found.also(of_family(version)).having("destination", self.some(version))
        if self.plain or rng.random() < 0.6:
            protocol = rng.choice((6, 17) if self.plain else PROTOCOLS)
            found = found.having("protocol", ((protocol, protocol),))
            if protocol in (6, 17) and rng.random() < 0.7:
                found = found.having("port", spans(rng.sample(PORTS, rng.randint(1, 2))))
        if not self.plain and rng.random() < 0.1:
            kinds = (((LOCAL, LOCAL),), ((MULTICAST, MULTICAST),), ((MULTICAST, OTHER_KIND),))
            found = found.having("kind", rng.choice(kinds))
        return found.asking("luck") if not self.plain and rng.random() < 0.12 else found

    def steps(self, later: Sequence[Key]) -> list[Step]:
        rng, found = self.random, list[Step]()
        for _ in range(rng.randint(1, 5)):
            verdict = rng.choice(FINAL[: 5 if self.plain else 6] if rng.random() < 0.6 else PASSING)
            target = rng.choice(later) if verdict in (Verdict.JUMP, Verdict.GOTO) else ()
            matches = tuple(self.match() for _ in range(rng.choice((1, 1, 2))))
            found.append(Step(self.line(verdict.name), matches, verdict, target))
        return found

    def chains(self) -> Chains:
        rng = self.random
        keys: list[Key] = [("t", "f", f"c{number}") for number in range(6)]
        gone: Key = ("t", "f", "gone")
        steps = {one: self.steps(keys[at + 1 :] + [gone] * (not self.plain)) for at, one in enumerate(keys[:-1])}
        steps[keys[-1]] = [Step(self.line("last"), (self.match(),), Verdict.ACCEPT)]
        paths = {
            direction: [self.base(one) for one in rng.sample(keys[:3], rng.randint(1, 3))] for direction in Direction
        }
        return Chains(steps, paths, self.lines)

    def base(self, chain: Key) -> Base:
        sees = self.random.choice((ANYTHING, ANYTHING, of_family(4), of_family(6)))
        policy = Action.DROP if self.plain else self.random.choice(tuple(Action))
        return Base(chain, sees, policy, self.line(f"policy {policy.value}"), f"the chain {chain[-1]}")

    def seen(self) -> Seen:
        rng = self.random
        version = rng.choice((4, 4, 6))
        ends = [rng.choice((one.first, one.last)) for one in rng.choices(NETWORKS[version], k=2)]
        protocol = rng.choice((6, 6, 17, *PROTOCOLS))
        port = rng.choice((0, 22, 80, 85, 443, 1023, 65535)) if protocol in (6, 17) else None
        packet = Packet(rng.choice(tuple(Direction)), version, protocol, ends[0], ends[1], port)
        kind = MULTICAST if any(one.has(version, ends[1]) for one in MULTICASTS) else rng.choice((LOCAL, OTHER_KIND))
        return Seen(packet, kind, rng.random() < 0.5)


def read(chains: Chains) -> Reading:
    return read_chains("chains", chains)


def lets(reading: Reading, seen: Seen) -> bool:
    return decide(reading.groups[0].rules, seen.packet).action is Action.ACCEPT


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "any"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_passes_the_list_that_the_chains_drop(seed: int, plain: bool) -> None:
    passed = equal = 0
    for number in range(60):
        maker = Maker(Random(seed * 1000 + number), plain)
        chains = maker.chains()
        reading = read(chains)
        exact = all(note.taken is Taken.EXACT or "Nothing leads" in note.how for note in reading.all_notes())
        for _ in range(60):
            seen = maker.seen()
            ours, theirs = lets(reading, seen), passes(chains, seen)
            assert not ours or theirs, (seed, number, seen)
            if exact and judged(chains, seen):
                assert ours == theirs, (seed, number, seen)
                equal += 1
            passed += ours

    assert passed > 100
    assert equal > 500 or not plain


LINE = Line(0, "line 1", "a line")
INPUT: Key = ("ip", "filter", "INPUT")
OTHER: Key = ("ip", "filter", "other")


def chains_of(steps: Mapping[Key, Sequence[Step]], policy: Action = Action.DROP) -> Chains:
    base = Base(INPUT, ANYTHING, policy, LINE, "INPUT")
    return Chains(steps, {Direction.IN: [base]}, [LINE])


def step(verdict: Verdict, match: Match = ANYTHING, target: Key = ()) -> Step:
    return Step(LINE, (match,), verdict, target)


def test_so_many_uncertain_returns_bar_whatever_is_behind_them() -> None:
    some = [
        Match(source=((number, number),), family=((4, 4),)).asking("luck")
        for number in range(written_out.MOST_LIVE + 3)
    ]
    elsewhere = Match(source=((1 << 31, 1 << 31),), family=((4, 4),))
    steps = [*(step(Verdict.RETURN, one) for one in some), step(Verdict.ACCEPT, elsewhere)]

    few = read(chains_of({INPUT: [step(Verdict.JUMP, target=OTHER)], OTHER: [*steps[:5], steps[-1]]}))
    many = read(chains_of({INPUT: [step(Verdict.JUMP, target=OTHER)], OTHER: steps}))

    assert len(few.groups[0].rules) == 1
    assert not many.groups[0].rules


def test_a_deep_jump_is_a_drop_and_no_end_of_the_stack() -> None:
    names: list[Key] = [INPUT, *(("ip", "filter", f"c{number}") for number in range(2000))]
    steps = {one: [step(Verdict.JUMP, target=after)] for one, after in pairwise(names)}
    steps[names[-1]] = [step(Verdict.ACCEPT)]

    (group,) = read(chains_of(steps, Action.ACCEPT)).groups

    assert [(one.action, one.protocol) for one in group.rules][:1] == [(Action.DROP, "ip")]


def test_conditions_that_multiply_are_refused() -> None:
    some = tuple(Match(source=((number, number),), family=((4, 4),)) for number in range(0, 600, 2))
    other = tuple(replace(one, destination=one.source, source=ANYTHING.source) for one in some)
    steps = {
        INPUT: [replace(step(Verdict.JUMP, target=OTHER), match=some)],
        OTHER: [replace(step(Verdict.ACCEPT), match=other)],
    }

    with pytest.raises(BadDocument, match="Written out"):
        read(chains_of(steps))


TCP, ICMP = Match(protocol=((6, 6),)), Match(protocol=((1, 1),))


def test_what_may_have_been_accepted_elsewhere_still_falls_out_of_a_chain() -> None:
    third: Key = ("ip", "filter", "third")
    steps = {
        INPUT: [step(Verdict.JUMP, target=OTHER)],
        OTHER: [step(Verdict.GOTO, target=third), step(Verdict.ACCEPT, TCP)],
        third: [step(Verdict.ACCEPT, TCP.asking("luck"))],
    }

    # Whoever has no luck comes back to INPUT, and not to the line behind.
    assert not read(chains_of(steps)).groups[0].rules


def test_icmp_of_both_families_is_icmp_alone() -> None:
    reading = read(chains_of({INPUT: [step(Verdict.ACCEPT, ICMP)]}))

    (one,) = reading.groups[0].rules
    assert (one.protocol, str(one.source)) == ("icmp", "0.0.0.0/0")
    assert [note.taken for note in reading.all_notes()] == [Taken.EXACT]
