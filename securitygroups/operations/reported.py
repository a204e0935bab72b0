"""What a host says of its interfaces, and which VMs are placed by that. What cannot be is kept as a conflict, with why.

A host takes a VM that stands nowhere. One that stands on another host comes over when that one has said itself that the VM
is gone, or was revoked. Where operators pinned a VM, nothing is moved.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection
from django.db.models import Q

from securitygroups.models import Host, Placement, VirtualMachine
from securitygroups.operations.by import By
from securitygroups.operations.hosts import fits
from securitygroups.operations.placements import Place, put, record_moves, write_placements

MOST_CONFLICTS = 200
"""That are kept of one host: whoever looks through more has another problem than these."""
_STILL_THERE = f"""
SELECT p.machine_id FROM {Placement._meta.db_table} p
JOIN {Host._meta.db_table} h ON h.id = p.host_id JOIN {VirtualMachine._meta.db_table} m ON m.id = p.machine_id
WHERE p.machine_id = ANY(%s) AND (jsonb_typeof(h.inventory) IS DISTINCT FROM 'array' OR EXISTS (
    SELECT FROM jsonb_array_elements(h.inventory) said WHERE said->>'vm' IN (m.public_id, nullif(m.external_id, ''))
))
"""  # noqa: S608 – names of our own tables


@dataclass(frozen=True, slots=True)
class Tap:
    """An interface, and what its host calls the VM behind it: the panel's ID, or the platform's external one."""

    tap: str
    vm: str
    mac: str = ""
    addresses: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the host's row keeps it."""
        return {"tap": self.tap, "vm": self.vm, "mac": self.mac, "addresses": list(self.addresses)}


Conflict = dict[str, str]
"""An interface (`tap`), what it was said to be of (`vm`), and `why` that places nothing."""


def follow_inventory(host: Host) -> list[Conflict]:
    """Place the VMs that the locked host has said it has. Returns what cannot be placed.

    Looked at without locks first, for mostly there is nothing to do.
    """
    taps = [Tap(one["tap"], one["vm"], one["mac"], tuple(one["addresses"])) for one in host.inventory or ()]
    if not taps or not host.takes:
        return []
    first = _Plan(host, taps).made()
    if not first.places:
        return first.conflicts[:MOST_CONFLICTS]
    live = VirtualMachine.objects.live().filter(pk__in=first.places).order_by("pk")
    machines = {one.pk: one for one in live.select_for_update(no_key=True, of=("self",)).select_related("project")}
    plan = _Plan(host, taps).made()
    # What would have to be moved since is not locked: the next report does it.
    plan.write({pk: machine for pk, machine in machines.items() if pk in plan.places})
    return plan.conflicts[:MOST_CONFLICTS]


