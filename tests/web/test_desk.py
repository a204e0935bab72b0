"""The support desk: nobody else finds it, a reason opens the door for half an hour, every look is on record, and a case
stays true after the rules have changed."""

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from securitygroups import operations
from securitygroups.models import (
    AccountEvent,
    Event,
    Project,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
)
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_machine, make_user, ports, rule, sign_in_at
from tests.web.pages import Page, messages, part_and_page

Refuse = Callable[[type[Model], str], None]
ASKED = {"reason": "They cannot reach SSH", "ticket": "T-17"}


def door(project: Project) -> str:
    return f"/support/{project.slug}/"


@pytest.fixture
def inside(as_staff: Client, project: Project) -> Client:
    """Staff who named a reason at alice's door."""
    assert as_staff.post(door(project), ASKED).status_code == 302
    return as_staff


@pytest.fixture
def refuse_writes(as_staff: Client) -> Refuse:
    """Lets the database refuse lines of one kind from now on, and staff's browser show what becomes of that."""

    def refuse(model: type[Model], verb: str) -> None:
        as_staff.raise_request_exception = False
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$"
            )
            connection.check_constraints()
            cursor.execute(
                f"CREATE TRIGGER out_of_order BEFORE INSERT ON {model._meta.db_table}"
                f" FOR EACH ROW WHEN (NEW.verb = '{verb}') EXECUTE FUNCTION out_of_order()"
            )

    return refuse


# ── Who finds the desk ────────────────────────────────────────────────────────


def test_the_desk_does_not_exist_for_anybody_else(
    sign_in: SignIn, as_alice: Client, client: Client, project: Project
) -> None:
    # Staff of the admin, and somebody whose permission outlived the job.
    clerk, former = make_user("clerk", is_staff=True), make_user("former", "support")
    for browser in (as_alice, sign_in(clerk), sign_in(former)):
        for address in ("/support/", "/support/?q=web", door(project), "/support/nothing/"):
            assert browser.get(address).status_code == 404
        assert browser.post(door(project), ASKED).status_code == 404
        assert browser.post(f"{door(project)}case/", {"target": "x"}).status_code == 404
    assert client.get("/support/").status_code == 302
    assert SupportVisit.objects.count() == 0


def test_staff_without_the_permission_find_no_project(sign_in: SignIn, project: Project) -> None:
    clerk = sign_in(make_user("clerk", is_staff=True))
    assert clerk.get(project.get_absolute_url()).status_code == 404


def test_the_search_box_finds_across_projects_and_is_a_part_for_htmx(as_staff: Client, machine: VirtualMachine) -> None:
    part, page = part_and_page(as_staff, "/support/?q=10.0.1.11")
    for shown in (part, page):
        assert f"web-1 {machine.public_id}" in shown.text
    assert "What did the customer name?" in Page(as_staff.get("/support/")).text
    assert "Nothing found for “zzz”" in Page(as_staff.get("/support/?q=zzz")).text


def test_the_desk_finds_whose_it_is_and_shows_what_it_says_only_of_a_project_with_a_reason(
    as_staff: Client, machine: VirtualMachine, project: Project, bakery: Project, alice: User
) -> None:
    make_machine(bakery, "web-2", ipv4="10.0.1.12", ipv6="2001:db8::7")
    make_group(bakery, "oven", [rule("accept in tcp 8080 from 203.0.113.0/28")])
    make_group(project, "vpn", [rule("accept in ip from 10.0.1.11")])
    operations.add_member(project=bakery, user=alice, role="viewer", by=By())

    def found(query: str) -> str:
        return Page(as_staff.get("/support/", {"q": query})).text.split("Support desk")[-1]

    for query, names, told in (
        ("203.0.113.9", ("web, rule 3", "oven, rule 1", "Shop", "Bakery"), "Accept inbound TCP to port 22"),
        ("web-", ("web-1", machine.public_id, "web-2", "Shop", "Bakery"), "10.0.1.11"),
        ("10.0.1.11", ("web-1", "vpn, rule 1"), "2001:db8:10:1::11"),
        ("alice@example.com", ("alice", "Shop", "Bakery"), "Owner"),
    ):
        text = found(query)
        assert all(name in text for name in names)
        assert told not in text
    assert "example.com" not in found("alice")
    assert Event.objects.filter(verb="support.look").count() == 0

    as_staff.post(door(project), ASKED)
    start = len(looks(project))
    text = found("203.0.113.9")
    assert "Accept inbound TCP to port 22 (SSH) from 203.0.113.0/24" in text
    assert "oven, rule 1" in text
    assert "8080" not in text
    text = found("web-")
    assert "10.0.1.11" in text
    assert "2001:db8:10:1::11" in text
    assert "10.0.1.12" not in text
    text = found("alice")
    assert "Shop (Owner)" in text
    assert "Viewer" not in text
    found("oven")
    assert looks(project)[start:] == [f"Support looked at /support/?q={q}" for q in ("203.0.113.9", "web-", "alice")]
    assert looks(bakery) == []


