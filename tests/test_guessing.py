"""Guessing passwords: from one place and from many, at one name and at all, in a row and at once; and that the owner of
a name is not shut out by it."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import caches
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone

from karenpanel.counts import KeptCache
from securitygroups.accounts import limits
from securitygroups.accounts.client import network_of
from securitygroups.models import AccountEvent, User
from tests.conftest import SignIn
from tests.factories import PASSWORD, make_user
from tests.server import Server, running
from tests.test_security import sign_in_with

HERE, AWAY = "203.0.113.7", "198.51.100.1"
KNOWN = "known"


def guesses(number: int, login: str = "alice", address: str = AWAY) -> list[int]:
    """The statuses of so many wrong passwords."""
    return [
        sign_in_with(Client(REMOTE_ADDR=address), login=login, password=f"guess {n}").status_code for n in range(number)
    ]


def came_in(client: Client, login: str = "alice", password: str = PASSWORD) -> int:
    return int(sign_in_with(client, login=login, password=password).status_code)


def network(number: int) -> str:
    """One of many addresses that have nothing to do with each other."""
    return f"{20 + number // 65536}.{number // 256 % 256}.{number % 256}.1"


def worn_out(name: str = "alice") -> None:
    """The name has been guessed at from everywhere, as often as that is let through."""
    for _ in range(limits.NAME_WIDE.burst):
        limits.counts().take(
            limits.Place(limits.NAME_WIDE, (name,)).key, limits.NAME_WIDE.burst, limits.NAME_WIDE.every
        )


# ── In a row ──────────────────────────────────────────────────────────────────


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert guesses(5, address="127.0.0.1") == [422] * 5
        response = sign_in_with(Client())
        assert response.status_code == 429
        assert response["Retry-After"] == "60"
        page = " ".join(response.content.decode().split())
        assert "Too many attempts" in page
        assert "Wait 1 minute, then try again" in page
        assert "“Forgotten password”" in page
        clock.shift(60)
        assert came_in(Client()) == 302


def test_the_count_of_attempts_is_shared_by_all_web_processes(alice: User) -> None:
    for attempt in range(5):
        sign_in_with(Client(), password=f"guess {attempt}")
        # Another process has a cache object of its own, and nothing of it in memory.
        del caches["default"]
    assert isinstance(caches["default"], KeptCache)
    assert came_in(Client()) == 429


def test_no_number_of_other_failures_gets_rid_of_a_count(alice: User) -> None:
    """Caches throw away what is oldest when they are full: Django's hold 300 entries where nothing else is said."""
    with time_machine.travel(timezone.now(), tick=False):
        assert guesses(5) == [422] * 5
        for number in range(340):
            assert guesses(1, f"name {number}", network(number)) == [422]
        assert guesses(1) == [429]

        caches["default"].set_many({f"another-{number}": number for number in range(5_000)}, timeout=3600)
        assert guesses(1) == [429]


