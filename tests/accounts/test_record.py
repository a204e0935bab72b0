"""What happens to accounts is on the append-only record: who came in and how, who was refused, what was changed."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.account.internal.flows import email_verification, manage_email
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.account.signals import password_reset, password_set
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.recovery_codes.internal.flows import generate_recovery_codes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.mfa.totp.internal.flows import activate_totp, deactivate_totp
from allauth.mfa.webauthn.internal.flows import delete_and_cleanup
from allauth.socialaccount.internal.flows.connect import disconnect
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.contrib.auth import login
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory

from securitygroups.models import AccountEvent, User
from tests.factories import PASSWORD

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
HERE: dict[str, Any] = {"REMOTE_ADDR": "198.51.100.7", "HTTP_USER_AGENT": "Browser/1"}


def lines(verb: str = "") -> list[AccountEvent]:
    """The record from its start, or what is on it of one kind."""
    rows = AccountEvent.objects.order_by("pk")
    return list(rows.filter(verb=verb) if verb else rows)


def line(verb: str) -> AccountEvent:
    """The only line of the kind."""
    (one,) = lines(verb)
    return one


@pytest.fixture
def request_of_alice(alice: User, django_capture_on_commit_callbacks: Any) -> Iterator[HttpRequest]:
    """A request in which alice has just shown her password; for allauth's flows that no page of ours begins by itself."""
    request = RequestFactory().post("/", **HERE)
    request.session = SessionStore()
    request.session.save()
    request.user = alice
    request.allauth = SimpleNamespace()  # type: ignore[attr-defined]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    record_authentication(request, alice, method="password", reauthenticated=True)
    with context.request_context(request), django_capture_on_commit_callbacks(execute=True):
        yield request


# ── Signing in and out ────────────────────────────────────────────────────────


def test_signing_in_says_who_how_and_from_where(alice: User) -> None:
    client = Client(**HERE)

    client.post("/sign-in/", {"login": "Alice@Example.com", "password": PASSWORD})

    found = line("signed.in")
    assert (found.user, found.user_name, found.actor) == (alice, "alice", None)
    assert (found.address, found.agent) == ("198.51.100.7", "Browser/1")
    assert found.detail == {"ways": ["password"]}


def test_a_sign_in_without_a_browser_is_on_record_too(alice: User) -> None:
    Client().force_login(alice)

    found = line("signed.in")
    assert (found.user, found.address, found.agent, found.detail) == (alice, None, "", {"ways": []})


@pytest.mark.parametrize(
    ("shown", "ways"),
    [
        ([("password", {}), ("mfa", {"type": "totp", "id": 1})], ["password", "authenticator app"]),
        ([("password", {}), ("mfa", {"type": "recovery_codes", "id": 1})], ["password", "recovery code"]),
        ([("mfa", {"type": "webauthn", "id": 1, "passwordless": True})], ["passkey"]),
        ([("socialaccount", {"provider": "company", "uid": "u1"})], ["single sign-on"]),
        ([("password_reset", {"email": "alice@example.com"})], ["link for a new password"]),
        ([("password", {}), ("password", {"reauthenticated": True})], ["password"]),
        ([("something new", {})], []),
    ],
)
def test_the_record_says_what_the_person_signed_in_with(
    alice: User, shown: list[tuple[str, dict[str, Any]]], ways: list[str]
) -> None:
    request = RequestFactory().post("/", **HERE)
    request.session = SessionStore()
    for method, more in shown:
        record_authentication(request, alice, method, **more)

    login(request, alice, BACKEND)

    assert line("signed.in").detail == {"ways": ways}


@pytest.mark.parametrize("typed", ["alice", "ALICE", "alice@example.com", " Alice@Example.COM "])
def test_a_wrong_password_is_on_the_accounts_record(typed: str, alice: User) -> None:
    Client(**HERE).post("/sign-in/", {"login": typed, "password": "not it"})

    found = line("signed.failed")
    assert (found.user, found.address, found.detail) == (alice, "198.51.100.7", {"ways": ["password"]})
    assert len(lines()) == 1


