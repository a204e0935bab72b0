"""What the panel is told: what is in force, what differs, what was counted and what was dropped."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from securitygroups.agent import VERSION, clock
from securitygroups.agent.counting import Counting
from securitygroups.agent.holder import Holder
from securitygroups.agent.samples import Samples
from securitygroups.agent.taps import Inventory
from securitygroups.signing.wire import REPORT_BYTES, encoded

FORMAT = "karenpanel-report/1"
WHOLE_EVERY = 60.0
"""Seconds after which every VM is told again, and what was counted."""
MOST_MACHINES = 300
"""VMs in one report; the others come with the next one."""


class Counts(NamedTuple):
    """What the panel adds up. It is told under its number, and as it is, until the panel has it: an answer that is lost on
    its way would have it counted twice otherwise."""

    number: str
    counters: list[list[Any]]
    samples: list[dict[str, Any]]
    missed: int


@dataclass
class Reporter:
    """Puts reports together. What of one is not answered by `told` is in the next."""

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
    _counters_due: bool = False
    _counts: Counts | None = None

    def __post_init__(self) -> None:
        if unanswered := self.counting.unanswered():
            self._counts = Counts(*unanswered, [], 0)

    def report(self, now: float, ahead: int, *, whole: bool = False) -> dict[str, Any] | None:
        """What there is to tell, None where that is nothing. `now` is of a clock that only runs forward, in seconds."""
        entries = self.holder.entries()
        whole = whole or self._whole_at is None or now - self._whole_at >= WHOLE_EVERY
        if whole:
            self._due, self._whole_at, self._counters_due = set(entries), now, True
        # Of a VM that left there is nothing more to tell.
        self._answered = {uid: entry for uid, entry in self._answered.items() if uid in entries}
        machines = [entry for uid, entry in entries.items() if uid in self._due or self._answered.get(uid) != entry]
        machines = machines[:MOST_MACHINES]
        self.inventory.look()
        taps = [one.document() for one in self.inventory.found]
        self._sent = {entry["id"]: entry for entry in machines}
        self._sent_taps = taps if taps != self._taps else None
        self._counts = self._counts or self._counted()
        if not (whole or machines or self._counts or self._sent_taps is not None):
            return None
        counts = self._counts or Counts("", [], [], 0)
        return {
            "format": FORMAT,
            "agent": VERSION,
            "kernel": clock.kernel(),
            "time": int(time.time()),
            "state": self.holder.etag,
            "vms": machines,
            "taps": self._sent_taps,
            **counts._asdict(),
            "clock": clock.state(ahead),
        }

    def _counted(self) -> Counts | None:
        """What there is to add up, None where that is nothing."""
        number = encoded(secrets.token_bytes(REPORT_BYTES))
        samples, missed = self.samples.take()
        counters = self.counting.grown(self.holder.counters(), number) if self._counters_due else []
        self._counters_due = False
        return Counts(number, counters, samples, missed) if counters or samples or missed else None

    def told(self) -> None:
        """The panel has the last one. Raises OSError, where that cannot be kept."""
        self._answered |= self._sent
        self._due -= self._sent.keys()
        self.holder.told(self._sent)
        if self._sent_taps is not None:
            self._taps = self._sent_taps
        self._counts = None
        self.counting.told()

    def not_taken(self) -> None:
        """It has, and takes it neither now nor later: what was counted is given up, for it would be in the way of all else."""
        if self._counts:
            self.samples.miss(self._counts.missed + sum(one["times"] for one in self._counts.samples))
        self._counts = None
        self.counting.told()
