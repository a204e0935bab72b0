"""What this host holds: the state that it was told, brought into the kernel and kept there.

It never takes anything away because it stops, because the panel is away, or because it meets what it cannot compile. One
thread at a time works on it, under its lock.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from threading import RLock
from typing import Any

from securitygroups.agent import compiling, cutting, kernel, nft
from securitygroups.agent.applying import Applying, Outcome, take_out
from securitygroups.agent.compiling import Unenforceable
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.kept import Kept, read_kept
from securitygroups.agent.kernel import Reading
from securitygroups.agent.nft import NftFailed
from securitygroups.agent.places import Places
from securitygroups.agent.planning import Plan, Wishes, lines_for, planned, wishes
from securitygroups.agent.readback import HOST, Part, parted
from securitygroups.agent.record import InForce, Record
from securitygroups.agent.state import Settings, State
from securitygroups.agent.vectors import Vector
from securitygroups.firewall.nftables.counters import BadCounters, Counted, Hits, read_counters

log = logging.getLogger("karenpanel-agent")
_TRIES = 3
_LONGEST_ERROR = 1000
"""Characters of what is reported of a VM."""


class Holder:
    """`trouble` is what keeps all VMs from what they should have, in words, or empty; `unread` why the panel's newest state
    could not be taken."""

    def __init__(self, places: Places) -> None:
        self.lock = RLock()
        self.kept: Kept | None = None
        self.record = Record(places.loaded)
        self.trouble = self.unread = ""
        self.generation = 0
        self._places = places
        self._errors: dict[str, str] = {}
        self._older: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._drift: dict[str, list[str]] = {}
        self._over: set[str] = set()
        self._before: dict[str, InForce] = {}
        self._ended: dict[str, int] = {}

    def load(self) -> None:
        """Read what the disk has, and what is on record of the kernel. Raises nothing: what is wrong is told."""
        with self.lock:
            self.record = Record.read(self._places.loaded)
            try:
                self.kept = read_kept(self._places.state)
            except Unreadable as error:
                self.trouble = str(error)
                log.error("%s", error)

    def take(self, state: State, etag: str, key: str) -> None:
        """A state that the panel said, brought onto the disk and then into the kernel. `key` is the host's public key."""
        with self.lock:
            before = self.kept or Kept(State(state.settings))
            self.kept, self._older = before.taken(state, etag, key)
            self.unread = ""
            # First on the disk: after a loss of power the host has the newest list that it was ever told.
            self._write(self.kept)
            self.settle()

    def settle(self, *, start: bool = False) -> None:
        """Bring the kernel to what the state says, as far as it differs and the host's setting says so.

        `start` is when the agent starts: then what is not there at all is loaded, whatever the setting says.
        """
        with self.lock:
            if self.kept is None:
                return
            try:
                for turn in range(_TRIES):
                    if self._settle(self.kept, start=start, last=turn == _TRIES - 1):
                        break
                self.trouble = ""
            except (NftFailed, Unenforceable, OSError) as error:
                self.trouble = str(error)
                log.error("Nothing could be loaded: %s", error)

    def _settle(self, kept: Kept, *, start: bool, last: bool) -> bool:
        """Whether nobody else changed the ruleset meanwhile. Raises NftFailed, Unenforceable, OSError."""
        settings = kept.state.settings
        reading = kernel.read(settings)
        wished = wishes(kept, reading.loaded)
        plan = planned(kept, self.record, reading, wished, start=start)
        self._note(plan, settings)
        for uid, vector in plan.same.items():
            self.record.acknowledge(uid, vector)
        outcome = Outcome()
        if not plan.is_empty:
            outcome, after = self._apply(plan, wished, reading, settings)
            if after.generation != reading.generation + outcome.transactions and not last:
                return False
            self._put(outcome, after, settings)
            self._cut(outcome, kept)
            reading = after
        self.record.end()
        self.generation = reading.generation
        self._hashes = {uid: part.hash for uid, part in reading.parts.items()}
        self._errors = wished.faults | outcome.refused | self._older
        self._forget(kept)
        return True

    def _apply(self, plan: Plan, wished: Wishes, reading: Reading, settings: Settings) -> tuple[Outcome, Reading]:
        self.record.begin([*plan.load, *plan.leave, *([HOST] if plan.host else [])])
        outcome = Applying(settings, reading.loaded).apply(plan, wished, reading.stale)
        if plan.strange:
            words = take_out(plan.strange)
            outcome.transactions += not words
            log.warning("What somebody put into the panel's tables was taken out. %s", words)
        for uid, words in outcome.refused.items():
            log.error("%s: nft refuses its list: %s", uid or "The host", words)
        return outcome, kernel.read(settings)

    def _put(self, outcome: Outcome, after: Reading, settings: Settings) -> None:
        """On record: what was loaded, and what the kernel says of it."""
        now = time.time()
        for uid, wanted in outcome.loaded.items():
            if uid in self.record.machines:
                self._before[uid] = self.record.machines[uid]
            self.record.put(uid, _in_force(wanted.vector, now, wanted.compiled.text, after.part(uid)))
        for uid in outcome.left:
            self.record.drop(uid)
        if outcome.host:
            own, _ = parted(after.host, compiling.host_names(settings))
            self.record.put_host(_in_force(None, now, compiling.hash_of_host(settings), own))
        if outcome.loaded or outcome.left or outcome.host:
            log.info("Loaded: %s. Left: %s.", _named(outcome.loaded), _named(outcome.left))

    def _cut(self, outcome: Outcome, kept: Kept) -> None:
        """End what the lists that were loaded do not accept any more, where the host's setting says so."""
        if not kept.state.settings.cut or not outcome.loaded:
            return
        lists = {uid: cutting.Listed.of(wanted.compiled) for uid, wanted in outcome.loaded.items()}
        try:
            ended = cutting.cut(lists, [machine.uid for machine in kept.state.machines])
        except OSError as error:
            log.error("Connections cannot be cut: %s", error)
            return
        self._ended |= {uid: ended.get(uid, 0) for uid in lists}

    def _note(self, plan: Plan, settings: Settings) -> None:
        """What was changed by hand stays to be told until it was, also where it is put right by now."""
        told = {**plan.drift}
        for uid, lines in told.items():
            if self._drift.get(uid) != lines or uid in self._over:
                how = "it is put right" if settings.repair else "it is left so"
                log.warning("%s was changed by hand, %s: %s", uid or "The host", how, "; ".join(lines[:5]))
        self._over = {*self._over, *self._drift} - told.keys()
        if settings.repair:
            self._over |= told.keys()
        self._drift |= told

    def _write(self, kept: Kept) -> None:
        try:
            kept.write(self._places.state)
        except OSError as error:
            log.error("%s cannot be written: %s. After a reboot the host has an older list.", self._places.state, error)

    def _forget(self, kept: Kept) -> None:
        """What was in force before is kept no longer where the newest is."""
        newest = {machine.uid: machine.vector for machine in kept.state.machines}
        held = {uid: machine for uid, machine in kept.held.items() if not self._has(uid, newest.get(uid))}
        if held.keys() != kept.held.keys():
            self.kept = replace(kept, held=held)
            self._write(self.kept)

    def _has(self, uid: str, vector: Vector | None) -> bool:
        there = self.record.machines.get(uid)
        return there is not None and vector is not None and there.vector == vector.compiled_by(compiling.TEXT_VERSION)

    def vector_at(self, uid: str, at: float) -> Vector | None:
        """Of what the VM's list was made that was in force then, in Unix seconds."""
        # Without the lock: who asks hears packets, which do not wait until something is loaded.
        now, before = self.record.machines.get(uid), self._before.get(uid)
        if now is not None and before is not None and at < now.since:
            return before.vector
        return now.vector if now is not None else None

    @property
    def etag(self) -> str:
        """The panel's name for the state that was taken last, or empty."""
        return self.kept.etag if self.kept else ""

    @property
    def settings(self) -> Settings | None:
        return self.kept.state.settings if self.kept else None

    def counters(self) -> dict[Counted, Hits]:
        """What the kernel counts now; nothing where it cannot be asked."""
        settings = self.settings
        try:
            return read_counters(nft.counters(settings.target.family, compiling.TABLE)) if settings else {}
        except (NftFailed, BadCounters):
            # The table is not there, or not there yet.
            return {}

    def entries(self) -> dict[str, dict[str, Any]]:
        """What there is to report of each VM."""
        with self.lock:
            machines = self.kept.state.machines if self.kept else ()
            return {machine.uid: self._entry(machine.uid) for machine in machines}

    def _entry(self, uid: str) -> dict[str, Any]:
        there = self.record.machines.get(uid)
        return {
            "id": uid,
            "vector": there.vector.document() if there and there.vector else None,
            "since": int(there.since) if there else 0,
            "hash": self._hashes.get(uid, ""),
            "error": " ".join(filter(None, (self.unread, self.trouble, self._errors.get(HOST), self._errors.get(uid))))[
                :1000
            ],
            "drift": lines_for(uid, self._drift),
            "cut": self._ended.get(uid, 0),
        }

    def told(self, uids: Iterable[str]) -> None:
        """The panel knows of these VMs' entries: drift that was put right is over."""
        with self.lock:
            for uid in {*uids, HOST} & self._over:
                self._drift.pop(uid, None)
                self._over.discard(uid)


def _in_force(vector: Vector | None, since: float, text: str, part: Part) -> InForce:
    return InForce(vector, since, text, part.hash, part.lines)


def _one_line(*words: str) -> str:
    return " ".join(" ".join(words).split())[:_LONGEST_ERROR]


def _named(uids: Iterable[str]) -> str:
    listed = [uid or "the host" for uid in uids]
    return ", ".join(listed[:20]) + (f" and {len(listed) - 20} more" if len(listed) > 20 else "") or "none"
