"""The secrets that sign what is sent: made here, kept sealed, and opened only where something is signed.

They cannot be kept as hashes, for they are needed to sign. Sealed with a key that comes from SECRET_KEY, they are of no use
to whoever reads the database, or a copy of it, alone.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PREFIX = "whsec_"


class Unreadable(Exception):
    """The secret was sealed with a SECRET_KEY that is gone."""


def new_secret() -> str:
    """A secret in the form in which receivers know it (Standard Webhooks)."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def seal(secret: str) -> str:
    """What is kept of a secret."""
    return _ring().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises Unreadable."""
    try:
        return _ring().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None


def seal_again(sealed: str) -> str:
    """The same secret under today's SECRET_KEY, as it is where it was sealed with that. Raises Unreadable."""
    today = _fernet(settings.SECRET_KEY)
    try:
        today.decrypt(sealed.encode())
    except InvalidToken:
        return seal(unseal(sealed))
    return sealed


def signatures(keys: Sequence[str], identity: str, at: datetime, body: bytes) -> str:
    """The header's text: a signature by each of the secrets, the newest first."""
    signed = f"{identity}.{int(at.timestamp())}.".encode() + body
    return " ".join(f"v1,{_signature(secret, signed)}" for secret in keys)


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _ring() -> MultiFernet:
    """The newest key seals; those of before still open."""
    return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@lru_cache(maxsize=8)
def _fernet(key: str) -> Fernet:
    # Of its own, so that what is sealed here is of no use where SECRET_KEY signs, and the other way round.
    own = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"karenpanel webhooks").derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(own))
