"""A terminal on somebody's machine: the command, with a server to speak to and a home of its own."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer
from typer.testing import CliRunner, Result

from securitygroups import operations
from securitygroups.command.main import app
from securitygroups.models import Project, SecurityGroup, User
from securitygroups.operations import By
from tests.api.conftest import secret_of
from tests.factories import rule

Terminal = Callable[..., Result]

EDITOR = """
import shlex
import sys
from pathlib import Path
file, steps = Path(sys.argv[1]), Path({steps!r})
seen = file.read_text("utf-8")
with Path({seen!r}).open("a", encoding="utf-8") as out:
    out.write(seen + "\\f")
step = sorted(steps.iterdir())[0]
exec(step.read_text("utf-8"))
step.unlink()
file.write_text(seen, "utf-8")
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KARENPANEL_URL", "KARENPANEL_TOKEN", "KARENPANEL_PROJECT", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def terminal(home: Path) -> Terminal:
    """Runs the command with these words; `typed` is what is typed meanwhile."""

    def run(*words: str, typed: str = "", status: int = 0) -> Result:
        result = CliRunner().invoke(app, words, input=typed)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def signed_in(live_server: LiveServer, terminal: Terminal, erin: User, project: Project) -> Terminal:
    """Erin's terminal."""
    terminal("login", live_server.url, typed=f"{secret_of(erin)}\n")
    return terminal


class Editor:
    """The editor of a person who does these things in it, one after the other. `seen` is what was opened, in order."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._steps, self._seen = home / "steps", home / "seen"
        self._steps.mkdir()
        script = home / "editor.py"
        script.write_text(EDITOR.format(steps=str(self._steps), seen=str(self._seen)), "utf-8")
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(script)]))

    def will(self, *steps: str) -> None:
        """Each is a line of Python that changes the text `seen`."""
        for number, step in enumerate(steps):
            (self._steps / f"{number}").write_text(step, "utf-8")

    @property
    def seen(self) -> list[str]:
        return self._seen.read_text("utf-8").split("\f")[:-1]


@pytest.fixture
def editor(home: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    return Editor(home, monkeypatch)


def commit(group: SecurityGroup, *lines: str) -> None:
    """Somebody else makes this the group's list."""

    group.refresh_from_db()
    by = By(User.objects.get(username="alice"))
    operations.commit_rules(group=group, rules=[rule(line) for line in lines], base=group.revision, by=by)
