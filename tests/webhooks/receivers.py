"""Real receivers: TLS on this machine, with certificates of an authority of the tests' own."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NAME = "receiver.example"
"""What the receiver is called; nobody but the resolver of a test knows it."""


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject: str, key: Any, issuer: str, signer: Any, *more: Any) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)).public_key(key.public_key())
    )
    made = made.serial_number(x509.random_serial_number())
    # Years, for tests travel in time.
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=3650))
    for extension, critical in more:
        made = made.add_extension(extension, critical)
    return made.sign(signer, SHA256())


def make_certificates(folder: Path, *names: str) -> tuple[Path, Path]:
    """An authority's certificate, and a receiver's with its key, for these names and this machine's addresses."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    basic = x509.BasicConstraints(ca=True, path_length=0), True
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False), True
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = _certificate("Authority", authority_key, "Authority", authority_key, basic, usage, (identifier, False))
    addresses = [x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "127.0.0.2", "::1")]
    alternative = x509.SubjectAlternativeName([*map(x509.DNSName, names or (NAME,)), *addresses]), False
    of = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
    receiver = _certificate("Receiver", key, "Authority", authority_key, alternative, of)
    (folder / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "receiver.pem").write_bytes(private + receiver.public_bytes(Encoding.PEM))
    return folder / "authority.pem", folder / "receiver.pem"


@dataclass
class Got:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    server_name: str


@dataclass
class Receiver:
    """What came in, and how it is answered: with a status, or by whatever `answers` does with the connection."""

    port: int = 0
    status: int = 204
    got: list[Got] = field(default_factory=list)
    answers: Callable[["BaseHTTPRequestHandler"], object] | None = None
    names: list[str] = field(default_factory=list)

    def url(self, host: str = NAME, path: str = "/hook") -> str:
        return f"https://{host}:{self.port}{path}"


@contextmanager
def receiving(certificate: Path, address: str = "127.0.0.1") -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(Got(self.path, dict(self.headers.items()), body, receiver.names[-1]))
            if receiver.answers:
                receiver.answers(self)
                return
            self.send_response(receiver.status)
            if receiver.status // 100 == 3:
                self.send_header("Location", f"https://{NAME}:{receiver.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # A client that goes away in the middle is what is tested.
        handle_error = lambda *_: None  # noqa: E731

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: receiver.names.append(name or "")
    server = Server((address, 0), Handler)
    # Each handshake in its own thread, so that one that never comes holds up nobody.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
