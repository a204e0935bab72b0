"""The gate of accounts: who has been away for long, who still has to choose a password, who needs a second factor."""

import time
from collections.abc import Callable
from typing import Any

from allauth.core.exceptions import ReauthenticationRequired
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from karenpanel.middleware import page_to_return_to
from securitygroups.access import SecondFactorNeeded
from securitygroups.accounts.standing import SEEN, SINCE, has_factor, is_strong
from securitygroups.models import User

NOTED_EACH = 60
"""Seconds: a session is not written at each click."""
WITHOUT_FACTOR = frozenset({"account", "usersessions_list", "session_end"})
"""Beside the pages of `_ACCOUNT`, what a person can do before setting up a second factor that is asked for."""
_ACCOUNT = ("account_", "mfa_", "openid_connect_", "socialaccount_")


class AccountGate:
    """Behind the sign-in, before every page. `request.strong` says whether the session has a second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.strong = is_strong(request)  # type: ignore[attr-defined]
        if request.user.is_authenticated and (why := _over(request)):
            logout(request)
            messages.info(request, why)
            return redirect_to_login(page_to_return_to(request))
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        name = (request.resolver_match and request.resolver_match.url_name) or ""
        user = request.user
        if not isinstance(user, User) or name.startswith("account_log"):
            return None
        if user.must_change_password and name != "account_change_password":
            messages.warning(request, "Somebody else typed your password: choose one that only you know.")
            return redirect("account_change_password")
        if name.startswith(_ACCOUNT) or name in WITHOUT_FACTOR:
            return None
        if user.is_staff and settings.STAFF_SECOND_FACTOR and not request.strong:  # type: ignore[attr-defined]
            return _to_second_factor(request, user, "Staff sign in with a second factor.")
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, SecondFactorNeeded) and isinstance(request.user, User):
            return _to_second_factor(request, request.user, str(exception))
        # allauth's own pages go on with what was sent; ours are opened again, where it can be looked at.
        match = request.resolver_match
        if (
            isinstance(exception, ReauthenticationRequired)
            and match
            and not (match.url_name or "").startswith(_ACCOUNT)
        ):
            return _and_back(request, "account_reauthenticate")
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
    return redirect_to_login(page_to_return_to(request), reverse(name))


def _to_second_factor(request: HttpRequest, user: User, why: str) -> HttpResponse:
    """To show one, or to set one up, and back."""
    if has_factor(user):
        return _and_back(request, "mfa_reauthenticate")
    messages.warning(request, f"{why} Set up a passkey or an authenticator app, and you can go on.")
    return redirect("mfa_index")
