"""The operators' pages in a browser: sound at every width, clean under the policy, few clicks, and of use without script."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from securitygroups.models import Project, Rule, SecurityGroup, User, VirtualMachine
from tests.admin.pages import EDITABLE, MODELS, url
from tests.browser.conftest import Browse, Look
from tests.browser.stages import crowded

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def test_every_page_of_the_administration_is_sound_with_the_longest_names(
    browse: Browse, look: Look, admin: User
) -> None:
    crowded()
    page = browse(admin)
    pages = {
        "start": reverse("admin:index"),
        "found": reverse("admin:find") + "?q=abcdef",
        "nothing found": "/admin/find/?q=zz",
    }
    pages["rules with filters"] = url(Rule) + "?q=a"
    for model in MODELS:
        name = model._meta.model_name
        pages[f"list of {name}"] = url(model)
        row = model._default_manager.order_by("pk").first()
        if row is not None:
            pages[f"page of {name}"] = url(model, "change", row.pk)
        if model in EDITABLE:
            pages[f"new {name}"] = url(model, "add")
    group = SecurityGroup.objects.all()[0]
    pages |= {"history": url(SecurityGroup, "history", group.pk), "question": url(SecurityGroup, "delete", group.pk)}
    for nth, (name, address) in enumerate(pages.items()):
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        look(page, name, dark=nth % 3 == 0)


def test_find_is_two_keys_away_on_every_page(
    browse: Browse, admin: User, project: Project, group: SecurityGroup
) -> None:
    page = browse(admin)
    page.goto("/support/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Administration").click()
    field = page.get_by_label("Find a customer, a person, a VM, a group or a case")
    expect(field).to_be_focused()

    page.goto(url(Project, "change", project.pk))
    page.keyboard.press("Control+K")
    expect(field).to_be_focused()
    page.goto(url(Project))
    page.get_by_role("heading", level=1).click()
    page.keyboard.press("/")
    page.wait_for_url("**/admin/find/")
    page.keyboard.type(group.public_id)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="web", level=1)).to_be_visible()


def test_a_member_is_added_from_the_projects_page_without_script(
    browse: Browse, admin: User, project: Project, charlie: User
) -> None:
    page = browse(admin, script=False)
    page.goto(url(Project, "change", project.pk))
    page.get_by_role("link", name="Add a member").click()
    page.get_by_label("Person").fill("charlie@example.com")
    page.get_by_label("Role").select_option("Editor")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("heading", name="Shop", level=1)).to_be_visible()
    expect(page.get_by_role("row", name="charlie")).to_contain_text("Editor")


class Clicks:
    """Clicks, counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.number = page, 0

    def __call__(self, role: str, name: str) -> None:
        self.page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type]
        self.number += 1


def test_a_new_customer_takes_two_clicks_from_the_start_page(
    browse: Browse, admin: User, mailoutbox: list[object]
) -> None:
    page = browse(admin)
    page.goto("/admin/")
    click = Clicks(page)

    click("link", "New customer")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("Harbour Works")
    expect(page.get_by_label("Slug")).to_have_value("harbour-works")
    page.get_by_label("First owner").fill("new@example.com")
    click("button", "Save")

    expect(page.get_by_role("heading", name="Harbour Works", level=1)).to_be_visible()
    expect(page.locator(".messagelist")).to_contain_text(
        "An invitation to own the project was sent to new@example.com."
    )
    assert (click.number, len(mailoutbox)) == (2, 1)
    page.get_by_role("link", name="Open in panel").click()
    expect(page.get_by_label("Reason")).to_be_visible()


def test_a_new_customer_is_made_without_script_and_refusals_are_told(browse: Browse, admin: User) -> None:
    page = browse(admin, script=False)
    page.goto("/admin/")
    page.get_by_role("link", name="New customer").click()
    page.get_by_label("Name").fill("Harbour Works")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_text("Type the e-mail address of the person who will manage the project.")).to_be_visible()
    page.get_by_label("First owner").fill(admin.email)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("heading", name="Harbour Works", level=1)).to_be_visible()
    assert Project.objects.get(slug="harbour-works").memberships.get().user == admin


def test_the_box_on_the_start_page_leads_to_a_vm_by_its_address(
    browse: Browse, admin: User, machine: VirtualMachine
) -> None:
    for script in (True, False):
        page = browse(admin, script=script)
        page.goto("/admin/")
        page.get_by_label("Find a customer, a person, a VM, a group or a case").fill("10.0.1.11")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="web-1", level=1)).to_be_visible()


def test_the_theme_of_the_panel_is_that_of_the_administration(browse: Browse, admin: User) -> None:
    page = browse(admin)
    page.goto("/admin/")
    page.get_by_label("Theme").click()
    page.get_by_role("button", name="Dark").click()
    for address in ("/admin/securitygroups/project/", "/"):
        page.goto(address)
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_a_filter_is_opened_and_chosen(browse: Browse, admin: User, group: SecurityGroup) -> None:
    for script in (True, False):
        page = browse(admin, script=script)
        page.goto("/admin/securitygroups/rule/?q=web")
        page.get_by_text("Action: All").click()
        page.get_by_role("link", name="Drop", exact=True).click()
        expect(page.get_by_text("Action: Drop")).to_be_visible()
        expect(page.get_by_role("link", name="Clear all filters")).to_be_visible()
