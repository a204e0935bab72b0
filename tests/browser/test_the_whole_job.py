"""A customer's whole job, once with script and once without: the same people, pages and words."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from securitygroups import operations
from securitygroups.models import Project, Role, User
from securitygroups.operations import By
from tests.browser.conftest import Browse, said, sign_in
from tests.factories import make_user

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def follow(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()


def tab(page: Page, of: str, name: str) -> None:
    """A tab of one group or VM: the project's menu has pages of the same name."""
    page.get_by_role("navigation", name=of, exact=True).get_by_role("link", name=name, exact=True).click()


def more(page: Page, script: bool, place: int, choice: str) -> None:
    """Choose from a rule's menu, which is a page without script."""
    page.locator("summary", has_text="").and_(page.get_by_label(f"More for rule {place}", exact=True)).click()
    if not script:
        page.locator("details[open]").get_by_role("link", name="All choices").click()
    page.locator("details[open]" if script else "main").get_by_text(choice).click()


def rules(page: Page, *descriptions: str) -> None:
    """The list shows rules with these descriptions, in this order."""
    expect(page.locator("[data-row] .description")).to_have_text([re.compile(f"^{text}") for text in descriptions])


def commit(page: Page, script: bool, button: str, consequence: str, sure: str = "Make this change") -> None:
    """Press the form's button. The consequence stands below the form; without script it is asked about on the next page."""
    if script:
        expect(page.locator("#preview")).to_contain_text(consequence)
        press(page, button)
    else:
        press(page, button)
        answer(page, consequence, sure)


def answer(page: Page, consequence: str, sure: str = "Make this change") -> None:
    """A question: in a dialog with script, on a page of its own without."""
    expect(page.locator("#confirm")).to_contain_text(consequence)
    press(page, sure)


def choose_protocol(page: Page, script: bool, name: str) -> None:
    protocol = page.get_by_label("Protocol", exact=True)
    protocol.focus()
    protocol.select_option(label=name)
    if script:
        expect(protocol).to_be_focused()
    else:
        press(page, "Update fields")


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_customer_does_the_whole_job(
    browse: Browse, alice: User, project: Project, script: bool, tmp_path: Path
) -> None:
    operations.add_member(project=project, user=make_user("dora"), role=Role.EDITOR, by=By(alice))
    page = browse(script=script)
    sign_in(page, alice)
    a_group_and_its_first_rules(page, script)
    the_order_of_the_rules(page, script)
    off_insert_delete_undo(page, script)
    a_machine_with_two_groups(page, script)
    packets(page, script)
    history(page)
    files(page, tmp_path)
    many_rules_at_once(page, script)
    duplicate_and_delete_a_group(page)
    members(page)
    page.get_by_label("Account of alice").click()
    press(page, "Sign out")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/p/shop/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def a_group_and_its_first_rules(page: Page, script: bool) -> None:
    follow(page, "Create Security Group")
    page.get_by_label("Name", exact=True).fill("web")
    page.get_by_label("Description").fill("Public web servers")
    press(page, "Create Security Group")
    expect(page.get_by_role("heading", name="No rules: everything is denied")).to_be_visible()
    said(page, "web was created.")

    # The fields follow the protocol, and what was typed survives.
    follow(page, "Add Rule")
    page.get_by_label("Source IP Address").fill("10.0.0.5/24")
    page.get_by_label("Start port").fill("22")
    page.get_by_label("Description").fill("Office SSH")
    choose_protocol(page, script, "IP")
    expect(page.get_by_label("Destination IP Address")).to_be_visible()
    expect(page.get_by_label("Start port")).to_have_count(0)
    expect(page.get_by_label("Source IP Address")).to_have_value("10.0.0.5/24")
    choose_protocol(page, script, "All")
    expect(page.get_by_label("Source IP Address")).to_have_count(0)
    choose_protocol(page, script, "TCP")
    expect(page.get_by_label("Start port")).to_have_value("22")
    expect(page.get_by_label("Description")).to_have_value("Office SSH")

    # An address with host bits: refused, with both ways out one click away.
    press(page, "Add Rule")
    expect(page).to_have_title(re.compile("^Error: Add Rule to web"))
    expect(page.get_by_role("alert")).to_contain_text("10.0.0.5/24")
    if script:
        expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("button", name="Use 10.0.0.5/32")).to_be_visible()
    press(page, "Use 10.0.0.0/24")
    expect(page.get_by_label("Source IP Address")).to_have_value("10.0.0.0/24")
    expect(page.get_by_label("Start port")).to_have_value("22")
    commit(page, script, "Add Rule", "Newly allowed: inbound TCP 22 (SSH) from 10.0.0.0/24")
    rules(page, "Office SSH")

    # A service from the list fills the fields in.
    follow(page, "Add Rule")
    page.get_by_label("Well-known service").select_option(label="HTTPS (TCP 443)")
    if not script:
        press(page, "Fill in")
    expect(page.get_by_label("Start port")).to_have_value("443")
    commit(page, script, "Add Rule", "Newly allowed: inbound TCP 443 (HTTPS) from anywhere")
    follow(page, "Add Rule")
    page.get_by_label("Start port").fill("8000")
    page.get_by_label("End port").fill("8010")
    page.get_by_label("Description").fill("Staging")
    commit(page, script, "Add Rule", "Newly allowed: inbound TCP 8000–8010 from anywhere")
    rules(page, "Office SSH", "HTTPS", "Staging")


