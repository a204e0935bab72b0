"""Painting a piece of traffic: which rule decides each cell, and which one would without it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from securitygroups.firewall.analysis.traffic import Owners, Piece, Ranks, areas


@dataclass(slots=True)
class Painting:
    """What decides each cell of a piece, by row of the layer: 0 = no rule, row + 1 otherwise. Shape: the piece's."""

    first: Owners
    second: Owners | None = None


def paint(piece: Piece, layer: int, second: bool = False) -> Painting:
    """The first matching rule of every cell and, where asked for, the one that would decide without it."""
    box = piece.layers[layer][1]
    shape = piece.shape
    dtype = np.int16 if len(box) < 32_000 else np.int32
    if areas(box, shape)[1]:
        return _paint_grouped(box, shape, dtype, second)
    across = (box[:, 0] == 0) & (box[:, 1] == shape[0])
    if shape[0] > 64 and np.count_nonzero(across) > 16:
        # Columns are slow to paint, for every cell of one lies in another line of memory; a flat plane of them is not.
        rows = np.arange(1, len(box) + 1)
        flat = box[across].copy()
        flat[:, 1] = 1
        found = _paint_over(box[~across], rows[~across], shape, dtype, second)
        _underlay(found, _paint_over(flat, rows[across], (1, *shape[1:]), dtype, second))
        return _unnumbered(found)
    return _unnumbered(_paint_over(box, np.arange(1, len(box) + 1), shape, dtype, second))


def _paint_over(box: Ranks, rows: NDArray[np.int64], shape: tuple[int, int, int], dtype: Any, second: bool) -> Painting:
    """Each rule painted over those behind it; cells without a rule hold the largest number."""
    # The largest number for no rule: the first rule of two paintings is then the smaller of both.
    first = np.full(shape, np.iinfo(dtype).max, dtype)
    backwards = zip(rows[::-1].tolist(), box[::-1].tolist(), strict=True)
    if not second:
        for row, (p0, p1, d0, d1, s0, s1) in backwards:
            first[p0:p1, d0:d1, s0:s1] = row
        return Painting(first)
    behind = np.full(shape, np.iinfo(dtype).max, dtype)
    for row, (p0, p1, d0, d1, s0, s1) in backwards:
        view = first[p0:p1, d0:d1, s0:s1]
        behind[p0:p1, d0:d1, s0:s1] = view
        view[...] = row
    return Painting(first, behind)


def _underlay(found: Painting, other: Painting) -> None:
    """Lay a painting of other rules of the same list under one, in place; its shape may be broadcast."""
    if found.second is not None and other.second is not None:
        # The second of two sorted pairs: the larger of the firsts, or one of the seconds.
        np.minimum(found.second, other.second, out=found.second)
        np.minimum(found.second, np.maximum(found.first, other.first), out=found.second)
    np.minimum(found.first, other.first, out=found.first)


def _unnumbered(found: Painting) -> Painting:
    """The painting with 0 where no rule is."""
    for owners in (found.first, found.second):
        if owners is not None:
            owners[owners == np.iinfo(owners.dtype).max] = 0
    return found


def _paint_grouped(box: Ranks, shape: tuple[int, int, int], dtype: Any, second: bool) -> Painting:
    """The same where rules overlap so much that painting each over the others would take too long.

    Rules with the same addresses are first settled among themselves on the port axis. Networks nest or are disjoint,
    so a cell lies in at most 33 (IPv4) or 129 (IPv6) different source networks, however many rules there are.
    """
    nothing = np.empty((0, 6), np.int32)
    found = _paint_over(nothing, np.empty(0, np.int64), shape, dtype, second)
    distinct, group = np.unique(box[:, 2:], axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    bounds = np.searchsorted(group.ravel()[order], np.arange(len(distinct) + 1))
    for at, (d0, d1, s0, s1) in enumerate(distinct.tolist()):
        members = order[bounds[at] : bounds[at + 1]]
        ports = np.zeros((len(members), 6), np.int32)
        ports[:, :2], ports[:, 3], ports[:, 5] = box[members, :2], 1, 1
        line = _paint_over(ports, members + 1, (shape[0], 1, 1), dtype, second)
        behind = None if found.second is None else found.second[:, d0:d1, s0:s1]
        _underlay(Painting(found.first[:, d0:d1, s0:s1], behind), line)
    return _unnumbered(found)
