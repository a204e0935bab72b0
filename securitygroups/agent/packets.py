"""A packet's bytes as what a rule asks of it. What is cut off or malformed is left out, and nothing is guessed.

Sources: RFC 791, RFC 8200 (extension headers: 4, and 4302, 5201, 5533, 6275 for the others), RFC 792, RFC 4443.
"""

import struct
from ipaddress import ip_address
from typing import NamedTuple

IPV4, IPV6 = 0x0800, 0x86DD
_TCP, _UDP, _SCTP, _DCCP, _UDP_LITE = 6, 17, 132, 33, 136
_WITH_PORTS = {_TCP, _UDP, _SCTP, _DCCP, _UDP_LITE}
_ICMP = {4: 1, 6: 58}
_FRAGMENT, _AUTHENTICATION = 44, 51
# Their length is in units of eight bytes behind the first eight.
_OPTIONS = {0, 43, 60, 135, 139, 140}


class Seen(NamedTuple):
    """`version` and all else is None, or empty, where the frame is not IP; ports and `kind` (of ICMP) where there are none.

    Addresses are as text.
    """

    version: int | None = None
    protocol: int | None = None
    source: str = ""
    destination: str = ""
    source_port: int | None = None
    port: int | None = None
    kind: int | None = None


def seen(ethertype: int, data: bytes) -> Seen:
    """A packet from its network header on, under the EtherType of its frame."""
    if ethertype == IPV4 and len(data) >= 20 and data[0] >> 4 == 4:
        return _ipv4(data)
    if ethertype == IPV6 and len(data) >= 40 and data[0] >> 4 == 6:
        return _ipv6(data)
    return Seen(4) if ethertype == IPV4 else Seen(6) if ethertype == IPV6 else Seen()


def _ipv4(data: bytes) -> Seen:
    first = struct.unpack_from("!H", data, 6)[0] & 0x1FFF == 0
    behind = data[(data[0] & 15) * 4 :] if first else b""
    return _transport(4, data[9], (data[12:16], data[16:20]), behind)


def _ipv6(data: bytes) -> Seen:
    number, at = data[6], 40
    while at + 8 <= len(data) and (number in _OPTIONS or number in (_FRAGMENT, _AUTHENTICATION)):
        if number == _FRAGMENT and struct.unpack_from("!H", data, at + 2)[0] & 0xFFF8:
            # What follows is a later piece: which protocol it is of, is told, and no more.
            return _transport(6, data[at], (data[8:24], data[24:40]), b"")
        size = (
            8 if number == _FRAGMENT else (data[at + 1] + 2) * 4 if number == _AUTHENTICATION else data[at + 1] * 8 + 8
        )
        number, at = data[at], at + size
    return _transport(6, number, (data[8:24], data[24:40]), data[at:])


def _transport(version: int, number: int, addresses: tuple[bytes, bytes], behind: bytes) -> Seen:
    source, destination = (str(ip_address(address)) for address in addresses)
    if number in _WITH_PORTS and len(behind) >= 4:
        ports = struct.unpack_from("!HH", behind)
        return Seen(version, number, source, destination, *ports)
    kind = behind[0] if number == _ICMP[version] and behind else None
    return Seen(version, number, source, destination, None, None, kind)
