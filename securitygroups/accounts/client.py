"""Where a request comes from: the one who is believed about it, as plain values for the record and for limits."""

from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest

from securitygroups.operations import NOWHERE, Client

logger = structlog.get_logger()

NETWORK = 64
"""Of an IPv6 address, how many bits say whose it is: behind them, one customer chooses freely."""
SITE = 48
"""How many bits many providers hand out at once, which is 65,536 networks."""


class WrongProxies(BadRequest):
    """What came along does not fit the number of proxies that is said to stand before the panel."""


def address_of(request: HttpRequest) -> str:
    """The address of the browser or program: what the outermost of PROXY_COUNT proxies says, and what a client wrote in
    front of that is not believed. An IPv4 address in IPv6 clothes is the IPv4 address. Raises WrongProxies."""
    count = settings.PROXY_COUNT
    forwarded = request.headers.get("X-Forwarded-For")
    entries = forwarded.split(",") if forwarded and count else []
    said = (request.META.get("REMOTE_ADDR") or "") if not count else entries[-count] if len(entries) >= count else ""
    address = _read(said.strip())
    if address is None:
        logger.warning(
            "proxies",
            proxy_count=count,
            forwarded=len(entries),
            hint="PROXY_COUNT has to be the number of proxies that add an address to X-Forwarded-For, and nobody may "
            "come around them. Behind a Unix socket it is at least 1.",
        )
        raise WrongProxies(
            "The proxy in front of the panel is set up differently than PROXY_COUNT says, so it cannot be told where you "
            "come from. Tell those who run the panel."
        )
    return address


def _read(text: str) -> str | None:
    """The address in its shortest form, without a port and without the name of a network card; None where it is none."""
    if text.startswith("["):
        text, closed, _ = text[1:].partition("]")
        if not closed:
            return None
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or IPv6Address(int(address))
    return str(address)


def network_of(address: str, bits: int = NETWORK) -> str:
    """Whom an attempt from this address is counted for: an IPv4 address by itself, IPv6 by so many of its first bits."""
    return address if ip_address(address).version == 4 else str(ip_network(f"{address}/{bits}", strict=False))


def client_of(request: HttpRequest | None) -> Client:
    """The address is None where nothing tells it, as for a program, or for who came around the proxies."""
    if request is None:
        return NOWHERE
    try:
        address = address_of(request)
    except WrongProxies:
        address = None
    return Client(address, request.headers.get("User-Agent", ""))
