"""What use is made of rules, on the pages of a group."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from securitygroups.answers import seen_again
from securitygroups.effective import Fleet, fleet_of
from securitygroups.models import Project, RuleHits, SecurityGroup, Traffic, User, VirtualMachine
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, place, sample, told
from tests.hosts import enrolled


@pytest.fixture
def office(project: Project) -> SecurityGroup:
    return make_group(project, "office", ["accept in tcp 22", "accept in tcp 443"])


@pytest.fixture
def vm(project: Project, office: SecurityGroup) -> VirtualMachine:
    """On a host that has counted for a week; rule 1 was met five times in this hour."""
    machine = make_machine(project, "web-1", [office], ipv4="10.0.1.11")
    host, agent = enrolled("kvm-3")
    place(machine, host, "tap0")
    agent.applies()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for days in range(8):
        RuleHits.objects.create(
            machine=machine, kind="in", what="none", hour=hour - timedelta(days=days), packets=1, bytes=1
        )
    uid = office.rules.get(position=1).uid
    RuleHits.objects.create(machine=machine, kind="rule", what=uid, hour=hour, packets=1_205, bytes=60)
    for last in (7, 8, 9):
        told(host, sample(machine, verdict="accept", reason="accept", source=f"203.0.113.{last}", times=2))
    return machine


def shown(client: Client, url: str) -> str:
    return " ".join(client.get(url).content.decode().split())


def test_the_list_tells_hits_quietly_and_for_how_much_they_are_counted(
    as_alice: Client, as_bob: Client, office: SecurityGroup, vm: VirtualMachine, project: Project
) -> None:
    for client in (as_alice, as_bob):
        page = shown(client, office.get_absolute_url())
        assert "<p class=hits>1,205 hits, last " in page
        assert page.count("<p class=hits>no hits</p>") == 1
        assert "Counted on its VM since " in page
    make_machine(project, "web-2", [office])

    assert "Counted on 1 of 2 VMs since " in shown(as_alice, office.get_absolute_url())


def test_where_no_host_counts_nothing_is_said(as_alice: Client, office: SecurityGroup) -> None:
    at = office.get_absolute_url()
    uid = office.rules.get(position=1).uid
    for url in (at, f"{at}rules/{uid}/", f"{at}rules/{uid}/menu/"):
        page = shown(as_alice, url)
        assert not [words for words in ("no hit", "Counted", "Hits are") if words in page]


def test_a_rule_tells_its_hits_and_from_where(as_alice: Client, office: SecurityGroup, vm: VirtualMachine) -> None:
    used, unused = (office.rules.get(position=place).uid for place in (1, 2))
    for end in ("", "menu/"):
        page = shown(as_alice, f"{office.get_absolute_url()}rules/{used}/{end}")
        assert "1,205 hits in the last 30 days, on 1 VM, the last one after " in page
        assert "Seen from 203.0.113.7, 203.0.113.8 and 203.0.113.9." in page
        page = shown(as_alice, f"{office.get_absolute_url()}rules/{unused}/{end}")
        assert "No hit in the last 30 days." in page
        assert "Seen from" not in page


def test_viewers_read_from_where_only_if_an_owner_lets_them(
    as_bob: Client, office: SecurityGroup, vm: VirtualMachine, project: Project
) -> None:
    url = f"{office.get_absolute_url()}rules/{office.rules.get(position=1).uid}/menu/"
    page = shown(as_bob, url)
    assert "1,205 hits" in page
    assert "203.0.113" not in page
    project.viewers_see_traffic = True
    project.save()

    assert "Seen from 203.0.113.7" in shown(as_bob, url)


def test_what_a_vm_was_sent_in_another_project_is_not_told(
    as_alice: Client, office: SecurityGroup, vm: VirtualMachine, bakery: Project
) -> None:
    Traffic.objects.update(project=bakery)

    assert "203.0.113" not in shown(
        as_alice, f"{office.get_absolute_url()}rules/{office.rules.get(position=1).uid}/menu/"
    )


@pytest.mark.parametrize("rows", [1, 10])
def test_a_list_and_a_rule_ask_the_same_for_any_number_of_vms(
    rows: int,
    as_alice: Client,
    office: SecurityGroup,
    vm: VirtualMachine,
    project: Project,
    django_assert_num_queries: Any,
) -> None:
    for number in range(rows):
        make_machine(project, f"more-{number}", [office])
    uid = office.rules.get(position=1).uid
    with django_assert_num_queries(10):
        as_alice.get(office.get_absolute_url())
    with django_assert_num_queries(17):
        as_alice.get(f"{office.get_absolute_url()}rules/{uid}/menu/")


# ── Beside the decisions of a review ──────────────────────────────────────────


def narrow_link(page: str) -> str:
    found = re.search(r'<a href="([^"]+)">Narrow it to what was seen…', page)
    return found[1].replace("&amp;", "&") if found else ""


@pytest.fixture
def aged(office: SecurityGroup, vm: VirtualMachine) -> VirtualMachine:
    """Its host has counted for longer than a week, since its groups were changed last: a month ahead."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=20)
    for days in range(19):
        RuleHits.objects.create(
            machine=vm, kind="in", what="none", hour=hour - timedelta(days=days), packets=1, bytes=1
        )
    return vm


