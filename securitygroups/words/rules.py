"""Sentences about rules, packets and traces: data of the core in, plain text out.

What the analyses say (differences, findings, exposure) is put into words by securitygroups.words.traffic.
"""

from collections.abc import Mapping

from securitygroups.firewall.decide import Decision, Field, Outcome, Step
from securitygroups.firewall.needs import Need
from securitygroups.firewall.protocols import MAX_PORT, NAMES, PORT_NUMBERS, PROTOCOLS, Action, Direction
from securitygroups.firewall.services import SERVICES
from securitygroups.firewall.values import ICMP, ICMPV6, Network, Packet, Rule, address_text

_SERVICE_NAMES = {(s.protocol, s.port): s.name for s in SERVICES}

_IP_PROTOCOLS: Mapping[int, str] = {
    ICMP: "ICMP",
    2: "IGMP",
    4: "IPv4-in-IP",
    6: "TCP",
    17: "UDP",
    41: "IPv6-in-IP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    ICMPV6: "ICMPv6",
    89: "OSPF",
    112: "VRRP",
    132: "SCTP",
    136: "UDP-Lite",
}
"""Names of IP protocol numbers (IANA registry of protocol numbers) that packets of a cloud network have."""

_RULE_NAME_OF = {number: name for (_, number), name in NAMES.items()}
WAY = {Direction.IN: "inbound", Direction.OUT: "outbound"}


def service_name(protocol: str | int | None, port: int | None) -> str | None:
    """What is known to listen on a port: "SSH" for ("tcp", 22) or (6, 22), None where nothing is or it is unsaid."""
    name = _RULE_NAME_OF.get(protocol) if isinstance(protocol, int) else protocol
    return None if name is None or port is None else _SERVICE_NAMES.get((name, port))


def protocol_text(number: int | None) -> str:
    """An IP protocol number by name: "TCP", "GRE", "IP protocol 99"; None is a frame that is not IP."""
    if number is None:
        return "non-IP"
    return _IP_PROTOCOLS.get(number) or f"IP protocol {number}"


def range_text(first: int, last: int) -> str:
    """A range without a word before it: "22", "80–443"."""
    return str(first) if first == last else f"{first}–{last}"


def ports_text(start: int | None, end: int | None = None, protocol: str | int | None = None) -> str:
    """A rule's destination port range: "any port", "port 22 (SSH)", "ports 80–443".

    `start` None is every port, a start without an end is that one port. `protocol`, a rule's name or an IP protocol
    number, names the service that is known on a single port. 0–65535 is not "any port": a later fragment of a packet
    has no port, and only a rule without a range takes it.
    """
    if start is None:
        return "any port"
    last = start if end is None else end
    if start != last:
        return f"ports {range_text(start, last)}" + (" (all of them)" if (start, last) == (0, MAX_PORT) else "")
    service = service_name(protocol, start)
    return f"port {start} ({service})" if service else f"port {start}"


def addresses_text(network: Network | None, anything: str = "anywhere") -> str:
    """A rule's address field: "anywhere", "any IPv4 address", "203.0.113.7", "203.0.113.0/24"."""
    if network is None:
        return anything
    if network.is_everything:
        return f"any IPv{network.version} address"
    host = network.first == network.last
    return address_text(network.version, network.first) if host else str(network)


def _article(noun: str) -> str:
    """The noun with a or an, by how the abbreviations here are spoken: a UDP, an SCTP, an ICMP packet."""
    return f"{'an' if noun.startswith(('A', 'E', 'I', 'O', 'SCTP', 'inbound', 'outbound')) else 'a'} {noun}"


def _kind(packet: Packet) -> str:
    if packet.version is None:
        return "frame that is not IP"
    words = f"{protocol_text(packet.protocol)} packet"
    # ICMP of the other family, which no ICMP rule covers.
    astray = packet.protocol in (ICMP, ICMPV6) and (packet.version, packet.protocol) not in NAMES
    return f"{words} over IPv{packet.version}" if astray else words


def packet_sentence(packet: Packet) -> str:
    """The packet in words: "An inbound TCP packet from 203.0.113.9 to 10.0.0.5, port 22 (SSH)"."""
    words = _article(f"{WAY[packet.direction]} {_kind(packet)}")
    words = words[0].upper() + words[1:]
    if packet.version is None:
        return words
    if packet.source is not None:
        words += f" from {address_text(packet.version, packet.source)}"
    if packet.destination is not None:
        words += f" to {address_text(packet.version, packet.destination)}"
    if packet.port is not None:
        words += f", {ports_text(packet.port, packet.port, packet.protocol)}"
    elif packet.protocol in PORT_NUMBERS:
        words += ", without a port (a later fragment)"
    return words


