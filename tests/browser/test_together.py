"""People who meet at one group, and a customer with support: nothing typed is lost, and everything is on record."""

import re

import pytest
from playwright.sync_api import Page, expect

from securitygroups.models import Project, SecurityGroup, User, VirtualMachine
from tests.browser.conftest import Browse, said
from tests.factories import make_group, make_machine, rule

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def descriptions(group: SecurityGroup) -> list[str]:
    return [row.description for row in group.rules.in_order()]


def test_two_browsers_edit_one_group_and_nothing_that_was_typed_is_lost(
    browse: Browse, alice: User, erin: User, group: SecurityGroup
) -> None:
    first, second = browse(alice), browse(erin)
    url = group.get_absolute_url()
    # Both open the form to the same list.
    for page in (first, second):
        page.goto(url)
        page.get_by_role("link", name="Edit rule 3", exact=True).click()
        expect(page.get_by_label("Description")).to_have_value("Office SSH")
    first.get_by_label("Description").fill("SSH from the office")
    expect(first.locator("#preview")).to_contain_text("No traffic changes")
    press(first, "Save rule")
    expect(first.locator("[data-row] .description").nth(2)).to_have_text("SSH from the office")

    # The second adds another port to the rule that has changed under it.
    second.get_by_label("End port").fill("23")
    expect(second.locator("#preview")).to_contain_text("Nothing that you typed is lost")
    with second.expect_response(lambda answer: answer.status == 409 and "HX-Request" not in answer.request.headers):
        press(second, "Save rule")
    expect(second.get_by_role("heading", name="web was changed in the meantime")).to_be_visible()
    expect(second.get_by_role("region", name="Theirs")).to_contain_text("SSH from the office")
    expect(second.get_by_role("region", name="Yours")).to_contain_text("ports 22–23")
    assert descriptions(group)[2] == "SSH from the office"
    press(second, "Apply mine on top")
    expect(second.locator("#confirm")).to_contain_text("Newly allowed: inbound TCP 23")
    second.get_by_role("button", name=re.compile("Make this change|Change it all the same")).click()
    row = second.locator("[data-row]").nth(2)
    expect(row).to_contain_text("22–23")
    expect(row).to_contain_text("SSH from the office")

    # A page that stays open is behind too: what a button on it does to other rules goes on top of theirs, once it was
    # looked at.
    first.get_by_role("button", name="Move rule 2 up", exact=True).click()
    press(first, "Make this change")
    expect(first.locator("[data-row] .description").first).to_have_text("Public HTTPS")
    assert descriptions(group)[:3] == ["Public HTTPS", "Abuse", "SSH from the office"]


