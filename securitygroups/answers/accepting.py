"""Add Rule filled in with just a packet that is denied: the one way from an answer to the rule that would change it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from securitygroups.effective import Placed
from securitygroups.firewall.needs import narrowest
from securitygroups.firewall.values import Packet


@dataclass(frozen=True, slots=True)
class Accepting:
    """The group that the rule would go into, and Add Rule's fields as the query of its address."""

    group_id: str
    query: str


def accepting(packet: Packet, deciding: Placed | None, otherwise: str) -> Accepting | None:
    """Above the rule that drops the packet; where none matches, into the group that is named `otherwise`, if one is."""
    if deciding:
        return Accepting(deciding.group_id, urlencode(narrowest(packet) | {"place": str(deciding.place)}))
    return Accepting(otherwise, urlencode(narrowest(packet))) if otherwise else None
