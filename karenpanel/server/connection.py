"""One connection of a web process: what has arrived on it, and what of an answer is still to be sent.

Nothing here waits. The worker's loop asks when the system says that there is something to read, or room to write.
"""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

# The most that the lines of a request may have before its body.
HEAD = 64 * 2**10
# A body of so many bytes is waited for before the application is asked. It is what the application takes of anybody.
SMALL = 64 * 2**10
PIECE = 64 * 2**10

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class NotYet(BaseException):
    """The application would read what has not arrived. It goes through all that catches errors, as nothing is wrong: the
    request is put back, and the application is asked again when all of it is there."""


class NoRoom(Exception):
    """A long body can be kept nowhere."""


# Seconds after which a piece of an answer is no longer held back for the next one.
TOGETHER = 0.1


class Outlet:
    """What a thread takes for the client's socket: it never waits, for what the client does not take now is kept."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.sent = 0.0

    def sendall(self, data: bytes) -> None:
        """An answer that comes piece by piece goes out so, for somebody looks at it as it comes. Who has gone away is told
        from here, with OSError, to whoever makes it."""
        self.connection.unsent += data
        now = time.monotonic()
        if now > self.sent + TOGETHER:
            self.sent = now
            self.connection.flush()

    def send(self, data: bytes) -> int:
        """Only “100 Continue” comes this way. It is wanted now, and once."""
        if not self.connection.asked:
            self.connection.unsent += data
            self.connection.flush()
        return len(data)

    def sendfile(self, file: IO[bytes], offset: int, count: int) -> None:
        """A file at once, which in pieces would take as many turns."""
        file.seek(offset)
        self.connection.unsent += file.read(count)

    def recv(self, size: int) -> bytes:
        return b""

    def gettimeout(self) -> float:
        return 0.0

    def nothing(self, *arguments: Any) -> None:
        """Ends and waits are the loop's."""

    setblocking = settimeout = shutdown = close = nothing


class Connection:
    """Its attributes without comments are those that gunicorn's threads look at."""

    initialized = data_ready = True
    is_http2 = False

    def __init__(self, line: socket.socket, client: Any, server: Any) -> None:
        line.setblocking(False)
        self.line = line
        self.client = client
        self.server = server
        self.sock = Outlet(self)
        self.parser: Any = None
        # The threads that its request is with.
        self.pool: Any = None
        # The bytes of the request, and of a long body those that came later.
        self.received = bytearray()
        self.later: IO[bytes] | None = None
        self.length = 0
        # How many bytes are waited for; none as long as the head of the request has no end.
        self.wanted = self.searched = 0
        # Whether the application has been asked about this request already.
        self.asked = False
        self.unsent = bytearray()
        # What the loop does with it, and until when.
        self.arriving = self.keep = False
        self.react: Any = None
        self.until = 0.0
        # When its body began to arrive.
        self.since = 0.0

    def init(self) -> None:
        """The parser is there."""

    def receive(self) -> bool:
        """Take what is there. Returns False where the other side has ended. Raises OSError, and NoRoom."""
        try:
            # What follows a long body stays where it is.
            piece = self.line.recv(min(PIECE, self.wanted - self.length) if self.asked else PIECE)
        except BlockingIOError:
            return True
        if self.later:
            try:
                self.later.write(piece)
                # A full disk is found out now, while the client can be told.
                self.later.flush()
            except OSError as error:
                raise NoRoom from error
        else:
            self.received += piece
        self.length += len(piece)
        return bool(piece)

    def is_whole(self) -> bool:
        """Whether enough is there to ask the application."""
        if not self.wanted:
            end = self.received.find(b"\r\n\r\n", self.searched)
            if end < 0:
                self.searched = max(0, len(self.received) - 3)
                return False
            head = bytes(self.received[: end + 4])
            self.wanted = len(head) + waited_for(head)
        return self.length >= self.wanted

    def pieces(self) -> Iterator[bytes]:
        """For the server's parser: what has arrived, from the start."""
        yield bytes(self.received)
        if self.later:
            self.later.seek(0)
            while piece := self.later.read(PIECE):
                yield piece
        raise NotYet

    def want_all(self) -> int:
        """Wait for the whole body, which the application would read. Returns how many bytes are missing."""
        message = self.parser.mesg
        said = dict(message.headers).get("CONTENT-LENGTH", "0") if message else "0"
        self.wanted = self.received.find(b"\r\n\r\n") + 4 + int(said)
        self.asked = True
        return self.wanted - self.length

    def is_long(self) -> bool:
        return self.wanted > HEAD + SMALL

    def store(self) -> None:
        """Keep what comes in a file, which lives as long as the request. Raises NoRoom."""
        try:
            self.later = TemporaryFile()  # noqa: SIM115
        except OSError as error:
            raise NoRoom from error

    def next(self) -> None:
        """Begin with the next request, of which bytes may be there already."""
        self.received = bytearray(self.parser.unreader.take_buffered())
        self.length = len(self.received)
        self.forget()

    def drop(self) -> None:
        """The file of a long body, where there is one."""
        if self.later:
            # What it could not write it tries again at its end.
            with suppress(OSError):
                self.later.close()
            self.later = None

    def forget(self) -> None:
        """The request that was."""
        self.drop()
        self.parser = None
        self.wanted = self.searched = 0
        self.asked = False

    def flush(self) -> bool:
        """Send what is taken now. Returns whether nothing is left. Raises OSError."""
        while self.unsent:
            try:
                sent = self.line.send(self.unsent)
            except BlockingIOError:
                return False
            del self.unsent[:sent]
        return True

    def close(self) -> None:
        self.forget()
        self.line.close()


def waited_for(head: bytes) -> int:
    """How many bytes after the head are waited for before anybody is asked. A hint: whatever the truth is, the server's
    parser finds it out, and the application may still want more."""
    found = LENGTH.search(head)
    length = int(found[1]) if found else 0
    # Who asks first whether to send is answered first.
    return length if length <= SMALL and not EXPECTS.search(head) else 0