def rule_sentence(rule: Rule) -> str:
    """The rule in words: "Accept inbound TCP to port 22 (SSH) from 203.0.113.0/24"."""
    head = f"{rule.action.label} {WAY[rule.direction]}"
    known = PROTOCOLS.get(rule.protocol)
    if rule.protocol == "all":
        words = f"{rule.action.label} everything {WAY[rule.direction]}"
    elif known and not known.has_ports:
        words = f"{head} {known.label} from {addresses_text(rule.source)}"
        words += f" to {addresses_text(rule.destination)}" if rule.destination is not None else ""
    else:
        ports = ports_text(rule.port_start, rule.port_end, rule.protocol)
        words = f"{head} {known.label if known else rule.protocol} to {ports} from {addresses_text(rule.source)}"
    return words if rule.enabled else f"{words} (switched off)"


def _address_differs(what: str, network: Network | None, version: int | None, address: int | None) -> str:
    if network is None:
        return f"the {what} differs"
    if version is None or address is None:
        return f"the packet has no {what} address, the rule's {what} is {addresses_text(network)}"
    if network.version != version:
        text = address_text(version, address)
        return f"{text} is an IPv{version} address, the rule's {what} is IPv{network.version} ({network})"
    text, wanted = address_text(version, address), addresses_text(network)
    return f"{text} is not {wanted}" if network.first == network.last else f"{text} is not in {wanted}"


def condition_text(condition: Field, rule: Rule, packet: Packet) -> str:
    """One condition of `rule` that `packet` does not meet, in words without a capital or full stop."""
    if condition is Field.DIRECTION:
        return f"the packet goes {packet.direction.label}, the rule is for {rule.direction.label}"
    if condition is Field.PROTOCOL:
        known = PROTOCOLS.get(rule.protocol)
        return f"it is {_article(_kind(packet))}, the rule wants {known.label if known else rule.protocol}"
    if condition is Field.SOURCE:
        return _address_differs("source", rule.source, packet.version, packet.source)
    if condition is Field.DESTINATION:
        return _address_differs("destination", rule.destination, packet.version, packet.destination)
    return _port_differs(rule, packet)


def _port_differs(rule: Rule, packet: Packet) -> str:
    start = rule.port_start
    end = start if rule.port_end is None else rule.port_end
    wanted = "" if start is None or end is None else range_text(start, end)
    if packet.port is None:
        why = " (it is a later fragment)" if packet.protocol in PORT_NUMBERS else ""
        return f"the packet has no port{why}, the rule wants {wanted}"
    return f"port {packet.port} is not {'' if start == end else 'in '}{wanted}"


def why_passed(step: Step, packet: Packet) -> str:
    """Why a rule of the trace did not decide, by the first condition that the packet does not meet.

    Such as "port 8080 is not in 80–443"; "the rule is switched off"; "matched" and "not reached" for those outcomes.
    """
    if step.outcome is Outcome.OFF:
        return "the rule is switched off"
    if step.outcome is not Outcome.PASSED or not step.differs:
        return str(step.outcome.value)
    return condition_text(step.differs[0], step.rule, packet)


def obstacles(need: Need, nearest: Rule, packet: Packet) -> list[str]:
    """Why the nearest accept rule does not accept the packet: everything, in words."""
    texts = [condition_text(condition, nearest, packet) for condition in need.in_the_way]
    if need.off:
        texts.insert(0, "it is switched off")
    if need.below:
        texts.append(f"rule {need.stop} above it drops the packet first")
    return texts


def verdict_sentence(decision: Decision, packet: Packet) -> str:
    """The answer of the packet test in one sentence, with the packet and what decided."""
    subject = packet_sentence(packet)
    if decision.action is Action.ACCEPT:
        return f"{subject} is accepted by rule {decision.rule}."
    if decision.rule is not None:
        return f"{subject} is dropped by rule {decision.rule}."
    if not decision.steps:
        return f"{subject} is denied: the list has no rules, and what no rule accepts is denied."
    return f"{subject} is denied by default: no rule matches it."
