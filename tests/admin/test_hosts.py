"""Hosts in the admin: made, enrolled, changed and revoked, with what each of them has said."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from securitygroups import operations
from securitygroups.enforcement import keys
from securitygroups.models import AccountEvent, Host, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.admin.pages import fresh, refused, sent, url
from tests.admin.test_least_privilege import LATE, staff_with
from tests.factories import make_host, make_machine, make_project, place
from tests.hosts import Agent, enrolled

NEW: dict[str, Any] = {"name": "kvm-3", "target": "inet", "taps": "vnet*", "drift": "repair", "takes": "on", "log": "7"}
LINE = re.compile(r"karenpanel-agent enrol (\S+) --key (\S+) --host (\S+) --token ([\w-]+)")


def page(host: Host, name: str = "change") -> str:
    return url(Host, name, host.pk)


def line_on(response: Any) -> tuple[str, ...]:
    """What the page has to be run on the host: the panel, its key, the host, the secret."""
    assert response.status_code == 200, response
    found = LINE.search(response.content.decode())
    assert found, "There is no line to run on this page."
    return found.groups()


def row_of(client: Client, host: Host) -> str:
    """The host's row in the list, without tags and with blanks as one."""
    text = client.get(url(Host)).content.decode()
    row = text[text.index(f">{host.name}</a>") :].partition("</tr>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", row).replace("\N{NO-BREAK SPACE}", " ").split()).removeprefix(">")


def notes(verb: str) -> list[AccountEvent]:
    return list(AccountEvent.objects.filter(verb=verb).order_by("pk"))


# ── Made and enrolled ─────────────────────────────────────────────────────────


def test_a_host_is_made_and_the_line_that_enrols_it_is_shown_once(as_admin: Client, admin: User) -> None:
    panel, key, public_id, secret = line_on(as_admin.post(url(Host, "add"), NEW))

    host = Host.objects.get()
    assert (panel, key, public_id) == ("http://testserver", keys.public(), host.public_id)
    assert (host.name, host.target, host.taps, host.cut, host.takes) == ("kvm-3", "inet", "vnet*", False, True)
    assert [each.actor for each in notes("host.made")] == [admin]
    for address in (url(Host), page(host), page(host, "history")):
        assert secret not in as_admin.get(address).content.decode()

    assert Agent(public_id, key).enrol(secret).status_code == 200
    assert Agent(public_id, key).enrol(secret).status_code != 200
    host.refresh_from_db()
    assert host.listens


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "required"),
        ("name", "KVM-1", "There is a host of this name already: type another."),
        ("taps", "tap", "and a * behind it"),
        ("log", "70000", "Type a number from 0 to 65535."),
    ],
)
def test_what_is_wrong_stands_at_its_field(as_admin: Client, field: str, value: str, words: str) -> None:
    make_host("kvm-1")

    response = as_admin.post(url(Host, "add"), NEW | {field: value})

    assert words in refused(response)
    assert Host.objects.count() == 1


def test_another_line_makes_the_one_before_worthless(as_admin: Client) -> None:
    first = line_on(as_admin.post(url(Host, "add"), NEW))[3]
    host = Host.objects.get()

    second = line_on(as_admin.post(page(host, "enrol")))[3]

    agent = Agent(host.public_id, keys.public())
    assert first != second
    assert [agent.enrol(secret).status_code == 200 for secret in (first, second)] == [False, True]
    assert len(notes("host.offered")) == 2
    assert as_admin.get(page(host, "enrol")).status_code == 302, "A link makes no line."


# ── Changed and revoked ───────────────────────────────────────────────────────


def test_settings_are_changed_with_a_reason_that_is_on_record(as_admin: Client) -> None:
    host = make_host("kvm-1")
    data = sent(as_admin, page(host)) | {"cut": "on", "taps": "vnet*"}

    assert "Type why this is changed" in refused(as_admin.post(page(host), data))
    assert as_admin.post(page(host), data | {"reason": "Ticket 7"}).status_code == 302

    host.refresh_from_db()
    assert (host.cut, host.taps) == (True, "vnet*")
    (event,) = notes("host.changed")
    assert event.detail["reason"] == "Ticket 7"
    assert event.detail["after"] == {"taps": "vnet*", "cut": True}


def test_interfaces_that_vms_have_here_cannot_be_named_away(as_admin: Client, machine: VirtualMachine) -> None:
    host = make_host("kvm-1")
    place(machine, host, "tap0")

    response = as_admin.post(page(host), sent(as_admin, page(host)) | {"taps": "vnet*", "reason": "x"})

    assert "VMs that stand here have interfaces of other names" in refused(response)


def test_revoking_asks_first_and_says_what_stays(as_admin: Client, machine: VirtualMachine) -> None:
    host, agent = enrolled()
    place(machine, host)
    agent.applies()

    asked = as_admin.get(page(host, "revoke")).content.decode()
    assert "told nothing from its next question on" in asked
    assert "the rules of 1 VM." in asked
    assert as_admin.post(page(host, "revoke"), {"reason": " "}).status_code == 422
    host.refresh_from_db()
    assert host.listens

    assert as_admin.post(page(host, "revoke"), {"reason": "Stolen"}).status_code == 302
    host.refresh_from_db()
    assert not host.listens
    assert notes("host.revoked")[0].detail["reason"] == "Stolen"
    assert "Revoked" in row_of(as_admin, host)
    assert "kvm-1 was revoked: the rules of" in as_admin.get(page(host)).content.decode()


