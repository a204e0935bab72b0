"""A person's page in the admin, in a browser: the buttons beside its form."""

from allauth.mfa.models import Authenticator
from playwright.sync_api import expect

from securitygroups.models import Project, User
from tests.browser.conftest import Browse


def test_an_operator_sends_a_person_a_link_and_is_told_so(
    browse: Browse, admin: User, alice: User, project: Project, mailoutbox: list[object]
) -> None:
    Authenticator.objects.create(user=alice, type="totp", data={"secret": "s3cret"})
    page = browse(admin)

    page.goto(f"/admin/securitygroups/user/{alice.pk}/change/")
    page.get_by_role("button", name="Send a link to set a password").click()

    expect(page.get_by_text("A link to set a password was sent to alice@example.com.")).to_be_visible()
    expect(page.get_by_role("heading", name="alice", exact=True)).to_be_visible()
    page.get_by_role("button", name="Remove second factors").click()
    expect(page.get_by_text("alice has no second factor any more, and was signed out everywhere.")).to_be_visible()
    expect(page.get_by_role("button", name="Remove second factors")).not_to_be_visible()
    assert len(mailoutbox) == 2
