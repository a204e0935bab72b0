"""What a rule list does with recorded traffic, and what another one would have done: flows counted, grouped and ranked."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.flows.batch import ACCEPTED, DENIED, Batch
from securitygroups.firewall.flows.compiled import CompiledList, Places, hits
from securitygroups.firewall.flows.logs import FlowLog, Readable
from securitygroups.firewall.flows.openers import Skip
from securitygroups.firewall.flows.tally import MAX_RULES, Changes, Mask, Tally
from securitygroups.firewall.values import Network, RuleList

Observer = Callable[[Batch, Places, Places], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What two lists do with one log.

    `kind` is the log's, `records` its lines or packets read, `rows` the flows judged, `skipped` the records that were
    not and why. `accepted_before` and `accepted_after` count flows. `hits_before` and `hits_after` count the flows that
    each rule decides: index = place from 1, index 0 = no rule matches. `cut` is "rows" or "seconds" where that limit
    ended the reading before the log ended, else None.

    `denied` are the flows that the old list denies. `said_accepted` and `said_denied` count the flows of which the log
    itself tells so; `only_log_accepts` are those of them that the old list denies, `only_log_denies` those that it accepts.
    `guessed` counts the flows of which nothing but the ports told which side began.
    """

    kind: str
    records: int
    rows: int
    skipped: dict[Skip, int]
    accepted_before: int
    accepted_after: int
    denied: Changes
    newly_denied: Changes
    newly_allowed: Changes
    said_accepted: int
    said_denied: int
    only_log_accepts: Changes
    only_log_denies: Changes
    hits_before: tuple[int, ...]
    hits_after: tuple[int, ...]
    guessed: int
    cut: str | None


class Counts:
    """What the rules that stand now do with the flows seen so far, and how that agrees with what the log itself says."""

    def __init__(self, rules: int) -> None:
        """`rules`: how many rules there are; those that decide are told by numbers from 1."""
        self.rows, self.accepted, self.hits = 0, 0, np.zeros(rules + 1, np.int64)
        self.said_accepted, self.said_denied = 0, 0
        self.denied, self.only_log_accepts, self.only_log_denies = Tally(), Tally(), Tally()

    def add(self, batch: Batch, passed: Mask, rules: Places) -> None:
        """Count these flows too: whether each passes, and by which rule."""
        self.rows += len(batch)
        self.accepted += int(np.count_nonzero(passed))
        self.hits += np.bincount(rules, minlength=len(self.hits))
        self.denied.add(batch, ~passed, rules)
        accepted, denied = batch.said == ACCEPTED, batch.said == DENIED
        self.said_accepted += int(np.count_nonzero(accepted))
        self.said_denied += int(np.count_nonzero(denied))
        self.only_log_accepts.add(batch, accepted & ~passed, rules)
        self.only_log_denies.add(batch, denied & passed, rules)


class Judge(Protocol):
    """Decides the flows of a log, block by block, and counts what becomes of them.

    `elsewhere` counts the flows that are nobody's business here. `newly_denied`, `newly_allowed`, `accepted_after` and
    `hits_after` tell of another list, where there is one.
    """

    now: Counts
    elsewhere: int
    newly_denied: Tally
    newly_allowed: Tally
    accepted_after: int
    hits_after: NDArray[np.int64]

    def add(self, batch: Batch) -> None: ...

    def finish(self) -> None:
        """Count what was only kept so far."""


