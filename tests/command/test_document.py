"""What docs/command.md says a job does, done by a shell."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import SecurityGroup, User, VirtualMachine
from tests.api.conftest import secret_of
from tests.command.conftest import commit

DOCUMENT = Path(__file__).parents[2] / "docs" / "command.md"


@pytest.mark.django_db(transaction=True)
def test_the_lines_of_a_job_work(
    live_server: LiveServer, erin: User, group: SecurityGroup, machine: VirtualMachine, home: Path
) -> None:
    block = re.search(r"^## Rules in a repository$.*?^```sh\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.M | re.S)
    assert block
    (home / "bin").mkdir()
    (home / "bin" / "karenpanel").write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m securitygroups.command "$@"\n'
    )
    (home / "bin" / "karenpanel").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "KARENPANEL_URL": live_server.url,
        "KARENPANEL_TOKEN": secret_of(erin),
        "COMMIT": "a1b2c3",
    }

    def run(lines: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", lines],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first, *rest = block[1].splitlines()
    run(first)
    commit(group, "accept in udp 53")
    assert "1 of 2 documents change something." in run(rest[0])
    run(rest[1])

    assert (group.rules.count(), group.revisions.get(number=3).reason) == (5, "a1b2c3")


def test_every_command_stands_in_the_document() -> None:
    from securitygroups.command.main import app, rules_app

    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    names += [f"rules {command.name}" for command in rules_app.registered_commands]

    assert [name for name in names if f"karenpanel {name}" not in DOCUMENT.read_text("utf-8")] == ["logout"]
