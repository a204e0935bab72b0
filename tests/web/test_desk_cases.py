"""The day's work at the desk: a log line, a ticket, lists of cases, what becomes of a case, and the way out of a visit."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client

from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import Packet
from securitygroups.models import (
    AccountEvent,
    CaseStanding,
    Project,
    SecurityGroup,
    SupportCase,
    SupportVisit,
    User,
    VirtualMachine,
)
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import make_group, make_host, make_machine, make_user, place, rule
from tests.web.pages import Page, messages, part_and_page
from tests.web.test_desk import ASKED, PACKET, door, looks, open_case
from tests.web.test_desk import inside as inside

SSH = Packet(Direction.IN, 4, 6, 0xCB007109, 0x0A00010B, 22)
LINE = "kernel: DROP IN=eth0 SRC=203.0.113.9 DST=10.0.1.11 LEN=60 PROTO=TCP SPT=40022 DPT=22 SYN"


def step(client: Client, case: SupportCase, do: str, **more: str) -> Any:
    return client.post(f"/support/{case.project.slug}/case/{case.public_id}/", {"do": do} | more)


# ── Arriving ──────────────────────────────────────────────────────────────────


def test_support_arrives_at_the_desk_and_who_has_projects_there(
    as_staff: Client, as_alice: Client, sign_in: SignIn, project: Project, staff: User
) -> None:
    assert as_staff.get("/")["Location"] == "/support/"
    assert as_alice.get("/")["Location"] == project.get_absolute_url()
    assert sign_in(make_user("una")).get("/").status_code == 200
    operations.add_member(project=project, user=staff, role="viewer", by=By())
    assert as_staff.get("/")["Location"] == project.get_absolute_url()


# ── A log line and a ticket ───────────────────────────────────────────────────


def links(client: Client, line: str) -> list[str]:
    """Where the desk leads from a log line."""
    content = client.get("/support/", {"q": line}).content.decode()
    return [unescape(link) for link in re.findall(r'href="([^"]+/test/\?[^"]+)"', content)]


def asked_of(client: Client, line: str) -> list[tuple[str, dict[str, str]]]:
    """Where the links of a log line lead: the VM's public id, and the query."""
    found = [urlsplit(link) for link in links(client, line)]
    return [(at.path.split("/")[4], {key: values[0] for key, values in parse_qs(at.query).items()}) for at in found]


def test_a_log_line_leads_to_the_packet_test_of_both_ends_past_the_reason(
    as_staff: Client, machine: VirtualMachine, bakery: Project
) -> None:
    sender = make_machine(bakery, "till", ipv4="203.0.113.9")

    found = asked_of(as_staff, LINE)

    packet = {"protocol": "tcp", "source": "203.0.113.9", "destination": "10.0.1.11", "port": "22", "test": "1"}
    assert found == [
        (machine.public_id, packet | {"direction": "in"}),
        (sender.public_id, packet | {"direction": "out"}),
    ]
    asked = as_staff.get(links(as_staff, LINE)[0])
    opened = Page(as_staff.get(asked["Location"])).form_with("reason").send(as_staff, **ASKED)
    assert "Accepted by rule 3" in Page(as_staff.get(opened["Location"])).text


def test_a_line_without_a_protocol_fills_the_test_in_and_asks_nothing_yet(
    as_staff: Client, machine: VirtualMachine
) -> None:
    [(_, query)] = asked_of(as_staff, "203.0.113.9 > 10.0.1.11:22")
    assert "test" not in query
    assert query["port"] == "22"


def test_a_line_of_addresses_that_nobody_has_says_what_was_read(as_staff: Client, machine: VirtualMachine) -> None:
    assert (
        "No VM has 10.9.9.9 or 203.0.113.9"
        in Page(as_staff.get("/support/", {"q": "tcp 203.0.113.9 > 10.9.9.9:22"})).text
    )


def test_a_log_line_is_on_record_whole(as_staff: Client, machine: VirtualMachine, project: Project) -> None:
    line = LINE + " OPT=" + "0" * 300
    as_staff.get("/support/", {"q": line})
    detail = AccountEvent.objects.filter(verb="support.searched").latest("pk").detail
    assert detail == {
        "query": line,
        "found": {"Virtual Machines that it goes to": 1},
        "projects": [project.pk],
    }


def test_a_deleted_vm_is_at_no_end(as_staff: Client, machine: VirtualMachine, alice: User) -> None:
    operations.delete_machine(machine=machine, by=By(alice))
    assert asked_of(as_staff, LINE) == []


