"""ufw, firewalld and Proxmox word for word: random rules as text, and what each of the systems does with a packet.

`python -m tests.firewall.formats.host_references SYSTEM PACKETS [SEED]` compares as many packets as one likes.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from securitygroups.firewall.decide import decide
from securitygroups.firewall.formats.systems import read_file
from securitygroups.firewall.values import Action, Direction, Packet, parse_network

NETWORKS = {4: ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "198.51.100.0/24"), 6: ("2001:db8::/32", "2001:db8:1::/48")}
PORTS = ("22", "80", "443", "1000:2000")
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "esp": 50, "sctp": 132, "ipv6-icmp": 58, "gre": 47}


@dataclass(frozen=True)
class Said:
    """One rule as the reference understands it: the first that matches decides. `lucky` asks for what a packet does not tell."""

    action: str
    direction: str
    version: int | None = None
    protocols: tuple[int, ...] = ()
    source: str = ""
    destination: str = ""
    ports: tuple[tuple[int, int], ...] = ()
    lucky: bool = False

    def matches(self, packet: Packet, lucky: bool) -> bool:
        version, port = packet.version or 0, -1 if packet.port is None else packet.port
        if str(packet.direction) != self.direction or self.version not in (None, version) or (self.lucky and not lucky):
            return False
        if self.protocols and packet.protocol not in self.protocols:
            return False
        for text, address in ((self.source, packet.source), (self.destination, packet.destination)):
            if text and parse_network(text.lstrip("!")).has(version, address or 0) is text.startswith("!"):
                return False
            if text and parse_network(text.lstrip("!")).version != version:
                return False
        return not self.ports or any(first <= port <= last for first, last in self.ports)


@dataclass
class Source:
    """A text, and what its system does: its rules in order, and what becomes of the rest in each direction."""

    text: str
    rules: list[Said]
    policy: dict[str, str] = field(default_factory=lambda: {"in": "drop", "out": "drop"})

    def passes(self, packet: Packet, lucky: bool) -> bool:
        for rule in self.rules:
            if rule.matches(packet, lucky):
                return rule.action == "accept"
        return self.policy[str(packet.direction)] == "accept"


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    return int(first), int(last or first)


def random_ufw(random: Random) -> Source:
    incoming, outgoing = (random.choice(("deny", "allow")) for _ in range(2))
    lines, rules = [], []
    for _ in range(random.randrange(1, 9)):
        version, way = random.choice((4, 4, 6)), random.choice(("IN", "IN", "OUT"))
        action = random.choice(("ALLOW", "ALLOW", "DENY", "REJECT", "LIMIT"))
        protocol, ports = random.choice(("tcp", "udp", "")), random.choice(PORTS)
        any_port = random.random() < 0.2
        source = random.choice(("", "", *NETWORKS[version]))
        target = random.choice(("", "", "", NETWORKS[version][0]))
        to = [target] if target else []
        to += ["Anywhere"] if any_port and not target else []
        to += [] if any_port else [f"{ports}/{protocol}" if protocol else ports]
        six = " (v6)" if version == 6 else ""
        lines.append(f"{' '.join(to)}{six}".ljust(27) + f"{action} {way}".ljust(12) + f"{source or 'Anywhere'}{six}")
        protocols = () if any_port else ((NUMBERS[protocol],) if protocol else (6, 17))
        said = Said("accept" if action == "ALLOW" else "drop", way.lower(), version, protocols, source, target,
                    () if any_port else (_range(ports),), action == "LIMIT")  # fmt: skip
        # A sender within the limit is let in, one that comes too often is not.
        rules += [said, replace(said, action="accept", lucky=False)] if action == "LIMIT" else [said]
    head = (
        f"Status: active\nLogging: on (low)\nDefault: {incoming} (incoming), {outgoing} (outgoing), disabled (routed)\n"
    )
    head += "New profiles: skip\n\nTo                         Action      From\n--                         ------      ----\n"
    names = {"deny": "drop", "allow": "accept"}
    return Source(head + "\n".join(lines) + "\n", rules, {"in": names[incoming], "out": names[outgoing]})


def random_proxmox(random: Random) -> Source:
    policies = {way: random.choice(("ACCEPT", "DROP", "REJECT")) for way in ("in", "out")}
    groups: dict[str, tuple[list[str], list[Said]]] = {
        "web": _proxmox_rules(random, 3),
        "db": _proxmox_rules(random, 2),
    }
    lines, rules = _proxmox_rules(random, random.randrange(1, 7))
    if random.random() < 0.6:
        at, name = random.randrange(len(lines) + 1), random.choice(tuple(groups))
        lines.insert(at, f"GROUP {name}")
        # A line may stand for no rule, so that places differ.
        rules = rules[: _count(lines[:at])] + groups[name][1] + rules[_count(lines[:at]) :]
    banned = random.choice(("", "10.1.2.3", "10.0.0.0/15\n!10.1.0.0/16\n10.1.2.3 # once more"))
    text = f"[OPTIONS]\nenable: 1\npolicy_in: {policies['in']}\npolicy_out: {policies['out']}\n\n[ALIASES]\noffice 198.51.100.0/24\n\n"
    text += "[IPSET many]\n10.1.0.0/16\n2001:db8:1::/48\n\n[RULES]\n" + "\n".join(lines) + "\n"
    if banned:
        text += f"\n[IPSET blacklist]\n{banned}\n"
        dropped = ["10.1.2.3/32", *(["10.0.0.0/16"] if "!" in banned else [])]
        rules = [*(Said("drop", "in", 4, (), one) for one in dropped), *rules]
    text += "".join(f"\n[group {name}]\n" + "\n".join(own) + "\n" for name, (own, _) in groups.items())
    return Source(text, rules, {way: "accept" if one == "ACCEPT" else "drop" for way, one in policies.items()})


def _count(lines: list[str]) -> int:
    return sum((2 if "Web(" in line or "+many" in line else 1) for line in lines if not line.startswith("|"))


def _proxmox_rules(random: Random, many: int) -> tuple[list[str], list[Said]]:
    lines, rules = [], []
    for _ in range(many):
        way, action = random.choice(("IN", "OUT")), random.choice(("ACCEPT", "ACCEPT", "DROP", "REJECT"))
        said = partial(Said, "accept" if action == "ACCEPT" else "drop", way.lower())
        off = random.random() < 0.1
        kind = random.random()
        source = random.choice(("", "", "10.0.0.0/8", "2001:db8::/32", "office"))
        if kind < 0.2:
            lines.append(f"{'|' * off}{way} Web({action}) -i net0")
            found = [said(protocols=(6,), ports=((port, port),)) for port in (80, 443)]
        elif kind < 0.35:
            lines.append(f"{'|' * off}{way} {action} -source +many -log nolog # two networks")
            found = [said(source=one) for one in ("10.1.0.0/16", "2001:db8:1::/48")]
        else:
            protocol, ports = random.choice(("tcp", "udp", "esp", "")), random.choice(PORTS)
            line = f"{'|' * off}{way} {action}" + (f" -p {protocol}" if protocol else "")
            line += f" -source {source}" if source else ""
            with_ports = protocol in ("tcp", "udp") and random.random() < 0.8
            sport = with_ports and random.random() < 0.15
            line += f" -dport {ports}" if with_ports else ""
            lines.append(line + (" -sport 53" if sport else ""))
            found = [said(protocols=(NUMBERS[protocol],) if protocol else (), lucky=sport,
                          source={"office": "198.51.100.0/24"}.get(source, source), ports=(_range(ports),) if with_ports else ())]  # fmt: skip
        rules += [] if off else found
    return lines, rules


def random_firewalld(random: Random) -> Source:
    target = random.choice(("default", "DROP", "ACCEPT", "%%REJECT%%"))
    services = {"ssh": ((6, 22),), "https": ((6, 443),), "dns": ((6, 53), (17, 53))}
    chosen, ports = (
        random.sample(sorted(services), 2),
        random.sample(("8080/tcp", "1000-2000/udp"), random.randrange(3)),
    )
    allowed = [
        Said("accept", "in", None, (number,), "", "", ((port, port),))
        for name in chosen
        for number, port in services[name]
    ]
    for one in ports:
        text, _, protocol = one.partition("/")
        allowed.append(Said("accept", "in", None, (NUMBERS[protocol],), "", "", (_range(text.replace("-", ":")),)))
    rich = [_rich(random) for _ in range(random.randrange(6))]
    ordered = sorted(rich, key=lambda one: (one[0], one[2].action == "accept"))
    rules = [one for priority, _, one in ordered if priority < 0 or (priority == 0 and one.action == "drop")]
    rules += allowed + [
        one for priority, _, one in ordered if priority > 0 or (priority == 0 and one.action == "accept")
    ]
    accepting = [one for one in rules if one.action == "accept"]
    assert accepting
    # Among accepts of one priority the order decides nothing, so theirs may stand behind those of the zone.
    if target == "default":
        rules += [Said("accept", "in", 4, (1,)), Said("accept", "in", 6, (58,))]
    text = f"public (active)\n  target: {target}\n  icmp-block-inversion: no\n  interfaces: eth0\n  sources: \n  services: {' '.join(chosen)}\n"
    text += f"  ports: {' '.join(ports)}\n  protocols: \n  masquerade: no\n  rich rules: \n" + "".join(
        f"\t{line}\n" for _, line, _ in rich
    )
    return Source(text, rules, {"in": "accept" if target == "ACCEPT" else "drop", "out": "accept"})


def _rich(random: Random) -> tuple[int, str, Said]:
    version, priority = random.choice((4, 6)), random.choice((0, 0, -5, 10, -1))
    action = random.choice(("accept", "drop", "reject"))
    source, inverted = random.choice(NETWORKS[version]), random.random() < 0.2
    line = f'rule {f"""priority="{priority}" """ if priority else ""}family="ipv{version}" source {"NOT " if inverted else ""}address="{source}"'
    protocol, ports, kind = random.choice(("tcp", "udp")), random.choice(PORTS), random.random()
    lucky = random.random() < 0.1
    if kind < 0.5:
        line += f' port port="{ports.replace(":", "-")}" protocol="{protocol}"'
    elif kind < 0.7:
        line += ' service name="ssh"'
        protocol, ports = "tcp", "22"
    line += ' log prefix="x y" level="info"' if random.random() < 0.2 else ""
    line += f" {action}" + (' limit value="1/m"' if lucky else "")
    said = Said("accept" if action == "accept" else "drop", "in", version, (NUMBERS[protocol],) if kind < 0.7 else (),
                ("!" if inverted else "") + source, "", (_range(ports),) if kind < 0.7 else (), lucky)  # fmt: skip
    return priority, line, said


REFERENCES: dict[str, Callable[[Random], Source]] = {
    "ufw": random_ufw,
    "proxmox": random_proxmox,
    "firewalld": random_firewalld,
}


def random_packets(random: Random, many: int) -> Iterator[Packet]:
    for _ in range(many):
        version = random.choice((4, 4, 6))
        ends = []
        for _ in range(2):
            network = parse_network(random.choice(NETWORKS[version]))
            ends.append(random.choice((network.first, network.last, max(0, network.first - 1))))
        number = random.choice((6, 6, 6, 17, 17, 1 if version == 4 else 58, 50, 132))
        port = random.choice((22, 53, 80, 443, 999, 1000, 2000, 8080)) if number in (6, 17, 132) else None
        yield Packet(random.choice(tuple(Direction)), version, number, ends[0], ends[1], port)


def wider(source: Source, random: Random, many: int) -> tuple[int, list[Packet]]:
    """(packets that passed ours, those of them that the source drops)."""
    reading = read_file(source.text.encode())
    rules = next(group.rules for group in reading.groups if group.name in ("", "public"))
    passed, found = 0, []
    for packet in random_packets(random, many):
        lucky = random.random() < 0.5
        if decide(rules, packet).action is Action.ACCEPT:
            passed += 1
            if not source.passes(packet, lucky):
                found.append(packet)
    return passed, found


def main(system: str, count: int, seed: int) -> None:
    random, packets, passed, sources = Random(seed), 0, 0, 0
    while packets < count:
        source = REFERENCES[system](random)
        through, found = wider(source, random, 200)
        packets, passed, sources = packets + 200, passed + through, sources + 1
        if found:
            sys.exit(f"{source.text}\n{found[:3]}\n{source.rules}")
    sys.stdout.write(f"{system}: {packets:,} packets, {sources} sources, {passed:,} passed ours, 0 wider\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
