"""Where a webhook may go: the form of its address, and the addresses of the internet that its name may stand for.

Whoever can have the panel send something can have it knock at doors that only the panel's own network reaches. So
nothing is sent to what is not public, however it is spelled; and a name is resolved once, every address that it stands for
is looked at, and the connection goes to one of those that were looked at, never to the name again.
"""

import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

Ip = IPv4Address | IPv6Address
Net = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Iterable[str]]
"""From a name and a port to the addresses that the name stands for. Raises OSError where there are none."""

LONGEST_URL = 500
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
# As browsers tell a number from a name: 127.1, 0x7f000001 and 2130706433 are addresses in the eyes of the C library.
_NUMBER = re.compile(r"([0-9]+|0x[0-9a-f]*)\Z")
# What is not there for everybody to reach (IANA's registries of special addresses, RFC 6890, 5771, 7526).
_NOT_PUBLIC_4 = [
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        "224.0.0.0/3",
    )
]
# Of IPv6 only what is given out for everybody is taken, and of that neither what leads to IPv4 (Teredo, 6to4) nor examples.
_GIVEN_OUT_6 = ip_network("2000::/3")
_NOT_PUBLIC_6 = [ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
# A network without IPv4 reaches it by these, which stand for the address in their last 32 bits (RFC 6052).
_NAT64 = ip_network("64:ff9b::/96")


class NotAllowed(Exception):
    """Nothing is sent there; the text says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was taken apart: what goes to the network, and what goes into the request."""

    host: str
    port: int
    path: str

    @property
    def ip(self) -> Ip | None:
        """The host, where it is no name."""
        return ip_address(self.host) if ":" in self.host or _NUMBER.match(self.host.rpartition(".")[2]) else None


@dataclass(frozen=True, slots=True)
class Reach:
    """Which ports and addresses this installation sends to. `own` are those by which the panel itself is reached."""

    ports: frozenset[int]
    allowed: tuple[Net, ...] = ()
    hosts: frozenset[str] = frozenset()
    own: frozenset[Ip] = frozenset()

    def may_meet(self, ip: Ip) -> bool:
        """Whether something may be sent to this address."""
        if any(ip in network for network in self.allowed):
            return True
        return is_public(ip) and ip not in self.own and not is_here(ip)


def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system knows for a name, each once and in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


def is_public(ip: Ip) -> bool:
    """Whether everybody on the internet means the same machine by it."""
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_4)
    if ip.scope_id:
        return False
    if ip in _NAT64:
        return is_public(IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip in _GIVEN_OUT_6 and not any(ip in network for network in _NOT_PUBLIC_6)


def is_here(ip: Ip) -> bool:
    """Whether this machine has the address itself: nobody else's can be bound to."""
    family = socket.AF_INET if isinstance(ip, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True


def reach(resolver: Resolver = resolve, *, look_up: bool = True) -> Reach:
    """What the settings say; with `look_up` also the addresses of the panel's own names, as far as they are found."""
    hosts = {host.strip("[]").lower() for host in settings.ALLOWED_HOSTS if host.strip("*.")}
    own: set[Ip] = set()
    for host in sorted(hosts) if look_up else ():
        try:
            own |= {ip_address(found) for found in resolver(host.lstrip("."), 443)}
        except (OSError, ValueError):
            continue
    allowed = tuple(ip_network(text) for text in settings.WEBHOOK_NETWORKS_ALLOWED)
    return Reach(
        frozenset(settings.WEBHOOK_PORTS), allowed, frozenset(host.lstrip(".") for host in hosts), frozenset(own)
    )


def read_target(url: str, to: Reach) -> Target:
    """Take an address apart. Raises NotAllowed, in words for whoever typed it."""
    if len(url) > LONGEST_URL:
        raise NotAllowed(f"This address is too long: {LONGEST_URL} characters are the most.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise NotAllowed("Type plain letters, digits and signs; a domain with others is written as xn--….")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise NotAllowed("This is no address: type one such as https://hooks.example.com/karenpanel.") from None
    if parts.scheme != "https" or not host:
        raise NotAllowed("Type an address that begins with https://, such as https://hooks.example.com/karenpanel.")
    if "@" in parts.netloc or "#" in url:
        raise NotAllowed("Leave out names, passwords and what follows a #: the signature says who sends it.")
    target = Target(
        _host(host), 443 if port is None else port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    )
    _check(target, to)
    return target


def _host(host: str) -> str:
    """The host as it is kept. Raises NotAllowed."""
    try:
        if ":" in host:
            return str(IPv6Address(host))
        if _NUMBER.match(host.rpartition(".")[2]):
            return str(IPv4Address(host))
    except ValueError:
        raise NotAllowed("An address of four numbers is written like 198.51.100.7, each from 0 to 255.") from None
    if len(host) > 253 or not all(map(_LABEL.match, host.split("."))):
        raise NotAllowed("This is no name of a machine: type one such as hooks.example.com.")
    return host


def _check(target: Target, to: Reach) -> None:
    if target.port not in to.ports:
        ports = " or ".join(map(str, sorted(to.ports)))
        raise NotAllowed(f"Port {target.port} is not sent to: use port {ports}.")
    ip = target.ip
    if not ip and target.host in to.hosts:
        raise NotAllowed("This is the panel itself: type the address of a receiver of yours.")
    if not to.may_meet(ip) if ip else not to.allowed and target.host.rpartition(".")[2] == "localhost":
        raise NotAllowed("Only public addresses are sent to, and this is none: use one that the internet reaches.")


def addresses_of(target: Target, to: Reach, resolver: Resolver = resolve) -> list[str]:
    """The addresses to connect to. All that the name stands for have to be allowed. Raises NotAllowed.

    What is not found and what is not public is told in the same words: which names there are inside is nobody's business.
    """
    try:
        found = [target.ip] if target.ip else [ip_address(text) for text in resolver(target.host, target.port)]
    except (OSError, ValueError):
        found = []
    if not found or not all(map(to.may_meet, found)):
        raise NotAllowed(f"{target.host} stands for no public address.")
    return [str(ip) for ip in found]
