"""API tokens with hands: a token is made, copied and revoked by the keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from securitygroups import operations
from securitygroups.access import token_by
from securitygroups.models import ApiToken, Project, User
from tests.browser.conftest import Browse, Look, said
from tests.browser.test_second_click import SCRIPTS
from tests.factories import make_token

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(({ activeElement: at }) => (at.labels?.[0] ?? at).textContent.replace(/\\s+/g, ' ').trim())(document)"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"Tab does not lead to {name}")


def secret_of(page: Page) -> str:
    secret = page.get_by_label("Secret of nightly").input_value()
    assert secret.startswith("kp_")
    return secret


@SCRIPTS
def test_a_token_is_made_tried_and_revoked_by_the_keyboard_alone(
    browse: Browse, alice: User, project: Project, script: bool
) -> None:
    page = browse(alice, script=script)
    page.goto("/p/shop/tokens/")
    page.get_by_role("link", name="Make Token").press("Enter")
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("nightly")
    tab_to(page, "Read")
    page.keyboard.press("Space")
    tab_to(page, "From where")
    page.keyboard.type("127.0.0.0/8")
    tab_to(page, "90 days")
    page.keyboard.press("ArrowUp")
    tab_to(page, "Make Token")
    page.keyboard.press("Enter")

    # The field has the focus: it is selected and copied as any text is.
    expect(page.get_by_label("Secret of nightly")).to_be_focused()
    secret = secret_of(page)
    page.keyboard.press("Control+a")
    assert page.evaluate("(({ activeElement: at }) => at.selectionEnd - at.selectionStart)(document)") == len(secret)
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible(visible=script)
    token = token_by(operations.digest_of(secret))
    assert token is not None
    assert (token.name, token.scopes, token.networks) == ("nightly", ["read"], ["127.0.0.0/8"])
    tab_to(page, "I have kept it")
    page.keyboard.press("Enter")

    expect(page.get_by_role("row", name="nightly")).to_contain_text(f"ends in {token.ending}")
    tab_to(page, "Revoke…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Revoke nightly?")).to_be_visible()
    tab_to(page, "Revoke token")
    page.keyboard.press("Enter")
    said(page, "The token “nightly” opens nothing any more.")
    assert token_by(operations.digest_of(secret)) is None


def test_the_secret_is_copied_with_one_press(browse: Browse, alice: User, project: Project) -> None:
    page = browse(alice)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    make(page)
    secret = secret_of(page)

    page.get_by_role("button", name="Copy", exact=True).press("Enter")
    expect(page.locator("#voice, [aria-live]").filter(has_text="Copied").first).to_be_attached()
    assert page.evaluate("navigator.clipboard.readText()") == secret

    page.get_by_role("button", name="Copy the command").press("Enter")
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.startsWith('curl'))")
    assert page.evaluate("navigator.clipboard.readText()").startswith(f'curl -H "Authorization: Bearer {secret}" http')


def make(page: Page) -> None:
    page.goto("/account/tokens/new/")
    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_role("checkbox", name="Read").check()
    page.get_by_role("button", name="Make Token").click()
    expect(page.get_by_label("Secret of nightly")).to_be_visible()


def test_the_back_button_does_not_bring_the_secret_again(browse: Browse, alice: User, project: Project) -> None:
    page = browse(alice)
    make(page)
    secret = secret_of(page)
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()

    page.evaluate("history.back()")
    page.wait_for_timeout(1_000)

    assert secret not in page.content()
    assert ApiToken.objects.count() == 1
    # What was typed is kept in the tab for who goes back to a form; the secret was typed by nobody.
    page.goto("/account/tokens/")
    assert "kp_" not in page.evaluate("JSON.stringify({ ...sessionStorage, ...localStorage })")


def test_the_pages_of_tokens_are_sound(browse: Browse, look: Look, alice: User, project: Project) -> None:
    page = browse(alice)
    make_token(
        alice, "read", "write", "unasked", of=project, name="deployment of the shop", networks=["203.0.113.0/24"]
    )
    operations.revoke_token(token=make_token(alice, of=project, name="lost"), by=operations.By(alice))
    page.goto("/p/shop/tokens/")
    look(page, "tokens")
    page.goto("/account/tokens/new/")
    page.get_by_role("button", name="Make Token").click()
    expect(page.get_by_role("alert")).to_contain_text("What it may do: Tick what the program needs, and no more.")
    look(page, "token form with faults")
    make(page)
    look(page, "made")
