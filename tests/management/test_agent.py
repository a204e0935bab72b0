"""`manage.py agent`: what operators take to their hosts."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from securitygroups.agent import VERSION

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "manage.py"), "agent", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_it_builds_a_program_that_runs_without_the_panel(tmp_path: Path) -> None:
    done = run("build", cwd=tmp_path)

    program = tmp_path / "karenpanel-agent"
    assert done.stdout.startswith(f"karenpanel-agent: version {VERSION}, ")
    said = subprocess.run(
        [sys.executable, "-I", str(program), "--version"], cwd="/", capture_output=True, text=True, check=True
    )
    assert said.stdout == f"{VERSION}\n"


def test_it_is_written_where_it_was_said_or_it_is_said_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("agent", "build", str(tmp_path))
    assert (tmp_path / "karenpanel-agent").stat().st_mode & 0o111

    with pytest.raises(CommandError, match="nowhere/agent cannot be written: No such file or directory"):
        call_command("agent", "build", str(tmp_path / "nowhere" / "agent"))


def test_it_prints_the_unit(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("agent", "unit")

    assert "ExecStart=/usr/local/bin/karenpanel-agent run" in capsys.readouterr().out
