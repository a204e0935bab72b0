"""The matrix of who reaches whom as a picture: a shape for every state, and names beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from securitygroups.answers.exposure import Bundle, Cell, State

EACH = 24
"""Up to so many VMs each have a line of their own, unless asked otherwise."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside a line or above a column."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Tip:
    """What a pointer over a field is told, and the ends of the packet whose test it leads to."""

    x: int
    y: int
    text: str
    ends: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """The matrix as an SVG: one path for all fields of a state, so that thousands of them stay small."""

    width: int
    height: int
    cell: int
    left: int
    top: int
    across: int
    down: int
    rows: list[Label]
    columns: list[Label]
    paths: list[tuple[str, str]]
    tips: list[Tip]


def _shape(state: State, x: int, y: int, cell: int) -> str:
    """A shape of its own for every state: nothing is told by colour alone."""
    one, far = 2, cell - 2
    middle, small = cell / 2, 2
    shapes = {
        State.ALL: f"M{x + one} {y + one}h{far - one}v{far - one}h-{far - one}z",
        State.SOME: f"M{x + one} {y + one}v{far - one}h{far - one}z",
        State.NONE: f"M{x + middle - small} {y + middle - small}h{2 * small}v{2 * small}h-{2 * small}z",
        State.SELF: f"M{x + one + 1} {y + far - 1}L{x + far - 1} {y + one + 1}",
        State.ABSENT: f"M{x + 5} {y + 5}l{cell - 10} {cell - 10}m-{cell - 10} 0l{cell - 10} -{cell - 10}",
    }
    return shapes[state]


def _short(text: str, longest: int = 22) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the fields lie: the first one's corner, and how large each is."""

    left: int
    top: int
    cell: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        return self.left + column * self.cell, self.top + row * self.cell


def _cell_size(longest: int) -> int:
    """Few fields are large, many small."""
    return next((size for most, size in ((EACH / 2, 28), (EACH, 24), (45, 16)) if longest <= most), 13)


def _room(names: Sequence[str]) -> int:
    """What the longest of the names takes, beside the lines or above the columns."""
    return 12 + 7 * max((len(name) for name in names), default=0)


def draw(rows: Sequence[Bundle], columns: Sequence[Bundle], cells: Sequence[Sequence[Cell]]) -> Picture:
    """The picture of a part of the matrix. Sizes are in CSS pixels."""
    longest = max(len(rows), len(columns))
    beside, above = ([_short(bundle.label) for bundle in some] for some in (rows, columns))
    grid = _Grid(_room(beside), _room(above), _cell_size(longest))
    cell, left, top = grid.cell, grid.left, grid.top
    fields = [(at, column, one) for at, line in enumerate(cells) for column, one in enumerate(line)]
    paths: dict[State, list[str]] = {}
    for row, column, one in fields:
        paths.setdefault(one.state, []).append(_shape(one.state, *grid.corner(row, column), cell))
    tips = [
        Tip(*grid.corner(row, column), f"{rows[row].label} → {columns[column].label}: {one.why}", one.ends)
        for row, column, one in fields
        if longest <= EACH
    ]
    return Picture(
        width=left + cell * len(columns) + 12,
        height=top + cell * len(rows) + 4,
        cell=cell,
        left=left,
        top=top,
        across=cell * len(columns),
        down=cell * len(rows),
        rows=[Label(left - 8, top + row * cell + cell / 2, name) for row, name in enumerate(beside)],
        columns=[Label(left + column * cell + cell / 2, top - 8, name) for column, name in enumerate(above)],
        paths=[(state.value, "".join(parts)) for state, parts in paths.items()],
        tips=tips,
    )
