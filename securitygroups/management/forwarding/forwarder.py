"""Lines of the records go to a target, in order, each at least once: what was taken is remembered only afterwards."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event as Signal
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from securitygroups import operations, stream
from securitygroups.management.forwarding.alone import Alone
from securitygroups.management.forwarding.lines import Line, of_account, of_event
from securitygroups.management.forwarding.targets import NotTaken, Target
from securitygroups.management.programs import Failure
from securitygroups.models import AccountEvent, Event

BATCH = 500
"""Lines of a record that go at once, and that at most come twice when the forwarder is killed."""
LOOK_SECONDS = 1.0
BACK_OFF = (1.0, 60.0)
SETTLE_SECONDS = 5.0
FIRST_SETTLE_SECONDS = 60.0
NAME = re.compile(r"[a-z0-9-]{1,40}")

TROUBLE = (OSError, NotTaken, DatabaseError, InterfaceError, stream.NotHere)
"""What passes, or is put right by somebody."""

Told = Callable[[str], object]

RECORDS: Mapping[str, tuple[stream.Record, Callable[[Any], Line]]] = {
    "activity": (Event, of_event),
    "accounts": (AccountEvent, of_account),
}
"""What is forwarded: each record in the order of its own ids."""


def cursor_of(name: str, record: str) -> str:
    return f"forward:{name}:{record}"


@dataclass
class Forwarder:
    """`told` is called with what an operator should know, in words."""

    name: str
    target: Target
    told: Told
    stop: Signal = field(default_factory=Signal)

    def run(self, start: str = "", *, once: bool = False) -> None:
        """Until `stop` is set; with `once` until all is taken that was settled. Raises Failure in words: for good where no
        other try would help, and at once with `once`."""
        with Alone(self.name) as alone:
            begin(self.name, start)
            pause = BACK_OFF[0]
            while not self.stop.is_set():
                try:
                    alone.hold()
                    moved = self.send()
                    pause = BACK_OFF[0]
                except operations.Moved as moved_by_others:
                    raise Failure(f"Stopped, for another one forwards by this name: {moved_by_others}") from None
                except TROUBLE as error:
                    if once:
                        raise Failure(f"Not everything was taken by {self.target.name}: {error}".strip()) from None
                    self.told(f"Nothing was taken by {self.target.name}, again in {pause:.0f} s: {error}".strip())
                    close_old_connections()
                    self.stop.wait(pause)
                    pause = min(pause * 2, BACK_OFF[1])
                    continue
                if once and not moved:
                    return
                if not moved:
                    self.stop.wait(LOOK_SECONDS)

    def send(self) -> int:
        """The next batch of each record; how many lines it had."""
        moves, lines = {}, []
        for record, (model, told) in RECORDS.items():
            name = cursor_of(self.name, record)
            was = stream.position(name) or 0
            events = stream.events_after(was, stream.settled_up_to(was, SETTLE_SECONDS, of=model), BATCH, of=model)
            if events:
                moves[name] = (was, events[-1].pk)
                lines += [told(event) for event in events]
        if lines:
            self.target.take(lines)
            operations.move_cursors(moves)
        return len(lines)


def begin(name: str, start: str) -> None:
    """Set the cursors of one that begins. Raises Failure where it has begun already and `start` says where, or has not."""
    here = stream.position(cursor_of(name, "activity"))
    if here is None and not start:
        raise Failure(
            f"{name} begins for the first time: say with --from start, now, or the ID of a line, where. It goes on from "
            "where it was the next time."
        )
    if here is None:
        operations.set_cursors({cursor_of(name, record): _first(start, record) for record in RECORDS})
    elif start:
        raise Failure(
            f"{name} has come to line {here} and goes on from there without --from. To send lines once more, give another "
            "--name, which has a place of its own."
        )


def _first(start: str, record: str) -> int:
    """Behind which line the record begins."""
    if start == "start":
        return 0
    if start == "now":
        settled = stream.settled_up_to(-1, FIRST_SETTLE_SECONDS, of=RECORDS[record][0])
        if settled < 0:
            raise Failure("Somebody has been writing for a minute: try once more, or give --from the ID of a line.")
        return settled
    number, _, of_accounts = start.partition(",")
    chosen = number if record == "activity" else of_accounts or "1"
    if not (chosen.isascii() and chosen.isdigit() and 1 <= int(chosen) < 2**63):
        raise Failure(f"--from {start}: give start, now, the ID of a line, or two of them: activity,accounts.")
    return int(chosen) - 1


def standing(name: str) -> Iterator[str]:
    """How far the forwarder of that name has come, a line for each record, and who it is."""
    for record, (model, _) in RECORDS.items():
        here, newest = stream.position(cursor_of(name, record)), stream.newest_of(model)
        if here is None:
            yield f"{record}: never begun, newest {newest}"
            continue
        since = stream.waiting_since(here, of=model)
        age = max(0, round((timezone.now() - since).total_seconds())) if since else 0
        yield f"{record}: position {here}, newest {newest}, " + (f"{age} s behind" if since else "nothing behind")
    yield f"running: {Alone(name).who() or 'nobody'}"
