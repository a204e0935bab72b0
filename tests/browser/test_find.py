"""Find over any page: opened by key or click, moved through by the arrows, and a page of its own without script."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from securitygroups.models import User, VirtualMachine
from tests.browser.conftest import PHONE, Browse, Look

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def field(page: Page) -> None:
    expect(page.get_by_role("combobox", name="Find")).to_be_focused()


def chosen(page: Page, words: str) -> None:
    expect(page.locator("#palette-list [aria-selected=true]")).to_contain_text(words)
    marked = page.locator("#palette-list [aria-selected=true]").get_attribute("id")
    expect(page.get_by_role("combobox", name="Find")).to_have_attribute("aria-activedescendant", marked or "")


def test_find_by_keys_alone(browse: Browse, look: Look, alice: User, machine: VirtualMachine) -> None:
    page = browse(alice)
    keys = page.keyboard
    page.goto("/p/shop/activity/")
    keys.press("Control+k")
    field(page)
    chosen(page, "Overview")
    look(page, "Find before anything is typed", within="#palette")
    keys.type("web")
    chosen(page, "web")
    look(page, "Find with what it found", within="#palette")
    page.set_viewport_size({"width": 1280, "height": 900})
    keys.press("ArrowDown")
    chosen(page, "web-1")
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1, name="web", exact=True)).to_be_visible()

    # "/" is the same, but a letter where somebody types.
    keys.press("/")
    field(page)
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/p/shop/groups/new/")
    page.get_by_role("textbox", name="Name").fill("")
    keys.type("a/b")
    expect(page.get_by_role("textbox", name="Name")).to_have_value("a/b")
    keys.press("Control+k")
    field(page)

    # A pasted line leads to its test.
    keys.insert_text("tcp 203.0.113.9 > 10.0.1.11:22")
    chosen(page, "Test this packet")
    keys.press("Enter")
    expect(page.get_by_label("Source IP Address")).to_have_value("203.0.113.9")
    expect(page.get_by_label("Destination port")).to_have_value("22")


def test_enter_means_what_is_typed_however_late_the_answer_is(
    browse: Browse, alice: User, machine: VirtualMachine
) -> None:
    page = browse(alice)
    page.goto("/p/shop/")

    def late(route: Route) -> None:
        page.wait_for_timeout(700)
        route.continue_()

    page.get_by_role("link", name="Find", exact=False).first.click()
    field(page)
    chosen(page, "Overview")
    page.route(re.compile("find/.*q=web-1"), late)
    page.keyboard.type("web-1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="web-1")).to_be_visible()


def test_single_keys_can_be_switched_off_and_ctrl_k_stays(browse: Browse, alice: User, machine: VirtualMachine) -> None:
    page = browse(alice)
    page.goto("/p/shop/")
    page.keyboard.press("?")
    page.get_by_label("Use single-key shortcuts in this browser").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+k")
    field(page)


def test_without_script_it_is_a_page(browse: Browse, alice: User, machine: VirtualMachine) -> None:
    page = browse(alice, script=False, width=PHONE)
    page.goto("/p/shop/machines/")
    page.get_by_role("link", name="Find").first.click()
    page.get_by_role("searchbox", name="Find").fill("web-1")
    page.get_by_role("button", name="Find").click()
    page.locator("main").get_by_role("link", name="web-1 10.0.1.11").click()
    expect(page.get_by_role("heading", level=1, name="web-1")).to_be_visible()


def test_the_vm_s_address_follows_the_direction_at_once(browse: Browse, alice: User, machine: VirtualMachine) -> None:
    page = browse(alice)
    page.goto(f"{machine.get_absolute_url()}test/")
    expect(page.get_by_label("Destination IP Address")).to_have_value("10.0.1.11")
    page.get_by_label("Source IP Address").fill("192.0.2.1")
    page.get_by_label("Destination port").fill("25")
    page.get_by_label("Out", exact=True).check()
    expect(page.get_by_label("Source IP Address")).to_have_value("10.0.1.11")
    expect(page.get_by_label("Destination IP Address")).to_have_value("192.0.2.1")
    expect(page.get_by_label("Destination port")).to_have_value("25")
    expect(page.get_by_label("Out", exact=True)).to_be_focused()
