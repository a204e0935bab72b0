"""How often each rule and each line of the platform was met since the panel was told last."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from securitygroups.agent import disk
from securitygroups.agent.disk import Unreadable
from securitygroups.firewall.nftables.counters import Counted, Hits

Counters = Mapping[Counted, Hits]
KINDS = ("rule", "in", "out")
MOST = 10_000
"""Counters in one report; the others come with the next one."""


class Sent(NamedTuple):
    """What was told under a number, and nobody knows whether it came: how far each counter was by it."""

    number: str
    counters: Counters


class Counting:
    """`file` keeps what was told, and what was sent and not answered, for as long as the kernel keeps its counters."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._told, self._sent = _read(file)

    def begin(self, counters: Counters) -> None:
        """What the kernel counts when the agent starts. Where nobody has kept what was told of it, it was told."""
        if self._told is None:
            self._told = dict(counters)

    def grown(self, counters: Counters, number: str) -> list[list[Any]]:
        """VM, kind, what, packets and bytes of each that has grown, to be told under this number until `told`."""
        before, rows = self._told or {}, 0
        sent = {counted: hits for counted, hits in before.items() if counted in counters}
        for counted, hits in counters.items():
            if counted.kind in KINDS and rows < MOST and hits != before.get(counted, Hits(0, 0)):
                sent[counted] = hits
                rows += 1
        self._sent = Sent(number, sent)
        # Before it is sent, so that an agent that is killed meanwhile tells the same. Where it cannot be kept, `told` says so.
        with suppress(OSError):
            self._keep()
        return self._rows(sent)

    def unanswered(self) -> tuple[str, list[list[Any]]] | None:
        """The number and the rows of what was sent before the agent started, and was not answered then."""
        return (self._sent.number, self._rows(self._sent.counters)) if self._sent else None

    def told(self) -> None:
        """The panel has what was sent last. Raises OSError, where that cannot be kept."""
        if self._sent:
            self._told, self._sent = self._sent.counters, None
            self._keep()

    def _rows(self, sent: Counters) -> list[list[Any]]:
        before = self._told or {}
        grown = ((counted, _more(hits, before.get(counted, Hits(0, 0)))) for counted, hits in sent.items())
        return [[*counted, *more] for counted, more in grown if more.packets]

    def _keep(self) -> None:
        sent = {"number": self._sent.number, "counters": _as_json(self._sent.counters)} if self._sent else None
        disk.write_json(self._file, {"told": _as_json(self._told or {}), "sent": sent}, lasting=False)


def _more(now: Hits, before: Hits) -> Hits:
    # A counter that was made anew begins from 0.
    return Hits(now.packets - before.packets, now.bytes - before.bytes) if now.packets >= before.packets else now


def _as_json(counters: Counters) -> list[list[Any]]:
    return [[*counted, *hits] for counted, hits in counters.items()]


def _from_json(rows: Any) -> Counters:
    return {Counted(*row[:3]): Hits(*row[3:]) for row in rows}


def _read(file: Path) -> tuple[Counters | None, Sent | None]:
    """What was told, and what was sent. A file that cannot be read is none."""
    try:
        if (kept := disk.read_json(file)) is None:
            return None, None
        sent = kept["sent"]
        return _from_json(kept["told"]), Sent(sent["number"], _from_json(sent["counters"])) if sent else None
    except (Unreadable, TypeError, LookupError):
        return None, None
