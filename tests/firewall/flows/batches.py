"""Batches of single packets, and the verdict on them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import COLUMNS, DIRECTIONS, NO_PORT, UNSAID, Batch, empty
from securitygroups.firewall.flows.compiled import CompiledList, Places
from securitygroups.firewall.values import Packet, RuleList

_TYPES = [getattr(empty(), name).dtype for name in COLUMNS]
_LOW = (1 << 64) - 1


def judge(rules: RuleList, batch: Batch) -> tuple[NDArray[np.bool_], Places]:
    """As CompiledList.judge, of a list that is compiled for it."""
    return CompiledList(rules).judge(batch)


def from_packets(packets: Iterable[Packet]) -> Batch:
    """A batch from single packets; readers of logs fill columns directly."""
    rows: list[tuple[int, ...]] = []
    for packet in packets:
        source, destination = packet.source or 0, packet.destination or 0
        rows.append(
            (
                DIRECTIONS.index(packet.direction),
                packet.version or 0,
                packet.protocol or 0,
                source >> 64,
                source & _LOW,
                destination >> 64,
                destination & _LOW,
                NO_PORT if packet.port is None else packet.port,
                UNSAID,
            )
        )
    if not rows:
        return empty()
    columns: list[Any] = [np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), _TYPES, strict=True)]
    return Batch(*columns)
