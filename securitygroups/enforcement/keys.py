"""The key that the panel signs its answers to agents with: whoever ends TLS on the way cannot invent rules.

Agents pin its public half when they are enrolled. It comes from AGENT_KEY, or where that is empty from SECRET_KEY, and then
changes with it.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

KEY_BYTES, SIGNATURE_BYTES, NONCE_BYTES = 32, 64, 16
"""Lengths of what is written in base64url."""


class Malformed(ValueError):
    """A text that should be so many bytes in base64url is not."""


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str, size: int) -> bytes:
    """The bytes that `encoded` made this text of; no other text gives them. Raises Malformed."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        data = b""
    if len(data) != size or encoded(data) != text:
        raise Malformed(f"This is not {size} bytes in base64url without padding.")
    return data


def seed() -> str:
    """What AGENT_KEY is, or would have to be for the key to stay when SECRET_KEY is changed. Raises Malformed."""
    return _seed(settings.AGENT_KEY, settings.SECRET_KEY)


def public() -> str:
    """The public half, as agents are told it."""
    return encoded(_private(seed()).public_key().public_bytes_raw())


def signed(said: bytes) -> str:
    """The panel's signature over these bytes."""
    return encoded(_private(seed()).sign(said))


def verifies(key: str, said: bytes, signature: str) -> bool:
    """Whether the signature is that of the public key over these bytes; False too where either is malformed."""
    try:
        Ed25519PublicKey.from_public_bytes(decoded(key, KEY_BYTES)).verify(decoded(signature, SIGNATURE_BYTES), said)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=4)
def _seed(agent_key: str, secret_key: str) -> str:
    if agent_key:
        return encoded(decoded(agent_key, KEY_BYTES))
    own = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"karenpanel agent answers")
    return encoded(own.derive(secret_key.encode()))


@lru_cache(maxsize=4)
def _private(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(decoded(text, KEY_BYTES))
