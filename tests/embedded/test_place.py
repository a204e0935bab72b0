"""Where the embedded server lives, and whose folders it takes."""

import os
from pathlib import Path

import pytest

from karenpanel import database
from karenpanel.embedded import place
from tests.embedded.deeds import STRANGER, Deed

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def test_a_path_too_long_for_a_socket_makes_a_short_folder_and_removes_it(deed: Deed) -> None:
    long = deed.folder("long " * 40)
    waiting = deed.begin("closed", checkout=long)
    socket = Path(waiting.stdout.readline().strip() if waiting.stdout else "")
    if os.geteuid() == 0:
        deed.do("intrude", STRANGER, socket)
    deed.finish(waiting)
    if deed.uid:
        assert socket.parent == Path("/tmp")
        assert not socket.exists()


@needs_root
@pytest.mark.parametrize("trap", ["a link", "somebody else's", "open to others"])
def test_a_folder_that_may_be_a_trap_is_refused(trap: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if trap == "a link":
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir()
        folder.chmod(0o755 if trap == "open to others" else 0o700)
        if trap == "somebody else's":
            os.chown(folder, STRANGER, STRANGER)
    with pytest.raises(database.StartError, match="is not a private folder"):
        place.closed_folder(folder, 0o700)


def test_a_checkout_that_belongs_to_somebody_else_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    here = database.place(tmp_path)
    assert here.state.parent == Path("/elsewhere/karenpanel")
    assert here.user is None


def test_two_checkouts_have_two_servers(tmp_path: Path) -> None:
    one, other = database.place(tmp_path / "a"), database.place(tmp_path / "b")
    assert one.data != other.data
    assert one.socket != other.socket
    assert one.title != other.title
