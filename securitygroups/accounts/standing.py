"""How well a session is known to be the person's: how long since they showed it, and whether with a second factor.

allauth keeps on each session's record how the person signed in; all that asks for more asks here.
"""

import time
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY, get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.account.signals import authentication_step_completed
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed
from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from securitygroups import operations
from securitygroups.models import User

SIGNED_IN = "signed_in"
"""The record of what was shown on signing in, by whatever means."""
SINCE, SEEN = "since", "seen"
"""In the session, when it was signed in and when it was last used, in seconds since 1970."""
FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
"""What a second factor is. Recovery codes stand in for a lost one, and are none by themselves."""


def is_strong(request: HttpRequest) -> bool:
    """Whether this session was signed in with a second factor, by the session alone: it costs no query."""
    trusted = {"mfa", "socialaccount"} if settings.OIDC_SECOND_FACTOR else {"mfa"}
    return any(record["method"] in trusted for record in get_authentication_records(request, request.user))


def has_factor(user: User) -> bool:
    """Whether the person can sign in with a second factor at all."""
    return bool(is_mfa_enabled(user, FACTORS))


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person has signed in, or shown once more who they are, within the last minutes. allauth says so of
    everybody whom it cannot ask, as of who has no password here."""
    shown = [each["at"] for each in get_authentication_records(request, request.user) if each.get("reauthenticated")]
    return bool(shown) and time.time() - shown[-1] < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


def can_be_asked(user: User) -> bool:
    """Whether there is anything by which the person can show once more who they are."""
    return user.has_usable_password() or has_factor(user)


@receiver(user_logged_in)
def _signed_in_now(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """To have signed in a moment ago is as good as to have shown once more who one is."""
    request.session[SINCE] = request.session[SEEN] = int(time.time())
    record_authentication(request, user, method=SIGNED_IN, reauthenticated=True)


@receiver(authentication_step_completed)
def _new_key(sender: Any, request: HttpRequest, method: str, **kwargs: Any) -> None:
    """Whoever copied the session's key before gains nothing by what the person shows now. Signing in brings a new key
    by itself."""
    if kwargs.get("reauthenticated") and method != SIGNED_IN:
        before = request.session.session_key
        # Together: a row without its session would be taken away, and the session go on unseen.
        with transaction.atomic():
            request.session.cycle_key()
            UserSession.objects.filter(session_key=before).update(session_key=request.session.session_key)


@receiver(authenticator_added)
def _shown_now(sender: Any, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Whoever sets up a factor has just used it."""
    if authenticator.type in FACTORS:
        record_authentication(request, user, method="mfa", type=authenticator.type, id=authenticator.pk)


@receiver(authenticator_removed)
def _weaker_now(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Other sessions may have been signed in with what is gone; this one is no stronger than what is left."""
    operations.end_sessions(user, but=request.session.session_key)
    if not has_factor(user):
        records = get_authentication_records(request, user)
        request.session[AUTHENTICATION_METHODS_SESSION_KEY] = [each for each in records if each["method"] != "mfa"]
