"""Ways around that somebody found who was looking for them. Each was open once."""

from datetime import timedelta

import pytest
import time_machine
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.accounts import limits
from securitygroups.accounts.backend import account_of
from securitygroups.accounts.views import verified
from securitygroups.firewall.texts import clean_lines, mended
from securitygroups.models import AccountEvent, Project, Role, User
from securitygroups.operations import By
from tests.accounts.test_account import code_of, set_up_app
from tests.effort import at_most
from tests.factories import NEW_PASSWORD, PASSWORD, make_user, sign_in_at


def an_hour_ago(browser: Client) -> None:
    session = browser.session
    for shown in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        shown["at"] -= 60 * 60
    session.save()


# ── Addresses ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("alike", ["mike@gıthub.example", "mıke@github.example", "mike@GİTHUB.example"])
def test_an_address_that_only_capitals_make_the_same_is_another(alike: str, db: None) -> None:
    mike = make_user("mike")
    User.objects.filter(pk=mike.pk).update(email="mike@github.example")
    mike.refresh_from_db()
    verified(mike)
    other = make_user("other")
    User.objects.filter(pk=other.pk).update(email=alike.lower())
    verified(other)
    assert account_of("MIKE@github.example") == mike
    assert account_of(alike) in (None, other)
    assert EmailAddress.objects.filter(user=mike, verified=True).exists()


@pytest.mark.parametrize(
    "address",
    ["a@exa\u202emple.com", "a@exa\u200bmple.com", "a@ex\u0430mple.com", "a@\uff45xample.com", "ä@example.com"],
)
def test_an_address_of_other_letters_than_it_seems_is_refused_everywhere(
    address: str, as_alice: Client, as_admin: Client, project: Project
) -> None:
    assert Client().post("/password/forgotten/", {"email": address}).status_code == 422
    assert as_alice.post("/account/address/", {"email": address, "action_add": "1"}).status_code == 422
    assert as_alice.post("/p/shop/members/", {"email": address, "role": "viewer"}).status_code == 422
    as_admin.post("/admin/securitygroups/user/add/", {"username": "x", "email": address})
    assert not User.objects.filter(username="x").exists()
    assert not project.invitations.exists()
    assert not mail.outbox


# ── Who was an owner, and is none any more ────────────────────────────────────


def test_who_was_removed_while_the_request_ran_changes_nothing(
    project: Project, alice: User, erin: User, bob: User
) -> None:
    members = {name: project.memberships.get(user__username=name) for name in ("alice", "erin", "bob")}
    operations.change_role(member=members["erin"], role=Role.OWNER, by=By(alice))
    invitation, _ = operations.invite(project=project, email="x@example.com", role=Role.OWNER, by=By(alice))
    operations.remove_member(member=members["alice"], by=By(erin))
    by = By(alice)
    for change in (
        lambda: operations.change_role(member=members["bob"], role=Role.OWNER, by=by),
        lambda: operations.remove_member(member=members["bob"], by=by),
        lambda: operations.invite(project=project, email="y@example.com", role=Role.OWNER, by=by),
        lambda: operations.withdraw_invitation(invitation=invitation, by=by),
        lambda: operations.require_second_factor(project=project, required=True, by=by),
    ):
        with pytest.raises(PermissionDenied):
            change()
    assert project.memberships.get(user=bob).role == Role.VIEWER
    assert not operations.running(invitation)


# ── Sessions that are weaker than the account ─────────────────────────────────


def test_a_session_without_the_factor_adds_and_removes_none(alice: User, as_alice: Client) -> None:
    Authenticator.objects.create(user=alice, type="totp", data={"secret": "x"})
    for path in ("/account/factors/app/", "/account/factors/passkeys/new/", "/account/factors/codes/new/"):
        assert as_alice.get(path)["Location"].startswith("/sign-in/again/code/"), path
    assert as_alice.post("/account/factors/app/remove/")["Location"].startswith("/sign-in/again/code/")
    assert Authenticator.objects.filter(user=alice).exists()


