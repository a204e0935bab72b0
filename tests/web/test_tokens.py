"""API tokens: made on a page, shown once, revoked; and what is on record of what was done by one."""

import csv
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from karenpanel import marks
from karenpanel.logs import HIDDEN, redacted
from securitygroups import operations
from securitygroups.access import token_by
from securitygroups.answers.since import since
from securitygroups.models import AccountEvent, ApiToken, Event, Project, Role, SecurityGroup, User
from securitygroups.operations import By
from securitygroups.operations.records import record
from tests.conftest import SignIn
from tests.factories import PASSWORD, make_project, make_token, make_user, sign_in_at
from tests.web.pages import Form, Page, form_at, messages

OWN, SHOP = "/account/tokens/", "/p/shop/tokens/"
BOTH = pytest.mark.parametrize("tokens", [OWN, SHOP], ids=["own", "of the project"])
SECRET = re.compile(r"kp_[A-Za-z0-9]{43}")


def fill(client: Client, tokens: str, **said: Any) -> Any:
    """Fill in the form as it comes, and send it."""
    form: Form = form_at(client, f"{tokens}new/")
    return form.send(client, **{"name": "deploy", "scopes": ["read"]} | said)


def secret_in(response: Any) -> str:
    assert response.status_code == 201, Page(response).errors
    (secret,) = set(SECRET.findall(response.content.decode()))
    return str(secret)


# ── Making one ────────────────────────────────────────────────────────────────


@BOTH
def test_a_token_is_made_and_its_secret_opens_what_was_asked_for(
    as_alice: Client, project: Project, tokens: str
) -> None:
    response = fill(as_alice, tokens, scopes=["read", "write"], networks="203.0.113.7\n\n 2001:db8::/32 ", lasts="30")

    token = token_by(operations.digest_of(secret_in(response)))
    assert token is not None
    assert (token.name, token.scopes, token.networks) == (
        "deploy",
        ["read", "write"],
        ["203.0.113.7/32", "2001:db8::/32"],
    )
    assert token.project == (project if tokens == SHOP else None)
    assert token.expires_at is not None
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    assert Page(response).text.count("Bearer kp_") == 1
    assert "http://testserver/api/v1/projects" in Page(response).text