def the_order_of_the_rules(page: Page, script: bool) -> None:
    press(page, "Move rule 3 up")
    said(page, "Rule 3 moved to 2 of 3.")
    rules(page, "Office SSH", "Staging", "HTTPS")
    if script:
        expect(page.get_by_role("button", name="Move rule 2 up")).to_be_focused()
    press(page, "Move rule 1 down")
    said(page, "Rule 1 moved to 2 of 3.")
    rules(page, "Staging", "Office SSH", "HTTPS")
    expect(page.get_by_role("button", name="Move rule 1 up")).to_have_attribute("aria-disabled", "true")
    more(page, script, 3, "Move to…")
    page.get_by_label("New place").fill("1")
    press(page, "Move")
    said(page, "Rule 3 moved to 1 of 3.")
    rules(page, "HTTPS", "Staging", "Office SSH")


def off_insert_delete_undo(page: Page, script: bool) -> None:
    press(page, "Switch rule 2 off")  # One click: the message says what it did, and takes it back.
    said(page, "Rule 2 is off now. Newly denied: inbound TCP 8000–8010 from anywhere")
    expect(page.locator("[data-row]").nth(1)).to_contain_text("Off")
    more(page, script, 2, "Insert above")
    expect(page.get_by_label("Place in the list")).to_have_value("2")
    page.get_by_label("Drop", exact=True).check()
    page.get_by_label("Source IP Address").fill("192.0.2.66")
    page.get_by_label("Description").fill("Abuse")
    if script:
        expect(page.locator("#preview")).to_contain_text("No traffic changes")
    press(page, "Add Rule")  # Nothing that passed is dropped, so there is no question.
    rules(page, "HTTPS", "Abuse", "Staging", "Office SSH")
    more(page, script, 4, "Delete…")
    answer(page, "Newly denied: inbound TCP 22 (SSH) from 10.0.0.0/24")
    said(page, "Rule 4 was deleted.")
    rules(page, "HTTPS", "Abuse", "Staging")
    press(page, "Undo")
    said(page, "Undone: the rules are as they were before.")
    rules(page, "HTTPS", "Abuse", "Staging", "Office SSH")


def a_machine_with_two_groups(page: Page, script: bool) -> None:
    follow(page, "Security Groups")
    follow(page, "Create Security Group")
    page.get_by_label("Name", exact=True).fill("closed")
    press(page, "Create Security Group")
    follow(page, "Add Rule")
    page.get_by_label("Drop", exact=True).check()
    choose_protocol(page, script, "All")
    page.get_by_label("Description").fill("Everything in")
    if script:
        expect(page.locator("#preview")).to_contain_text("No traffic changes")
    press(page, "Add Rule")
    rules(page, "Everything in")

    follow(page, "Virtual Machines")
    follow(page, "Create Virtual Machine")
    page.get_by_label("Name", exact=True).fill("web-1")
    page.get_by_label("IPv4").fill("10.0.1.11")
    page.get_by_label("Security Group 1").select_option(label="closed")
    page.get_by_label("Security Group 2").select_option(label="web")
    commit(page, script, "Create Virtual Machine", "web, rule 1: No packet reaches this rule", "Create Virtual Machine")
    said(page, "web-1 was created.")
    expect(page.locator("table.rules .description").filter(has_text="rule 1").first).to_contain_text("closed, rule 1")

    # Nothing reaches web below the drop of everything: the other order lets its traffic in.
    follow(page, "Instance settings")
    press(page, "Move group 2 up")
    expect(page.get_by_label("Security Group 1").locator("option:checked")).to_have_text("web")
    commit(page, script, "Save", "Newly allowed: inbound TCP 443 (HTTPS)", "Save")
    said(page, "The settings of web-1 were saved.")
    expect(page.locator("table.rules .description").filter(has_text="rule 1").first).to_contain_text("web, rule 1")


