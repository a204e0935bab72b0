"""Signing in by a provider of OpenID Connect, held against a real one that can be made to lie."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
import time_machine
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.core import mail
from django.test import Client
from django.utils import timezone

from karenpanel import single_sign_on
from securitygroups.models import AccountEvent, Project, User
from tests import provider as providers
from tests.factories import PASSWORD, make_user
from tests.provider import ProviderOfTests
from tests.web.pages import Page

Verb = AccountEvent.Verb
NUMBER = "248289761001"
BACK = "/sign-in/provider/back/"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProviderOfTests]:
    with providers.running(tmp_path_factory.mktemp("provider")) as started:
        yield started


@pytest.fixture
def provider(running: ProviderOfTests, settings: Any) -> ProviderOfTests:
    """An honest provider that knows one person, with an account at it alone."""
    running.fault = ""
    running.person(NUMBER, email="bob@example.com", email_verified=True, preferred_username="bob", name="Bob")
    providers.use(settings, running.url)
    return running


def begin(client: Client, **sent: str) -> str:
    """The address at the provider that the panel leads to."""
    response = client.post("/sign-in/provider/", sent)
    assert response.status_code == 200
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', response.content.decode())
    assert found
    return unescape(found[1])


def at_provider(address: str, **sent: str) -> str:
    """What somebody does there; returns the address that the browser is sent back to."""
    with requests.Session() as browser:
        browser.trust_env = False
        answer = browser.post(address, data=sent, allow_redirects=False, timeout=20)
    assert answer.status_code == 302
    return answer.headers["Location"].removeprefix("http://testserver")


def sign_in(client: Client, number: str = NUMBER, **sent: str) -> Any:
    return client.get(at_provider(begin(client, **sent), sub=number))


def who(client: Client) -> str | None:
    """The name of who is signed in."""
    found = re.search(r"Account of ([^\"]+)\"", client.get("/help/").content.decode())
    return found[1] if found else None


def connected(user: User, number: str = NUMBER, url: str = "") -> SocialAccount:
    from django.conf import settings

    return SocialAccount.objects.create(user=user, provider=url or settings.OIDC_URL, uid=number)


def connections(user: User) -> Any:
    return SocialAccount.objects.filter(user=user)


def verified(user: User) -> User:
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def refused(response: Any, client: Client, status: int, words: str) -> None:
    page = Page(response)
    assert response.status_code == status
    assert words in page.text
    assert 'href="/sign-in/"' in response.content.decode()
    assert who(client) is None


# ── Coming in ─────────────────────────────────────────────────────────────────


def test_who_is_connected_signs_in_and_out_and_in_again(provider: ProviderOfTests, bob: User, client: Client) -> None:
    connected(bob)

    for _ in range(2):
        assert "Sign in with Example Login" in Page(client.get("/sign-in/")).text
        assert sign_in(client)["Location"] == "/"
        assert who(client) == "bob"
        client.post("/sign-out/")
        assert who(client) is None

    assert SocialToken.objects.count() == SocialApp.objects.count() == 0


def test_the_number_counts_and_not_the_address(
    provider: ProviderOfTests, bob: User, erin: User, client: Client
) -> None:
    connected(bob)
    verified(erin)
    provider.person(NUMBER, email=erin.email, email_verified=True)

    sign_in(client)

    assert who(client) == "bob"


def test_the_request_carries_pkce_and_a_nonce_and_nothing_of_the_forms_address(
    provider: ProviderOfTests, bob: User, client: Client
) -> None:
    connected(bob)
    response = client.post("/sign-in/provider/?scope=offline_access&auth_params=prompt%3Dnone&process=redirect")
    address = unescape(re.findall(r'content="0; url=([^"]+)"', response.content.decode())[0])
    sent = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    client.get(at_provider(address, sub=NUMBER))

    challenge = base64.urlsafe_b64encode(hashlib.sha256(provider.asked[-1]["code_verifier"].encode()).digest())
    assert sent["code_challenge"] == challenge.decode().rstrip("=")
    assert sent["code_challenge_method"] == "S256"
    assert set(sent["scope"].split()) == {"openid", "profile", "email"}
    assert len(sent["nonce"]) == 64
    assert "prompt" not in sent
    assert sent["redirect_uri"] == f"http://testserver{BACK}"
    assert provider.asked[-1]["client_secret"] == providers.SECRET
    assert who(client) == "bob"


@pytest.mark.parametrize(
    ("after", "there"),
    [
        ("/p/shop/", "/p/shop/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("http://[", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_the_way_on_leads_into_the_panel(
    after: str, there: str, provider: ProviderOfTests, project: Project, bob: User, client: Client
) -> None:
    connected(bob)

    assert sign_in(client, next=after)["Location"] == there


def test_the_sign_in_page_keeps_where_one_wanted_to_go(
    provider: ProviderOfTests, bob: User, client: Client, project: Project
) -> None:
    connected(bob)
    form = next(f for f in Page(client.get("/sign-in/?next=/p/shop/")).forms if f.action == "/sign-in/provider/")

    assert form.fields["next"] == ["/p/shop/"]


def test_an_account_with_the_same_verified_address_is_connected(
    provider: ProviderOfTests, bob: User, client: Client
) -> None:
    verified(bob)

    assert sign_in(client)["Location"] == "/"

    assert who(client) == "bob"
    assert connections(bob).get().uid == NUMBER
    assert bob.check_password(PASSWORD)
    assert AccountEvent.objects.get(verb=Verb.CONNECTED).user == bob
    # From now on the number counts.
    provider.person(NUMBER, email="new@example.com", email_verified=True)
    client.post("/sign-out/")
    sign_in(client)
    assert who(client) == "bob"


# ── Not coming in ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", [False, "false", None, 1, "yes"])
def test_an_address_that_the_provider_has_not_verified_opens_no_account_and_tells_of_none(
    said: Any, provider: ProviderOfTests, bob: User, client: Client
) -> None:
    verified(bob)
    provider.person(NUMBER, email=bob.email, email_verified=said)
    with_account = sign_in(client)
    provider.person(NUMBER, email="nobody@example.com", email_verified=said)
    without = sign_in(client)

    refused(with_account, client, 403, "There is no account for you here")
    assert Page(with_account).text.split("name the request")[0] == Page(without).text.split("name the request")[0]
    assert not connections(bob).exists()


def test_an_account_whose_address_nobody_answered_here_is_not_opened(
    provider: ProviderOfTests, bob: User, client: Client
) -> None:
    """Whoever makes an account with somebody else's address and waits gets nothing."""
    EmailAddress.objects.create(user=bob, email=bob.email, verified=False, primary=True)

    refused(sign_in(client), client, 403, "Your account is not connected yet")

    assert not connections(bob).exists()
    assert AccountEvent.objects.get(verb=Verb.SIGN_IN_FAILED).detail == {"by_single_sign_on": "connect"}


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_staff": True, "is_superuser": True}])
def test_accounts_of_the_staff_are_never_connected_by_address(
    rights: dict[str, bool], provider: ProviderOfTests, client: Client, db: None, settings: Any
) -> None:
    settings.STAFF_SECOND_FACTOR = False
    boss = verified(make_user("boss", **rights))
    provider.person(NUMBER, email=boss.email, email_verified=True)

    refused(sign_in(client), client, 403, "Your account is not connected yet")
    connected(boss)
    sign_in(client)

    assert who(client) == "boss"


