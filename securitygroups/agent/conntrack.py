"""The kernel's table of connections: read, and single ones of it deleted.

Source: linux/netfilter/nfnetlink_conntrack.h.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from securitygroups.agent import netlink

_SUBSYSTEM = 1
_NEW, _GET, _DELETE = (netlink.kind_of(_SUBSYSTEM, message) for message in range(3))
_ORIGINAL, _REPLY, _MARK, _ID, _ZONE = 1, 2, 8, 12, 18
_ADDRESSES, _PROTOCOL = 1, 2
_SOURCE = {4: 1, 6: 3}
_DESTINATION = {4: 2, 6: 4}
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3
_VERSION: dict[int, int] = {socket.AF_INET: 4, socket.AF_INET6: 6}


class Way(NamedTuple):
    """One direction of a connection. Ports are None where the protocol has none."""

    version: int
    protocol: int
    source: int
    destination: int
    source_port: int | None
    port: int | None


class Connection(NamedTuple):
    """What opened it, what answers it, the mark that it was given, and what the kernel knows it by."""

    opened: Way
    reply: Way
    mark: int
    key: bytes
    family: int


def connections() -> Iterator[Connection]:
    """All that the kernel knows, IPv4 and IPv6. Raises OSError."""
    for family in _VERSION:
        with closing(netlink.opened()) as through:
            for answer in netlink.ask(through, netlink.request(_GET, netlink.DUMP, family, 0), dump=True):
                found = _connection(answer) if answer.kind == _NEW else None
                if found is not None:
                    yield found


def delete(connection: Connection) -> bool:
    """Whether it was still there. Raises OSError."""
    message = netlink.request(_DELETE, netlink.ACK, connection.family, 0, connection.key)
    with closing(netlink.opened()) as through:
        try:
            for _ in netlink.ask(through, message):
                pass
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
    return True


def _connection(message: netlink.Message) -> Connection | None:
    found = dict(netlink.attributes(message.body))
    version = _VERSION.get(message.family)
    if version is None or _ORIGINAL not in found or _REPLY not in found:
        return None
    opened, reply = _way(found[_ORIGINAL], version), _way(found[_REPLY], version)
    if opened is None or reply is None:
        return None
    # The zone and the number in it tell the very connection: another may have taken its place.
    key = netlink.attribute(_ORIGINAL | netlink.NESTED, found[_ORIGINAL])
    key += b"".join(netlink.attribute(kind, found[kind]) for kind in (_ZONE, _ID) if kind in found)
    return Connection(opened, reply, int.from_bytes(found.get(_MARK, b""), "big"), key, message.family)


def _way(data: bytes, version: int) -> Way | None:
    parts = dict(netlink.attributes(data))
    addresses = dict(netlink.attributes(parts.get(_ADDRESSES, b"")))
    protocol = dict(netlink.attributes(parts.get(_PROTOCOL, b"")))
    if _SOURCE[version] not in addresses or _DESTINATION[version] not in addresses or _NUMBER not in protocol:
        return None
    source, destination = (int.from_bytes(addresses[each[version]], "big") for each in (_SOURCE, _DESTINATION))
    ports = (int.from_bytes(protocol[each], "big") if each in protocol else None for each in (_SOURCE_PORT, _PORT))
    return Way(version, protocol[_NUMBER][0], source, destination, *ports)
