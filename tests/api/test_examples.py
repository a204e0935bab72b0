"""The examples of the documentation work: each is run in a shell, against a server, and answered as it is said there."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import SecurityGroup, User, VirtualMachine
from tests.api.conftest import secret_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
SECTIONS = ("Testing packets", "Replaying a log")


def examples() -> Iterator[tuple[str, str]]:
    """Commands of these sections, each with what is shown of its answer."""
    for section in re.split(r"^## ", DOCUMENT.read_text("utf-8"), flags=re.MULTILINE):
        if section.startswith(SECTIONS):
            yield from re.findall(r"```sh\n(.+?)```\n+```json\n(.+?)```", section, flags=re.DOTALL)


def holds(shown: Any, found: Any) -> bool:
    """Whether everything that is shown is there; of a list, its beginning."""
    if isinstance(shown, dict):
        return isinstance(found, dict) and all(name in found and holds(its, found[name]) for name, its in shown.items())
    if isinstance(shown, list):
        return isinstance(found, list) and len(shown) <= len(found) and all(map(holds, shown, found))
    return bool(shown == found)


@pytest.mark.parametrize(("command", "answer"), list(examples()))
def test_an_example_is_answered_as_it_says(
    command: str,
    answer: str,
    live_server: LiveServer,
    bob: User,
    group: SecurityGroup,
    machine: VirtualMachine,
    tmp_path: Path,
) -> None:
    given = {"PANEL": live_server.url, "TOKEN": secret_of(bob), "GROUP": group.public_id, "VM": machine.public_id}

    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=os.environ | given | {"no_proxy": "*"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert holds(json.loads(answer), json.loads(done.stdout)), done.stdout


def test_there_are_examples_of_both() -> None:
    assert len(list(examples())) >= 6