@pytest.mark.parametrize("by", ["number", "address"])
def test_an_account_that_is_switched_off_stays_off(
    by: str, provider: ProviderOfTests, bob: User, client: Client
) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    connected(bob) if by == "number" else verified(bob)

    refused(sign_in(client), client, 403, "This account is switched off")

    assert AccountEvent.objects.get(verb=Verb.SIGN_IN_FAILED).detail == {"by_single_sign_on": "off"}


def test_a_person_whom_nobody_knows_is_told_to_ask(provider: ProviderOfTests, client: Client, db: None) -> None:
    refused(sign_in(client), client, 403, "Ask an owner of a project for an invitation")

    assert not User.objects.exists()


def test_another_provider_has_other_people(provider: ProviderOfTests, bob: User, client: Client) -> None:
    connected(bob, url="https://the-one-before.example.net")
    provider.person(NUMBER)

    refused(sign_in(client), client, 403, "There is no account for you here")


@pytest.mark.parametrize(
    "fault",
    ["audience", "issuer", "nonce", "signature", "expired", "unsigned", "no token", "somebody else"],
)
def test_what_cannot_be_believed_is_not(fault: str, provider: ProviderOfTests, bob: User, client: Client) -> None:
    connected(bob)
    back = at_provider(begin(client), sub=NUMBER)
    provider.fault = fault

    refused(client.get(back), client, 403, "Single sign-on did not work")

    provider.fault = ""
    sign_in(client)
    assert who(client) == "bob"


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": ["a"]}, {"preferred_username": {"a": 1}}, {"preferred_username": "a\0b"}, {"name": "\ud800"},
        {"email": 7}, {"email": "no address"}, {"email": "x" * 300 + "@example.com"}, {"email_verified": {}},
        {"preferred_username": "é" * 5000}, {"preferred_username": ""}, {"preferred_username": "../\n<b>"},
    ],
)  # fmt: skip
def test_odd_words_about_a_person_break_nothing(
    claims: dict[str, Any], provider: ProviderOfTests, client: Client, settings: Any, db: None
) -> None:
    settings.OIDC_SIGN_UP = True
    provider.person("9", **{"email": "new@example.com", "email_verified": True} | claims)

    assert sign_in(client, "9").status_code in (302, 403)

    for user in User.objects.all():
        user.full_clean(exclude=["password"])


