"""Packets that were told, gathered for the next report: equal ones once, with how often there were."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from securitygroups.agent.nflog import Told
from securitygroups.agent.packets import Seen, seen
from securitygroups.agent.state import is_id
from securitygroups.agent.vectors import Vector

MOST = 1000
"""Different ones between two reports; what is more is counted as missed."""
DROP, ACCEPT = "drop", "accept"

VectorAt = Callable[[str, float], Vector | None]
"""Of what the list of a VM was made that was in force at a time in Unix seconds."""


class Why(NamedTuple):
    """A prefix in parts: whose packet, "in" or "out", and why it is told; `rule` is the uid of the rule that decided it."""

    uid: str
    direction: str
    reason: str
    rule: str


def why(prefix: str) -> Why | None:
    """None for what another program has logged into the same group."""
    parts = prefix.split(".")
    if len(parts) == 3 and parts[1] in ("in", "out") and is_id(parts[0]) and is_id(parts[2]):
        return Why(parts[0], parts[1], parts[2], "")
    if len(parts) == 4 and parts[1] in ("in", "out") and parts[2] in ("rule", "place") and is_id(parts[0]):
        return Why(parts[0], parts[1], "rule", parts[3] if parts[2] == "rule" and is_id(parts[3]) else "")
    return None


@dataclass
class _Gathered:
    at: float
    source_port: int | None
    times: int


_Key = tuple[Why, Vector | None, Seen]


@dataclass
class Samples:
    """One thread adds, another takes. `missed` is what was told and is not in them."""

    _vector_at: VectorAt
    _gathered: dict[_Key, _Gathered] = field(default_factory=dict)
    _missed: int = 0
    _lock: Lock = field(default_factory=Lock)

    def add(self, told: Told) -> None:
        """One packet that the kernel has told."""
        reason = why(told.prefix)
        if reason is None:
            return
        packet = seen(told.ethertype, told.data)
        # Many ports of one sender are one matter.
        key = (reason, self._vector_at(reason.uid, told.at), packet._replace(source_port=None))
        with self._lock:
            self._put(key, _Gathered(told.at, packet.source_port, 1))

    def _put(self, key: _Key, one: _Gathered) -> None:
        there = self._gathered.get(key)
        if there is not None:
            one = _Gathered(max(one.at, there.at), one.source_port, one.times + there.times)
        elif len(self._gathered) >= MOST:
            self._missed += one.times
            return
        self._gathered[key] = one

    def miss(self, number: int) -> None:
        """So many were told, and are lost."""
        with self._lock:
            self._missed += number

    def take(self) -> tuple[list[dict[str, Any]], int]:
        """All that was gathered, for a report; and how many were missed. From then on they are the reporter's to keep."""
        with self._lock:
            gathered, self._gathered = self._gathered, {}
            missed, self._missed = self._missed, 0
        return [_document(key, one) for key, one in gathered.items()], missed


def _document(key: _Key, one: _Gathered) -> dict[str, Any]:
    reason, vector, packet = key
    return {
        "vm": reason.uid,
        "at": int(one.at),
        "direction": reason.direction,
        "verdict": ACCEPT if reason.reason == ACCEPT else DROP,
        "reason": reason.reason,
        "rule": reason.rule,
        "vector": vector.document() if vector else None,
        "version": packet.version,
        "protocol": packet.protocol,
        "source": packet.source,
        "destination": packet.destination,
        "source_port": one.source_port,
        "port": packet.port,
        "kind": packet.kind,
        "times": one.times,
    }