def test_after_the_visit_the_desk_shows_names_alone_again(
    inside: Client, project: Project, group: SecurityGroup
) -> None:
    start = len(looks(project))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=31)):
        sign_in_at(inside, User.objects.get(username="staff"))
        page = Page(inside.get("/support/?q=203.0.113.9"))
    assert "web, rule 3" in page.text
    assert "Accept inbound" not in page.text
    assert len(looks(project)) == start


def test_each_search_is_on_record_whatever_it_finds(
    as_staff: Client, staff: User, machine: VirtualMachine, project: Project
) -> None:
    long = "no such thing " * 300
    for query in ("web-1", "zzz", "", long):
        as_staff.get("/support/", {"q": query}, HTTP_USER_AGENT="Browser/1")

    found = AccountEvent.objects.filter(verb="support.searched").order_by("pk")
    assert [line.detail for line in found] == [
        {"query": "web-1", "found": {"Virtual Machines": 1}, "projects": [project.pk]},
        {"query": "zzz", "found": {}, "projects": []},
        # No more is looked for either.
        {"query": long[:200].strip(), "found": {}, "projects": []},
    ]
    assert {(line.user, line.address, line.agent) for line in found} == {(staff, "127.0.0.1", "Browser/1")}


def test_no_search_is_shown_off_the_record(as_staff: Client, machine: VirtualMachine, refuse_writes: Refuse) -> None:
    refuse_writes(AccountEvent, "support.searched")

    response = as_staff.get("/support/?q=web-1")

    assert response.status_code == 500
    assert "web-1" not in response.content.decode()


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", "x" * 5000, "10.0.0.5/24", "'", "é", "sg-x", "case-x"])
def test_no_search_does_harm(query: str, as_staff: Client, machine: VirtualMachine) -> None:
    response = as_staff.get("/support/", {"q": query})
    assert response.status_code == 200
    assert b"<script>alert" not in response.content


def test_nul_is_refused_in_words(as_staff: Client) -> None:
    assert as_staff.get("/support/", {"q": "a\0b"}).status_code == 400


# ── The door ──────────────────────────────────────────────────────────────────


def test_without_a_reason_one_is_asked_and_then_taken_where_one_was_going(
    as_staff: Client, machine: VirtualMachine, project: Project
) -> None:
    """A customer's link to a packet test leads to that packet test, with every field of it."""
    there = f"{machine.get_absolute_url()}test/?direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.1.11&port=22&test=1"
    asked = as_staff.get(there)
    assert asked.status_code == 302
    assert asked["Location"].startswith(f"{door(project)}?next=")
    page = Page(as_staff.get(asked["Location"]))
    assert page.title.startswith("Look into Shop")
    opened = page.form_with("reason").send(as_staff, **ASKED)
    assert (opened.status_code, opened["Location"]) == (302, there)
    assert "Accepted by rule 3" in Page(as_staff.get(there)).text


def test_a_part_leads_to_the_door_with_its_page_behind_it(
    as_staff: Client, group: SecurityGroup, project: Project
) -> None:
    """As when the visit ends while the page is open."""
    uid, page = group.rules.in_order()[0].uid, f"{group.get_absolute_url()}?q=tcp"
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
    asked = as_staff.get(f"{group.get_absolute_url()}rules/{uid}/menu/", headers=headers)
    assert asked["HX-Redirect"] == f"{door(project)}?{urlencode({'next': page})}"


