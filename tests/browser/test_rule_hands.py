"""How many clicks and keys the daily work with rules takes, and that Enter does the same whenever it is pressed."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from securitygroups.models import Project, SecurityGroup, User
from tests.browser.conftest import Browse, Look, let_go, said
from tests.factories import make_group, make_machine, ports

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def five(project: Project) -> SecurityGroup:
    """TCP 1 to 5, on a VM."""
    group = make_group(project, "five", ports(1, 2, 3, 4, 5))
    make_machine(project, "vm", [group], ipv4="10.9.0.1")
    return group


def focused(page: Page) -> str:
    found: str = page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.id")
    return found


def started(group: SecurityGroup) -> list[int | None]:
    return list(group.rules.in_order().values_list("port_start", flat=True))


def test_each_further_rule_is_one_click_and_what_is_typed(browse: Browse, alice: User, five: SecurityGroup) -> None:
    page = browse(alice)
    page.goto(f"{five.get_absolute_url()}rules/new/")
    for nth, port in ((6, "81"), (7, "82")):
        expect(page.get_by_label("Source IP Address")).to_be_focused()  # no key and no click away
        page.keyboard.type("198.51.100.0/24")
        page.keyboard.press("Tab")  # My IP
        page.keyboard.press("Tab")
        page.keyboard.type(port)
        page.get_by_role("button", name="Add another").click()
        said(page, f"Rule {nth} was added.")
    assert started(five)[-2:] == [81, 82]


def test_several_rules_are_counted_on_the_button_and_pasted_lines_stay_apart(
    browse: Browse, alice: User, five: SecurityGroup
) -> None:
    page = browse(alice)
    page.goto(f"{five.get_absolute_url()}rules/new/")
    paste = "const t = new DataTransfer(); t.setData('text', '198.51.100.7\\n203.0.113.0/24\\n');"
    page.evaluate(
        f"{paste} document.activeElement.dispatchEvent("
        "new ClipboardEvent('paste', {clipboardData: t, bubbles: true, cancelable: true}))"
    )
    expect(page.get_by_label("Source IP Address")).to_have_value("198.51.100.7, 203.0.113.0/24")
    page.get_by_label("Start port").fill("22,80")
    page.get_by_role("button", name="Add 4 rules", exact=True).click()
    expect(page.locator("[data-row]")).to_have_count(9)
    assert started(five)[5:] == [22, 80, 22, 80]


@pytest.mark.parametrize("quick", [True, False])
def test_enter_commits_whether_the_preview_is_there_or_on_its_way(
    quick: bool, browse: Browse, alice: User, five: SecurityGroup
) -> None:
    page = browse(alice)
    page.goto(f"{five.get_absolute_url()}rules/new/")

    def slowly(route: Route) -> None:
        if "preview=1" in (route.request.post_data or ""):
            page.wait_for_timeout(600)
        route.continue_()

    page.route("**/rules/new/", slowly)
    page.keyboard.type("198.51.100.0/24")
    page.get_by_label("Start port").fill("8443")
    if not quick:
        expect(page.locator("#preview")).to_contain_text("Newly allowed: inbound TCP 8443")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row]")).to_have_count(6)
    assert started(five)[-1] == 8443


def test_a_button_pressed_while_the_preview_is_there_asks_for_no_other(
    browse: Browse, alice: User, five: SecurityGroup
) -> None:
    page = browse(alice)
    page.goto(f"{five.get_absolute_url()}rules/new/")
    page.get_by_label("Start port").fill("8443")
    expect(page.locator("#preview")).to_contain_text("Newly allowed: inbound TCP 8443")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.get_by_role("button", name="Add Rule", exact=True).click()
    expect(page.locator("[data-row]")).to_have_count(6)
    assert not [body for body in sent if "preview=1" in body]


def test_a_rule_is_switched_off_and_on_by_one_click_each(browse: Browse, alice: User, project: Project) -> None:
    page = browse(alice)
    free = make_group(project, "free", ports(1, 2))
    page.goto(free.get_absolute_url())
    page.get_by_role("button", name="Switch rule 2 off").click()
    said(page, "Rule 2 is off now. Newly denied: inbound TCP 2")
    expect(page.get_by_role("button", name="Switch rule 2 on")).to_be_focused()
    page.keyboard.press("Enter")
    said(page, "Rule 2 is on now. Newly allowed: inbound TCP 2")


def test_a_rule_is_edited_in_its_row_with_the_keyboard_alone(
    browse: Browse, alice: User, five: SecurityGroup, look: Look
) -> None:
    page = browse(alice)
    page.goto(five.get_absolute_url())
    page.get_by_role("link", name="Edit rule 3").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Source IP Address")).to_be_focused()
    expect(page.get_by_role("heading", name="five", level=1)).to_be_visible()
    look(page, "a rule that is edited in its row")
    page.get_by_label("Source IP Address").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#rule-fields")).to_have_count(0)
    expect(page.get_by_role("link", name="Edit rule 3")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Description").fill("In its row")
    page.keyboard.press("Enter")
    expect(page.locator("[data-row] .description").nth(2)).to_have_text("In its row")
    expect(page.get_by_role("link", name="Edit rule 3")).to_be_focused()


def test_a_rule_is_duplicated_from_its_row(browse: Browse, alice: User, five: SecurityGroup) -> None:
    page = browse(alice)
    page.goto(five.get_absolute_url())
    page.get_by_role("link", name="Duplicate rule 3").click()
    expect(page.locator("#preview")).to_contain_text("an exact copy would never act")
    page.get_by_label("Start port").fill("33")
    page.keyboard.press("Enter")
    said(page, "Added rule 4")
    assert started(five) == [1, 2, 3, 33, 4, 5]


def test_two_rules_are_deleted_by_four_clicks_of_which_two_tick(
    browse: Browse, alice: User, five: SecurityGroup
) -> None:
    page = browse(alice)
    page.goto(five.get_absolute_url())
    page.get_by_label("Select rule 2", exact=True).check()
    page.get_by_label("Select rule 4", exact=True).check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Newly denied: inbound TCP 2 and 4")
    page.get_by_role("button", name="Make this change").click()
    expect(page.locator("[data-row]")).to_have_count(3)
    assert started(five) == [1, 3, 5]


def test_a_menu_that_was_opened_before_its_script_came_has_its_items(
    browse: Browse, alice: User, project: Project
) -> None:
    group = make_group(project, "web", ["accept in tcp 443"])
    page = browse(alice)
    late: list[Route] = []
    page.route(re.compile(r"/rule-rows"), lambda route: late.append(route))
    page.goto(group.get_absolute_url(), wait_until="commit")
    page.get_by_label("More for rule 1", exact=True).click()
    expect(page.locator("details[open]").get_by_role("link", name="All choices")).to_be_visible()

    let_go(page, late)

    expect(page.locator("details[open]").get_by_text("Delete…")).to_be_visible()
