"""The overview: alarms first, what the internet reaches, how that came, and what others did since one was here."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from securitygroups import operations
from securitygroups.answers import internet as internets
from securitygroups.answers import since as sinces
from securitygroups.effective import Limits
from securitygroups.models import Event, Membership, Project, Role, SecurityGroup, User, VirtualMachine
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, make_project, make_user, reviewed, rule
from tests.web.pages import Page

OVERVIEW = "/p/shop/"
NOW = datetime(2026, 3, 20, 15, 30, tzinfo=UTC)  # a Friday


@pytest.fixture
def clock(db: None) -> Iterator[Callable[[datetime], Any]]:
    with time_machine.travel(NOW - timedelta(days=40), tick=False) as traveller:
        yield traveller.move_to


def loud(project: Project, number: int = 1) -> list[VirtualMachine]:
    group = make_group(project, "admin", ["accept in tcp 22"])
    return [make_machine(project, f"vm-{n}", [group], ipv4=f"10.3.0.{n + 1}") for n in range(number)]


def text(client: Client, url: str = OVERVIEW) -> str:
    return Page(client.get(url)).text


# ── What the internet reaches ─────────────────────────────────────────────────


def test_an_alarm_stands_before_all_else_with_the_way_to_its_rule(as_bob: Client, machine: VirtualMachine) -> None:
    loud(machine.project, 2)

    response = as_bob.get(OVERVIEW)
    html, said = response.content.decode(), Page(response).text

    assert "SSH open to the whole internet on 2 VMs" in said
    assert html.index("SSH open to the whole internet") < html.index("What the internet reaches")
    assert "TCP 22 (SSH) on vm-0 , vm-1 through admin, rule 1" in said
    group = SecurityGroup.objects.get(name="admin")
    assert f"{group.get_absolute_url()}?page=1#rule-{group.rules.get().uid}" in html


def test_several_alarms_are_told_one_by_one(as_bob: Client, project: Project) -> None:
    rules = ["accept in tcp 22", "accept in tcp 3306", "accept in tcp 3389 from 0.0.0.0/1"]
    make_machine(project, "all", [make_group(project, "all", rules)], ipv4="10.0.0.1")

    said = text(as_bob)

    assert "Management or database ports open to the internet on 1 VM" in said
    assert "TCP 3306 (MySQL) on all through all, rule 2" in said
    assert "TCP 3389 (RDP) on all from a large part of the internet through all, rule 3" in said


def test_where_nothing_alarms_there_is_no_alarm(as_bob: Client, machine: VirtualMachine) -> None:
    page = as_bob.get(OVERVIEW)

    assert b'class="alarm' not in page.content
    assert "1 of 1 VM is reached by the internet" in Page(page).text


def test_what_is_zero_is_not_told(as_bob: Client, machine: VirtualMachine) -> None:
    assert "2 Security Groups · 1 Virtual Machine " in text(as_bob) + " "
    make_machine(machine.project, "bare")
    make_group(machine.project, "unused")

    said = text(as_bob)

    assert "3 Security Groups ( 1 on no VM : no effect) · 2 Virtual Machines ( 1 VM without a group" in said


def test_the_picture_has_no_style_of_its_own_and_is_silent_beside_its_table(
    as_bob: Client, machine: VirtualMachine
) -> None:
    html = as_bob.get(OVERVIEW).content.decode()

    assert html.count('<svg class="flow-bands"') == 2
    assert "style=" not in html
    assert "The same as a table" in html


def test_a_vm_of_any_name_is_only_text(as_bob: Client, project: Project) -> None:
    name = '<b>"evil"</b>'
    make_machine(project, name, [make_group(project, "<i>", ["accept in tcp 22"])], ipv4="10.0.0.1")

    html = as_bob.get(OVERVIEW).content.decode()

    assert "<b>" not in html
    assert "&lt;b&gt;&quot;evil&quot;&lt;/b&gt;" in html


def test_a_large_project_asks_for_it_and_has_it_from_then_on(
    as_bob: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internets, "MAX_OVERVIEW_MACHINES", 0)
    loud(machine.project)
    assert 'hx-get="/p/shop/reached/"' in as_bob.get(OVERVIEW).content.decode()

    page = Page(as_bob.get("/p/shop/reached/"))
    part = Page(as_bob.get("/p/shop/reached/", headers={"HX-Request": "true"}))

    for shown in (page, part):
        assert "SSH open to the whole internet on 1 VM" in shown.text
    assert part.ids[0] == "reached"


@pytest.mark.django_db(transaction=True)
def test_what_is_known_of_a_large_project_is_on_its_overview(
    as_bob: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internets, "MAX_OVERVIEW_MACHINES", 0)
    as_bob.get("/p/shop/reached/")

    assert "1 of 1 VM is reached by the internet" in text(as_bob)


def test_too_many_rules_are_said(as_bob: Client, machine: VirtualMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internets.look, "__defaults__", ("", Limits(1, 1), 5.0))

    assert "Too much to look at in one go" in text(as_bob, "/p/shop/reached/")


# ── The trend ─────────────────────────────────────────────────────────────────


def test_the_trend_says_what_became_more(clock: Callable[[datetime], Any], sign_in: SignIn) -> None:
    alice = make_user("alice")
    project = make_project(alice, "Shop")
    loud(project, 2)
    clock(NOW - timedelta(days=3))
    web = make_group(project, "web", ["accept in tcp 443"])
    make_machine(project, "late", [web], ipv4="10.4.0.1")
    clock(NOW)

    response = sign_in(alice).get(OVERVIEW)

    assert "3 VMs reached by the internet, 1 more than on 19 February." in Page(response).text
    assert response.content.count(b'<rect class="open"') == 30
    assert "19 March" in response.content.decode()


def test_a_new_project_has_no_trend_yet(as_bob: Client, machine: VirtualMachine) -> None:
    assert "The last 30 days" not in text(as_bob)


# ── Since one was here ────────────────────────────────────────────────────────


@pytest.fixture
def shop(clock: Callable[[datetime], Any]) -> Project:
    """Alice's, with bob as an editor, who has looked at it on Tuesday, three days ago."""
    alice, bob = make_user("alice"), make_user("bob")
    project = make_project(alice, "Shop")
    operations.add_member(project=project, user=bob, role=Role.EDITOR, by=By(alice))
    make_group(project, "web", ["accept in tcp 443"])
    clock(NOW - timedelta(days=3))
    see("bob", NOW - timedelta(days=3))
    clock(NOW)
    return project


