"""Where lines go, and how it is known that they were taken there.

TCP does not say so. What was sent lies in the memory of two machines, and is lost with either of them, without a word to
us. TLS does have such a word: who is told that nothing more will come (close_notify) says the same in answer, and has read
all that came before. So lines are taken when the receiver has said goodbye after them, and each batch has a connection of its
own. What it does with them then, it alone knows; a proxy that ends TLS in front of it says goodbye for itself.
"""

import os
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from securitygroups.management.forwarding.conversation import Conversation
from securitygroups.management.forwarding.lines import Line, as_json, as_syslog
from securitygroups.management.programs import Failure

PORT = 6514
SECONDS = 30.0
"""For each step of a connection."""


class NotTaken(Exception):
    """The lines may have arrived, and nobody said so: they are to be sent once more. In words for the log."""


class Target(Protocol):
    @property
    def name(self) -> str: ...

    def take(self, lines: Sequence[Line], /) -> None:
        """Hand these lines over; when it returns they were taken. Raises NotTaken, or OSError."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Syslog over TLS: each message behind its length (RFC 5425), to a machine that has proved to be the one that is meant."""

    host: str
    port: int
    context: ssl.SSLContext
    goodbye: bool = True
    """Whether the receiver answers close_notify. Of one that does not, it is enough that it ends the connection in order,
    which anybody on the way could do in its place."""

    @property
    def name(self) -> str:
        return f"{self.host}, port {self.port}"

    def take(self, lines: Sequence[Line]) -> None:
        messages = [as_syslog(line, _here()) for line in lines]
        with socket.create_connection((self.host, self.port), timeout=SECONDS) as plain:
            line = Conversation(plain, self.context, self.host)
            line.send(b"".join(b"%d %b" % (len(message), message) for message in messages))
            try:
                line.say_goodbye()
            except ssl.SSLEOFError:
                # It was read to the end all the same: with something unread the connection would have been reset.
                if self.goodbye:
                    raise NotTaken(
                        "The receiver ended the connection without a word that it has read everything. One that does "
                        "not answer TLS close_notify needs --no-goodbye."
                    ) from None


@dataclass(frozen=True, slots=True)
class File:
    """JSON lines at the end of a file, taken when they are on its disk."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def take(self, lines: Sequence[Line]) -> None:
        text = "".join(f"{as_json(line)}\n" for line in lines).encode()
        with self.path.open("a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                # A process that was killed left half a line; it stays on a line of its own and comes once more.
                text = text if file.read(1) == b"\n" else b"\n" + text
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Output:
    """JSON lines on standard output, taken when they are out of this process."""

    @property
    def name(self) -> str:
        return "standard output"

    def take(self, lines: Sequence[Line]) -> None:
        try:
            for line in lines:
                sys.stdout.write(f"{as_json(line)}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # Nobody will ever read there again. Python must not complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Failure("Standard output is read by nobody any more.") from None


def target(to: str, *, ca: str = "", cert: str = "", key: str = "", goodbye: bool = True) -> Target:
    """What `--to` names. Raises Failure in words."""
    if to == "-":
        return Output()
    if "://" not in to:
        return File(Path(to))
    try:
        parts = urlsplit(to)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, PORT
    if not host or parts.scheme != "syslog+tls" or parts.path.strip("/") or parts.query or parts.username:
        raise Failure(f"{to}: give syslog+tls://host:{PORT}, the name of a file, or - for standard output.")
    return Tls(host, port, _context(ca, cert, key), goodbye)


def _context(ca: str, cert: str, key: str) -> ssl.SSLContext:
    """The receiver's certificate is checked, and so is its name in it."""
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if cert:
            context.load_cert_chain(cert, key or None, password=_no_password)
    except (OSError, ValueError) as error:
        raise Failure(f"The certificates cannot be read: {error}.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _no_password() -> str:
    raise ValueError("the key has a password; give one without, which only the forwarder's user can read")


def _here() -> str:
    """This machine as syslog takes a name: visible ASCII."""
    name = socket.gethostname().encode("ascii", "ignore").decode()
    return "".join(sign for sign in name if "!" <= sign <= "~")[:255] or "-"
