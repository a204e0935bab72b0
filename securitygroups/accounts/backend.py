"""Whom a name or an address at the sign-in means, and that looking costs the same whether it means anybody."""

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.models import EmailAddress
from django.db.models.functions import Lower
from django.http import HttpRequest

from securitygroups.models import Asked, Given, User

_BY_KEY = Asked(lambda: User.objects.filter(pk=Given("pk")))


def account_of(email: str) -> User | None:
    """The account with this e-mail address. Letters are compared as Unicode makes them small: by capitals, "ı" would be "i".

    An address that nobody has proved to be theirs is no way in, but for the one that the account itself says.
    """
    small = email.strip().lower()
    proved = EmailAddress.objects.filter(email=small, verified=True).select_related("user").first()
    return proved.user if proved else User.objects.alias(small=Lower("email")).filter(small=small).first()


def accounts_named(login: str) -> list[User]:
    """The account with this e-mail address, and the one with this name. Nearly always that is one or none; two where the
    name of one is the address of the other, and then neither shuts the other out.
    """
    by_name = User.objects.filter(username=login.strip().lower()).first()
    return list(dict.fromkeys(user for user in (account_of(login), by_name) if user))


class AccountBackend(AuthenticationBackend):  # type: ignore[misc]
    """allauth's looks by address, by name and by address again, and works out a hash for each: how long that takes says
    whether an address is known. Here it is one hash for each account that is meant, and one where nobody is."""

    def _authenticate(self, request: HttpRequest | None, **credentials: Any) -> User | None:
        login = credentials.get("username") or credentials.get("email") or ""
        return next(
            (user for user in accounts_named(login) if self._check_password(user, credentials["password"])), None
        )

    def get_user(self, user_id: int) -> User | None:
        user: User | None = _BY_KEY.one(pk=user_id)
        return user if user and self.user_can_authenticate(user) else None
