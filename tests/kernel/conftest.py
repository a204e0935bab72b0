"""Hosts for the kernel tests: one for each target that works here, made once and emptied before each test."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from securitygroups.firewall.nftables import TABLE, skeleton
from securitygroups.firewall.platform import Target
from tests.kernel.host import Host, NotHere, host_with_taps, missing, skip

KERNEL = pytest.mark.xdist_group("kernel")


@pytest.fixture(scope="session")
def hosts() -> Iterator[dict[Target, Host | str]]:
    """A host for each target, or the reason why there is none."""
    made: dict[Target, Host | str] = {}
    with ExitStack() as open_hosts:
        for target in Target:
            try:
                made[target] = open_hosts.enter_context(host_with_taps(target))
            except NotHere as reason:
                made[target] = str(reason)
        yield made


@pytest.fixture(params=list(Target), ids=str)
def target(request: pytest.FixtureRequest, hosts: dict[Target, Host | str]) -> Target:
    chosen: Target = request.param
    reasons = {target: made for target, made in hosts.items() if isinstance(made, str)}
    if chosen in reasons:
        skip(missing(reasons) or f"{chosen}: {reasons[chosen]}", needed=bool(missing(reasons)))
    return chosen


@pytest.fixture
def host(target: Target, hosts: dict[Target, Host | str]) -> Host:
    """A host with the skeleton, the VM's tap, the network's, and one that belongs to no VM."""
    made = hosts[target]
    assert isinstance(made, Host)
    made.run(f"nft add table {target.family} {TABLE}")
    made.load(f"delete table {target.family} {TABLE}\n{skeleton(target)}")
    made.order("forget")
    return made
