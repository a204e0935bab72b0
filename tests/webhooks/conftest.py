"""Receivers on this machine, and an installation that may send there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.receivers import Receiver, make_certificates, receiving


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def receiver(certificates: tuple[Path, Path], settings: Any) -> Iterator[Receiver]:
    """One that takes everything, where this machine is allowed to be sent to."""
    authority, certificate = certificates
    with receiving(certificate) as started:
        settings.WEBHOOK_CA_FILE = str(authority)
        settings.WEBHOOK_NETWORKS_ALLOWED = ["127.0.0.0/8"]
        settings.WEBHOOK_PORTS = [443, started.port]
        yield started


def here(host: str, port: int) -> list[str]:
    """A resolver to whom every name is this machine."""
    return ["127.0.0.1"]