class Comparison:
    """A judge of two lists; `observer` is given every batch with the places of both lists' deciding rules."""

    def __init__(self, old_rules: RuleList, new_rules: RuleList, observer: Observer | None = None) -> None:
        """The same list twice is judged once. Raises ValueError for lists of more than MAX_RULES."""
        if max(len(old_rules), len(new_rules)) > MAX_RULES:
            raise ValueError(f"A list has more than {MAX_RULES} rules.")
        self._old = CompiledList(old_rules)
        self._new = self._old if new_rules is old_rules else CompiledList(new_rules)
        self._observer = observer
        self.now, self.elsewhere = Counts(len(old_rules)), 0
        self.accepted_after = 0
        self.hits_after = hits(self._new.rules, np.zeros(0, np.int32))
        self.newly_denied, self.newly_allowed = Tally(compares=True), Tally(compares=True)

    def add(self, batch: Batch) -> None:
        passed_before, before = self._old.judge(batch)
        passed_after, after = (passed_before, before) if self._new is self._old else self._new.judge(batch)
        self.now.add(batch, passed_before, before)
        self.accepted_after += int(np.count_nonzero(passed_after))
        self.hits_after += hits(self._new.rules, after)
        self.newly_denied.add(batch, passed_before & ~passed_after, before, after)
        self.newly_allowed.add(batch, ~passed_before & passed_after, before, after)
        if self._observer:
            self._observer(batch, before, after)

    def finish(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Until:
    """Where reading ends: after so many `rows`, or when so many `seconds` have passed by `clock` (such as time.monotonic,
    needed for that), which is looked at after each block of some ten thousand flows."""

    rows: int | None = None
    seconds: float | None = None
    clock: Callable[[], float] | None = None

    def deadline(self) -> Callable[[], bool]:
        """Whether the seconds have passed, from now on."""
        if self.seconds is None:
            return lambda: False
        if self.clock is None:
            raise ValueError("limit_seconds needs a clock.")
        started, now, seconds = self.clock(), self.clock, self.seconds
        return lambda: now() - started >= seconds


class Run:
    """A log that is being judged: iterate once over it, block by block, then ask for its report."""

    def __init__(self, judge: Judge, log: FlowLog, until: Until) -> None:
        self.log = log
        self._judge, self._until = judge, until
        self._cut: str | None = None

    def __iter__(self) -> Iterator[None]:
        """Raises BadDocument where the log is damaged, with line and field."""
        late, most, rows = self._until.deadline(), self._until.rows, 0
        for whole in self.log:
            batch = whole
            if most is not None and rows + len(batch) > most:
                # A block is cut to the row, so that a limit means the same whatever the blocks' size.
                batch, self._cut = whole.take(slice(0, most - rows)), "rows"
            rows += len(batch)
            self._judge.add(batch)
            if self._cut is None and late():
                self._cut = "seconds"
            yield
            if self._cut:
                return

    def report(self, limit_groups: int = 100) -> Report:
        """What was found so far, with so many of the largest groups of flows."""
        self._judge.finish()
        judge, log = self._judge, self.log
        now, skipped = judge.now, log.skipped + Counter({Skip.ELSEWHERE: judge.elsewhere})
        return Report(
            kind=log.kind,
            records=log.records,
            rows=now.rows,
            skipped={reason: count for reason, count in skipped.items() if count},
            accepted_before=now.accepted,
            accepted_after=judge.accepted_after,
            denied=now.denied.changes(limit_groups),
            newly_denied=judge.newly_denied.changes(limit_groups),
            newly_allowed=judge.newly_allowed.changes(limit_groups),
            said_accepted=now.said_accepted,
            said_denied=now.said_denied,
            only_log_accepts=now.only_log_accepts.changes(limit_groups),
            only_log_denies=now.only_log_denies.changes(limit_groups),
            hits_before=tuple(now.hits.tolist()),
            hits_after=tuple(judge.hits_after.tolist()),
            guessed=log.guessed,
            cut=self._cut,
        )


def what_if(
    old_rules: RuleList,
    new_rules: RuleList,
    stream: Readable,
    *,
    local: Sequence[Network] = (),
    limit_rows: int | None = None,
    limit_seconds: float | None = None,
    clock: Callable[[], float] | None = None,
    limit_groups: int = 100,
    observer: Observer | None = None,
) -> Report:
    """Judge the flows of a log (see FlowLog, also for `local`) by two lists and compare; see Until for the limits.

    Memory is bounded whatever the log's length (about 150 MB beside the lists' own tables). Raises BadDocument where the
    log is none or damaged, with line and field, and ValueError for lists of more than MAX_RULES and for a limit without a
    clock. The rules must be valid.
    """
    judge = Comparison(old_rules, new_rules, observer)
    run = Run(judge, FlowLog(stream, local), Until(limit_rows, limit_seconds, clock))
    for _ in run:
        pass
    return run.report(limit_groups)
