"""Many VMs at once, as hands do it: few clicks, the keyboard alone, and without script."""

import pytest
from playwright.sync_api import expect

from securitygroups.models import Project, SecurityGroup, User
from tests.browser.conftest import DESKTOP, PHONE, Browse, Look, said
from tests.browser.test_hands import press, tab_to
from tests.factories import make_group, make_machine

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def new(project: Project) -> SecurityGroup:
    """A group that is on none of sixty VMs, some of which deny all at the end."""
    base, deny = make_group(project, "base", ["accept out all"]), make_group(project, "deny", ["drop in all"])
    for n in range(60):
        make_machine(project, f"worker-{n:02}", [base, deny] if n % 5 == 0 else [base], ipv4=f"10.0.8.{n + 1}")
    return make_group(project, "new", ["accept in tcp 9100"])


def test_a_group_comes_to_sixty_vms_in_four_clicks_and_leaves_in_one(
    browse: Browse, look: Look, alice: User, new: SecurityGroup
) -> None:
    page = browse(alice)
    page.goto(new.get_absolute_url())

    page.get_by_role("link", name="Attach to VMs").click()
    page.get_by_role("button", name="Attach to all 60…").click()
    expect(page.get_by_role("heading", name="Attach new to 60 virtual machines?")).to_be_visible()
    look(page, "the question about many VMs")
    page.get_by_role("button", name="Put it above deny instead").click()
    page.get_by_role("button", name="Make this change").last.click()

    said(page, "Attached new to 60 VMs")
    assert new.attachments.count() == 60
    page.get_by_role("button", name="Undo").click()
    said(page, "Undone: Attached new to 60 VMs")
    assert new.attachments.count() == 0


def test_with_the_keyboard_alone(browse: Browse, alice: User, new: SecurityGroup) -> None:
    page = browse(alice)
    keys = page.keyboard
    page.goto(f"{new.get_absolute_url()}machines/attach/")
    tab_to(page, page.get_by_label("Filter virtual machines"))
    keys.type("worker-0")
    expect(page.get_by_role("button", name="Attach to all 10 that match…")).to_be_visible()
    tab_to(page, page.get_by_label("Select worker-03"))
    keys.press("Space")
    expect(page.get_by_text("1 selected")).to_be_visible()
    keys.press("Enter")  # in the list it goes on with what is ticked
    expect(page.get_by_role("heading", name="Attach new to 1 virtual machine?")).to_be_focused()
    tab_to(page, page.get_by_label("Reason for the change"), limit=3)
    keys.type("Monitoring")
    press(page, "Make this change")
    said(page, "Attached new to 1 VM (worker-03).")


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_what_can_be_done_with_the_ticked_is_in_sight_however_long_the_list(
    browse: Browse, alice: User, new: SecurityGroup, width: int
) -> None:
    page = browse(alice, width=width)
    base = SecurityGroup.objects.get(name="base")
    for url in (
        "/p/shop/machines/",
        f"{base.get_absolute_url()}machines/",
        f"{new.get_absolute_url()}machines/attach/",
    ):
        page.goto(url)

        page.get_by_label("Select worker-01").check()

        expect(page.locator(".bulk-bar")).to_be_in_viewport(ratio=1)


def test_without_script_rows_are_ticked_and_changed_too(browse: Browse, alice: User, new: SecurityGroup) -> None:
    page = browse(alice, script=False)
    page.goto("/p/shop/machines/?q=worker-1")
    page.get_by_label("Select worker-10").check()
    page.get_by_label("Select worker-12").check()
    page.get_by_role("button", name="Attach…").click()
    page.get_by_label("Security Group").select_option(label="new")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Make this change").last.click()
    said(page, "Attached new to 2 VMs (worker-10, worker-12).")


def test_a_group_in_the_last_slot_can_be_moved_at_once(browse: Browse, alice: User, new: SecurityGroup) -> None:
    page = browse(alice)
    page.goto("/p/shop/machines/?q=worker-05")
    page.get_by_label("Instance settings of worker-05").click()
    page.get_by_label("Description").fill("typed before")
    slot = page.get_by_label("Security Group 3")
    slot.focus()
    slot.select_option(label="new")

    expect(page.get_by_role("button", name="Move group 3 up")).to_be_visible()
    expect(page.get_by_label("Security Group 3")).to_be_focused()
    page.get_by_role("button", name="Put it above deny").click()
    expect(page.get_by_label("Security Group 2").locator("option:checked")).to_have_text("new")
    expect(page.get_by_label("Description")).to_have_value("typed before")
