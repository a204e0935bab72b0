"""On which host a VM stands, by which interface, and what it may send as: said by operators here, by hosts in reported.py."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from securitygroups.firewall.values import Refused, machine_address
from securitygroups.models import Event, Host, Placement, VirtualMachine
from securitygroups.models.hosts import MOST_ADDRESSES
from securitygroups.operations.by import By
from securitygroups.operations.hosts import fits, lock_host
from securitygroups.operations.records import Conflict, Verb, event, lock_machine, record_all

TAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
"""The name of a network interface as rulesets take it."""
_MAC = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a VM stands, and as what it may send. Without a host it stands nowhere, and no agent enforces anything; its
    interface may be known all the same."""

    host: Host | None = None
    tap: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()
    held: bool = True
    pinned: bool = False

    @classmethod
    def of(cls, row: Placement) -> "Place":
        """As it is stored, and that of a new row: nowhere."""
        return cls(row.host, row.tap, row.mac, tuple(row.addresses), row.held, row.pinned)

    @property
    def told(self) -> tuple[object, ...]:
        """What its host has to know."""
        return (self.host and self.host.pk, self.tap, self.mac, self.addresses, self.held)


@transaction.atomic
def place_machine(*, machine: VirtualMachine, place: Place, base: int, by: By) -> Placement:
    """Let the VM stand there, as operators say. `base` is the number of the placement that was looked at, 0 for none.

    Raises Conflict where it is another one by now, ValidationError.
    """
    by.check()
    host = lock_host(place.host) if place.host else None
    locked = lock_machine(machine)
    placement = _placement(locked)
    number = placement.number if placement.pk else 0
    if number != base:
        raise Conflict(number)
    place = check_place(replace(place, host=host), locked)
    before = Place.of(placement)
    if place == before:
        return placement
    put(placement, before, place)
    placement.save()
    record_moves([(locked, before, place)], by)
    return placement


def _placement(machine: VirtualMachine) -> Placement:
    """Of a locked VM, whose placement nobody else changes; a new one, which is not stored yet, where it has none."""
    found = Placement.objects.select_related("host").filter(machine=machine).first()
    return found or Placement(machine=machine)


def put(placement: Placement, before: Place, place: Place) -> None:
    """Give the row these values, and another number where the host has to know of it. It is not stored yet."""
    for name in ("host", "tap", "mac", "held", "pinned"):
        setattr(placement, name, getattr(place, name))
    placement.addresses = list(place.addresses)
    if place.told != before.told:
        placement.since = timezone.now()
        placement.number += 1 if placement.pk else 0


def check_place(place: Place, machine: VirtualMachine) -> Place:
    """As it is kept. Raises ValidationError, each at its field."""
    problems: dict[str, str] = {}
    kept: dict[str, Any] = {}
    reads: dict[str, Callable[[], Any]] = {
        "mac": lambda: to_mac(place.mac),
        "addresses": lambda: to_addresses(place.addresses),
    }
    for name, read in reads.items():
        try:
            kept[name] = read()
        except ValidationError as refusal:
            problems[name] = refusal.messages[0]
    problems |= _where_problems(place, machine)
    if problems:
        raise ValidationError({name: words.replace("%", "%%") for name, words in problems.items()})
    return replace(place, **kept)


def _where_problems(place: Place, machine: VirtualMachine) -> dict[str, str]:
    host, tap = place.host, place.tap
    if host is not None and host.revoked_at is not None:
        return {"host": f"{host} was revoked: choose another host, or enrol it again first."}
    if host is not None and not tap:
        return {"tap": "Type the VM's interface on the host."}
    if tap and not TAP.fullmatch(tap):
        return {"tap": "Type the name of one network interface, of 15 characters at most, such as tap0."}
    return _on_host_problems(host, tap, machine) if host else {}


def _on_host_problems(host: Host, tap: str, machine: VirtualMachine) -> dict[str, str]:
    if not fits(tap, host.taps):
        return {"tap": f"{tap} is not one of the host's interfaces for VMs, {host.taps}: nothing would be enforced."}
    other = _other_on(host, tap, machine)
    return {"tap": f"{other} has this interface on {host}: take it off first."} if other else {}


