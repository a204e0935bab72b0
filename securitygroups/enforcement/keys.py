"""The key that the panel signs its answers to agents with: whoever ends TLS on the way cannot invent rules.

Agents pin its public half when they are enrolled. It comes from AGENT_KEY, or where that is empty from SECRET_KEY, and then
changes with it.
"""

from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from securitygroups.signing.keys import Key
from securitygroups.signing.wire import KEY_BYTES, decoded, encoded


def seed() -> str:
    """What AGENT_KEY is, or would have to be for the key to stay when SECRET_KEY is changed. Raises Malformed."""
    return _seed(settings.AGENT_KEY, settings.SECRET_KEY)


def public() -> str:
    """The public half, as agents are told it."""
    return _key(seed()).public


def signed(said: bytes) -> str:
    """The panel's signature over these bytes."""
    return _key(seed()).sign(said)


@lru_cache(maxsize=4)
def _seed(agent_key: str, secret_key: str) -> str:
    if agent_key:
        return encoded(decoded(agent_key, KEY_BYTES))
    own = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"karenpanel agent answers")
    return encoded(own.derive(secret_key.encode()))


@lru_cache(maxsize=4)
def _key(text: str) -> Key:
    return Key.read(text)
