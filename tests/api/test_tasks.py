"""The ten tasks of docs/api.md, as curl and as Python, run as they stand there against a server."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import SecurityGroup, User, VirtualMachine
from tests.api.conftest import secret_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"


def tasks() -> dict[str, dict[str, str]]:
    """The blocks of each task by its number, and by language."""
    text = DOCUMENT.read_text("utf-8").partition("## Ten tasks")[2].partition("\n## ")[0]
    opening, *parts = re.split(r"^### (?=\d+\. )", text, flags=re.M)
    begin = re.findall(r"^```python\n(.*?)^```", opening, re.M | re.S)
    blocks = {part.split(".")[0]: dict(re.findall(r"^```(\w+)\n(.*?)^```", part, re.M | re.S)) for part in parts}
    return {number: found | {"python": begin[0] + found["python"]} for number, found in blocks.items()}


TASKS = tasks()


def rules_of(group: SecurityGroup) -> list[tuple[str, int | None]]:
    return [(rule.protocol, rule.port_start) for rule in group.rules.in_order()]


def quicker(said: str) -> bool:
    """Whether the second of two answers has both lists."""
    _, end = json.JSONDecoder().raw_decode(said)
    second = json.loads(said[end:])
    mine, theirs = ([rule["port_start"] for rule in second[whose]["rules"]] for whose in ("mine", "theirs"))
    return (second["status"], theirs, mine) == (412, [123], [53])


# What there is afterwards, of the project “shop” with its group “web” on the VM “web-1”.
DONE: dict[str, Any] = {
    "1": lambda web, _: web.revision == 1,
    "2": lambda web, _: rules_of(web.project.groups.get(name="db")) == [("tcp", 5432)],
    "3": lambda web, _: web.revision == 2 and web.revisions.get(number=2).reason == "CHG-7",
    "4": lambda web, _: rules_of(web) == [("tcp", 22)],
    "5": lambda web, said: rules_of(web)[-1] == ("udp", 123) and ("python" in said or quicker(said)),
    "6": lambda web, _: web.revision == 3 and len(rules_of(web)) == 5,
    "7": lambda web, _: web.project.machines.get(name="web-7").attachments.get().group == web,
    "8": lambda web, _: [vm.name for vm in web.project.machines.exclude(external_id="").order_by("name")] == ["db-1", "db-2"],
    "9": lambda web, said: "drop" in said,
    "10": lambda web, said: "web" in said,
}  # fmt: skip


@pytest.mark.parametrize("number", DONE)
@pytest.mark.parametrize("language", ["sh", "python"])
@pytest.mark.django_db(transaction=True)
def test_a_task_is_done_as_the_document_says(
    language: str,
    number: str,
    live_server: LiveServer,
    alice: User,
    group: SecurityGroup,
    machine: VirtualMachine,
    tmp_path: Path,
) -> None:
    names = {
        "PANEL": live_server.url,
        "TOKEN": secret_of(alice),
        "GROUP": group.public_id,
        "VM": machine.public_id,
        "no_proxy": "*",
    }
    shell = ["bash", "-euc"] if language == "sh" else [sys.executable, "-c"]

    done = subprocess.run(
        [*shell, TASKS[number][language]],
        env=os.environ | names,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    group.refresh_from_db()
    assert DONE[number](group, done.stdout or language), done.stdout


def test_there_are_ten() -> None:
    assert TASKS.keys() == DONE.keys()
    assert len(TASKS) == 10