@pytest.mark.parametrize(
    "target",
    [
        "", "https://evil.example/", "//evil.example/p/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/admin/",
        "http:///evil.example", " https://evil.example", "/p/\r\nSet-Cookie: a=b", "/P/shop/", "p/shop/", "\t//evil.example",
        "/%70/shop/", "/p", "/support/", "/p:evil", "@evil.example", "https:evil.example", "///evil.example/p/shop/",
    ],
)  # fmt: skip
def test_the_door_leads_nowhere_else(target: str, as_staff: Client, project: Project) -> None:
    response = as_staff.post(door(project), ASKED | {"next": target})
    assert response.status_code == 302
    assert re.match(r"/p/(?!/)", response["Location"])
    assert "Set-Cookie: a=b" not in str(response.headers)
    if not target.startswith("/p/"):
        assert response["Location"] == project.get_absolute_url()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"reason": "", "ticket": "T-1"}, "reason"),
        ({"reason": " ", "ticket": "T-1"}, "reason"),
        ({"reason": "They asked", "ticket": ""}, "ticket"),
        ({"reason": "x" * 256, "ticket": "T-1"}, "reason"),
        ({"reason": "They asked", "ticket": "x" * 101}, "ticket"),
        ({"reason": "two\nlines", "ticket": "T-1"}, "reason"),
        ({}, "reason"),
    ],
)
def test_a_reason_and_a_ticket_have_to_be_named(
    sent: dict[str, str], field: str, as_staff: Client, project: Project
) -> None:
    response = as_staff.post(door(project), sent | {"next": "/p/shop/groups/"})
    page = Page(response)
    assert response.status_code == 422
    assert page.errors[field]
    assert page.form_with("reason").fields["next"] == ["/p/shop/groups/"]
    assert as_staff.get(project.get_absolute_url()).status_code == 302
    assert SupportVisit.objects.count() == 0


def test_one_customer_s_door_opens_no_other(inside: Client, bakery: Project, sign_in: SignIn, project: Project) -> None:
    assert inside.get(project.get_absolute_url()).status_code == 200
    assert inside.get(bakery.get_absolute_url()).status_code == 302
    colleague = sign_in(make_user("colleague", "support", is_staff=True))
    assert colleague.get(project.get_absolute_url()).status_code == 302, "and for nobody else"
    assert inside.get("/support/nothing/").status_code == 404


def test_after_half_an_hour_the_reason_is_asked_again(as_staff: Client, project: Project) -> None:
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        as_staff.post(door(project), ASKED)
        clock.move_to(start + timedelta(minutes=29, seconds=59))
        assert as_staff.get(project.get_absolute_url()).status_code == 200
        clock.move_to(start + timedelta(minutes=30))
        assert as_staff.get(project.get_absolute_url()).status_code == 302
        looks = Event.objects.filter(project=project, verb="support.look").count()
        as_staff.post(door(project), ASKED)
        assert as_staff.get(project.get_absolute_url()).status_code == 200
        assert Event.objects.filter(project=project, verb="support.look").count() == looks + 2


def test_who_is_no_support_any_more_is_out_at_once(inside: Client, staff: User, project: Project) -> None:
    staff.user_permissions.clear()
    assert inside.get(project.get_absolute_url()).status_code == 404


# ── On record ─────────────────────────────────────────────────────────────────


def looks(project: Project) -> list[str]:
    return list(project.events.filter(verb="support.look").order_by("pk").values_list("summary", flat=True))


def test_every_page_that_is_looked_at_is_on_record_and_the_customer_reads_it(
    inside: Client, as_bob: Client, project: Project, machine: VirtualMachine, group: SecurityGroup
) -> None:
    pages = [
        project.get_absolute_url(), group.get_absolute_url(), f"{group.get_absolute_url()}?q=ssh",
        f"{group.get_absolute_url()}export.json", f"{machine.get_absolute_url()}test/?direction=in", f"/p/{project.slug}/members/",
    ]  # fmt: skip
    for page in pages:
        assert inside.get(page).status_code == 200
    assert looks(project) == [
        "Support came to look, for 30 minutes: They cannot reach SSH (ticket T-17)",
        *(f"Support looked at {page}" for page in pages),
    ]
    text = Page(as_bob.get(f"/p/{project.slug}/activity/")).text
    assert "They cannot reach SSH (ticket T-17)" in text
    told = (
        "Looked at the overview.", "Looked at the rules of web.", "Looked at the rules of web, searching for “ssh”.",
        "Took the rules of web as a file.", "Opened the packet test of web-1.", "Looked at the members.",
    )  # fmt: skip
    assert [words for words in told if words not in text] == []
    assert "/p/shop/" not in text


