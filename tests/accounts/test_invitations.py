"""A person becomes a member by accepting what was mailed to them, and in no other way."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from securitygroups import operations
from securitygroups.models import Invitation, Membership, Project, Role, User
from securitygroups.operations import By
from tests.accounts.mails import last_to, link_in, subjects
from tests.conftest import SignIn
from tests.factories import NEW_PASSWORD, make_user
from tests.web.pages import Page, messages

MEMBERS = "/p/shop/members/"


@pytest.fixture
def commit(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> Any:
    """What is sent after a commit is sent in the test's transaction too."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture
def send(as_alice: Client, commit: Any, project: Project) -> Any:
    """alice invites an address, on the page; gives the path of the link that was mailed."""

    def invite(email: str, role: str = "editor") -> str:
        with commit():
            form = Page(as_alice.get(MEMBERS)).form_with("email")
            assert form.send(as_alice, email=email, role=role).status_code == 302
        return link_in(last_to(email.lower()))

    return invite


def is_member(user: User, project: Project) -> bool:
    return Membership.objects.filter(user=user, project=project).exists()


def test_whoever_has_an_account_joins_with_one_click(
    send: Any, as_charlie: Client, charlie: User, project: Project, commit: Any
) -> None:
    link = send("charlie@example.com")
    assert not is_member(charlie, project), "before anybody accepted"
    page = Page(as_charlie.get(link))
    assert "alice invites charlie@example.com" in page.text
    with commit():
        assert page.forms[-1].send(as_charlie)["Location"] == "/p/shop/"
    assert project.memberships.get(user=charlie).role == Role.EDITOR
    assert subjects("alice@example.com") == ["[karenpanel] charlie joined Shop"]
    assert not Invitation.objects.exists()
    assert as_charlie.get(link).status_code == 404, "once"


def test_a_new_person_makes_an_account_and_is_a_member_at_once(send: Any, client: Client, project: Project) -> None:
    link = send("dora@example.com", "viewer")
    assert client.post(link)["Location"] == "/sign-up/"
    page = client.get("/sign-up/")
    assert re.search(r'name="username"[^>]* autofocus', page.content.decode())
    form = Page(page).form_with("username")
    sent = {"username": "dora", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "email": "other@example.com"}
    assert form.send(client, **sent)["Location"] == "/p/shop/"
    dora = User.objects.get(username="dora")
    assert (dora.email, dora.must_change_password, dora.is_staff) == ("dora@example.com", False, False)
    assert EmailAddress.objects.get(user=dora).verified
    assert project.memberships.get(user=dora).role == Role.VIEWER
    assert "Joined as viewer. dora ·" in Page(client.get("/p/shop/")).text, "once by name"
    assert dora.account_events.filter(verb="account.made").count() == 1


def test_the_mail_tells_the_day_as_the_page_does(send: Any, commit: Any) -> None:
    send("dora@example.com")
    invitation = Invitation.objects.get()
    invitation.until = datetime(2026, 12, 3, 9, 54, tzinfo=UTC)

    with commit():
        operations.send_invitation(invitation, "https://panel/")

    assert "used once, until 3 December 2026, 09:54 UTC:" in last_to("dora@example.com").body


def test_who_invites_learns_nothing_about_the_address(
    as_alice: Client, project: Project, charlie: User, bob: User, commit: Any
) -> None:
    """Of a stranger, a member, somebody switched off and nobody at all."""
    make_user("gone", is_active=False)
    said, pages = set(), set()
    for name in ("charlie", "bob", "gone", "nobody"):
        with commit():
            answer = as_alice.post(MEMBERS, {"email": f"{name}@example.com", "role": "viewer"})
        said.add(messages(as_alice).replace(name, "NAME"))
        pages.add((answer.status_code, answer["Location"]))
    assert len(said) == len(pages) == 1
    assert len({message.body.split("http")[0] for message in mail.outbox}) == 1


def test_a_link_is_of_no_use_to_another_account(send: Any, as_charlie: Client, charlie: User, project: Project) -> None:
    link = send("dora@example.com", "owner")
    page = as_charlie.post(link)
    assert page.status_code == 403
    assert "You are signed in as charlie" in Page(page).text
    assert not is_member(charlie, project)


def test_an_invitation_ends_by_the_clock(send: Any, as_charlie: Client, charlie: User, project: Project) -> None:
    link = send("charlie@example.com")
    with time_machine.travel(timezone.now() + timedelta(days=operations.INVITATION_DAYS, minutes=1)):
        as_charlie.force_login(charlie)
        assert as_charlie.get(link).status_code == as_charlie.post(link).status_code == 410
    assert not is_member(charlie, project)


