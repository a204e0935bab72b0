"""The page of the API, as people read it."""

import pytest
from playwright.sync_api import Page, expect

from securitygroups.models import Project, User
from tests.browser.conftest import Browse, Look

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]


def test_an_operation_is_found_and_opened(browse: Browse, alice: User, project: Project, look: Look) -> None:
    page: Page = browse(alice)
    page.goto("/api/v1/")

    page.get_by_role("link", name="Replace the whole list of a group").click()
    section = page.get_by_role("region", name="Replace the whole list of a group")
    section.get_by_text("What is sent").click()

    expect(section.get_by_text("rules[].source", exact=True)).to_be_visible()
    look(page, "reference of the API")