def test_who_has_nothing_to_be_asked_for_signs_in_anew(alice: User, bob: User, project: Project) -> None:
    alice.set_unusable_password()
    alice.save()
    member = project.memberships.get(user=bob)
    for method, path, sent in (
        ("post", f"/p/shop/members/{member.pk}/role/", {"role": "owner"}),
        ("post", "/account/address/", {"email": "x@example.com", "action_add": "1"}),
        ("get", "/account/factors/app/", {}),
    ):
        browser = Client()
        browser.force_login(alice)
        an_hour_ago(browser)
        assert getattr(browser, method)(path, sent)["Location"].startswith("/sign-in/?next="), path
        assert browser.get("/account/").status_code == 302
    member.refresh_from_db()
    assert member.role == Role.VIEWER


def test_who_is_switched_off_before_the_second_factor_does_not_come_in(alice: User, as_alice: Client) -> None:
    secret = set_up_app(as_alice)
    browser = Client()
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        browser.post("/sign-in/", {"login": "alice", "password": PASSWORD})
        User.objects.filter(pk=alice.pk).update(is_active=False)
        assert browser.post("/sign-in/second/", {"code": code_of(secret)})["Location"] == "/sign-in/"
        User.objects.filter(pk=alice.pk).update(is_active=True)
        assert browser.get("/account/").status_code == 302


def test_a_password_page_of_somebody_without_one_leads_to_the_link(alice: User) -> None:
    alice.set_unusable_password()
    alice.save()
    browser = Client()
    browser.force_login(alice)
    for answer in (browser.get("/password/"), browser.post("/password/", {})):
        assert answer["Location"] == "/password/forgotten/"


# ── Limits ────────────────────────────────────────────────────────────────────


def test_whoever_has_the_password_alone_does_not_keep_its_owner_out(alice: User, as_alice: Client) -> None:
    set_up_app(as_alice)
    codes = {
        Client(REMOTE_ADDR="198.51.100.7").post("/sign-in/", {"login": "alice", "password": PASSWORD}).status_code
        for _ in range(limits.SIGN_INS.burst + 5)
    }
    assert codes == {302, 429}
    answer = Client(REMOTE_ADDR="203.0.113.5").post("/sign-in/", {"login": "alice", "password": PASSWORD})
    assert answer["Location"] == "/sign-in/second/"


def test_an_account_that_is_switched_off_is_tried_as_seldom_as_any(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    codes = [Client().post("/sign-in/", {"login": "alice", "password": PASSWORD}).status_code for _ in range(8)]
    assert codes == [422] * 5 + [429] * 3


def test_changes_of_an_account_have_an_end(as_alice: Client, alice: User) -> None:
    codes = []
    for new, old in [(NEW_PASSWORD, PASSWORD), (PASSWORD, NEW_PASSWORD)] * 10:
        sent = {"oldpassword": old, "password1": new, "password2": new}
        codes.append(as_alice.post("/password/", sent).status_code)
    assert codes[-1] == 429
    assert AccountEvent.objects.filter(verb="password.changed").count() == limits.CHANGES.burst


# ── Slow texts ────────────────────────────────────────────────────────────────


def test_no_text_takes_long_to_judge(as_erin: Client, project: Project) -> None:
    towers, cascade = "a" + "\u0301\u0323" * 30_000, "a " + "\u0941\u200d" * 2_000
    with at_most(5):
        for text in (towers, cascade):
            assert as_erin.post("/p/shop/groups/new/", {"name": text, "description": text}).status_code == 422
        assert "\u200d" not in mended(cascade)
        assert "\u200d" not in clean_lines(cascade)
    assert not project.groups.exists()


# ── The administration ────────────────────────────────────────────────────────


def test_staff_change_no_membership_of_their_own(project: Project, alice: User) -> None:
    rights = ("change_project", "view_project", "change_membership", "view_membership", "add_membership")
    operator = make_user("operator", *rights, is_staff=True)
    operations.add_member(project=project, user=operator, role=Role.VIEWER, by=By(alice))
    browser = Client()
    sign_in_at(browser, operator)

    def page(of: User) -> str:
        return f"/admin/securitygroups/membership/{project.memberships.get(user=of).pk}/change/"

    assert browser.post(page(operator), {"role": "owner"}).status_code == 200
    assert project.memberships.get(user=operator).role == Role.VIEWER
    assert browser.post(page(alice), {"role": "owner"}).status_code in (200, 302)
    an_hour_ago(browser)
    answer = browser.post(page(alice), {"role": "viewer"})
    assert answer["Location"].startswith("/sign-in/again/"), "an unattended browser is not enough"
