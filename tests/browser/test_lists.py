"""Lists in a browser: filters by hand and without script, columns that stay where they are, tags that are offered."""

import re

import pytest
from playwright.sync_api import Page, expect

from securitygroups import operations
from securitygroups.models import Project, SavedView, User
from securitygroups.operations import By
from tests.browser.conftest import DESKTOP, NARROWEST, PHONE, Browse, Look
from tests.factories import make_group, make_machine

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def fleet(project: Project, alice: User) -> Project:
    world = make_group(project, "world", ["accept in tcp 443"])
    for number in range(3):
        vm = make_machine(project, f"web-{number}", [world] if number else [], ipv4=f"10.0.1.{number + 1}")
        operations.update_machine(machine=vm, fields={"tags": ["env=prod", f"n{number}"]}, by=By(alice))
    return project


def expect_names(page: Page, names: list[str]) -> None:
    """That the list has these VMs in this order, once it is there: a list comes after the click that asks for it."""
    expect(page.locator("tbody th a.cut:not(.chip)")).to_have_text(names)


def test_a_filter_is_typed_ticked_kept_and_taken_away(browse: Browse, look: Look, fleet: Project, alice: User) -> None:
    page = browse(alice)
    page.goto("/p/shop/machines/")
    page.get_by_label("Search Virtual Machines").fill("10.0.1.")
    expect(page).to_have_url(re.compile(r"/machines/\?q=10\.0\.1\.$"))
    page.get_by_text("Filter and sort").click()
    page.get_by_label("Reached by the internet").check()
    # What can be typed is offered once the field is used.
    page.get_by_label("Has the tag").focus()
    expect(page.locator("#tag-names option")).to_have_count(4)
    page.get_by_label("Has the tag").fill("env=prod")
    look(page, "the filters of a list", within=".filter-panel")
    page.set_viewport_size({"width": DESKTOP, "height": 900})
    page.keyboard.press("Enter")
    expect(page.get_by_text("2 of 3 virtual machines")).to_be_visible()
    expect_names(page, ["web-1", "web-2"])
    look(page, "a filtered list")

    page.set_viewport_size({"width": DESKTOP, "height": 900})
    page.get_by_role("link", name="Save as view").click()
    page.get_by_label("Name").fill("Open production")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_role("link", name="Open production", exact=True)).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Remove the filter Reached by the internet").click()
    expect_names(page, ["web-0", "web-1", "web-2"])
    page.get_by_role("link", name="Open production", exact=True).click()
    expect_names(page, ["web-1", "web-2"])
    assert SavedView.objects.get().owner == alice


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_without_script_a_list_is_filtered_too(width: int, browse: Browse, fleet: Project, alice: User) -> None:
    page = browse(alice, script=False, width=width)
    page.goto("/p/shop/machines/")
    page.get_by_text("Filter and sort").click()
    page.get_by_label("Without a group").check()
    page.get_by_role("button", name="Apply").click()
    expect_names(page, ["web-0"])
    page.get_by_text("Filter and sort").click()
    page.get_by_role("checkbox", name="Without a group").uncheck()
    page.get_by_label("Order by").select_option("-address")
    page.get_by_role("button", name="Apply").click()
    expect_names(page, ["web-2", "web-1", "web-0"])


def test_a_long_row_leaves_the_other_columns_as_they_are(browse: Browse, fleet: Project, alice: User) -> None:
    page = browse(alice)
    page.goto("/p/shop/machines/")
    heads = page.locator("thead th")
    before = [heads.nth(at).bounding_box() for at in range(heads.count())]
    groups = [make_group(fleet, f"{'g' * 95}{n}") for n in range(6)]
    ends = {"ipv4": "255.255.255.254", "ipv6": "2001:db8:1111:2222:3333:4444:5555:6666"}
    make_machine(fleet, "x" * 100, groups, description="y" * 255, **ends)

    for width in (DESKTOP, 1024, 760, 700, 640, PHONE, NARROWEST):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, f"something sticks out at {width}"
        if width == DESKTOP:
            assert [heads.nth(at).bounding_box() for at in range(heads.count())] == before
        heights = [
            page.get_by_role("link", name=f"web-{n}", exact=True).evaluate("e => e.offsetHeight") for n in range(3)
        ]
        assert max(heights) < 30, f"a name is broken at {width}"


def test_tags_are_offered_behind_those_that_stand_there(browse: Browse, fleet: Project, alice: User) -> None:
    page = browse(alice)
    page.goto("/p/shop/machines/new/")
    page.locator("summary", has_text="More").click()
    tags = page.get_by_label("Tags")
    tags.focus()
    expect(page.locator("#tag-names option")).to_have_count(4)
    tags.press_sequentially("web, e")
    offered = page.locator("#tag-names option").evaluate_all("all => all.map(one => one.value)")
    assert offered == ["web, env=prod", "web, n0", "web, n1", "web, n2"]
    tags.fill("e")
    assert page.locator("#tag-names option").first.get_attribute("value") == "env=prod"


def test_where_a_row_is_a_card_what_it_says_stands_side_by_side_while_there_is_room(
    browse: Browse, fleet: Project, alice: User
) -> None:
    page = browse(alice, width=700)
    page.goto("/p/shop/machines/")
    row = page.get_by_role("row").filter(has_text="web-1")

    def tops() -> list[int]:
        return [round(cell.bounding_box()["y"]) for cell in row.locator("td[data-label]").all()]  # type: ignore[index]

    assert len(set(tops())) == 1
    page.set_viewport_size({"width": PHONE, "height": 900})
    assert len(set(tops())) == 3, "and below one another where there is none"


def test_where_a_row_is_a_card_the_keyboard_reaches_nothing_that_is_not_seen(
    browse: Browse, fleet: Project, alice: User
) -> None:
    page = browse(alice, width=640)
    page.goto("/p/shop/machines/")
    page.locator("summary", has_text="Filter and sort").focus()
    page.keyboard.press("Tab")
    seen = """() => {
      const { x, y } = document.activeElement.getBoundingClientRect();
      return document.activeElement.contains(document.elementFromPoint(x + 8, y + 8));
    }"""
    for head in ("all virtual machines of this page", "Name", "Addresses", "Security Groups"):
        expect(page.locator("thead th").filter(has_text=head).locator(":focus")).to_have_count(1)
        assert page.evaluate(seen), head
        page.keyboard.press("Tab")
    expect(page.locator("tbody [name=machine]").first).to_be_focused()
