"""Second factors: their secrets are kept encrypted, and told in the panel's words."""

import base64
import os
from contextlib import suppress

from allauth.account.utils import user_username
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils.crypto import salted_hmac

NONCE = 12
"""Bytes, drawn anew for each text, as AES-GCM wants them."""


def _ciphers() -> list[AESGCM]:
    """AES-256-GCM by a key drawn from SECRET_KEY, then by those of the keys before it among SECRET_KEY_FALLBACKS."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [AESGCM(salted_hmac("second factors", "", secret=str(key), algorithm="sha256").digest()) for key in secrets]


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That is not right: type the code that is shown now.",
    }

    def encrypt(self, text: str) -> str:
        """Who reads the database or a copy of it cannot make anybody's codes."""
        nonce = os.urandom(NONCE)
        return base64.b64encode(nonce + _ciphers()[0].encrypt(nonce, text.encode(), None)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises InvalidTag where no key fits: SECRET_KEY was changed, and the one before is not among the fallbacks."""
        sealed = base64.b64decode(encrypted_text)
        for cipher in _ciphers():
            with suppress(InvalidTag):
                return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], None).decode()
        raise InvalidTag

    def build_totp_svg(self, url: str) -> str:
        """The QR code as an element of the page: the content policy takes no data: addresses."""
        svg: str = super().build_totp_svg(url)
        return svg[svg.index("<svg") :].replace("<svg ", '<svg role="img" aria-label="QR code" class="qr" ', 1)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return "Passkey" if number == 0 else f"Passkey {number + 1}"

    def _get_site_name(self) -> str:
        return str(context.request.get_host())

    def _get_user_identifier(self, user: AbstractBaseUser) -> str:
        return str(user_username(user))
