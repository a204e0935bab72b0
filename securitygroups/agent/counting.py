"""How often each rule and each line of the platform was met since the panel was told last."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.firewall.nftables.counters import Counted, Hits

Counters = Mapping[Counted, Hits]
KINDS = ("rule", "in", "out")
MOST = 10_000
"""Counters in one report; the others come with the next one."""


class Counting:
    """`file` keeps what was told, for as long as the kernel keeps its counters."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told: dict[Counted, Hits] | None = _read(file)
        self._sent: dict[Counted, Hits] = {}

    def begin(self, counters: Counters) -> None:
        """What the kernel counts when the agent starts. Where nobody has kept what was told of it, it was told."""
        if self._told is None:
            self._told = dict(counters)

    def grown(self, counters: Counters) -> list[list[Any]]:
        """VM, kind, what, packets and bytes of each that has grown. To be answered by `told`."""
        before, grown = self._told or {}, list[list[Any]]()
        self._sent = {counted: hits for counted, hits in before.items() if counted in counters}
        for counted, hits in counters.items():
            more = _more(hits, before.get(counted, Hits(0, 0)))
            if counted.kind in KINDS and more.packets and len(grown) < MOST:
                grown.append([*counted, *more])
                self._sent[counted] = hits
        return grown

    def told(self) -> None:
        """The panel has what was grown last."""
        self._told = self._sent
        rows = [[*counted, *hits] for counted, hits in self._told.items()]
        disk.write_json(self._file, rows, lasting=False)


def _more(now: Hits, before: Hits) -> Hits:
    # A counter that was made anew begins from 0.
    return Hits(now.packets - before.packets, now.bytes - before.bytes) if now.packets >= before.packets else now


def _read(file: Path) -> dict[Counted, Hits] | None:
    try:
        rows = disk.read_json(file)
        return None if rows is None else {Counted(*row[:3]): Hits(*row[3:]) for row in rows}
    except (Unreadable, TypeError, LookupError):
        return None
