"""What the panel is told: what is in force, what differs, what was counted and what was dropped."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from securitygroups.agent import VERSION, clock
from securitygroups.agent.counting import Counting
from securitygroups.agent.holder import Holder
from securitygroups.agent.samples import Samples
from securitygroups.agent.taps import Inventory

FORMAT = "karenpanel-report/1"
WHOLE_EVERY = 60.0
"""Seconds after which every VM is told again, and what was counted."""
MOST_MACHINES = 300
"""VMs in one report; the others come with the next one."""


@dataclass
class Reporter:
    """Puts reports together. Each that was made is answered by `told` or `not_told`, before the next."""

    holder: Holder
    samples: Samples
    counting: Counting
    inventory: Inventory
    _answered: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _sent: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _due: set[str] = field(default_factory=set)
    _taps: list[dict[str, Any]] | None = None
    _sent_taps: list[dict[str, Any]] | None = None
    _whole_at: float | None = None
    _counted: bool = False

    def report(self, now: float, ahead: int, *, whole: bool = False) -> dict[str, Any] | None:
        """What there is to tell, None where that is nothing. `now` is of a clock that only runs forward, in seconds."""
        entries = self.holder.entries()
        whole = whole or self._whole_at is None or now - self._whole_at >= WHOLE_EVERY
        if whole:
            self._due, self._whole_at = set(entries), now
        # Of a VM that left there is nothing more to tell.
        self._answered = {uid: entry for uid, entry in self._answered.items() if uid in entries}
        machines = [entry for uid, entry in entries.items() if uid in self._due or self._answered.get(uid) != entry]
        machines = machines[:MOST_MACHINES]
        self.inventory.look()
        taps = [one.document() for one in self.inventory.found]
        self._sent = {entry["id"]: entry for entry in machines}
        self._sent_taps = taps if taps != self._taps else None
        counters = self.counting.grown(self.holder.counters()) if whole else []
        self._counted = whole
        samples, missed = self.samples.take()
        if not (whole or machines or samples or missed or self._sent_taps is not None):
            return None
        return {
            "format": FORMAT,
            "agent": VERSION,
            "kernel": clock.kernel(),
            "time": int(time.time()),
            "state": self.holder.etag,
            "vms": machines,
            "taps": self._sent_taps,
            "counters": counters,
            "samples": samples,
            "missed": missed,
            "clock": clock.state(ahead),
        }

    def told(self) -> None:
        """The panel has the last one. Raises OSError, where that cannot be kept."""
        self._answered |= self._sent
        self._due -= self._sent.keys()
        self.holder.told(self._sent)
        if self._sent_taps is not None:
            self._taps = self._sent_taps
        self.samples.told()
        if self._counted:
            self.counting.told()

    def not_told(self) -> None:
        """It has not: all of it is told again."""
        self.samples.not_told()
        if self._counted:
            self._whole_at = None