@BOTH
def test_the_secret_is_shown_once_and_is_kept_nowhere(
    as_alice: Client, project: Project, tokens: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    response = fill(as_alice, tokens)

    secret = secret_in(response)
    assert "no-store" in response["Cache-Control"]
    assert secret not in "".join(map(str, response.headers.values()))
    assert not response.cookies or secret not in response.cookies.output()
    assert secret not in as_alice.get(tokens).content.decode()
    assert secret not in caplog.text
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" AS line WHERE line::text LIKE %s', [f"%{secret}%"])
            assert cursor.fetchone() == (0,), table
    assert all(secret not in message.body for message in mail.outbox)


@BOTH
def test_the_page_of_the_secret_works_without_script(as_alice: Client, project: Project, tokens: str) -> None:
    page = fill(as_alice, tokens).content.decode()

    field = re.search(r'<input id="secret"[^>]*>', page)
    assert field is not None
    assert "readonly" in field[0]
    assert 'name="' not in field[0], "it is no field of a form that could be sent or kept"
    assert 'autocomplete="off"' in field[0]
    # The button that copies needs script, and is not there without.
    assert re.search(r'data-copy-from="secret" data-js', page)


@BOTH
def test_a_second_click_makes_no_second_token_and_says_where_the_secret_went(
    as_alice: Client, project: Project, tokens: str
) -> None:
    form = form_at(as_alice, f"{tokens}new/")
    secret_in(form.send(as_alice, name="deploy", scopes=["read"]))

    second = form.send(as_alice, name="deploy", scopes=["read"])

    token = ApiToken.objects.get()
    assert (second.status_code, second["Location"]) == (302, f"{tokens}?made={token.pk}")
    text = Page(as_alice.get(second["Location"])).text
    assert "deploy was made. Its secret was shown once, and is not shown again." in text


@BOTH
def test_the_page_of_the_secret_that_is_sent_again_later_makes_no_second_token(
    as_alice: Client, project: Project, tokens: str
) -> None:
    form = form_at(as_alice, f"{tokens}new/")
    secret_in(form.send(as_alice, name="deploy", scopes=["read"]))
    cache.clear()

    response = form.send(as_alice, name="Deploy", scopes=["read"])

    assert response.status_code == 422
    assert Page(response).errors["name"].startswith("There is a good token of this name already")
    assert ApiToken.objects.count() == 1


def test_a_project_and_a_person_may_have_tokens_of_one_name(as_alice: Client, project: Project) -> None:
    secret_in(fill(as_alice, OWN))
    secret_in(fill(as_alice, SHOP))

    assert ApiToken.objects.filter(name="deploy").count() == 2


def test_a_name_is_free_again_when_its_token_is_revoked(as_alice: Client, project: Project, alice: User) -> None:
    operations.revoke_token(token=make_token(alice, name="deploy"), by=By(alice))

    secret_in(fill(as_alice, OWN))


@BOTH
@pytest.mark.parametrize(
    ("said", "field", "words"),
    [
        ({"name": " "}, "name", "Type a name by which you will know the program"),
        ({"name": "n" * 61}, "name", "at most 60 characters"),
        ({"name": "deploy\u202e"}, "name", "direction"),
        ({"scopes": []}, "scopes", "Tick what the program needs, and no more."),
        ({"scopes": ["all"]}, "scopes", "all is not one of the available choices"),
        ({"scopes": ["read", "unasked"]}, "scopes", "is of use only with"),
        ({"networks": "10.0.0.0/8\nanywhere"}, "networks", "Line 2:"),
        ({"networks": "10.0.0.5/24"}, "networks", "10.0.0.0/24"),
        ({"networks": "fe80::1%eth0"}, "networks", "Line 1:"),
        ({"networks": "\n".join(f"10.0.0.{n}" for n in range(21))}, "networks", "Write 20 networks at most"),
        ({"networks": "9" * 1300}, "networks", "at most 1200 characters"),
        ({"lasts": "forever"}, "lasts", "forever is not one of the available choices"),
        ({"lasts": "day"}, "until", "Type the last day on which it is good."),
        ({"lasts": "day", "until": "2020-01-01"}, "until", "Type a day from today up to"),
        ({"lasts": "day", "until": "9999-12-31"}, "until", "Type a day from today up to"),
        ({"lasts": "day", "until": "soon"}, "until", "Type a day as year, month and day"),
        ({"lasts": "30", "until": "2030-01-01"}, "until", "Choose “Until a day” for this day to count"),
    ],
)
def test_what_cannot_be_is_told_at_its_field_and_nothing_is_made(
    as_alice: Client, project: Project, tokens: str, said: dict[str, Any], field: str, words: str
) -> None:
    response = fill(as_alice, tokens, **said)

    assert response.status_code == 422
    assert words in Page(response).errors[field]
    assert not ApiToken.objects.exists()


def test_the_last_day_is_one_of_the_persons_time_zone(sign_in: SignIn, alice: User) -> None:
    operations.set_time_zone(person=alice, zone="Europe/Berlin")
    # It is the 27th there.
    with time_machine.travel(datetime(2026, 11, 26, 23, 30, tzinfo=UTC), tick=False):
        secret_in(fill(sign_in(alice), OWN, lasts="day", until="2026-11-27"))

    assert ApiToken.objects.get().expires_at == datetime(2026, 11, 27, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize("days", [0, 365])
def test_the_first_and_the_last_day_that_are_offered_are_taken(as_alice: Client, project: Project, days: int) -> None:
    secret_in(fill(as_alice, OWN, lasts="day", until=(timezone.localdate() + timedelta(days=days)).isoformat()))


def test_a_token_without_an_end_is_one_that_was_chosen(as_alice: Client, project: Project) -> None:
    assert form_at(as_alice, f"{OWN}new/").fields["lasts"] == ["90"]

    secret_in(fill(as_alice, OWN, lasts="never"))

    assert ApiToken.objects.get().expires_at is None
    assert "No end" in Page(as_alice.get(OWN)).text


def test_a_persons_own_is_limited_to_projects_of_theirs_alone(
    as_alice: Client, alice: User, project: Project, bakery: Project
) -> None:
    cafe = make_project(alice, "Cafe")

    refused = fill(as_alice, OWN, projects=["cafe", bakery.slug])
    secret_in(fill(as_alice, OWN, projects=["cafe"]))

    assert (
        Page(refused).errors["projects"] == f"Select a valid choice. {bakery.slug} is not one of the available choices."
    )
    assert list(ApiToken.objects.get().projects.all()) == [cafe]
    assert "Cafe" in Page(as_alice.get(OWN)).text


def test_a_quota_is_told_with_what_to_do(as_alice: Client, alice: User, project: Project) -> None:
    for _ in range(operations.MOST_TOKENS):
        make_token(alice)

    response = fill(as_alice, OWN)

    assert response.status_code == 422
    assert "There are 50 tokens already: revoke one that is not used." in Page(response).text


# ── Who makes one ─────────────────────────────────────────────────────────────


@BOTH
def test_a_session_that_is_not_fresh_shows_once_more_who_it_is_first(
    sign_in: SignIn, alice: User, project: Project, tokens: str
) -> None:
    browser = sign_in(alice)
    form = form_at(browser, f"{tokens}new/")
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        opened = browser.get(f"{tokens}new/")
        response = form.send(browser, name="deploy", scopes=["read"])

        assert opened["Location"] == f"/sign-in/again/?next={tokens}new/"
        assert response["Location"].startswith("/sign-in/again/?next=/typed/")
        assert not ApiToken.objects.exists()

        # What was typed is kept, and comes back into the form.
        again = browser.post(
            "/sign-in/again/", {"password": PASSWORD, "next": response["Location"].partition("next=")[2]}
        )
        assert again.status_code == 302
        secret_in(form_at(browser, f"{tokens}new/").send(browser, name="deploy", scopes=["read"]))


@BOTH
def test_who_has_a_second_factor_makes_none_without_it(
    client: Client, alice: User, project: Project, tokens: str
) -> None:
    TOTP.activate(alice, "JBSWY3DPEHPK3PXP")
    sign_in_at(client, alice, strong=False)

    for answer in (client.get(f"{tokens}new/"), client.post(f"{tokens}new/", {"name": "deploy", "scopes": "read"})):
        assert answer["Location"].startswith("/sign-in/again/code/"), "a stolen password would last beyond its change"
    assert not ApiToken.objects.exists()
    assert client.get(tokens).status_code == 200


def test_staff_make_none_without_a_second_factor(client: Client, staff: User) -> None:
    sign_in_at(client, staff, strong=False)

    assert client.get(OWN)["Location"] == "/account/factors/"


@pytest.mark.parametrize("strong", [True, False])
def test_a_token_opens_what_the_session_opened(client: Client, alice: User, project: Project, strong: bool) -> None:
    safe = make_project(alice, "Safe")
    operations.require_second_factor(project=safe, required=True, by=By(alice))
    sign_in_at(client, alice, strong=strong)

    response = fill(client, OWN, projects=["safe"])

    if strong:
        secret_in(response)
        assert ApiToken.objects.get().strong
    else:
        assert Page(response).errors["projects"].startswith("Safe asks for a second factor")


def test_a_token_says_nothing_to_members_who_are_no_owners(as_bob: Client, alice: User, project: Project) -> None:
    token = make_token(alice, of=project, name="nightly")

    pages = [as_bob.get(SHOP), as_bob.get(f"{SHOP}{token.pk}/revoke/"), as_bob.get("/p/shop/members/")]

    assert [page.status_code for page in pages] == [403, 403, 200]
    assert all("nightly" not in page.content.decode() for page in pages)
    assert SHOP not in pages[2].content.decode()


# ── The list, and revoking ────────────────────────────────────────────────────


def test_the_list_says_what_each_may_and_when_it_was_used(as_alice: Client, alice: User, project: Project) -> None:
    token = make_token(alice, "read", "test", of=project, name="nightly", networks=["203.0.113.0/24"])
    operations.note_use(token, "203.0.113.9")

    text = Page(as_alice.get(SHOP)).text

    assert f"nightly ends in {token.ending} Read, Test packets 203.0.113.0/24" in text
    assert "by alice just now 203.0.113.9 No end" in text


def test_what_ended_is_below_what_is_good(as_alice: Client, alice: User, project: Project) -> None:
    with time_machine.travel(timezone.now() - timedelta(days=3)):
        make_token(alice, name="old", expires_at=timezone.now() + timedelta(days=1))
    operations.revoke_token(token=make_token(alice, name="lost"), by=By(alice))
    make_token(alice, name="new")

    good, ended = Page(as_alice.get(OWN)).text.split("No longer good")

    assert "new" in good
    assert "old" not in good
    assert "Expired 2 days ago" in ended
    assert "Revoked just now by alice" in ended
    assert "Revoke…" not in ended


@BOTH
def test_revoking_is_asked_about_and_then_it_opens_nothing(as_alice: Client, project: Project, tokens: str) -> None:
    secret = secret_in(fill(as_alice, tokens))
    token = ApiToken.objects.get()
    question = as_alice.get(f"{tokens}{token.pk}/revoke/")
    assert "Revoke deploy?" in Page(question).text
    assert token_by(operations.digest_of(secret)) == token

    answer = form_at(as_alice, f"{tokens}{token.pk}/revoke/").send(as_alice)

    assert answer["Location"] == tokens
    assert token_by(operations.digest_of(secret)) is None
    assert "The token “deploy” opens nothing any more." in messages(as_alice)
    again = Page(as_alice.get(f"{tokens}{token.pk}/revoke/")).text
    assert "It was revoked just now" in again


def test_owners_revoke_what_another_owner_made(sign_in: SignIn, alice: User, erin: User, project: Project) -> None:
    token = make_token(alice, of=project)
    operations.change_role(member=project.memberships.get(user=erin), role=Role.OWNER, by=By(alice))

    sign_in(erin).post(f"{SHOP}{token.pk}/revoke/")

    token.refresh_from_db()
    assert (token.is_good, token.revoked_by) == (False, erin)


def test_an_own_token_is_nobody_elses_to_see_or_revoke(
    as_alice: Client, sign_in: SignIn, alice: User, erin: User, project: Project
) -> None:
    own, of_project = make_token(alice), make_token(alice, of=project)

    assert sign_in(erin).post(f"{OWN}{own.pk}/revoke/").status_code == 404
    # Not by the address of the other kind, either.
    assert as_alice.post(f"{SHOP}{own.pk}/revoke/").status_code == 404
    assert as_alice.post(f"{OWN}{of_project.pk}/revoke/").status_code == 404
    assert ApiToken.objects.good().count() == 2


def test_a_lost_token_is_revoked_without_a_password(sign_in: SignIn, alice: User, project: Project) -> None:
    browser, token = sign_in(alice), make_token(alice)
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        browser.post(f"{OWN}{token.pk}/revoke/")

    assert not ApiToken.objects.good().exists()


def test_the_account_and_the_members_lead_to_the_tokens(as_alice: Client, alice: User, project: Project) -> None:
    make_token(alice)
    make_token(alice, of=project)

    account, members = as_alice.get("/account/"), as_alice.get("/p/shop/members/")

    assert "API tokens 1 good" in Page(account).text
    assert f'href="{OWN}"' in account.content.decode()
    assert f'href="{SHOP}"' in members.content.decode()


def test_the_number_of_queries_does_not_grow_with_the_tokens(as_alice: Client, alice: User, project: Project) -> None:
    def count(tokens: str) -> int:
        as_alice.get(tokens)
        with CaptureQueriesContext(connection) as asked:
            as_alice.get(tokens)
        return len(asked)

    for of in (None, project):
        make_token(alice, of=of)
        operations.revoke_token(token=make_token(alice, of=of), by=By(alice))
    few = [count(OWN), count(SHOP)]
    for of in (None, project):
        for _ in range(5):
            make_token(alice, of=of, projects=[] if of else [project])
            operations.revoke_token(token=make_token(alice, of=of), by=By(alice))

    assert [count(OWN), count(SHOP)] == few


# ── On record ─────────────────────────────────────────────────────────────────


def test_a_token_of_a_project_is_in_its_activity(as_alice: Client, project: Project) -> None:
    secret_in(fill(as_alice, SHOP))
    as_alice.post(f"{SHOP}{ApiToken.objects.get().pk}/revoke/")

    lines = [event.summary for event in Event.objects.filter(verb__startswith="token.").order_by("pk")]

    assert lines == ["Made the API token “deploy”: Read.", "Revoked the API token “deploy”: Read."]
    assert "Made the API token “deploy”: Read." in Page(as_alice.get("/p/shop/activity/")).text


def test_a_persons_own_is_on_the_record_of_their_account_and_they_are_told_by_mail(
    as_alice: Client, alice: User, project: Project
) -> None:
    secret_in(fill(as_alice, OWN, scopes=["read", "write"]))
    as_alice.post(f"{OWN}{ApiToken.objects.get().pk}/revoke/")

    events = AccountEvent.objects.filter(user=alice, verb__startswith="token.").order_by("pk")
    assert [(event.verb, event.detail["name"], event.address) for event in events] == [
        ("token.made", "deploy", "127.0.0.1"),
        ("token.revoked", "deploy", "127.0.0.1"),
    ]
    assert "API token revoked deploy" in Page(as_alice.get("/account/")).text
    assert not project.events.filter(verb__startswith="token.").exists()


@pytest.mark.django_db(transaction=True)
def test_the_mail_says_what_the_token_may_and_from_where_it_was_made(sign_in: SignIn) -> None:
    alice = make_user("alice")

    secret_in(fill(sign_in(alice), OWN, scopes=["read", "write"]))

    (message,) = mail.outbox
    assert (message.to, message.subject) == (["alice@example.com"], "[karenpanel] The API token “deploy” was made")
    assert "may: Read, Change groups and VMs." in message.body
    assert "From: 127.0.0.1" in message.body
    assert "kp_" not in message.body


def by_token(user: User, token: ApiToken) -> By:
    return By(user, token=token)


def test_every_page_of_the_record_says_the_token_beside_the_person(
    as_alice: Client, sign_in: SignIn, alice: User, erin: User, project: Project, group: SecurityGroup
) -> None:
    token = make_token(alice, "write", of=project, name="nightly")
    rules = operations.rules_at(group, 1)
    operations.commit_rules(group=group, rules=rules[1:], base=1, by=by_token(alice, token))

    said = "alice, API token “nightly”"
    at = group.get_absolute_url()
    for address in (f"{at}", f"{at}history/", f"{at}history/2/", "/p/shop/activity/"):
        assert said in Page(as_alice.get(address)).text.replace(" ,", ","), address
    stale = as_alice.post(f"{at}rules/{rules[0].uid}/delete/", {"base": "1"})
    assert (stale.status_code, said in Page(stale).text) == (409, True)


def test_what_a_program_did_is_news_to_its_own_person(alice: User, project: Project, group: SecurityGroup) -> None:
    before = timezone.now()
    token = make_token(alice, "write", of=project, name="nightly")
    operations.commit_rules(group=group, rules=[], base=1, by=by_token(alice, token))

    told = [(line.name, line.what) for line in since(project, alice, before).lines]

    assert told == [("web", "1 change by alice, API token “nightly”")]


def test_what_others_did_with_tokens_is_told_as_one_line(alice: User, erin: User, project: Project) -> None:
    before = timezone.now()
    operations.revoke_token(token=make_token(alice, of=project), by=By(alice))

    told = [(line.name, line.what) for line in since(project, erin, before).lines]

    assert told == [("API tokens", "2 changes by alice")]


def test_a_person_and_their_program_are_never_one_line(as_alice: Client, alice: User, project: Project) -> None:
    token = make_token(alice, "write", of=project, name="nightly")
    for who in (By(alice), By(alice), by_token(alice, token), by_token(alice, token), by_token(alice, token)):
        record(project, Event.Verb.PROJECT_CHANGED, "Changed the quota.", by=who)

    text = Page(as_alice.get("/p/shop/activity/?what=project.changed")).text

    assert re.findall(r"Changed the quota\. (\d times) alice( , API token “nightly”)?", text) == [
        ("3 times", " , API token “nightly”"),
        ("2 times", ""),
    ]


def test_the_activity_of_one_token_has_an_address(
    as_bob: Client, alice: User, project: Project, group: SecurityGroup
) -> None:
    token, other = (make_token(alice, "write", of=project, name=name) for name in ("nightly", "hourly"))
    rules = operations.rules_at(group, 1)
    operations.commit_rules(group=group, rules=rules[1:], base=1, by=by_token(alice, token))
    operations.commit_rules(group=group, rules=rules, base=2, by=by_token(alice, other))

    page = as_bob.get(f"/p/shop/activity/?token={token.pk}")
    text = Page(page).text

    assert "By API token “nightly”" in text
    assert "hourly" not in text
    assert "Made the API token" not in text
    assert f'name="token" value="{token.pk}"' in page.content.decode()
    file = as_bob.get(f"/p/shop/activity/list.csv?token={token.pk}").content.decode("utf-8-sig")
    assert [(line["Who"], line["Via"]) for line in csv.DictReader(file.splitlines())] == [
        ("alice", "API token “nightly”")
    ]


@pytest.mark.parametrize("text", ["0", "99999999999999999999", "x", "-1", "٣"])
def test_a_token_that_is_none_filters_nothing_or_finds_nothing(as_bob: Client, project: Project, text: str) -> None:
    assert as_bob.get("/p/shop/activity/", {"token": text}).status_code == 200


def test_the_name_of_a_token_is_not_to_be_asked_for_by_its_number(
    as_bob: Client, charlie: User, bakery: Project, project: Project
) -> None:
    token = make_token(charlie, of=bakery, name="sourdough")

    assert "sourdough" not in as_bob.get(f"/p/shop/activity/?token={token.pk}").content.decode()


def test_what_stands_in_a_log_line_is_no_token() -> None:
    secret = "kp_" + "aB3" * 14 + "x"

    assert (
        redacted(f"GET /api/v1/projects?as={secret} Bearer {secret}.")
        == f"GET /api/v1/projects?as={HIDDEN} Bearer {HIDDEN}."
    )


def test_the_form_is_never_kept_with_what_it_led_to(as_alice: Client, project: Project) -> None:
    """The kept forms are what was typed; the secret is not among it."""
    form = form_at(as_alice, f"{OWN}new/")

    assert set(form.fields) == {marks.TOKEN, marks.FIELD, "name", "networks", "lasts", "until"}
    assert json.dumps(form.fields).count("kp_") == 0
