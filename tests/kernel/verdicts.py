"""Random rule lists and packets at their edges, sent through the kernel, and what it did against what decide() says."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from securitygroups.firewall.decide import decide
from securitygroups.firewall.nftables import swap
from securitygroups.firewall.nftables.counters import Counted
from securitygroups.firewall.platform import Target
from securitygroups.firewall.protocols import MAX_PORT, PORT_NUMBERS, PROTOCOLS, Action, Direction
from securitygroups.firewall.values import BITS, ICMP, ICMPV6, Network, Packet, Rule
from tests.kernel.frames import opening
from tests.kernel.host import NETWORK, VM, Host, ether

# Extension headers are no protocol of their own over IPv6, and 59 says that nothing follows: no packet of these opens
# anything; ICMP belongs to one family each. Linux sums UDP-Lite (136) as if it were UDP: a right checksum is invalid there.
NO_PROTOCOL = {4: {ICMPV6, 136}, 6: {ICMP, 0, 43, 44, 51, 59, 60, 135, 136, 139, 140}}
_EDGE_PORTS = (0, 1, 22, 80, 443, 1023, 1024, 32768, 65534, MAX_PORT)


def random_network(random: Random, version: int) -> Network:
    bits = BITS[version]
    prefix = random.choice((0, bits, bits - 1, bits - 8, bits // 2, random.randrange(bits + 1)))
    first = random.getrandbits(bits)
    if version == 6 and random.random() < 0.8:
        first = first >> 3 | 1 << 125  # global unicast: a router forwards hardly anything else
    return Network(version, first >> (bits - prefix) << (bits - prefix), prefix)


def _near(random: Random, network: Network) -> Network:
    """A network that touches, holds or lies in another one: where rules overlap, order decides."""
    bits = BITS[network.version]
    prefix = max(0, min(bits, network.prefix + random.choice((-8, -1, 0, 1, 8))))
    first = random.choice(
        (network.first, network.last, max(0, network.first - 1), min(network.last + 1, (1 << bits) - 1))
    )
    return Network(network.version, first >> (bits - prefix) << (bits - prefix), prefix)


def random_rule(random: Random, networks: list[Network], ports: list[int]) -> Rule:
    protocol = random.choice(list(PROTOCOLS.values()))
    version = random.choice((4, 6))
    fields: dict[str, Network] = {}
    for column in ("source", "destination"):
        if column in protocol.columns and random.random() < 0.6:
            same = [network for network in networks if network.version == version]
            near = same and random.random() < 0.6
            fields[column] = _near(random, random.choice(same)) if near else random_network(random, version)
            networks.append(fields[column])
    rule = Rule(
        random.choice(list(Action)),
        random.choice(list(Direction)),
        protocol.name,
        fields.get("source"),
        fields.get("destination"),
        enabled=random.random() < 0.9,
        uid=f"{random.getrandbits(48):012x}",
    )
    if "port_start" in protocol.columns and random.random() < 0.7:
        start, end = sorted(random.choices((*_EDGE_PORTS, *ports, random.randrange(MAX_PORT + 1)), k=2))
        end = random.choice((start, end, end, MAX_PORT))
        ports += [start, end]
        return replace(rule, port_start=start, port_end=end)
    return rule


def random_list(random: Random, length: int = 0) -> list[Rule]:
    """1 to 40 rules, or `length`. One that takes everything of its direction stands, where there is one, mostly near the end."""
    networks: list[Network] = []
    ports: list[int] = []
    rules = [random_rule(random, networks, ports) for _ in range(length or random.randrange(1, 41))]
    wide = [rule for rule in rules if rule.source is None and rule.destination is None and rule.port_start is None]
    narrow = [rule for rule in rules if rule not in wide]
    return narrow + wide if random.random() < 0.8 else rules


def routable(version: int, address: int) -> bool:
    """Whether a router forwards packets from and to the address at all, whatever its rules say."""
    if version == 6:
        return address >> 125 == 1
    return 1 <= address >> 24 < 224 and address >> 24 != 127


def _address(random: Random, version: int, networks: Sequence[Network], target: Target) -> int:
    """Mostly an edge of a network, or beside one."""
    top = (1 << BITS[version]) - 1
    while True:
        address = random.getrandbits(BITS[version])
        if networks and random.random() < 0.9:
            network = random.choice(networks)
            edge = random.choice((network.first, network.last, random.randint(network.first, network.last)))
            address = max(0, min(top, edge + random.choice((-1, 0, 0, 1))))
        if target is not Target.INET or routable(version, address):
            return address


def random_packet(random: Random, networks: dict[int, list[Network]], edges: Sequence[int], target: Target) -> Packet:
    direction = random.choice(tuple(Direction))
    if target is not Target.INET and random.random() < 0.04:
        return Packet(direction)
    version = random.choice((4, 6))
    # Connections come by protocols with ports mostly, and so do rules.
    number = random.choice((6, 17, 132, 6, 17, 132, ICMP if version == 4 else ICMPV6, random.randrange(256)))
    if number in NO_PROTOCOL[version]:
        number = 6
    source, destination = (_address(random, version, networks[version], target) for _ in range(2))
    if number not in PORT_NUMBERS:
        return Packet(direction, version, number, source, destination)
    port = random.choice(edges) + random.choice((-1, 0, 0, 1)) if edges and random.random() < 0.9 else -1
    if not 0 <= port <= MAX_PORT:
        port = random.randrange(MAX_PORT + 1)
    return Packet(direction, version, number, source, destination, port)


def random_packets(random: Random, rules: Sequence[Rule], target: Target, count: int) -> dict[Packet, int]:
    """Packets with their source ports (or ICMP identifiers), none of which could be taken for a reply to another."""
    set_networks = [network for rule in rules for network in (rule.source, rule.destination) if network is not None]
    networks: dict[int, list[Network]] = {version: [] for version in BITS}
    for network in set_networks:
        if target is not Target.INET or any(routable(network.version, end) for end in (network.first, network.last)):
            networks[network.version].append(network)
    edges = [port for rule in rules for port in (rule.port_start, rule.port_end) if port is not None]
    packets: dict[Packet, int] = {}
    flows: set[tuple[object, ...]] = set()
    while len(packets) < count:
        packet = random_packet(random, networks, edges, target)
        # Not the ports of DHCP clients and servers, whose packets the platform accepts.
        port = random.choice((random.randrange(1024, 65536), random.randrange(69, 546)))
        ends = frozenset(((packet.source, port), (packet.destination, packet.port)))
        has_port = packet.protocol in {*PORT_NUMBERS, ICMP, ICMPV6}
        flow = (packet.version, packet.protocol, ends if has_port else frozenset((packet.source, packet.destination)))
        if packet not in packets and (packet.version is None or flow not in flows):
            flows.add(flow)
            packets[packet] = port
    return packets


Load = Callable[[Sequence[Rule]], None]
"""Brings a list into the kernel, in the place of the VM's list of before."""


