"""The compiler as the agent uses it: all that is asked of it stands here."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from securitygroups.agent.nft import Item
from securitygroups.agent.readback import led_to
from securitygroups.agent.state import Machine, Settings
from securitygroups.firewall.guests import SLOTS, slot, tag_of
from securitygroups.firewall.networks import parse_address
from securitygroups.firewall.nftables import (
    TABLE,
    TEXT_VERSION,
    Loaded,
    NotListed,
    Own,
    Tap,
    Target,
    Unenforceable,
    read_loaded,
    remove_loaded,
    skeleton,
    swap,
)
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Refused, Rule

__all__ = ["TABLE", "TEXT_VERSION", "Compiled", "Loaded", "NotListed", "Unenforceable", "tag_of"]

_TABLE = re.compile(r"^(?:add )?table (\w+) (\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A VM's list that can be said exactly. `text` is the hash of it, without what only people read."""

    tap: Tap
    rules: tuple[Rule, ...]
    addresses: tuple[str, ...]
    settings: Settings
    text: str

    def onto(self, loaded: Loaded) -> tuple[str, Loaded]:
        """The ruleset that puts it in the place of what is loaded of the VM, and what is loaded then."""
        taps = {
            direction: {tap: uid for tap, uid in there.items() if uid != self.tap.uid} | {self.tap.tap: self.tap.uid}
            for direction, there in ((each, loaded.taps.get(each, {})) for each in Direction)
        }
        return self._swapped(loaded), replace(loaded, taps=taps)

    def _swapped(self, loaded: Loaded) -> str:
        return swap(self.tap, self.rules, self.settings.target, before=loaded, tap_pattern=self.settings.taps)


def compiled(machine: Machine, rules: tuple[Rule, ...], settings: Settings) -> Compiled:
    """Raises Unenforceable with what of the list, or of the VM, cannot be said exactly."""
    own = Own(machine.mac.lower(), machine.addresses) if machine.held else None
    four, six = _first(machine.addresses, 4), _first(machine.addresses, 6)
    # A name is no reason to leave a VM without its rules: it only stands in a comment.
    tap = Tap(machine.uid, machine.tap, "", four, six, own, settings.log)
    made = Compiled(tap, rules, machine.addresses, settings, "")
    return replace(made, text=_hash(made._swapped(Loaded())))


def _first(addresses: Iterable[str], version: int) -> str | None:
    """Raises Unenforceable."""
    try:
        return next((address for address in addresses if parse_address(address)[0] == version), None)
    except Refused as refused:
        raise Unenforceable(f"One of its addresses cannot be read: {refused}") from None


def taken_away(uid: str, settings: Settings, loaded: Loaded) -> tuple[str, Loaded]:
    """The ruleset that takes a VM off the host, and what is loaded then."""
    taps = {each: {tap: whose for tap, whose in there.items() if whose != uid} for each, there in loaded.taps.items()}
    return remove_loaded(uid, loaded, settings.target), replace(loaded, taps=taps)


def host_text(settings: Settings) -> str:
    """What the host loads first and keeps. Raises Unenforceable."""
    return skeleton(settings.target, settings.taps)


def hash_of_host(settings: Settings) -> str:
    """Raises Unenforceable."""
    return _hash(host_text(settings))


def host_names(settings: Settings) -> frozenset[str]:
    """All words of what the host loads first; the names of its chains, maps and counters are among them."""
    return frozenset(host_text(settings).split())


def tables(settings: Settings) -> list[tuple[str, str]]:
    """Family and name of each table that the panel's rules are in. Raises Unenforceable."""
    return list(dict.fromkeys(_TABLE.findall(host_text(settings))))


def other_tables(settings: Settings) -> set[tuple[str, str]]:
    """Those that they would be in, were the VMs connected in another way. Raises Unenforceable."""
    others = {table for target in Target for table in tables(replace(settings, target=target))}
    return others - set(tables(settings))


def loaded_of(listed: Iterable[Item], settings: Settings) -> Loaded:
    """What of VMs is loaded, by what nft listed of all tables; elements that no compiler made are passed over.

    Raises NotListed.
    """
    of_vms = [_without_strange_elements(item) for item in listed if _is_of(item, settings.target.family)]
    return read_loaded(json.dumps({"nftables": of_vms}))


def _is_of(item: Item, family: str) -> bool:
    ((kind, body),) = item.items()
    return kind in ("chain", "counter", "map") and (body["family"], body["table"]) == (family, TABLE)


def _without_strange_elements(item: Item) -> Item:
    if "map" not in item:
        return item
    elements = [one for one in item["map"].get("elem", ()) if led_to(one) and isinstance(one[0], str)]
    return {"map": {**item["map"], "elem": elements}}


def accepted_by(mark: int, direction: Direction) -> int:
    """The tag of the VM whose list of this direction accepted a connection of this mark; 0 where none did."""
    return (mark & SLOTS[direction]) // slot(direction, 1)


def _hash(text: str) -> str:
    said = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
