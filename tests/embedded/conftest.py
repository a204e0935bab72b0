"""Each launcher test has a server of its own in a temporary folder, once as root and once as an ordinary user."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.deeds import ORDINARY, Deed, why_nobody_else


@pytest.fixture(scope="module")
def area() -> Iterator[Path]:
    """A folder for checkouts and servers. Not tmp_path: the server's user has to pass, and sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="karenpanel test "))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["as root", "as an ordinary user"])
def deed(request: pytest.FixtureRequest, area: Path) -> Iterator[Deed]:
    """Starts tests.launcher as that user on a checkout with a space in its path, and ends everything after."""
    uid: int | None = None
    if os.geteuid() != 0:
        if request.param == "as root":
            pytest.skip("not root, so the way root's server is run cannot be tried")
    elif request.param != "as root":
        uid = ORDINARY
        if (refusal := why_nobody_else()) is not None:
            pytest.skip(f"root may not become an ordinary user here: {refusal}")
    begun = Deed(area, uid)
    try:
        yield begun
    finally:
        begun.end()
