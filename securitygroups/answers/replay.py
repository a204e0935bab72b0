"""A flow log replayed: on a group's list, or on the effective lists of VMs, in bounded time and memory."""

import io
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from time import monotonic
from typing import Any

from django.db.models import QuerySet

from securitygroups.answers.exposure import address_number
from securitygroups.effective import Fleet, Group, Home, Limits, Placed, Vm, fleet
from securitygroups.firewall.flows.compressed import Through
from securitygroups.firewall.flows.fleets import ByVm, Lists
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.flows.whatif import Comparison, Judge, Report, Run, Until
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import BITS, Network, Packet, Rule, RuleList
from securitygroups.models import SecurityGroup, VirtualMachine

GROUPS = 15
"""Groups of flows that are shown of each kind."""
MAX_RULES = 100_000
"""Stored rules that a project's log is judged by: some 200 MB of tables at the most."""
LIMITS = Limits(MAX_RULES, 2_000_000)
"""The lists that they make are not built: how long these are together says little."""


class OutOfTime(Exception):
    """The log went on past the limit without a flow to judge."""


class _Timed(Through):
    """A stream that ends in OutOfTime: compressed nothing would otherwise be read for hours."""

    def __init__(self, stream: Any, until: float) -> None:
        super().__init__(stream)
        self._until = until

    def read(self, size: int, /) -> bytes:
        if monotonic() > self._until:
            raise OutOfTime
        data: bytes = self._stream.read(size)
        return data


# ── What it is replayed on ────────────────────────────────────────────────────


class OnGroup:
    """A group's own list, and the one to compare it with, if there is one."""

    def __init__(
        self, group: SecurityGroup, rules: RuleList, proposed: RuleList | None, local: Sequence[Network]
    ) -> None:
        self.groups, self.local = [Group(Home.of(group), tuple(rules))], local
        own = self.groups[0].rules
        self.judge: Judge = Comparison(own, own if proposed is None else proposed)

    def vm_at(self, version: int, address: int) -> Vm | None:
        return None

    def first_group(self, packet: Packet) -> str:
        return self.groups[0].home.public_id


class OnVms:
    """The effective lists of VMs: each judges the flows to and from its own addresses."""

    def __init__(self, vms: Fleet) -> None:
        self.vms, self.groups = vms, list(vms.groups.values())
        place = {pk: at for at, pk in enumerate(vms.groups)}
        self._at = {end: vm for vm, one in enumerate(vms.machines) for end in _ends(one)}
        self.local = [Network(version, address, BITS[version]) for version, address in self._at]
        orders = [[place[pk] for pk in sequence] for sequence in vms.sequences]
        owned = [(*end, vm) for end, vm in self._at.items()]
        self.by_vm = ByVm(Lists([group.rules for group in self.groups], orders, vms.sequence_of, owned))
        self.judge: Judge = self.by_vm

    def vm_at(self, version: int, address: int) -> Vm | None:
        vm = self._at.get((version, address))
        return None if vm is None else self.vms.machines[vm]

    def first_group(self, packet: Packet) -> str:
        own = packet.destination if packet.direction is Direction.IN else packet.source
        vm = 0 if packet.version is None else self._at.get((packet.version, own or 0))
        groups = [] if vm is None else [self.vms.groups[pk] for pk in self.vms.sequences[self.vms.sequence_of[vm]]]
        # As the packet test has it: the group of the list's first rule.
        named = next((group for group in groups if group.rules), groups[0] if groups else None)
        return named.home.public_id if named else ""


Target = OnGroup | OnVms
"""What a log is replayed on: whose addresses are the VMs' own, and which lists judge. Its rules are numbered from 1, those
of the first of its `groups` first. `vm_at` is the VM that has an address, `first_group` the group that a rule for a packet
would go into that no rule matches, "" where there is none."""


def _ends(vm: Vm) -> list[tuple[int, int]]:
    pairs = ((4, address_number(vm.ipv4)), (6, address_number(vm.ipv6)))
    return [(version, address) for version, address in pairs if address is not None]


def on_vms(rows: QuerySet[VirtualMachine]) -> OnVms:
    """The VMs with their lists. Raises TooLarge."""
    return OnVms(fleet(rows.order_by("name", "pk"), LIMITS))


class Places:
    """The rules of a target by number."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups, self._ends = groups, list(accumulate(len(group.rules) for group in groups))

    def at(self, number: int | None) -> Placed | None:
        """The rule of this number; None for that of flows that no rule matches."""
        if not number:
            return None
        index = bisect_left(self._ends, number)
        group = self._groups[index]
        own = number - (self._ends[index - 1] if index else 0)
        return Placed(group.rules[own - 1], group.home, own)

    def unused(self, hits: Sequence[int]) -> Iterator[int]:
        """The numbers of the enabled rules that decided no flow."""
        rules: Iterator[Rule] = (rule for group in self._groups for rule in group.rules)
        return (number for number, rule in enumerate(rules, 1) if rule.enabled and not hits[number])


# ── The replay ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: records, and bytes of how many."""

    records: int
    taken: int
    size: int


class Replay:
    """An uploaded log that is judged in so many seconds: iterate over it for how far it has come, then ask for the report."""

    def __init__(self, target: Target, log: Any, seconds: float) -> None:
        stream = io.BufferedReader(log.file) if isinstance(log.file, io.RawIOBase) else log.file
        stream.seek(0)
        self._target, self._seconds, self._size, self._file = target, seconds, log.size or 0, stream
        # The engine looks at its clock after each block of flows; the stream's own limit is for logs without any.
        self._stream = _Timed(stream, monotonic() + seconds * 1.5)
        self._run: Run | None = None

    def __iter__(self) -> Iterator[Progress]:
        """Raises BadDocument, OutOfTime."""
        log = FlowLog(self._stream, tuple(self._target.local))
        self._run = Run(self._target.judge, log, Until(seconds=self._seconds, clock=monotonic))
        for _ in self._run:
            yield Progress(log.records, self._file.tell(), self._size)

    def report(self) -> Report:
        if self._run is None:
            raise ValueError("Nothing was read yet.")
        return self._run.report(GROUPS)
