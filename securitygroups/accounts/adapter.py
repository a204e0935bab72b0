"""What of allauth's behaviour is ours: accounts come by invitation, and limits are counted by us."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from securitygroups import operations
from securitygroups.accounts import browsers, limits, places, record
from securitygroups.accounts.client import address_of
from securitygroups.models import Invitation, User

INVITATION = "invitation"
"""In the session, the digest of the invitation whose link was followed."""


def invitation_of(request: HttpRequest) -> Invitation | None:
    """The invitation that this session came with, while it can still be accepted."""
    digest = request.session.get(INVITATION)
    found = Invitation.objects.select_related("project", "by").filter(digest=digest).first() if digest else None
    return found if found and operations.running(found) else None


class ClosedAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is switched off: ask your platform's support.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return invitation_of(request) is not None

    def is_email_verified(self, request: HttpRequest, email: str) -> bool:
        found = invitation_of(request)
        return found is not None and found.email.lower() == email.lower()

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        saved: User = super().save_user(request, user, form, commit=False)
        # The person has typed it, and nobody else.
        saved.must_change_password = False
        if commit:
            saved.save()
        return saved

    def is_safe_url(self, url: str | None) -> bool:
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False  # no address at all, such as "http://["

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """allauth writes to the addresses that it has rows of; an account that staff made has its own until then."""
        super().send_notification_mail(template_prefix, user, context, email or user.email or None)

    def set_password(self, user: User, password: str) -> None:
        """By allauth's own forms: the person has typed it."""
        user.choose_password(password)
        user.save(update_fields=["password", "must_change_password"])

    def get_client_ip(self, request: HttpRequest) -> str:
        """For all of allauth too: its sessions and its own limits."""
        return address_of(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Counted before the password is looked at: of a hundred at once no more get that far than may."""
        self.attempt = limits.sign_in(request, credentials.get("username") or credentials.get("email") or "")

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user is None:
            return None
        if not user.is_active:
            # Counted like a wrong one: somebody who was sent away would try for ever.
            raise self.validation_error("account_inactive")
        self.attempt.give_back()
        limits.right_password(request, user)
        return user

    def reauthenticate(self, user: User, password: str) -> bool:
        """Apart from signing in: whoever guesses here does not keep the person from coming in there."""
        attempt = limits.again(self.request, user)
        right = user.check_password(password)
        if right:
            attempt.give_back()
        else:
            record.password_refused(self.request, user)
        return right

    def login(self, request: HttpRequest, user: User) -> None:
        """Whoever was switched off between the password and the second factor does not come in. Raises
        ImmediateHttpResponse."""
        if not User.objects.filter(pk=user.pk, is_active=True).exists():
            raise ImmediateHttpResponse(self.respond_user_inactive(request, user))
        super().login(request, user)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        messages.error(request, self.error_messages["account_inactive"])
        return redirect("account_login")

    def post_login(self, request: HttpRequest, user: User, **more: Any) -> HttpResponse:
        limits.signed_in(request, user)
        places.tell_of_new_place(request, user)
        response: HttpResponse = super().post_login(request, user, **more)
        browsers.remember(response, user)
        return response