@pytest.mark.parametrize("typed", ["my secret pa55word", "pa55word@example.com", "%", "'; --", "ａｌｉｃｅ", "x" * 150])
def test_what_no_account_has_is_not_kept(typed: str, alice: User) -> None:
    Client(**HERE).post("/sign-in/", {"login": typed, "password": "another secret"})

    found = line("signed.failed")
    kept = str(AccountEvent.objects.values().get())
    assert (found.user, found.user_name, found.address) == (None, "", "198.51.100.7")
    assert typed == "%" or typed not in kept
    assert "secret" not in kept


def test_an_account_that_is_switched_off_is_refused_by_that_name(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    Client().post("/sign-in/", {"login": "alice", "password": PASSWORD})

    assert line("signed.failed").detail == {"ways": ["password"], "switched_off": True}
    assert not lines("signed.in")


def test_a_wrong_code_is_refused_on_record(alice: User, request_of_alice: HttpRequest) -> None:
    TOTP.activate(alice, generate_totp_secret())

    form = AuthenticateForm({"code": "000000"}, user=alice)

    assert not form.is_valid()
    assert (line("signed.failed").user, line("signed.failed").detail) == (alice, {"ways": ["authenticator app"]})


def test_a_stolen_session_that_guesses_the_password_is_on_record(as_alice: Client, alice: User) -> None:
    as_alice.post("/sign-in/again/", {"password": "guess"})
    as_alice.post(
        "/password/", {"oldpassword": "guess", "password1": "battery horse 9", "password2": "battery horse 9"}
    )

    assert {found.user for found in lines("signed.failed")} == {alice}
    assert not lines("password.changed")


def test_signing_out_is_on_record_once(as_alice: Client, alice: User) -> None:
    as_alice.post("/sign-out/")
    as_alice.post("/sign-out/")

    assert line("signed.out").user == alice


def test_nobody_is_signed_in_off_the_record(alice: User) -> None:
    client = Client(raise_request_exception=False)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION out_of_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'out of order'; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER out_of_order BEFORE INSERT ON securitygroups_accountevent"
            " FOR EACH ROW WHEN (NEW.verb = 'signed.in') EXECUTE FUNCTION out_of_order()"
        )

    with transaction.atomic():
        response = client.post("/sign-in/", {"login": "alice", "password": PASSWORD})
        transaction.set_rollback(True)

    assert response.status_code == 500
    assert "session" not in response.cookies


@pytest.mark.parametrize(
    ("headers", "address", "agent"),
    [
        ({"REMOTE_ADDR": "not an address"}, None, ""),
        ({"REMOTE_ADDR": ""}, None, ""),
        ({"REMOTE_ADDR": "2001:db8::7"}, "2001:db8::7", ""),
        ({"HTTP_USER_AGENT": "x" * 5000}, "127.0.0.1", "x" * 200),
        ({"HTTP_USER_AGENT": 'a\nb\x1b[2J"}\x00é'}, "127.0.0.1", 'a\ufffdb\ufffd[2J"}é'),
    ],
)
def test_whatever_a_request_says_of_itself_does_the_record_no_harm(
    headers: dict[str, str], address: str | None, agent: str, alice: User
) -> None:
    request = RequestFactory(**headers).post("/")  # type: ignore[arg-type]
    request.session = SessionStore()

    login(request, alice, BACKEND)

    assert (line("signed.in").address, line("signed.in").agent) == (address, agent)


# ── Passwords and addresses ───────────────────────────────────────────────────