def test_a_ticket_finds_its_visits_and_cases_and_no_other(
    inside: Client, machine: VirtualMachine, project: Project, bakery: Project
) -> None:
    case = open_case(inside, project, machine)
    inside.post(door(bakery), {"reason": "Something else", "ticket": "T-170"})
    text = Page(inside.get("/support/?q=t-17")).text
    assert f"{case.public_id} ticket T-17" in text
    assert "They cannot reach SSH (ticket T-17)" in text
    assert "Something else" not in text.split("Search")[-1]


# ── The list of all cases ─────────────────────────────────────────────────────


@pytest.fixture
def several(as_staff: Client, staff: User, machine: VirtualMachine, bakery: Project) -> dict[str, SupportCase]:
    """Cases of two customers: one waits for long, one for a moment, one is answered, one is closed."""
    made = {}
    till = make_machine(bakery, "till")
    for hours, (name, about) in enumerate(
        {"answered": machine, "long": till, "closed": machine, "short": machine}.items()
    ):
        with time_machine.travel(datetime.now(UTC) - timedelta(hours=9 - 2 * hours)):
            made[name] = operations.open_case(about=about, packet=SSH, staff=staff, ticket=f"T-{hours}")
        with time_machine.travel(datetime.now(UTC) - timedelta(hours=9 - 2 * hours, minutes=-25)):
            if name == "answered":
                operations.add_note(case=made[name], text="Rule 3", by=By(staff, staff=True))
            if name == "closed":
                operations.close_case(case=made[name], staff=staff, text="Done")
    operations.take_case(case=made["short"], staff=staff)
    return made


def listed(client: Client, cases: dict[str, SupportCase], query: str) -> list[str]:
    """The names of the cases on the page, in its order."""
    text = Page(client.get(f"/cases/{query}")).text
    return sorted(
        (name for name in cases if cases[name].public_id in text), key=lambda name: text.index(cases[name].public_id)
    )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["long", "short"]),
        ("?state=", ["answered", "long", "closed", "short"]),
        ("?state=&sort=newest", ["short", "closed", "long", "answered"]),
        ("?state=&sort=oldest", ["answered", "long", "closed", "short"]),
        ("?state=answered", ["answered"]),
        ("?state=closed", ["closed"]),
        ("?mine=1", ["short"]),
        ("?q=Bake", ["long"]),
        ("?state=&q=t-2", ["closed"]),
        ("?state=nonsense&sort=nonsense", ["answered", "long", "closed", "short"]),
    ],
)
def test_the_cases_of_all_customers_are_found_by_state_person_and_text(
    query: str, names: list[str], as_staff: Client, several: dict[str, SupportCase]
) -> None:
    assert listed(as_staff, several, query) == names


def test_the_list_tells_how_long_somebody_waits_or_waited_and_nothing_of_the_packet(
    as_staff: Client, several: dict[str, SupportCase], project: Project
) -> None:
    part, page = part_and_page(as_staff, "/cases/?state=")
    for shown in (part, page):
        assert "Answered in 25 minutes" in shown.text
        assert "Open waiting for 7 hours" in shown.text
        assert "Open waiting for 3 hours staff" in shown.text
        assert "web-1" not in shown.text
        assert "203.0.113.9" not in shown.text
    assert looks(project) == [], "names alone are no look into a project"
    found = AccountEvent.objects.filter(verb="support.searched").latest("pk").detail
    assert found["found"] == {"Cases": 4}
    assert set(found["projects"]) == {case.project_id for case in several.values()}


def test_the_desk_says_how_much_waits(as_staff: Client, several: dict[str, SupportCase]) -> None:
    text = Page(as_staff.get("/support/")).text
    assert "2 open cases" in text
    assert "1 of mine open" in text


@pytest.mark.parametrize("rows", [2, 60])
def test_the_list_of_all_cases_asks_as_much_for_many(
    rows: int, as_staff: Client, group: SecurityGroup, staff: User, django_assert_num_queries: Any
) -> None:
    base = operations.open_case(about=group, packet=SSH, staff=staff)
    made = SupportCase.objects.bulk_create(
        SupportCase(project=base.project, group=group, packet={}, rules=[], verdict="drop", opened_by=staff)
        for _ in range(rows)
    )
    CaseStanding.objects.bulk_create(
        CaseStanding(case=case, project=base.project, asked_at=case.at, assignee=staff) for case in made
    )
    # Session, person, two for the rights, the record; then count, keys and rows.
    with django_assert_num_queries(9):
        assert as_staff.get("/cases/").status_code == 200


