"""What is asked about once more before a change is made, in words: doors to the internet, many VMs, one's own way in."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from securitygroups.effective import Vm
from securitygroups.firewall.analysis.difference import Change, Difference
from securitygroups.firewall.analysis.internet import LARGE
from securitygroups.firewall.analysis.products import AddressRange, Product, Span
from securitygroups.firewall.analysis.public import share
from securitygroups.firewall.protocols import MAX_PORT, Direction
from securitygroups.firewall.services import SERVICES, Service
from securitygroups.firewall.values import PACKET_PROTOCOLS, Packet, Refused, parse_address

MANY_MACHINES = 10
"""Denying what so many VMs accept now is asked about once more."""
REMOTE_PORTS = {22: "SSH", 3389: "RDP"}
SERVICES_NAMED, MACHINES_NAMED = 4, 5
_MAPPED = 0xFFFF
"""What stands before the IPv4 address in an IPv6 one that only carries it."""


def _and_more(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def openings(changes: Iterable[Difference]) -> Iterator[str]:
    """Management and database services that are opened to much of the internet."""
    for change in changes:
        inbound = [line for line in change.newly_allowed if line.product.direction is Direction.IN]
        opened: dict[str, list[str]] = {}
        for service in SERVICES if inbound else ():
            if service.sensitive and (much := _openness(_with_service(inbound, service))):
                opened.setdefault(much, []).append(f"{service.name} ({service.told})")
        for much, names in opened.items():
            yield f"This opens {_and_more(names, SERVICES_NAMED)} to {much} the internet."


def _with_service(changes: Iterable[Change], service: Service) -> list[Change]:
    """The changes that have packets to the service."""
    return [
        change
        for change in changes
        if service.port is not None
        and service.protocol in change.product.protocols
        and _has(change.product.ports, service.port)
    ]


def _has(ports: Sequence[Span], port: int) -> bool:
    """Whether a port is among the ranges of a product, which are in order."""
    # A list that lets single ports in has hundreds of ranges, and every service asks.
    at = bisect_right(ports, (port, MAX_PORT))
    return at > 0 and ports[at - 1][1] >= port


def _openness(changes: Iterable[Change]) -> str:
    """How much of the internet the changes let in: "every address on", "most of", "a large part of", or "" for less."""
    apart = _apart(span for change in changes for span in change.product.sources)
    part = max(share(apart, version) for version in (4, 6))
    if part == 1:
        return "every address on"
    if part > 0.5:
        return "most of"
    return "a large part of" if part >= LARGE else ""


def _apart(ranges: Iterable[AddressRange]) -> list[AddressRange]:
    """The same addresses, none twice: an earlier rule for one host cuts the world into two ranges."""
    apart: list[AddressRange] = []
    for version, first, last in sorted({(one.version, one.first, one.last) for one in ranges}):
        if apart and apart[-1].version == version and first <= apart[-1].last:
            first = apart[-1].last + 1
        if first <= last:
            apart.append(AddressRange(version, first, last))
    return apart


def denials(machines: int) -> Iterator[str]:
    """`machines` is on how many VMs something is denied that they accept now."""
    if machines >= MANY_MACHINES:
        yield f"This denies what {machines} virtual machines accept now."


def lockout(change: Difference, machines: Sequence[Vm], address: str) -> Iterator[str]:
    """Whether the way to SSH or RDP of a VM would be cut for the person who is connected from the address."""
    try:
        version, number = _peer(address)
    except Refused:
        return
    denied = [line.product for line in change.newly_denied if _takes_tcp_from(line.product, version, number)]
    cut: dict[str, list[str]] = {}
    for machine in machines if denied else ():
        for name in _cut(machine, denied, version, number):
            cut.setdefault(name, []).append(machine.name)
    for name, names in cut.items():
        yield (
            f"You are connected from {address}. This would cut {name} from there to {_and_more(names, MACHINES_NAMED)}, "
            "which it can reach now."
        )


def _peer(address: str) -> tuple[int, int]:
    """Version and number. Raises Refused."""
    version, number = parse_address(address)
    # How a server that listens on IPv6 names its IPv4 clients.
    return (4, number & 0xFFFFFFFF) if version == 6 and number >> 32 == _MAPPED else (version, number)


def _takes_tcp_from(product: Product, version: int, number: int) -> bool:
    spans = (one for one in product.sources if one.version == version)
    return "tcp" in product.protocols and any(one.first <= number <= one.last for one in spans)


def _cut(machine: Vm, denied: Sequence[Product], version: int, number: int) -> Iterator[str]:
    """Names of the VM's remote services whose packets from the address are among the denied."""
    own = machine.ipv4 if version == 4 else machine.ipv6
    if not own:
        return
    for port, name in REMOTE_PORTS.items():
        packet = Packet(Direction.IN, version, PACKET_PROTOCOLS["tcp"], number, parse_address(own)[1], port)
        if any(packet in product for product in denied):
            yield name
