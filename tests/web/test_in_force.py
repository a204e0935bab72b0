"""Where the rules are in force, on the pages of VMs and groups."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Host, InForce, Project, SecurityGroup, User, VirtualMachine
from tests.factories import make_host, make_machine, place
from tests.hosts import Agent, enrolled


@pytest.fixture
def agent(machine: VirtualMachine) -> Agent:
    """“web-1” stands on kvm-3, whose agent has said that its rules are loaded."""
    host, agent = enrolled("kvm-3")
    place(machine, host, "tap0")
    assert agent.applies().status_code == 200
    return agent


def shown(client: Client, url: str) -> str:
    return " ".join(client.get(url).content.decode().split())


def reported(**said: Any) -> None:
    InForce.objects.update(**said)


def test_where_no_host_has_an_agent_it_is_said_once_and_quietly(
    as_alice: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    make_host("kvm-9")

    page = shown(as_alice, machine.get_absolute_url())

    assert page.count("No host takes its rules from this panel") == 1
    assert "nothing is enforced" not in page
    for at in (group.get_absolute_url(), "/p/shop/machines/"):
        listed = shown(as_alice, at)
        assert not [words for words in ("In force", "On no host", "Not in force") if words in listed]


def test_a_vm_says_where_its_rules_are_in_force_and_since_when(
    as_alice: Client, agent: Agent, machine: VirtualMachine
) -> None:
    at = f"{timezone.localtime(InForce.objects.get().since):%H:%M}"

    for page in ("", "ruleset/"):
        assert f"In force on kvm-3 since {at}." in shown(as_alice, machine.get_absolute_url() + page)
    assert agent.host not in shown(as_alice, machine.get_absolute_url())
    assert "Host silent" not in shown(as_alice, "/p/shop/machines/")


@pytest.mark.parametrize(
    ("said", "words", "short"),
    [
        ({"vector": None}, "Being applied on kvm-3, ", "Being applied"),
        ({"error": "Rule 3: no <ports>."}, "Refused by kvm-3: Rule 3: no &lt;ports&gt;.", "Refused by its host"),
        ({"drift": ["- drop <b>"]}, "Changed by hand on kvm-3, 1 line.", "Changed by hand"),
    ],
)
def test_what_is_not_in_force_is_told_on_the_vm_in_the_list_and_on_the_group(
    as_alice: Client,
    agent: Agent,
    machine: VirtualMachine,
    group: SecurityGroup,
    said: dict[str, Any],
    words: str,
    short: str,
) -> None:
    reported(**said)

    page = shown(as_alice, machine.get_absolute_url())
    assert words in page
    assert ("- drop &lt;b&gt;" in page) == ("drift" in said)
    assert f"</svg>{short}</span>" in shown(as_alice, "/p/shop/machines/")
    assert "In force on 0 of 1 VM." in shown(as_alice, group.get_absolute_url())


def test_a_silent_host_and_no_host_are_told(as_alice: Client, agent: Agent, project: Project) -> None:
    make_machine(project, "web-2")
    Host.objects.update(seen_at=timezone.now() - timedelta(days=2))

    listed = shown(as_alice, "/p/shop/machines/")

    assert "Host silent" in listed
    assert "On no host" in listed
    assert "On no host: nothing is enforced." in shown(
        as_alice, VirtualMachine.objects.get(name="web-2").get_absolute_url()
    )


def test_a_group_leads_to_the_vms_on_which_it_is_not_in_force(
    as_alice: Client, as_bob: Client, agent: Agent, project: Project, group: SecurityGroup
) -> None:
    make_machine(project, "web-2", [group])
    make_machine(project, "other")

    for client in (as_alice, as_bob):
        page = shown(client, group.get_absolute_url())
        assert "In force on 1 of 2 VMs." in page
        at = f"/p/shop/machines/?is=waiting&amp;group={group.public_id}"
        assert at in page
        listed = client.get(at.replace("&amp;", "&"))
        assert [vm.name for vm in listed.context["page"].object_list] == ["web-2"]
        assert "Not in force on a host" in listed.content.decode()


def test_the_line_is_drawn_again_with_the_rules(as_alice: Client, agent: Agent, group: SecurityGroup) -> None:
    reported(error="No.")

    part = as_alice.get(group.get_absolute_url(), headers={"HX-Request": "true"}).content.decode()

    assert "In force on 0 of 1 VM." in " ".join(part.split())
    assert 'hx-swap-oob="true"' in part.partition('id="in-force"')[2][:60]


def test_support_reads_the_id_of_the_host_and_customers_its_name(
    as_staff: Client, staff: User, as_bob: Client, agent: Agent, project: Project, machine: VirtualMachine
) -> None:
    operations.open_visit(project=project, staff=staff, reason="They asked", ticket="T-1")

    assert agent.host in shown(as_staff, machine.get_absolute_url())
    assert agent.host not in shown(as_bob, machine.get_absolute_url())


@pytest.mark.parametrize("rows", [1, 30])
def test_a_list_and_a_group_ask_once_for_all_vms(
    rows: int,
    as_alice: Client,
    agent: Agent,
    project: Project,
    group: SecurityGroup,
    django_assert_num_queries: Any,
) -> None:
    for number in range(rows):
        make_machine(project, f"more-{number}", [group])
    for url, queries in ((group.get_absolute_url(), 9), ("/p/shop/machines/", 9), ("/p/shop/machines/?is=waiting", 11)):
        with django_assert_num_queries(queries):
            as_alice.get(url)