def see(name: str, at: datetime) -> datetime | None:
    return operations.see(Membership.objects.get(user__username=name), at)


def by(name: str) -> By:
    return By(User.objects.get(username=name))


def test_what_others_did_is_told_folded_by_thing(shop: Project, sign_in: SignIn) -> None:
    web = SecurityGroup.objects.get(name="web")
    for number in range(3):
        web.refresh_from_db()
        rules = [rule(f"accept in tcp {8000 + number}")]
        operations.commit_rules(group=web, base=web.revision, rules=rules, by=by("alice"), summary="Changed.")
    make_machine(shop, "db-2")
    gone = make_machine(shop, "gone")
    operations.delete_machine(machine=gone, by=by("alice"))
    operations.add_member(project=shop, user=make_user("erin"), role=Role.VIEWER, by=by("alice"))

    said = text(sign_in(User.objects.get(username="bob")))

    assert "web 3 changes by alice" in said
    assert "db-2 created by alice" in said
    assert "gone deleted by alice" in said
    assert "Members 1 change by alice" in said
    assert "Your last visit: Tuesday at 15:30 ." in said


def test_ones_own_changes_are_no_news(shop: Project, sign_in: SignIn) -> None:
    operations.create_group(project=shop, name="mine", description="", rules=[], by=by("bob"))

    said = text(sign_in(User.objects.get(username="bob")))

    assert "Nobody else has changed anything since your last visit, Tuesday at 15:30 ." in said


