"""The life of a person in the panel, from the mail that invites them to the day they leave. Real mail, real passkeys."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from securitygroups.models import AccountEvent, Membership, Project, User
from tests.accounts.test_account import code_of
from tests.browser.conftest import Browse, Look, said
from tests.factories import NEW_PASSWORD
from tests.mailbox import Mailbox

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

DORA = "dora@example.com"
FIRST = "gravel otter lantern"


def with_authenticator(page: Page) -> Page:
    """A device that keeps passkeys, and whose owner is there and puts a finger on it."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "automaticPresenceSimulation": True}
    can = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options | can})
    return page


def link_of(smtp: Mailbox, subject: str) -> str:
    """The path of the link in the newest mail to dora whose subject has these words."""
    found = [each for each in smtp.messages(to=DORA, wait=10) if subject in str(each["Subject"])]
    (link,) = re.findall(r"https?://\S+", found[-1].get_content())
    return str(urlsplit(link).path)


def sign_in(page: Page, password: str) -> None:
    page.goto("/sign-in/")
    page.get_by_label("User name or e-mail address").fill("dora")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_persons_life(
    browse: Browse, look: Look, project: Project, alice: User, smtp: Mailbox, live_server: LiveServer, settings: Any
) -> None:
    # Invited, by an owner who types an address
    owner = browse(alice)
    owner.goto("/p/shop/members/")
    owner.get_by_label("E-mail address").fill(DORA)
    owner.get_by_label("Role", exact=True).select_option("editor")
    owner.get_by_role("button", name="Send the invitation").click()
    said(owner, f"An invitation was sent to {DORA}.")
    look(owner, "members, with an invitation that waits")

    # Accepts, and sets a password
    laptop = with_authenticator(browse())
    laptop.goto(link_of(smtp, "Invitation to Shop"))
    look(laptop, "an invitation")
    laptop.get_by_role("button", name="Create your account").click()
    laptop.get_by_label("User name").fill("dora")
    laptop.get_by_label("Password", exact=True).fill(FIRST)
    laptop.get_by_label("Password, once more").fill(FIRST)
    look(laptop, "signing up")
    laptop.get_by_role("button", name="Create the account").click()
    expect(laptop.get_by_label("Account of dora")).to_be_visible()
    said(laptop, "Welcome to Shop.")

    # A passkey, then an authenticator app
    laptop.goto("/account/factors/")
    look(laptop, "no second factors")
    laptop.get_by_role("link", name="Add a passkey").click()
    look(laptop, "adding a passkey")
    laptop.get_by_role("button", name="Add the passkey").click()
    expect(laptop.get_by_role("heading", name="Recovery codes")).to_be_visible()
    look(laptop, "recovery codes")
    laptop.get_by_role("link", name="I have kept them").click()
    laptop.get_by_role("link", name="Set up an app").click()
    look(laptop, "setting up an app")
    secret = laptop.locator("#secret").inner_text()
    laptop.get_by_label("Code that the app shows").fill(code_of(secret))
    laptop.get_by_role("button", name="Turn it on").click()
    expect(laptop.get_by_role("heading", name="Second factors")).to_be_visible()
    look(laptop, "two second factors")
    for subject in ("passkey was added", "authenticator app was set up"):
        assert [each for each in smtp.messages(to=DORA, wait=10, least=3) if subject in str(each["Subject"])], subject

    # Signs in on a second machine, by password and passkey
    phone = with_authenticator(browse(width=360))
    sign_in(phone, FIRST)
    expect(phone.get_by_role("heading", name="Second factor")).to_be_visible()
    look(phone, "the second factor is asked")
    phone.set_viewport_size({"width": 360, "height": 900})
    # The code of the app was used a moment ago, and none is good twice: a recovery code is.
    codes = laptop.context.new_page()
    codes.goto("/account/factors/codes/new/")
    codes.get_by_role("button", name="Make new codes").click()
    code = codes.locator("#recovery-codes").inner_text().split()[0]
    phone.get_by_label("Code of your authenticator app").fill(code)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    expect(phone.get_by_label("Account of dora")).to_be_visible()

    # Signs out, and in with the passkey alone
    laptop.goto("/sign-out/")
    laptop.locator("main").get_by_role("button", name="Sign out").click()
    laptop.get_by_role("button", name="Sign in with a passkey").click()
    expect(laptop.get_by_label("Account of dora")).to_be_visible()

    # Sees both, and ends one
    laptop.goto("/account/sessions/")
    look(laptop, "sessions")
    laptop.set_viewport_size({"width": 1280, "height": 900})
    laptop.get_by_role("main").get_by_role("button", name="Sign out", exact=False).last.click()
    said(laptop, "Signed out")
    phone.reload()
    expect(phone.get_by_role("heading", name="Sign in")).to_be_visible()
    laptop.goto("/account/")
    look(laptop, "the account")

    # Forgets the password
    phone.get_by_role("link", name="Forgotten your password?").click()
    look(phone, "a forgotten password")
    phone.get_by_label("E-mail address of your account").fill(DORA)
    phone.get_by_role("button", name="Send the link").click()
    expect(phone.get_by_role("heading", name="Check your mail")).to_be_visible()
    phone.goto(link_of(smtp, "Choose a password"))
    look(phone, "choosing a password")
    phone.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
    phone.get_by_label("New password, once more").fill(NEW_PASSWORD)
    phone.get_by_role("button", name="Set the password").click()
    expect(phone.get_by_role("heading", name="Sign in")).to_be_visible()
    laptop.reload()
    expect(laptop.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(phone, NEW_PASSWORD)
    expect(phone.get_by_role("heading", name="Second factor")).to_be_visible()

    # Leaves
    laptop.get_by_role("button", name="Sign in with a passkey").click()
    expect(laptop.get_by_label("Account of dora")).to_be_visible()
    laptop.goto("/p/shop/members/")
    laptop.get_by_role("link", name="Leave…").click()
    laptop.get_by_role("button", name="Leave the project").click()
    said(laptop, "You left Shop.")
    assert not Membership.objects.filter(user__username="dora").exists()
    kinds = set(AccountEvent.objects.filter(user__username="dora").values_list("verb", flat=True))
    assert kinds >= {"account.made", "session.ended"}
