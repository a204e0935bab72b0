"""A panel as it runs in production, and hosts that ask it: each test has hosts of its own, and the web server is shared."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from securitygroups.firewall.platform import Target
from securitygroups.models import Project, SecurityGroup, VirtualMachine
from tests.factories import make_group, make_machine
from tests.hosts_for_real.real import ADDRESSES, RealHost, real_host
from tests.kernel.host import OTHER_TAP, VM, NotHere, missing, skip
from tests.server import Server, running

_REASONS: dict[Target, str] = {}


@pytest.fixture(scope="session")
def panel(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("panel")) as server:
        yield server


def made(target: Target, folder: Path, port: int) -> Iterator[RealHost]:
    if target in _REASONS:
        skip(f"{target}: {_REASONS[target]}")
    try:
        with real_host(target, folder, port) as host:
            yield host
    except NotHere as reason:
        _REASONS[target] = str(reason)
        skip(missing(_REASONS) or f"{target}: {reason}", needed=bool(missing(_REASONS)))


@pytest.fixture(params=list(Target), ids=str)
def fresh(request: pytest.FixtureRequest, transactional_db: None, panel: Server, tmp_path: Path) -> Iterator[RealHost]:
    """A host of each kind, whose agent is not enrolled yet."""
    yield from made(request.param, tmp_path, panel.port)


@pytest.fixture
def real(transactional_db: None, panel: Server, tmp_path: Path) -> Iterator[RealHost]:
    """A host with routed taps, which every kernel has, enrolled."""
    for host in made(Target.INET, tmp_path, panel.port):
        host.enrol()
        yield host


@pytest.fixture
def web(project: Project) -> SecurityGroup:
    return make_group(project, "web", ["accept in udp 53", "accept out udp 53"])


@pytest.fixture
def vm(project: Project, web: SecurityGroup) -> VirtualMachine:
    """“web-1”, which is to stand at tap0."""
    return make_machine(project, "web-1", [web], ipv4=ADDRESSES[VM.tap])


@pytest.fixture
def other(project: Project, web: SecurityGroup) -> VirtualMachine:
    """“web-2”, with the same group."""
    return make_machine(project, "web-2", [web], ipv4=ADDRESSES[OTHER_TAP])
