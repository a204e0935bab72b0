"""Whose the addresses of many packets are: looked up in sorted columns, however many addresses there are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.values import BITS, Network

NOBODY = -1

Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]
Versions = NDArray[np.uint8]
Owners = NDArray[np.int32]

_LOW = (1 << 64) - 1


class Addresses:
    """Single addresses, each with the number of its owner. Where one has two owners it is the first one's."""

    def __init__(self, owned: Sequence[tuple[int, int, int]]) -> None:
        """(family, address, owner) of each."""
        self._four = _Sorted([(address, owner) for version, address, owner in owned if version == 4])
        six = [(address >> 64, address & _LOW, owner) for version, address, owner in owned if version == 6]
        self._high, self._low = (np.unique(np.array(half, np.uint64)) for half in _halves(six))
        # Both halves as places among those that there are fit into one number together.
        place = (
            (int(np.searchsorted(self._high, np.uint64(high))), int(np.searchsorted(self._low, np.uint64(low))), owner)
            for high, low, owner in six
        )
        self._six = _Sorted([(high * len(self._low) + low, owner) for high, low, owner in place])

    def owners(self, version: Versions, high: Words, low: Words) -> Owners:
        """The owner of each address, NOBODY where it has none or the frame has no address."""
        found = np.full(len(version), NOBODY, np.int32)
        rows = np.flatnonzero(version == 4)
        found[rows] = self._four.owners(low.take(rows))
        rows = np.flatnonzero(version == 6)
        if rows.size and self._high.size:
            (upper, has_upper), (lower, has_lower) = (
                _place(self._high, high.take(rows)),
                _place(self._low, low.take(rows)),
            )
            rows, both = rows[has_upper & has_lower], upper * len(self._low) + lower
            found[rows] = self._six.owners(both[has_upper & has_lower].astype(np.uint64))
        return found


def _halves(six: Sequence[tuple[int, int, int]]) -> tuple[list[int], list[int]]:
    return [high for high, _, _ in six], [low for _, low, _ in six]


def _place(numbers: Words, wanted: Words) -> tuple[NDArray[np.intp], Mask]:
    """Where each number stands among the sorted ones, and whether it does."""
    place = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
    return place, numbers.take(place) == wanted


class _Sorted:
    """Numbers with their owners."""

    def __init__(self, owned: Sequence[tuple[int, int]]) -> None:
        numbers, first = np.unique(np.array([number for number, _ in owned], np.uint64), return_index=True)
        self._numbers: Words = numbers
        self._owners = np.array([owner for _, owner in owned], np.int32).take(first)

    def owners(self, wanted: Words) -> Owners:
        if not self._numbers.size:
            return np.full(len(wanted), NOBODY, np.int32)
        place, there = _place(self._numbers, wanted)
        return np.where(there, self._owners.take(place), np.int32(NOBODY))


class Local:
    """The VMs' own addresses: few networks, and as many single ones as there are."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._any = bool(networks)
        single = [one for one in networks if one.prefix == BITS[one.version]]
        self._single = Addresses([(one.version, one.first, 0) for one in single])
        self._networks = [one for one in networks if one.prefix != BITS[one.version]]

    def __bool__(self) -> bool:
        """Whether any were named."""
        return self._any

    def has(self, version: Versions, high: Words, low: Words) -> Mask:
        """Which addresses are among them."""
        inside: Mask = self._single.owners(version, high, low) != NOBODY
        for network in self._networks:
            spare = BITS[network.version] - network.prefix
            match = version == network.version
            if spare < 64:
                match &= low >> np.uint64(spare) == np.uint64((network.first & _LOW) >> spare)
                match &= high == np.uint64(network.first >> 64)
            elif spare < 128:
                match &= high >> np.uint64(spare - 64) == np.uint64(network.first >> spare)
            inside |= match
        return inside
