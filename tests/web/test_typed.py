"""What was typed is kept over a sign-in and in a stale tab, for the person who typed it."""

from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.utils import timezone

from karenpanel import kept
from securitygroups import operations
from securitygroups.firewall.protocols import Direction
from securitygroups.firewall.values import make_packet, parse_address
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from tests.factories import PASSWORD, sign_in_at
from tests.web.pages import Form, Page, form_at

HTMX = {"HX-Request": "true"}


# ── A session that has ended ──────────────────────────────────────────────────


def test_a_part_is_told_that_nobody_is_signed_in_and_the_page_stays(as_alice: Client, group: SecurityGroup) -> None:
    url = f"{group.get_absolute_url()}rules/new/"
    as_alice.logout()
    answer = as_alice.post(url, {"preview": "1", "source": "10.0.0.0/8"}, headers=HTMX)
    assert (answer.status_code, answer["Sign-In"]) == (401, "/sign-in/?next=/signed-in/")
    assert "HX-Redirect" not in answer
    assert answer["Content-Type"].startswith("text/plain")


def sent_signed_out(browser: Client, form: Form, **fields: Any) -> str:
    browser.logout()
    answer = form.send(browser, **fields)
    assert answer.status_code == 302
    return unquote(answer["Location"])


def sign_in_by_password(browser: Client, to: str, who: str = "alice") -> Any:
    page, _, back = to.partition("?next=")
    form = next(form for form in Page(browser.get(page, {"next": back})).forms if "login" in form.fields)
    return form.send(browser, login=who, password=PASSWORD)


def test_after_signing_in_the_form_comes_back_filled_in_and_was_not_sent(as_alice: Client, project: Project) -> None:
    form = form_at(as_alice, "/p/shop/groups/new/")
    to = sent_signed_out(as_alice, form, name="kept", description="as <typed>")
    page = Page(as_alice.get(sign_in_by_password(as_alice, to)["Location"]))
    assert page.title.startswith("What you typed is kept")
    assert not project.groups.exists()
    way_back = next(each for each in page.forms if each.action == "/p/shop/groups/new/")
    again = form_at_answer(way_back.send(as_alice, back="1"))
    assert (again.fields["name"], again.fields["description"]) == (["kept"], ["as <typed>"])
    assert again.send(as_alice).status_code == 302
    assert project.groups.get().name == "kept"


def form_at_answer(answer: Any) -> Form:
    assert answer.status_code == 200
    return next(form for form in Page(answer).forms if "name" in form.fields)


def test_nobody_else_gets_what_was_typed(as_alice: Client, erin: User, project: Project) -> None:
    form = form_at(as_alice, "/p/shop/groups/new/")
    to = sent_signed_out(as_alice, form, name="alices-secret-plan")
    answer = as_alice.get(sign_in_by_password(as_alice, to, "erin")["Location"])
    assert Page(answer).title.startswith("Nothing is kept any more")
    assert "alices-secret-plan" not in answer.content.decode()


def test_what_is_not_ours_to_keep_is_not_kept(as_alice: Client, group: SecurityGroup, bob: User) -> None:
    groups = form_at(as_alice, "/p/shop/groups/new/")
    password = form_at(as_alice, "/password/")
    delete = form_at(as_alice, f"{group.get_absolute_url()}delete/")
    assert "form=" not in sent_signed_out(as_alice, password, oldpassword=PASSWORD, password1="x", password2="x")
    assert "form=" not in sent_signed_out(as_alice, delete)
    assert "form=" not in sent_signed_out(as_alice, groups, name="x" * 70_000)
    assert "form=" not in sent_signed_out(as_alice, groups, name="a\0b")
    assert "form=" not in sent_signed_out(as_alice, groups, name="a", api_token="x")
    groups.fields.pop("once")
    assert "form=" not in sent_signed_out(as_alice, groups, name="a stranger's")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cache WHERE cache_key LIKE '%%typed:%%:%%'")
        assert cursor.fetchone()[0] == 0


def test_so_many_forms_of_one_person_are_kept_and_no_more(
    as_alice: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "AT_ONCE", 2)
    form = form_at(as_alice, "/p/shop/groups/new/")
    found = ["form=" in sent_signed_out(as_alice, form, name=f"n{n}") for n in range(4)]
    assert found == [True, True, False, False]


