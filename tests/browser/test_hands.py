"""Hands of every kind: the keyboard alone, a mouse that drags, a finger."""

import re

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from securitygroups.models import Project, SecurityGroup, User
from tests.browser.conftest import Browse, said
from tests.factories import PASSWORD, make_group

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def tab_to(page: Page, target: Locator, *, limit: int = 80) -> None:
    """Press Tab until the target has the focus, as somebody without a mouse does; every stop on the way is visible."""
    expect(target).to_be_visible()
    for _ in range(limit):
        page.keyboard.press("Tab")
        if target.evaluate("(e) => e === document.activeElement"):
            outline = target.evaluate("(e) => getComputedStyle(e).outlineStyle + getComputedStyle(e).boxShadow")
            assert outline != "nonenone", "the focus cannot be seen"
            return
    raise AssertionError(f"{limit} times Tab did not reach {target}")


def press(page: Page, name: str) -> None:
    tab_to(page, page.get_by_role("button", name=name, exact=True))
    page.keyboard.press("Enter")


def test_everything_can_be_done_with_the_keyboard_alone(browse: Browse, alice: User, group: SecurityGroup) -> None:
    page = browse()
    keys = page.keyboard
    page.goto("/")
    tab_to(page, page.get_by_label("User name or e-mail address"))
    keys.type(alice.username)
    tab_to(page, page.get_by_label("Password"))
    keys.type(PASSWORD)
    keys.press("Enter")
    tab_to(page, page.get_by_role("link", name="Skip to content"))
    tab_to(page, page.get_by_role("link", name="Security Groups").first)
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Security Groups", level=1)).to_be_visible()

    # "f" goes to the page's search, whose letters are letters and no shortcuts.
    keys.press("f")
    search = page.get_by_label("Search Security Groups")
    expect(search).to_be_focused()
    keys.type("none of that name?")
    expect(page.get_by_role("heading", name="No group has “none of that name?”")).to_be_visible()
    expect(search).to_be_focused()
    keys.press("Control+a")
    keys.type("web")
    tab_to(page, page.get_by_role("link", name="web", exact=True))
    keys.press("Enter")
    expect(page.get_by_role("heading", name="web", level=1)).to_be_visible()

    # "n" is the page's main action.
    keys.press("n")
    expect(page.get_by_role("heading", name="Add Rule", level=1)).to_be_visible()
    tab_to(page, page.get_by_label("Protocol", exact=True))
    keys.press("u")
    expect(page.get_by_label("Protocol", exact=True)).to_have_value("udp")
    expect(page.locator("#protocol-help")).to_contain_text("UDP")
    expect(page.get_by_label("Protocol", exact=True)).to_be_focused()
    tab_to(page, page.get_by_label("Start port"))
    keys.type("53")
    tab_to(page, page.get_by_label("Description"))
    keys.type("DNS")
    expect(page.locator("#preview")).to_contain_text("Newly allowed: inbound UDP 53 (DNS) from any IPv6 address")
    keys.press("Enter")  # In a field, it adds the rule: above the All rule at the end, which would hide it.
    expect(page.locator("[data-row] .description").nth(4)).to_have_text("DNS")

    # Reorder: the button keeps the focus, so that it can be pressed again.
    tab_to(page, page.get_by_role("button", name="Move rule 5 up", exact=True))
    keys.press("Enter")
    said(page, "Rule 5 moved to 4 of 6.")
    expect(page.get_by_role("button", name="Move rule 4 up", exact=True)).to_be_focused()
    keys.press("Enter")
    said(page, "Rule 4 moved to 3 of 6.")
    expect(page.get_by_role("button", name="Move rule 3 up", exact=True)).to_be_focused()

    # Esc closes what was opened and gives the focus back.
    more = page.locator("summary").and_(page.get_by_label("More for rule 3", exact=True))
    tab_to(page, more)
    keys.press("Enter")
    delete = page.locator("details[open]").get_by_role("link", name="Delete…")
    expect(delete).to_be_visible()
    keys.press("Escape")
    expect(delete).to_be_hidden()
    expect(more).to_be_focused()
    keys.press("Enter")
    tab_to(page, delete)
    keys.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Newly denied: inbound UDP 53 (DNS)")
    keys.press("n")  # No shortcut reaches behind a dialog.
    expect(dialog).to_be_visible()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(more).to_be_focused()

    # "?" shows the list of shortcuts, where they can be switched off.
    keys.press("?")
    expect(dialog).to_contain_text("Keyboard shortcuts")
    off = page.get_by_label("Use single-key shortcuts in this browser")
    tab_to(page, off)
    keys.press("Space")
    expect(off).not_to_be_checked()
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    keys.press("n")
    keys.press("?")
    expect(dialog).to_be_hidden()
    page.reload()
    keys.press("?")
    keys.press("n")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("heading", name="web", level=1)).to_be_visible()


