"""Accounts in the admin: made, changed, switched off and helped, and no password of anybody is typed there."""

import re
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from allauth.account.forms import UserTokenForm
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client

from securitygroups import operations
from securitygroups.models import AccountEvent, Project, User
from securitygroups.operations import By
from tests.admin.pages import fresh, lines, refused, said, sent, url
from tests.factories import NEW_PASSWORD, PASSWORD, make_user

Verb = AccountEvent.Verb
LINK = re.compile(r"http://testserver/password/new/([0-9a-z]+)-(\S+)/")


def verbs() -> list[str]:
    return list(lines().order_by("pk").values_list("verb", flat=True))


def link_in(message: Any) -> tuple[str, str, str]:
    """The address, whose it is, and its key."""
    found = LINK.search(str(message.body))
    assert found
    return found.group(0), found.group(1), found.group(2)


def test_an_account_is_made_without_a_password_and_its_person_is_sent_a_link(as_admin: Client, admin: User) -> None:
    form = as_admin.get(url(User, "add")).context["adminform"].form
    assert not [name for name in form.fields if "password" in name]
    data = {"username": "New", "email": "New@example.com", "first_name": "N", "is_staff": "on"}

    response = as_admin.post(url(User, "add"), data | {"password1": PASSWORD, "password2": PASSWORD}, follow=True)

    person = User.objects.get(username="new")
    assert (person.email, person.is_staff, person.is_superuser) == ("new@example.com", True, False)
    assert not person.has_usable_password()
    assert "A link to set a password was sent to new@example.com." in said(response)
    (message,) = mail.outbox
    assert (message.to, "Your user name is new." in message.body) == (["new@example.com"], True)
    _, uid, key = link_in(message)
    assert UserTokenForm({"uidb36": uid, "key": key}).is_valid()
    assert "within 72 hours" in message.body
    assert verbs() == [Verb.ACCOUNT_MADE, Verb.RIGHTS_CHANGED, Verb.LINK_SENT]
    assert {(event.user, event.actor, event.address) for event in lines()} == {(person, admin, "127.0.0.1")}


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"username": "new"}, "This field is required."),
        ({"username": "new", "email": "ALICE@example.com"}, "Somebody already has this e-mail address."),
        ({"username": "Alice", "email": "new@example.com"}, "Somebody already has this user name"),
        ({"username": "", "email": "new@example.com"}, "This field is required."),
    ],
)
def test_an_account_that_cannot_be_is_refused_in_the_form(
    as_admin: Client, alice: User, about: dict[str, str], words: str
) -> None:
    response = as_admin.post(url(User, "add"), about)

    assert (response.status_code, words in refused(response)) == (200, True)
    assert (User.objects.count(), mail.outbox, verbs()) == (2, [], [])


def test_whoever_has_an_account_is_sent_a_link_to_set_another_password(
    as_admin: Client, admin: User, alice: User
) -> None:
    page = as_admin.get(url(User, "change", alice.pk)).content.decode()
    address = f"/admin/securitygroups/user/{alice.pk}/link/"
    assert f'action="{address}"' in page

    response = as_admin.post(address, follow=True)

    assert response.redirect_chain == [(url(User, "change", alice.pk), 302)]
    (message,) = mail.outbox
    assert message.to == ["alice@example.com"]
    assert "Your present password works until then" in message.body
    assert "alice" in message.body
    link, uid, key = link_in(message)
    assert Client().get(link).status_code == 302
    event = lines().get()
    assert (event.verb, event.user, event.actor, event.detail) == (Verb.LINK_SENT, alice, admin, {})
    assert key not in page
    assert LogEntry.objects.get().change_message == "Sent a link to set a password."
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)
    operations.change_person(person=alice, about={"email": "new@example.com"}, by=By(admin, staff=True))
    assert not UserTokenForm({"uidb36": uid, "key": key}).is_valid()


def test_who_was_sent_a_first_link_chooses_a_password_and_is_in(as_admin: Client) -> None:
    as_admin.post(url(User, "add"), {"username": "new", "email": "new@example.com"})
    link, _, _ = link_in(mail.outbox[0])
    browser = Client()

    form = browser.get(link)["Location"]
    assert browser.get(form).status_code == 200
    assert browser.post(form, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}).status_code == 302

    person = User.objects.get(username="new")
    assert (person.check_password(NEW_PASSWORD), person.must_change_password) == (True, False)
    other = Client()
    assert other.post("/sign-in/", {"login": "new", "password": NEW_PASSWORD}).status_code == 302
    assert other.get("/help/").status_code == 200
    assert Client().post(link, {"password1": PASSWORD, "password2": PASSWORD}).status_code == 410
    assert User.objects.get(username="new").check_password(NEW_PASSWORD)