def swapped(host: Host, target: Target, before: Sequence[Rule]) -> Load:
    """By a swap, as the compiler says it."""

    def load(rules: Sequence[Rule]) -> None:
        host.load(swap(VM, rules, target, before=before))

    return load


def mismatches(
    host: Host, target: Target, rules: Sequence[Rule], count: int, random: Random, *, load: Load
) -> list[str]:
    """Load `rules`, send packets, and tell in words where the kernel and decide() differ.

    Two comparisons: whether each packet came out, and how often each rule, and no rule, decided.
    """
    earlier = host.counters(target)
    load(rules)
    expected: Counter[Counted] = Counter()
    frames, decisions = [], []
    for packet, port in random_packets(random, rules, target, count).items():
        decision = decide(rules, packet)
        decisions.append((packet, decision.action, decision.rule))
        mark = random.randbytes(7) + b"\1"
        way_in, way_out = (VM.tap, NETWORK) if packet.direction is Direction.OUT else (NETWORK, VM.tap)
        frames.append((way_in, way_out, opening(packet, port, ether(way_in, target), random, mark), mark))
        if decision.rule is None:
            expected[Counted(VM.uid, str(packet.direction), "none")] += 1
        else:
            expected[Counted(VM.uid, "rule", rules[decision.rule - 1].uid)] += 1
    host.order("forget")
    faults = [
        f"{'passed' if passed else 'dropped'}: {packet}, but {action} by {rule}"
        for (packet, action, rule), passed in zip(decisions, host.send(frames), strict=True)
        if passed != (action is Action.ACCEPT)
    ]
    for counted, hits in host.counters(target).items():
        # Counters of the platform are expected to stand still, those of rules to count what decide() says.
        seen = hits.packets - (earlier[counted].packets if counted in earlier else 0)
        if seen != expected[counted]:
            faults.append(f"{counted.kind} {counted.what} decided {seen} packets instead of {expected[counted]}")
    return faults