def _other_on(host: Host, tap: str, machine: VirtualMachine) -> VirtualMachine | None:
    rows = Placement.objects.filter(host=host, tap=tap).exclude(machine=machine).select_related("machine")
    found = rows.first()
    return found.machine if found else None


def to_mac(text: str) -> str:
    """In one spelling, "" for none. Raises ValidationError."""
    digits = re.sub(r"[:.\- ]", "", text.strip().lower())
    if not digits:
        return ""
    if not _MAC.fullmatch(digits) or digits[1] not in "02468ace":
        raise ValidationError("Type the address of one network card, such as 52:54:00:12:34:56.")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def to_addresses(texts: Sequence[str]) -> tuple[str, ...]:
    """In one spelling, each once, IPv4 first. Raises ValidationError."""
    if len(texts) > MOST_ADDRESSES:
        raise ValidationError(f"These are {len(texts)} addresses: {MOST_ADDRESSES} is the most.")
    found = []
    for text in texts:
        try:
            found.append(machine_address(text, 6 if ":" in text else 4))
        except Refused as refused:
            raise ValidationError(refused.problem.message.replace("%", "%%")) from None
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (":" in one, one)))


def moved_words(machine: VirtualMachine, before: Place, after: Place) -> str:
    """What the project reads of it."""
    if before.host == after.host:
        where = f" on the host {after.host}" if after.host else ""
        return f"Changed where {machine.name} stands{where}: {', '.join(_differing(before, after))}."
    if after.host is None:
        return f"Took {machine.name} off the host {before.host}: nothing is enforced for it now."
    if before.host is None:
        return f"Placed {machine.name} on the host {after.host}, interface {after.tap}."
    return f"Moved {machine.name} from the host {before.host} to the host {after.host}, interface {after.tap}."


def _differing(before: Place, after: Place) -> list[str]:
    said = {
        "tap": f"its interface is {after.tap} now" if after.tap else "its interface is not known any more",
        "mac": f"its MAC address is {after.mac or 'not known'} now",
        "addresses": f"it may send from {', '.join(after.addresses) or 'the addresses that it has in the panel'}",
        "held": "it may send only as itself" if after.held else "it may send as others",
        "pinned": "operators pinned it" if after.pinned else "it is no longer pinned",
    }
    return [words for name, words in said.items() if getattr(before, name) != getattr(after, name)]


def moved_detail(before: Place, after: Place) -> dict[str, object]:
    """The same for programs."""
    return {"before": _plain(before), "after": _plain(after)}


def _plain(place: Place) -> dict[str, object]:
    return {
        "host": place.host.name if place.host else None,
        "interface": place.tap,
        "mac": place.mac,
        "addresses": list(place.addresses),
        "held": place.held,
        "pinned": place.pinned,
    }


def take_off(machines: Collection[int]) -> None:
    """Locked VMs that are deleted stand nowhere any more; that they are deleted is on record. Their hosts take their rules away,
    and pass nothing of theirs (one statement)."""
    rows = Placement.objects.filter(machine__in=machines, host__isnull=False)
    rows.update(host=None, tap="", pinned=False, number=F("number") + 1, since=timezone.now())


def readdressed(machines: Collection[int]) -> None:
    """Locked VMs have other addresses of their own: where nobody else has said what they send from, their hosts have to know
    (one statement)."""
    rows = Placement.objects.filter(machine__in=machines, host__isnull=False, addresses=[])
    rows.update(number=F("number") + 1, since=timezone.now())


def write_placements(placements: Iterable[Placement]) -> None:
    """Store many that `put` has changed, new ones too."""
    every = list(placements)
    fields = ["host", "tap", "mac", "addresses", "held", "pinned", "number", "since"]
    Placement.objects.bulk_update([one for one in every if one.pk], fields, batch_size=500)
    Placement.objects.bulk_create([one for one in every if not one.pk], batch_size=500)


def record_moves(moves: Sequence[tuple[VirtualMachine, Place, Place]], by: By) -> None:
    """A line for each in its project's activity."""
    record_all([_moved(machine, before, after, by) for machine, before, after in moves])


def _moved(machine: VirtualMachine, before: Place, after: Place, by: By) -> Event:
    words, detail = moved_words(machine, before, after), moved_detail(before, after)
    return event(machine.project, Verb.MACHINE_PLACED, words, by=by, machine=machine, detail=detail)
