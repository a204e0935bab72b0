"""States that pages come into: refusals, questions, open menus, conflicts, errors."""

import re

import pytest
from playwright.sync_api import expect

from securitygroups import operations
from securitygroups.models import User
from securitygroups.operations import By
from tests.browser.conftest import Browse, Look
from tests.browser.stages import FULL, LONG, LONG_ADDRESS, crowded

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def test_every_state_is_sound_too(browse: Browse, look: Look) -> None:
    stage = crowded()
    page = browse(stage.cast["owner"])
    group, machine = stage.group.get_absolute_url(), stage.machine.get_absolute_url()

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click()

    # Fields that are wrong.
    page.goto(f"{group}rules/new/")
    page.get_by_label("Source IP Address").fill("10.0.0.5/24")
    page.get_by_label("Start port").fill("90")
    page.get_by_label("End port").fill("80")
    press("Add Rule")
    expect(page.get_by_role("alert")).to_be_focused()
    # It stands at the field, and is not said a third time.
    expect(page.locator("#preview")).to_have_text("What this changes is shown here once that is corrected.")
    look(page, "a rule that is refused")
    page.get_by_label("Source IP Address").fill("")
    page.get_by_label("Start port").fill("1")
    page.locator(".more > summary").click()
    page.get_by_label("Place in the list").fill("1")
    expect(page.locator("#preview")).to_contain_text("Newly allowed")
    look(page, "a preview")
    press("Add Rule")
    expect(page.locator("#confirm")).to_be_visible()
    look(page, "a question with alarms")
    page.goto(f"/p/{stage.project.slug}/groups/new/")
    press("Create Security Group")
    expect(page.get_by_role("alert")).to_be_focused()
    look(page, "a group that is refused")
    page.goto(f"/p/{stage.project.slug}/groups/import/")
    page.get_by_label("Or paste it").fill(f'{{"{LONG}": "{FULL}"}}')
    press("Check the file")
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "a file that is refused")
    page.goto(f"/p/{stage.project.slug}/members/")
    press("Send the invitation")
    expect(page.get_by_role("alert")).to_be_focused()
    look(page, "an invitation that is refused")

    # Questions that are not on a page of their own, and the things that open.
    page.goto(group)
    page.get_by_label("Select rule 1", exact=True).check()
    look(page, "rules that are chosen")
    press("More…")
    expect(page.locator("#confirm")).to_be_visible()
    look(page, "what to do with the chosen")
    page.goto(group)
    page.get_by_label("More for rule 2", exact=True).click()
    look(page, "the menu of a rule", within="details.menu[open]")
    page.get_by_role("link", name="Delete…").locator("visible=true").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "a question in a dialog")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "the shortcuts")
    page.keyboard.press("Escape")
    page.get_by_text("Project:").locator("..").click()
    look(page, "the projects", within=".header")
    page.goto(group)
    page.locator(".page-head summary").click()
    look(page, "what can be done with a group", within=".page-head")

    # Packets.
    ends = f"source={LONG_ADDRESS}&destination={LONG_ADDRESS}&test=1"
    for name, query in (
        ("accepted", f"direction=in&protocol=tcp&port=443&{ends}"),
        ("denied", f"direction=in&protocol=tcp&port=8080&{ends}"),
        ("refused", f"direction=in&protocol=tcp&port=x&{ends}"),
        ("not read", f"line={LONG}&read=1"),
    ):
        page.goto(f"{machine}test/?{query}")
        look(page, f"a packet that is {name}")

    # Somebody else was faster.
    page.goto(f"{group}rules/{stage.parameters['uid']}/")
    page.get_by_label("Description").fill(LONG)
    operations.commit_rules(
        group=stage.group, rules=operations.rules_at(stage.group, 1)[2:], base=3, by=By(stage.cast["owner"])
    )
    press("Save rule")
    expect(page.locator("#confirm")).to_contain_text("Nothing was written.")
    look(page, "a conflict")


def test_every_refusal_is_a_sound_page_in_words(
    browse: Browse, look: Look, trouble: list[str], bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browse(bob)
    for path, words in (
        ("/p/shop/groups/new/", "Ask an owner for the editor role."),
        ("/p/of-nobody/", "does not exist"),
        ("/help/?q=%00", "NUL"),
    ):
        page.goto(path)
        look(page, path)
        expect(page.locator("main")).to_contain_text(re.compile(f"{words}|.", re.DOTALL))
        assert page.get_by_role("heading", level=1).count() == 1
        expect(page.get_by_role("link", name="Go to your projects")).to_be_visible()

    # The form's token is gone, as after signing in anew in another tab.
    page.goto("/password/")
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("button", name="Change password")).to_have_count(0)
    look(page, "a form that is too old")

    # Too many guesses.
    nobody = browse()
    nobody.goto("/sign-in/")
    for guess in range(8):
        if not nobody.get_by_label("Password").count():
            break
        nobody.get_by_label("User name or e-mail address").fill("bob")
        nobody.get_by_label("Password").fill(f"guess {guess}")
        with nobody.expect_navigation():
            nobody.get_by_role("button", name="Sign in", exact=True).click()
        if guess == 0:
            look(nobody, "a password that is wrong")
    expect(nobody.get_by_label("Password")).to_have_count(0)
    look(nobody, "too many attempts")

    def broken(*arguments: object, **named: object) -> None:
        raise RuntimeError("broken for a test")

    monkeypatch.setattr("securitygroups.web.views.help.render", broken)
    page.goto("/help/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert any(problem.startswith("500 GET") for problem in trouble)
    trouble[:] = [problem for problem in trouble if "500" not in problem]
    look(page, "an error of the panel")
