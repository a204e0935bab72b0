"""Whether people sign in through a provider of OpenID Connect, which one, and what is checked of that."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as chosen
from django.core.checks import CheckMessage, Error
from django.http import HttpRequest


def providers(url: str, client_id: str, secret: str, name: str) -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS for the issuer `url`; none unless all is set that is needed.

    A connection is kept with the issuer's address beside the person's number there: another issuer has other people
    under the same numbers.
    """
    if not (url and client_id and secret):
        return {}
    app = {"provider_id": url, "name": name, "client_id": client_id, "secret": secret}
    return {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app | {"settings": {"server_url": url}}]}}


def check(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All of it or nothing, and nothing in the open: the client's secret goes to the provider."""
    said = {name: getattr(chosen, name) for name in ("OIDC_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")}
    missing = [name for name, value in said.items() if not value]
    if 0 < len(missing) < len(said):
        hint = f"Set {' and '.join(missing)} too, or none of {', '.join(said)}."
        return [Error("Single sign-on is set in part.", hint=hint, id="karenpanel.E020")]
    if missing:
        return []
    try:
        parts = urlsplit(chosen.OIDC_URL)
        is_address = parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.query + parts.fragment
    except ValueError:
        is_address = False
    if not is_address or len(chosen.OIDC_URL) > 200:
        hint = "Set it to the provider's issuer, as in https://login.example.net/realms/staff"
        return [Error("OIDC_URL is no address of a provider.", hint=hint, id="karenpanel.E021")]
    if parts.scheme == "http" and not chosen.INSECURE_HTTP:
        hint = "Begin OIDC_URL with https://. Tokens and the client's secret would travel in the open."
        return [Error("OIDC_URL is not HTTPS.", hint=hint, id="karenpanel.E022")]
    return []


def link(request: HttpRequest) -> dict[str, str]:
    """For templates: the name of the provider, where there is one."""
    return {"single_sign_on": chosen.OIDC_NAME if chosen.SOCIALACCOUNT_PROVIDERS else ""}
