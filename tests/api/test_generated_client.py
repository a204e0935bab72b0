"""A client that a public generator makes of the schema does a whole story: nothing of it is written by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from securitygroups.api.schema import api
from securitygroups.models import Event, Project, User
from tests.api.conftest import secret_of

STORY = """
import os

from panel_client import AuthenticatedClient
from panel_client.api.groups import make_group, put_rules, undo_group_revision
from panel_client.api.inventory import put_inventory
from panel_client.api.packet_tests import test_packet_on_machine
from panel_client.api.v_ms import list_machines, put_machine_groups
from panel_client.models import (
    Change, GroupOrder, MakeGroupBody, PacketToTest, Preview, Problem, PutInventoryBody, PutRulesBody, Written
)

SHOP = "shop"
client = AuthenticatedClient(base_url=os.environ["PANEL"], token=os.environ["TOKEN"])

# The platform's VMs come in.
listed = {"machines": [{"external_id": "i-1", "name": "web-1", "ipv4": "10.0.1.11"}]}
report = put_inventory.sync(SHOP, client=client, body=PutInventoryBody.from_dict(listed))
assert [one.name for one in report.created] == ["web-1"]
vm = list_machines.sync(SHOP, client=client).items[0]

# A group, made twice by a program that did not hear the answer, and there once.
web = MakeGroupBody.from_dict({"format": "karenpanel.group/1", "name": "web", "rules": []})
first, again = (make_group.sync(SHOP, client=client, body=web, idempotency_key="web") for _ in range(2))
assert first.id == again.id
order = GroupOrder.from_dict({"groups": [first.id]})
assert put_machine_groups.sync(SHOP, vm.id, client=client, body=order, if_match=f'"{vm.revision}"').changed

# A refusal says what to write instead.
rule = {"action": "accept", "direction": "in", "protocol": "tcp", "source": "203.0.113.9/24", "port_start": 443}
base = f'"{first.revision}"'
def put(**more):
    body = PutRulesBody.from_dict({"rules": [rule]})
    return put_rules.sync_detailed(SHOP, first.id, client=client, body=body, if_match=base, **more)

refused = put()
assert refused.status_code == 422 and isinstance(refused.parsed, Problem)
fault = refused.parsed.errors[0]
assert fault.pointer == "/rules/0/source", fault
rule["source"] = fault.suggestions[0]

# What it would do, and then it is done.
preview = put(dry_run=True).parsed
assert isinstance(preview, Preview) and preview.effects[0].machines[0].name == "web-1"
done = put().parsed
assert isinstance(done, Written) and done.changed, done

packet = PacketToTest.from_dict(
    {"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.1.11", "port": 443}
)
def verdict():
    return test_packet_on_machine.sync(SHOP, vm.id, client=client, body=packet).verdict

assert verdict() == "accept"
undone = undo_group_revision.sync(SHOP, first.id, client=client, body=Change(), if_match=f'"{done.revision}"')
assert undone.changed
assert verdict() == "drop"
print("done")
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder that has the client's package. A warning of the generator is a part that it left out."""
    (tmp_path / "openapi.json").write_text(json.dumps(api.get_openapi_schema(), default=str), "utf-8")
    tools = Path(sys.executable).parent
    done = subprocess.run(
        [
            *(tools / "openapi-python-client", "generate", "--path", "openapi.json", "--fail-on-warning"),
            *("--meta", "none", "--output-path", "panel_client"),
        ],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path


@pytest.mark.django_db(transaction=True)
def test_a_generated_client_does_a_whole_story(
    package: Path, live_server: LiveServer, alice: User, project: Project
) -> None:
    secret = secret_of(alice)
    before = Event.objects.filter(project=project, token=None).count()

    done = subprocess.run(
        [sys.executable, "-c", STORY],
        cwd=package,
        env=os.environ | {"PANEL": live_server.url, "TOKEN": secret, "no_proxy": "*"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("done\n", "")
    assert project.machines.get().external_id == "i-1"
    group = project.groups.get()
    assert (group.revision, group.rules.count()) == (3, 0)
    # All of it with the token, but for what made the project.
    assert Event.objects.filter(project=project, token=None).count() == before
    assert Event.objects.filter(project=project).count() > before + 4