@dataclass(slots=True)
class _Plan:
    """What follows from an inventory: where VMs go, by key, and what cannot be."""

    host: Host
    taps: Sequence[Tap]
    rows: dict[int, Placement] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)

    def made(self) -> "_Plan":
        """Reads what there is to know in two or three queries."""
        found = dict(self._one_each(self._resolved()))
        rows = Placement.objects.filter(Q(machine__in=found) | Q(host=self.host)).select_related("host", "machine")
        self.rows = {row.machine_id: row for row in rows}
        still = self._still_elsewhere(found)
        for pk, tap in found.items():
            self._look_at(pk, tap, still)
        while self._clear_interfaces(found):
            pass
        return self

    def write(self, machines: Mapping[int, VirtualMachine]) -> None:
        """Put these locked ones where the plan has them, each with its line on record."""
        rows, moves = [], []
        for pk, machine in machines.items():
            row = self.rows.get(pk) or Placement(machine=machine)
            before = Place.of(row)
            put(row, before, self.places[pk])
            rows.append(row)
            moves.append((machine, before, self.places[pk]))
        write_placements(rows)
        record_moves(moves, By(host=self.host.name))

    def _refuse(self, tap: Tap, why: str) -> None:
        self.conflicts.append({"tap": tap.tap, "vm": tap.vm, "why": why})

    def _resolved(self) -> Iterator[tuple[VirtualMachine, Tap]]:
        """The VM behind each interface, where it is one."""
        names = {tap.vm for tap in self.taps}
        # As the index of external IDs has it, which is only asked where this is said.
        external = ~Q(external_id="") & Q(external_id__in=names)
        live = VirtualMachine.objects.live().filter(Q(public_id__in=names) | external)
        by_name: dict[str, list[VirtualMachine]] = {}
        by_id: dict[str, VirtualMachine] = {}
        for machine in live.order_by("pk"):
            by_id[machine.public_id] = machine
            if machine.external_id:
                by_name.setdefault(machine.external_id, []).append(machine)
        for tap in self.taps:
            meant = [by_id[tap.vm]] if tap.vm in by_id else by_name.get(tap.vm, [])
            if not fits(tap.tap, self.host.taps):
                self._refuse(tap, f"The interface is not one of those for VMs here, {self.host.taps}.")
            elif len(meant) > 1:
                names_of = ", ".join(machine.public_id for machine in meant[:5])
                self._refuse(tap, f"{len(meant)} VMs of several projects have this external ID: {names_of}.")
            elif not meant:
                self._refuse(tap, "The panel has no VM of this ID.")
            else:
                yield meant[0], tap

    def _one_each(self, found: Iterable[tuple[VirtualMachine, Tap]]) -> Iterator[tuple[int, Tap]]:
        """A VM has one interface with rules: the one that it has had here, or else the first."""
        every: dict[int, list[Tap]] = {}
        for machine, tap in found:
            every.setdefault(machine.pk, []).append(tap)
        several = [pk for pk, taps in every.items() if len(taps) > 1]
        had = dict(Placement.objects.filter(host=self.host, machine__in=several).values_list("machine", "tap"))
        for pk, taps in every.items():
            one = next((tap for tap in taps if tap.tap == had.get(pk)), taps[0])
            for other in taps:
                if other is not one:
                    self._refuse(other, f"The VM has its rules at {one.tap}: this other interface passes nothing.")
            yield pk, one

    def _still_elsewhere(self, found: Iterable[int]) -> set[int]:
        """Those that stand on another host which has not said that they are gone."""
        others = [self.rows[pk] for pk in found if pk in self.rows]
        away = [row.machine_id for row in others if row.host and row.host != self.host and not row.host.revoked_at]
        if not away:
            return set()
        with connection.cursor() as cursor:
            cursor.execute(_STILL_THERE, [away])
            return {pk for (pk,) in cursor.fetchall()}

    def _look_at(self, pk: int, tap: Tap, still: set[int]) -> None:
        row = self.rows.get(pk)
        now = Place.of(row) if row else Place()
        # What the host does not say stays as operators have said it.
        mac, addresses = tap.mac or now.mac, tap.addresses or now.addresses
        wanted = replace(now, host=self.host, tap=tap.tap, mac=mac, addresses=addresses)
        if wanted == now:
            return
        if now.pinned:
            where = f"on {now.host}, {now.tap}" if now.host else "off all hosts"
            self._refuse(tap, f"Operators pinned the VM {where}.")
        elif pk in still:
            self._refuse(tap, f"The VM stands on {now.host}, which has not said that it is gone.")
        else:
            self.places[pk] = wanted

    def _clear_interfaces(self, found: Mapping[int, Tap]) -> bool:
        """Let no two VMs have one interface. Whoever had it and is not found here any more leaves the host; where it has to
        stay, the newcomer waits. Returns whether one of those was found, after which another may be in the way."""
        holders = {row.tap: row for row in self.rows.values() if row.host == self.host}
        for pk, place in list(self.places.items()):
            holder = holders.get(place.tap) if place.host else None
            if holder is None or holder.machine_id == pk or holder.machine_id in self.places:
                continue
            if holder.pinned or holder.machine_id in found:
                self._refuse(found[pk], f"{holder.machine} ({holder.machine.public_id}) has to keep this interface.")
                del self.places[pk]
                return True
            self.places[holder.machine_id] = replace(Place.of(holder), host=None, tap="")
        return False
