"""A person's own account: a forgotten password, another address, sessions, factors, and what is told by mail of it."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from cryptography.exceptions import InvalidTag
from django.core import mail
from django.test import Client
from django.utils import timezone

from securitygroups import operations
from securitygroups.accounts.factors import FactorAdapter
from securitygroups.accounts.passwords import NotGuessed
from securitygroups.models import Project, Role, User
from securitygroups.operations import By
from tests.accounts.mails import last_to, link_in, subjects
from tests.conftest import SignIn
from tests.effort import at_most
from tests.factories import NEW_PASSWORD, PASSWORD, make_user
from tests.web.pages import Page, messages

ALICE = "alice@example.com"
FORGOTTEN = "/password/forgotten/"


def code_of(secret: str) -> str:
    """What an authenticator app shows now: the middle one of those that are taken, which stays good a while."""
    counters = tuple(yield_hotp_counters_from_time())
    return str(format_hotp_value(hotp_value(secret, counters[len(counters) // 2])))


def set_up_app(browser: Client) -> str:
    """Give the person of this browser an authenticator app. Returns its secret."""
    page = browser.get("/account/factors/app/").content.decode()
    found = re.search(r'<code[^>]*id="secret">(\w+)</code>', page)
    assert found
    assert browser.post("/account/factors/app/", {"code": code_of(found[1])}).status_code == 302
    return found[1]


# ── A forgotten password ──────────────────────────────────────────────────────


def test_a_forgotten_password_is_replaced_by_a_link_that_works_once(
    alice: User, sign_in: SignIn, client: Client
) -> None:
    there = sign_in(alice)
    assert client.post(FORGOTTEN, {"email": ALICE})["Location"] == f"{FORGOTTEN}sent/"
    link = link_in(last_to(ALICE))
    form = Page(client.get(client.get(link)["Location"])).form_with("password1")
    assert form.send(client, password1=NEW_PASSWORD, password2=NEW_PASSWORD)["Location"] == "/sign-in/"
    alice.refresh_from_db()
    assert alice.check_password(NEW_PASSWORD)
    assert EmailAddress.objects.get(user=alice).verified, "who opened the link reads the mails of the address"
    assert there.get("/account/").status_code == 302, "signed out everywhere"
    assert Client().get(link).status_code == 410
    assert subjects(ALICE)[-1] == "[karenpanel] Your password was set by a link"


def test_a_forgotten_password_is_answered_alike_for_everybody(alice: User, client: Client) -> None:
    make_user("gone", is_active=False)
    answers = set()
    for name in ("alice", "gone", "nobody"):
        answer = client.post(FORGOTTEN, {"email": f"{name}@example.com"})
        answers.add((answer.status_code, answer["Location"], client.get(answer["Location"]).status_code))
    assert len(answers) == 1
    assert [message.to[0][: message.to[0].index("@")] for message in mail.outbox] == ["alice", "gone", "nobody"]
    assert ["/password/new/" in str(message.body) for message in mail.outbox] == [True, False, False]


def test_links_cannot_be_mailed_without_end(alice: User, client: Client) -> None:
    codes = [client.post(FORGOTTEN, {"email": ALICE}).status_code for _ in range(8)]
    assert codes[:3] == [302] * 3
    assert codes[-1] == 429
    assert len(mail.outbox) == 6


def test_a_link_does_not_go_around_the_second_factor(alice: User, sign_in: SignIn, client: Client) -> None:
    set_up_app(sign_in(alice))
    client.post(FORGOTTEN, {"email": ALICE})
    link = link_in(last_to(ALICE))
    client.post(client.get(link)["Location"], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert client.get("/account/").status_code == 302
    answer = client.post("/sign-in/", {"login": "alice", "password": NEW_PASSWORD})
    assert answer["Location"] == "/sign-in/second/"
    assert client.get("/account/").status_code == 302


@pytest.mark.parametrize("key", ["1-abc", "zzz-set-password", "1" * 13 + "-" + "a" * 100, "0-0"])
def test_a_link_that_was_made_up_says_that_it_has_ended(key: str, db: None, client: Client) -> None:
    assert client.get(f"/password/new/{key}/").status_code == 410


# ── Another address ───────────────────────────────────────────────────────────


def test_another_address_takes_its_place_when_its_link_is_opened(as_alice: Client, alice: User, settings: Any) -> None:
    settings.ZEAL_ALLOWLIST = [{"model": "account.EmailAddress"}]  # allauth reads the account of one row twice
    form = Page(as_alice.get("/account/address/")).form_with("email")
    assert form.send(as_alice, email="new@example.com").status_code == 302
    alice.refresh_from_db()
    assert alice.email == ALICE, "not before"
    link = link_in(last_to("new@example.com"))
    assert Page(as_alice.get(link)).forms[-1].send(as_alice).status_code == 302
    alice.refresh_from_db()
    assert alice.email == "new@example.com"
    assert "changed from alice@example.com to new@example.com" in last_to(ALICE).body


def test_somebody_elses_address_is_answered_alike_and_never_taken(as_alice: Client, alice: User, bob: User) -> None:
    said = []
    for address in ("bob@example.com", "free@example.com"):
        answer = as_alice.post("/account/address/", {"email": address, "action_add": "1"})
        said.append((answer.status_code, messages(as_alice).replace(address, "")))
    assert said[0] == said[1]
    bob_reads = link_in(last_to("bob@example.com"))
    as_alice.post("/account/address/", {"email": "bob@example.com", "action_add": "1"})
    for browser in (as_alice, Client()):
        assert browser.post(bob_reads).status_code in (200, 302, 404)
    alice.refresh_from_db()
    assert alice.email == ALICE


# ── Passwords ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "qwertyuiop12", "correcthorse", "111111111111", "karenpanel2026", "alice-firewall", "iloveyou1234",
        "shop-shop-shop", "Passw0rd!Passw0rd", "abcdefghijkl", "alice@example.com", "short", "security-group",
    ],
)  # fmt: skip
def test_a_password_that_others_would_guess_is_refused(
    password: str, as_alice: Client, alice: User, project: Project
) -> None:
    sent = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    response = as_alice.post("/password/", sent)
    assert response.status_code == 422
    assert "password1" in Page(response).errors
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


@pytest.mark.parametrize("password", [NEW_PASSWORD, "Zq8#vL2pXw9!kT", "grün fliegt der Kaktus", "夜明け前に猫が走る道"])
def test_a_password_that_nobody_guesses_is_taken(password: str, alice: User) -> None:
    NotGuessed().validate(password, alice)


def test_judging_a_password_takes_no_time_to_speak_of_whatever_it_is() -> None:
    with at_most(5):
        for hostile in ("a" * 5000, "ab" * 2500, "1qaz2wsx" * 600, "password" * 600, "äöü€" * 1000):
            try:
                NotGuessed().validate(hostile)
            except Exception as refusal:
                assert "guessed" in str(refusal)


# ── Sessions ──────────────────────────────────────────────────────────────────


def signed_in(agent: str) -> Client:
    browser = Client(headers={"User-Agent": agent})
    assert browser.post("/sign-in/", {"login": "alice", "password": PASSWORD}).status_code == 302
    return browser


FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"


def test_signing_in_from_a_place_that_was_not_seen_before_is_told_by_mail(alice: User) -> None:
    told = "[karenpanel] You signed in from a new place"

    def sign_in(agent: str, address: str) -> int:
        browser = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
        assert browser.post("/sign-in/", {"login": "alice", "password": PASSWORD}).status_code == 302
        return subjects(ALICE).count(told)

    assert sign_in(FIREFOX, "203.0.113.9") == 0, "the first time everything is new"
    assert sign_in(FIREFOX, "203.0.113.77") == 0, "next door"
    assert sign_in(FIREFOX.replace("140", "141"), "203.0.113.9") == 0, "the browser was brought up to date"
    assert sign_in(SAFARI, "203.0.113.9") == 1
    assert sign_in(FIREFOX, "198.51.100.9") == 2
    assert sign_in(SAFARI, "203.0.113.9") == 2, "seen by now"
    assert "From: 198.51.100.9, Firefox on Windows" in last_to(ALICE).body


def test_a_change_of_role_is_told_by_mail(
    alice: User, bob: User, project: Project, django_capture_on_commit_callbacks: Any
) -> None:
    member = project.memberships.get(user=bob)
    with django_capture_on_commit_callbacks(execute=True):
        operations.change_role(member=member, role=Role.EDITOR, by=By(alice))
        operations.remove_member(member=member, by=By(alice, staff=True))
    role, removed = mail.outbox
    assert (role.to, removed.to) == (["bob@example.com"], ["bob@example.com"])
    assert "You are editor of Shop now. This was changed by alice." in str(role.body)
    assert "You were removed by your platform's staff." in str(removed.body)


def test_a_person_sees_where_they_are_signed_in_and_ends_one(alice: User) -> None:
    here, there = signed_in(FIREFOX), signed_in(SAFARI)
    page = Page(here.get("/account/sessions/"))
    assert "Firefox on Windows" in page.text
    assert "Safari on iPhone" in page.text
    (form,) = [form for form in page.forms if re.search(r"/sessions/[1-9]\d*/end/", form.action)]
    form.send(here)
    assert there.get("/account/").status_code == 302
    assert here.get("/account/").status_code == 200
    assert alice.account_events.filter(verb="session.ended").count() == 1


def test_all_others_end_with_one_click(alice: User) -> None:
    here, *others = (signed_in(FIREFOX) for _ in range(4))
    here.post("/account/sessions/0/end/")
    assert {browser.get("/account/").status_code for browser in others} == {302}
    assert here.get("/account/").status_code == 200
    assert UserSession.objects.count() == 1


def test_somebody_elses_session_cannot_be_ended(alice: User, as_bob: Client) -> None:
    here = signed_in(FIREFOX)
    as_bob.post(f"/account/sessions/{UserSession.objects.get().pk}/end/")
    as_bob.post("/account/sessions/0/end/")
    assert here.get("/account/").status_code == 200


# ── Factors ───────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_with_an_app_the_password_alone_opens_nothing(alice: User, as_alice: Client) -> None:
    secret = set_up_app(as_alice)
    codes = re.findall(r"\b\d{8}\b", Page(as_alice.get("/account/factors/codes/")).text)
    assert len(codes) == 10
    assert "were shown once" in Page(as_alice.get("/account/factors/codes/")).text, "and never again"
    assert "[karenpanel] An authenticator app was set up" in subjects(ALICE)
    browser = Client()
    assert browser.post("/sign-in/", {"login": "alice", "password": PASSWORD})["Location"] == "/sign-in/second/"
    for path in ("/", "/account/", "/account/factors/", "/password/"):
        assert browser.get(path)["Location"].startswith("/sign-in/"), path
    assert browser.post("/sign-in/second/", {"code": "000000"}).status_code == 422
    Authenticator.objects.filter(user=alice, type="totp").update(last_used_at=None)
    answer = browser.post("/sign-in/second/", {"code": codes[0]})
    assert answer.status_code == 302
    assert browser.get("/account/").status_code == 200
    again = Client()
    again.post("/sign-in/", {"login": "alice", "password": PASSWORD})
    assert again.post("/sign-in/second/", {"code": codes[0]}).status_code == 422, "a recovery code is good once"
    assert code_of(secret).isdigit()


def test_a_code_is_good_once_as_long_as_clocks_may_differ(alice: User, as_alice: Client) -> None:
    secret = set_up_app(as_alice)
    answers = []
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False) as clock:
        code = code_of(secret)
        for seconds in (0, 0, 31):
            clock.shift(timedelta(seconds=seconds))
            browser = Client()
            browser.post("/sign-in/", {"login": "alice", "password": PASSWORD})
            answers.append(browser.post("/sign-in/second/", {"code": code}).status_code)
    assert answers == [302, 422, 422]


def test_codes_cannot_be_tried_without_end(alice: User, as_alice: Client) -> None:
    set_up_app(as_alice)
    browser = Client()
    browser.post("/sign-in/", {"login": "alice", "password": PASSWORD})
    codes = [browser.post("/sign-in/second/", {"code": f"{n:06}"}).status_code for n in range(8)]
    assert 429 in codes
    assert codes[-1] == 429


@pytest.mark.django_db(transaction=True)
def test_removing_a_factor_ends_all_other_sessions_and_weakens_this_one(alice: User, project: Project) -> None:
    here, there = signed_in(FIREFOX), signed_in(SAFARI)
    set_up_app(here)
    project.second_factor = True
    project.save()
    assert here.get("/p/shop/").status_code == 200
    assert here.post("/account/factors/app/remove/").status_code == 302
    assert there.get("/account/").status_code == 302
    assert here.get("/p/shop/")["Location"] == "/account/factors/"


def test_secrets_of_factors_are_unreadable_in_the_database(as_alice: Client, settings: Any) -> None:
    secret = set_up_app(as_alice)
    assert secret not in str(list(Authenticator.objects.values_list("data", flat=True)))
    row = Authenticator.objects.get(type="totp")
    adapter = FactorAdapter()
    assert adapter.decrypt(row.data["secret"]) == secret
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another " * 8
    with pytest.raises(InvalidTag):
        adapter.decrypt(row.data["secret"])
    settings.SECRET_KEY_FALLBACKS = [before]
    assert adapter.decrypt(row.data["secret"]) == secret
    assert adapter.encrypt("x") != adapter.encrypt("x")


def test_somebody_elses_passkey_cannot_be_removed(as_alice: Client, bob: User) -> None:
    row = Authenticator.objects.create(user=bob, type="webauthn", data={"name": "Bob's"})
    assert as_alice.post(f"/account/factors/passkeys/{row.pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(
    "credential", ["", "{}", "[]", "null", "nonsense", '{"id": "x"}', '{"id": 1, "response": {}}', "1" * 5000]
)
def test_what_is_no_passkey_is_refused_in_words(credential: str, as_alice: Client, db: None) -> None:
    as_alice.get("/account/factors/passkeys/new/")
    sent = {"name": "x", "credential": credential, "passwordless": "on"}
    assert as_alice.post("/account/factors/passkeys/new/", sent).status_code == 422
    assert Client().post("/sign-in/passkey/", {"credential": credential}).status_code == 302
    assert not Authenticator.objects.exists()
