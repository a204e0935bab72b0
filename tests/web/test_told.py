"""Activity as it is read: days with headings, addresses of pages in words, and what was done again and again once."""

import csv
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, SupportVisit, User, VirtualMachine
from securitygroups.operations import By
from securitygroups.web.looked import ELSE, PAGES, in_words
from securitygroups.web.told import by_day, day_title
from tests.factories import make_group, make_machine
from tests.test_access import ADDRESSES, RIGHTS, VISITORS
from tests.web.pages import Page

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
TEST = "test/?test=1&direction=in&protocol=tcp&source=198.51.100.7&destination=10.0.1.11&port=22"


@pytest.fixture
def visit(project: Project, staff: User) -> SupportVisit:
    return operations.open_visit(project=project, staff=staff, reason="They cannot reach SSH", ticket="T-17")


def told(project: Project) -> list[tuple[str, list[tuple[str, int]]]]:
    """The days of the activity, each with what was done and how often."""
    events = list(project.events.filter(by_staff=True).select_related("group", "machine"))
    return [(day.title, [(line.words, line.times) for line in day.lines]) for day in by_day(events)]


# ── Pages in words ────────────────────────────────────────────────────────────


def test_every_page_of_a_project_that_support_can_look_at_has_its_words() -> None:
    """What only writes has lines of its own, and these lead in and out."""
    seen = {name for name in RIGHTS if "slug" in ADDRESSES.get(name, ()) and VISITORS & _who(name)}
    assert seen - PAGES.keys() == {"support_enter", "visit_stay", "visit_leave"}
    assert PAGES.keys() - seen == {"support"}


def _who(name: str) -> frozenset[str]:
    return (RIGHTS[name].get or frozenset()) | (RIGHTS[name].post or frozenset())


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("/p/shop/", "Looked at the overview"),
        ("/p/shop/groups/{group}/", "Looked at the rules of web"),
        ("/p/shop/groups/{group}/?q=ssh&page=2", "Looked at the rules of web, searching for “ssh”"),
        ("/p/shop/groups/{group}/history/1/", "Looked at revision 1 of web"),
        ("/p/shop/groups/{group}/export.csv", "Took the rules of web as a file"),
        ("/p/shop/machines/{machine}/", "Looked at web-1"),
        (
            "/p/shop/machines/{machine}/" + TEST,
            "Tested an inbound TCP packet from 198.51.100.7 to 10.0.1.11, port 22 (SSH) on web-1",
        ),
        ("/p/shop/machines/{machine}/test/?test=1&source=nonsense", "Opened the packet test of web-1"),
        ("/p/shop/cases/case-0123456789/", "Looked at case-0123456789"),
        ("/support/?q=web-", "Searched at the support desk for “web-”"),
        ("/support/?q=" + "x" * 200, "Searched at the support desk for “" + "x" * 60 + "…”"),
        # Support can open it and send nothing: no view was kept.
        ("/p/shop/views/new/?of=groups&is=open", "Opened the form of a saved view"),
        ("/p/shop/machines/vm-never/", "Looked at vm-never"),
        ("/no/such/page/", ELSE),
        ("nonsense", ELSE),
        ("", ELSE),
        ("/p/shop/?q=%E2%80%AEevil", "Looked at the overview, searching for “\N{REPLACEMENT CHARACTER}evil”"),
    ],
)
def test_an_address_is_told_in_a_persons_words(
    page: str, words: str, project: Project, group: SecurityGroup, machine: VirtualMachine
) -> None:
    address = page.format(group=group.public_id, machine=machine.public_id)
    assert in_words(project.pk, [address]) == {address: words}


def test_names_are_told_of_what_is_deleted_and_never_of_another_project(
    project: Project, bakery: Project, machine: VirtualMachine, staff: User, alice: User
) -> None:
    gone, moved = make_group(project, "gone"), make_machine(project, "moved")
    operations.delete_group(group=gone, base=1, by=By(alice))
    operations.move_machine(machine=moved, target=bakery, by=By(staff))
    pages = {f"/p/shop/groups/{gone.public_id}/", f"/p/shop/machines/{moved.public_id}/"}
    assert set(in_words(project.pk, pages).values()) == {
        "Looked at the rules of gone",
        f"Looked at {moved.public_id}",
    }


def test_the_names_of_many_pages_are_two_queries(
    project: Project, group: SecurityGroup, machine: VirtualMachine, django_assert_num_queries: Any
) -> None:
    pages = [
        f"/p/shop/{kind}s/{one.public_id}/?page={n}"
        for n in range(200)
        for kind, one in (("group", group), ("machine", machine))
    ]
    with django_assert_num_queries(2):
        assert len(in_words(project.pk, pages)) == 400


# ── Days ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("day", "title"),
    [
        (date(2026, 3, 4), "Today"),
        (date(2026, 3, 3), "Yesterday"),
        (date(2026, 3, 2), "Monday, 2 March"),
        (date(2025, 12, 31), "Wednesday, 31 December 2025"),
    ],
)
def test_a_day_has_a_title(day: date, title: str) -> None:
    assert day_title(day, date(2026, 3, 4)) == title


