"""Rules of other systems, said in ours: never wider, and the same where the report says exact."""

import random
from dataclasses import dataclass, replace

import pytest

from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.foreign import BOTH, MOST_BARS, NO_PACKET, Foreign, taken
from securitygroups.firewall.formats.reading import MAX_HOW, MAX_TEXT, Note, Taken
from securitygroups.firewall.values import Action, Direction, Network, Packet, Rule, parse_network

SEEDS = range(12)
NETWORKS = tuple(
    parse_network(text)
    for text in ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "::/0", "2001:db8::/32", "2001:db8::1/128")
)
PROTOCOLS = (None, None, 6, 6, 17, 1, 58, 47)
BEYOND = ((), (), (), ("a rate limit",))
PORTS = (None, ((22, 22),), ((80, 90), (443, 443)), ((0, 65535),))


@dataclass(frozen=True)
class Seen:
    """A packet, and whether it fulfils the conditions that ours cannot ask for."""

    packet: Packet
    lucky: bool


def anything(rng: random.Random) -> list[Foreign]:
    def some(networks: tuple[Network, ...]) -> tuple[Network, ...] | None:
        return rng.choice((None, tuple(rng.sample(networks, rng.randint(1, 3)))))

    return [
        Foreign(
            f"line {line}",
            "",
            rng.choice(tuple(Action)),
            rng.choice(tuple(Direction)),
            protocol := rng.choice(PROTOCOLS),
            rng.choice((BOTH, frozenset({4}), frozenset({6}))),
            some(NETWORKS),
            rng.choice((None, some(NETWORKS))),
            rng.choice(PORTS) if protocol in (6, 17) or rng.random() < 0.2 else None,
            rng.choice(BEYOND),
            enabled=rng.random() < 0.9,
        )
        for line in range(1, rng.randint(2, 9))
    ]


def packets(rng: random.Random, many: int) -> list[Seen]:
    def one() -> Packet:
        version = rng.choice((4, 6))
        ends = [
            rng.choice(
                [network.first for network in NETWORKS if network.version == version]
                + [network.last for network in NETWORKS if network.version == version]
            )
            for _ in range(2)
        ]
        number = rng.choice((6, 6, 17, 1, 58, 47))
        port = rng.choice((0, 22, 80, 85, 443, 65535)) if number in (6, 17) else None
        return Packet(rng.choice(tuple(Direction)), version, number, ends[0], ends[1], port)

    return [Seen(one(), rng.random() < 0.5) for _ in range(many)]


def theirs(rules: list[Foreign], seen: Seen) -> bool:
    """What the other system does, word for word: the first that matches decides, else the packet is dropped."""
    packet = seen.packet
    version, port = packet.version or 0, -1 if packet.port is None else packet.port
    for rule in rules:
        if not rule.enabled or rule.direction is not packet.direction or version not in rule.families:
            continue
        if rule.protocol not in (None, packet.protocol) or (rule.beyond and not seen.lucky):
            continue
        ends = ((rule.sources, packet.source), (rule.destinations, packet.destination))
        if any(some is not None and not any(one.has(version, end or 0) for one in some) for some, end in ends):
            continue
        if rule.ports is not None and not any(first <= port <= last for first, last in rule.ports):
            continue
        return rule.action is Action.ACCEPT
    return False


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_passes_ours_that_theirs_drops(seed: int) -> None:
    rng = random.Random(seed)
    passed = equal = 0
    for _ in range(120):
        rules = anything(rng)
        ours, notes = taken(rules)
        exact = all(note.taken is Taken.EXACT for note in notes)
        assert all(not rule.problems() for rule in ours)
        for seen in packets(rng, 60):
            mine = decide(ours, seen.packet).action is Action.ACCEPT
            assert not mine or theirs(rules, seen), (rules, ours, seen)
            passed += mine
            if exact:
                assert mine == theirs(rules, seen), (rules, ours, seen)
                equal += 1

    assert passed > 300
    assert equal > 200


def rule(text: str, **fields: object) -> Foreign:
    return replace(Foreign("line 1", text, Action.ACCEPT, Direction.IN), **fields)  # type: ignore[arg-type]