@pytest.mark.parametrize("name", ["link", "factors"])
def test_nothing_is_done_to_a_person_by_opening_an_address(as_admin: Client, alice: User, name: str) -> None:
    assert as_admin.get(f"/admin/securitygroups/user/{alice.pk}/{name}/").status_code == 405
    assert as_admin.post(f"/admin/securitygroups/user/{2**40}/{name}/").status_code == 404
    assert Client().post(f"/admin/securitygroups/user/{alice.pk}/{name}/").status_code == 302
    as_staff = fresh(make_user("looker", "view_user", is_staff=True))
    assert as_staff.post(f"/admin/securitygroups/user/{alice.pk}/{name}/").status_code == 403
    without = fresh(make_user("without", is_staff=True))
    for key in (alice.pk, 2**40):
        assert without.post(f"/admin/securitygroups/user/{key}/{name}/").status_code == 403
    assert (mail.outbox, verbs()) == ([], [])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"is_active": False}, "alice is switched off: nothing was sent."),
        ({"email": ""}, "alice has no e-mail address"),
    ],
)
def test_a_link_that_cannot_be_used_or_sent_is_not_sent(
    as_admin: Client, alice: User, fields: dict[str, Any], words: str
) -> None:
    User.objects.filter(pk=alice.pk).update(**fields)

    response = as_admin.post(f"/admin/securitygroups/user/{alice.pk}/link/", follow=True)

    assert words in said(response)[0]
    assert (mail.outbox, verbs()) == ([], [])


def test_a_mail_that_cannot_be_sent_takes_the_account_not_back_and_is_told(
    as_admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise SMTPServerDisconnected("gone")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", broken)

    response = as_admin.post(url(User, "add"), {"username": "new", "email": "new@example.com"}, follow=True)

    assert "The link for new could not be sent. Send it again from the person's page." in said(response)
    assert User.objects.filter(username="new").exists()
    assert verbs() == [Verb.ACCOUNT_MADE]


def test_nobody_types_a_password_for_another_person(as_admin: Client, admin: User, alice: User) -> None:
    typed = {"password1": "another horse entirely", "password2": "another horse entirely", "set-password": "Set"}
    for person in (alice, admin):
        address = f"/admin/securitygroups/user/{person.pk}/password/"
        for response in (as_admin.get(address), as_admin.post(address, typed | {"usable_password": "true"})):
            assert response.status_code == 404
        person.refresh_from_db()
        assert person.check_password(PASSWORD)
    assert "/password/" not in as_admin.get(url(User, "change", alice.pk)).content.decode().replace(
        "password_change", ""
    )


def test_a_change_in_the_form_is_written_and_on_record(as_admin: Client, alice: User) -> None:
    address = url(User, "change", alice.pk)
    data = sent(as_admin, address)

    assert as_admin.post(address, data).status_code == 302
    assert verbs() == []
    assert as_admin.post(address, data | {"first_name": "A", "email": "new@example.com"}).status_code == 302

    alice.refresh_from_db()
    assert (alice.first_name, alice.email, alice.check_password(PASSWORD)) == ("A", "new@example.com", True)
    assert verbs() == [Verb.ADDRESS_CHANGED, Verb.ACCOUNT_CHANGED]


def test_the_last_owner_is_not_switched_off(as_admin: Client, project: Project, alice: User, bob: User) -> None:
    address = url(User, "change", alice.pk)
    data = {name: value for name, value in sent(as_admin, address).items() if name != "is_active"}

    response = as_admin.post(address, data)

    assert "last owner of Shop: make somebody else an owner" in refused(response)
    alice.refresh_from_db()
    assert alice.is_active
    operations.add_member(project=project, user=make_user("dora"), role="owner", by=By(alice))
    assert as_admin.post(address, data).status_code == 302
    alice.refresh_from_db()
    assert not alice.is_active
    assert lines().get().detail == {"before": {"is_active": True}, "after": {"is_active": False}}


def test_who_is_switched_off_in_the_form_is_signed_out(as_admin: Client, alice: User) -> None:
    browser = Client()
    browser.post("/sign-in/", {"login": "alice", "password": PASSWORD})
    assert browser.get("/help/").status_code == 200
    address = url(User, "change", alice.pk)
    data = {name: value for name, value in sent(as_admin, address).items() if name != "is_active"}

    as_admin.post(address, data)
    as_admin.post(address, data | {"is_active": "on"})

    assert browser.get("/help/").status_code == 302


def test_somebody_who_lost_the_second_factors_is_helped(as_admin: Client, admin: User, alice: User) -> None:
    Authenticator.objects.create(user=alice, type="totp", data={"secret": "s3cret"})
    page = as_admin.get(url(User, "change", alice.pk)).content.decode()
    assert "s3cret" not in page
    assert "TOTP" in page
    address = f"/admin/securitygroups/user/{alice.pk}/factors/"

    assert "signed out everywhere" in said(as_admin.post(address, follow=True))[0]
    assert "no second factor" in said(as_admin.post(address, follow=True))[0]

    assert not Authenticator.objects.exists()
    assert verbs() == [Verb.FACTOR_REMOVED]
    Authenticator.objects.create(user=admin, type="totp", data={"secret": "s3cret"})
    assert as_admin.post(f"/admin/securitygroups/user/{admin.pk}/factors/").status_code == 403
    assert f"/user/{admin.pk}/factors/" not in as_admin.get(url(User, "change", admin.pk)).content.decode()


def test_people_are_switched_off_and_never_deleted(as_admin: Client, project: Project, alice: User) -> None:
    lonely = make_user("lonely")

    for person in (alice, lonely):
        assert as_admin.post(url(User, "delete", person.pk), {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": [person.pk], "post": "yes"}
        as_admin.post(url(User), chosen)

    assert set(User.objects.values_list("username", flat=True)) == {"alice", "lonely", "admin"}
    assert project.memberships.get().user == alice
