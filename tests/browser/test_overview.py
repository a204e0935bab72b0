"""The overview in a browser: its picture fits its names, and all of it is there without script and by keyboard."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from playwright.sync_api import expect

from securitygroups import operations
from securitygroups.answers import internet as internets
from securitygroups.models import Membership, Project, User
from securitygroups.operations import By
from securitygroups.web.drawn import BUNDLE_ROW, PORT_ROW
from tests.browser.conftest import DESKTOP, NARROWEST, PHONE, Browse, Look
from tests.factories import make_group, make_machine, make_project, make_user

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

LONG = "a-name-as-long-as-there-can-be-" * 3


@pytest.fixture
def shop(db: None) -> Project:
    """A month old, with alarms, more VMs than have a line each, and changes of somebody else's."""
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(days=35)):
        project = make_project(make_user("alice"), "Shop")
        web = make_group(project, "web", ["accept in tcp 443", "accept in icmp"])
        admin = make_group(project, LONG, ["accept in tcp 22", "accept in tcp 3306 from 0.0.0.0/1"])
        for number in range(20):
            groups = [web, admin] if number % 3 else [web]
            make_machine(project, f"{LONG}{number}", groups, ipv4=f"10.0.0.{number + 1}")
    Membership.objects.update(seen_at=now - timedelta(days=2))
    erin = make_user("erin")
    operations.create_group(project=project, name=f"{LONG}new", description="", rules=[], by=By(erin))
    return project


def alice() -> User:
    return User.objects.get(username="alice")


def test_the_picture_is_sound_and_its_bands_meet_their_names(browse: Browse, look: Look, shop: Project) -> None:
    page = browse(alice())
    page.goto("/p/shop/")
    expect(page.get_by_role("heading", name="Since you were here")).to_be_visible()

    for rows, height in ((".flow-ports > li", PORT_ROW), (".flow-machines > li", BUNDLE_ROW)):
        boxes = page.locator(rows).evaluate_all("all => all.map((one) => one.getBoundingClientRect().height)")
        assert boxes
        assert set(boxes) == {height}
    # The first band ends where the first port's row has its middle.
    ends = page.locator(".flow-bands path").first.evaluate("one => one.getBoundingClientRect().top")
    row = page.locator(".flow-ports > li").first.evaluate(
        "one => [one.getBoundingClientRect().top, one.getBoundingClientRect().bottom]"
    )
    assert row[0] < ends < row[1]
    look(page, "the overview")
    for summary in page.get_by_text("The same as a table").all():
        page.set_viewport_size({"width": DESKTOP, "height": 900})
        summary.click()
    look(page, "the overview with its tables")


@pytest.mark.parametrize("width", [PHONE, NARROWEST])
def test_on_a_phone_each_port_has_its_vms_beneath_it(width: int, browse: Browse, shop: Project) -> None:
    page = browse(alice(), width=width, script=False)
    page.goto("/p/shop/")

    expect(page.locator(".flow-bands").first).to_be_hidden()
    for port in page.locator(".flow-ports > li").all():
        expect(port.locator(".flow-behind")).to_be_visible()


def test_the_alarm_leads_to_its_rule_by_keyboard(browse: Browse, shop: Project) -> None:
    page = browse(alice())
    page.goto("/p/shop/")
    link = page.get_by_role("region", name=re.compile("open to the internet")).get_by_role(
        "link", name=re.compile("rule 1")
    )

    link.focus()
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/groups/sg-.*#rule-"))


@pytest.mark.parametrize("script", [True, False])
def test_a_large_project_is_drawn_once_it_is_looked_at(
    script: bool, browse: Browse, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internets, "MAX_OVERVIEW_MACHINES", 0)
    page = browse(alice(), script=script)
    page.goto("/p/shop/")

    if not script:
        page.get_by_role("link", name="see what the internet reaches").click()

    expect(page.get_by_role("heading", name="on 13 VMs")).to_be_visible()
    expect(page.get_by_role("heading", name="The last 30 days")).to_be_visible()