def test_many_things_of_a_kind_are_one_line(shop: Project, sign_in: SignIn) -> None:
    for number in range(20):
        make_machine(shop, f"vm-{number}")

    assert "20 VMs created by alice" in text(sign_in(User.objects.get(username="bob")))


def test_only_so_much_is_looked_at(shop: Project, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinces, "LOOKED_AT", 2)
    for number in range(3):
        make_group(shop, f"g{number}")

    said = text(sign_in(User.objects.get(username="bob")))
    assert "And more." in said


def test_on_the_first_visit_and_to_staff_nothing_is_said(shop: Project, sign_in: SignIn, staff: User) -> None:
    assert "Since you were here" not in text(sign_in(User.objects.get(username="alice")))
    operations.open_visit(staff=staff, project=shop, reason="Asked for", ticket="T-1")

    assert "Since you were here" not in text(sign_in(staff))


def test_a_visit_goes_on_while_one_stays(shop: Project) -> None:
    first = see("bob", NOW)
    later = [see("bob", NOW + timedelta(minutes=minutes)) for minutes in (0.5, 20, 45, 70)]

    assert [first, *later] == [NOW - timedelta(days=3)] * 5
    assert see("bob", NOW + timedelta(hours=3)) == NOW + timedelta(minutes=70)


def test_a_look_writes_once_a_minute_and_no_line_of_the_activity(shop: Project, sign_in: SignIn) -> None:
    browser = sign_in(User.objects.get(username="bob"))
    events = Event.objects.count()

    writes = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            browser.get(OVERVIEW)
        writes.append(sum(query["sql"].startswith('UPDATE "securitygroups_membership"') for query in queries))

    assert writes == [1, 0]
    assert Event.objects.count() == events


@pytest.mark.django_db(transaction=True)
def test_where_the_database_takes_no_changes_the_page_is_still_shown(project: Project, bob: User) -> None:
    member = Membership.objects.get(user=bob)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        assert operations.see(member, NOW) is None
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off")


def test_the_activity_can_be_asked_for_since_a_moment(shop: Project, sign_in: SignIn) -> None:
    make_group(shop, "fresh")
    browser = sign_in(User.objects.get(username="bob"))

    said = text(browser, f"/p/shop/activity/?{urlencode({'since': (NOW - timedelta(days=1)).isoformat()})}")
    everything = [
        text(browser, f"/p/shop/activity/?since={odd}") for odd in ("", "nonsense", "2026-13-45T99:99Z", "2026-03-19")
    ]

    assert "Created fresh." in said
    assert "Created web." not in said
    assert all("Created web." in one for one in everything)


# ── When the rules were reviewed ──────────────────────────────────────────────


def test_every_member_reads_when_the_rules_were_reviewed_and_when_that_is_due(
    clock: Callable[[datetime], Any], sign_in: SignIn
) -> None:
    alice, bob, erin = make_user("alice"), make_user("bob"), make_user("erin")
    project = make_project(alice, "Shop")
    operations.add_member(project=project, user=bob, role=Role.VIEWER, by=By(alice))
    operations.add_member(project=project, user=erin, role=Role.EDITOR, by=By(alice))
    assert "reviewed" not in text(sign_in(bob))
    group = make_group(project, "web", ["accept in tcp 443"])
    make_machine(project, "web-1", [group])
    assert "The rules were never reviewed. Review them" in text(sign_in(bob))
    reviewed(group, alice)
    operations.set_review_interval(project=project, months=1, by=By(alice))

    for person in (alice, bob, erin):
        assert "Last review: 8 Feb 2026 by Alice Smith. Next due: 8 Mar 2026." in text(sign_in(person))
    clock(NOW)
    assert "The next review has been due since 8 Mar 2026. Review them now" in text(sign_in(erin))