def test_parts_that_htmx_asks_for_are_looks_too(inside: Client, project: Project, group: SecurityGroup) -> None:
    before = len(looks(project))
    inside.get(group.get_absolute_url(), headers={"HX-Request": "true"})
    assert len(looks(project)) == before + 1


@pytest.mark.parametrize("kind", ["json", "csv", "txt"])
def test_exports_are_looks_too(kind: str, inside: Client, project: Project, group: SecurityGroup) -> None:
    page = f"{group.get_absolute_url()}export.{kind}"
    assert inside.get(page).status_code == 200
    assert looks(project)[-1] == f"Support looked at {page}"


def test_a_look_is_one_whatever_the_method_and_the_answer(
    inside: Client, project: Project, machine: VirtualMachine, group: SecurityGroup
) -> None:
    at, test = group.get_absolute_url(), f"{machine.get_absolute_url()}test/"
    case = open_case(inside, project, machine).get_absolute_url()
    answers: list[tuple[int, str, str, dict[str, str]]] = [
        (200, "HEAD", at, {}),
        (422, "GET", f"{test}?test=1&source=nonsense", {}),
        (422, "POST", f"{at}replay/", {"log": "nonsense"}),
        (302, "POST", f"{case}note/", {"text": "Seen"}),
        (422, "POST", f"{case}note/", {}),
    ]
    for status, method, page, sent in answers:
        before = len(looks(project))
        response = inside.post(page, sent) if method == "POST" else inside.generic(method, page)
        assert response.status_code == status, page
        assert looks(project)[before:] == [f"Support looked at {page}"]


def test_answers_that_were_refused_before_anything_was_read_are_no_looks(
    inside: Client, project: Project, group: SecurityGroup, settings: Any
) -> None:
    before = len(looks(project))
    at = group.get_absolute_url()
    assert inside.put(at).status_code == 405
    assert inside.get(f"{at}?q=%00").status_code == 400
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.REPLAY_MAX_MB = 0
    assert inside.post(f"{at}replay/", {"log": "x" * 100}).status_code == 413
    assert len(looks(project)) == before


def test_a_page_that_failed_half_way_is_a_look(
    inside: Client, project: Project, group: SecurityGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("half-way")

    monkeypatch.setattr("securitygroups.web.views.rules.render", fail)
    monkeypatch.setattr("securitygroups.web.pages.render", fail)
    inside.raise_request_exception = False

    assert inside.get(group.get_absolute_url()).status_code == 500

    assert looks(project)[-1] == f"Support looked at {group.get_absolute_url()}"


@pytest.mark.parametrize("page", ["", "export.json", "history/1/"])
def test_no_page_goes_out_when_the_look_cannot_be_written(
    page: str, inside: Client, group: SecurityGroup, refuse_writes: Refuse
) -> None:
    url = group.get_absolute_url() + page
    assert "Office SSH" in inside.get(url).content.decode()
    refuse_writes(Event, "support.look")

    response = inside.get(url)

    assert response.status_code == 500
    assert "Office SSH" not in response.content.decode()


@pytest.mark.parametrize("query", ["q=" + "x" * 20_000, "q=" + "%F0%9F%94%92" * 500, "q=%0A%1B[2J" + "%22" * 400])
def test_a_look_is_on_record_with_its_whole_address(
    query: str, inside: Client, as_bob: Client, project: Project, group: SecurityGroup
) -> None:
    page = f"{group.get_absolute_url()}?{query}"

    assert inside.get(page).status_code == 200

    event = project.events.filter(verb="support.look").latest("pk")
    assert event.detail["page"] == page
    assert event.summary == f"Support looked at {group.get_absolute_url()} with a query of {len(query):,} characters"
    # On screen in words, and whole in the file.
    assert "?q=" not in Page(as_bob.get(f"/p/{project.slug}/activity/")).text
    lines = list(csv.reader(as_bob.get(f"/p/{project.slug}/activity/list.csv").content.decode().splitlines()))
    assert page in [line[-1] for line in lines]


def test_what_was_not_shown_is_no_look(inside: Client, project: Project) -> None:
    before = len(looks(project))
    assert inside.get(f"/p/{project.slug}/groups/sg-nothing/").status_code == 404
    assert inside.get(f"/p/{project.slug}/groups/new/").status_code == 403
    assert len(looks(project)) == before


def test_members_leave_no_looks(as_alice: Client, project: Project) -> None:
    as_alice.get(project.get_absolute_url())
    assert looks(project) == []


# ── Read-only ─────────────────────────────────────────────────────────────────


def post_addresses(resolver: URLResolver, before: str = "") -> list[tuple[str, str]]:
    """(name, pattern) of every address below a project."""
    found = []
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver) and entry.namespace not in ("admin", "agent", "api"):
            found += post_addresses(entry, route)
        elif isinstance(entry, URLPattern) and route.startswith("p/<slug:slug>/"):
            found.append((str(entry.name), route))
    return found