def test_a_number_that_is_too_long_to_be_kept_is_refused(provider: ProviderOfTests, client: Client, db: None) -> None:
    provider.person("9" * 200)

    refused(sign_in(client, "9" * 200), client, 403, "Single sign-on did not work")


# ── The way there and back ────────────────────────────────────────────────────


def test_who_stops_at_the_provider_is_told_what_that_means(provider: ProviderOfTests, client: Client, db: None) -> None:
    refused(client.get(at_provider(begin(client), action="deny") + state(client)), client, 403, "You did not sign in")


def state(client: Client) -> str:
    """The provider of the tests forgets to send the state along with its no."""
    return "&" + urlencode({"state": next(iter(client.session["socialaccount_states"]))})


@pytest.mark.parametrize("query", ["", "?code=1", "?code=1&state=made-up", "?error=access_denied", "?error=x&state=y"])
def test_nobody_comes_back_who_did_not_go(query: str, provider: ProviderOfTests, client: Client, db: None) -> None:
    refused(client.get(BACK + query), client, 400, "This sign-in is over")


def test_the_way_back_belongs_to_the_browser_that_went(provider: ProviderOfTests, bob: User, client: Client) -> None:
    """Nobody is signed in as somebody else by following a link."""
    connected(bob)
    back = at_provider(begin(Client()), sub=NUMBER)
    begin(client)

    refused(client.get(back), client, 400, "This sign-in is over")


def test_the_way_back_can_be_gone_once(provider: ProviderOfTests, bob: User, client: Client) -> None:
    connected(bob)
    back = at_provider(begin(client), sub=NUMBER)
    client.get(back)
    client.post("/sign-out/")

    refused(client.get(back), client, 400, "This sign-in is over")