# ── The list of a project ─────────────────────────────────────────────────────


def test_the_customer_searches_the_cases_of_the_project(
    as_bob: Client, several: dict[str, SupportCase], project: Project
) -> None:
    def found(query: str) -> set[str]:
        text = Page(as_bob.get(f"/p/shop/cases/{query}")).text
        return {name for name, case in several.items() if case.public_id in text}

    assert found("") == {"answered", "closed", "short"}
    assert found("?state=open") == {"short"}
    assert found("?state=closed") == {"closed"}
    assert found("?q=WEB") == {"answered", "closed", "short"}
    assert found("?q=T-0") == {"answered"}
    assert found(f"?q={several['closed'].public_id}") == {"closed"}
    assert found("?q=till") == set()
    assert "No such case" in Page(as_bob.get("/p/shop/cases/?q=till")).text


def test_a_case_of_a_process_of_the_version_before_has_no_standing_and_is_shown(
    as_bob: Client, inside: Client, machine: VirtualMachine, staff: User
) -> None:
    case = operations.open_case(about=machine, packet=SSH, staff=staff)
    CaseStanding.objects.filter(case=case).delete()
    for browser in (as_bob, inside):
        assert case.public_id in browser.get("/p/shop/cases/").content.decode()
        assert browser.get(f"/p/shop/cases/{case.public_id}/").status_code == 200


def test_a_case_is_not_found_by_the_name_that_its_vm_has_with_another_customer(
    as_bob: Client, several: dict[str, SupportCase], machine: VirtualMachine, bakery: Project, staff: User
) -> None:
    operations.move_machine(machine=machine, target=bakery, by=By(staff))
    machine.refresh_from_db()
    operations.update_machine(machine=machine, fields={"name": "secret"}, by=By(staff))
    assert several["short"].public_id not in Page(as_bob.get("/p/shop/cases/?q=secret")).text


# ── What becomes of a case ────────────────────────────────────────────────────