def test_a_drop_that_cannot_be_said_bars_the_accepts_that_it_meets() -> None:
    gre = rule("drop gre", action=Action.DROP, protocol=47, families=frozenset({4}))
    everything = rule("accept", families=frozenset({4}))

    ours, (barred, narrowed) = taken([gre, everything])

    assert barred.taken is Taken.NOT_TAKEN
    assert narrowed.taken is Taken.NARROWED
    assert [one.protocol for one in ours] == ["icmp", "tcp", "udp", "sctp"]
    assert narrowed.places == (1, 2, 3, 4)


def test_of_what_no_packet_is_it_is_said_why_there_is_no_rule() -> None:
    network = parse_network("2001:db8::/32")
    lines = [rule("x", action=action, families=frozenset({4}), sources=(network,)) for action in Action]

    rules, notes = taken(lines)

    assert not rules
    assert [(note.taken, note.how) for note in notes] == [(Taken.EXACT, NO_PACKET)] * 2


def gre(*sources: str, **fields: object) -> Foreign:
    """A drop of a protocol that no rule here has alone, so that it bars."""
    networks = tuple(map(parse_network, sources)) or None
    return rule("drop gre", action=Action.DROP, protocol=47, families=frozenset({4}), sources=networks, **fields)


def test_a_bar_leaves_accepts_alone_that_it_does_not_meet() -> None:
    accepts = {
        "to another destination": rule("accept", destinations=(parse_network("10.2.0.0/16"),)),
        "from another source": rule("accept", sources=(parse_network("192.0.2.0/24"),)),
        "of another protocol": rule("accept", protocol=6),
        "the other way": rule("accept", direction=Direction.OUT),
        "of another family": rule("accept", families=frozenset({6})),
    }
    drop = gre("10.0.0.0/8", destinations=(parse_network("10.1.0.0/16"),))

    took = {name: taken([drop, accept])[1][1].taken for name, accept in accepts.items()}

    assert took == dict.fromkeys(accepts, Taken.EXACT)
    assert taken([drop, rule("accept")])[1][1].taken is Taken.NARROWED


def test_the_ends_of_long_lists_meet_too() -> None:
    dropped = [f"10.{number}.0.0/24" for number in range(0, 256, 15)]
    asked, others = (
        tuple(parse_network(f"{first}.{number}.0.0/24") for number in range(192, 256, 4)) for first in (10, 11)
    )

    _, (_, meets) = taken([gre(*dropped), rule("accept", sources=asked)])
    _, (_, apart) = taken([gre(*dropped), rule("accept", sources=others)])

    assert (meets.taken, apart.taken) == (Taken.NARROWED, Taken.EXACT)


def test_behind_very_many_bars_all_accepts_of_their_direction_are_barred() -> None:
    drops = [gre(f"10.0.{number}.0/24") for number in range(MOST_BARS + 3)]
    other = rule("accept", sources=(parse_network("192.0.2.0/24"),))

    _, few = taken([*drops[:MOST_BARS], other])
    _, many = taken([*drops, other, replace(other, direction=Direction.OUT)])

    assert few[-1].taken is Taken.EXACT
    assert [note.taken for note in many[-2:]] == [Taken.NOT_TAKEN, Taken.EXACT]


@pytest.mark.parametrize("protocol", [None, 1])
def test_ports_of_a_protocol_that_has_none_let_nothing_through(protocol: int | None) -> None:
    odd = rule("odd", protocol=protocol, ports=((53, 53),), sources=(parse_network("192.0.2.0/24"),))

    accepts, (not_taken,) = taken([odd])
    drops, (narrowed,) = taken([replace(odd, action=Action.DROP)])

    assert (accepts, not_taken.taken) == ((), Taken.NOT_TAKEN)
    assert narrowed.taken is Taken.NARROWED
    assert [(one.action, one.protocol) for one in drops] == [(Action.DROP, "ip" if protocol is None else "icmp")]


def test_a_note_is_as_short_as_a_page_wants_it() -> None:
    note = Note("w" * 100_000, "t" * 100_000, Taken.NOT_TAKEN, "h" * 100_000)

    assert (len(note.where), len(note.text), len(note.how)) == (MAX_HOW + 2, MAX_TEXT, MAX_HOW + 2)


def test_both_families_are_one_rule_for_any_address() -> None:
    ours, _ = taken([rule("ssh", protocol=6, ports=((22, 22),))])

    assert ours == (Rule(Action.ACCEPT, Direction.IN, "tcp", port_start=22, port_end=22),)