def test_a_customers_blocked_ssh_is_found_by_support_explained_and_opened_by_the_customer(
    browse: Browse, alice: User, staff: User, project: Project
) -> None:
    group = make_group(
        project,
        "web",
        [rule("accept in tcp 22 from 203.0.113.0/24", "Office SSH"), rule("drop in tcp 22", "SSH from elsewhere")],
    )
    machine = make_machine(project, "web-1", [group], ipv4="10.0.1.11")

    # Support: the customer's address leads to the VM, and the way in leads past a reason.
    desk = browse(staff)
    desk.goto("/")
    desk.get_by_role("link", name="Support desk").click()
    desk.get_by_label("Search all projects").fill("10.0.1.11")
    press(desk, "Search")
    desk.get_by_role("link", name="web-1", exact=True).click()
    expect(desk.get_by_role("heading", name="Look into Shop")).to_be_visible()
    press(desk, "Open read-only")
    expect(desk.get_by_role("alert")).to_contain_text("Type why you look into this project.")
    desk.get_by_label("Reason").fill("Customer cannot reach web-1 by SSH")
    desk.get_by_label("Ticket").fill("T-4711")
    press(desk, "Open read-only")
    expect(desk.get_by_role("heading", name="web-1", level=1)).to_be_visible()
    banner = desk.locator("main > .alert.support")
    expect(banner).to_contain_text("Support view of Shop, read-only.")
    edge = banner.evaluate("(e) => getComputedStyle(e).borderInlineStartColor")
    assert edge == "rgb(179, 38, 30)"
    expect(desk.get_by_role("link", name="Instance settings")).to_have_count(0)
    desk.goto(f"{group.get_absolute_url()}rules/new/")
    expect(desk.locator("main")).to_contain_text("The support view is read-only.")

    # The packet, the reason it is dropped, and a case for the customer.
    desk.goto(machine.get_absolute_url())
    desk.get_by_role("navigation", name="web-1").get_by_role("link", name="Test a packet").click()
    desk.get_by_label("Source IP Address").fill("198.51.100.7")
    desk.get_by_label("Destination port").fill("22")
    press(desk, "Test")
    verdict = desk.locator(".verdict")
    expect(verdict).to_contain_text("Denied by rule 2 (web, rule 2)")
    expect(desk.get_by_role("region", name="What an accept would need")).to_contain_text("rule 1")
    desk.get_by_label("Note").fill("Rule 2 drops SSH from everywhere but the office.")
    press(desk, "Open a case")
    said(desk, "was opened. Its address is good for the customer too.")
    case = desk.url
    expect(desk.locator("main")).to_contain_text("Then: denied by rule 2")

    # The customer opens the case and does what it says.
    home = browse(alice)
    home.goto(case)
    expect(home.get_by_text("Rule 2 drops SSH from everywhere but the office.")).to_be_visible()
    expect(home.locator("main")).to_contain_text("Now: denied by rule 2")
    home.get_by_role("link", name="Test again now").click()
    home.get_by_role("link", name="Add a rule that accepts it…").click()
    expect(home.get_by_label("Source IP Address")).to_have_value("198.51.100.7/32")
    expect(home.get_by_label("Start port")).to_have_value("22")
    expect(home.get_by_label("Place in the list")).to_have_value("2")
    home.get_by_label("Description").fill("SSH from home")
    home.get_by_label("Reason for the change").fill("T-4711")
    expect(home.locator("#preview")).to_contain_text("Newly allowed: inbound TCP 22 (SSH) from 198.51.100.7")
    press(home, "Add Rule")
    expect(home.locator("[data-row] .description")).to_have_text(["Office SSH", "SSH from home", "SSH from elsewhere"])
    home.goto(case)
    expect(home.locator("main")).to_contain_text("Then: denied by rule 2")
    expect(home.locator("main")).to_contain_text("Now: accepted by rule 2")
    home.get_by_label("Add a note").fill("Thank you, it works.")
    press(home, "Add note")
    said(home, "The note was added.")

    # Every step is on record, where the customer reads it.
    home.get_by_role("link", name="Activity", exact=True).click()
    record = home.get_by_role("region", name="Activity")
    for words in (
        "Customer cannot reach web-1 by SSH",
        "T-4711",
        "Looked at web-1.",
        "Support opened case-",
        "Platform staff",
        "alice",
    ):
        expect(record).to_contain_text(words)

    # Support sees the answer, and the thanks.
    desk.goto(case)
    expect(desk.locator("main")).to_contain_text("Now: accepted by rule 2")
    expect(desk.get_by_text("Thank you, it works.")).to_be_visible()


def test_a_page_of_the_administration_is_clean_under_the_policy(
    browse: Browse, admin: User, machine: VirtualMachine
) -> None:
    page = browse(admin)
    for path in (
        "",
        "securitygroups/securitygroup/",
        "securitygroups/rule/add/",
        f"securitygroups/virtualmachine/{machine.pk}/change/",
        f"securitygroups/securitygroup/{machine.attachments.first().group_id}/change/",  # type: ignore[union-attr]
    ):
        page.goto(f"/admin/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
