"""The gate of accounts: who has been away for long, who still has to choose a password, who needs a second factor."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from allauth.core.exceptions import ReauthenticationRequired
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from karenpanel.kept import sign_in_first
from securitygroups.access import SecondFactorNeeded
from securitygroups.accounts.standing import SEEN, SINCE, can_be_asked, has_factor, is_fresh, is_strong
from securitygroups.models import User

NOTED_EACH = 60
"""Seconds: a session is not written at each click."""
WITHOUT_FACTOR = frozenset({"account", "usersessions_list", "session_end"})
"""Beside the pages of `_ACCOUNT`, what a person can do before setting up a second factor that is asked for."""
DANGEROUS = (
    "mfa_activate",
    "mfa_deactivate",
    "mfa_generate",
    "mfa_add",
    "mfa_remove",
    "account_email",
    "socialaccount_",
    "own_token_new",
    "token_new",
)
"""What changes how a person comes in, or lets a program in."""
_ACCOUNT = ("account_", "mfa_", "openid_connect_", "socialaccount_")


class AccountGate:
    """Behind the sign-in, before every page. `request.strong` says whether the session has a second factor,
    and `request.fresh()` whether the person has shown within the last minutes who they are."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.strong = is_strong(request)  # type: ignore[attr-defined]
        request.fresh = partial(is_fresh, request)  # type: ignore[attr-defined]
        if request.user.is_authenticated and (why := _over(request)):
            return _sign_in_anew(request, why)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        name = (request.resolver_match and request.resolver_match.url_name) or ""
        user = request.user
        if not isinstance(user, User) or name.startswith("account_log"):
            return None
        if user.must_change_password and name != "account_change_password":
            messages.warning(request, "Somebody else typed your password: choose one that only you know.")
            return redirect("account_change_password")
        if name.startswith(DANGEROUS):
            # By a session that was signed in without the factors that there are, nobody adds or takes away any.
            if not request.strong and has_factor(user):  # type: ignore[attr-defined]
                return _and_back(request, "mfa_reauthenticate")
            if not is_fresh(request) and not can_be_asked(user):
                return _sign_in_anew(request)
        if name.startswith(_ACCOUNT) or name in WITHOUT_FACTOR:
            return None
        if user.is_staff and settings.STAFF_SECOND_FACTOR and not request.strong:  # type: ignore[attr-defined]
            return _to_second_factor(request, user, "Staff sign in with a second factor.")
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, SecondFactorNeeded) and isinstance(request.user, User):
            return _to_second_factor(request, request.user, str(exception))
        if isinstance(exception, ReauthenticationRequired) and isinstance(request.user, User):
            # The page is opened again, where what is done can be looked at: allauth would keep all that was sent in the
            # session, secrets too, and go on with it by itself.
            asked = can_be_asked(request.user)
            return _and_back(request, "account_reauthenticate") if asked else _sign_in_anew(request)
        return None


def _over(request: HttpRequest) -> str:
    """Why the session has ended, or nothing. Writes down that it is in use, at most once a minute."""
    now = int(time.time())
    # One from before this was kept counts from now on.
    if now - request.session.setdefault(SINCE, now) > settings.SESSION_COOKIE_AGE:
        return f"You signed in more than {settings.SESSION_COOKIE_AGE // 3600} hours ago. Sign in again."
    seen = request.session.get(SEEN, now)
    if now - seen > settings.SESSION_IDLE_SECONDS:
        return (
            f"You were signed out after {settings.SESSION_IDLE_SECONDS // 60} minutes without a click. Sign in again."
        )
    if SEEN not in request.session or now - seen >= NOTED_EACH:
        request.session[SEEN] = now
        UserSession.objects.filter(session_key=request.session.session_key).update(last_seen_at=timezone.now())
    return ""


def _and_back(request: HttpRequest, name: str) -> HttpResponse:
    return sign_in_first(request, reverse(name))


def _sign_in_anew(request: HttpRequest, why: str = "What comes next is sensitive: sign in again.") -> HttpResponse:
    """Where a session has ended; and who has nothing here to show once more who they are shows it where they came in."""
    logout(request)
    messages.info(request, why)
    return sign_in_first(request)


def _to_second_factor(request: HttpRequest, user: User, why: str) -> HttpResponse:
    """To show one, or to set one up, and back."""
    if has_factor(user):
        return _and_back(request, "mfa_reauthenticate")
    messages.warning(request, f"{why} Set up a passkey or an authenticator app, and you can go on.")
    return redirect("mfa_index")