def test_a_code_of_another_sign_in_is_of_no_use(provider: ProviderOfTests, bob: User, client: Client) -> None:
    """The code of somebody else's sign-in, put into one's own way back: the nonce is another one."""
    connected(bob)
    theirs = parse_qs(urlsplit(at_provider(begin(Client()), sub=NUMBER)).query)["code"][0]
    mine = parse_qs(urlsplit(at_provider(begin(client), sub=NUMBER)).query)["state"][0]

    refused(client.get(f"{BACK}?{urlencode({'code': theirs, 'state': mine})}"), client, 403, "did not work")


def test_after_ten_minutes_one_begins_again(provider: ProviderOfTests, bob: User, client: Client) -> None:
    connected(bob)
    back = at_provider(begin(client), sub=NUMBER)

    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        refused(client.get(back), client, 400, "This sign-in is over")


def test_a_clock_that_is_a_little_wrong_does_no_harm(provider: ProviderOfTests, bob: User, client: Client) -> None:
    connected(bob)
    with time_machine.travel(timezone.now() - timedelta(seconds=45)):
        back = at_provider(begin(client), sub=NUMBER)
        assert client.get(back)["Location"] == "/"


def test_a_provider_that_is_gone_is_said_before_and_after(
    settings: Any, bob: User, client: Client, tmp_path: Path
) -> None:
    with providers.running(tmp_path / "another") as another:
        providers.use(settings, another.url)
        another.person(NUMBER, email=bob.email, email_verified=True)
        back = at_provider(begin(client), sub=NUMBER)

    refused(client.get(back), client, 424, "Single sign-on does not answer")
    refused(client.post("/sign-in/provider/"), client, 424, "Single sign-on does not answer")
    assert "With a password you can sign in all the same" in Page(client.post("/sign-in/provider/")).text


@pytest.mark.parametrize("fault", ["down", "words"])
def test_a_provider_that_answers_nonsense_is_said(
    fault: str, provider: ProviderOfTests, client: Client, db: None
) -> None:
    back = at_provider(begin(client), sub=NUMBER)
    provider.fault = fault

    refused(client.get(back), client, 424, "Single sign-on does not answer")
    refused(client.post("/sign-in/provider/"), client, 424, "Single sign-on does not answer")


def test_a_provider_that_calls_itself_otherwise_is_not_believed(
    provider: ProviderOfTests, settings: Any, client: Client, db: None
) -> None:
    providers.use(settings, provider.url.replace("127.0.0.1", "localhost") + "/.well-known/../")

    assert client.post("/sign-in/provider/").status_code == 424


def test_no_secret_goes_over_http_in_an_installation(
    provider: ProviderOfTests, settings: Any, client: Client, db: None
) -> None:
    settings.INSECURE_HTTP = False

    assert client.post("/sign-in/provider/").status_code == 424


def test_the_form_is_sent_and_the_way_back_is_opened(provider: ProviderOfTests, client: Client, db: None) -> None:
    assert client.get("/sign-in/provider/").status_code == 405
    assert client.post(BACK).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/sign-in/provider/").status_code == 403


def test_too_many_begin(provider: ProviderOfTests, client: Client, db: None) -> None:
    answers = [client.post("/sign-in/provider/").status_code for _ in range(31)]

    assert (answers[0], answers[-1]) == (200, 429)


@pytest.mark.parametrize("address", ["/sign-in/provider/", BACK, "/account/single-sign-on/"])
def test_without_a_provider_there_is_nothing(address: str, as_alice: Client) -> None:
    method = as_alice.post if address == "/sign-in/provider/" else as_alice.get

    assert method(address).status_code == 404
    assert "Single sign-on" not in as_alice.get("/").content.decode()
    assert "/sign-in/provider/" not in Client().get("/sign-in/").content.decode()


# ── New accounts ──────────────────────────────────────────────────────────────