# A note to a case that is not there; a log of flows that is only read.
NOT_WRITES = {"case_note": {404}, "group_replay": {422}, "machine_replay": {422}, "project_replay": {422}}


def test_every_write_is_refused_however_complete_it_is(
    inside: Client, project: Project, machine: VirtualMachine, group: SecurityGroup, bob: User
) -> None:
    complete = {
        "base": 1, "action": "accept", "direction": "in", "protocol": "tcp", "place": 1, "enabled": "on", "name": "x", "do": "delete",
        "role": "owner", "person": "staff", "position": 1, "rule": group.rules.get(position=1).uid, "sure": "1", "text": "{}", "group": "",
    }  # fmt: skip
    parameters = {
        "slug": project.slug, "group_id": group.public_id, "machine_id": machine.public_id, "uid": group.rules.get(position=1).uid,
        "do": "off", "mend": "remove", "number": "1", "pk": str(project.memberships.get(user=bob).pk), "kind": "json", "suffix": "csv", "case_id": "case-x", "event": "1",
    }  # fmt: skip
    refused = set()
    for name, pattern in post_addresses(get_resolver()):
        path = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda m: parameters[m[1]], pattern)
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: parameters[m[1]], path)
        path = "/" + re.sub(r"\\Z|\^|\\(?=\.)", "", path)
        response = inside.post(path, complete)
        assert response.status_code in NOT_WRITES.get(name, {403, 405}), f"{name} {path}"
        refused |= {name} if response.status_code == 403 else set()
    assert {
        "rule_add",
        "rules_bulk",
        "group_delete",
        "machine_settings",
        "members",
        "group_restore",
        "template_delete",
    } <= refused
    group.refresh_from_db()
    machine.refresh_from_db()
    assert (group.revision, group.deleted_at, machine.revision, machine.deleted_at) == (1, None, 1, None)
    assert project.memberships.get(user=bob).role == "viewer"
    assert set(project.events.filter(by_staff=True).values_list("verb", flat=True)) == {"support.look"}


def test_the_pages_offer_nothing_that_is_refused(inside: Client, machine: VirtualMachine, group: SecurityGroup) -> None:
    for page in (group.get_absolute_url(), machine.get_absolute_url(), f"{group.get_absolute_url()}history/"):
        content = inside.get(page).content.decode()
        main = content.split("<main")[1]
        # But for what ends the visit.
        assert set(re.findall(r'method="post" action="([^"]+)"', main)) <= {
            "/support/shop/leave/",
            "/account/time-zone/",
        }
        assert "rules/new/" not in main
        assert "/settings/" not in main


def test_a_write_without_a_reason_is_not_done_later(as_staff: Client, group: SecurityGroup, project: Project) -> None:
    response = as_staff.post(f"{group.get_absolute_url()}undo/1/")
    assert (response.status_code, response["Location"]) == (302, door(project))
    assert SupportVisit.objects.count() == 0


# ── Cases ─────────────────────────────────────────────────────────────────────

PACKET = {"direction": "in", "protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.1.11", "port": "22"}


def open_case(client: Client, project: Project, target: Any, **more: str) -> SupportCase:
    response = client.post(f"{door(project)}case/", PACKET | {"target": target.public_id} | more)
    assert response.status_code == 302
    case = SupportCase.objects.latest("pk")
    assert response["Location"] == case.get_absolute_url()
    return case


