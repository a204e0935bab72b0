"""Which addresses a packet from the internet can come from, and which part of them some ranges are."""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate

from securitygroups.firewall.analysis.products import AddressRange
from securitygroups.firewall.values import parse_network

_NOT_PUBLIC = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3"
)
"""IPv4 that no packet from the internet has as its source (RFC 6890, RFC 5771, RFC 1112)."""


def _public() -> dict[int, tuple[AddressRange, ...]]:
    """Addresses that a packet from the internet can come from. IPv6: global unicast is 2000::/3 (RFC 4291)."""
    found: list[AddressRange] = []
    start = 0
    for network in map(parse_network, _NOT_PUBLIC.split()):
        if network.first > start:
            found.append(AddressRange(4, start, network.first - 1))
        start = network.last + 1
    unicast, documentation = parse_network("2000::/3"), parse_network("2001:db8::/32")
    return {
        4: tuple(found),
        6: (
            AddressRange(6, unicast.first, documentation.first - 1),
            AddressRange(6, documentation.last + 1, unicast.last),
        ),
    }


PUBLIC = _public()
_STARTS = {version: [one.first for one in ranges] for version, ranges in PUBLIC.items()}
_BEFORE = {version: [0, *accumulate(one.size for one in ranges)] for version, ranges in PUBLIC.items()}


def all_public(version: int) -> int:
    """How many public addresses a family has."""
    return _BEFORE[version][-1]


# The lists of a project name the same networks over and over.
@lru_cache(maxsize=1 << 16)
def public_below(version: int, address: int) -> int:
    """How many public addresses are lower than this one."""
    at = bisect_right(_STARTS[version], address) - 1
    if at < 0:
        return 0
    held = PUBLIC[version][at]
    return _BEFORE[version][at] + min(address, held.last + 1) - held.first


def _share(public: int, version: int) -> float:
    total = all_public(version)
    # Rounding must not make almost everyone everyone.
    return 1.0 if public == total else min(public / total, 1 - 2**-40)


def share(ranges: Iterable[AddressRange], version: int) -> float:
    """Which part of a family's public addresses the (disjoint) ranges have, 0 to 1; exactly 1 only for all of them."""
    held = (one for one in ranges if one.version == version)
    return _share(
        sum(public_below(version, last + 1) - public_below(version, first) for _, first, last in held), version
    )
