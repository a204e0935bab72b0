"""Single sign-on: who comes in by a provider's word, as whom, and who does not, with what is said then."""

from typing import Any

import structlog
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from securitygroups.accounts.adapter import invitation_of
from securitygroups.accounts.backend import account_of
from securitygroups.accounts.client import client_of
from securitygroups.accounts.oidc import Provider
from securitygroups.models import AccountEvent, User
from securitygroups.operations.accounts import note

logger = structlog.get_logger()

# Why somebody does not come in: the status, and the words of the page by their name in templates/account/sso_refused.html.
REFUSALS = {
    "cancelled": 403,
    "stale": 400,
    "down": 424,
    "disbelieved": 403,
    "off": 403,
    "connect": 403,
    "unverified": 403,
    "unknown": 403,
}


def refused(request: HttpRequest, why: str, **context: Any) -> HttpResponse:
    """The page that says why somebody does not come in, and what to do."""
    return render(request, "account/sso_refused.html", {"why": why, **context}, status=REFUSALS[why])


class SingleSignOn(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """What allauth asks: which provider there is, and whether a person of it comes in."""

    error_messages = DefaultSocialAccountAdapter.error_messages | {
        "no_password": "You have no password here: without single sign-on you could not come in any more. "
        "Set a password first, by “Forgot your password?” on the sign-in page."
    }

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """The one of the settings, whatever is asked for: no row of a table makes another provider, and connections with
        the one before still have to be shown and removed."""
        apps = settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS", [])
        return [SocialApp(provider="openid_connect", **app) for app in apps]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Provider:
        """Raises SocialApp.DoesNotExist where there is none."""
        return Provider(request, app=self.get_app(request, provider=provider, client_id=client_id))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Provider,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        extra = extra_context or {}
        if error == "cancelled":
            why = "cancelled"
        elif not exception and "state_id" in extra:
            why = "stale"
        else:
            why = "disbelieved"
            logger.warning("Single sign-on failed", said=str(exception or request.GET.get("error", ""))[:300])
        raise ImmediateHttpResponse(refused(request, why))

    # ── Who comes in ──────────────────────────────────────────────────────────

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[User, str] | None:
        """The account whose address both sides have seen answered, for it to be connected with the provider's.

        Not where only the provider has: whoever made an account here with somebody else's address would wait in it. And
        no account of the staff: that its owner wants this has to be said with its password.
        """
        if sociallogin.state.get("process") == "connect":
            return None
        for address in sociallogin.email_addresses:
            if address.verified:
                here = EmailAddress.objects.filter(email=address.email.lower(), verified=True).select_related("user")
                if (found := here.first()) and not (found.user.is_staff or found.user.is_superuser):
                    return found.user, found.email
        return None

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Raises ImmediateHttpResponse with the page for whoever does not come in."""
        if sociallogin.state.get("process") == "connect":
            return
        if sociallogin.is_existing:
            if not sociallogin.user.is_active:
                self.refuse(request, "off", sociallogin.user)
            return
        verified = [address.email for address in sociallogin.email_addresses if address.verified]
        mine = [user for email in verified if (user := account_of(email))]
        if mine:
            self.refuse(request, "connect", mine[0])
        if not self.is_open_for_signup(request, sociallogin):
            self.refuse(request, "unknown")
        if not verified:
            # Also where somebody here has that address: who has not shown that it is theirs is not told so.
            self.refuse(request, "unverified")

    def refuse(self, request: HttpRequest, why: str, user: User | None = None) -> None:
        """Raises ImmediateHttpResponse. What is about somebody who is known goes on record."""
        if user:
            note(AccountEvent.Verb.SIGN_IN_FAILED, user=user, client=client_of(request), by_single_sign_on=why)
        else:
            logger.info("Single sign-on refused", why=why)
        raise ImmediateHttpResponse(refused(request, why))

    # ── New accounts ──────────────────────────────────────────────────────────

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """By the settings, or by an invitation of the address that the provider has verified."""
        invitation = invitation_of(request)
        addresses = {address.email.lower() for address in sociallogin.email_addresses if address.verified}
        return settings.OIDC_SIGN_UP or bool(invitation and invitation.email.lower() in addresses)

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        """Of all that the provider says, the panel wants a name and an address."""
        wanted = {"username": data.get("username"), "email": data.get("email")}
        user: User = super().populate_user(request, sociallogin, wanted)
        return user

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """A new account. Its name is the provider's, made to fit the rules for names and different from all others."""
        account = sociallogin.account
        said = [account.extra_data.get("preferred_username"), sociallogin.user.email, "user"]
        sociallogin.user.username = get_account_adapter(request).generate_unique_username(said)
        user: User = super().save_user(request, sociallogin, form)
        client = client_of(request)
        note(AccountEvent.Verb.ACCOUNT_MADE, user=user, client=client, by_single_sign_on=True)
        note(AccountEvent.Verb.CONNECTED, user=user, client=client, provider=account.provider)
        return user