def test_a_long_document_at_a_closed_door_is_not_kept(as_staff: Client, project: Project) -> None:
    """A megabyte each time is what nobody has typed, and what the cache has no room for."""
    once = form_at(as_staff, "/account/time-zone/").fields["once"][0]
    for letters, kept_too in ((1_000, True), (200_000, False)):
        answer = as_staff.post("/p/shop/groups/import/", {"once": once, "name": "x", "text": "x" * letters})
        assert ("next" in answer["Location"]) is kept_too


def test_an_invitation_that_asks_for_the_password_first_comes_back_filled_in(
    as_alice: Client, project: Project, mailoutbox: list[Any]
) -> None:
    form = form_at(as_alice, "/p/shop/members/")
    with time_machine.travel(timezone.now() + timedelta(minutes=20)):
        answer = form.send(as_alice, email="dora@example.com", role="editor")
        assert answer["Location"].startswith("/sign-in/again/?next=/typed/")
        assert not mailoutbox
        way_back = Page(as_alice.get("/typed/", {"form": unquote(answer["Location"]).partition("form=")[2]}))
        again = next(each for each in way_back.forms if each.action == "/p/shop/members/").send(as_alice, back="1")
    assert next(each for each in Page(again).forms if "email" in each.fields).fields["email"] == ["dora@example.com"]


def test_a_note_of_support_whose_visit_ran_out_comes_back_after_naming_a_reason(
    as_staff: Client, staff: User, project: Project, machine: VirtualMachine
) -> None:
    visit = operations.open_visit(project=project, staff=staff, reason="Ticket", ticket="T-1")
    packet = make_packet(Direction.IN, "tcp", parse_address("192.0.2.1"), parse_address("10.0.1.11"), 80)
    case = operations.open_case(about=machine, packet=packet, staff=staff, ticket="T-1", note="")
    form = next(each for each in Page(as_staff.get(case.get_absolute_url())).forms if "text" in each.fields)
    with time_machine.travel(visit.until + timedelta(minutes=1)):
        door = form.send(as_staff, text="A long answer")["Location"]
        assert door.startswith("/support/shop/?next=")
        entered = form_at(as_staff, door).send(as_staff, reason="Ticket", ticket="T-1")
        page = Page(as_staff.get(entered["Location"]))
        again = next(each for each in page.forms if each.action == form.action).send(as_staff, back="1")
    assert "A long answer</textarea>" in again.content.decode()
    assert not case.notes.exists()


# ── A stale tab ───────────────────────────────────────────────────────────────


def test_a_stale_form_keeps_what_was_typed_and_goes_back_with_one_click(alice: User, project: Project) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in_at(browser, alice)
    form = form_at(browser, "/p/shop/groups/new/")
    form.fields["csrfmiddlewaretoken"] = ["x" * 64]
    answer = form.send(browser, name="stale <name>", description="kept")
    assert answer.status_code == 403
    page = Page(answer)
    assert "This page was open for too long" in page.text
    way_back = next(each for each in page.forms if each.action == "/p/shop/groups/new/")
    again = form_at_answer(way_back.send(browser, back="1"))
    assert (again.fields["name"], again.fields["description"]) == (["stale <name>"], ["kept"])
    assert not project.groups.exists()
    assert again.send(browser).status_code == 302


def test_a_form_of_another_site_gets_no_way_on_below_our_name(alice: User, project: Project) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in_at(browser, alice)
    for mark in ("", "abc:1:xyz"):
        answer = browser.post("/p/shop/groups/new/", {"name": "evil-group", "once": mark})
        assert answer.status_code == 403
        assert "evil-group" not in answer.content.decode()


def test_a_stale_part_says_so_and_not_that_one_may_not(alice: User, group: SecurityGroup) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in_at(browser, alice)
    uid = group.rules.in_order()[1].uid
    answer = browser.post(f"{group.get_absolute_url()}rules/{uid}/off/", {"base": "1"}, headers=HTMX)
    assert (answer.status_code, answer["Stale-Form"]) == (403, "yes")
    assert answer.content.decode().startswith("This page was open for too long")
