"""An impatient second click shows what the first one did."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from securitygroups import operations, proposals
from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from tests.browser.conftest import Browse, let_go, said
from tests.factories import make_group, make_machine

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]
SCRIPTS = pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def slow(work: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(work)
    def slowly(*args: Any, **given: Any) -> Any:
        time.sleep(1.2)
        return work(*args, **given)

    return slowly


def click_twice(page: Page, name: str) -> None:
    """As somebody does who sees nothing happen: the second 0.4 seconds after the first, both on the same spot."""
    button = page.get_by_role("button", name=name, exact=True)
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    assert box is not None
    for _ in range(2):
        page.mouse.click(box["x"] + 10, box["y"] + 10)
        page.wait_for_timeout(400)


@SCRIPTS
def test_a_second_click_on_create_security_group_shows_the_group(
    browse: Browse, alice: User, project: Project, script: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "create_group_on", slow(operations.create_group_on))
    page = browse(alice, script=script)
    page.goto("/p/shop/groups/new/")
    page.get_by_label("Name", exact=True).fill("impatient")
    click_twice(page, "Create Security Group")
    expect(page.get_by_role("heading", name="impatient", level=1)).to_be_visible()
    said(page, "impatient was created.")
    assert project.groups.count() == 1


@SCRIPTS
def test_a_second_click_on_create_virtual_machine_shows_the_vm(
    browse: Browse, alice: User, project: Project, script: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "create_machine", slow(operations.create_machine))
    page = browse(alice, script=script)
    page.goto("/p/shop/machines/new/")
    page.get_by_label("Name", exact=True).fill("impatient")
    click_twice(page, "Create Virtual Machine")
    expect(page.get_by_role("heading", name="impatient", level=1)).to_be_visible()
    assert project.machines.count() == 1


@SCRIPTS
def test_a_second_click_on_add_rule_adds_one_rule_and_tells_of_no_conflict(
    browse: Browse, alice: User, group: SecurityGroup, script: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposals, "commit_edit", slow(operations.commit_edit))
    page = browse(alice, script=script)
    page.goto(f"{group.get_absolute_url()}rules/new/")
    page.get_by_label("Start port").fill("2222")
    page.get_by_label("Source IP Address").fill("198.51.100.7")
    if script:
        expect(page.locator("#preview")).to_contain_text("from 198.51.100.7")
        click_twice(page, "Add Rule")
    else:
        press(page, "Add Rule")
        click_twice(page, "Make this change")
    expect(page.get_by_role("heading", name="web", level=1, exact=True)).to_be_visible()
    assert group.rules.count() == 6


def chosen(page: Page) -> list[str]:
    """The groups of the form, in order."""
    found = page.locator("#ordered-groups select").evaluate_all("all => all.map(one => one.selectedOptions[0].text)")
    return list(found)


def test_quick_clicks_on_the_arrows_of_a_vm_are_all_done_and_each_to_the_group_that_was_meant(
    browse: Browse, alice: User, project: Project
) -> None:
    groups = [make_group(project, name) for name in "abcd"]
    machine = make_machine(project, "web-1", groups)
    page = browse(alice)
    page.goto(f"{machine.get_absolute_url()}settings/")
    clicks = """names => names.forEach(
        name => document.querySelector(`#ordered-groups button[aria-label="${name}"]`).click())"""

    page.evaluate(clicks, ["Move group 4 up", *["Move group 2 up"] * 2, "Move group 1 down"])
    expect(page.locator("#ordered-groups select").nth(2)).to_have_value(groups[0].public_id)
    assert chosen(page) == ["b", "d", "a", "c", "No group"]

    page.locator("#group-more").evaluate("button => { button.click(); button.click(); }")
    expect(page.locator("#ordered-groups select")).to_have_count(7)
    page.evaluate("""() => {
        document.querySelector('#ordered-groups button[aria-label="Take group 2 off"]').click();
        const select = document.querySelectorAll("#ordered-groups select")[4];
        select.value = select.options[4].value;
        select.dispatchEvent(new Event("change", { bubbles: true }));
    }""")
    expect(page.locator("#ordered-groups select").nth(3)).to_have_value(groups[3].public_id)
    assert [name for name in chosen(page) if name != "No group"] == ["b", "a", "c", "d"]


def test_a_second_click_on_what_opens_a_question_opens_one(
    browse: Browse, alice: User, machine: VirtualMachine
) -> None:
    page = browse(alice)
    page.goto("/p/shop/machines/")
    asked: list[Route] = []
    page.route("**/delete/", lambda route: asked.append(route))
    link = page.get_by_role("link", name=f"Delete {machine.name}")
    link.dblclick()
    expect(link).to_have_attribute("aria-busy", "true")
    let_go(page, asked)
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(link).not_to_have_attribute("aria-busy", "true")
    assert len(asked) == 1
