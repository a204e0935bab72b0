"""Ed25519: keys that sign, and whether a signature is a key's."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from securitygroups.signing.wire import KEY_BYTES, SIGNATURE_BYTES, Malformed, decoded, encoded


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A private key. It is never shown: not by repr, not in a message."""

    _private: Ed25519PrivateKey

    @classmethod
    def new(cls) -> "Key":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, seed: str) -> "Key":
        """The key of a seed as `seed` gives it. Raises Malformed."""
        return cls(Ed25519PrivateKey.from_private_bytes(decoded(seed, KEY_BYTES)))

    @property
    def seed(self) -> str:
        """What to keep where nobody else may read it."""
        return encoded(self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))

    @property
    def public(self) -> str:
        return encoded(self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, said: bytes) -> str:
        return encoded(self._private.sign(said))


def verifies(public: str, said: bytes, signature: str) -> bool:
    """Whether the signature is that of the public key over these bytes; False too where either is malformed."""
    try:
        Ed25519PublicKey.from_public_bytes(decoded(public, KEY_BYTES)).verify(decoded(signature, SIGNATURE_BYTES), said)
    except (InvalidSignature, Malformed, ValueError):
        return False
    return True
