"""NFLOG over a netlink socket: what the kernel tells of packets that were dropped, or opened a connection.

Source: linux/netfilter/nfnetlink_log.h.
"""

import errno
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from securitygroups.agent import netlink

_SUBSYSTEM = 4
_PACKET, _CONFIG = netlink.kind_of(_SUBSYSTEM, 0), netlink.kind_of(_SUBSYSTEM, 1)
_COMMAND, _MODE, _NLBUFSIZ, _TIMEOUT, _THRESHOLD, _FLAGS = 1, 2, 3, 4, 5, 6
_BIND, _COPY_PACKET, _NUMBERED = 1, 2, 1
_HEADER, _AT, _PAYLOAD, _PREFIX, _SEQUENCE = 1, 3, 9, 10, 12
SNAPLEN = 96
"""Bytes of a packet that are told: both headers, with options."""
_BUFFER = 1 << 21
_READ = 1 << 17
_BATCH_BYTES, _BATCH, _BATCH_WAITS = 1 << 16, 200, 20
"""The kernel sends what it has gathered once it is this much: bytes, messages, hundredths of a second."""


class Told(NamedTuple):
    """One packet: the prefix of the line that told it, when (Unix seconds), and its bytes from the network header on."""

    prefix: str
    at: float
    ethertype: int
    data: bytes


@dataclass
class NfLog:
    """One group, from its opening on. `missed` counts what the kernel could not hand over. Close it.

    Opening raises OSError: EBUSY, where another program has the group; EPERM, where this one may not.
    """

    group: int
    missed: int = field(default=0, init=False)
    _socket: socket.socket = field(init=False)
    _next: int | None = field(default=None, init=False)
    _guessed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._socket = netlink.opened(buffer=_BUFFER)
        try:
            self._configure(_COMMAND, struct.pack("B", _BIND))
            self._configure(_MODE, struct.pack("!IBx", SNAPLEN, _COPY_PACKET))
            self._configure(_NLBUFSIZ, struct.pack("!I", _BATCH_BYTES))
            self._configure(_TIMEOUT, struct.pack("!I", _BATCH_WAITS))
            self._configure(_THRESHOLD, struct.pack("!I", _BATCH))
            self._configure(_FLAGS, struct.pack("!H", _NUMBERED))
        except OSError:
            self.close()
            raise

    def _configure(self, kind: int, data: bytes) -> None:
        body = netlink.attribute(kind, data)
        message = netlink.request(_CONFIG, netlink.ACK, socket.AF_UNSPEC, self.group, body)
        # Packets may be told already, between the answers.
        for _ in netlink.ask(self._socket, message, dump=True):
            pass

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self, patience: float) -> list[Told]:
        """What is told by now, or within so many seconds; nothing where there is nothing. Raises OSError."""
        return [self._told(message) for message in self._messages(patience)]

    def pass_over(self, patience: float) -> None:
        """As `read`, but nothing is looked at and all counts as missed, by the numbers of those that come next.

        What is left in the socket would keep out all that comes behind it: the kernel hands over nothing more before it is
        empty again.
        """
        for message in self._messages(patience):
            self._told(message)
            self.missed += 1
            return

    def _messages(self, patience: float) -> Iterator[netlink.Message]:
        self._socket.settimeout(patience)
        try:
            data = self._socket.recv(_READ)
        except TimeoutError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            # How many they were is told by the number of the next one, if there is a next one: at least one it was.
            self.missed, self._guessed = self.missed + 1, self._guessed + 1
            return
        yield from (message for message in netlink.messages(data) if message.kind == _PACKET)

    def _told(self, message: netlink.Message) -> Told:
        found = dict(netlink.attributes(message.body))
        if number := found.get(_SEQUENCE):
            self._count(int.from_bytes(number, "big"))
        at = time.time()
        if len(stamp := found.get(_AT, b"")) == 16:
            seconds, parts = struct.unpack("!QQ", stamp)
            at = seconds + parts / 1e6
        prefix = found.get(_PREFIX, b"").rstrip(b"\0").decode("ascii", "replace")
        return Told(prefix, at, int.from_bytes(found.get(_HEADER, b"")[:2], "big"), found.get(_PAYLOAD, b""))

    def _count(self, number: int) -> None:
        if self._next is not None and (lost := (number - self._next) % 2**32):
            self.missed, self._guessed = self.missed + max(0, lost - self._guessed), 0
        self._next = (number + 1) % 2**32
