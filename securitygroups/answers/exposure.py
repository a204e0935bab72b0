"""A project as the exposure page shows it: its VMs and lists read in a few queries, and what the analysis says of them.

What is too much for one page is left out and counted, never passed over in silence.
"""

import socket
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate, islice

import numpy as np
from django.db.models import Q, QuerySet
from numpy.typing import NDArray

from securitygroups.effective import Fleet, Limits, Listed, Placed, Vm, fleet, rules_of
from securitygroups.firewall.analysis import reach as analysis
from securitygroups.firewall.analysis.internet import LARGE
from securitygroups.firewall.analysis.products import AddressRange
from securitygroups.firewall.analysis.public import share
from securitygroups.firewall.values import Rule, parse_address, protocol_number
from securitygroups.models import Attachment, Project, VirtualMachine
from securitygroups.words.traffic import count_text, ranges_text

MAX_RULES = 100_000
"""Stored rules that are read for one page: some two seconds. Beyond, a search has to choose VMs."""
MAX_EFFECTIVE = 400_000
"""Rules in all different effective lists together: some two seconds of comparing VMs."""
MAX_MATRIX = 2_000
"""VMs that are compared with each other at once: four million pairs."""
LIMITS = Limits(MAX_RULES, MAX_EFFECTIVE)


class Landscape:
    """The VMs of a fleet as the exposure's analysis takes them."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.machines = fleet.machines

    @cached_property
    def parts(self) -> list[list[tuple[Rule, ...]]]:
        """The lists that the effective list of each sequence is made of."""
        return [[self.fleet.groups[pk].rules for pk in sequence] for sequence in self.fleet.sequences]

    @cached_property
    def lists(self) -> list[tuple[Rule, ...]]:
        """The effective list of each sequence."""
        return [self.fleet.rules(sequence) for sequence in range(len(self.fleet.sequences))]

    @cached_property
    def values(self) -> list[analysis.Endpoint]:
        """The VMs as the analysis takes them, known by their index."""
        pairs = zip(self.machines, self.fleet.sequence_of, strict=True)
        return [
            analysis.Endpoint(index, sequence, address_number(vm.ipv4), address_number(vm.ipv6))
            for index, (vm, sequence) in enumerate(pairs)
        ]

    def group_names(self, sequence: int) -> list[str]:
        """The groups of a sequence, in order."""
        return [self.fleet.groups[pk].home.name for pk in self.fleet.sequences[sequence]]

    @property
    def without_address(self) -> list[Vm]:
        """VMs with groups of which nothing can be said: no address of theirs is known."""
        pairs = zip(self.machines, self.fleet.sequence_of, strict=True)
        return [vm for vm, its in pairs if self.fleet.sequences[its] and not vm.addresses]


def address_number(address: str | None) -> int | None:
    """A stored address as a number: it was looked at when it came in."""
    if not address:
        return None
    return int.from_bytes(socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address))


def chosen(project: Project, query: str = "") -> QuerySet[VirtualMachine]:
    """The project's VMs whose name, description, ID, or name of a group has the text; all of them when it is empty."""
    rows: QuerySet[VirtualMachine] = VirtualMachine.objects.live().filter(project=project)
    if query:
        named = Attachment.objects.filter(group__project=project, group__name__icontains=query).values("machine")
        rows = rows.filter(
            Q(name__icontains=query)
            | Q(description__icontains=query)
            | Q(public_id__iexact=query.strip())
            | Q(pk__in=named)
        )
    return rows.order_by("name", "pk")


def load(rows: QuerySet[VirtualMachine], limit: int | None = None, limits: Limits = LIMITS) -> Landscape:
    """The VMs (the first `limit`) with their lists. Raises TooLarge."""
    return Landscape(fleet(rows[:limit], limits))


# ── Who reaches a port of a VM ────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Sender:
    """Who gets in through one rule: sources of a family, and which VMs of the project are among them."""

    version: int
    sources: str
    count: str
    everyone: bool
    through: Placed
    machines: tuple[Vm, ...]


def senders(
    machine: VirtualMachine,
    listed: Listed,
    protocol: str,
    port: int | None,
    others: Iterable[Vm] = (),
) -> list[Sender]:
    """Who may open a connection to the port: a line for each accepting rule and family that the VM has an address of.

    `listed` is its effective list, `others` the VMs that are looked for among the sources.
    """
    everybody = [vm for vm in others if vm.pk != machine.pk]
    return [
        sender
        for version, own in ((4, machine.ipv4), (6, machine.ipv6))
        if own
        for sender in _senders_of(listed, (version, parse_address(own)[1]), protocol, port, everybody)
    ]


def _senders_of(
    listed: Listed, own: tuple[int, int], protocol: str, port: int | None, everybody: Sequence[Vm]
) -> Iterator[Sender]:
    """The senders of one family, to the VM's address in it."""
    version, address = own
    ranked = sorted((address_number(vm.ipv4 if version == 4 else vm.ipv6) or -1, at) for at, vm in enumerate(everybody))
    number = protocol_number(protocol, version)
    for one in analysis.who_can_reach(rules_of(listed), version, address, number, port):
        yield Sender(
            version=version,
            sources=ranges_text(one.sources),
            count=count_text(sum(r.size for r in one.sources)),
            everyone=share(one.sources, version) >= LARGE,
            through=listed[one.rule - 1],
            machines=tuple(everybody[at] for at in sorted(_among(one.sources, ranked))),
        )


