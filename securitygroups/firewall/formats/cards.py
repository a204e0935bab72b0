"""Rules that ask for a network card: whether the one that a file names may be taken for the VM's."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from securitygroups.firewall.formats.foreign import Foreign, is_any
from securitygroups.firewall.protocols import ICMP, ICMPV6, Action

ONLY_CARD = "The file names no network card but {}: it is taken for the VM's."
_NUMBERED = re.compile(r"(eth|net|wlan|wwan|venet|bond|team|vmbr|br|macvlan|ipvlan)(\d{1,4})[+*]?$")
"""Names of cards that are counted from 0."""
_PART = re.compile(r"vlan\d{1,4}$|.+[.:]")
"""VLANs, which are parts of a card, and other names for one."""


def is_first(name: str) -> bool:
    """Whether its name says that it is the first of its machine."""
    numbered = _NUMBERED.match(name)
    return bool(numbered and numbered[2] == "0")


def another(name: str) -> str:
    """What in the name tells that the machine has another card, "" for nothing."""
    numbered = _NUMBERED.match(name)
    if numbered and numbered[2] != "0":
        return f" (there is {numbered[1]}0, too)"
    return " (a part of another one)" if _PART.match(name) else ""


def by_card(foreign: Sequence[Foreign]) -> Iterator[Foreign]:
    """The rules, those that ask for the file's only network card as if it were the VM's.

    Nobody says that the machine has no other. Who trusts whatever comes by a card, or names a second one, or one for some
    accepts and none for others, tells it from another: such accepts ask for what no rule here can.
    """
    apart = {one.direction for one in foreign if _asks_for_no_card(one)}
    for one in foreign:
        if not one.card:
            yield one
            continue
        why = _other_card(one, one.direction in apart) if one.action is Action.ACCEPT else ""
        if why:
            yield replace(one, beyond=(*one.beyond, f"the interface {one.card}{why}"))
        else:
            yield replace(one, rests_on=f"{ONLY_CARD.format(one.card)} {one.rests_on}".strip())


def _other_card(one: Foreign, apart: bool) -> str:
    """What tells that the machine has another card than the one of the accept, "" for nothing."""
    if _asks_for_nothing(one):
        return " and nothing else"
    return another(one.card) or (", unlike other lines of the file" if apart and not is_first(one.card) else "")


def _asks_for_nothing(one: Foreign) -> bool:
    return (one.protocol, one.ports) == (None, None) and is_any(one.sources) and is_any(one.destinations)


def _asks_for_no_card(one: Foreign) -> bool:
    """Whether it accepts something of what comes by any card. ICMP of any card is let in by whoever has one, too."""
    return (
        one.action is Action.ACCEPT
        and one.enabled
        and not one.card
        and one.protocol not in (ICMP, ICMPV6)
        and not _asks_for_nothing(one)
    )
