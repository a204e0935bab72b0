"""What of allauth's behaviour is ours: accounts are closed, and limits do not go by the host's name."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from securitygroups.models import User


class ClosedAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "account_inactive": "This account is switched off: ask your platform's support.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False  # no address at all, such as "http://["

    def set_password(self, user: User, password: str) -> None:
        """By allauth's own forms: the person has typed it."""
        user.choose_password(password)
        user.save(update_fields=["password", "must_change_password"])

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user is not None and not user.is_active:
            # allauth would go to a page of its own, which is not routed here.
            raise self.validation_error("account_inactive")
        return user

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # Without the host name, of which the client chooses the port: each port would be a new set of attempts.
        return str(credentials.get("email", credentials.get("username", ""))).lower()
