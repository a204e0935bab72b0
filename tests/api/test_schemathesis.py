"""Schemathesis reads the schema and tries all of it: nothing is answered by a fault, and every answer is one that the schema has.

`SCHEMATHESIS_EXAMPLES` are the tries of each operation in each phase, a few where nothing is said: a thousand take an hour.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import GroupTemplate, SecurityGroup, User, VirtualMachine
from tests.api.conftest import secret_of

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "")
# Its coverage of the schema alone is five thousand requests.
PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "fuzzing,stateful"
CONFIG = """
[dictionaries]
{dictionaries}

[parameters]
{parameters}

# All but these. What the command line named could not be left out for one operation.
[checks]
positive_data_acceptance.enabled = false
use_after_free.enabled = false
ensure_resource_availability.enabled = false
# What says on which revision a change stands is asked for by a status of its own (RFC 6585).
missing_required_header.expected-statuses = [428]

# Entries that cannot be are told in the report, each with its place: a dry run is no refusal.
[[operations]]
include-tag = "Inventory"
checks.negative_data_rejection.enabled = false
"""


def config(folder: Path, known: dict[str, list[str]]) -> Path:
    """Values that exist, for nine of ten tries of what a path names: made-up ones lead nowhere but to 404."""
    file = folder / "schemathesis.toml"
    file.write_text(
        CONFIG.format(
            dictionaries="\n".join(f"{name} = {{ values = {values} }}" for name, values in known.items()),
            parameters="\n".join(
                f'"path.{name}" = {{ dictionary = "{name}", probability = 0.9 }}' for name in known if name != "match"
            )
            + '\n"header.If-Match" = { dictionary = "match", probability = 0.9 }',
        ),
        "utf-8",
    )
    return file


@pytest.mark.parametrize("who", ["alice", "bob"])
@pytest.mark.django_db(transaction=True)
def test_the_schema_is_true(
    who: str,
    client: Client,
    live_server: LiveServer,
    settings: Any,
    tmp_path: Path,
    alice: User,
    bob: User,
    group: SecurityGroup,
    machine: VirtualMachine,
) -> None:
    """As an owner, who may do all of it, and as a viewer."""
    settings.API_BURST = settings.API_PER_MINUTE = 10**6
    GroupTemplate.objects.create(project=group.project, name="kept", rules=[])
    # Made beforehand: on a busy machine it takes longer than it is waited for.
    client.get("/api/v1/openapi.json")
    known = {
        "project": ["shop"],
        "group": [one.public_id for one in SecurityGroup.objects.all()],
        "machine": [machine.public_id],
        "match": ['"1"', '"2"'],
    }

    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", config(tmp_path, known), "--no-color"),
            *(
                "run",
                f"{live_server.url}/api/v1/openapi.json",
                "-H",
                f"Authorization: Bearer {secret_of({'alice': alice, 'bob': bob}[who])}",
            ),
            *(
                "--phases",
                PHASES,
                "--max-examples",
                EXAMPLES or "2",
                "--continue-on-failure",
                "--no-shrink",
            ),
            *(
                "--seed",
                os.environ.get("SCHEMATHESIS_SEED", "1"),
                "--warnings",
                "off",
                "--suppress-health-check",
                "all",
            ),
        ],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTEST"))},
        capture_output=True,
        text=True,
        check=False,
    )

    # What it sends can be long.
    said = "\n".join(line[:300] for line in done.stdout.splitlines()[-300:])
    assert done.returncode == 0, said
    assert re.search(r"Stateful", said), said
    print("\n".join(said.splitlines()[-30:]))  # noqa: T201