def packets(page: Page, script: bool) -> None:
    tab(page, "web-1", "Test a packet")
    expect(page.get_by_label("Destination IP Address")).to_have_value("10.0.1.11")
    page.get_by_label("Source IP Address").fill("203.0.113.9")
    page.get_by_label("Destination port").fill("443")
    press(page, "Test")
    verdict = page.get_by_role("status").filter(has=page.get_by_role("heading"))
    expect(verdict).to_contain_text("Accepted by rule 1 (web, rule 1)")
    permalink = page.url
    page.get_by_label("Destination port").fill("8005")
    press(page, "Test")
    expect(verdict).to_contain_text("Denied by rule 5 (closed, rule 1)")
    trace = page.get_by_role("region", name="The packet's way down the list")
    expect(trace).to_contain_text("port 8005 is not")
    expect(trace).to_contain_text("switched off")
    page.goto(permalink)
    expect(verdict).to_contain_text("Accepted by rule 1 (web, rule 1)")

    # A line of a log, on the group.
    follow(page, "Security Groups")
    follow(page, "web")
    tab(page, "web", "Test a packet")
    page.get_by_text("Paste a log line").click()
    page.get_by_label("Log line").fill("tcp 198.51.100.7 > 10.0.1.11:5432")
    press(page, "Fill in")
    expect(page.get_by_label("Destination port")).to_have_value("5432")
    press(page, "Test")
    expect(verdict).to_contain_text("Denied: no rule matches")
    page.get_by_role("link", name="Add a rule that accepts it…").click()
    expect(page.get_by_label("Source IP Address")).to_have_value(re.compile(r"198\.51\.100\.7"))
    expect(page.get_by_label("Start port")).to_have_value("5432")
    page.get_by_label("Description").fill("Database")
    commit(page, script, "Add Rule", "Newly allowed: inbound TCP 5432 (PostgreSQL) from 198.51.100.7")
    expect(page.locator("[data-row] .description").filter(has_text="Database")).to_be_visible()


def history(page: Page) -> None:
    follow(page, "History")
    rows = page.get_by_role("row")
    expect(rows.nth(1)).to_contain_text("alice")
    rows.nth(1).locator("th a").click()
    expect(page.get_by_role("heading", name="Traffic")).to_be_visible()
    page.get_by_label("Compared with").select_option(label="an empty list")
    press(page, "Compare")
    expect(page.locator("main")).to_contain_text("Newly allowed: inbound TCP 443 (HTTPS)")
    follow(page, "History")
    page.get_by_role("link", name="Restore… revision 4", exact=True).click()
    answer(page, "Rule ")
    rules(page, "Office SSH", "HTTPS", "Staging")


def files(page: Page, folder: Path) -> None:
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as download:
        follow(page, "JSON")
    exported = folder / "web.json"
    download.value.save_as(exported)
    assert [rule["description"] for rule in json.loads(exported.read_text())["rules"]] == [
        "Office SSH",
        "HTTPS",
        "Staging",
    ]
    follow(page, "Security Groups")
    follow(page, "Import")
    page.get_by_label("Name").fill("imported")
    page.get_by_label("File").set_input_files(exported)
    press(page, "Check the file")
    expect(page.locator("#confirm")).to_contain_text("inbound TCP 443 (HTTPS) and 8000–8010 from anywhere")
    press(page, "Import")
    said(page, "imported was imported.")
    rules(page, "Office SSH", "HTTPS", "Staging")


def many_rules_at_once(page: Page, script: bool) -> None:
    page.get_by_label("Select rule 1", exact=True).check()
    page.get_by_label("Select rule 3", exact=True).check()
    press(page, "More…")
    page.get_by_label("Set the source").check()
    page.get_by_label("Source IP Address").fill("198.51.100.0/24")
    commit(page, script, "Change 2 rules", "Newly denied: inbound TCP")
    expect(page.locator("[data-row] .source")).to_contain_text(["198.51.100.0/24", "Anywhere", "198.51.100.0/24"])


def duplicate_and_delete_a_group(page: Page) -> None:
    page.get_by_text("More", exact=True).click()
    follow(page, "Duplicate")
    expect(page.get_by_label("Name", exact=True)).to_have_value("imported copy")
    press(page, "Duplicate")
    said(page, "imported copy was created.")
    follow(page, "Security Groups")
    follow(page, "web")
    page.get_by_text("More", exact=True).click()
    follow(page, "Delete…")
    expect(page.locator("#confirm")).to_contain_text("1 virtual machine uses this group and would lose its rules")
    expect(page.locator("#confirm")).to_contain_text("web-1")
    press(page, "Delete Security Group")
    said(page, "web was deleted and taken off 1 VM.")
    expect(page.get_by_role("link", name="web", exact=True)).to_have_count(0)


def members(page: Page) -> None:
    follow(page, "Members")
    page.get_by_label("E-mail address").fill("new@example.com")
    page.get_by_label("Role", exact=True).select_option(label="Editor")
    press(page, "Send the invitation")
    expect(page.get_by_role("row", name=re.compile("new@example.com"))).to_be_visible()
    press(page, "Withdraw the invitation of new@example.com")
    expect(page.get_by_role("row", name=re.compile("new@example.com"))).to_have_count(0)
    row = page.get_by_role("row", name=re.compile("dora"))
    page.get_by_label("Role of dora", exact=True).select_option(label="Viewer")
    press(page, "Save the role of dora")
    expect(page.get_by_label("Role of dora", exact=True)).to_have_value("viewer")
    page.get_by_role("link", name="Remove dora").click()
    press(page, "Remove member")
    expect(row).to_have_count(0)
    follow(page, "Activity")
    expect(page.get_by_role("region", name="Activity")).to_contain_text("dora")
