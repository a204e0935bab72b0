"""What a host has loaded of the panel's table, so that what replaces it can take it away in the same transaction.

Format: libnftables-json(5).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from securitygroups.firewall.nftables.taps import TABLE
from securitygroups.firewall.protocols import Direction

_CHAIN = re.compile(r"vm\.([A-Za-z0-9_-]+)\.(?:in|out)(?:\..*)?")
_COUNTER = re.compile(r"hit\.([A-Za-z0-9_-]+)\..*")
_MAPS = {f"vm_{direction}": direction for direction in Direction}


class NotListed(ValueError):
    """What was read is not what nft lists as JSON; the message says what differs."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Taps by direction with the VM whose chain they lead to, and each VM's chains and counters by name."""

    taps: Mapping[Direction, Mapping[str, str]] = field(default_factory=dict)
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def machines(self) -> frozenset[str]:
        """Every VM that anything is loaded of."""
        led = {uid for taps in self.taps.values() for uid in taps.values()}
        return frozenset({*self.chains, *self.counters, *led})


def read_loaded(*texts: str) -> Loaded:
    """What `nft -j list table`, or `list chains`, `list counters` and `list map` one by one, print of the panel's table.

    Raises NotListed.
    """
    taps: dict[Direction, dict[str, str]] = {direction: {} for direction in Direction}
    chains: dict[str, dict[str, None]] = {}
    counters: dict[str, dict[str, None]] = {}
    try:
        for text in texts:
            for entry in json.loads(text)["nftables"]:
                _take(entry, taps, chains, counters)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotListed(
            f"This is not what `nft -j list table` prints ({type(error).__name__}: {error}): give its output as it is."
        ) from None
    return Loaded(
        taps,
        {uid: tuple(names) for uid, names in chains.items()},
        {uid: tuple(names) for uid, names in counters.items()},
    )


def _take(
    entry: Mapping[str, Any],
    taps: dict[Direction, dict[str, str]],
    chains: dict[str, dict[str, None]],
    counters: dict[str, dict[str, None]],
) -> None:
    for kind, pattern, found in (("chain", _CHAIN, chains), ("counter", _COUNTER, counters)):
        one = entry.get(kind)
        if one and one["table"] == TABLE and (match := pattern.fullmatch(one["name"])):
            found.setdefault(match[1], {})[one["name"]] = None
    one = entry.get("map")
    if one and one["table"] == TABLE and one["name"] in _MAPS:
        for tap, verdict in one.get("elem", ()):
            if match := _CHAIN.fullmatch(verdict["jump"]["target"]):
                taps[_MAPS[one["name"]]][tap] = match[1]
