"""Support's day in the browser: from a pasted log line to a case, with the clicks counted, by mouse, keyboard and without script."""

import pytest
from playwright.sync_api import Locator, Page, expect

from securitygroups.models import SupportCase, User, VirtualMachine
from tests.browser.conftest import Browse, Look, said
from tests.browser.test_hands import tab_to

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

LINE = "kernel: DROP IN=eth0 OUT= SRC=198.51.100.7 DST=10.0.1.11 LEN=60 PROTO=TCP SPT=40022 DPT=22 SYN"


class Hands:
    """A person at a page whose clicks are counted; what is typed is no click."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.clicks = 0

    def press(self, target: Locator) -> None:
        target.click()
        self.clicks += 1

    def button(self, name: str) -> None:
        self.press(self.page.get_by_role("button", name=name, exact=True))


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_pasted_log_line_is_a_case_after_four_clicks(
    script: bool, browse: Browse, staff: User, machine: VirtualMachine
) -> None:
    page = browse(staff, script=script)
    hands = Hands(page)
    page.goto("/")
    expect(page.get_by_role("heading", name="Support desk", level=1)).to_be_visible()
    expect(page.get_by_label("Search all projects")).to_be_focused()

    page.get_by_label("Search all projects").fill(LINE)
    hands.button("Search")
    hands.press(page.get_by_role("link", name="Test it on web-1"))
    page.get_by_label("Reason").fill("They cannot reach SSH")
    page.get_by_label("Ticket").fill("T-17")
    hands.button("Open read-only")
    expect(page.locator(".verdict")).to_contain_text("Denied")
    hands.button("Open a case")

    expect(page.locator("main")).to_contain_text("Then: denied")
    assert hands.clicks == 4
    assert SupportCase.objects.get().ticket == "T-17"


def test_the_same_with_the_keyboard_alone(browse: Browse, staff: User, machine: VirtualMachine) -> None:
    page = browse(staff)
    keys = page.keyboard
    page.goto("/support/")
    keys.type(LINE)
    keys.press("Enter")
    tab_to(page, page.get_by_role("link", name="Test it on web-1"))
    keys.press("Enter")
    tab_to(page, page.get_by_label("Reason"))
    keys.type("They cannot reach SSH")
    tab_to(page, page.get_by_label("Ticket"))
    keys.type("T-17")
    keys.press("Enter")
    expect(page.locator(".verdict")).to_contain_text("Denied")
    tab_to(page, page.get_by_role("button", name="Open a case"))
    keys.press("Enter")
    expect(page.locator("main")).to_contain_text("Then: denied")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_case_gets_a_second_packet_and_is_taken_closed_and_left(
    script: bool, browse: Browse, look: Look, staff: User, machine: VirtualMachine
) -> None:
    page = browse(staff, script=script)
    hands = Hands(page)
    page.goto("/support/")
    page.get_by_label("Search all projects").fill(LINE)
    hands.button("Search")
    hands.press(page.get_by_role("link", name="Test it on web-1"))
    page.get_by_label("Reason").fill("They cannot reach SSH")
    page.get_by_label("Ticket").fill("T-17")
    hands.button("Open read-only")
    hands.button("Open a case")

    hands.press(page.get_by_role("link", name="Test again now"))
    page.get_by_label("Destination port").fill("443")
    page.get_by_label("Destination port").press("Enter")
    expect(page.locator(".verdict")).to_contain_text("443")
    if script:
        look(page, "packet test of support")
    page.get_by_role("button", name="Add to case-").click()
    packets = page.get_by_role("region", name="Packets")
    expect(packets.get_by_role("row")).to_have_count(3)
    packets.get_by_role("link", name="port 443").click()
    expect(page.locator(".verdict").first).to_contain_text("443")
    hands.button("Assign to me")
    expect(page.locator("main")).to_contain_text("taken by staff")
    page.get_by_text("Close this case…").click()
    if script:
        look(page, "case of support")
    page.get_by_label("How it ended").fill("Their office has another address")
    hands.button("Close the case")
    expect(page.locator("main")).to_contain_text("closed this case: Their office has another address")

    page.goto("/cases/?state=closed")
    expect(page.get_by_role("row", name="case-")).to_contain_text("Closed")
    page.get_by_role("row", name="case-").get_by_role("link").click()
    hands.button("Leave")
    expect(page.get_by_role("heading", name="Support desk", level=1)).to_be_visible()
    said(page, "You left Shop.") if script else expect(page.locator("body")).to_contain_text("You left Shop.")


def test_the_list_of_all_cases_is_narrowed_without_a_click_on_search(
    browse: Browse, look: Look, staff: User, machine: VirtualMachine
) -> None:
    page = browse(staff)
    page.goto("/cases/")
    expect(page.locator("#cases")).to_contain_text("Nothing waits here")
    look(page, "cases of all customers, none")
    page.get_by_label("State").select_option("Closed")
    page.wait_for_url("**state=closed**")
    page.get_by_label("Search cases").fill("T-1")
    expect(page.locator("#cases")).to_contain_text("Cases are found by their ID")
