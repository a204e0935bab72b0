"""Rules, lists and packets for property tests: Hypothesis strategies, and seeded lists by the thousand.

Crowded on purpose: few networks and ports that nest, meet and cross, so that unions, shadows and exact fits are common.
"""

from collections.abc import Iterator
from functools import lru_cache
from random import Random

from hypothesis import strategies as st

from securitygroups.firewall.protocols import PORT_NUMBERS, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import BITS, Network, Packet, Rule, parse_network

_EDGES = (
    "0.0.0.0/0 0.0.0.0/1 128.0.0.0/1 10.0.0.0/8 10.0.0.0/9 10.128.0.0/9 10.0.0.0/30 10.0.0.0/31 10.0.0.2/31 "
    "10.0.0.1/32 10.0.0.2/32 255.255.255.255/32 203.0.113.0/24 "
    "::/0 ::/1 8000::/1 2001:db8::/32 2001:db8::/33 2001:db8:8000::/33 ::/128 ::1/128 ::/96 "
    "2001:db8::/127 2001:db8::1/128 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"
)
NETWORKS = {
    version: tuple(network for network in map(parse_network, _EDGES.split()) if network.version == version)
    for version in (4, 6)
}
PORTS = (0, 1, 21, 22, 23, 80, 81, 443, 65534, 65535)
NUMBERS = (0, 1, 6, 17, 47, 58, 132, 133, 255)


def _network(random: Random, version: int) -> Network | None:
    return random.choice(NETWORKS[version]) if random.random() < 0.7 else None


def random_rule(random: Random) -> Rule:
    """A valid rule; every field that its protocol has is set or not, one in ten is switched off."""
    protocol = PROTOCOLS[random.choices(tuple(PROTOCOLS), (4, 2, 1, 2, 3, 0.4))[0]]
    version = random.choice((4, 4, 6))
    start = end = None
    if "port_start" in protocol.columns and random.random() < 0.7:
        start, end = sorted((random.choice(PORTS), random.choice(PORTS)))
        if random.random() < 0.4:
            end = start
    return Rule(
        action=random.choice(tuple(Action)),
        direction=Direction.IN if random.random() < 0.8 else Direction.OUT,
        protocol=protocol.name,
        source=_network(random, version) if "source" in protocol.columns else None,
        destination=_network(random, version) if "destination" in protocol.columns else None,
        port_start=start,
        port_end=end,
        enabled=random.random() < 0.9,
    )


def random_list(random: Random, most: int = 14) -> tuple[Rule, ...]:
    """A list of up to `most` rules."""
    return tuple(random_rule(random) for _ in range(random.randint(0, most)))


