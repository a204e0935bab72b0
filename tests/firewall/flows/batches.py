"""Batches of single packets, and the verdict on them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import Batch, of_packets
from securitygroups.firewall.flows.compiled import CompiledList, Places
from securitygroups.firewall.values import Packet, RuleList


def judge(rules: RuleList, batch: Batch) -> tuple[NDArray[np.bool_], Places]:
    """As CompiledList.judge, of a list that is compiled for it."""
    return CompiledList(rules).judge(batch)


def from_packets(packets: Iterable[Packet]) -> Batch:
    return of_packets(list(packets))
