"""What kept its order between two lists, and so what has to have moved."""

from bisect import bisect_left
from collections.abc import Sequence


def kept_in_order(places: Sequence[int]) -> list[int]:
    """Indexes of a longest run of `places` that rises: the things that stand in the same order as before.

    `places` says for each thing of the new order where it stood in the old one, each place once. All else moved, and
    fewer moves cannot explain the new order. Patience sorting, in n log n.
    """
    # By length of run: the lowest place that one of it can end with, and the index where that one ends.
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, place in enumerate(places):
        at = bisect_left(tails, place)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [place]
        ends[at : at + 1] = [index]
    kept: list[int] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        kept.append(index)
        index = before[index]
    return kept[::-1]
