"""Signing in from a place that was not seen before is told by mail: it may be somebody else."""

import ipaddress

from allauth.account.adapter import get_adapter
from django.http import HttpRequest

from securitygroups.accounts.client import client_of
from securitygroups.models import AccountEvent, User
from securitygroups.operations import Client

LOOKED_AT = 100
"""Of the last times that the person signed in."""


def _place(address: str | None, agent: str) -> tuple[str, str]:
    """A neighbourhood of the network, and the browser without its version: both change without anybody having moved."""
    if not address:
        return "", agent.partition("/")[0]
    bits = 24 if ipaddress.ip_address(address).version == 4 else 48
    letters = "".join(character for character in agent if character.isalpha())
    return str(ipaddress.ip_network(f"{address}/{bits}", strict=False)), letters


def is_new(user: User, client: Client) -> bool:
    """Whether the person has signed in before, but never from here. The sign-in of this moment is on record already."""
    earlier = user.account_events.filter(verb=AccountEvent.Verb.SIGNED_IN).values_list("address", "agent")[1:LOOKED_AT]
    seen = {_place(*row) for row in earlier}
    return bool(seen) and _place(client.address, client.agent[:200]) not in seen


def tell_of_new_place(request: HttpRequest, user: User) -> None:
    if is_new(user, client_of(request)):
        get_adapter(request).send_notification_mail("account/email/new_place", user, email=user.email)
