"""The longest run that kept its order."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitygroups.firewall.orders import kept_in_order


@pytest.mark.parametrize(
    ("places", "kept"),
    [
        ([], []),
        ([7], [0]),
        ([1, 2, 3], [0, 1, 2]),
        ([3, 1, 2], [1, 2]),
        ([2, 3, 1], [0, 1]),
        ([4, 5, 1, 2, 3], [2, 3, 4]),
    ],
)
def test_what_kept_its_order_is_told_by_index(places: list[int], kept: list[int]) -> None:
    assert kept_in_order(places) == kept


@given(st.permutations(range(8)))
def test_no_longer_run_rises(places: list[int]) -> None:
    kept = kept_in_order(places)

    run = [places[at] for at in kept]
    assert kept == sorted(kept)
    assert run == sorted(run)
    assert not any(list(longer) == sorted(longer) for longer in combinations(places, len(kept) + 1))
