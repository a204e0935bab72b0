"""Second factors: their secrets are kept encrypted, and told in the panel's words."""

import base64

from allauth.account.utils import user_username
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils.crypto import salted_hmac


def _cipher() -> MultiFernet:
    """By keys drawn from SECRET_KEY, and from those before it while they are among SECRET_KEY_FALLBACKS."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    keys = (salted_hmac("second factors", "", secret=str(key), algorithm="sha256").digest() for key in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That is not right: type the code that is shown now.",
    }

    def encrypt(self, text: str) -> str:
        """Who reads the database or a copy of it cannot make anybody's codes."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()

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
