"""Times are told in the zone of who reads them, and say so."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client

from securitygroups.models import AccountEvent, Project, SecurityGroup, User
from tests.factories import make_group
from tests.web.pages import Page, messages

pytestmark = pytest.mark.django_db
ZONE = "/account/time-zone/"
SUMMER = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def choose(browser: Client, zone: str) -> None:
    assert browser.post(ZONE, {"time_zone": zone}).status_code == 302


def test_a_person_chooses_the_zone_that_times_are_told_in(as_alice: Client, alice: User) -> None:
    page = Page(as_alice.get(ZONE))
    answer = page.form_with("time_zone").send(as_alice, time_zone="Europe/Berlin")
    assert answer["Location"] == "/account/"
    assert "Times are shown in Europe/Berlin now." in messages(as_alice)
    alice.refresh_from_db()
    assert alice.time_zone == "Europe/Berlin"
    line = AccountEvent.objects.filter(user=alice, verb=AccountEvent.Verb.ACCOUNT_CHANGED).get()
    assert line.detail == {"before": {"time_zone": ""}, "after": {"time_zone": "Europe/Berlin"}}


def test_the_page_tells_the_time_there(as_alice: Client) -> None:
    with time_machine.travel(SUMMER, tick=False):
        assert "It is 12:00 UTC now." in Page(as_alice.get(ZONE)).text
        choose(as_alice, "Europe/Berlin")
        assert "It is 14:00 CEST in Europe/Berlin now." in Page(as_alice.get(ZONE)).text


def test_what_is_no_zone_is_refused_in_words(as_alice: Client, alice: User) -> None:
    for zone in ("", "Berlin", "../../etc/passwd", "Europe/Berlin "):
        answer = as_alice.post(ZONE, {"time_zone": zone})
        assert answer.status_code == 422
        assert Page(answer).text.count("choose one such as Europe/Berlin") or not zone.strip()
    alice.refresh_from_db()
    assert alice.time_zone == ""


def test_the_browsers_zone_is_offered_until_it_is_answered(as_alice: Client, project: Project) -> None:
    there = project.get_absolute_url()
    assert "data-zone-offer" in as_alice.get(there).content.decode()
    answer = as_alice.post(
        ZONE, {"time_zone": "UTC", "offered": "1"}, headers={"Referer": f"http://testserver{there}?a=1"}
    )
    assert answer["Location"] == f"{there}?a=1"
    assert "data-zone-offer" not in as_alice.get(there).content.decode()


@pytest.mark.parametrize(("zone", "told"), [("Europe/Berlin", "14:00:00 CEST"), ("Asia/Kathmandu", "17:45:00 +0545")])
def test_exact_times_are_told_in_the_readers_zone(
    as_alice: Client, project: Project, alice: User, zone: str, told: str
) -> None:
    with time_machine.travel(SUMMER, tick=False):
        make_group(project, "made in summer")
        choose(as_alice, zone)
        page = as_alice.get(f"{project.get_absolute_url()}activity/").content.decode()
    assert f'title="1 July 2026, {told}"' in page
    # Machines read the offset.
    assert re.search(r'<time datetime="2026-07-01T\d\d:\d\d:00\+0\d:\d\d"', page)


def test_the_same_moment_is_told_to_two_readers_each_in_their_zone(
    as_alice: Client, as_bob: Client, project: Project
) -> None:
    with time_machine.travel(SUMMER, tick=False):
        make_group(project, "made in summer")
        choose(as_alice, "America/New_York")
        for browser, told in ((as_alice, "08:00:00 EDT"), (as_bob, "12:00:00 UTC"), (as_alice, "08:00:00 EDT")):
            assert told in browser.get(f"{project.get_absolute_url()}activity/").content.decode()


def test_a_zone_that_is_not_known_any_more_is_read_as_utc(as_alice: Client, alice: User, project: Project) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Europe/Atlantis")
    assert as_alice.get(project.get_absolute_url()).status_code == 200


def at(browser: Client, group: SecurityGroup, query: str) -> str:
    there = f"{group.get_absolute_url()}test/?test=1&direction=in&protocol=tcp&source=203.0.113.9&destination=10.0.0.5"
    page = browser.get(f"{there}&port=22&{query}").content.decode()
    found = re.search(r"As of (\d[^.]+)\.", page)
    return found[1].strip() if found else ""


def test_a_time_that_was_typed_is_one_of_the_zone_in_the_address(
    as_alice: Client, as_bob: Client, project: Project
) -> None:
    with time_machine.travel(SUMMER, tick=False):
        group = make_group(project)
        choose(as_alice, "Europe/Berlin")
        for query, alices, bobs in (
            # Typed by Alice and sent to Bob: the same moment.
            ("at=2026-07-01T14:10&zone=Europe/Berlin", "1 July 2026, 14:10 CEST", "1 July 2026, 12:10 UTC"),
            # An address from before zones could be chosen, and one that was made up.
            ("at=2026-07-01T12:10", "1 July 2026, 14:10 CEST", "1 July 2026, 12:10 UTC"),
            ("at=2026-07-01T12:10&zone=Nowhere", "1 July 2026, 14:10 CEST", "1 July 2026, 12:10 UTC"),
            ("at=2026-07-01T12:10%2B00:00", "1 July 2026, 14:10 CEST", "1 July 2026, 12:10 UTC"),
            # The hour that there is twice, and the one that there is not.
            ("at=2025-10-26T02:30&zone=Europe/Berlin", "26 October 2025, 02:30 CEST", "26 October 2025, 00:30 UTC"),
            ("at=2026-03-29T02:30&zone=Europe/Berlin", "29 March 2026, 03:30 CEST", "29 March 2026, 01:30 UTC"),
            ("at=0001-01-01T00:00&zone=Asia/Kathmandu", "", ""),
            ("at=9999-12-31T23:59&zone=America/New_York", "", ""),
        ):
            assert at(as_alice, group, query) == alices, query
            assert at(as_bob, group, query) == bobs, query
        # At the end of all days a zone has none left.
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            choose(as_alice, zone)
            for end in ("0001-01-01T00:00", "9999-12-31T23:59"):
                for offset in ("", "%2B00:00", "-15:00", "%2B15:00"):
                    assert as_alice.get(f"{group.get_absolute_url()}test/?at={end}{offset}").status_code == 200
        choose(as_alice, "Europe/Berlin")
        form = as_alice.get(f"{group.get_absolute_url()}test/?at=2026-07-01T12:10%2B00:00").content.decode()
        assert 'value="2026-07-01T14:10:00"' in form
        assert 'name="zone" value="Europe/Berlin"' in form


@pytest.mark.parametrize("moment", ["2025-10-26T00:30:00", "2025-10-26T01:30:00", "2026-03-29T01:00:00"])
def test_a_time_of_an_hour_that_there_is_twice_stays_the_same_when_the_form_is_sent_again(
    as_alice: Client, group: SecurityGroup, moment: str
) -> None:
    choose(as_alice, "Europe/Berlin")
    form = Page(as_alice.get(f"{group.get_absolute_url()}test/?at={moment}%2B00:00")).form_with("at")
    told = {name: values[0] for name, values in form.fields.items() if name in ("at", "zone")}
    zone = ZoneInfo(told["zone"])
    assert datetime.fromisoformat(told["at"]).replace(tzinfo=zone).astimezone(UTC) == datetime.fromisoformat(
        f"{moment}+00:00"
    )


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_activity_since_a_moment_that_somebody_made_up_is_a_page(
    as_alice: Client, group: SecurityGroup, zone: str
) -> None:
    choose(as_alice, zone)
    for moment in ("9999-12-31T23:59:59", "0001-01-01T00:00:00", "2026-01-01T00:00:00"):
        for offset in ("+00:00", "-12:00", "+23:59", "-23:59", ""):
            for page in ("", "list.csv"):
                answer = as_alice.get(f"/p/shop/activity/{page}", {"since": moment + offset})
                assert answer.status_code == 200, (moment, offset, page)


def test_an_offer_that_was_answered_from_no_page_of_ours_goes_on_all_the_same(as_alice: Client) -> None:
    for page in ("x", "?a", "http://testserver", "http://testserver?a=1", "//testserver", "http://[", "\\"):
        sent = {"time_zone": "UTC", "offered": "1"}
        assert as_alice.post(ZONE, sent, headers={"Referer": page}).status_code == 302, page
