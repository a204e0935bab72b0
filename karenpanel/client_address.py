"""The address that somebody is connected from, for doors that only tell it: it is read and believed in one place."""

from allauth.account.adapter import get_adapter
from django.core.exceptions import BadRequest
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """Behind as many proxies as PROXY_COUNT says; the same that sign-in attempts are counted by.

    Empty where nothing tells it, as for who came around the proxies.
    """
    try:
        return str(get_adapter(request).get_client_ip(request))
    except BadRequest:
        return ""
