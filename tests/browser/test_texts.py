"""Names that are written from right to left, and texts that would turn others: all words stay where they belong."""

import pgtrigger
import pytest
from django.db import connection
from playwright.sync_api import Locator, Page, expect

from securitygroups import operations
from securitygroups.models import Event
from securitygroups.operations import By
from tests.browser.conftest import Browse
from tests.factories import make_group, make_machine, make_project, make_user

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.django_db(transaction=True)]

PLACES = """(element, words) => words.map((word) => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const at = node.data.indexOf(word);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + word.length);
    return range.getBoundingClientRect().left;
  }
  return -1;
})"""


def in_order(line: Locator, *words: str) -> bool:
    """Whether each of the words stands to the right of the one before it."""
    places: list[float] = line.evaluate(PLACES, list(words))
    return -1 not in places and places == sorted(places)


def test_words_stay_in_their_order_around_names_from_right_to_left(browse: Browse) -> None:
    alice = make_user("alice")
    project = make_project(alice, "Shop")
    groups = [make_group(project, name, ["accept in tcp 22"]) for name in ("שרת 1", "خادم 2", "web")]
    machine = make_machine(project, "מכונה 7", groups, ipv4="10.0.0.7")
    make_machine(project, "קופסה 8", groups, ipv4="10.0.0.8")
    page: Page = browse(alice)

    page.goto(f"{machine.get_absolute_url()}history/")
    assert in_order(page.get_by_role("rowheader"), "שרת", "خادم", "web")
    page.goto(f"{project.get_absolute_url()}exposure/")
    row = page.get_by_role("row").filter(has_text="קופסה").first
    assert in_order(row, "מכונה", "קופסה")
    page.goto(f"{machine.get_absolute_url()}delete/")
    assert in_order(page.locator("main"), "Its groups stay", "שרת", "خادم", "web")


def test_a_record_from_before_the_rule_turns_nothing_around(browse: Browse) -> None:
    alice = make_user("alice")
    project = make_project(alice, "Shop")
    group = make_group(project, "web")
    operations.update_group(group=group, name="web 2", description="", by=By(alice))
    event = Event.objects.get(verb="group.changed")
    with pgtrigger.ignore(), connection.cursor() as cursor:
        summary = "Renamed web to \u202eexe.txt \u2067of somebody else."
        cursor.execute("UPDATE securitygroups_event SET summary = %s WHERE id = %s", [summary, event.pk])
    page: Page = browse(alice)

    page.goto(f"{project.get_absolute_url()}activity/")
    line = page.get_by_role("listitem").filter(has_text="Renamed")

    expect(line).to_contain_text("Renamed web to \ufffdexe.txt \ufffdof somebody else.")
    assert in_order(line, "alice", "Renamed", "exe", ".txt", "of", "somebody", "else.")
