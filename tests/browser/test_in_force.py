"""The message of a change follows it until its host has it."""

import pytest
from playwright.sync_api import expect

from securitygroups import operations
from securitygroups.models import Project, User
from securitygroups.operations import By
from tests.browser.conftest import DESKTOP, PHONE, Browse, Look
from tests.factories import make_group, make_machine, place
from tests.hosts import enrolled

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_message_says_when_a_change_is_in_force(
    browse: Browse, look: Look, alice: User, project: Project, width: int
) -> None:
    group = make_group(project, "office", ["drop in tcp 9 from 192.0.2.0/24", "accept in tcp 443"])
    machine = make_machine(project, "web-1", [group])
    host, agent = enrolled("kvm-3")
    place(machine, host, "tap0")
    agent.applies()
    page = browse(alice, width=width)
    page.goto(group.get_absolute_url())
    expect(page.locator("#in-force")).to_contain_text("In force on its VM.")

    page.get_by_role("button", name="Move rule 2 up").click()
    messages = page.get_by_role("status", name="Messages")
    expect(messages).to_contain_text("Being applied on its VM, 0 s.")
    expect(page.locator("#in-force")).to_contain_text("In force on 0 of 1 VM.")
    expect(messages).to_contain_text("Being applied on its VM, 2 s.")
    look(page, "being applied", dark=width == PHONE)
    agent.applies()

    expect(messages).to_contain_text("In force on its VM, after")
    expect(page.locator("#live")).to_contain_text("In force on its VM, after")
    expect(page.locator("#in-force")).to_contain_text("In force on its VM.")
    expect(messages.get_by_role("button", name="Undo")).to_be_visible()
    look(page, "in force", dark=width == PHONE)


def test_without_script_the_message_says_what_is_on_its_way(browse: Browse, alice: User, project: Project) -> None:
    group = make_group(project, "office", ["drop in tcp 9 from 192.0.2.0/24", "accept in tcp 443"])
    machine = make_machine(project, "web-1", [group])
    host, agent = enrolled("kvm-3")
    place(machine, host, "tap0")
    agent.applies()
    page = browse(alice, script=False)
    page.goto(group.get_absolute_url())

    page.get_by_role("button", name="Move rule 2 up").click()

    expect(page.locator("#messages")).to_contain_text("Being applied on its VM, 0 s.")
    operations.revoke_host(host=host, by=By())
    page.reload()
    expect(page.locator("#in-force")).to_contain_text("In force on 0 of 1 VM.")
