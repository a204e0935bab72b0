"""The agent at work: it asks the panel every few seconds, hears of changes by others, and gathers what was dropped."""

import json
import logging
import os
import random
import select
import signal
import time
from contextlib import closing
from dataclasses import dataclass
from threading import Event, Thread

from securitygroups.agent import disk, places, systemd
from securitygroups.agent.counting import Counting
from securitygroups.agent.disk import Unreadable
from securitygroups.agent.holder import Holder
from securitygroups.agent.nflog import NfLog
from securitygroups.agent.panel import NotReached, Panel, Refused
from securitygroups.agent.places import Enrolled, NotEnrolled, Places
from securitygroups.agent.reporting import Reporter
from securitygroups.agent.samples import Samples
from securitygroups.agent.state import BadState, read_state
from securitygroups.agent.taps import Inventory
from securitygroups.agent.watching import Watch

log = logging.getLogger("karenpanel-agent")
EVERY, JITTER = 5.0, 0.2
"""Seconds from one question to the next, and the share by which they differ so that hosts do not ask all at once."""
LONGEST = 60.0
"""Seconds that are waited in the end where the panel does not answer: twice as long each time."""
AFTER_REFUSAL = 300.0
"""Seconds where it does not know the host: only a person can help."""
CHECK_EVERY = 60.0
"""Seconds after which the kernel is compared with what it should have, whether or not anything was heard."""
LEAST_BETWEEN = 1.0
"""Seconds between two repairs, where somebody undoes each."""
MOST_TOLD = 2000
"""Packets of NFLOG in a second that are looked at; what is more is counted."""
NOT_TAKEN = {400, 413, 422}
"""What is answered to a report that is no better the next time."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How one question to the panel went: seconds to the next, and words where it did not go well."""

    wait: float
    words: str = ""


