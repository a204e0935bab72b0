"""TLS over a socket, of which it is known how the other side ended it.

Python's own sockets do not tell: after an alert, as when the other side refuses our certificate once we have sent all, their
unwrap() says that all is well. So goodbye is said first, with nothing read, and the answer is read as any other.
"""

import socket
import ssl
from collections.abc import Callable

PIECE = 16 * 2**10
"""Octets of a record of TLS."""


class Conversation:
    """With the host of that name, which proves to be it. Raises OSError, of which all errors of TLS are, and TimeoutError."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self.plain = plain
        self.heard, self.said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.heard, self.said, server_hostname=host)
        self._until_done(self.tls.do_handshake)

    def send(self, text: bytes) -> None:
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            self._until_done(lambda piece=piece: self.tls.write(piece))  # type: ignore[misc]

    def say_goodbye(self) -> None:
        """Say that nothing more comes, and wait for the same word. Raises SSLEOFError where the connection ends without it."""
        self._hear_out()
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            self._flush()
        try:
            while True:
                # What it has to say besides is nothing to us.
                self._until_done(lambda: self.tls.read(PIECE))
        except ssl.SSLZeroReturnError:
            return

    def _hear_out(self) -> None:
        """Read what came already, so that goodbye is said with nothing unread. Whoever says it before us has not read on."""
        try:
            while self.tls.read(PIECE):
                pass
        except ssl.SSLWantReadError:
            return
        raise ConnectionAbortedError("The receiver ended the connection in the midst.")

    def _until_done(self, act: Callable[[], object]) -> None:
        while True:
            try:
                act()
            except ssl.SSLWantReadError:
                self._flush()
                self._hear()
            except ssl.SSLZeroReturnError:
                raise
            except ssl.SSLError:
                # The other side is told why.
                self._flush()
                raise
            else:
                self._flush()
                return

    def _hear(self) -> None:
        if heard := self.plain.recv(PIECE):
            self.heard.write(heard)
        else:
            self.heard.write_eof()

    def _flush(self) -> None:
        if said := self.said.read():
            self.plain.sendall(said)
