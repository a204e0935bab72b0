"""The table of ratios that a benchmark run prints at its end: ours against a peer, same machine, same run."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest


class Row(NamedTuple):
    """One target: seconds of ours and theirs, and how many times faster ours is meant to be at least."""

    name: str
    ours: float
    theirs: float
    target: float


Ratio = Callable[[str, float, float, float], None]
_ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = []
    # Tables of two runs are read side by side: their rows come in the order of the files, whatever pytest-randomly says.
    config.option.randomly_reorganize = config.option.randomly_reset_seed = False


@pytest.fixture
def ratio(request: pytest.FixtureRequest) -> Iterator[Ratio]:
    """ratio(name, ours, theirs, target): take a row for the table; times are seconds for the same work.

    The test fails at its end where a target was missed.

    For a limit instead of a peer, `theirs` is the limit and `target` is 1.
    """
    rows: list[Row] = []

    def take(name: str, ours: float, theirs: float, target: float) -> None:
        rows.append(Row(name, ours, theirs, target))

    yield take
    request.config.stash[_ROWS] += rows
    missed = [row.name for row in rows if row.theirs < row.target * row.ours]
    assert not missed, f"missed: {'; '.join(missed)}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(_ROWS, [])
    if not rows:
        return
    terminalreporter.section("ratios")
    terminalreporter.write_line("| What | ours | theirs | ratio | target |  |")
    terminalreporter.write_line("|---|---|---|---|---|---|")
    for row in rows:
        times = row.theirs / row.ours
        verdict = "reached" if times >= row.target else "MISSED"
        terminalreporter.write_line(
            f"| {row.name} | {_time(row.ours)} | {_time(row.theirs)} | {times:,.1f}× | {row.target:,g}× | {verdict} |"
        )
