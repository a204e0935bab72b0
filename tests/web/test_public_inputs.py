"""What people typed elsewhere, typed here: names that only look different, addresses that no VM can have, logs of others."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from securitygroups.firewall.flows.compiled import CompiledList
from securitygroups.firewall.flows.logs import FlowLog
from securitygroups.firewall.notation import rule
from securitygroups.models import Project, SecurityGroup, VirtualMachine
from tests.factories import make_group

CASES = Path(__file__).parents[1] / "cases" / "public"
NAMES: list[dict[str, Any]] = [json.loads(line) for line in (CASES / "names.jsonl").read_text().splitlines()]


@pytest.mark.django_db
@pytest.mark.parametrize("case", NAMES, ids=lambda case: ascii(case["second"]))
def test_a_name_that_only_looks_different_is_none(case: dict[str, Any], as_alice: Client, project: Project) -> None:
    url = f"/p/{project.slug}/groups/new/"
    assert as_alice.post(url, {"name": case["first"], "description": ""}).status_code == 302

    answer = as_alice.post(url, {"name": case["second"], "description": ""})

    assert (answer.status_code == 302) == case["taken"]
    assert SecurityGroup.objects.live().filter(project=project, name=case["first"]).exists()
    if not case["taken"]:
        assert answer.status_code == 422
        assert "type" in str(answer.context["form"].errors["name"]).lower()


@pytest.mark.django_db
def test_a_name_that_was_there_first_can_still_be_described(as_alice: Client, project: Project) -> None:
    other = make_group(project, "b\u0430r", [])
    make_group(project, "bar", [])
    url = f"{other.get_absolute_url()}edit/"

    assert as_alice.post(url, {"name": "b\u0430r", "description": "kept"}).status_code == 302
    assert as_alice.post(url, {"name": "ba\u0433", "description": "kept"}).status_code == 302
    assert as_alice.post(url, {"name": "b\u0430r", "description": "kept"}).status_code == 422


@pytest.mark.django_db
def test_an_interface_s_address_is_taken_with_one_click_without_script(as_alice: Client, project: Project) -> None:
    url = f"/p/{project.slug}/machines/new/"
    typed = {"name": "new-vm", "description": "", "ipv4": "10.8.0.1/24", "ipv6": ""}

    refused = as_alice.post(url, typed)
    redrawn = as_alice.post(url, typed | {"suggest": "ipv4=10.8.0.1"})

    assert refused.status_code == 422
    assert 'value="ipv4=10.8.0.1"' in refused.content.decode()
    assert redrawn.status_code == 200
    assert redrawn.context["form"]["ipv4"].value() == "10.8.0.1"
    assert redrawn.context["form"]["name"].value() == "new-vm"
    assert not VirtualMachine.objects.filter(name="new-vm").exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "text"), [("ipv4", "127.44.5.6"), ("ipv6", "::ffff:10.44.5.6"), ("ipv6", "ff02::fb")]
)
def test_an_address_that_no_vm_can_have_is_refused_at_its_field(
    field: str, text: str, as_alice: Client, project: Project
) -> None:
    answer = as_alice.post(f"/p/{project.slug}/machines/new/", {"name": "new-vm", field: text})

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not VirtualMachine.objects.filter(name="new-vm").exists()


def test_a_log_that_says_icmpv6_is_decided_by_the_icmp_rule() -> None:
    log = FlowLog(BytesIO((CASES / "C18-icmpv6.csv").read_bytes()))
    rules = (rule("drop in tcp"), rule("accept in icmp"))

    places = [CompiledList(rules).judge(batch)[1].tolist() for batch in log]

    assert places == [[2, 2]]
