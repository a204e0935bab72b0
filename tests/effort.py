"""How long something may take, wherever it is tried: in time of this machine as it is now.

For what takes a moment, and minutes where an expression goes over the rest again for each part of it. A machine that is
half as quick, or busy, has twice the time; what a thing takes exactly is a matter of `tests/benchmarks/`.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

# What the measure took on the machine that the tests' seconds were written down for.
_MEASURE = 0.015
_WORDS = re.compile(r"(\w+) (\w+)")


def _measured() -> float:
    """Seconds of the processor for a fixed piece of work, of the kinds that readers do."""
    started = time.process_time()
    for number in range(20_000):
        _WORDS.match(f"word{number} other{number}")
        {"a": number}["a"] + number * 7 % 11
    return time.process_time() - started


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Fails where what is done inside takes more time of the processor, by the measure.

    Which is taken only where the seconds are not kept as they stand: what takes a moment is tried thousands of times.
    """
    started = time.process_time()
    yield
    took = time.process_time() - started
    if took < seconds:
        return
    slow = max(_MEASURE, *(_measured() for _ in range(3))) / _MEASURE
    assert took < seconds * slow, f"{took:.2f} s, on a machine on which {seconds * slow:.2f} s are allowed"