@pytest.mark.parametrize("how", ["removed", "demoted", "switched off"])
def test_what_somebody_sent_who_may_not_invite_any_more_leads_nowhere(
    how: str, send: Any, as_charlie: Client, charlie: User, project: Project, alice: User, erin: User
) -> None:
    link = send("charlie@example.com", "owner")
    operations.change_role(member=project.memberships.get(user=erin), role=Role.OWNER, by=By(alice))
    mine = project.memberships.get(user=alice)
    if how == "removed":
        operations.remove_member(member=mine, by=By(erin))
    elif how == "demoted":
        operations.change_role(member=mine, role=Role.EDITOR, by=By(erin))
    else:
        User.objects.filter(pk=alice.pk).update(is_active=False)
    assert as_charlie.post(link).status_code == 410
    assert not is_member(charlie, project)


def test_an_invitation_can_be_withdrawn(
    send: Any, as_alice: Client, as_charlie: Client, charlie: User, project: Project
) -> None:
    link = send("charlie@example.com")
    page = Page(as_alice.get(MEMBERS))
    (form,) = [form for form in page.forms if "/invitations/" in form.action]
    assert form.send(as_alice).status_code == 302
    assert as_charlie.post(link).status_code == 404
    assert "Withdrew the invitation of charlie@example.com." in Page(as_alice.get("/p/shop/activity/")).text


def test_inviting_again_makes_the_first_link_worthless(send: Any, as_charlie: Client, project: Project) -> None:
    first, second = send("charlie@example.com", "owner"), send("Charlie@Example.com", "viewer")
    assert as_charlie.post(first).status_code == 404
    assert as_charlie.post(second).status_code == 302
    assert project.memberships.get(user__username="charlie").role == Role.VIEWER


def test_a_member_who_accepts_keeps_the_role(send: Any, sign_in: SignIn, bob: User, project: Project) -> None:
    assert sign_in(bob).post(send("bob@example.com", "owner")).status_code == 302
    assert project.memberships.get(user=bob).role == Role.VIEWER


def test_only_owners_see_who_was_invited(send: Any, as_erin: Client, as_bob: Client) -> None:
    send("charlie@example.com")
    for browser in (as_erin, as_bob):
        assert "charlie@example.com" not in browser.get(MEMBERS).content.decode()


@pytest.mark.parametrize(
    "email", ["", "charlie", "a@b", "x" * 250 + "@example.com", "a@example.com\nBcc: b@example.com", "a@b@c.d", "%"]
)
def test_what_is_no_address_is_told_at_its_field(email: str, as_alice: Client, project: Project) -> None:
    response = as_alice.post(MEMBERS, {"email": email, "role": "viewer"})
    assert response.status_code == 422
    assert "email" in Page(response).errors
    assert not mail.outbox
    assert not project.invitations.exists()


def test_the_secret_is_kept_nowhere(send: Any) -> None:
    secret = send("charlie@example.com").split("/")[-2]
    assert secret not in str(list(Invitation.objects.values_list()))
    assert len(secret) == 43


def test_a_project_has_a_bound_of_open_invitations(
    settings: Any, as_alice: Client, project: Project, send: Any
) -> None:
    settings.MAX_INVITATIONS_PER_PROJECT = 1
    send("charlie@example.com")
    response = as_alice.post(MEMBERS, {"email": "dora@example.com", "role": "viewer"})
    assert response.status_code == 422
    assert "1 open invitations already" in Page(response).text
    send("charlie@example.com")


def test_a_person_cannot_send_mails_without_end(as_alice: Client, project: Project) -> None:
    codes = [as_alice.post(MEMBERS, {"email": f"p{n}@example.com", "role": "viewer"}).status_code for n in range(32)]
    assert codes == [302] * 30 + [422] * 2


def test_a_secret_that_was_made_up_finds_nothing(as_charlie: Client, client: Client, project: Project) -> None:
    for browser in (as_charlie, client):
        assert browser.get("/invitation/" + "a" * 43 + "/").status_code == 404
        assert browser.post("/invitation/" + "a" * 43 + "/").status_code == 404


def test_somebody_with_an_account_is_asked_to_sign_in_first(send: Any, client: Client, charlie: User) -> None:
    link = send("charlie@example.com")
    page = client.get(link).content.decode()
    assert f"/sign-in/?next={link}" in page
    # Making a second account of that address does not work either.
    client.post(link)
    sent = {"username": "charlie2", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post("/sign-up/", sent)
    assert not User.objects.filter(username="charlie2").exists()
