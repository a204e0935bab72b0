"""The packets that hosts told of in the last 30 days, once more through the rules of now and through those of a proposal."""

from collections.abc import Sequence
from dataclasses import dataclass

from securitygroups.answers.seen import Row, Samples, decided, samples_of
from securitygroups.effective import Fleet
from securitygroups.firewall.guests import Guest
from securitygroups.firewall.platform import barred
from securitygroups.firewall.protocols import Direction
from securitygroups.models import guests_of
from securitygroups.words.rules import packet_sentence

MOST_AGAIN = 5_000
"""Rows that go through both lists: a preview is drawn with every few letters that are typed."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Example:
    """Equal connections of a VM whose verdict is another one."""

    words: str
    machine: str
    times: int


@dataclass(frozen=True, slots=True)
class Other:
    """Connections whose verdict is another one, by what it was: how many, and the first of them, those seen last first."""

    times: int
    examples: tuple[Example, ...]
    more: int


@dataclass(frozen=True, slots=True)
class SeenAgain:
    """Of so many connections that were seen, which would be dropped that are accepted now, and the other way round. `is_cut`:
    older ones were not looked at."""

    times: int
    dropped: Other
    accepted: Other
    is_cut: bool


def seen_again(project: int, before: Fleet, after: Fleet) -> SeenAgain | None:
    """Of VMs of the project, with their lists now and then; None where nothing was seen (one query)."""
    samples = samples_of(project, [vm.pk for vm in before.machines], MOST_AGAIN)
    return _compared(before, after, samples) if samples.rows else None


def _compared(before: Fleet, after: Fleet, samples: Samples) -> SeenAgain:
    names = {vm.pk: vm.name for vm in before.machines}
    rows = sorted(samples.rows, key=lambda row: row.last_at, reverse=True)
    was, will = decided(before, rows), decided(after, rows)
    changed = [(row, old) for row, (old, _), (new, _) in zip(rows, was, will, strict=True) if old != new]
    stopped = _barred([row for row, _ in changed])
    pairs = [(row, old) for number, (row, old) in enumerate(changed) if number not in stopped]
    return SeenAgain(
        sum(row.packets for row in rows),
        _other([row for row, old in pairs if old], names),
        _other([row for row, old in pairs if not old], names),
        samples.is_cut,
    )


def _barred(rows: Sequence[Row]) -> set[int]:
    """Which of them no host passes by what is known of their VMs now, whatever the rules say (one query, or none)."""
    guests = guests_of({row.machine for row in rows if row.direction == Direction.OUT}) if rows else {}
    # One VM after the other: what stands above the rules of each is put together once.
    order = sorted(range(len(rows)), key=lambda number: rows[number].machine)
    return {number for number in order if barred(rows[number].packet, guests.get(rows[number].machine, Guest()))}


def _other(rows: Sequence[Row], names: dict[int, str]) -> Other:
    equal: dict[tuple[int, str], int] = {}
    for row in rows:
        key = row.machine, packet_sentence(row.packet)
        equal[key] = equal.get(key, 0) + row.packets
    examples = [Example(words, names[machine], times) for (machine, words), times in equal.items()]
    return Other(sum(equal.values()), tuple(examples[:SHOWN]), max(0, len(examples) - SHOWN))