def test_support_takes_closes_and_opens_a_case_again(
    inside: Client, as_bob: Client, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    at = case.get_absolute_url()
    assert "Assign to me" in Page(inside.get(at)).text
    assert step(inside, case, "take")["Location"] == at
    page = Page(inside.get(at))
    assert "taken by staff" in page.text
    assert "Assign to me" not in page.text
    assert page.form_with("word").send(inside, word="Port 8443 was missing", do="close")["Location"] == at
    for browser in (inside, as_bob):
        text = Page(browser.get(at)).text
        assert "Closed" in text
        assert "closed this case: Port 8443 was missing" in text
    assert "Open again" in Page(inside.get(at)).text
    assert "Open again" not in Page(as_bob.get(at)).text
    step(inside, case, "reopen")
    assert "opened this case again" in Page(as_bob.get(at)).text
    assert [event.summary for event in project.events.filter(verb="case.changed").order_by("pk")] == [
        f"Support takes care of {case.public_id}.",
        f"Support closed {case.public_id}: Port 8443 was missing",
        f"Support opened {case.public_id} again.",
    ]


@pytest.mark.parametrize("word", ["", " ", "x" * 256, "two\nlines"])
def test_a_case_is_closed_with_a_word_or_not_at_all(
    word: str, inside: Client, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    response = step(inside, case, "close", word=word)
    assert response.status_code == 422
    page = Page(response)
    assert page.title.startswith("Error:")
    assert page.errors["word"]
    assert CaseStanding.objects.get().state == "open"


def test_what_was_written_since_is_read_before_a_case_is_closed(
    inside: Client, machine: VirtualMachine, project: Project, alice: User
) -> None:
    case = open_case(inside, project, machine)
    drawn = Page(inside.get(case.get_absolute_url())).form_with("word")
    operations.add_note(case=case, text="Still blocked from the other office", by=By(alice))

    answer = drawn.send(inside, word="Port 8443 was missing", do="close")

    page = Page(answer)
    assert answer.status_code == 409
    assert "Nothing was done: somebody has written" in page.text
    assert "Still blocked from the other office" in page.text
    assert CaseStanding.objects.get().state == "open"
    page.form_with("word").send(inside, do="close")
    assert case.steps.get().text == "Port 8443 was missing"


def test_of_two_who_take_a_case_or_end_it_at_once_the_second_is_told(
    inside: Client, sign_in: SignIn, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    colleague = make_user("colleague", "support", is_staff=True)
    other = sign_in(colleague)
    operations.open_visit(project=project, staff=colleague, reason="Look", ticket="T-2")
    at = case.get_absolute_url()
    for do, more in (("take", {}), ("close", {"word": "Mine"}), ("reopen", {})):
        drawn = [next(form for form in Page(who.get(at)).forms if "seen" in form.fields) for who in (inside, other)]
        assert drawn[0].send(inside, do=do, **more).status_code == 302
        assert drawn[1].send(other, do=do, **dict.fromkeys(more, "Theirs")).status_code == 409

    assert list(case.steps.values_list("kind", "author_name", "text")) == [
        ("taken", "staff", ""),
        ("closed", "staff", "Mine"),
        ("reopened", "staff", ""),
    ]


def test_a_step_that_is_none_does_nothing(inside: Client, machine: VirtualMachine, project: Project) -> None:
    case = open_case(inside, project, machine)
    step(inside, case, "nonsense", word="Done")
    assert CaseStanding.objects.get().state == "open"
    assert "choose what to do with the case" in messages(inside)


def test_nobody_else_takes_or_closes_a_case(
    inside: Client, as_alice: Client, as_charlie: Client, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    for browser in (as_alice, as_charlie):
        for do in ("take", "close", "reopen"):
            assert step(browser, case, do, word="Done").status_code == 404
    assert CaseStanding.objects.get().state == "open"


def test_a_member_who_is_support_too_leaves_cases_to_a_visit(
    inside: Client, staff: User, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    operations.add_member(project=project, user=staff, role="owner", by=By())
    assert step(inside, case, "take").status_code == 403


def test_a_customers_note_opens_a_closed_case_again(
    inside: Client, as_erin: Client, machine: VirtualMachine, project: Project, staff: User
) -> None:
    case = open_case(inside, project, machine)
    operations.close_case(case=case, staff=staff, text="Done")
    page = Page(as_erin.get(case.get_absolute_url()))
    assert "a note opens it again" in page.text
    page.form_with("text").send(as_erin, text="Still blocked")
    assert CaseStanding.objects.get().state == "open"


# ── Several packets ───────────────────────────────────────────────────────────


def test_another_packet_goes_into_an_open_case_from_any_test_of_the_visit(
    inside: Client, as_bob: Client, machine: VirtualMachine, project: Project
) -> None:
    case = open_case(inside, project, machine)
    other = make_machine(project, "db-1")
    test = {"target": other.public_id, "case": case.public_id, "note": "And the database"}
    page = Page(inside.get(f"{other.get_absolute_url()}test/", PACKET | {"test": "1"}))
    assert f"Add to {case.public_id}, ticket T-17" in page.text
    assert inside.post(f"{door(project)}case/", PACKET | test | {"port": "5432"})["Location"] == case.get_absolute_url()
    assert "The packet was added" in messages(inside)
    assert SupportCase.objects.count() == 1

    at = case.get_absolute_url()
    first, second = Page(as_bob.get(at)).text, Page(as_bob.get(f"{at}?packet=2")).text
    for text in (first, second):
        assert "port 22 (SSH) web-1 Accepted Accepted" in text
        assert "port 5432 (PostgreSQL) db-1 Denied Denied" in text
        assert "And the database" in text
    assert "Then: accepted by rule 3" in first
    assert "Then: denied" in second
    for odd in ("0", "3", "-1", "x", "9" * 30):
        assert "Then: accepted by rule 3" in Page(as_bob.get(f"{at}?packet={odd}")).text


def test_no_packet_goes_into_a_case_that_is_closed_or_another_customers(
    inside: Client, machine: VirtualMachine, project: Project, bakery: Project, staff: User
) -> None:
    case = open_case(inside, project, machine)
    theirs = operations.open_case(about=make_machine(bakery, "till"), packet=SSH, staff=staff)
    operations.close_case(case=case, staff=staff, text="Done")
    sent = PACKET | {"target": machine.public_id}

    assert "Add to" not in Page(inside.get(f"{machine.get_absolute_url()}test/", PACKET | {"test": "1"})).text
    assert inside.post(f"{door(project)}case/", sent | {"case": theirs.public_id}).status_code == 404
    assert inside.post(f"{door(project)}case/", sent | {"case": case.public_id}).status_code == 302
    assert "is closed: open it again first" in messages(inside)
    assert case.packets.count() == theirs.packets.count() == 0


def test_a_packet_of_a_vm_that_moved_away_names_it_no_more(
    inside: Client, as_bob: Client, machine: VirtualMachine, project: Project, bakery: Project, staff: User
) -> None:
    case = open_case(inside, project, machine)
    other = make_machine(project, "db-1")
    operations.add_packet(case=case, about=other, packet=SSH, staff=staff)
    operations.move_machine(machine=other, target=bakery, by=By(staff))
    text = Page(as_bob.get(f"{case.get_absolute_url()}?packet=2")).text
    assert "db-1" not in text
    assert other.public_id in text
    assert "moved to another project, so it cannot be tested again" in text


# ── The end of a visit ────────────────────────────────────────────────────────


def test_a_visit_is_left_at_once_with_all_that_it_was_extended_by(
    inside: Client, project: Project, staff: User, group: SecurityGroup
) -> None:
    at = group.get_absolute_url()
    assert Page(inside.get(at)).form_with("next").action == "/support/shop/leave/"
    stayed = inside.post("/support/shop/stay/", {"next": at})
    assert stayed["Location"] == at
    assert SupportVisit.objects.count() == 2
    left = inside.post("/support/shop/leave/")
    assert left["Location"] == "/support/"
    assert "You left Shop." in messages(inside)
    assert inside.get(at)["Location"].startswith(door(project))
    assert inside.post("/support/shop/leave/")["Location"] == door(project), "there is nothing to leave any more"
    assert looks(project)[-2:] == [
        "Support stays, for 30 minutes: They cannot reach SSH (ticket T-17)",
        "Support left.",
    ]


def test_an_extended_visit_ends_half_an_hour_after_it_was_extended(
    as_staff: Client, project: Project, staff: User
) -> None:
    start = datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        as_staff.post(door(project), ASKED)
        clock.move_to(start + timedelta(minutes=20))
        as_staff.post("/support/shop/stay/")
        clock.move_to(start + timedelta(minutes=49))
        assert as_staff.get(project.get_absolute_url()).status_code == 200
        clock.move_to(start + timedelta(minutes=50))
        assert as_staff.get(project.get_absolute_url()).status_code == 302


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/p/", "/admin/", "javascript:x", ""])
def test_staying_leads_nowhere_else(target: str, inside: Client, project: Project) -> None:
    assert inside.post("/support/shop/stay/", {"next": target})["Location"] == project.get_absolute_url()


def test_one_person_leaves_for_nobody_else(inside: Client, sign_in: SignIn, project: Project) -> None:
    colleague = sign_in(make_user("colleague", "support", is_staff=True))
    colleague.post(door(project), ASKED)
    inside.post("/support/shop/leave/")
    assert colleague.get(project.get_absolute_url()).status_code == 200


def test_the_desk_offers_the_way_out_of_what_is_open(inside: Client, project: Project) -> None:
    page = Page(inside.get("/support/"))
    assert "open until" in page.text
    assert "Leave Shop" in page.text
    inside.post("/support/shop/leave/")
    assert "Leave Shop" not in Page(inside.get("/support/")).text


# ── What hosts drop before any rule ───────────────────────────────────────────


def test_a_case_keeps_its_day_s_answer_where_hosts_drop_the_packet_now(
    as_bob: Client, project: Project, staff: User
) -> None:
    vm = make_machine(project, "open", [make_group(project, "all", [rule("accept out all")])], ipv4="10.0.7.8")
    foreign = Packet(Direction.OUT, 4, 6, 0xCB007107, 0xC6336401, 443)
    before = operations.open_case(about=vm, packet=foreign, staff=staff)
    host = make_host()
    place(vm, host, "tap0")
    vm = VirtualMachine.objects.get(pk=vm.pk)
    after = operations.open_case(about=vm, packet=foreign, staff=staff)
    assert [(case.verdict, case.rule) for case in (before, after)] == [("accept", 1), ("drop", None)]
    text = Page(as_bob.get(before.get_absolute_url())).text
    assert "Then: accepted by rule 1" in text
    assert "Now: denied" in text
    assert "This was the answer of the rules alone: hosts drop it now before any rule." in text
    text = Page(as_bob.get(after.get_absolute_url())).text
    assert "Then: denied" in text
    assert "This was the answer of the rules alone" not in text
    place(vm, host, "tap0", held=False)
    text = Page(as_bob.get(after.get_absolute_url())).text
    assert "The platform dropped it before any rule was asked" in text
    assert "Now: accepted by rule 1" in text
    place(vm, host, "tap0", addresses=("192.0.2.77",))
    operations.delete_machine(machine=vm, by=By())
    assert "192.0.2.77" not in Page(as_bob.get(before.get_absolute_url())).text
