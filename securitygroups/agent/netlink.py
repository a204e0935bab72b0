"""Netlink, the kernel's own messages: what of it the agent needs, without a library.

Sources: linux/netlink.h, linux/netfilter/nfnetlink.h.
"""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import NamedTuple

NETLINK_NETFILTER = 12
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
"""Of an attribute's type: the two bits above say how its payload is written."""
NESTED = 0x8000
_READ = 1 << 17
PATIENCE = 5.0
"""Seconds that the kernel may take to answer."""


class Message(NamedTuple):
    """`kind` is subsystem and message, as in `kind_of`; `family` and `number` are those of nfnetlink's own header."""

    kind: int
    family: int
    number: int
    body: bytes


def kind_of(subsystem: int, message: int) -> int:
    return subsystem << 8 | message


def opened(*, groups: int = 0, buffer: int = 0) -> socket.socket:
    """A socket of nfnetlink that hears these multicast groups (a mask); `buffer` is in bytes. Raises OSError."""
    opened_socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
    try:
        if buffer:
            _set_buffer(opened_socket, buffer)
        opened_socket.bind((0, groups))
    except OSError:
        opened_socket.close()
        raise
    return opened_socket


def _set_buffer(of: socket.socket, size: int) -> None:
    # Past the host's limit for everybody, where the program may: SO_RCVBUFFORCE, which Python has no name for.
    with suppress(OSError):
        of.setsockopt(socket.SOL_SOCKET, 33, size)
        return
    of.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def attribute(kind: int, data: bytes) -> bytes:
    """An attribute, filled up to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), kind) + data + b"\0" * (-len(data) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and payloads. What is cut off or malformed ends it."""
    at, end = 0, len(data)
    while at + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size or at + size > end:
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + size]
        at += size + 3 & ~3


def messages(data: bytes) -> Iterator[Message]:
    """The messages of one read, those about errors and ends too: their kind is below 16."""
    at = 0
    while at + _HEADER.size <= len(data):
        size, kind, *_ = _HEADER.unpack_from(data, at)
        if size < _HEADER.size or at + size > len(data):
            return
        body = data[at + _HEADER.size : at + size]
        if kind >= 16 and len(body) >= 4:
            family, _, number = struct.unpack_from("!BBH", body)
            yield Message(kind, family, number, body[4:])
        else:
            yield Message(kind, 0, 0, body)
        at += size + 3 & ~3


_SEQUENCE = count(1)


def request(kind: int, flags: int, family: int, number: int, body: bytes = b"") -> bytes:
    """A message to the kernel."""
    head = struct.pack("!BBH", family, 0, number)
    size = _HEADER.size + len(head) + len(body)
    return _HEADER.pack(size, kind, REQUEST | flags, next(_SEQUENCE) & 0xFFFFFFFF, 0) + head + body


def ask(through: socket.socket, message: bytes, *, dump: bool = False) -> Iterator[Message]:
    """The kernel's answers: all of a dump, or the one that there is. Raises OSError with the kernel's reason."""
    through.settimeout(PATIENCE)
    through.send(message)
    while True:
        for answer in messages(through.recv(_READ)):
            if answer.kind in (_ERROR, _DONE):
                _raise_error(answer)
                return
            yield answer
            if not dump:
                return


def _raise_error(answer: Message) -> None:
    error = struct.unpack_from("=i", answer.body)[0] if len(answer.body) >= 4 else 0
    if error:
        raise OSError(-error, os.strerror(-error))