def test_a_case_is_opened_from_the_packet_test(inside: Client, machine: VirtualMachine, project: Project) -> None:
    page = Page(inside.get(f"{machine.get_absolute_url()}test/", PACKET | {"test": "1"}))
    response = page.form_with("target").send(inside, note="Looks fine from here.")
    case = SupportCase.objects.get()
    assert response["Location"] == case.get_absolute_url()
    assert (case.verdict, case.rule, case.ticket, case.machine, case.group) == ("accept", 3, "T-17", machine, None)
    page = Page(inside.get(case.get_absolute_url()))
    for words in (
        "Then: accepted by rule 3",
        "Now: accepted by rule 3",
        "ticket T-17",
        "Looks fine from here.",
        "web, rule 3",
    ):
        assert words in page.text
    assert project.events.filter(verb="case.opened").count() == 1


def test_a_case_of_what_no_host_passes_is_denied_whatever_the_rules_say(
    inside: Client, as_bob: Client, project: Project
) -> None:
    machine = make_machine(project, "six", [make_group(project, "all", [rule("accept in all")])], ipv6="2001:db8::6")
    six = {
        "direction": "in",
        "protocol": "number",
        "number": "59",
        "source": "2001:db8::9",
        "destination": "2001:db8::6",
    }
    inside.post(f"{door(project)}case/", six | {"target": machine.public_id})

    case = SupportCase.objects.get()

    assert (case.verdict, case.rule) == ("drop", None)
    page = Page(as_bob.get(case.get_absolute_url())).text
    for words in ("Then: denied", "Now: denied", "is dropped before any rule is asked", "there is nothing to open"):
        assert words in page
    assert "by rule 1" not in page.split("as it was then")[0]


def test_a_case_stays_as_it_was_when_the_rules_change(
    inside: Client, as_bob: Client, machine: VirtualMachine, group: SecurityGroup, project: Project, alice: User
) -> None:
    case = open_case(inside, project, machine)
    operations.commit_rules(group=group, rules=[rule("drop in tcp 22", "Shut")], base=1, by=By(alice))
    operations.update_group(group=group, name="renamed", description="", by=By(alice))
    for browser in (inside, as_bob):
        page = Page(browser.get(case.get_absolute_url()))
        assert "Then: accepted by rule 3" in page.text
        assert "Now: denied by rule 1" in page.text
        trace = page.text.split("as it was then")[1]
        assert "web, rule 3 Matched : this rule decides" in trace.replace("Matched: ", "Matched : ")
        assert "Shut" not in trace
        assert "renamed" not in trace
        assert trace.count("Not reached") == 4


def test_a_case_on_a_group_and_after_its_end(inside: Client, as_bob: Client, project: Project, alice: User) -> None:
    group = make_group(project, "ssh", [rule("accept in tcp 22", enabled=False), rule("drop in all")])
    case = open_case(inside, project, group)
    page = Page(as_bob.get(case.get_absolute_url()))
    assert "Then: denied by rule 2" in page.text
    assert "Passed by: the rule is switched off" in page.text
    operations.delete_group(group=group, base=1, by=By(alice))
    page = Page(as_bob.get(case.get_absolute_url()))
    assert "Then: denied by rule 2" in page.text
    assert "has been deleted, so it cannot be tested again" in page.text


def test_a_case_on_a_vm_without_a_group(inside: Client, project: Project) -> None:
    case = open_case(inside, project, make_machine(project, "bare"))
    assert "Then: denied" in Page(inside.get(case.get_absolute_url())).text
    assert case.rules == []


@pytest.mark.parametrize(
    "sent",
    [
        PACKET | {"port": "x"},
        PACKET | {"source": ""},
        PACKET | {"protocol": "nothing"},
        PACKET | {"note": "x" * 4001},
        {"note": "x"},
    ],
)
def test_what_is_no_packet_opens_no_case(
    sent: dict[str, str], inside: Client, machine: VirtualMachine, project: Project
) -> None:
    response = inside.post(f"{door(project)}case/", sent | {"target": machine.public_id})
    assert response.status_code == 302
    assert "No case was opened" in messages(inside)
    assert SupportCase.objects.count() == 0


