"""What Django and allauth tell of accounts goes on record: who came in and by what, who was refused, what was changed.

Receivers, for both send these signals from deep inside. Where a line cannot be written the error goes on, and with it
ends what was to be recorded: nobody is signed in off the record. What was typed as a name is kept nowhere unless an
account has it: people type passwords there.
"""

from typing import Any

from allauth.account import signals as account
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as social
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from securitygroups.accounts.backend import accounts_named
from securitygroups.accounts.client import client_of
from securitygroups.models import AccountEvent, User
from securitygroups.operations import note

Verb = AccountEvent.Verb

WAYS = {
    "password": "password",
    "password_reset": "link for a new password",
    "socialaccount": "single sign-on",
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery code",
}
"""How allauth calls what a person shows, and how the record does."""


# ── Signing in and out ────────────────────────────────────────────────────────


def _ways(request: HttpRequest, user: User) -> list[str]:
    """What the person has signed in with, one after the other; empty where a program did it for them."""
    records = get_authentication_records(request, user)
    kinds = (record.get("type", record["method"]) for record in records if not record.get("reauthenticated"))
    return [WAYS[kind] for kind in kinds if kind in WAYS]


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    note(Verb.SIGNED_IN, user=user, client=client_of(request), ways=_ways(request, user))


@receiver(user_logged_out)
def _signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    # The account may be gone: one whose making failed half-way is signed out and taken back.
    known = User.objects.filter(pk=user.pk).first() if user else None
    if known:
        note(Verb.SIGNED_OUT, user=known, client=client_of(request))


def _account(credentials: dict[str, Any]) -> User | None:
    """The account that was tried, where it is just one: somebody's name may be another one's address."""
    named = accounts_named(str(credentials.get("username") or credentials.get("email") or ""))
    return named[0] if len(named) == 1 else None


@receiver(user_login_failed)
def _refused(credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    password_refused(request, _account(credentials))


def password_refused(request: HttpRequest | None, user: User | None) -> None:
    """For those too who look at a password past Django's authenticate(), which is what sends the signal."""
    switched_off: dict[str, Any] = {"switched_off": True} if user and not user.is_active else {}
    note(Verb.SIGN_IN_FAILED, user=user, client=client_of(request), ways=[WAYS["password"]], **switched_off)


@receiver(mfa.authentication_failed)
def _factor_refused(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """A code: which of the kinds it was meant to be cannot be told from one that is wrong."""
    note(Verb.SIGN_IN_FAILED, user=user, client=client_of(request), ways=[WAYS[authenticator.type]])


# ── Passwords and addresses ───────────────────────────────────────────────────


@receiver(account.password_changed)
@receiver(account.password_set)
def _password_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    note(Verb.PASSWORD_CHANGED, user=user, client=client_of(request))


@receiver(account.password_reset)
def _password_reset(request: HttpRequest, user: User, **kwargs: Any) -> None:
    note(Verb.PASSWORD_RESET, user=user, client=client_of(request))


def _address(request: HttpRequest, what: str, user: User, address: EmailAddress, **detail: Any) -> None:
    note(Verb.ADDRESS_CHANGED, user=user, client=client_of(request), what=what, email=address.email, **detail)


@receiver(account.email_added)
def _address_added(request: HttpRequest, user: User, email_address: EmailAddress, **kwargs: Any) -> None:
    _address(request, "added", user, email_address)


@receiver(account.email_removed)
def _address_removed(request: HttpRequest, user: User, email_address: EmailAddress, **kwargs: Any) -> None:
    _address(request, "removed", user, email_address)


@receiver(account.email_confirmed)
def _address_confirmed(request: HttpRequest, email_address: EmailAddress, **kwargs: Any) -> None:
    _address(request, "confirmed", email_address.user, email_address)


@receiver(account.email_changed)
def _address_changed(
    request: HttpRequest,
    user: User,
    from_email_address: EmailAddress | None,
    to_email_address: EmailAddress,
    **kwargs: Any,
) -> None:
    before = {"before": from_email_address.email} if from_email_address else {}
    _address(request, "changed", user, to_email_address, **before)


# ── Second factors and single sign-on ─────────────────────────────────────────


def _factor(verb: AccountEvent.Verb, request: HttpRequest, user: User, authenticator: Authenticator) -> None:
    detail: dict[str, Any] = {"kind": WAYS[authenticator.type]}
    if authenticator.type == Authenticator.Type.WEBAUTHN:
        detail["name"] = str(authenticator)
    note(verb, user=user, client=client_of(request), **detail)


@receiver(mfa.authenticator_added)
def _factor_added(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    codes = authenticator.type == Authenticator.Type.RECOVERY_CODES
    _factor(Verb.CODES_MADE if codes else Verb.FACTOR_ADDED, request, user, authenticator)


@receiver(mfa.authenticator_reset)
def _codes_made_again(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    _factor(Verb.CODES_MADE, request, user, authenticator)


@receiver(mfa.authenticator_removed)
def _factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    _factor(Verb.FACTOR_REMOVED, request, user, authenticator)


@receiver(social.social_account_added)
def _connected(request: HttpRequest, sociallogin: Any, **kwargs: Any) -> None:
    there = sociallogin.account
    note(Verb.CONNECTED, user=sociallogin.user, client=client_of(request), provider=there.provider, uid=there.uid)


@receiver(social.social_account_removed)
def _disconnected(request: HttpRequest, socialaccount: Any, **kwargs: Any) -> None:
    there = socialaccount
    note(Verb.DISCONNECTED, user=there.user, client=client_of(request), provider=there.provider, uid=there.uid)
