"""Lists without an end: so many rows are counted, and the others are found by searching."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from securitygroups import operations, paging
from securitygroups.models import Event, Project, SecurityGroup, User
from securitygroups.operations import By
from securitygroups.paging import BoundedPaginator
from tests.admin.pages import said, url
from tests.factories import make_group
from tests.web.pages import Page


@pytest.fixture
def ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is met with few rows."""
    monkeypatch.setattr(paging, "MOST", 10)
    monkeypatch.setattr("securitygroups.admin.base.MOST", 10)


@pytest.mark.parametrize(("rows", "count", "more"), [(9, 9, False), (10, 10, False), (11, 10, True)])
def test_rows_are_counted_up_to_a_limit(ten: None, project: Project, rows: int, count: int, more: bool) -> None:
    made = [make_group(project, f"g{number}") for number in range(rows)]
    pages = BoundedPaginator(SecurityGroup.objects.order_by("pk"), 4)

    assert (pages.count, pages.more, pages.num_pages) == (count, more, -(-count // 4))
    assert list(pages.page(2).object_list) == made[4:8]


def test_the_activity_goes_on_before_the_rows_that_are_counted(ten: None, project: Project, as_alice: Client) -> None:
    for number in range(11):
        make_group(project, f"g{number}")
    address = f"/p/{project.slug}/activity/"

    today = f"{timezone.now():%Y-%m-%d}"
    assert "found by choosing a day" in Page(as_alice.get(address)).text
    assert "Project created" not in Page(as_alice.get(f"{address}?until=1999-12-31")).text
    assert len(as_alice.get(f"{address}?until={today}").context["page"].object_list) == 10


@pytest.mark.parametrize("day", ["garbage", "2026-02-31", "9999-12-31", "0001-01-01x", ""])
def test_a_day_that_is_none_leaves_nothing_out(project: Project, as_alice: Client, day: str) -> None:
    found = as_alice.get(f"/p/{project.slug}/activity/", {"until": day}).context["page"].object_list
    assert len(found) == Event.objects.filter(project=project).count()


def test_activity_is_found_by_how_a_name_begins(project: Project, as_alice: Client, erin: User) -> None:
    operations.create_group(project=project, name="hers", description="", by=By(erin))

    def by(who: str) -> set[str]:
        rows = as_alice.get(f"/p/{project.slug}/activity/", {"who": who}).context["page"].object_list
        return {row.actor_name for row in rows}

    assert (by("ERI"), by("rin"), by("%")) == ({"erin"}, set(), set())


def test_a_longer_list_of_the_admin_says_so_and_takes_no_action_on_all_of_it(
    ten: None, project: Project, as_admin: Client
) -> None:
    groups = [make_group(project, f"g{number}") for number in range(11)]
    asked: dict[str, Any] = {"action": "recheck", "select_across": "1", "_selected_action": groups[0].pk, "index": "0"}

    assert "More than 10 security groups – search" in Page(as_admin.get(url(SecurityGroup))).text
    assert said(as_admin.post(url(SecurityGroup), asked, follow=True)) == [
        "These are more than 10: search for fewer first. Nothing was done."
    ]
