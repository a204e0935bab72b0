"""What the internet reaches, and how that changed, as shapes: names stand beside them as text, where they can give way.

A picture is as wide as there is room: across it everything is told in hundredths, and only its height in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from securitygroups.answers.reached import Bundle, Port, Reached
from securitygroups.answers.trend import Day

NAMED = 3
PORT_ROW, BUNDLE_ROW = 52, 36
"""As high as the rows of names are in static/css/screens/overview.css."""
_FULL, _MOST, _LEAST = 0.7, 12.0, 1.5
"""The part of a row that bands may fill; how wide a single VM's may be; and how narrow the others."""


@dataclass(frozen=True, slots=True)
class Band:
    """A way of the internet's in: `path` is its shape."""

    path: str
    loud: bool


@dataclass(frozen=True, slots=True)
class Flow:
    """The bands from the internet to ports, and from ports to VMs."""

    height: int
    into: list[Band]
    onto: list[Band]


def flow(found: Reached) -> Flow:
    """Bands as wide as there are VMs in them, in the same measure everywhere."""
    rows = len(found.bundles) + bool(found.more_machines)
    height = max(len(found.ports) * PORT_ROW, rows * BUNDLE_ROW)
    at_ports = _middles(len(found.ports), PORT_ROW, height)
    at_bundles = _middles(rows, BUNDLE_ROW, height)
    one = _one(found, rows)

    def width(machines: int) -> float:
        return max(_LEAST, machines * one)

    loud = [bool(port.services) for port in found.ports]
    wide = [sum(width(number) for at, _, number in found.bands if at == place) for place in range(len(found.ports))]
    comes = (height - sum(wide)) / 2
    into: list[Band] = []
    for place, its in enumerate(wide):
        into.append(Band(_curve(comes, at_ports[place] - its / 2, its), loud[place]))
        comes += its
    leaves = [middle - its / 2 for middle, its in zip(at_ports, wide, strict=True)]
    ends = [
        middle - sum(width(n) for _, to, n in found.bands if to == row) / 2 for row, middle in enumerate(at_bundles)
    ]
    onto: list[Band] = []
    for place, row, number in sorted(found.bands):
        its = width(number)
        onto.append(Band(_curve(leaves[place], ends[row], its), loud[place]))
        leaves[place] += its
        ends[row] += its
    return Flow(height, into, onto)


def _middles(rows: int, row: int, height: int) -> list[float]:
    """The middle of each row, where all of them stand in the middle of the height."""
    start = (height - rows * row) / 2
    return [start + row * (place + 0.5) for place in range(rows)]


def _one(found: Reached, rows: int) -> float:
    """How wide a VM's band is: so that the most of them fit into a row."""
    most_out = max((sum(n for at, _, n in found.bands if at == place) for place in range(len(found.ports))), default=1)
    most_in = max((sum(n for _, to, n in found.bands if to == row) for row in range(rows)), default=1)
    return min(_MOST, PORT_ROW * _FULL / most_out, BUNDLE_ROW * _FULL / most_in)


def _curve(start: float, end: float, width: float) -> str:
    a, b, c, d = (f"{y:.1f}" for y in (start, end, end + width, start + width))
    return f"M0 {a}C50 {a} 50 {b} 100 {b}V{c}C50 {c} 50 {d} 0 {d}z"


@dataclass(frozen=True, slots=True)
class Column:
    """A day of the trend: how far from the left; where what is reached begins, of a hundred, and how high it is; and the
    same of what is loud."""

    day: Day
    x: int
    top: float
    height: float
    loud_top: float
    loud_height: float


def columns(days: Sequence[Day], room: int) -> list[Column]:
    """A column for each day, one wide, at the right end of the room for so many."""
    most = max(day.open for day in days) or 1
    found: list[Column] = []
    for x, day in enumerate(days, room - len(days)):
        # What is there is seen, however little it is beside the others.
        high, loud = (max(4.0, round(100 * one / most, 1)) if one else 0.0 for one in (day.open, day.loud))
        found.append(Column(day, x, 100 - high, high, 100 - loud, loud))
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """A port with the VMs behind it, for those who read it."""

    port: Port
    bundles: list[tuple[Bundle, int]]
    more: int

    @property
    def first(self) -> list[tuple[Bundle, int]]:
        """Those that there is room for in a sentence: the largest."""
        return sorted(self.bundles, key=lambda pair: -pair[1])[:NAMED]

    @property
    def others(self) -> int:
        """The VMs behind it that a sentence does not name."""
        return self.port.machines - sum(number for _, number in self.first)


def rows(found: Reached) -> list[Row]:
    """The same as the picture, port by port."""
    last = len(found.bundles)
    return [
        Row(
            port,
            [(found.bundles[to], number) for at, to, number in found.bands if at == place and to < last],
            sum(number for at, to, number in found.bands if at == place and to == last),
        )
        for place, port in enumerate(found.ports)
    ]