def test_what_is_typed_while_an_answer_is_on_its_way_stays(browse: Browse, alice: User, group: SecurityGroup) -> None:
    page = browse(alice)
    page.goto(f"{group.get_absolute_url()}rules/new/")
    held: list[Route] = []
    page.route(
        "**/rules/new/",
        lambda route: held.append(route) if "update=1" in (route.request.post_data or "") else route.continue_(),
    )
    with page.expect_request(lambda request: "update=1" in (request.post_data or "")):
        page.get_by_label("Protocol", exact=True).select_option(label="UDP")
    page.get_by_label("Description").fill("Typed meanwhile")
    page.get_by_label("Drop", exact=True).check()
    held.pop().continue_()
    expect(page.locator("#protocol-help")).to_contain_text("UDP")
    expect(page.get_by_label("Description")).to_have_value("Typed meanwhile")
    expect(page.get_by_label("Drop", exact=True)).to_be_checked()

    # Letters that are typed into the filter while its list is fetched.
    page.goto(group.get_absolute_url())
    page.route(
        "**/*?q=*", lambda route: held.append(route) if route.request.url.endswith("q=of") else route.continue_()
    )
    search = page.get_by_label("Filter rules")
    with page.expect_request("**/*?q=of"):
        search.press_sequentially("of")
    search.press_sequentially("fice")
    held.pop().continue_()
    expect(search).to_have_value("office")
    expect(page.locator("[data-row] .description")).to_have_text(["Office SSH"])
    expect(search).to_be_focused()


def order(group: SecurityGroup) -> list[str]:
    return [row.description for row in group.rules.in_order()]


def middle(target: Locator) -> tuple[float, float]:
    box = target.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_rule_is_dragged_to_another_place_with_the_mouse(browse: Browse, alice: User, group: SecurityGroup) -> None:
    page = browse(alice)
    page.goto(group.get_absolute_url())
    rows = page.locator("[data-row]")
    handles = page.locator("[data-sortable] .number")

    def drag(place: int, to: int) -> None:
        handles.nth(place - 1).scroll_into_view_if_needed()
        page.mouse.move(*middle(handles.nth(place - 1)))
        page.mouse.down()
        x, y = middle(handles.nth(to - 1))
        page.mouse.move(x, y + (12 if to > place else -12), steps=8)

    # Out of what "Abuse" drops, below the SSH rule: nothing else passes, so it is just done.
    drag(2, 3)
    page.mouse.up()
    said(page, "Rule 2 moved to 3 of 5.")
    expect(rows.locator(".description")).to_have_text(
        [re.compile(text) for text in ("Abuse", "Office SSH", "Public HTTPS", "Not yet", "Everything out")]
    )
    assert order(group)[1:3] == ["Office SSH", "Public HTTPS"]

    # What changes traffic is asked about, and giving up leaves the list as it is, on the screen too.
    drag(1, 3)
    page.mouse.up()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Newly allowed")
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert order(group)[0] == "Abuse"
    expect(rows.locator(".description").first).to_have_text("Abuse")

    # Esc gives up a drag.
    drag(5, 1)
    expect(rows.locator(".description").first).to_have_text("Everything out")
    page.keyboard.press("Escape")
    expect(rows.locator(".description").first).to_have_text("Abuse")
    page.mouse.up()
    assert order(group)[0] == "Abuse"


def test_a_rule_is_dragged_with_a_finger_on_a_phone(browse: Browse, alice: User, group: SecurityGroup) -> None:
    page = browse(alice, width=360, touch=True)
    page.goto(group.get_absolute_url())
    handles = page.locator("[data-sortable] .number")
    # Both cards away from the edges, where the page would scroll under the finger.
    handles.nth(1).evaluate("(handle) => handle.scrollIntoView({ block: 'center' })")
    x, y = middle(handles.nth(1))
    bottom = page.locator("[data-row]").nth(2).bounding_box()
    assert bottom
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    end = bottom["y"] + bottom["height"] - 4
    touch("touchStart", (x, y))
    for step in range(1, 9):
        touch("touchMove", (x, y + (end - y) * step / 8))
    touch("touchEnd")
    said(page, "Rule 2 moved to 3 of 5.")
    assert order(group)[1:3] == ["Office SSH", "Public HTTPS"]


def test_long_work_says_that_it_is_under_way(browse: Browse, alice: User, group: SecurityGroup) -> None:
    page = browse(alice)
    page.goto(f"{group.get_absolute_url()}replay/")
    button = page.get_by_role("button", name="Replay", exact=True)
    # Playwright looks at no page that is on its way to another: this one stays where it is.
    page.evaluate("addEventListener('submit', (event) => event.preventDefault(), { once: true })")
    button.click()

    busy = page.get_by_role("button", name="Replaying…")
    expect(busy).to_have_attribute("aria-busy", "true")
    expect(page.locator("#live")).to_have_text("Replaying…")
    # As it is when the back button brings the page again.
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(button).not_to_have_attribute("aria-busy", "true")
    expect(button.locator("svg")).to_have_count(1)

    log = b"direction,protocol,source,destination,port\nin,tcp,203.0.113.9,10.0.0.5,443\n"
    page.get_by_label("Flow log").set_input_files({"name": "flows.csv", "mimeType": "text/csv", "buffer": log})
    button.click()
    expect(page.get_by_text("flow judged of 1 record")).to_be_visible()


def test_a_second_group_is_chosen_before_the_first_is_answered(browse: Browse, alice: User, project: Project) -> None:
    for name in ("closed", "web"):
        make_group(project, name, [])
    page = browse(alice)
    page.goto("/p/shop/machines/new/")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if not held and "order=as" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/machines/new/", hold_the_first)
    with page.expect_request(lambda request: "order=as" in (request.post_data or "")):
        page.get_by_label("Security Group 1").select_option(label="closed")
    page.get_by_label("Security Group 2").select_option(label="web")
    held[0].continue_()
    expect(page.get_by_role("button", name="Move group 2 up")).to_be_visible()
    for place, name in enumerate(("closed", "web"), 1):
        expect(page.get_by_label(f"Security Group {place}").locator("option:checked")).to_have_text(name)