def test_days_are_those_of_the_readers_zone(as_alice: Client, alice: User, project: Project) -> None:
    """Half past eleven in the evening of London is the next day in Auckland, to the filter too."""
    operations.set_time_zone(person=alice, zone="Pacific/Auckland")
    with time_machine.travel(NOON.replace(hour=11, minute=30), tick=False) as clock:
        make_group(project, "late")
        clock.shift(timedelta(minutes=10))
        text = Page(as_alice.get("/p/shop/activity/")).text
        assert "Created late." in text.split("Today")[1]
        assert "00:30" in text
        assert "Created late." in Page(as_alice.get("/p/shop/activity/?until=2026-03-05")).text
        assert "Created late." not in Page(as_alice.get("/p/shop/activity/?until=2026-03-04")).text


@pytest.mark.parametrize("until", ["9999-12-31", "0001-01-01", "2026-02-30", "x", "9999-99-99"])
def test_a_day_that_is_none_or_the_last_one_does_no_harm(until: str, as_bob: Client, project: Project) -> None:
    assert as_bob.get(f"/p/shop/activity/?until={until}").status_code == 200


# ── Repeats ───────────────────────────────────────────────────────────────────


def test_looks_that_repeat_are_one_line_with_their_number(
    project: Project, visit: SupportVisit, group: SecurityGroup
) -> None:
    rules, overview = group.get_absolute_url(), project.get_absolute_url()
    for page in (overview, rules, rules, overview, rules):
        operations.record_look(visit=visit, page=page)
    assert told(project) == [
        (
            "Today",
            [
                ("Looked at the rules of web.", 3),
                ("Looked at the overview.", 2),
                ("Support came to look, for 30 minutes: They cannot reach SSH (ticket T-17)", 1),
            ],
        )
    ]


def test_nothing_is_folded_over_a_change_another_person_or_a_day(
    project: Project, staff: User, group: SecurityGroup, alice: User
) -> None:
    def look() -> None:
        operations.record_look(visit=opened, page=group.get_absolute_url())

    with time_machine.travel(NOON, tick=False) as clock:
        opened = operations.open_visit(project=project, staff=staff, reason="Asked", ticket="T-1")
        look()
        clock.shift(timedelta(days=1))
        look()
        operations.update_group(group=group, name="new", description="", by=By(alice))
        look()
        events = list(
            project.events.filter(at__range=(NOON, NOON + timedelta(days=2))).select_related("group", "machine")
        )
        days = [(day.title, [(line.words, line.times) for line in day.lines]) for day in by_day(events)]

    looked = ("Looked at the rules of new.", 1)
    assert [title for title, _ in days] == ["Today", "Yesterday"]
    assert [lines.count(looked) for _, lines in days] == [2, 1]


def test_what_a_click_wrote_is_told_once(
    project: Project, visit: SupportVisit, machine: VirtualMachine, staff: User
) -> None:
    """The page that the click was sent to is on record too, and says nothing more."""
    from tests.web.test_desk_cases import SSH

    case = operations.open_case(about=machine, packet=SSH, staff=staff)
    operations.record_look(visit=visit, page="/support/shop/case/")
    [(_, lines)] = told(project)
    assert [words for words, _ in lines[:2]] == [
        f"Support opened {case.public_id}.",
        "Support came to look, for 30 minutes: They cannot reach SSH (ticket T-17)",
    ]


def test_a_reason_is_said_once(
    as_bob: Client, project: Project, group: SecurityGroup, visit: SupportVisit, alice: User
) -> None:
    operations.commit_rules(group=group, rules=[], base=1, by=By(alice, reason="Spring cleaning"))
    text = Page(as_bob.get("/p/shop/activity/")).text
    assert text.count("They cannot reach SSH") == 1
    assert "Reason: Spring cleaning" in text


def test_no_address_of_a_page_is_on_screen(
    as_bob: Client, project: Project, visit: SupportVisit, machine: VirtualMachine
) -> None:
    operations.record_look(visit=visit, page=machine.get_absolute_url() + TEST)
    for page in ("/p/shop/activity/", "/p/shop/"):
        text = Page(as_bob.get(page)).text
        assert "Tested an inbound TCP packet from 198.51.100.7" in text
        assert "/p/shop/" not in text


# ── As a file ─────────────────────────────────────────────────────────────────


def test_the_file_has_the_whole_address_of_each_page(
    as_bob: Client, project: Project, visit: SupportVisit, machine: VirtualMachine
) -> None:
    page = machine.get_absolute_url() + TEST
    operations.record_look(visit=visit, page=page)
    response = as_bob.get("/p/shop/activity/list.csv?what=support.look")
    lines = list(csv.DictReader(response.content.decode("utf-8-sig").splitlines()))
    assert [(line["Who"], line["Platform staff"], line["Address of the page"]) for line in lines] == [
        ("staff", "true", page),
        ("staff", "true", ""),
    ]
    assert lines[0]["In words"].startswith("Tested an inbound TCP packet from 198.51.100.7")
    assert f"on {machine.name}" in lines[0]["In words"]
