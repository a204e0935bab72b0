"""Where a request comes from, as plain values for the record."""

from allauth.account.adapter import get_adapter
from django.http import HttpRequest

from securitygroups.operations import Client


def client_of(request: HttpRequest) -> Client:
    """The address is the one that PROXY_COUNT says can be believed."""
    return Client(get_adapter(request).get_client_ip(request), request.headers.get("User-Agent", ""))