def test_the_right_password_uses_up_nothing(alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(3):
            assert guesses(1) == [422]
            assert came_in(Client(REMOTE_ADDR=AWAY)) == 302
        assert guesses(3) == [422, 422, 429]


def test_signing_in_to_an_account_of_ones_own_gives_no_attempts_at_another(alice: User) -> None:
    make_user("mallory")
    mallory = Client(REMOTE_ADDR=AWAY)
    codes = []
    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(4):
            assert came_in(mallory, "mallory") == 302
            mallory.post("/sign-out/")
            codes += [sign_in_with(mallory, password=f"x{n}").status_code for n in range(2)]

    assert codes == [422] * 5 + [429] * 3


def test_the_right_password_over_and_over_has_a_limit_too(alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        codes = [came_in(Client(REMOTE_ADDR=network(n))) for n in range(limits.SIGN_INS.burst + 2)]

    assert codes == [302] * limits.SIGN_INS.burst + [429] * 2


# ── What is one name, and what is one network ─────────────────────────────────


def test_the_limit_of_a_name_holds_whatever_port_and_case_the_attacker_writes(alice: User) -> None:
    for port in range(5):
        login, headers = "ALICE"[: port + 1] + "alice"[port + 1 :], {"Host": f"localhost:{port + 1000}"}
        assert sign_in_with(Client(), login=login, password="x", headers=headers).status_code == 422
    for host in ("localhost:2000", "LOCALHOST", "127.0.0.1", "[::1]:80"):
        assert sign_in_with(Client(), headers={"Host": host}).status_code == 429


@pytest.mark.parametrize(
    "login",
    ["ALICE", "Alice", "alice ", "\talice\n", " alice\u00a0", "ａｌｉｃｅ", "ＡＬＩＣＥ", "aliｃe", "ⓐlice", "𝐚𝐥𝐢𝐜𝐞"],
)
def test_every_spelling_of_a_name_is_one_count(login: str, alice: User) -> None:
    assert guesses(5) == [422] * 5

    assert guesses(1, login) == [429]


@pytest.mark.parametrize("login", ["alice@example.com", "ALICE@EXAMPLE.COM", " Alice@Example.Com "])
def test_the_address_of_an_account_has_a_count_of_its_own_so_that_none_tells_whose_it_is(
    login: str, alice: User
) -> None:
    """Two sets of attempts, and never more: a count that both share would say that the two belong together."""
    with time_machine.travel(timezone.now(), tick=False):
        assert guesses(6) == [422] * 5 + [429]
        assert guesses(6, login) == [422] * 5 + [429]
        assert guesses(6, "alice@example.com") == [429] * 6
        assert guesses(6, "nobody") == [422] * 5 + [429]
        assert guesses(4, "nobody@example.com") == [422] * 4


def test_an_address_of_ipv4_in_ipv6_is_the_address_of_ipv4(alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        assert guesses(3, address="::ffff:203.0.113.7") == [422] * 3
        assert guesses(3, address=HERE) == [422, 422, 429]
        assert guesses(1, address="::ffff:cb00:7107") == [429]
        assert guesses(1, address="::ffff:203.0.113.8") == [422], "its neighbour is somebody else"


def test_addresses_of_ipv6_are_counted_by_their_network(alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        codes = [guesses(1, address=f"2001:db8:0:1::{n:x}")[0] for n in range(1, 8)]
        assert codes == [422] * 5 + [429] * 2
        assert guesses(1, address="2001:db8:0:2::1") == [422]


def test_a_site_of_ipv6_does_not_have_65536_times_the_attempts(db: None) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        codes = [guesses(1, f"name {n}", f"2001:db8:7:{n:x}::1")[0] for n in range(limits.SITE_WIDE.burst + 5)]
        assert codes == [422] * limits.SITE_WIDE.burst + [429] * 5
        assert guesses(1, "name", "2001:db8:8::1") == [422]


@pytest.mark.parametrize(
    ("address", "whom"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("::1", "::/64"),
    ],
)
def test_whom_an_address_is_counted_for(address: str, whom: str) -> None:
    assert network_of(address) == whom


# ── Many names ────────────────────────────────────────────────────────────────


def test_one_password_at_many_names_is_limited(alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        codes = [guesses(1, f"name {n}")[0] for n in range(limits.NETWORK_WIDE.burst + 2)]
        assert codes == [422] * limits.NETWORK_WIDE.burst + [429] * 2
        assert came_in(Client(REMOTE_ADDR=HERE)) == 302, "everybody elsewhere comes in"


def test_the_limit_of_an_address_holds_whatever_it_says_it_forwards_for(db: None) -> None:
    codes = [
        sign_in_with(
            Client(), login=f"user{n}", password="x", headers={"X-Forwarded-For": f"198.51.100.{n}"}
        ).status_code
        for n in range(limits.NETWORK_WIDE.burst + 2)
    ]

    assert codes == [422] * limits.NETWORK_WIDE.burst + [429] * 2


def test_who_is_stopped_at_one_name_uses_up_nothing_of_the_others_of_their_network(alice: User) -> None:
    make_user("erin")
    with time_machine.travel(timezone.now(), tick=False):
        assert guesses(60)[-1] == 429
        assert came_in(Client(REMOTE_ADDR=AWAY), "erin") == 302
        assert guesses(limits.NETWORK_WIDE.burst - 4, "somebody")[:5] == [422] * 5


# ── The victim ────────────────────────────────────────────────────────────────


def test_somebody_elsewhere_does_not_lock_a_name(alice: User) -> None:
    assert guesses(50)[-1] == 429

    assert came_in(Client(REMOTE_ADDR=HERE)) == 302


def test_one_attacker_does_not_lock_out_other_people(alice: User) -> None:
    make_user("erin")
    guesses(6)

    assert came_in(Client(REMOTE_ADDR="198.51.100.2"), "erin") == 302
    assert came_in(Client(REMOTE_ADDR=AWAY), "erin") == 302


def test_a_name_that_is_guessed_at_from_everywhere_has_a_limit_and_its_owners_browser_none_of_it(alice: User) -> None:
    browser = Client(REMOTE_ADDR=HERE)
    assert came_in(browser) == 302
    browser.post("/sign-out/")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        codes = [guesses(1, address=network(n))[0] for n in range(limits.NAME_WIDE.burst + 3)]
        assert codes == [422] * limits.NAME_WIDE.burst + [429] * 3
        # Somewhere new it takes until there is room again, and the page says what else can be done.
        refused = sign_in_with(Client(REMOTE_ADDR=HERE))
        assert (refused.status_code, refused["Retry-After"]) == (429, str(limits.NAME_WIDE.every))
        assert "Wait 10 minutes" in refused.content.decode()
        assert "a browser in which you have signed in before" in " ".join(refused.content.decode().split())
        assert came_in(browser) == 302
        browser.post("/sign-out/")
        clock.shift(limits.NAME_WIDE.every)
        assert came_in(Client(REMOTE_ADDR=HERE)) == 302


def test_a_known_browser_is_known_in_the_attackers_network_too(alice: User) -> None:
    browser = Client(REMOTE_ADDR=AWAY)
    assert came_in(browser) == 302
    browser.post("/sign-out/")
    guesses(6)
    for n in range(30):
        guesses(1, f"name {n}")

    assert came_in(Client(REMOTE_ADDR=AWAY)) == 429
    assert came_in(browser) == 302


@pytest.mark.parametrize("login", ["alice", "ALICE", " alice ", "alice@example.com", "Alice@Example.com"])
def test_a_known_browser_knows_every_name_of_the_account(login: str, alice: User) -> None:
    browser = Client()
    came_in(browser)
    browser.post("/sign-out/")
    worn_out(limits.name_of(login))

    assert came_in(Client(), login) == 429
    assert came_in(browser, login) == 302


def test_a_known_browser_has_a_limit_of_its_own(alice: User) -> None:
    browser = Client()
    came_in(browser)
    browser.post("/sign-out/")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        codes = [sign_in_with(browser, password=f"x{n}").status_code for n in range(limits.BROWSER.burst + 2)]
        assert codes == [422] * limits.BROWSER.burst + [429] * 2
        assert came_in(browser) == 429
        assert came_in(Client()) == 302, "and it uses up nothing of the others"
        clock.shift(limits.BROWSER.every)
        assert came_in(browser) == 302


def test_a_known_browser_of_one_account_is_a_stranger_to_every_other(alice: User) -> None:
    """Or mallory would sign in to an account of his own, and guess at alice from there."""
    make_user("mallory")
    mallory = Client(REMOTE_ADDR=AWAY)
    assert came_in(mallory, "mallory") == 302
    mallory.post("/sign-out/")
    forged = f"{alice.pk}." + mallory.cookies[KNOWN].value.partition(".")[2]
    with time_machine.travel(timezone.now(), tick=False):
        assert [sign_in_with(mallory, password="x").status_code for _ in range(6)] == [422] * 5 + [429]
        mallory.cookies[KNOWN] = forged
        assert sign_in_with(mallory, password="x").status_code == 429


@pytest.mark.parametrize(
    "cookie",
    ["", ".", "1", "x", "-1.a:b:c", "9" * 400, "²", "²³.a:b", "1.:::", '1.a:b:c"', "\x00", "1.a:" + "b" * 3000],
)
def test_a_cookie_that_is_none_is_no_fault(cookie: str, alice: User) -> None:
    browser = Client()
    browser.cookies[KNOWN] = cookie
    worn_out()

    assert came_in(browser) == 429


def test_a_new_password_ends_what_was_known_and_the_browser_that_chose_it_is_known(alice: User) -> None:
    old, here = Client(), Client()
    came_in(old)
    came_in(here)
    new = "a different battery staple"
    sent = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert here.post("/password/", sent).status_code == 302
    worn_out()

    assert came_in(old, password=new) == 429
    here.post("/sign-out/")
    assert came_in(here, password=new) == 302


def test_a_browser_is_forgotten_after_half_a_year(alice: User) -> None:
    browser = Client()
    came_in(browser)
    browser.post("/sign-out/")
    for days, status in ((179, 302), (181, 429)):
        with time_machine.travel(timezone.now() + timedelta(days=days), tick=False):
            worn_out()
            copy = Client()
            copy.cookies[KNOWN] = browser.cookies[KNOWN].value
            assert came_in(copy) == status


def test_the_cookie_is_out_of_reach_and_says_nothing(alice: User, settings: Any) -> None:
    cookie = sign_in_with(Client()).cookies[KNOWN]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Strict", "/", "")
    assert "alice" not in cookie.value
    assert "known" not in sign_in_with(Client(), password="x").cookies
    settings.SESSION_COOKIE_SECURE = True
    assert sign_in_with(Client()).cookies[KNOWN]["secure"]


# ── Once signed in ────────────────────────────────────────────────────────────


def test_the_current_password_cannot_be_guessed_from_a_stolen_session(as_alice: Client) -> None:
    sent = {"oldpassword": "x", "password1": "battery horse 9", "password2": "battery horse 9"}
    codes = [as_alice.post("/password/", sent).status_code for _ in range(3)]
    codes += [as_alice.post("/sign-in/again/", {"password": "x"}).status_code for _ in range(3)]

    assert codes == [422] * 5 + [429]
    for path, form in (("/password/", sent | {"oldpassword": PASSWORD}), ("/sign-in/again/", {"password": PASSWORD})):
        refused = as_alice.post(path, form)
        assert refused.status_code == 429
        assert 0 < int(refused["Retry-After"]) <= limits.AGAIN.every


def test_guessing_in_a_stolen_session_shuts_the_owner_out_of_nothing(
    alice: User, as_alice: Client, sign_in: SignIn
) -> None:
    own = sign_in(alice)
    assert [as_alice.post("/sign-in/again/", {"password": "x"}).status_code for _ in range(9)][-1] == 429

    assert own.post("/sign-in/again/", {"password": PASSWORD}).status_code == 302
    assert came_in(Client()) == 302


def test_guessing_at_the_sign_in_keeps_nobody_from_saying_their_password_again(alice: User, as_alice: Client) -> None:
    guesses(9, address="127.0.0.1")
    worn_out()

    assert as_alice.post("/sign-in/again/", {"password": PASSWORD}).status_code == 302


def test_the_right_password_can_be_said_as_often_as_one_likes(as_alice: Client) -> None:
    assert {as_alice.post("/sign-in/again/", {"password": PASSWORD}).status_code for _ in range(12)} == {302}


# ── What is told, and what is on record ───────────────────────────────────────


def test_a_wrong_name_and_a_wrong_password_are_told_alike(alice: User) -> None:
    for _ in range(7):
        wrong = [sign_in_with(Client(), login=login, password="x") for login in ("alice", "nobody")]
        assert wrong[0].status_code == wrong[1].status_code
        first, second = (re.sub(r'value="[^"]*"|<code>\w+</code>', "", page.content.decode()) for page in wrong)
        assert first == second
        assert set(wrong[0].headers) == set(wrong[1].headers)
    assert wrong[0].status_code == 429


def test_an_account_that_is_switched_off_is_told_so_and_not_let_in(alice: User) -> None:
    alice.is_active = False
    alice.save()
    response = sign_in_with(Client())
    assert response.status_code == 422
    assert "This account is switched off" in response.content.decode()
    assert "session" not in response.cookies
    assert KNOWN not in response.cookies


class CountedHasher(MD5PasswordHasher):
    """Counts how often a hash is worked out, which is what takes the time."""

    worked_out = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).worked_out += 1
        return super().encode(password, salt)


@pytest.fixture
def counted(settings: Any) -> type[CountedHasher]:
    settings.PASSWORD_HASHERS = ["tests.test_guessing.CountedHasher"]
    return CountedHasher


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
@pytest.mark.parametrize(
    "login",
    [
        *("nobody", "nobody@example.com", "alice", "alice@example.com", "second@example.com", "claimed@example.com"),
        *("off", "off@example.com", "without", "without@example.com", "invited", "invited@example.com"),
    ],
)
def test_each_attempt_costs_the_same_whoever_is_meant(
    login: str, password: str, counted: type[CountedHasher], db: None
) -> None:
    alice = make_user("alice")
    EmailAddress.objects.create(user=alice, email="alice@example.com", verified=True, primary=True)
    EmailAddress.objects.create(user=alice, email="second@example.com", verified=True)
    EmailAddress.objects.create(user=alice, email="claimed@example.com", verified=False)
    make_user("off", is_active=False)
    without, invited = make_user("without"), make_user("invited")
    without.set_unusable_password()
    without.save()
    User.objects.filter(pk=invited.pk).update(password="")
    counted.worked_out = 0

    sign_in_with(Client(), login=login, password=password)

    assert counted.worked_out == 1


def test_a_name_that_is_the_address_of_somebody_else_shuts_neither_out(alice: User) -> None:
    squatter = make_user("alice@example.com")
    squatter.choose_password("another battery staple")
    squatter.save()
    for password, user in ((PASSWORD, alice), ("another battery staple", squatter)):
        browser = Client()
        assert came_in(browser, "alice@example.com", password) == 302
        assert browser.session["_auth_user_id"] == str(user.pk)


def test_an_address_that_was_only_claimed_is_no_way_in(alice: User) -> None:
    mallory = make_user("mallory")
    EmailAddress.objects.create(user=mallory, email="bob@example.com", verified=False)
    bob = make_user("bob")
    browser = Client()

    assert came_in(browser, "bob@example.com") == 302
    assert browser.session["_auth_user_id"] == str(bob.pk)


def test_an_attack_is_on_record_and_does_not_fill_it(alice: User) -> None:
    limited = AccountEvent.objects.filter(verb=AccountEvent.Verb.LIMITED)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        guesses(40)
        event = limited.get()
        assert (event.user, event.address, event.detail) == (alice, AWAY, {"limit": limits.NAME_HERE.name})
        clock.shift(61)
        guesses(40)
        assert limited.count() == 2
        guesses(40, "nobody")
        assert limited.count() == 2, "of the same kind from the same network"
        guesses(20, "nobody", HERE)
        assert limited.first().user is None  # type: ignore[union-attr]


def test_a_name_that_is_guessed_at_from_everywhere_is_on_record_once_a_minute(alice: User) -> None:
    worn_out()
    with time_machine.travel(timezone.now(), tick=False):
        assert {guesses(1, address=network(n))[0] for n in range(50)} == {429}

    event = AccountEvent.objects.get(verb=AccountEvent.Verb.LIMITED)
    assert (event.user, event.detail) == (alice, {"limit": limits.NAME_WIDE.name})


def test_a_site_of_ipv6_does_not_fill_the_record(db: None) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        for n in range(limits.SITE_WIDE.burst + 50):
            guesses(1, f"name {n}", f"2001:db8:7:{n:x}::1")

    assert AccountEvent.objects.get(verb=AccountEvent.Verb.LIMITED).detail == {"limit": limits.SITE_WIDE.name}


def test_what_allauth_limits_by_itself_is_told_and_on_record_in_the_same_way(db: None, client: Client) -> None:
    request = RequestFactory().post("/sign-up/", REMOTE_ADDR=AWAY)
    for _ in range(3):
        response = ratelimit.respond_429(request)

    assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert AccountEvent.objects.get().detail == {"limit": limits.REQUESTS.name}


def test_nothing_that_was_typed_is_kept(db: None) -> None:
    guesses(9, "my secret passphrase")

    assert "secret" not in str(list(AccountEvent.objects.values()))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM cache")
        rows = cursor.fetchall()
    assert rows
    assert "secret" not in str(rows)


# ── Proxies ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [
        *((1, None), (1, ""), (1, "nonsense"), (1, "203.0.113.7, "), (1, "203.0.113.7, x"), (1, ","), (1, "\x00")),
        *((1, "203.0.113.7.5"), (1, "[::1"), (1, "unknown"), (1, "_hidden"), (1, "203.0.113.0/24"), (1, "٢٠٣.0.113.7")),
        *((2, None), (2, "203.0.113.7"), (3, "203.0.113.7, 198.51.100.1"), (2, "x, 203.0.113.7")),
    ],
)
def test_proxies_that_are_not_as_it_is_said_are_told_in_words(
    proxies: int, forwarded: str | None, alice: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.PROXY_COUNT = proxies
    response = sign_in_with(Client(), headers={} if forwarded is None else {"X-Forwarded-For": forwarded})

    assert response.status_code == 400
    assert "set up differently than PROXY_COUNT says" in response.content.decode()
    assert "PROXY_COUNT has to be the number of proxies" in caplog.text


@pytest.mark.parametrize("address", ["", "unix:", None])
def test_a_peer_without_an_address_is_told_in_words(address: Any, alice: User) -> None:
    assert sign_in_with(Client(REMOTE_ADDR=address)).status_code == 400


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("[2001:db8::1]:51234", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("192.0.2.66, nonsense, 203.0.113.7", "203.0.113.7"),
    ],
)
def test_the_proxy_is_believed_and_nobody_before_it(forwarded: str, address: str, alice: User, settings: Any) -> None:
    settings.PROXY_COUNT = 1
    with time_machine.travel(timezone.now(), tick=False):
        for n in range(6):
            spoofed = f"192.0.2.{n}, {forwarded}"
            refused = sign_in_with(Client(), password="x", headers={"X-Forwarded-For": spoofed})

    assert refused.status_code == 429
    assert AccountEvent.objects.get(verb=AccountEvent.Verb.LIMITED).address == address


# ── At once, in several processes ─────────────────────────────────────────────


@pytest.fixture
def server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path) as server:
        yield server


def attempt(server: Server, login: str) -> int:
    """The status of a wrong password, sent to a real web server."""
    token = "a" * 32
    form = urlencode({"login": login, "password": "wrong", "csrfmiddlewaretoken": token})
    head = f"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nCookie: csrftoken={token}\r\nConnection: close\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    return int(server.send((head + form).encode()).split(b" ", 2)[1])


def test_of_fifty_at_once_no_more_passwords_are_looked_at_than_may(alice: User, server: Server) -> None:
    with ThreadPoolExecutor(50) as crowd:
        codes = list(crowd.map(lambda _: attempt(server, "alice"), range(50)))

    assert sorted(codes) == [422] * limits.NAME_HERE.burst + [429] * (50 - limits.NAME_HERE.burst)
    assert server.checked.stat().st_size == limits.NAME_HERE.burst


def test_of_fifty_names_at_once_no_more_are_looked_at_than_may(server: Server) -> None:
    for n in range(50):
        make_user(f"name{n}")
    with ThreadPoolExecutor(50) as crowd:
        codes = list(crowd.map(lambda n: attempt(server, f"name{n}"), range(50)))

    assert sorted(codes) == [422] * limits.NETWORK_WIDE.burst + [429] * (50 - limits.NETWORK_WIDE.burst)
    assert server.checked.stat().st_size == limits.NETWORK_WIDE.burst
