"""OpenID Connect as the panel speaks it: allauth's, and stricter about what a provider says.

allauth checks neither the signature of an ID token, which came over TLS, nor a nonce, nor that the user information is
about the same person. What is checked here is in OpenID Connect Core 1.0, 3.1.3.7 and 5.3.2.
"""

import hashlib
from typing import Any

import jwt
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

# Signed with a key of the provider's own; "none", and secrets that the client knows too, are not among them.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
# Seconds by which the provider's clock may differ.
LEEWAY = 60
# What is kept of what the provider says.
KEPT = ("sub", "email", "email_verified", "preferred_username", "name")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")


def nonce_of(verifier: str) -> str:
    """The nonce of one sign-in. Made of PKCE's secret, it is bound to this browser and has to be kept nowhere."""
    return hashlib.sha256(b"nonce:" + verifier.encode()).hexdigest()


class Exchange(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """One sign-in's talk with the provider. Raises OAuth2Error where the provider says what cannot be believed."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        config: dict[str, Any] = super().openid_config
        if str(config["issuer"]).rstrip("/") != settings.OIDC_URL:
            raise OAuth2Error(f"The provider calls itself {config['issuer']}, and OIDC_URL says {settings.OIDC_URL}")
        said = [config[name] for name in ENDPOINTS if name in config]
        if not settings.INSECURE_HTTP and not all(address.startswith("https://") for address in said):
            raise OAuth2Error("The provider names an address that is not HTTPS")
        return config

    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: Any, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        self.nonce = nonce_of(pkce_code_verifier or "")
        data: dict[str, Any] = super().get_access_token_data(request, app, client, pkce_code_verifier)
        return data

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any) -> SocialLogin:
        claims = self.claims(app, kwargs["response"].get("id_token"))
        if "userinfo_endpoint" in self.openid_config:
            about = self._fetch_user_info(token.token)
            if about["sub"] != claims["sub"]:
                raise OAuth2Error("The user information is about somebody else")
            # What is signed is said last.
            claims = about | claims
        kept = {name: claims[name] for name in KEPT if name in claims}
        return self.get_provider().sociallogin_from_response(request, kept)

    def claims(self, app: Any, id_token: str | None) -> dict[str, Any]:
        """What the provider has signed about the person, for us and for this sign-in. Raises OAuth2Error."""
        config = self.openid_config
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token or "",
                self.key(config["jwks_uri"], id_token or ""),
                algorithms=ALGORITHMS,
                audience=app.client_id,
                issuer=config["issuer"],
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"The ID token is not valid: {error}") from error
        if claims["nonce"] != self.nonce:
            raise OAuth2Error("The ID token is of another sign-in")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != app.client_id:
            raise OAuth2Error("The ID token is for another client too")
        return claims

    def key(self, address: str, id_token: str) -> jwt.PyJWK:
        """The provider's key that the token names, or its only one."""
        from allauth.socialaccount.adapter import get_adapter

        wanted = jwt.get_unverified_header(id_token).get("kid")
        with get_adapter().get_requests_session() as session:
            answer = session.get(address)
            answer.raise_for_status()
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        found = [key for key in keys if wanted is None or key.key_id == wanted]
        if len(found) != 1:
            raise OAuth2Error("The ID token names no key of the provider")
        return found[0]

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse("openid_connect_callback"))


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    oauth2_adapter_class = Exchange

    def get_pkce_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_pkce_params()
        return params | {"nonce": nonce_of(params["code_verifier"])}

    def get_login_url(self, request: HttpRequest, **kwargs: Any) -> str:
        return reverse("openid_connect_login")

    def get_callback_url(self) -> str:
        return reverse("openid_connect_callback")

    def extract_email_addresses(self, data: dict[str, Any]) -> list[EmailAddress]:
        """An address is verified where the provider says so, and not where it says "false", which is true in Python."""
        email, said = data.get("email"), data.get("email_verified")
        return [EmailAddress(email=email, verified=said is True or said == "true", primary=True)] if email else []