def _among(ranges: Sequence[AddressRange], ranked: list[tuple[int, int]]) -> list[int]:
    """The second numbers of sorted pairs whose first numbers lie in the ranges."""
    return [
        at
        for _, first, last in ranges
        for _, at in ranked[bisect_left(ranked, (first, -1)) : bisect_right(ranked, (last, len(ranked)))]
    ]


# ── Between VMs ───────────────────────────────────────────────────────────────


class State(StrEnum):
    """What one field of the matrix says about the pairs that it stands for."""

    ALL = "all"
    SOME = "some"
    NONE = "none"
    SELF = "self"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A line of the matrix: one VM, or the VMs of one sequence."""

    machines: tuple[Vm, ...]
    groups: tuple[str, ...]

    @property
    def label(self) -> str:
        first = self.machines[0].name
        return first if len(self.machines) == 1 else f"{first} + {len(self.machines) - 1}"

    def addresses(self, version: int) -> list[str]:
        """The addresses of its first two VMs that have one of the family."""
        return list(islice(filter(None, (vm.ipv4 if version == 4 else vm.ipv6 for vm in self.machines)), 2))


@dataclass(frozen=True, slots=True)
class Cell:
    """`reached` of `pairs` pairs pass; `why` tells whose rules are in the way of the others. `ends` are the addresses of
    a pair that the field stands for, sender and receiver, where there is one."""

    state: State
    reached: int
    pairs: int
    why: str
    ends: tuple[str, str] | None = None

    @property
    def word(self) -> str:
        return {State.ALL: "yes", State.NONE: "no"}.get(self.state, f"{self.reached}/{self.pairs}")


@dataclass(frozen=True, slots=True)
class Reach:
    """Who reaches whom: rows are senders. The numbers are sums over the pairs of two bundles."""

    bundles: tuple[Bundle, ...]
    pairs: NDArray[np.int64]
    reaches: NDArray[np.int64]
    sends: NDArray[np.int64]
    receives: NDArray[np.int64]
    same: NDArray[np.bool_]
    version: int = 4

    def _ends(self, row: int, column: int) -> tuple[str, str] | None:
        senders, receivers = (self.bundles[at].addresses(self.version) for at in (row, column))
        # Among VMs with equal groups, one sends to another.
        return (senders[0], receivers[-1 if row == column else 0]) if senders and receivers else None

    def cell(self, row: int, column: int) -> Cell:
        """One field in words."""
        pairs, reached = int(self.pairs[row, column]), int(self.reaches[row, column])
        if not pairs:
            state = State.SELF if self.same[row, column] else State.ABSENT
            return Cell(state, 0, 0, "the VM itself" if state is State.SELF else "no address of this family")
        ends = self._ends(row, column)
        if reached == pairs:
            return Cell(State.ALL, reached, pairs, "accepted", ends)
        out, into = int(self.sends[row, column]) < pairs, int(self.receives[row, column]) < pairs
        whose = " and ".join(
            text for text, is_so in (("the sender's Out rules", out), ("the receiver's In rules", into)) if is_so
        )
        if reached:
            return Cell(State.SOME, reached, pairs, f"{reached:,} of {pairs:,} pairs accepted", ends)
        return Cell(State.NONE, 0, pairs, f"denied by {whose}", ends)


def reach(land: Landscape, protocol: str, port: int | None, version: int, *, each: bool) -> Reach:
    """The matrix of these VMs for one protocol and port; `each`: a line for every VM, else one for each sequence."""
    if not land.machines:
        nothing = np.zeros((0, 0), np.int64)
        return Reach((), nothing, nothing, nothing, nothing, nothing.astype(np.bool_))
    found = analysis.matrix(land.lists, land.values, protocol_number(protocol, version), port, version)
    size = len(land.machines)
    members = _members(range(size) if each else land.fleet.sequence_of)
    order = np.array([at for its in members for at in its], np.int64)
    starts = list(accumulate((len(its) for its in members[:-1]), initial=0))
    present = found.present & ~np.eye(size, dtype=np.bool_)

    def summed(pairs: NDArray[np.bool_]) -> NDArray[np.int64]:
        sorted_pairs = (pairs & present)[np.ix_(order, order)]
        rows: NDArray[np.int64] = np.add.reduceat(sorted_pairs, starts, axis=0, dtype=np.int64)
        both: NDArray[np.int64] = np.add.reduceat(rows, starts, axis=1)
        return both

    return Reach(
        bundles=tuple(_bundle(land, its) for its in members),
        pairs=summed(present),
        reaches=summed(found.reaches),
        sends=summed(found.sends),
        receives=summed(found.receives),
        same=np.eye(len(members), dtype=np.bool_) & np.array([len(its) == 1 for its in members])[:, None],
        version=version,
    )


def _members(bundle_of: Sequence[int]) -> list[list[int]]:
    """The VMs of each bundle, by index; bundles in the order of their numbers."""
    members: dict[int, list[int]] = {}
    for at, bundle in enumerate(bundle_of):
        members.setdefault(bundle, []).append(at)
    return [members[bundle] for bundle in sorted(members)]


def _bundle(land: Landscape, its: Sequence[int]) -> Bundle:
    # All of a bundle have the same groups, so the first tells.
    groups = land.group_names(land.fleet.sequence_of[its[0]])
    return Bundle(tuple(land.machines[at] for at in its), tuple(groups))
