"""Hypervisors for the tests of the agent: one for each way to connect VMs that works here, new for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from securitygroups.firewall.platform import Target
from tests.agent.stand import Stand, standing
from tests.kernel.host import NotHere, missing, skip

KERNEL = pytest.mark.xdist_group("kernel")
_REASONS: dict[Target, str] = {}


@pytest.fixture(params=list(Target), ids=str)
def target(request: pytest.FixtureRequest) -> Target:
    chosen: Target = request.param
    return chosen


@pytest.fixture
def stand(target: Target, tmp_path: Path) -> Iterator[Stand]:
    """A hypervisor with an enrolled agent that has not been told anything yet."""
    if target in _REASONS:
        skip(f"{target}: {_REASONS[target]}")
    try:
        with standing(target, tmp_path) as made:
            yield made
    except NotHere as reason:
        _REASONS[target] = str(reason)
        skip(missing(_REASONS) or f"{target}: {reason}", needed=bool(missing(_REASONS)))