def test_a_review_says_what_was_never_used_and_offers_to_narrow_the_rest(
    sign_in: SignIn, alice: User, office: SecurityGroup, aged: VirtualMachine, project: Project
) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=20), tick=False):
        as_alice = sign_in(alice)
        page = shown(as_alice, "/p/shop/review/")

        assert page.count("Never used since ") == 1
        assert ", on its VM." in page
        assert "1,205 hits in the last 30 days" in page
        assert "Seen from 203.0.113.7, 203.0.113.8 and 203.0.113.9." in page
        at = narrow_link(page)
        assert at.startswith(
            f"{office.get_absolute_url()}rules/{office.rules.get(position=1).uid}/?narrow=1&source=203."
        )
        form = as_alice.get(at).context["form"]
        assert form["source"].value() == "203.0.113.7, 203.0.113.8, 203.0.113.9"
        assert form["port_start"].value() == 22

        make_machine(project, "web-2", [office])
        page = shown(as_alice, "/p/shop/review/")
        assert "Never used" not in page
        assert not narrow_link(page)
        assert "on 1 of 2 VMs since " in page
        assert "So no rule is said here to be never used, and none is offered to be narrowed." in page


def test_a_review_offers_nothing_before_a_week_and_nothing_without_hosts(
    as_alice: Client, as_bob: Client, office: SecurityGroup, project: Project
) -> None:
    assert "Counted" not in shown(as_alice, "/p/shop/review/")


def test_a_viewer_of_a_review_reads_no_senders(as_bob: Client, office: SecurityGroup, vm: VirtualMachine) -> None:
    page = shown(as_bob, "/p/shop/review/")

    assert "1,205 hits" in page
    assert "203.0.113" not in page
    assert "Rules are offered to be narrowed after 7 days." in page


@pytest.mark.parametrize("rows", [1, 8])
def test_a_review_asks_the_same_for_any_number_of_groups(
    rows: int,
    as_alice: Client,
    office: SecurityGroup,
    vm: VirtualMachine,
    project: Project,
    django_assert_num_queries: Any,
) -> None:
    for number in range(rows):
        make_machine(project, f"more-{number}", [make_group(project, f"g{number}", ["accept in tcp 22"])])
    with django_assert_num_queries(21):
        as_alice.get("/p/shop/review/")


# ── Once more through a proposal ──────────────────────────────────────────────


def previewed(client: Client, group: SecurityGroup, place: int, **fields: Any) -> str:
    """The preview below the form of a rule."""
    row = group.rules.get(position=place)
    sent = {
        "base": group.revision,
        "action": "accept",
        "direction": "in",
        "protocol": "tcp",
        "port_start": row.port_start,
    }
    sent |= {"enabled": "on", "preview": "1"} | fields
    answered = client.post(f"{group.get_absolute_url()}rules/{row.uid}/", sent, headers={"HX-Request": "true"})
    return " ".join(answered.content.decode().split())


