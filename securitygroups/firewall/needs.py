"""What an accept would need where a packet is denied: what stands in the nearest rule's way, and a rule that would do."""

from dataclasses import dataclass

from securitygroups.firewall.decide import Field, differences
from securitygroups.firewall.protocols import NAMES, PROTOCOLS, Action
from securitygroups.firewall.values import BITS, Packet, RuleList, address_text


@dataclass(frozen=True, slots=True)
class Need:
    """What an accept would need: the nearest accept rule and what stands in its way.

    In its way: conditions that the packet does not meet; being switched `off`; standing `below` the rule that drops the
    packet. `stop` is the place of that one, None where none matches: the new rule belongs above it.
    """

    nearest: int | None
    in_the_way: tuple[Field, ...]
    off: bool
    below: bool
    stop: int | None


def what_accept_needs(rules: RuleList, packet: Packet, stop: int | None) -> Need:
    """For a packet that is not accepted. The nearest accept rule has the fewest things in its way; the first of those."""

    def off_and_below(place: int) -> tuple[bool, bool]:
        return not rules[place - 1].enabled, stop is not None and place > stop

    best: tuple[int, int] | None = None
    for place, rule in enumerate(rules, 1):
        if rule.action is Action.ACCEPT:
            missed = len(differences(rule, packet)) + sum(off_and_below(place))
            if best is None or missed < best[0]:
                best = (missed, place)
    nearest = best[1] if best else None
    off, below = off_and_below(nearest) if nearest else (False, False)
    return Need(
        nearest=nearest,
        in_the_way=differences(rules[nearest - 1], packet) if nearest else (),
        off=off,
        below=below,
        stop=stop,
    )


def narrowest(packet: Packet) -> dict[str, str]:
    """Add Rule filled in with the narrowest rule that accepts the packet."""
    fields = {"action": "accept", "direction": packet.direction.value}
    if packet.version is None:
        # Only an All rule takes frames that are not IP.
        return fields | {"protocol": "all"}
    protocol = NAMES.get((packet.version, packet.protocol or 0), "ip")
    source, destination = (_one(packet.version, address or 0) for address in (packet.source, packet.destination))
    if "destination" in PROTOCOLS[protocol].columns:
        return fields | {"protocol": protocol, "source": source, "destination": destination}
    ports = {} if packet.port is None else {"port_start": str(packet.port), "port_end": str(packet.port)}
    return fields | {"protocol": protocol, "source": source} | ports


def _one(version: int, address: int) -> str:
    """The smallest network with the address that a rule can have: IPv4 written as IPv6 has but one."""
    text = address_text(version, address)
    if version == 6 and text.startswith("::ffff:") and "." in text:
        return "::ffff:0:0/96"
    return f"{text}/{BITS[version]}"