def test_a_host_is_never_deleted(as_admin: Client) -> None:
    host = make_host("kvm-1")

    assert as_admin.post(page(host, "delete"), {"post": "yes"}).status_code == 403
    assert Host.objects.exists()


@pytest.mark.parametrize("codename", ["view_host", "change_virtualmachine", "change_placement"])
@pytest.mark.django_db
def test_whoever_may_only_look_makes_enrols_and_revokes_none(codename: str) -> None:
    host = make_host("kvm-1")
    client = fresh(staff_with(codename))

    for address in (url(Host, "add"), page(host), page(host, "enrol"), page(host, "revoke")):
        assert client.post(address, NEW | {"reason": "x"}).status_code == 403, address
    assert client.get(page(host, "revoke")).status_code == 403
    assert Host.objects.get().revoked_at is None


def test_an_unattended_browser_enrols_and_revokes_nothing(admin: User) -> None:
    host = make_host("kvm-1")
    client = fresh(admin, LATE)

    for address in (url(Host, "add"), page(host, "enrol"), page(host, "revoke")):
        response = client.post(address, NEW | {"reason": "x"})
        assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/sign-in/again/"), address
    host.refresh_from_db()
    assert (Host.objects.count(), host.revoked_at) == (1, None)


# ── What it has said ──────────────────────────────────────────────────────────


def test_the_list_counts_what_is_in_force_refused_and_changed_by_hand(
    as_admin: Client, machine: VirtualMachine, group: SecurityGroup
) -> None:
    host, agent = enrolled("kvm-1")
    others = [make_machine(machine.project, f"vm-{number}", [group]) for number in range(3)]
    for number, vm in enumerate([machine, *others]):
        place(vm, host, f"tap{number}")
    told = agent.state().json()["vms"]
    vms = [{"id": one["id"], "vector": one["vector"], "since": 1_800_000_000, "hash": "a" * 64} for one in told]
    for one in vms:
        one |= {"error": "Rule 1: no."} if one["id"] == others[0].public_id else {}
        one |= {"drift": ["- accept"]} if one["id"] == others[1].public_id else {}
    agent.report(vms=vms, taps=[{"tap": "tap9", "vm": "none", "mac": "", "addresses": []}])

    assert row_of(as_admin, host) == "kvm-1 bridge 4 2 of 4 0 s ago 1 1 0.1.0 1"
    Host.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    assert row_of(as_admin, host) == "kvm-1 bridge 4 0 of 4 Silent, 5 min ago 1 1 0.1.0 1"


def test_an_agent_that_is_older_than_others_is_marked(as_admin: Client) -> None:
    old, new = make_host("old"), make_host("new")
    Host.objects.filter(pk=old.pk).update(agent="0.9.0")
    Host.objects.filter(pk=new.pk).update(agent="0.10.0")

    assert "0.9.0 older than 0.10.0" in row_of(as_admin, old)
    assert "older" not in row_of(as_admin, new)


def test_the_page_says_of_each_vm_where_its_rules_stand_and_why_some_are_not_here(
    as_admin: Client, machine: VirtualMachine
) -> None:
    host, agent = enrolled("kvm-1")
    stranger = make_machine(machine.project, "elsewhere")
    place(stranger, None, pinned=True)
    place(machine, host, "tap0")
    agent.applies()
    said = {"tap": "tap5", "vm": stranger.public_id, "mac": "52:54:00:12:34:56", "addresses": ["10.0.0.7"]}
    agent.report(taps=[said])

    text = as_admin.get(page(host)).content.decode()

    assert "In force on kvm-1 since" in text
    assert "Operators pinned the VM off all hosts." in text
    assert f"?vm={stranger.public_id}&amp;host={host.public_id}&amp;tap=tap5" in text
    assert "52:54:00:12:34:56" in text


def test_a_host_without_an_agent_says_what_to_do_next(as_admin: Client) -> None:
    host = make_host("kvm-1")
    text = as_admin.get(page(host)).content.decode()

    for words in ("No agent has come yet", "manage.py agent build", "No VM stands here.", "It has said nothing yet."):
        assert words in text
    assert "Never: no agent yet" in row_of(as_admin, host)


def test_the_list_costs_as_many_queries_for_thirty_hosts_as_for_two(as_admin: Client) -> None:
    project = make_project(None)

    def cost(number: int) -> int:
        for _ in range(number):
            host, agent = enrolled(f"kvm-{Host.objects.count()}")
            for each in range(2):
                place(make_machine(project), host, f"tap{each}")
            agent.applies()
        with CaptureQueriesContext(connection) as queries:
            assert as_admin.get(url(Host)).status_code == 200
        return len(queries)

    cost(1)
    assert cost(1) == cost(28)


def test_the_page_costs_no_more_for_many_vms(as_admin: Client, machine: VirtualMachine) -> None:
    host, agent = enrolled("kvm-1")
    place(machine, host, "tap0")

    def cost() -> int:
        agent.applies()
        with CaptureQueriesContext(connection) as queries:
            assert as_admin.get(page(host)).status_code == 200
        return len(queries)

    cost()
    few = cost()
    for number in range(1, 20):
        place(make_machine(make_project(None), f"vm-{number}"), host, f"tap{number}")
    assert cost() == few


def test_a_secret_is_not_found_out_by_filters(as_admin: Client) -> None:
    host = make_host("kvm-1")
    operations.offer_enrolment(host=host, by=By())

    for name in ("token_digest", "key"):
        assert as_admin.get(url(Host), {f"{name}__startswith": "a"}).status_code == 400
