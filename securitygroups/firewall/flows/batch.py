"""Many packets at once, as columns of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet

NO_PORT = -1
IN, OUT = 0, 1
UNSAID, ACCEPTED, DENIED = 0, 1, 2
DIRECTIONS = (Direction.IN, Direction.OUT)

_LOW = (1 << 64) - 1

Rows = NDArray[np.intp] | NDArray[np.bool_] | slice


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Packets as columns of equal length, one row a packet.

    `direction` (uint8) is IN or OUT. `version` (uint8) is 4, 6, or 0 for a frame that is not IP; of such a frame no
    other column is looked at. `protocol` (uint8) is the IP protocol number. Each address is two uint64 columns, its
    upper and its lower 64 bits; the upper one is 0 for IPv4. `port` (int32) is the destination port, NO_PORT where
    the packet has none. `said` (uint8) is what the log itself tells of the verdict: UNSAID, ACCEPTED or DENIED.
    """

    direction: NDArray[np.uint8]
    version: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    source_high: NDArray[np.uint64]
    source_low: NDArray[np.uint64]
    destination_high: NDArray[np.uint64]
    destination_low: NDArray[np.uint64]
    port: NDArray[np.int32]
    said: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.version)

    def take(self, rows: Rows) -> "Batch":
        """The packets of `rows` (indexes, a mask or a slice), in that order."""
        if isinstance(rows, np.ndarray) and rows.dtype == np.bool_:
            # Going through a mask once is quicker than once for each column.
            rows = np.flatnonzero(rows)
        return Batch(*(getattr(self, name)[rows] for name in COLUMNS))

    def packet(self, row: int) -> Packet:
        """One row as a packet. Raises IndexError beyond the batch."""
        direction, version = DIRECTIONS[int(self.direction[row])], int(self.version[row])
        if version == 0:
            return Packet(direction)
        port = int(self.port[row])
        return Packet(
            direction,
            version,
            int(self.protocol[row]),
            int(self.source_high[row]) << 64 | int(self.source_low[row]),
            int(self.destination_high[row]) << 64 | int(self.destination_low[row]),
            None if port == NO_PORT else port,
        )


COLUMNS = tuple(field.name for field in fields(Batch))
_TYPES = (np.uint8, np.uint8, np.uint8, np.uint64, np.uint64, np.uint64, np.uint64, np.int32, np.uint8)


def empty() -> Batch:
    """A batch of no packets."""
    return Batch(*(np.zeros(0, kind) for kind in _TYPES))  # type: ignore[arg-type]


def of_packets(packets: Sequence[Packet]) -> Batch:
    """Single packets as a batch; readers of logs fill columns directly."""
    if not packets:
        return empty()
    rows = [
        (
            DIRECTIONS.index(packet.direction),
            packet.version or 0,
            packet.protocol or 0,
            (packet.source or 0) >> 64,
            (packet.source or 0) & _LOW,
            (packet.destination or 0) >> 64,
            (packet.destination or 0) & _LOW,
            NO_PORT if packet.port is None else packet.port,
            UNSAID,
        )
        for packet in packets
    ]
    kinds = (getattr(empty(), name).dtype for name in COLUMNS)
    return Batch(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)))


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of all rows, in order."""
    if not batches:
        return empty()
    return Batch(*(np.concatenate([getattr(batch, name) for batch in batches]) for name in COLUMNS))
