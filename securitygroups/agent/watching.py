"""Hearing of it when somebody changes the ruleset: the kernel tells all who listen, after each transaction.

Source: linux/netfilter/nf_tables.h.
"""

import errno
import socket
import struct
from contextlib import closing
from dataclasses import dataclass, field

from securitygroups.agent import netlink
from securitygroups.firewall.nftables import TABLE

_NFTABLES = 10
_NEWGEN, _GETGEN = netlink.kind_of(_NFTABLES, 15), netlink.kind_of(_NFTABLES, 16)
_GEN_ID, _GEN_NAME = 1, 3
_ANY_TABLE = 1
"""The attribute that names the table, in every message about a table or something in one."""
_GROUP = 1 << 7 - 1
_BUFFER = 1 << 20
_READ = 1 << 17


def generation() -> int:
    """The number of the ruleset that the kernel has: another after each transaction. Raises OSError."""
    with closing(netlink.opened()) as through:
        for answer in netlink.ask(through, netlink.request(_GETGEN, 0, 0, 0)):
            if answer.kind == _NEWGEN:
                return _number(dict(netlink.attributes(answer.body)))
    raise OSError(errno.EPROTO, "the kernel does not tell the generation of its ruleset")


@dataclass
class Watch:
    """Listens from its opening on. Close it."""

    _socket: socket.socket = field(default_factory=lambda: netlink.opened(groups=_GROUP, buffer=_BUFFER))
    _touched: bool = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def changed(self, known: int) -> str:
        """By whom the panel's tables were changed in a generation after `known`, as far as was heard by now; else "".

        It does not wait. What was too much to be heard counts as a change by somebody.
        """
        self._socket.setblocking(False)
        by = ""
        while True:
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                return by
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                by = "somebody"
                continue
            for message in netlink.messages(data):
                by = self._take(message, known) or by

    def _take(self, message: netlink.Message, known: int) -> str:
        found = dict(netlink.attributes(message.body))
        if message.kind != _NEWGEN:
            self._touched = self._touched or found.get(_ANY_TABLE, b"").startswith(TABLE.encode())
            return ""
        touched, self._touched = self._touched, False
        # The number runs over some day.
        newer = 0 < (_number(found) - known) % 2**32 < 2**31
        return _name(found) if touched and newer else ""


def _number(found: dict[int, bytes]) -> int:
    return int(struct.unpack("!I", found[_GEN_ID])[0])


def _name(found: dict[int, bytes]) -> str:
    name = found.get(_GEN_NAME, b"").rstrip(b"\0").decode("ascii", "replace")
    return name if name.isprintable() and name else "somebody"
