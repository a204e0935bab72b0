"""A packet as it is typed: in the words of a rule, “in tcp 22 from 203.0.113.9 to 10.0.1.11”."""

from collections.abc import Sequence
from typing import Any

from securitygroups.command.panel import Trouble

FORM = "in|out PROTOCOL [PORT] from ADDRESS [to ADDRESS]"
ENDS = {"from": "source", "to": "destination"}


def packet_of(words: Sequence[str], own: Sequence[str] = ()) -> dict[str, Any]:
    """The packet's document. Where the VM's own end is not said, it is the one of its addresses that fits the other end.

    Raises Trouble where the words make no packet; whether its values are right is for the panel to say.
    """
    rest = list(words)
    if len(rest) < 2 or rest[0] not in ("in", "out"):
        raise Trouble(f"A packet is written {FORM}: in tcp 22 from 203.0.113.9")
    packet: dict[str, Any] = {"direction": rest.pop(0), "protocol": _number(rest.pop(0))}
    if rest and rest[0] not in ENDS:
        packet["port"] = _number(rest.pop(0))
    while rest:
        end = ENDS.get(rest.pop(0))
        if end is None or not rest or end in packet:
            raise Trouble(f"A packet is written {FORM}, with “from” and “to” once each.")
        packet[end] = rest.pop(0)
    here, there = ("destination", "source") if packet["direction"] == "in" else ("source", "destination")
    if here not in packet and there in packet:
        alike = [one for one in own if (":" in one) == (":" in packet[there])]
        packet |= {here: alike[0]} if alike else {}
    return packet


def _number(word: str) -> int | str:
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 9 else word
