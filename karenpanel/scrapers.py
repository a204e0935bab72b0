"""Who may read the figures at /metrics: addresses of the networks that METRICS_NETWORKS names, and nobody else."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.core.exceptions import ImproperlyConfigured

Network = IPv4Network | IPv6Network


def networks(texts: Sequence[str]) -> list[Network]:
    """The networks as the setting names them. Raises ImproperlyConfigured."""
    try:
        return [ip_network(text.strip()) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"METRICS_NETWORKS cannot be read: {error}. Give networks, separated by commas: 10.0.5.0/24,2001:db8:5::7"
        ) from None


def check(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Figures are about the platform and its load: they are for those who run it."""
    return [
        Warning(
            f"METRICS_NETWORKS lets everybody with an address in {network} read the figures at /metrics.",
            hint="Name the networks, or the addresses, of the programs that read them.",
            id="karenpanel.W040",
        )
        for network in settings.METRICS_NETWORKS
        if not network.is_private and network.num_addresses > 2 ** (network.max_prefixlen // 4)
    ]
