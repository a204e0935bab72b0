"""The question before a write of the admin, in a browser: by keyboard, without script, and for axe."""

import pytest
from playwright.sync_api import Page, expect

from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from tests.browser.conftest import Browse, Look


def fill(page: Page, group: SecurityGroup, port: str) -> None:
    page.goto(f"/admin/securitygroups/rule/add/?group={group.pk}")
    page.get_by_label("Place in the list").fill("1")
    page.get_by_label("Start port").fill(port)


@pytest.mark.parametrize("script", [True, False])
def test_a_rule_is_asked_about_and_made_by_keyboard_alone(
    browse: Browse, admin: User, group: SecurityGroup, script: bool
) -> None:
    page = browse(admin, script=script)
    fill(page, group, "3389")
    page.keyboard.press("Enter")

    expect(page.get_by_text("This opens RDP (TCP 3389) to every address on the internet.")).to_be_visible()
    assert group.revisions.count() == 1
    page.get_by_label("Reason for the change").fill("Ticket 7")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Added rule 1: Accept inbound TCP to port 3389 (RDP) from anywhere.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone: the rules of web are as they were before.")).to_be_visible()
    assert group.rules.count() == 5


def test_the_fields_that_a_protocol_lacks_are_put_away(browse: Browse, admin: User, group: SecurityGroup) -> None:
    page = browse(admin)
    fill(page, group, "22")
    expect(page.get_by_label("Destination IP Address")).to_be_hidden()

    page.get_by_label("Protocol").select_option("ip")

    expect(page.get_by_label("Destination IP Address")).to_be_visible()
    expect(page.get_by_label("Start port")).to_be_hidden()
    # What was typed for another protocol is not sent along.
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_text("Rule 1: Accept inbound IP from anywhere")).to_be_visible()


def test_enter_in_a_vms_form_saves_it_and_moves_no_group(browse: Browse, admin: User, machine: VirtualMachine) -> None:
    page = browse(admin)
    page.goto(f"/admin/securitygroups/virtualmachine/{machine.pk}/change/")
    page.locator("#id_name").fill("web-9")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("web-9")
    machine.refresh_from_db()
    assert (machine.name, machine.revision) == ("web-9", 1)


def test_a_vm_is_moved_by_typing_a_part_of_the_projects_name(
    browse: Browse, admin: User, machine: VirtualMachine, bakery: Project
) -> None:
    page = browse(admin)
    page.goto(f"/admin/securitygroups/virtualmachine/{machine.pk}/change/")
    page.get_by_role("button", name="Move to another project…").click()
    page.locator(".select2-selection").click()
    page.keyboard.type("bak")
    page.get_by_role("option", name="Bakery").click()
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("Reason for the change").fill("Ticket 8")
    page.get_by_role("button", name="Move", exact=True).last.click()

    expect(page.get_by_role("status")).to_contain_text("1 VM moved to Bakery.")
    page.get_by_role("button", name="Move back to Shop").click()
    page.get_by_label("Reason for the change").fill("Ticket 9")
    page.get_by_role("button", name="Move", exact=True).last.click()
    expect(page.get_by_role("status")).to_contain_text("1 VM moved to Shop.")


def test_the_questions_are_in_reach_of_everybody(
    browse: Browse, look: Look, admin: User, machine: VirtualMachine, bakery: Project, group: SecurityGroup
) -> None:
    page = browse(admin)
    fill(page, group, "3389")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason for the change")).to_be_visible()
    look(page, "admin: add a rule", within=".asking")
    page.goto(f"/admin/securitygroups/securitygroup/{group.pk}/delete/")
    look(page, "admin: delete a group", within=".asking")
    page.goto(f"/admin/securitygroups/virtualmachine/{machine.pk}/change/")
    page.get_by_role("button", name="Move to another project…").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    look(page, "admin: move a VM", within=".asking .field > label, .asking ul")