def test_a_preview_tells_what_becomes_of_connections_that_were_seen(
    as_alice: Client, office: SecurityGroup, vm: VirtualMachine
) -> None:
    host = vm.placement.host
    assert host
    told(host, sample(vm, verdict="drop", reason="none", port=80, times=4))

    page = previewed(as_alice, office, 1, source="203.0.113.8/32")
    assert "Of 10 connections seen in the last 30 days, 4 that are accepted now would be dropped." in page
    assert "An inbound TCP packet from 203.0.113.7 to 10.0.1.11, port 22 (SSH)" in page
    assert "on web-1, 2 times" in page
    page = previewed(as_alice, office, 2, port_start="80")
    assert "Of 10 connections seen in the last 30 days, 4 that are dropped now would be accepted." in page
    page = previewed(as_alice, office, 2, source="192.0.2.0/24")
    assert "Of 10 connections seen in the last 30 days every one is decided as before." in page


def test_the_end_of_a_group_tells_what_becomes_of_them_too(
    as_alice: Client, office: SecurityGroup, vm: VirtualMachine
) -> None:
    page = " ".join(as_alice.get(f"{office.get_absolute_url()}delete/").content.decode().split())

    assert "that are accepted now would be dropped." in page
    assert "Of 6 connections seen in the last 30 days, 6 " in page


def test_what_no_host_passes_any_more_is_dropped_before_and_after(
    project: Project, vm: VirtualMachine, django_assert_num_queries: Any
) -> None:
    out = make_group(project, "out", ["accept out tcp 22"])
    router = make_machine(project, "router", [out], ipv4="10.0.1.12")
    host = vm.placement.host
    assert host
    place(router, host, "tap1", held=False)
    for source in ("10.0.1.12", "192.0.2.1", "192.0.2.2"):
        seen = {"direction": "out", "verdict": "accept", "reason": "accept", "source": source}
        told(host, sample(router, **seen, destination="203.0.113.5"))
    now, empty = fleet_of(router, [out]), fleet_of(router, [])

    def changed(before: Fleet, after: Fleet) -> tuple[int, int]:
        found = seen_again.seen_again(project.pk, before, after)
        assert found
        assert found.times == 3
        return found.dropped.times, found.accepted.times

    assert (changed(now, empty), changed(empty, now)) == ((3, 0), (0, 3))
    place(router, host, "tap1")
    with django_assert_num_queries(2):
        assert changed(empty, now) == (0, 1), "of the others it is not said that they would newly pass"
    assert changed(now, empty) == (1, 0)


def test_a_question_about_a_vm_and_about_many_tells_it_too(
    as_alice: Client, office: SecurityGroup, vm: VirtualMachine, project: Project
) -> None:
    deny = make_group(project, "deny", ["drop in tcp 22"])
    sent: dict[str, Any] = {"all": "1", "do": "attach", "group": deny.public_id, "place": "first"}

    asked = shown_after(as_alice, "/p/shop/machines/groups/", sent)
    assert "Of 6 connections seen in the last 30 days, 6 that are accepted now would be dropped." in asked

    sent = {"base": str(vm.revision), "name": vm.name, "group": [deny.public_id, office.public_id]}
    asked = shown_after(as_alice, f"{vm.get_absolute_url()}settings/", sent)
    assert "6 that are accepted now would be dropped." in asked


def shown_after(client: Client, url: str, sent: dict[str, Any]) -> str:
    return " ".join(client.post(url, sent).content.decode().split())


def test_where_nothing_was_seen_a_preview_says_nothing_of_it(
    as_alice: Client, office: SecurityGroup, vm: VirtualMachine
) -> None:
    Traffic.objects.all().delete()

    assert "connections seen" not in previewed(as_alice, office, 1, source="203.0.113.8/32")


def test_of_many_rows_the_newest_are_looked_at(
    as_alice: Client, office: SecurityGroup, vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_again, "MOST_AGAIN", 2)

    page = previewed(as_alice, office, 1, source="192.0.2.0/24")

    assert "Of 4 connections seen in the last 30 days, 4 that are accepted now would be dropped." in page
    assert "Older ones were not looked at." in page


@pytest.mark.parametrize("rows", [1, 10])
def test_a_preview_asks_the_same_for_any_number_of_vms(
    rows: int,
    as_alice: Client,
    office: SecurityGroup,
    vm: VirtualMachine,
    project: Project,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(rows):
        make_machine(project, f"more-{number}", [office])
    with django_assert_max_num_queries(19):
        assert "connections seen" in previewed(as_alice, office, 1, source="203.0.113.8/32")
