"""A machine that takes syslog over TLS, for tests: it reads frames by their length, and keeps every message."""

import ipaddress
import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FRAME = re.compile(rb"([1-9][0-9]{0,8}) ")


class Authority:
    """Vouches for machines by certificates in files of this folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        self.file = folder / "authority.pem"
        own = self._begun(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file.write_bytes(own.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        number = x509.random_serial_number()
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), number)
        return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))

    def certificate(self, name: str, address: str = "127.0.0.1") -> Path:
        """Certificate and key of one machine, in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._begun(subject, key).add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self.folder / f"{name}.pem"
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
        return file


@dataclass
class Receiver:
    """What it was sent, and how it behaves."""

    port: int
    authority: Authority
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    refused: list[str] = field(default_factory=list)
    goodbye: bool = True
    breaks_after: int | None = None
    """Octets after which it ends the connection, without having read on."""

    @property
    def to(self) -> list[str]:
        return ["--to", f"syslog+tls://127.0.0.1:{self.port}", "--ca", str(self.authority.file)]


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    receiver: Receiver
    context: ssl.SSLContext


class _Handler(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        receiver: Receiver = self.server.receiver
        try:
            line = self.server.context.wrap_socket(self.request, server_side=True)
        except OSError as error:
            receiver.refused.append(str(error))
            return
        receiver.connections += 1
        line.settimeout(20)
        with line, suppress(OSError):
            self._read(line, receiver)
            if receiver.goodbye:
                line.unwrap()

    def _read(self, line: ssl.SSLSocket, receiver: Receiver) -> None:
        buffer, read = b"", 0
        while part := line.recv(4096):
            buffer, read = buffer + part, read + len(part)
            while (frame := FRAME.match(buffer)) and len(buffer) >= frame.end() + int(frame[1]):
                end = frame.end() + int(frame[1])
                receiver.messages.append(buffer[frame.end() : end])
                buffer = buffer[end:]
            if receiver.breaks_after is not None and read >= receiver.breaks_after:
                raise ConnectionAbortedError


@contextmanager
def receiving(folder: Path, *, asks_certificate: bool = False, address: str = "127.0.0.1") -> Iterator[Receiver]:
    authority = Authority(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate("receiver", address))
    if asks_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.context = context
        server.receiver = Receiver(server.server_address[1], authority)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.receiver
        finally:
            server.shutdown()
            thread.join()