def test_where_it_is_allowed_an_account_is_made(
    provider: ProviderOfTests, settings: Any, client: Client, db: None
) -> None:
    settings.OIDC_SIGN_UP = True
    make_user("bob.unal")
    provider.person(
        "9", email="new@example.com", email_verified=True, preferred_username="Bob.Ünal", given_name="B" * 999
    )

    assert sign_in(client, "9")["Location"] == "/"

    user = User.objects.get(email="new@example.com")
    assert user.username.startswith("bob.unal")
    assert user.username != "bob.unal"
    assert who(client) == user.username
    assert (user.has_usable_password(), user.is_staff, user.must_change_password) == (False, False, False)
    assert EmailAddress.objects.get(user=user).verified
    assert {"sub", "email", "email_verified", "preferred_username"} == set(connections(user).get().extra_data)
    assert {Verb.ACCOUNT_MADE, Verb.CONNECTED} <= set(user.account_events.values_list("verb", flat=True))


def test_no_account_is_made_for_an_address_that_nobody_verified(
    provider: ProviderOfTests, settings: Any, client: Client, db: None
) -> None:
    settings.OIDC_SIGN_UP = True
    for claims in ({"email": "new@example.com"}, {}):
        provider.person("9", **claims)

        refused(sign_in(client, "9"), client, 403, "has not verified an e-mail address of yours")
    assert not User.objects.exists()


def test_no_second_account_is_made_for_an_address_that_somebody_has(
    provider: ProviderOfTests, settings: Any, bob: User, client: Client
) -> None:
    settings.OIDC_SIGN_UP = True
    provider.person("9", email="BOB@example.com", email_verified=True)

    refused(sign_in(client, "9"), client, 403, "Your account is not connected yet")


# ── Connecting and disconnecting ──────────────────────────────────────────────


def by_password(client: Client, name: str = "bob") -> None:
    client.post("/sign-in/", {"login": name, "password": PASSWORD})


def an_hour_later(client: Client) -> None:
    """To have signed in a moment ago is enough for what asks for the password; this was an hour ago."""
    session = client.session
    for shown in session[AUTHENTICATION_METHODS_SESSION_KEY]:
        shown["at"] -= 60 * 60
    session.save()


def connect(client: Client, number: str = NUMBER) -> Any:
    an_hour_later(client)
    form = next(
        form for form in Page(client.get("/account/single-sign-on/")).forms if form.action == "/sign-in/provider/"
    )
    response = form.send(client)
    address = unescape(re.findall(r'content="0; url=([^"]+)"', response.content.decode())[0])
    response = client.get(at_provider(address, sub=number))
    assert response["Location"] == "/sign-in/again/"
    return Page(client.get("/sign-in/again/")).form_with("password").send(client, password=PASSWORD)


def test_connecting_asks_for_the_password_and_disconnecting_too(
    provider: ProviderOfTests, bob: User, client: Client
) -> None:
    by_password(client)

    assert connect(client)["Location"] == "/account/single-sign-on/"
    assert "Your account is connected" in Page(client.get("/account/single-sign-on/")).text
    assert connections(bob).get().uid == NUMBER
    other = Client()
    sign_in(other)
    assert who(other) == "bob"

    an_hour_later(other)
    page = Page(other.get("/account/single-sign-on/"))
    form = next(form for form in page.forms if "account" in form.fields)
    response = form.send(other)
    assert response["Location"].startswith("/sign-in/again/")
    assert connections(bob).exists()
    Page(other.get(response["Location"])).form_with("password").send(other, password=PASSWORD)
    form.send(other)
    assert not connections(bob).exists()
    assert [e.verb for e in AccountEvent.objects.filter(verb__in=[Verb.CONNECTED, Verb.DISCONNECTED])][::-1] == [
        Verb.CONNECTED,
        Verb.DISCONNECTED,
    ]


def test_nobody_takes_a_connection_from_somebody_else(
    provider: ProviderOfTests, bob: User, erin: User, client: Client
) -> None:
    connected(erin)
    by_password(client)

    connect(client)

    assert "belongs to another account here" in Page(client.get("/account/single-sign-on/")).text
    assert not connections(bob).exists()


