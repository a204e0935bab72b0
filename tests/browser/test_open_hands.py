"""How many clicks and keys it takes to open a port, on a VM that is there and on one that is not yet."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from securitygroups.models import Project, SecurityGroup, User
from tests.browser.conftest import Browse, Look, said
from tests.factories import make_group, make_machine

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]
# Over all pages that are opened in between.
COUNT = """
for (const kind of ["pointerdown", "keydown"])
  addEventListener(kind, () => (sessionStorage[kind] = Number(sessionStorage[kind] ?? 0) + 1), true);
"""


def counted(page: Page) -> Callable[[str], int]:
    page.add_init_script(COUNT)
    return lambda kind: page.evaluate("kind => Number(sessionStorage[kind] ?? 0)", kind)


def test_a_new_vm_with_a_new_group_that_opens_443_takes_three_clicks(
    browse: Browse, alice: User, project: Project, look: Look
) -> None:
    page = browse(alice)
    count = counted(page)
    page.goto("/p/shop/")
    page.get_by_role("link", name="Create Virtual Machine").first.click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("web-9")
    page.get_by_role("button", name="HTTPS", exact=True).click()
    expect(page.locator("#preview")).to_contain_text("Newly allowed: inbound TCP 443")
    look(page, "a new VM that opens a port")
    page.get_by_role("button", name="Create Virtual Machine").last.click()
    said(page, "web-9 was created.")
    assert count("pointerdown") == 3
    assert [group.name for group in project.machines.get(name="web-9").groups.all()] == ["web-9"]


def test_the_same_with_the_keyboard_alone(browse: Browse, alice: User, project: Project) -> None:
    page = browse(alice)
    count = counted(page)
    page.goto("/p/shop/machines/new/")
    page.keyboard.type("web-9")
    # Description, two addresses.
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Service or ports")).to_be_focused()
    page.keyboard.type("443")
    expect(page.locator("#preview")).to_contain_text("Newly allowed: inbound TCP 443")
    page.keyboard.press("Enter")
    said(page, "web-9 was created.")
    assert count("keydown") == len("web-9") + 4 + len("443") + 1
    assert count("pointerdown") == 0


def test_a_port_is_opened_on_a_vm_by_three_clicks_and_undone_by_one(
    browse: Browse, alice: User, project: Project, look: Look
) -> None:
    shared = make_group(project, "shared", ["drop in all"])
    make_machine(project, "other", [shared])
    machine = make_machine(project, "one", [shared])
    page = browse(alice)
    count = counted(page)
    page.goto(machine.get_absolute_url())
    page.get_by_role("link", name="Open a port").click()
    page.get_by_role("button", name="HTTPS", exact=True).click()
    expect(page.locator("#preview")).to_contain_text("Newly allowed: inbound TCP 443")
    page.get_by_label("A network", exact=True).check(force=True)
    expect(page.get_by_label("Addresses or networks")).to_be_visible()
    look(page, "open a port")
    page.get_by_label("Anywhere", exact=True).check(force=True)
    expect(page.get_by_label("Addresses or networks")).to_be_hidden()
    clicks = count("pointerdown")
    page.get_by_role("button", name="Open", exact=True).last.click()
    said(page, "one was created and attached")
    # Two of them looked at the network's field.
    assert count("pointerdown") == clicks + 1 == 3 + 2
    page.get_by_role("button", name="Undo").click()
    said(page, "Undone: one is gone again.")
    assert not SecurityGroup.objects.live().filter(name="one").exists()


def test_without_script_a_port_is_opened_on_a_new_vm_too(browse: Browse, alice: User, project: Project) -> None:
    page = browse(alice, script=False)
    page.goto("/p/shop/machines/new/")
    page.get_by_label("Name", exact=True).fill("web-9")
    page.get_by_label("Service or ports").fill("ssh")
    page.get_by_role("button", name="Create Virtual Machine").last.click()
    expect(page.get_by_text("This opens SSH (TCP 22) to every address on the internet.")).to_be_visible()
    page.get_by_role("button", name="Create Virtual Machine all the same").click()
    said(page, "web-9 was created.")
    assert [group.name for group in project.machines.get(name="web-9").groups.all()] == ["web-9"]


def test_the_first_steps_are_sound(browse: Browse, alice: User, project: Project, look: Look) -> None:
    page = browse(alice)
    page.goto("/p/shop/")
    look(page, "the first steps")
    page.get_by_role("button", name="Web server").click()
    expect(page.get_by_label("Web server")).to_be_checked()
    look(page, "a new group")