class Agent:
    """One host's agent. `places` may be others than those of a host, for tests."""

    def __init__(self, where: Places) -> None:
        self.stop = Event()
        self.holder = Holder(where)
        self._places = where
        self._samples = Samples(self.holder.vector_at)
        self._counting = Counting(where.counted)
        self._reporter = Reporter(self.holder, self._samples, self._counting, Inventory(where.taps))
        self._enrolled: Enrolled | None = None
        self._stamp: object = None
        self._panel: Panel | None = None
        self._failures = 0
        self._unread = ""
        self._reached = 0.0

    def start(self) -> None:
        """What the disk has is in the kernel when this ends. Raises OSError."""
        self._places.make()
        self.holder.load()
        self._counting.begin(self.holder.counters())
        self.holder.settle(start=True)
        systemd.tell(READY="1", STATUS="The last state is loaded.")

    def once(self) -> str:
        """One question, what follows of it, and a report of all; words where that did not go well. Raises OSError."""
        self.start()
        turn = self.turn(whole=True)
        return turn.words or self.holder.trouble

    def run(self) -> None:
        """Until it is told to stop, and then everything stays as it is. Raises OSError."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        self.start()
        threads = [Thread(target=work, name=work.__name__, daemon=True) for work in (self._guard, self._listen)]
        for thread in threads:
            thread.start()
        while not self.stop.is_set():
            turn = self.turn()
            self._tell(turn)
            self._wait(turn.wait)
        systemd.tell(STOPPING="1")
        for thread in threads:
            thread.join(LEAST_BETWEEN * 2)

    def _wait(self, seconds: float) -> None:
        """No longer than until the host has enrolled anew."""
        end, stamp = time.monotonic() + seconds, places.changed(self._places)
        while (rest := end - time.monotonic()) > 0 and places.changed(self._places) == stamp:
            systemd.tell(WATCHDOG="1")
            if self.stop.wait(min(rest, EVERY)):
                return

    def turn(self, *, whole: bool = False) -> Turn:
        """Tell the panel what there is to tell, and ask it for what is new. Raises nothing: what failed is in words."""
        try:
            panel = self._opened()
            self._talk(panel, whole=whole)
        except (NotEnrolled, Unreadable) as error:
            return Turn(EVERY, str(error))
        except Refused as refused:
            return self._refused(refused)
        except (NotReached, OSError) as error:
            self._failures += 1
            if self._failures == 1:
                log.warning("%s The rules of before hold.", error)
            return Turn(_jittered(self._back_off()), str(error))
        if self._failures:
            log.info("The panel answers again.")
        self._failures, self._reached = 0, time.time()
        return Turn(_jittered(EVERY))

    def _refused(self, refused: Refused) -> Turn:
        """What follows of the panel's no: it does not know the host, or it cannot answer anybody just now."""
        self._failures += 1
        if refused.status == 429 or refused.status >= 500:
            words = f"The panel cannot answer now: {refused}"
            if self._failures == 1:
                log.warning("%s The rules of before hold.", words)
            return Turn(_jittered(self._back_off()), words)
        whom = "what this host tells" if refused.status in NOT_TAKEN else "this host"
        words = f"The panel refuses {whom}: {refused}"
        log.error("%s", words)
        known = refused.status in (401, 403)
        return Turn(_jittered(AFTER_REFUSAL if known else self._back_off()), words)

    def _back_off(self) -> float:
        return float(min(LONGEST, EVERY * 2 ** min(self._failures - 1, 10)))

    def _opened(self) -> Panel:
        """The panel that the host is enrolled at now. Raises NotEnrolled, Unreadable."""
        stamp = places.changed(self._places)
        if self._panel is None or stamp != self._stamp:
            host = places.enrolled(self._places)
            if self._panel is not None:
                self._panel.close()
            self._panel = Panel(host.panel, host.panel_key, host.key, host.host, host.authorities)
            self._enrolled, self._stamp = host, stamp
        return self._panel

    def _talk(self, panel: Panel, *, whole: bool) -> None:
        """Raises NotReached, Refused, OSError."""
        newest = "" if self._taken_by_another() else self._report(panel, whole=whole)
        if newest == self.holder.etag != "":
            return
        if self._ask(panel):
            # What came of it is told at once, for somebody looks at a page and waits.
            self._report(panel, whole=whole)

    def _taken_by_another(self) -> bool:
        """Whether what the host holds is of another enrolment: then it is asked for before anything is told."""
        kept = self.holder.kept
        return kept is not None and self._enrolled is not None and kept.key != self._enrolled.key.public

    def _report(self, panel: Panel, *, whole: bool = False) -> str:
        """The ETag of the panel's newest state, empty where there was nothing to tell. Raises NotReached, Refused, OSError."""
        report = self._reporter.report(time.monotonic(), panel.ahead, whole=whole)
        if report is None:
            return ""
        try:
            answer = panel.ask("POST", "report", report).value()
        except Refused as refused:
            if refused.status in NOT_TAKEN:
                self._reporter.not_taken()
            raise
        self._reporter.told()
        return str(answer.get("state", "")) if isinstance(answer, dict) else ""

    def _ask(self, panel: Panel) -> bool:
        """Whether there was something new. Raises NotReached, Refused."""
        etag = "" if self._taken_by_another() else self._unread or self.holder.etag
        answer = panel.ask("GET", "state", etag=etag)
        if answer.status == 304:
            return False
        try:
            state = read_state(answer.value())
            if state.settings.host != panel.host:
                raise BadState(f"The panel said the state of another host, {state.settings.host}.")
        except BadState as error:
            # It is not asked for again before the panel has another one.
            self._unread, self.holder.unread = answer.etag, str(error)
            log.error("The panel's state is not taken: %s", error)
            return True
        self._unread = ""
        self.holder.take(state, answer.etag, panel.own.public)
        return True

    def _tell(self, turn: Turn) -> None:
        """For `status`, and for systemd."""
        host = self._enrolled
        told = {"pid": os.getpid(), "reached": int(self._reached), "words": turn.words, "trouble": self.holder.trouble}
        told |= {
            "panel": host.panel if host else "",
            "host": host.host if host else "",
            "name": host.name if host else "",
        }
        try:
            disk.write(self._places.running, json.dumps(told).encode(), mode=0o644, lasting=False)
        except OSError as error:
            log.error("%s cannot be written: %s", self._places.running, error)
        systemd.tell(STATUS=turn.words or f"In touch with {told['panel']}.", WATCHDOG="1")

    def _guard(self) -> None:
        """Compare the kernel with what it should have: at once when somebody changed it, and now and then."""
        while not self.stop.is_set():
            try:
                with closing(Watch()) as watch:
                    self._watch(watch)
            except OSError as error:
                log.error("Changes of the ruleset cannot be heard of: %s", error)
                self.holder.settle()
                self.stop.wait(CHECK_EVERY)

    def _watch(self, watch: Watch) -> None:
        """Raises OSError."""
        checked = time.monotonic()
        while not self.stop.is_set():
            rest = checked + CHECK_EVERY - time.monotonic()
            select.select([watch], [], [], max(0.0, min(rest, LEAST_BETWEEN)))
            with self.holder.lock:
                by = watch.changed(self.holder.generation)
                if not by and time.monotonic() < checked + CHECK_EVERY:
                    continue
                if by:
                    log.info("The ruleset was changed by %s.", by)
                self.holder.settle()
            if by and time.monotonic() - checked < LEAST_BETWEEN:
                self.stop.wait(LEAST_BETWEEN)
            checked = time.monotonic()

    def _listen(self) -> None:
        """Gather what the kernel tells of packets, from the group that the host's settings name."""
        while not self.stop.is_set():
            settings = self.holder.settings
            if settings is None or settings.log is None:
                self.stop.wait(LEAST_BETWEEN)
                continue
            try:
                with closing(NfLog(settings.log)) as source:
                    self._gather(source, settings.log)
            except OSError as error:
                log.error("Group %d of NFLOG cannot be read: %s", settings.log, error)
                self.stop.wait(CHECK_EVERY)

    def _gather(self, source: NfLog, group: int) -> None:
        """Raises OSError."""
        missed, begun, told = 0, time.monotonic(), 0
        while not self.stop.is_set() and self.holder.settings is not None and self.holder.settings.log == group:
            rest = begun + LEAST_BETWEEN - time.monotonic()
            if rest <= 0:
                begun, told = time.monotonic(), 0
            elif told >= MOST_TOLD:
                source.pass_over(rest)
            for one in source.read(LEAST_BETWEEN) if told < MOST_TOLD else ():
                self._samples.add(one)
                told += 1
            if source.missed > missed:
                self._samples.miss(source.missed - missed)
                missed = source.missed


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
