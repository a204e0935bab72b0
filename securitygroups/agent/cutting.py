"""Running connections that a VM's new list would not accept: found, counted, and ended where the host's setting says so."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from securitygroups.agent import conntrack
from securitygroups.agent.compiling import Compiled, accepted_by, tag_of
from securitygroups.agent.conntrack import Connection
from securitygroups.firewall.decide import decide
from securitygroups.firewall.networks import Refused, parse_address
from securitygroups.firewall.protocols import PORT_NUMBERS, Action, Direction
from securitygroups.firewall.values import Packet, Rule


@dataclass(frozen=True, slots=True)
class Listed:
    """A VM's list, and its addresses."""

    rules: tuple[Rule, ...]
    addresses: tuple[str, ...]

    @classmethod
    def of(cls, made: Compiled) -> "Listed":
        return cls(made.rules, made.addresses)


def no_longer_accepted(
    lists: Mapping[str, Listed], others: Iterable[str], running: Iterable[Connection]
) -> Iterator[tuple[str, Connection]]:
    """Connections that a list of these VMs has accepted once and would not now, each with the VM.

    `others` are all VMs of the host. Whose rules accepted a connection is told by its mark, which is the same for two of some
    thousand VMs: then it has to have an address of the VM too.
    """
    tagged: dict[int, list[str]] = {}
    for uid in {*others, *lists}:
        tagged.setdefault(tag_of(uid), []).append(uid)
    for connection in running:
        for direction in Direction:
            for uid in tagged.get(accepted_by(connection.mark, direction), ()):
                packet = _opening(connection, direction)
                if uid not in lists or (len(tagged[tag_of(uid)]) > 1 and not _is_own(packet, lists[uid].addresses)):
                    continue
                if decide(lists[uid].rules, packet).action is Action.DROP:
                    yield uid, connection


def cut(lists: Mapping[str, Listed], others: Iterable[str]) -> dict[str, int]:
    """End what the lists do not accept any more; how many of each VM. Raises OSError."""
    ended: dict[str, int] = {}
    # Looked for first: what is deleted on the way would be missed by a table that is still being read.
    for uid, connection in [*no_longer_accepted(lists, others, conntrack.connections())]:
        if conntrack.delete(connection):
            ended[uid] = ended.get(uid, 0) + 1
    return ended


def _opening(connection: Connection, direction: Direction) -> Packet:
    """The packet that opened the connection, as a VM's list saw it."""
    opened, reply = connection.opened, connection.reply
    # In comes behind the translation of addresses, which the answer shows the other way round; Out comes before it.
    destination, port = (
        (reply.source, reply.source_port) if direction is Direction.IN else (opened.destination, opened.port)
    )
    with_port = port if opened.protocol in PORT_NUMBERS else None
    return Packet(direction, opened.version, opened.protocol, opened.source, destination, with_port)


def _is_own(packet: Packet, addresses: Iterable[str]) -> bool:
    own = packet.source if packet.direction is Direction.OUT else packet.destination
    return any(_number(address) == (packet.version, own) for address in addresses)


def _number(address: str) -> tuple[int, int] | None:
    try:
        return parse_address(address)
    except Refused:
        return None
