"""How often each rule decided: what `nft -j list counters` prints, by VM and rule.

Format: libnftables-json(5).
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from securitygroups.firewall.nftables.taps import TABLE

_NAME = re.compile(r"hit\.(?P<machine>[^.]+)\.(?P<kind>rule|place|in|out)\.(?P<what>[^.]+)")


class BadCounters(ValueError):
    """What was read is not the output of `nft -j list counters`; the message says what differs."""


class Hits(NamedTuple):
    """Packets, and their bytes without the Ethernet header, that a counter has seen since it was made or reset."""

    packets: int
    bytes: int


class Counted(NamedTuple):
    """What a counter counts: a VM's rule by identity (`kind` "rule") or by place ("place", `what` = "3"), or a line of
    the platform in one direction (`kind` "in" or "out", `what` = its name, "none" = no rule matched)."""

    machine: str
    kind: str
    what: str


def read_counters(text: str) -> dict[Counted, Hits]:
    """The counters of the panel's table; those of other tables and of interfaces without a VM are passed over.

    Raises BadCounters.
    """
    try:
        entries = json.loads(text)["nftables"]
        counters = [entry["counter"] for entry in entries if "counter" in entry]
        return {
            Counted(match["machine"], match["kind"], match["what"]): _hits(counter)
            for counter in counters
            if counter["table"] == TABLE and (match := _NAME.fullmatch(counter["name"]))
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadCounters(
            f"This is not what `nft -j list counters` prints ({type(error).__name__}: {error}): "
            "give its output as it is."
        ) from None


def _hits(counter: Mapping[str, Any]) -> Hits:
    packets, size = counter["packets"], counter["bytes"]
    # Not isinstance: JSON's true is an int to Python.
    if type(packets) is not int or type(size) is not int or packets < 0 or size < 0:
        raise ValueError(f"{counter['name']} counts no packets and bytes")
    return Hits(packets, size)
