"""Who has to do what before anything else: come back after a while, choose a password, show a second factor."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.models import Project, Role, User
from securitygroups.operations import By
from tests.conftest import SignIn
from tests.factories import NEW_PASSWORD, PASSWORD, make_user, sign_in_at
from tests.web.pages import HTMX, Page

ROLE = "/p/shop/members/{}/role/"


def later(**by: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(**by), tick=False)


def sign_in_by_password(browser: Client) -> None:
    assert browser.post("/sign-in/", {"login": "alice", "password": PASSWORD}).status_code == 302


# ── Time ──────────────────────────────────────────────────────────────────────


def test_a_session_ends_after_an_hour_without_a_click(as_alice: Client, project: Project) -> None:
    assert as_alice.get("/p/shop/").status_code == 200
    with later(minutes=61):
        answer = as_alice.get("/p/shop/groups/?q=a")
        assert (answer.status_code, answer["Location"]) == (302, "/sign-in/?next=/p/shop/groups/%3Fq%3Da")
        assert "after 60 minutes without a click" in Page(as_alice.get("/sign-in/")).text
        assert as_alice.get("/p/shop/").status_code == 302


def test_each_click_starts_the_hour_anew_and_twelve_are_the_most(alice: User, project: Project) -> None:
    browser = Client()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.force_login(alice)
        for _ in range(14):
            clock.shift(timedelta(minutes=50))
            assert browser.get("/p/shop/").status_code == 200
        clock.shift(timedelta(minutes=50))
        answer = browser.get("/p/shop/")
    assert answer.status_code == 302
    assert "You signed in more than 12 hours ago" in Page(browser.get("/sign-in/")).text


def test_a_part_that_htmx_asks_for_leaves_the_page_and_offers_the_sign_in_beside_it(
    as_alice: Client, project: Project
) -> None:
    as_alice.get("/p/shop/")
    with later(minutes=61):
        answer = as_alice.get(
            "/p/shop/groups/", headers=HTMX | {"HX-Current-URL": "http://testserver/p/shop/groups/?q=a"}
        )
    assert (answer.status_code, answer["Sign-In"]) == (401, "/sign-in/?next=/signed-in/")
    assert as_alice.get("/p/shop/").status_code == 302


def test_a_session_is_written_once_a_minute_and_not_at_each_click(
    alice: User, project: Project, django_assert_num_queries: Any
) -> None:
    browser = Client()
    sign_in_by_password(browser)
    browser.get("/help/")
    with django_assert_num_queries(4) as captured:
        browser.get("/help/")
    assert not [query for query in captured.captured_queries if query["sql"].startswith(("UPDATE", "INSERT"))]
    with later(minutes=2):
        browser.get("/help/")
        assert UserSession.objects.get().last_seen_at == timezone.now()


# ── A password that somebody else typed ───────────────────────────────────────


def test_a_password_that_somebody_else_typed_is_changed_before_anything_else(alice: User, project: Project) -> None:
    alice.set_password(PASSWORD)
    alice.save()
    browser = Client()
    assert browser.post("/sign-in/", {"login": "alice", "password": PASSWORD}).status_code == 302
    for path in ("/", "/p/shop/", "/account/", "/account/factors/", "/p/shop/groups/new/"):
        assert browser.get(path)["Location"] == "/password/", path
    assert browser.post("/p/shop/groups/new/", {"name": "x"})["Location"] == "/password/"
    assert not project.groups.exists()
    sent = {"oldpassword": PASSWORD, "password1": PASSWORD, "password2": PASSWORD}
    assert browser.post("/password/", sent).status_code == 422, "the same again is no other"
    sent |= {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert browser.post("/password/", sent).status_code == 302
    assert browser.get("/p/shop/").status_code == 200


def test_whoever_has_to_change_it_can_still_sign_out(alice: User) -> None:
    alice.set_password(PASSWORD)
    alice.save()
    browser = Client()
    browser.force_login(alice)
    assert browser.post("/sign-out/")["Location"] == "/sign-in/"


# ── Second factor ─────────────────────────────────────────────────────────────


def test_staff_get_nowhere_without_a_second_factor(staff: User, admin: User, project: Project) -> None:
    for person in (staff, admin):
        browser = Client()
        sign_in_at(browser, person, strong=False)
        for path in ("/", "/help/", "/support/", "/admin/", "/admin/securitygroups/user/", "/p/shop/"):
            answer = browser.get(path)
            assert (answer.status_code, answer["Location"]) == (302, "/account/factors/"), path
        assert "Staff sign in with a second factor." in browser.get("/account/factors/").content.decode()
        assert browser.get("/account/sessions/").status_code == 200
    strong = Client()
    sign_in_at(strong, admin)
    assert strong.get("/admin/").status_code == 200


def test_an_installation_may_let_staff_do_without(settings: Any, admin: User) -> None:
    settings.STAFF_SECOND_FACTOR = False
    browser = Client()
    sign_in_at(browser, admin, strong=False)
    assert browser.get("/admin/").status_code == 200


def test_a_project_can_ask_all_its_members_for_one(
    project: Project, alice: User, bob: User, charlie: User, sign_in: SignIn
) -> None:
    operations.require_second_factor(project=project, required=True, by=By(alice))
    weak, strong, stranger = sign_in(bob), Client(), sign_in(charlie)
    sign_in_at(strong, bob, strong=True)
    for path in ("/p/shop/", "/p/shop/groups/", "/p/shop/members/"):
        assert weak.get(path)["Location"] == "/account/factors/"
        assert strong.get(path).status_code == 200
        assert stranger.get(path).status_code == 404, "and who is none learns nothing"
    assert "Shop asks its members for a second factor." in weak.get("/account/factors/").content.decode()


def test_only_who_has_one_can_ask_it_of_others(project: Project, alice: User, as_alice: Client) -> None:
    assert as_alice.post("/p/shop/members/second-factor/", {"required": "yes"})["Location"] == "/account/factors/"
    project.refresh_from_db()
    assert not project.second_factor
    strong = Client()
    sign_in_at(strong, alice, strong=True)
    assert strong.post("/p/shop/members/second-factor/", {"required": "yes"}).status_code == 302
    project.refresh_from_db()
    assert project.second_factor
    assert "Members need a second factor." in Page(strong.get("/p/shop/activity/")).text
    strong.post("/p/shop/members/second-factor/", {"required": "no"})
    project.refresh_from_db()
    assert not project.second_factor


# ── Showing once more who one is ──────────────────────────────────────────────


def test_a_quarter_of_an_hour_after_signing_in_what_is_dangerous_asks_again(
    alice: User, bob: User, project: Project
) -> None:
    browser = Client()
    pk = project.memberships.get(user=bob).pk
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in_by_password(browser)
        clock.shift(timedelta(minutes=16))
        page = {"Referer": "http://testserver/p/shop/members/"}
        for url, sent in (
            (ROLE.format(pk), {"role": "owner"}),
            (f"/p/shop/members/{pk}/remove/", {}),
            ("/p/shop/members/", {"email": "new@example.com", "role": "owner"}),
            ("/p/shop/members/second-factor/", {"required": "yes"}),
        ):
            answer = browser.post(url, sent, headers=page)
            assert answer["Location"] == "/sign-in/again/?next=/p/shop/members/", url
        assert project.memberships.get(user=bob).role == Role.VIEWER
        assert not project.invitations.exists()
        before = browser.cookies["session"].value
        again = browser.post("/sign-in/again/", {"password": PASSWORD, "next": "/p/shop/members/"})
        assert again["Location"] == "/p/shop/members/"
        assert browser.cookies["session"].value != before, "a copied cookie is worth nothing now"
        assert not Session.objects.filter(session_key=before).exists()
        assert UserSession.objects.get().session_key == browser.cookies["session"].value
        browser.post(ROLE.format(pk), {"role": "owner"})
    assert project.memberships.get(user=bob).role == Role.OWNER


def test_a_person_is_asked_again_before_factors_and_address_are_changed(alice: User) -> None:
    browser = Client()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        browser.force_login(alice)
        clock.shift(timedelta(minutes=16))
        for path in ("/account/factors/app/", "/account/factors/passkeys/new/", "/account/factors/codes/new/"):
            assert browser.get(path)["Location"].startswith("/sign-in/again/"), path
        answer = browser.post("/account/address/", {"email": "new@example.com", "action_add": "1"})
        assert answer["Location"].startswith("/sign-in/again/")


@pytest.mark.parametrize("strong", [False, True])
def test_the_mark_of_a_second_factor_is_the_sessions_alone(strong: bool, admin: User) -> None:
    """Another person who signs in at the same browser inherits nothing."""
    browser = Client()
    sign_in_at(browser, admin, strong=strong)
    other = make_user("other", is_staff=True)
    browser.force_login(other)
    assert browser.get("/admin/")["Location"] == "/account/factors/"
