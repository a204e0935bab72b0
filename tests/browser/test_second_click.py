"""An impatient second click shows what the first one did."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from securitygroups import operations
from securitygroups.models import Project, SecurityGroup, User
from securitygroups.operations import rules as rule_operations
from tests.browser.conftest import Browse, said

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
    monkeypatch.setattr(operations, "create_group", slow(operations.create_group))
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
    monkeypatch.setattr(rule_operations, "commit_edit", slow(rule_operations.commit_edit))
    monkeypatch.setattr(operations, "commit_edit", slow(operations.commit_edit))
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
