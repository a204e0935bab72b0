"""A mail server of its own for tests: a process on loopback that keeps what it takes, and can be made to misbehave.

    with running(tmp_path) as smtp:
        smtp.url                            for EMAIL_URL
        smtp.messages(to="bob@…", wait=5)   what came for somebody, as email.message.EmailMessage, oldest first
        smtp.fault = "later"                see FAULTS; "" is an ordinary server again

As a program (`python -m tests.mailbox FOLDER`) it is that server: it says its port, and ends with its standard input.
"""

import asyncio
import contextlib
import ipaddress
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
USER, PASSWORD = "panel@example.com", "p/ss w#rd"
QUOTED_USER, QUOTED_PASSWORD = "panel%40example.com", "p%2Fss%20w%23rd"
# What the server does at the end of a mail. "slow" takes a second, "later" refuses the first try of each
# recipient, "never" refuses for good, "gone" hangs up.
FAULTS = ("", "slow", "later", "never", "gone")


class Mailbox:
    """The server as a test sees it."""

    def __init__(self, folder: Path, port: int, *, secure: bool) -> None:
        self.folder, self.port, self.secure = folder, port, secure
        self.fault = ""

    @property
    def url(self) -> str:
        """For EMAIL_URL. A secure server's certificate is believed where SSL_CERT_FILE names `certificate`."""
        if self.secure:
            return f"submission://{QUOTED_USER}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}"
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def fault(self) -> str:
        return (self.folder / "fault").read_text()

    @fault.setter
    def fault(self, fault: str) -> None:
        assert fault in FAULTS
        (self.folder / "fault").write_text(fault)

    @property
    def tries(self) -> int:
        """How often somebody came to the end of a mail."""
        return (self.folder / "tries").stat().st_size

    def messages(self, to: str | None = None, *, wait: float = 0, least: int = 1) -> list[EmailMessage]:
        """What came, for `to` alone where it is given. Waits up to `wait` seconds for `least` of them."""
        until = time.monotonic() + wait
        while True:
            found = [
                message
                for file in sorted(self.folder.glob("*.eml"))
                if isinstance(message := message_from_bytes(file.read_bytes(), policy=default), EmailMessage)
                if to is None or to in str(message["X-RcptTo"]).split(", ")
            ]
            if len(found) >= least or time.monotonic() >= until:
                return found
            time.sleep(0.02)


@contextmanager
def running(folder: Path, *, secure: bool = False) -> Iterator[Mailbox]:
    """A server for as long as it is needed. `secure`: it takes nothing without TLS and a password."""
    folder.mkdir(exist_ok=True)
    for name in ("fault", "tries"):
        (folder / name).write_text("")
    if secure:
        make_certificate(folder)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.mailbox", str(folder), *(["secure"] if secure else [])],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        yield Mailbox(folder, int(process.stdout.readline()), secure=secure)
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def make_certificate(folder: Path) -> None:
    """A key, and a certificate for 127.0.0.1 that it signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


class Handler:
    """aiosmtpd asks it for each mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[str] = set()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        with (self.folder / "tries").open("a") as tries:
            tries.write("x")
        fault = (self.folder / "fault").read_text()
        to = ", ".join(envelope.rcpt_tos)
        known = to in self.seen
        self.seen.add(to)
        if fault == "slow":
            await asyncio.sleep(1)
        elif fault == "later" and not known:
            return "451 4.7.1 Greylisted: try again"
        elif fault == "never":
            return "554 5.7.1 Not wanted here"
        elif fault == "gone":
            server.transport.abort()
            return "421 Nobody hears this"
        new = self.folder / f"{time.time_ns()}.new"
        new.write_bytes(f"X-RcptTo: {to}\r\n".encode() + envelope.content)
        new.rename(new.with_suffix(".eml"))
        return "250 OK"


async def serve(folder: Path, *, secure: bool) -> None:
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        right = isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=right, handled=False)

    options: dict[str, Any] = {"enable_SMTPUTF8": True, "hostname": "localhost"}
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        options |= {"require_starttls": True, "tls_context": context, "auth_required": True}
        options["authenticator"] = authenticator
    handler = Handler(folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, loop=loop, **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1]), secure="secure" in sys.argv[2:]))
