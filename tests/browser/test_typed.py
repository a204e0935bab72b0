"""A session that ends in the middle of a form, and a stale tab: what was typed stays."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from securitygroups.models import Project, SecurityGroup, User
from tests.browser.conftest import Browse, Look, said, sign_in
from tests.browser.test_back_to_form import fill_in
from tests.browser.test_second_click import SCRIPTS, press
from tests.factories import PASSWORD

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def expected(trouble: list[str]) -> None:
    """htmx writes to the console of what it was refused; the page tells the person."""
    trouble[:] = [each for each in trouble if "401" not in each and "Status Error Code 403" not in each]


# ── A session that ends ───────────────────────────────────────────────────────


def test_a_live_preview_without_a_session_keeps_the_page_and_goes_on_after_signing_in_beside_it(
    browse: Browse, look: Look, alice: User, group: SecurityGroup, trouble: list[str]
) -> None:
    page = browse()
    sign_in(page, alice)
    fill_in(page, group)
    expect(page.locator("#preview")).to_contain_text("Newly allowed")
    Session.objects.all().delete()
    page.get_by_label("Start port").fill("2222")
    notice = page.locator(".message", has_text="You are signed out")
    expect(notice).to_be_visible()
    look(page, "a form whose session has ended")
    # Sent all the same, it stays.
    press(page, "Add Rule")
    expect(notice.get_by_role("link", name="Sign in in a new tab")).to_be_focused()
    with page.context.expect_page() as opened:
        notice.get_by_role("link", name="Sign in in a new tab").click()
    beside = opened.value
    beside.get_by_label("User name or e-mail address").fill("alice")
    beside.get_by_label("Password").fill(PASSWORD)
    press(beside, "Sign in")
    expect(beside.get_by_role("heading", name="You are signed in")).to_be_visible()
    beside.close()
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(notice).to_have_count(0)
    expect(page.get_by_label("Start port")).to_have_value("2222")
    expect(page.locator("#preview")).to_contain_text("TCP 2222")
    press(page, "Add Rule")
    expect(page.get_by_role("heading", name="web", level=1, exact=True)).to_be_visible()
    assert group.rules.filter(port_start=2222).count() == 1
    expected(trouble)


@SCRIPTS
def test_a_form_sent_after_the_session_ended_comes_back_after_signing_in(
    browse: Browse, look: Look, alice: User, group: SecurityGroup, script: bool, trouble: list[str]
) -> None:
    page = browse(script=script)
    if script:
        sign_in(page, alice)
    else:
        page.goto("/sign-in/")
        page.get_by_label("User name or e-mail address").fill("alice")
        page.get_by_label("Password").fill(PASSWORD)
        press(page, "Sign in")
    page.goto("/p/shop/groups/new/")
    page.get_by_label("Name", exact=True).fill("typed before")
    page.get_by_label("Description").fill("and not lost")
    if script:
        # No preview is under way or to come: it would find out first, and keep the page.
        page.get_by_label("Description").blur()
        page.wait_for_timeout(1000)
    Session.objects.all().delete()
    press(page, "Create Security Group")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("status", name="Messages")).to_contain_text("What you typed is kept")
    page.get_by_label("User name or e-mail address").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    expect(page.get_by_role("heading", name="What you typed is kept")).to_be_visible()
    if script:
        look(page, "what was typed is kept")
    assert not SecurityGroup.objects.filter(name="typed before").exists()
    press(page, "Back to the form")
    expect(page.get_by_label("Name", exact=True)).to_have_value("typed before")
    expect(page.get_by_label("Description")).to_have_value("and not lost")
    press(page, "Create Security Group")
    expect(page.get_by_role("heading", name="typed before", level=1)).to_be_visible()
    expected(trouble)


def test_after_an_hour_without_a_click_the_form_comes_back_with_what_was_typed(
    browse: Browse, alice: User, project: Project, trouble: list[str]
) -> None:
    page = browse()
    sign_in(page, alice)
    page.clock.install()
    page.goto("/p/shop/groups/new/")
    page.get_by_label("Name", exact=True).fill("long lunch")
    Session.objects.all().delete()
    page.clock.fast_forward("01:01:00")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("User name or e-mail address").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    expect(page.get_by_label("Name", exact=True)).to_have_value("long lunch")
    expected(trouble)


def test_nothing_typed_stays_in_the_tab_of_who_has_signed_out(
    browse: Browse, alice: User, group: SecurityGroup, trouble: list[str]
) -> None:
    page = browse()
    sign_in(page, alice)
    fill_in(page, group)
    page.goto("/p/shop/groups/new/")
    page.get_by_label("Name", exact=True).fill("secret plan")
    page.locator("summary.avatar").click()
    press(page, "Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    kept = page.evaluate("JSON.stringify(Object.entries(sessionStorage))")
    assert "For a day" not in kept
    assert "secret plan" not in kept
    expected(trouble)  # a preview that was on its way


# ── A stale tab ───────────────────────────────────────────────────────────────


def sign_out_and_in(page: Page, who: User) -> None:
    """In another tab of the same browser."""
    tab = page.context.new_page()
    tab.goto("/")
    with tab.expect_navigation():
        tab.evaluate("document.querySelector('form[action=\"/sign-out/\"]').submit()")
    sign_in(tab, who)
    tab.close()


def test_a_stale_tab_is_told_so_and_a_second_click_does_it(
    browse: Browse, alice: User, group: SecurityGroup, trouble: list[str]
) -> None:
    page = browse()
    sign_in(page, alice)
    page.goto(group.get_absolute_url())
    sign_out_and_in(page, alice)
    press(page, "Move rule 3 up")
    said(page, "This page was open for too long")
    assert [row.description for row in group.rules.in_order()][1] == "Public HTTPS"
    press(page, "Move rule 3 up")
    said(page, "Rule 3 moved to 2 of 5.")
    expected(trouble)


def test_a_stale_forms_preview_goes_on_by_itself_and_a_stale_form_comes_back_filled_in(
    browse: Browse, look: Look, alice: User, group: SecurityGroup, trouble: list[str]
) -> None:
    page = browse()
    sign_in(page, alice)
    fill_in(page, group)
    sign_out_and_in(page, alice)
    page.get_by_label("Start port").fill("2222")
    expect(page.locator("#preview")).to_contain_text("TCP 2222")
    expect(page.locator(".message.error")).to_have_count(0)
    expected(trouble)
    sign_out_and_in(page, alice)
    press(page, "Add Rule")
    expect(page.get_by_role("heading", name="This page was open for too long")).to_be_visible()
    look(page, "stale form")
    press(page, "Back to the form")
    expect(page.get_by_label("Start port")).to_have_value("2222")
    expect(page.get_by_label("Description")).to_have_value("For a day")
    expect(page.locator("#preview")).to_contain_text("TCP 2222")
    press(page, "Add Rule")
    expect(page.get_by_role("heading", name="web", level=1, exact=True)).to_be_visible()
    expected(trouble)


def test_what_one_person_typed_is_not_sent_as_another(
    browse: Browse, alice: User, erin: User, group: SecurityGroup, trouble: list[str]
) -> None:
    page = browse()
    sign_in(page, alice)
    fill_in(page, group)
    expect(page.locator("#preview")).to_contain_text("Newly allowed")
    sign_out_and_in(page, erin)
    press(page, "Add Rule")
    expect(page.get_by_role("heading", name="This page was open for too long")).to_be_visible()
    expect(page.get_by_role("button", name="Back to the form")).to_have_count(0)
    assert group.rules.count() == 5
    expected(trouble)


@pytest.mark.parametrize(("zone", "offered"), [("Asia/Calcutta", True), ("Etc/GMT-3", False), ("UTC", False)])
def test_a_zone_is_offered_only_where_it_can_be_chosen(
    browse: Browse, alice: User, project: Project, zone: str, offered: bool
) -> None:
    page = browse(alice)
    page.context.new_cdp_session(page).send("Emulation.setTimezoneOverride", {"timezoneId": zone})
    page.goto(project.get_absolute_url())
    offer = page.get_by_role("button", name="Use it")
    expect(offer).to_have_count(int(offered))
    if offered:
        offer.click()
        said(page, f"Times are shown in {zone} now.")