@pytest.mark.parametrize("target", ["", "vm-nothing", "sg-nothing", "x" * 500])
def test_a_target_that_is_none_is_not_found(target: str, inside: Client, project: Project) -> None:
    assert inside.post(f"{door(project)}case/", PACKET | {"target": target}).status_code == 404


def test_a_target_of_another_customer_is_not_found(inside: Client, project: Project, bakery: Project) -> None:
    for target in (make_group(bakery, "oven", ports(1)), make_machine(bakery, "till")):
        assert inside.post(f"{door(project)}case/", PACKET | {"target": target.public_id}).status_code == 404
    assert SupportCase.objects.count() == 0


def test_staff_and_the_customer_write_to_a_case(
    inside: Client, as_erin: Client, as_bob: Client, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    for browser, text in ((inside, "Which address?"), (as_erin, "203.0.113.9\n<b>from home</b>")):
        form = Page(browser.get(case.get_absolute_url())).form_with("text")
        assert form.send(browser, text=text).status_code == 302
    page = Page(as_bob.get(case.get_absolute_url()))
    assert "staff Support" in page.text
    assert "Which address?" in page.text
    assert "<b>from home</b>" in page.text
    assert page.text.index("Which address?") < page.text.index("from home")
    assert list(case.notes.values_list("author_name", "by_staff")) == [("staff", True), ("erin", False)]
    # bob reads, and is told who may write.
    assert "Add note" not in page.text
    refused = as_bob.post(f"{case.get_absolute_url()}note/", {"text": "Me too"})
    assert refused.status_code == 403
    assert "Ask an owner for the editor role" in refused.content.decode()
    assert case.notes.count() == 2


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001])
def test_a_note_that_is_none_is_not_added(text: str, inside: Client, machine: VirtualMachine, project: Project) -> None:
    case = open_case(inside, project, machine)
    answer = inside.post(f"{case.get_absolute_url()}note/", {"text": text})
    assert answer.status_code == 422
    assert "The note was not added" in Page(answer).text
    assert f">\n{text}</textarea>" in answer.content.decode(), "what was typed is still there"
    assert case.notes.count() == 0


def test_strangers_and_other_projects_find_no_case(
    inside: Client, as_charlie: Client, as_bob: Client, machine: VirtualMachine, project: Project, bakery: Project
) -> None:
    case = open_case(inside, project, machine)
    assert as_charlie.get(case.get_absolute_url()).status_code == 404
    assert as_charlie.post(f"{case.get_absolute_url()}note/", {"text": "Hello"}).status_code == 404
    in_bakery = case.get_absolute_url().replace("/p/shop/", "/p/bakery/")
    assert as_charlie.get(in_bakery).status_code == 404
    assert case.public_id in Page(as_bob.get(f"/p/{project.slug}/cases/")).text
    assert "No support cases" in Page(as_charlie.get(f"/p/{bakery.slug}/cases/")).text


def test_members_open_no_cases(as_alice: Client, machine: VirtualMachine, project: Project) -> None:
    assert as_alice.post(f"{door(project)}case/", PACKET | {"target": machine.public_id}).status_code == 404
    assert "Open a case" not in Page(as_alice.get(f"{machine.get_absolute_url()}test/", PACKET | {"test": "1"})).text


def test_a_case_is_found_at_the_desk(inside: Client, machine: VirtualMachine, project: Project) -> None:
    case = open_case(inside, project, machine)
    assert case.get_absolute_url() in inside.get("/support/", {"q": case.public_id}).content.decode()


def test_no_more_cases_and_notes_than_the_quotas(
    inside: Client, as_erin: Client, machine: VirtualMachine, project: Project, settings: Any
) -> None:
    settings.MAX_CASES_PER_PROJECT = settings.MAX_NOTES_PER_CASE = 1
    case = open_case(inside, project, machine)
    for text in ("First", "Second"):
        assert as_erin.post(f"{case.get_absolute_url()}note/", {"text": text}).status_code == 302

    response = inside.post(f"{door(project)}case/", PACKET | {"target": machine.public_id})

    assert (response.status_code, response["Location"]) == (302, machine.get_absolute_url())
    assert "The project has its 1 case already" in messages(inside)
    assert "The case has its 1 note already" in messages(as_erin)
    assert list(case.notes.values_list("text", flat=True)) == ["First"]
    assert SupportCase.objects.count() == 1
