"""Hosts for the kernel tests: one for each target, or the reason why not."""

import os
from collections.abc import Iterator

import pytest

from securitygroups.firewall.nftables import Target
from tests.kernel.host import Host, NotHere, empty_host, host_with_taps, missing, skip

KERNEL = pytest.mark.xdist_group("kernel")


@pytest.fixture(scope="session")
def unavailable() -> dict[Target, str]:
    """Why a target cannot be tested here. KERNEL_TESTS=require makes a failure of what a developer's machine skips."""
    reasons: dict[Target, str] = {}
    for target in Target:
        try:
            with host_with_taps(target):
                pass
        except NotHere as reason:
            reasons[target] = str(reason)
    if os.environ.get("KERNEL_TESTS") == "require" and missing(reasons):
        pytest.fail(f"KERNEL_TESTS=require, but {missing(reasons)}", pytrace=False)
    return reasons


@pytest.fixture(params=list(Target), ids=str)
def target(request: pytest.FixtureRequest, unavailable: dict[Target, str]) -> Target:
    chosen: Target = request.param
    if chosen in unavailable:
        skip(f"{chosen}: {unavailable[chosen]}")
    return chosen


@pytest.fixture
def host(target: Target) -> Iterator[Host]:
    """A host with the skeleton, the VM's tap, the network's, and one that belongs to no VM."""
    with host_with_taps(target) as made:
        yield made


@pytest.fixture
def bare_host(target: Target) -> Iterator[Host]:
    """A host without any interface."""
    with empty_host(target) as made:
        yield made
