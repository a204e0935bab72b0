"""Nothing passes what was read that the cloud denies: its own rule, word for word, against ours."""

import random

import pytest

from tests.firewall.formats.clouds import orders, states, unions
from tests.firewall.formats.clouds.proof import Case, compared

CASES = unions.CASES + orders.CASES + states.CASES


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_passes_that_the_cloud_denies(case: Case) -> None:
    found = compared(case, random.Random(case.name), 120, 40)

    assert found.passed > 30
    assert found.exact > 30