def edited(random: Random, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The list after one to three edits: a rule added, removed, replaced or moved."""
    new = list(rules)
    for _ in range(random.randint(1, 3)):
        kind = random.choice("armv") if new else "a"
        at = random.randrange(len(new) + 1) if kind == "a" else random.randrange(len(new))
        if kind == "a":
            new.insert(at, random_rule(random))
        elif kind == "r":
            new[at] = random_rule(random)
        else:
            rule = new.pop(at)
            if kind == "v":
                new.insert(random.randrange(len(new) + 1), rule)
    return tuple(new)


@lru_cache(maxsize=4)
def edges(version: int) -> tuple[int, ...]:
    top = (1 << BITS[version]) - 1
    near = {n + step for net in NETWORKS[version] for n in (net.first, net.last) for step in (-1, 0, 1)}
    return tuple(sorted(a for a in near if 0 <= a <= top))


def random_packet(random: Random) -> Packet:
    """A packet on an edge of what rules name, or one step beside it; later fragments and frames too."""
    direction = Direction.IN if random.random() < 0.8 else Direction.OUT
    if random.random() < 0.03:
        return Packet(direction)
    version = random.choice((4, 6))
    addresses = edges(version)
    number = random.choice((6, 6, 6, 17, 132, 1, 58, *NUMBERS))
    port = None
    if number in PORT_NUMBERS and random.random() < 0.95:
        port = min(max(random.choice(PORTS) + random.choice((-1, 0, 0, 1)), 0), 65535)
    return Packet(direction, version, number, random.choice(addresses), random.choice(addresses), port)


def tight(random: Random, size: int) -> tuple[Rule, ...]:
    """A realistic large list without broad rules: hosts and small networks, single ports and short ranges."""
    return tuple(_narrow(random) for _ in range(size))


def _narrow(random: Random) -> Rule:
    version = 4 if random.random() < 0.8 else 6
    prefix = random.choice((16, 20, 24, 24, 28, 32, 32) if version == 4 else (32, 48, 56, 64, 128))
    base = (10 << 24) | random.getrandbits(24) if version == 4 else (0x20010DB8 << 96) | random.getrandbits(96)
    network = Network(version, base >> (BITS[version] - prefix) << (BITS[version] - prefix), prefix)
    name = random.choices(("tcp", "udp", "sctp", "icmp", "ip"), (6, 3, 0.3, 0.3, 0.7))[0]
    start = random.choice((22, 53, 80, 123, 443, 3306, 5432, 8080, random.randrange(1024, 60000)))
    ports = PROTOCOLS[name].has_ports and random.random() < 0.95
    return Rule(
        action=Action.ACCEPT if random.random() < 0.7 else Action.DROP,
        direction=Direction.IN if random.random() < 0.7 else Direction.OUT,
        protocol=name,
        source=network,
        port_start=start if ports else None,
        port_end=start + random.choice((0, 0, 0, 10, 1000)) if ports else None,
    )


def mixed(random: Random, size: int) -> tuple[Rule, ...]:
    """A large list with broad rules among the narrow ones, and All Drop at the end."""
    rules: list[Rule] = []
    for _ in range(size - 1):
        rule = _narrow(random)
        if random.random() < 0.08:
            rule = Rule(rule.action, rule.direction, rule.protocol, None, None, rule.port_start, rule.port_end)
        rules.append(rule)
    return (*rules, Rule(Action.DROP, Direction.IN, "all"))


def crossing_strips(size: int) -> tuple[Rule, ...]:
    """The worst case for boxes: size/2 drops of one host on any port crossing size/2 drops of any host on one port."""
    half = size // 2
    hosts = (Rule(Action.DROP, Direction.IN, "tcp", Network(4, (10 << 24) + 2 * i, 32)) for i in range(half))
    ports = (Rule(Action.DROP, Direction.IN, "tcp", None, None, 1000 + 2 * i, 1000 + 2 * i) for i in range(half))
    return (*hosts, *ports)


def networks(version: int) -> st.SearchStrategy[Network]:
    """The crowded networks of a family, and any other."""

    def build(number: int, prefix: int) -> Network:
        return Network(version, number >> (BITS[version] - prefix) << (BITS[version] - prefix), prefix)

    some = st.builds(build, st.integers(0, (1 << BITS[version]) - 1), st.integers(0, BITS[version]))
    return st.one_of(st.sampled_from(NETWORKS[version]), some)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """A valid rule."""
    protocol = PROTOCOLS[draw(st.sampled_from(tuple(PROTOCOLS)))]
    family = networks(draw(st.sampled_from((4, 6))))
    has = {name: draw(st.booleans()) for name in sorted(protocol.columns)}
    ports = sorted(draw(st.lists(st.one_of(st.sampled_from(PORTS), st.integers(0, 65535)), min_size=2, max_size=2)))
    return Rule(
        action=draw(st.sampled_from(Action)),
        direction=draw(st.sampled_from(Direction)),
        protocol=protocol.name,
        source=draw(family) if has.get("source") else None,
        destination=draw(family) if has.get("destination") else None,
        port_start=ports[0] if has.get("port_start") else None,
        port_end=ports[1] if has.get("port_start") else None,
        enabled=draw(st.sampled_from((True, True, True, False))),
    )


def rule_lists(most: int = 8) -> st.SearchStrategy[tuple[Rule, ...]]:
    """A list of up to `most` rules."""
    return st.lists(rules(), max_size=most).map(tuple)


@st.composite
def packets(draw: st.DrawFn, near: tuple[Rule, ...] = ()) -> Packet:
    """A packet; addresses and port on the edges of the rules in `near`, one step beside them, or anywhere."""
    direction = draw(st.sampled_from(Direction))
    version = draw(st.sampled_from((4, 6, 4, 6, None)))
    if version is None:
        return Packet(direction)
    top = (1 << BITS[version]) - 1
    named = {
        edge + step
        for rule in near
        for network in (rule.source, rule.destination)
        if network is not None and network.version == version
        for edge in (network.first, network.last)
        for step in (-1, 0, 1)
    }
    addresses = st.sampled_from(sorted(a for a in named | set(edges(version)) if 0 <= a <= top))
    number = draw(st.sampled_from((6, 17, 132, 1, 58, *NUMBERS)))
    port = None
    if number in PORT_NUMBERS:
        ends = {p + step for r in near for p in (r.port_start, r.port_end) if p is not None for step in (-1, 0, 1)}
        port = draw(st.sampled_from((None, *sorted(p for p in ends | set(PORTS) if 0 <= p <= 65535))))
    return Packet(direction, version, number, draw(addresses), draw(addresses), port)


def pairs_of_lists(seed: int, amount: int) -> Iterator[tuple[tuple[Rule, ...], tuple[Rule, ...], Random]]:
    """Seeded pairs: half of them edits of one list, half unrelated lists; with the randomness to go on with."""
    random = Random(seed)
    for turn in range(amount):
        old = random_list(random)
        yield old, (edited(random, old) if turn % 2 else random_list(random)), random