def test_a_new_password_is_on_record_and_not_what_it_is(as_alice: Client, alice: User) -> None:
    new = "a Rather newest staple 93"
    sent = {"oldpassword": PASSWORD, "password1": new, "password2": new}

    assert as_alice.post("/password/", sent).status_code == 302

    assert (line("password.changed").user, line("password.changed").detail) == (alice, {})
    kept = str(list(AccountEvent.objects.values()))
    assert new not in kept
    assert PASSWORD not in kept


def test_passwords_set_first_and_by_a_link_are_on_record(alice: User, request_of_alice: HttpRequest) -> None:
    password_set.send(User, request=request_of_alice, user=alice)
    password_reset.send(User, request=request_of_alice, user=alice)

    assert [found.verb for found in lines()] == ["password.changed", "password.reset"]
    assert {found.user for found in lines()} == {alice}


def test_what_happens_to_addresses_is_on_record(alice: User, request_of_alice: HttpRequest) -> None:
    old = EmailAddress.objects.create(user=alice, email="alice@example.com", primary=True, verified=True)
    new = EmailAddress(user=alice, email="new@example.com")

    email_verification.verify_email(request_of_alice, new)
    manage_email.emit_email_changed(request_of_alice, old, new)
    manage_email.delete_email(request_of_alice, EmailAddress.objects.create(user=alice, email="gone@example.com"))

    told = [(found.detail["what"], found.detail["email"], found.detail.get("before")) for found in lines()]
    assert {found.verb for found in lines()} == {"address.changed"}
    assert {found.user for found in lines()} == {alice}
    assert told[:2] == [("added", "new@example.com", None), ("confirmed", "new@example.com", None)]
    assert ("changed", "new@example.com", "alice@example.com") in told
    assert told[-1] == ("removed", "gone@example.com", None)


# ── Second factors and single sign-on ─────────────────────────────────────────


def test_second_factors_and_codes_are_on_record_without_their_secrets(
    alice: User, request_of_alice: HttpRequest, django_capture_on_commit_callbacks: Any
) -> None:
    secret = generate_totp_secret()
    with django_capture_on_commit_callbacks(execute=True):
        app, _ = activate_totp(request_of_alice, SimpleNamespace(secret=secret))
    with django_capture_on_commit_callbacks(execute=True):
        codes = generate_recovery_codes(request_of_alice)
    unused = RecoveryCodes(codes).get_unused_codes()
    data = {"name": "Blue key", "credential": {}}
    key = Authenticator.objects.create(user=alice, type=Authenticator.Type.WEBAUTHN, data=data)
    delete_and_cleanup(request_of_alice, key)
    deactivate_totp(request_of_alice, app)

    told = [(found.verb, found.detail["kind"], found.detail.get("name")) for found in lines()]
    assert sorted(told[:2]) == [
        ("codes.made", "recovery code", None),
        ("factor.added", "authenticator app", None),
    ]
    assert told[2:] == [
        ("codes.made", "recovery code", None),
        ("factor.removed", "passkey", "Blue key"),
        ("factor.removed", "authenticator app", None),
        ("factor.removed", "recovery code", None),
    ]
    assert {(found.user, found.address) for found in lines()} == {(alice, "198.51.100.7")}
    kept = str(list(AccountEvent.objects.values()))
    assert unused
    assert not [each for each in (secret, *unused) if each in kept]


def test_single_sign_on_is_on_record_when_it_is_connected_and_when_it_is_taken_off(
    alice: User, request_of_alice: HttpRequest, settings: Any
) -> None:
    app = {
        "provider_id": "company",
        "name": "Company",
        "client_id": "x",
        "secret": "y",
        "settings": {"server_url": "x"},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app]}}

    SocialLogin(account=SocialAccount(provider="company", uid="u-17")).connect(request_of_alice, alice)
    disconnect(request_of_alice, SocialAccount.objects.get())

    assert [(found.verb, found.user, found.detail) for found in lines()] == [
        ("connected", alice, {"provider": "company", "uid": "u-17"}),
        ("disconnected", alice, {"provider": "company", "uid": "u-17"}),
    ]
