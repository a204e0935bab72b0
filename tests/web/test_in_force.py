"""Where the rules are in force, on the pages of VMs and groups."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Host, InForce, Project, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.factories import make_group, make_host, make_machine, place
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


@pytest.mark.parametrize("rows", [1, 15])
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
    for url, queries in (
        (group.get_absolute_url(), 10),
        ("/p/shop/machines/", 9),
        ("/p/shop/machines/?is=waiting", 11),
    ):
        with django_assert_num_queries(queries):
            as_alice.get(url)


# ── After a change ────────────────────────────────────────────────────────────


def switched_off(client: Client, group: SecurityGroup, **headers: str) -> str:
    """What is shown after the group's first rule was switched off."""
    uid = group.rules.get(position=1).uid
    url = f"{group.get_absolute_url()}rules/{uid}/off/"
    return " ".join(client.post(url, {"base": group.revision}, follow=True, headers=headers).content.decode().split())


def asked(client: Client, at: str) -> Any:
    return client.get(at, headers={"HX-Request": "true"})


def way_on(page: str) -> str:
    """Where the line asks next; empty where it has come to its end."""
    found = re.search(r'<span class="follow[^>]*?hx-get="([^"]+)"', page)
    return found[1].replace("&amp;", "&") if found else ""


@pytest.fixture
def harmless(project: Project, agent: Agent, machine: VirtualMachine) -> SecurityGroup:
    """A group on “web-1” and on a VM of no host."""
    group = make_group(project, "office", ["drop in tcp 9 from 192.0.2.0/24", "accept in tcp 443"])
    operations.attach_groups(machine=machine, groups=[group], base=machine.revision, by=By())
    make_machine(project, "web-2", [group])
    agent.applies()
    return group


def test_the_message_of_a_change_follows_it_until_it_is_in_force(
    as_alice: Client, agent: Agent, harmless: SecurityGroup
) -> None:
    page = switched_off(as_alice, harmless)
    assert "Being applied on 1 of 2 VMs, 0 s." in page
    at = way_on(page)
    assert at == f"{harmless.get_absolute_url()}in-force/?since=2"

    waits = asked(as_alice, at)
    assert "Being applied on 1 of 2 VMs, " in waits.content.decode()
    assert way_on(waits.content.decode()) == at
    assert "HX-Trigger" not in waits
    agent.applies()
    done = asked(as_alice, at)

    assert "In force on 1 of 2 VMs, after 0 s: 1 on no host." in done.content.decode()
    assert json.loads(done["HX-Trigger"])["announce"].startswith("In force on 1 of 2 VMs")
    assert way_on(done.content.decode()) == ""


def test_after_a_minute_it_leads_to_the_vms_that_still_wait(
    as_alice: Client, agent: Agent, harmless: SecurityGroup
) -> None:
    at = way_on(switched_off(as_alice, harmless))
    later = timezone.now() + timedelta(seconds=61)

    with time_machine.travel(later, tick=False):
        # The host lives, and has not come to it.
        Host.objects.update(seen_at=later)
        ended = asked(as_alice, at).content.decode()

    assert "Not yet in force on 1 of 2 VMs, after 6" in ended
    assert f'href="/p/shop/machines/?is=waiting&amp;group={harmless.public_id}"' in ended
    assert way_on(ended) == ""
    assert "In force on 0 of 2 VMs." in shown(as_alice, at)


def test_what_the_host_said_before_the_change_is_not_its_answer(
    as_alice: Client, agent: Agent, harmless: SecurityGroup, machine: VirtualMachine
) -> None:
    reported(error="Rule 9: no.", reported_at=timezone.now() - timedelta(hours=1))
    at = way_on(switched_off(as_alice, harmless))

    assert "Being applied on 1 of 2 VMs" in asked(as_alice, at).content.decode()
    reported(reported_at=timezone.now())

    assert "In force on 0 of 2 VMs: 1 on no host, 1 refused by the host." in " ".join(
        asked(as_alice, at).content.decode().split()
    ).replace("1 refused by the host, 1 on no host", "1 on no host, 1 refused by the host")


def test_other_groups_of_a_vm_are_followed_on_its_host(as_alice: Client, agent: Agent, machine: VirtualMachine) -> None:
    operations.attach_groups(machine=machine, groups=[], base=machine.revision, by=By())
    line = f"{machine.get_absolute_url()}in-force/?since={machine.revision}"

    assert "Being applied on kvm-3, " in asked(as_alice, line).content.decode()
    agent.applies()
    assert "In force on kvm-3, after 0 s." in asked(as_alice, line).content.decode()


@pytest.mark.parametrize("since", ["", "?since=99", "?since=x", "?at=1", "?at=9999999999999999", "?at=²"])
def test_what_was_never_made_is_not_followed(
    as_alice: Client, agent: Agent, harmless: SecurityGroup, since: str
) -> None:
    assert asked(as_alice, f"{harmless.get_absolute_url()}in-force/{since}").status_code == 404


def test_without_hosts_no_message_follows_anything(as_alice: Client, project: Project) -> None:
    group = make_group(project, "office", ["drop in tcp 9 from 192.0.2.0/24"])
    make_machine(project, "web-2", [group])

    page = switched_off(as_alice, group)

    assert "Undo" in page
    assert "Being applied" not in page


def test_a_line_costs_the_same_for_any_number_of_vms(
    as_alice: Client, agent: Agent, project: Project, harmless: SecurityGroup, django_assert_num_queries: Any
) -> None:
    at = f"{harmless.get_absolute_url()}in-force/?since=1"
    for number in range(20):
        make_machine(project, f"more-{number}", [harmless])
        if number in (0, 19):
            with django_assert_num_queries(6):
                asked(as_alice, at)
