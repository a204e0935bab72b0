"""Going back from a question, or with the browser, brings a form as it was typed."""

import pytest
from playwright.sync_api import Page, expect

from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from tests.browser.conftest import Browse, Look, sign_in
from tests.browser.test_second_click import SCRIPTS, press

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def fill_in(page: Page, group: SecurityGroup) -> None:
    page.goto(f"{group.get_absolute_url()}rules/new/")
    page.get_by_label("Source IP Address").fill("0.0.0.0/0")
    page.get_by_label("Start port").fill("22")
    page.get_by_label("Description").fill("For a day")


def expect_filled_in(page: Page) -> None:
    expect(page.get_by_role("heading", name="Add Rule", level=1)).to_be_visible()
    expect(page.get_by_label("Source IP Address")).to_have_value("0.0.0.0/0")
    expect(page.get_by_label("Start port")).to_have_value("22")
    expect(page.get_by_label("Description")).to_have_value("For a day")


@SCRIPTS
def test_back_to_the_form_brings_a_rule_back_as_it_was_typed(
    browse: Browse, look: Look, alice: User, group: SecurityGroup, machine: VirtualMachine, script: bool
) -> None:
    page = browse(alice, script=script)
    fill_in(page, group)
    # Sent by its own button before any preview was seen.
    page.evaluate("document.querySelector('#rule-form').submit()") if script else press(page, "Add Rule")
    expect(page.get_by_role("heading", name="Change web?")).to_be_visible()
    if script:
        look(page, "question with a way back to the form")
    press(page, "Back to the form")
    expect_filled_in(page)
    expect(page.locator(".error-summary")).to_have_count(0)
    if script:
        expect(page.locator("#preview")).to_contain_text("Newly allowed")
    press(page, "Add Rule")
    press(page, "Change it all the same")
    expect(page.get_by_role("heading", name="web", level=1, exact=True)).to_be_visible()
    assert group.rules.count() == 6


def test_the_browsers_own_back_brings_the_form_back_and_an_empty_one_after_it_is_done(
    browse: Browse, alice: User, group: SecurityGroup, machine: VirtualMachine
) -> None:
    page = browse(alice)
    fill_in(page, group)
    with page.expect_navigation():
        page.evaluate("document.querySelector('#rule-form').requestSubmit()")
    # Asked or not: what is looked at here is the way back.
    page.goto(f"{group.get_absolute_url()}rules/new/?place=2")
    page.get_by_label("Source IP Address").fill("198.51.100.0/24")
    page.get_by_label("Start port").fill("8443")
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", name="web", level=1, exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Source IP Address")).to_have_value("198.51.100.0/24")
    expect(page.get_by_label("Start port")).to_have_value("8443")
    expect(page.locator("#preview")).to_contain_text("Newly allowed")
    press(page, "Add Rule")
    expect(page.get_by_role("heading", name="web", level=1, exact=True)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Add Rule", level=1)).to_be_visible()
    page.wait_for_timeout(500)
    expect(page.get_by_label("Start port")).to_have_value("")


# ── Back and forward ──────────────────────────────────────────────────────────


def test_a_page_that_the_browser_has_kept_is_drawn_anew_with_what_was_typed(
    browse: Browse, alice: User, project: Project
) -> None:
    page = browse(alice)
    page.goto("/p/shop/groups/")
    SecurityGroup(project=project, name="made meanwhile").save()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.get_by_role("link", name="made meanwhile", exact=True)).to_be_visible()
    page.goto("/p/shop/groups/new/")
    page.get_by_label("Name", exact=True).fill("half typed")
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.get_by_label("Name", exact=True)).to_have_value("half typed")


def test_after_a_commit_going_back_to_a_list_shows_it_as_it_is_now(
    browse: Browse, alice: User, group: SecurityGroup
) -> None:
    page = browse(alice)
    page.goto("/p/shop/groups/")
    page.goto("/p/shop/groups/new/")
    page.get_by_label("Name", exact=True).fill("brand new")
    press(page, "Create Security Group")
    expect(page.get_by_role("heading", name="brand new", level=1)).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("link", name="brand new", exact=True)).to_be_visible()


def test_a_form_that_is_opened_anew_is_empty_whatever_was_typed_into_it_before(
    browse: Browse, alice: User, group: SecurityGroup, machine: VirtualMachine
) -> None:
    page = browse(alice)
    fill_in(page, group)
    with page.expect_navigation():
        page.evaluate("document.querySelector('#rule-form').requestSubmit()")
    page.context.clear_cookies()
    page.goto("about:blank")
    sign_in(page, alice)
    page.goto(f"{group.get_absolute_url()}rules/new/")
    page.wait_for_timeout(500)
    expect(page.get_by_label("Start port")).to_have_value("")