def test_connecting_goes_by_who_is_signed_in_and_not_by_the_address(
    provider: ProviderOfTests, bob: User, erin: User, client: Client
) -> None:
    verified(erin)
    provider.person(NUMBER, email=erin.email, email_verified=True)
    by_password(client)

    connect(client)

    assert connections(bob).exists()
    assert not connections(erin).exists()
    assert who(client) == "bob"


def test_a_connection_with_the_provider_before_can_be_removed(
    provider: ProviderOfTests, bob: User, client: Client
) -> None:
    before = connected(bob, url="https://the-one-before.example.net")
    by_password(client)

    page = client.get("/account/single-sign-on/").content.decode()
    assert "Connect with Example Login" in page
    assert "https://the-one-before.example.net" in page
    an_hour_later(client)
    again = client.post("/account/single-sign-on/", {"account": before.pk})["Location"]
    Page(client.get(again)).form_with("password").send(client, password=PASSWORD)
    client.post("/account/single-sign-on/", {"account": before.pk})

    assert not connections(bob).exists()


def test_nobody_disconnects_others(provider: ProviderOfTests, bob: User, erin: User, client: Client) -> None:
    theirs = connected(erin)
    by_password(client)

    assert client.post("/account/single-sign-on/", {"account": theirs.pk}).status_code == 422

    assert connections(erin).exists()


def test_who_has_no_password_keeps_the_last_way_in(provider: ProviderOfTests, bob: User, client: Client) -> None:
    bob.set_unusable_password()
    bob.save()
    mine = connected(bob)
    sign_in(client)

    response = client.post("/account/single-sign-on/", {"account": mine.pk})

    assert response.status_code == 422
    assert "You have no password here" in Page(response).text
    assert connections(bob).exists()


def test_the_person_hears_of_a_new_connection_by_mail(
    provider: ProviderOfTests, settings: Any, bob: User, client: Client
) -> None:
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    verified(bob)

    sign_in(client)

    assert [message.to for message in mail.outbox] == [[bob.email]]


@pytest.mark.parametrize(("says", "counts"), [(True, True), (False, False)])
def test_the_installation_says_whether_the_providers_sign_in_counts_as_two_factors(
    says: bool, counts: bool, provider: ProviderOfTests, settings: Any, bob: User, client: Client
) -> None:
    from django.http import HttpRequest

    from securitygroups.accounts.standing import is_strong

    settings.OIDC_SECOND_FACTOR = says
    connected(bob)
    for come_in, expected in ((sign_in, counts), (by_password, False)):
        come_in(client)
        request = HttpRequest()
        request.session, request.user = client.session, bob
        assert is_strong(request) is expected
        client.post("/sign-out/")


# ── Settings ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "client_id", "secret", "insecure", "problem"),
    [
        ("", "", "", False, None),
        ("https://login.example.net", "panel", "secret", False, None),
        ("http://127.0.0.1:1", "panel", "secret", True, None),
        ("https://login.example.net", "", "", False, "karenpanel.E020"),
        ("", "panel", "secret", False, "karenpanel.E020"),
        ("https://login.example.net", "panel", "", False, "karenpanel.E020"),
        ("login.example.net", "panel", "secret", False, "karenpanel.E021"),
        ("https://[", "panel", "secret", False, "karenpanel.E021"),
        ("https://login.example.net/?a=1", "panel", "secret", False, "karenpanel.E021"),
        ("https://login.example.net/" + "a" * 200, "panel", "secret", False, "karenpanel.E021"),
        ("http://login.example.net", "panel", "secret", False, "karenpanel.E022"),
    ],
)
def test_a_provider_is_set_as_a_whole_and_in_safety(
    url: str, client_id: str, secret: str, insecure: bool, problem: str | None, settings: Any
) -> None:
    settings.OIDC_URL, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = url, client_id, secret
    settings.INSECURE_HTTP = insecure

    assert [found.id for found in single_sign_on.check(None)] == ([problem] if problem else [])
    assert bool(single_sign_on.providers(url, client_id, secret, "Login")) is bool(url and client_id and secret)
