"""Every reader of clouds' rules against the cloud's own rule, with 200,000 packets each: none passes that it denies.

`python -m pytest tests/benchmarks/test_clouds.py -o addopts="" -s`. A line says: system, files, packets, how many of them the
cloud lets through, how many of those ours does, how many that the cloud denies, and how many were judged where all was exact.
"""

import random
import sys

import pytest

from tests.firewall.formats.clouds.proof import Case, compared
from tests.firewall.formats.clouds.test_proof import CASES

PACKETS = 200_000
EACH = 100


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_passes_that_the_cloud_denies(case: Case) -> None:
    rng = random.Random(f"{case.name} at length")
    packets = passed = theirs = exact = sources = 0

    while packets < PACKETS:
        found = compared(case, rng, 20, EACH)
        packets, passed, theirs = packets + found.packets, passed + found.passed, theirs + found.theirs
        exact, sources = exact + found.exact, sources + 20

    sys.stdout.write(f"\n| {case.name} | {sources:,} | {packets:,} | {theirs:,} | {passed:,} | 0 | {exact:,} |\n")
    assert passed > PACKETS // 100
