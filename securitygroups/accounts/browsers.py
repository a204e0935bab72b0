"""Browsers that an account was signed in with before: they have attempts of their own, so that whoever guesses somewhere
else does not shut the owner out. docs/decisions/0009 says why."""

import secrets

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

from securitygroups.accounts.backend import accounts_named
from securitygroups.models import User

SECONDS = 180 * 24 * 60 * 60
"""How long a browser is known after signing in."""


def remember(response: HttpResponse, user: User) -> None:
    """From now on this browser is known to this account. For answers to somebody who has just proved to be its owner:
    after signing in, and after a change of the password, which ends what was known before."""
    response.set_cookie(
        settings.KNOWN_BROWSER_COOKIE_NAME,
        _signer(user).sign(f"{user.pk}.{secrets.token_urlsafe(12)}"),
        max_age=SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        # Nothing but our own form at the sign-in ever needs it.
        samesite="Strict",
    )


def known(request: HttpRequest, login: str) -> str | None:
    """What this browser is called at the account that is meant; None where it is not known there."""
    cookie = request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, "")
    owner = cookie.partition(".")[0]
    # Without such a cookie nothing is looked up: how long that takes would say whether somebody is called so.
    user = next((user for user in accounts_named(login) if str(user.pk) == owner), None) if owner else None
    if user is None:
        return None
    try:
        return _signer(user).unsign(cookie, max_age=SECONDS)
    except BadSignature:
        return None


def _signer(user: User) -> TimestampSigner:
    """Its key hangs on the password, as a session does."""
    return TimestampSigner(salt=f"karenpanel.known-browser.{user.get_session_auth_hash()}")
