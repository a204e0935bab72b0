"""What panel and agent sign: the bytes of a request and of its answer, and the headers that carry the signatures."""

import base64
import binascii
import hashlib

HOST_HEADER, TIME_HEADER, NONCE_HEADER = "Karenpanel-Host", "Karenpanel-Time", "Karenpanel-Nonce"
SIGNATURE_HEADER = "Karenpanel-Signature"
MAX_BODY = 4 * 2**20
"""Bytes of a request's body, and of an answer's."""
NONCE_BYTES, KEY_BYTES, SIGNATURE_BYTES, REPORT_BYTES = 16, 32, 64, 16


class Malformed(ValueError):
    """A text that should be bytes in base64url is not, or they are too many or too few."""


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str, size: int) -> bytes:
    """The `size` bytes that `encoded` made this text of; no other text gives them. Raises Malformed."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size or encoded(data) != text:
        raise Malformed(f"This is not {size} bytes in base64url.")
    return data


def request_bytes(method: str, target: str, body: bytes, stamp: tuple[int, str], host: str) -> bytes:
    """What a request signs. `target` is path and query as sent, `stamp` the time in Unix seconds and the nonce.

    `host` is empty where the panel has yet to say which host this is.
    """
    seconds, nonce = stamp
    lines = ("karenpanel-agent-1", method, target, _hash(body), f"{seconds}", nonce, host)
    return _lines(lines)


def answer_bytes(status: int, body: bytes, etag: str, nonce: str, host: str) -> bytes:
    """What an answer signs; `etag` is its header, or empty, and `nonce` that of the request."""
    return _lines(("karenpanel-panel-1", f"{status}", _hash(body), etag, nonce, host))


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _lines(lines: tuple[str, ...]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
