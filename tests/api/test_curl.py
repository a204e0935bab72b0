"""The tasks of docs/api.md, run as they stand there, against a server."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import SecurityGroup, User
from tests.api.conftest import secret_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


def task(heading: str) -> str:
    """The commands below a heading of the document."""
    found = re.search(rf"^### {re.escape(heading)}$.*?^```sh\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.M | re.S)
    assert found, heading
    return found[1]


@pytest.fixture
def answers(live_server: LiveServer, alice: User, group: SecurityGroup, tmp_path: Path) -> Any:
    shell = shutil.which("bash")
    assert shell
    names = {"PANEL": live_server.url, "TOKEN": secret_of(alice), "GROUP": group.public_id}

    def run(heading: str) -> list[Any]:
        done = subprocess.run(
            [shell, "-euc", task(heading)],
            env=os.environ | names,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        decoder, text, found = json.JSONDecoder(), done.stdout, []
        while text:
            value, end = decoder.raw_decode(text)
            found.append(value)
            text = text[end:].lstrip()
        return found

    return run


@pytest.mark.django_db(transaction=True)
def test_a_vm_is_looked_at_and_made_as_the_document_says(answers: Any, group: SecurityGroup) -> None:
    preview, made = answers("A new VM, after a look at what it lets through")

    assert preview["changes_traffic"]
    assert not preview["alarms"]
    assert (made["name"], made["groups"]) == ("web-7", [{"id": group.public_id, "name": "web"}])
    assert group.project.machines.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_list_is_looked_at_and_brought_in_as_the_document_says(answers: Any, group: SecurityGroup) -> None:
    looked, done = answers("A platform's VMs, every night")

    assert [one["name"] for one in looked["created"]] == [one["name"] for one in done["created"]] == ["db-1", "db-2"]
    assert looked["preview"] == done["preview"]
    machines = group.project.machines.order_by("name")
    assert [vm.external_id for vm in machines] == ["i-0a1", "i-0a2"]
